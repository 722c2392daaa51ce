"""What foretold.py promises: what a plan said is there when the run is over, or nothing is."""

import torch

from dozero.device import Device
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.foretold import PLAN_FILE, foretell_plan, keep_foretold, read_foretold
from dozero.train.loop import clear_run
from dozero.train.plan import plan_minutes

CPU = Device("cpu", torch.float32, 1)


def a_plan(tmp_path):
    kept = frozenset({"train.steps"})
    return plan_minutes(tiny_config(), tiny_dataset(tmp_path / "dataset")[0], CPU, 60, 0.0, kept=kept)


def test_what_was_foretold_is_read_back_whole(tmp_path):
    plan = a_plan(tmp_path)
    keep_foretold(plan, tmp_path / "runs" / "main")
    kept = read_foretold(tmp_path / "runs" / "main")
    assert kept == foretell_plan(plan)
    assert kept.minutes == plan.seconds / 60
    assert kept.steps == 12
    assert kept.training_s == plan.config.train.max_seconds
    assert (kept.d_model, kept.n_layers) == (plan.config.model.d_model, plan.config.model.n_layers)


def test_a_run_without_a_plan_was_promised_nothing(tmp_path):
    assert read_foretold(tmp_path) is None
    for text in ("", "{}", "[1]", '{"minutes": '):
        (tmp_path / PLAN_FILE).write_text(text, encoding="utf-8")
        assert read_foretold(tmp_path) is None


def test_a_run_begun_anew_forgets_what_another_was_promised(tmp_path):
    run = tmp_path / "runs" / "main"
    keep_foretold(a_plan(tmp_path), run)
    clear_run(run)
    assert read_foretold(run) is None
