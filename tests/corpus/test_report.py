"""The report of a corpus: sums that agree with the documents, however they were added up."""

import itertools
import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.artifact import Manifest
from dozero.corpus.build import build_corpus, corpus_inputs
from dozero.corpus.document import Document
from dozero.corpus.report import SAMPLE_CHARACTERS, SAMPLES, Summary, about, read_report, summarise, write_report
from dozero.corpus.store import Stored
from dozero.settings import CurateConfig, DataConfig

SETTINGS = {
    **DataConfig(kind="text", source="docs").model_dump(mode="json"),
    "curate": CurateConfig().model_dump(mode="json"),
}


def stored(text, reason=None, *, source="a.txt", licence="MIT", lang="pt", collection="docs", personal=""):
    document = Document(text, source, licence, lang, collection)
    return Stored(document.id, document, reason, personal)


ROWS = st.lists(
    st.builds(
        stored,
        st.text(st.sampled_from("aç \n"), max_size=40),
        st.sampled_from([None, None, "language", "near duplicate"]),
        licence=st.sampled_from(["MIT", ""]),
        lang=st.sampled_from(["pt", "en"]),
        collection=st.sampled_from(["docs", "web"]),
        personal=st.sampled_from(["", "cpf 2, email 1", "email 3"]),
    ),
    max_size=30,
)


@given(rows=ROWS, seed=st.integers(0, 99), parts=st.integers(1, 5))
def test_parts_merged_in_any_order_are_the_whole(rows, seed, parts):
    pieces = [summarise(rows[i::parts]) for i in range(parts)]
    random.Random(seed).shuffle(pieces)
    merged = Summary()
    for piece in pieces:
        merged.merge(piece)
    assert json.dumps(merged.to_json()) == json.dumps(summarise(rows).to_json())


@given(rows=ROWS)
def test_every_table_counts_every_document_once(rows):
    summary = summarise(rows)
    report = summary.to_json()
    kept, dropped = [r for r in rows if not r.reason], [r for r in rows if r.reason]
    assert (summary.kept, summary.reasons) == (len(kept), Counter(r.reason for r in dropped))
    for name, group in (("kept", kept), ("dropped", dropped)):
        texts = [row.document.text for row in group]
        assert report[name] == {
            "documents": len(texts),
            "bytes": sum(len(t.encode()) for t in texts),
            "characters": sum(map(len, texts)),
            "words": sum(len(t.split()) for t in texts),
        }
        for table in ("languages", "licences", "sources"):
            assert sum(row[f"{name}_documents"] for row in report[table]) == len(texts)
            assert sum(row[f"{name}_bytes"] for row in report[table]) == report[name]["bytes"]
        for unit in ("characters", "words"):
            assert sum(row[name] for row in report["lengths"][unit]) == len(texts)
    assert sum(row["documents"] for row in report["reasons"]) == len(dropped)
    assert [row["documents"] for row in report["reasons"]] == sorted(
        (r["documents"] for r in report["reasons"]), reverse=True
    )


@given(rows=ROWS.filter(bool))
def test_the_bins_of_lengths_touch_and_each_holds_the_documents_of_its_lengths(rows):
    for unit, length in (("characters", len), ("words", lambda text: len(text.split()))):
        bins = summarise(rows).to_json()["lengths"][unit]
        for low, high in itertools.pairwise(bins):
            assert low["to"] + 1 == high["from"]
        for row in bins:
            inside = [r for r in rows if row["from"] <= length(r.document.text) <= row["to"]]
            assert (row["kept"], row["dropped"]) == (
                sum(r.reason is None for r in inside),
                sum(r.reason is not None for r in inside),
            )


@given(rows=ROWS)
def test_samples_are_the_documents_with_the_smallest_ids(rows):
    report = summarise(rows).to_json()
    told = {row["reason"]: row["samples"] for row in report["reasons"]} | {None: report["samples"]}
    for reason, samples in told.items():
        ids = sorted({row.id for row in rows if row.reason == reason})
        assert [s["id"] for s in samples] == ids[:SAMPLES]


def test_a_sample_is_the_beginning_of_its_text_and_tells_where_it_is_from():
    row = stored("é" * 500, "language", source="b.zip!c.txt#7")
    (sample,) = summarise([row]).to_json()["reasons"][0]["samples"]
    assert sample == {"id": row.id, "source": "b.zip!c.txt#7", "text": "é" * SAMPLE_CHARACTERS}


def test_personal_data_are_counted_by_kind_and_by_document():
    rows = [stored("a", personal="cpf 2, email 1"), stored("b", "language", personal="email 3"), stored("c")]
    assert summarise(rows).to_json()["personal"] == [
        {"kind": "email", "found": 4, "documents": 2},
        {"kind": "cpf", "found": 2, "documents": 1},
    ]


def test_a_summary_does_not_grow_with_the_documents():
    def size(count):
        return len(json.dumps(summarise(stored(f"texto {n:06d}") for n in range(count)).to_json()))

    assert size(4000) < size(400) + 50


# --- on disk -----------------------------------------------------------------------------------------------------


def write(folder, rows, unread=(), **options):
    folder.mkdir()
    manifest = Manifest("corpus", config=SETTINGS)
    write_report(folder, manifest, summarise(rows), unread, **options)
    return manifest


def test_the_report_is_read_as_it_was_written_and_the_manifest_has_its_counts(tmp_path):
    rows = [stored("um texto"), stored("outro", "language", lang="en"), stored("x", "empty", licence="")]
    manifest = write(tmp_path / "c", rows, [["a.pdf", "no text in it"]])
    report = read_report(tmp_path / "c")
    assert report == {
        **summarise(rows).to_json(),
        "unreadable": 1,
        "unreadable_listed": [{"where": "a.pdf", "what": "no text in it"}],
        "settings": SETTINGS,
    }
    assert manifest.counts == {"kept": 1, "dropped": 2, "by_reason": {"empty": 1, "language": 1}}
    assert manifest.about == {"source": "docs", "licence": "MIT", "language": "pt"} == about(report)


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows = [stored(f"texto {n}", [None, "language"][n % 2]) for n in range(50)]
    write(tmp_path / "a", rows)
    write(tmp_path / "b", rows[::-1])
    files = {p.name: p.read_bytes() for p in (tmp_path / "a").iterdir()}
    assert files == {p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()}
    assert set(files) == {"report.json", "datacard.md", "datacard.pt-BR.md"}


def test_of_very_many_unreadable_things_the_first_are_listed_and_all_are_counted(tmp_path):
    write(tmp_path / "a", [stored("a")], [[f"{n}", "broken"] for n in range(999)])
    report = read_report(tmp_path / "a")
    assert (report["unreadable"], len(report["unreadable_listed"])) == (999, 200)
    write(tmp_path / "b", [stored("a")], [["0", "broken"]], unread_count=999)
    assert read_report(tmp_path / "b")["unreadable"] == 999


@pytest.mark.parametrize("content", [None, "", "[]", "{}", "{"])
def test_a_folder_without_such_a_report_has_none(tmp_path, content):
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    assert read_report(tmp_path) is None


def test_a_list_of_words_has_another_kind_of_report(tmp_path):
    (tmp_path / "words.txt").write_text("casa\nrua\n")
    data = DataConfig(source=str(tmp_path / "words.txt"))
    list(build_corpus(data, CurateConfig(), tmp_path / "c", corpus_inputs(data)))
    assert read_report(tmp_path / "c") is None
