"""Evaluations kept beside a model: read back as they were, and only for the weights they are of."""

from pathlib import Path

import numpy as np
import pytest

from dozero.artifact import open_artifact
from dozero.errors import ArtifactError
from dozero.eval.bootstrap import Interval, mean
from dozero.eval.measure import Measure, Outcome
from dozero.eval.results import evaluations_of, headlines, identify_model, read_results, result_of, write_result
from dozero.model.hf import write_model_files
from dozero.testing import random_language_model

MEASURE = Measure("accuracy", Interval(0.5, 0.4, 0.6), 0.5)
OUTCOME = Outcome((MEASURE,), ({"where": "i 1", "said": "ão"}, {"where": "i 2"}), mean(np.ones(2)), {"labels": ["a"]})


def test_a_result_comes_back_as_it_was_kept(tmp_path):
    result = result_of("quiz", "choice", OUTCOME, 1.23456, lang="pt", licence="own", of_items=9)
    path = write_result(result, OUTCOME, {"model": "m1", "task": "t"}, "pt", tmp_path / "evaluations")
    (found,) = read_results(tmp_path / "evaluations", "m1")
    assert found == result.__class__(**{**vars(result), "path": str(path)})
    assert (path / "items.jsonl").read_text(encoding="utf-8").splitlines()[0] == '{"where": "i 1", "said": "ão"}'
    assert open_artifact(path, "evaluation").inputs == {"model": "m1", "task": "t"}
    assert headlines([found])["quiz"]["verdict"] == "at_chance"


def test_results_of_other_weights_and_damaged_ones_are_not_told(tmp_path):
    for name, model in (("one", "m1"), ("two", "m2"), ("three", "m1")):
        write_result(result_of(name, "choice", OUTCOME, 1.0), OUTCOME, {"model": model}, "en", tmp_path)
    (tmp_path / "three" / "result.json").write_text("{}")
    assert [r.task for r in read_results(tmp_path, "m1")] == ["one"]
    assert read_results(tmp_path / "gone", "m1") == []


def test_a_model_is_known_by_its_weights(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        model = random_language_model(["abc"], seed=seed)
        (tmp_path / name).mkdir()
        write_model_files(model.model, model.tokenizer, tmp_path / name)
    assert identify_model(tmp_path / "a") == identify_model(tmp_path / "b") != identify_model(tmp_path / "c")
    with pytest.raises(ArtifactError, match="no weights here"):
        identify_model(tmp_path)


def test_evaluations_never_land_inside_a_model():
    for place in ("w/runs/main/model", "w/runs/main/checkpoints/step-000004", "smol"):
        assert Path(place) not in evaluations_of(Path(place)).parents
