"""What runs took: read from what they wrote, compared where both were, and only on the same held-out text."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dozero.artifact import Manifest
from dozero.config import load_config
from dozero.device import Device
from dozero.model.hf import write_model_files
from dozero.pipeline.costs import Cost, at_equal, cost_of, equal_costs, read_curve
from dozero.pipeline.stages import Workspace, run_stages
from dozero.settings import RunConfig
from dozero.testing import random_language_model, tiny_workspace
from dozero.train.run_facts import RunFacts


def facts_of(bits, *, tokens_per_step=10, seconds_per_step=1.0, dataset="d"):
    """The facts of a run that was looked at after each step."""
    steps = range(1, len(bits) + 1)
    return RunFacts(
        path=Path("run"), config=RunConfig(),
        losses=[{"step": n, "tokens": tokens_per_step * n} for n in steps],
        timings=[{"step": n, "seconds": seconds_per_step * n} for n in steps],
        heldout=[{"step": n, "heldout_bits_per_byte": b} for n, b in zip(steps, bits, strict=True)],
        manifest=Manifest(kind="model", inputs={"dataset": dataset}),
    )  # fmt: skip


def test_a_run_tells_what_it_took(tmp_path):
    file = tiny_workspace(tmp_path / "ws")
    *_, _finished = run_stages(load_config(file), Workspace(file.parent), Device("cpu", torch.float32, 1))
    cost, facts = cost_of(tmp_path / "ws/runs/main/model")
    assert facts is not None
    assert facts.manifest is not None
    assert cost == Cost(facts.data["params"], facts.losses[-1]["tokens"], facts.manifest.seconds)
    assert at_equal(facts, facts)[0].first == pytest.approx(facts.heldout[-1]["heldout_bits_per_byte"])


def test_of_a_model_without_a_run_only_its_size_is_known(tmp_path):
    model = random_language_model(["abc"])
    (tmp_path / "m").mkdir()
    write_model_files(model.model, model.tokenizer, tmp_path / "m")
    assert cost_of(tmp_path / "m") == (Cost(sum(p.numel() for p in model.model.parameters()), None, None), None)


def test_costs_within_a_twentieth_are_equal_and_what_is_not_known_is_not_called_so():
    assert equal_costs(Cost(100, 1000, 60.0), Cost(105, 800, None)) == {
        "parameters": True,
        "tokens": False,
        "seconds": None,
    }


def test_both_are_looked_at_where_the_shorter_one_ended():
    short, long = facts_of([4.0, 3.0], seconds_per_step=3.0), facts_of([5.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.125])
    by_axis = {point.axis: point for point in at_equal(short, long)}
    assert (by_axis["tokens"].amount, by_axis["tokens"].first, by_axis["tokens"].second) == (20.0, 3.0, 4.0)
    assert (by_axis["seconds"].amount, by_axis["seconds"].first, by_axis["seconds"].second) == (6.0, 3.0, 0.25)


def test_runs_of_other_data_or_that_never_met_are_not_compared_so():
    assert at_equal(facts_of([4.0, 3.0]), facts_of([4.0, 3.0], dataset="other")) == []
    assert at_equal(facts_of([4.0]), facts_of([9.0], tokens_per_step=1000, seconds_per_step=50.0)) == []


@given(st.lists(st.floats(0, 10), min_size=1, max_size=6), st.data())
def test_a_curve_passes_through_its_points_and_stays_between_neighbours(heights, data):
    curve = [(float(n), y) for n, y in enumerate(heights)]
    for x, y in curve:
        assert read_curve(curve, x) == pytest.approx(y)
    at = data.draw(st.floats(0, len(heights) - 1))
    low, high = heights[int(at)], heights[min(int(at) + 1, len(heights) - 1)]
    assert min(low, high) - 1e-9 <= read_curve(curve, at) <= max(low, high) + 1e-9
