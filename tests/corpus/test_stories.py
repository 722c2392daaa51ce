"""The corpus of stories: the grammar's own, the same on any number of processes."""

import json

import pytest

from dozero.artifact import Manifest
from dozero.corpus.store import open_corpus
from dozero.corpus.stories import SEED, write_stories
from dozero.settings import DataConfig
from dozero.stories.tell import check_story, entropy, tell


@pytest.fixture(scope="module", params=["pt", "en"])
def made(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("stories") / "corpus"
    config = DataConfig(kind="stories", lang=request.param, stories=300)
    write_stories(config, out, Manifest(kind="corpus"))
    return open_corpus(out), request.param


@pytest.mark.no_cover
def test_it_holds_the_stories_of_the_grammar_in_order(made):
    corpus, lang = made
    assert list(corpus.texts()) == [tell(lang, SEED, n) for n in range(300)]
    assert all(check_story(lang, text) for text in corpus.texts())


def test_each_story_says_where_it_is_from(made):
    corpus, lang = made
    documents = list(corpus.documents())
    assert {(d.licence, d.lang, d.collection) for d in documents} == {("CC0-1.0", lang, "stories")}
    assert documents[7].source == f"dozero.stories {lang}#7"


def test_the_report_tells_the_entropy_that_no_model_can_beat(made):
    corpus, lang = made
    report = json.loads((corpus.path / "report.json").read_text(encoding="utf-8"))
    assert report["grammar"]["nats_per_story"] == entropy(lang)
    assert report["kept"] == corpus.manifest.counts["kept"] == 300


@pytest.mark.no_cover
def test_two_processes_tell_the_same(made, tmp_path, monkeypatch):
    monkeypatch.setattr("dozero.corpus.stories.STORIES_AT_ONCE", 100)
    config = DataConfig(kind="stories", lang=made[1], stories=300)
    one, two = (write_stories(config, tmp_path / str(n), Manifest(kind="corpus"), n) for n in (1, 2))
    assert one.manifest.files == two.manifest.files
    assert list(one.texts()) == list(made[0].texts())
