"""What tell.py promises: what it logs is what it returns, and follows from weights and settings, not from the clock."""

import pytest
import torch

from dozero.dataset.batch import batch_of_step
from dozero.device import Device
from dozero.eval.likelihood import total_nats
from dozero.generate.language_model import LanguageModel
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.events import Stepped
from dozero.train.log import read_log
from dozero.train.loop import _open_session
from dozero.train.observe import layers_tree, observe_layers, snapshot
from dozero.train.step import train_step
from dozero.train.team import Team
from dozero.train.tell import evaluate, log_step, observe, sample, sample_seed

CPU = Device("cpu", torch.float32, 1)


@pytest.fixture
def session(tmp_path):
    config = tiny_config("train.batch_tokens=128")
    (tmp_path / "run").mkdir()
    session, _ = _open_session(config, *tiny_dataset(tmp_path / "dataset"), tmp_path / "run", CPU, strict=False)
    yield session
    for log in (session.metrics, session.samples, session.timings):
        log.close()


def lines_of(session, name):
    for log in (session.metrics, session.samples, session.timings):
        log.sync()
    return read_log(session.run / name)


def step_and_keep(session):
    """One update whose gradients stay; return the weights before it, its batch and its result."""
    before = snapshot(session.optimizer)
    batch = batch_of_step(session.train_rows, session.rows_per_step, session.config.seed, 0)
    result = train_step(session.model, session.optimizer, batch, 0, session.state.schedule, keep_gradients=True)
    session.state.step = 1
    return before, batch, result


@pytest.mark.parametrize(("utilisation", "written"), [(None, False), (0.51239, True)])
def test_what_the_clock_decides_stays_out_of_the_metrics(utilisation, written, session):
    told = Stepped(3, 12, 2.5, 0.75, 0.5, 384, 12345.6, 1.23456, 3.25, utilisation)
    log_step(session, told, batch_share=0.123456)
    assert lines_of(session, "metrics.jsonl")[-1] == {
        "step": 3, "loss": 2.5, "bits_per_byte": 3.25, "grad_norm": 0.75, "lr_scale": 0.5, "tokens": 384,
    }  # fmt: skip
    timing = {"step": 3, "seconds": 1.235, "tokens_per_s": 12346, "batch_share": 0.1235}
    assert lines_of(session, "timings.jsonl") == [timing | ({"utilisation": 0.5124} if written else {})]


def test_the_heldout_loss_is_the_mean_over_the_targets_of_the_part_looked_at(session):
    told = evaluate(session)
    nats, tokens = total_nats(session.model, session.heldout_rows)
    assert told.loss == nats / tokens
    assert told.bits_per_byte == told.loss * session.scales.heldout_bits
    line = {"step": 0, "heldout_loss": told.loss, "heldout_bits_per_byte": told.bits_per_byte}
    assert lines_of(session, "metrics.jsonl")[-1] == line


def test_a_sample_follows_from_seed_and_step(session):
    told = [sample(session)]
    session.state.step = 4
    told += [sample(session), sample(session)]
    assert told[1] == told[2]
    assert told[0].text != told[1].text
    model, settings = LanguageModel(session.model, session.tokenizer), session.config.generate
    assert told[1].text == model.generate(config=settings, seed=sample_seed(session.config, 4))
    assert [(line["step"], line["text"]) for line in lines_of(session, "samples.jsonl")] == [
        (event.step, event.text) for event in told
    ]


def test_no_two_steps_or_seeds_share_the_seed_of_a_sample():
    seeds = [sample_seed(tiny_config(f"seed={seed}"), step) for seed in (0, 1, 2) for step in (0, 1, 10**6)]
    assert len(set(seeds)) == 9


def test_a_closer_look_is_logged_and_leaves_no_gradient(session):
    before, batch, result = step_and_keep(session)
    layers = observe_layers(session.model, session.optimizer, before, batch, result.grad_norm)
    told = observe(session, before, batch, result)
    assert (told.step, told.lr_scale, told.layers) == (1, result.lr_scale, layers)
    line = {"step": 1, "observed_lr_scale": result.lr_scale, "layers": layers_tree(layers)}
    assert lines_of(session, "metrics.jsonl")[-1] == line
    assert lines_of(session, "timings.jsonl")[-1] == {"step": 1, "resident_bytes": told.resident_bytes}
    assert all(p.grad is None for p in session.model.parameters())


def test_a_team_of_any_size_sees_what_one_process_sees(session):
    """The leader has a share of the rows; the look is at the first rows of the whole step."""
    before, batch, result = step_and_keep(session)
    layers = observe_layers(session.model, session.optimizer, before, batch, result.grad_norm)
    session.team = Team(size=4, slots=4)
    assert observe(session, before, batch.rows(0, 2), result).layers == layers
