"""What becomes of one document, step by step."""

import pytest

from dozero.corpus.document import Document
from dozero.corpus.forgotten import Forgotten
from dozero.corpus.judge import FORGOTTEN, PERSONAL, judge_document, make_judge, read_evaluation
from dozero.errors import DataError
from dozero.settings import CurateConfig, DataConfig

PROSE = "A menina que morava perto do rio gostava de ler histórias antigas para os irmãos, que ouviam sem piscar. " * 4
TEXT_DATA = DataConfig(kind="text", source="x", licence="MIT")


def judged(text, licence="MIT", data=TEXT_DATA, forgotten=None, **curate):
    settings = CurateConfig(**{"filters": (), **curate})
    return judge_document(Document(text, "a.txt", licence), make_judge(data, settings, forgotten))[0]


def test_a_kept_document_is_clean_and_knows_language_licence_and_id():
    row = judged(PROSE.replace("ó", "Ã³") + "\r\n\r\n", "CC BY 4.0")
    assert row.reason is None
    assert "histórias" in row.document.text
    assert (row.document.licence, row.document.lang) == ("CC-BY-4.0", "pt")
    assert row.id == row.document.id


def test_nothing_left_is_empty_and_no_licence_comes_first():
    assert judged(" \u200b \n").reason == "empty"
    assert judged("curto", licence="", filters=("length",)).reason == "no licence"
    assert judged("curto", filters=("length",)).reason == "length: too short"


@pytest.mark.parametrize(
    ("setting", "reason", "text"),
    [("mask", None, "[CPF]"), ("drop", PERSONAL, "[CPF]"), ("report", None, "529."), ("off", None, "529.")],
)
def test_personal_data_are_treated_as_asked(setting, reason, text):
    row = judged(PROSE + "CPF 529.982.247-25.", personal_data=setting)
    assert row.reason == reason
    assert text in row.document.text
    assert row.personal == ("" if setting == "off" else "cpf 1")


def test_a_dropped_document_is_stored_masked_too():
    row = judged("CPF 529.982.247-25.", filters=("length",))
    assert row.reason == "length: too short"
    assert "529" not in row.document.text


def test_what_is_forgotten_leaves_its_id_alone():
    row = judged(PROSE)
    for forgotten in (
        Forgotten(frozenset([row.id])),
        Forgotten(patterns=("menina",)),
        Forgotten(patterns=(r"a\.txt",)),
    ):
        gone = judged(PROSE, forgotten=forgotten)
        assert (gone.id, gone.reason, gone.document.text, gone.document.source) == (row.id, FORGOTTEN, "", "")
    assert judged(PROSE, forgotten=Forgotten(frozenset(["0" * 16]))).reason is None


def test_evaluation_texts_are_read_or_the_whole_stops(tmp_path):
    (tmp_path / "exam.txt").write_text(PROSE)
    assert read_evaluation(str(tmp_path / "exam.txt")) == [PROSE.strip()]
    assert judged(PROSE, evaluation=str(tmp_path / "exam.txt")).reason is not None
    (tmp_path / "bad.txt").write_bytes(b"\0\0")
    with pytest.raises(DataError):
        read_evaluation(str(tmp_path / "*.txt"))
