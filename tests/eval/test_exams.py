"""Exams: the held-out text is that of the dataset, and a model that cannot read an exam is told so, not failed."""

import pytest

from dozero.errors import DataError
from dozero.eval.exams import (
    HELDOUT,
    MARKS,
    Asking,
    Exam,
    Skipped,
    exam_of_pairs,
    exam_of_samples,
    exam_of_task,
    heldout_task,
    run_exams,
)
from dozero.eval.results import Result, identify_model, read_results
from dozero.eval.task import KINDS
from dozero.generate.language_model import LanguageModel
from dozero.model.hf import write_model_files
from dozero.settings import GenerateConfig
from dozero.testing import WORDS, random_language_model, tiny_dataset


@pytest.fixture
def folder(tmp_path):
    model = random_language_model(WORDS)
    (tmp_path / "model").mkdir()
    write_model_files(model.model, model.tokenizer, tmp_path / "model")
    return tmp_path / "model"


def run(folder, *exams):
    return list(run_exams(LanguageModel.open(folder), folder, exams, "en", folder.parent / "evaluations"))


def test_every_kind_of_task_is_marked():
    assert set(MARKS) == set(KINDS)


def test_the_held_out_text_is_what_training_never_saw(tmp_path):
    dataset, tokenizer = tiny_dataset(tmp_path / "dataset")
    texts = {item["text"] for item in heldout_task(dataset, tokenizer, 0).items}
    stream, ids = dataset.train, dataset.train.ids.tolist()
    bounds = zip(stream.starts.tolist(), [*stream.starts[1:].tolist(), stream.tokens], strict=True)
    trained = {tokenizer.decode(ids[a + 1 : b]) for a, b in bounds}
    assert texts | trained == set(WORDS)
    assert not texts & trained
    assert len(heldout_task(dataset, tokenizer, 5).items) == 5


def test_results_are_told_and_kept(folder, tmp_path):
    dataset, tokenizer = tiny_dataset(tmp_path / "dataset")
    heldout = exam_of_task(heldout_task(dataset, tokenizer, 0))
    samples = exam_of_samples(5, GenerateConfig(max_tokens=6), 0, None, {})
    events = run(folder, heldout, samples)
    assert [type(event) for event in events] == [Asking, Result, Asking, Result]
    assert [event.task for event in events[1::2]] == [HELDOUT, "samples"]
    kept = read_results(folder.parent / "evaluations", identify_model(folder))
    assert {r.task: r for r in kept} == {event.task: event for event in events[1::2]}


def test_pairs_with_letters_it_never_saw_are_left_out_with_the_reason(folder):
    events = run(folder, exam_of_pairs("pt"))
    assert isinstance(events[1], Skipped)
    assert "characters that the model never saw" in events[1].reason


def test_a_task_that_was_asked_for_fails_aloud(folder):
    def ask(model):
        raise DataError("no")

    with pytest.raises(DataError):
        run(folder, Exam("mine", "text", ask))
