"""What diagnose.py promises: runs that really have a fault are told that fault, and a healthy run is accused of nothing.

Every run here is trained for the purpose: made-up words that follow a pattern, a model of two blocks, a few seconds.
"""

import dataclasses
import random

import pytest
import torch

from dozero.device import Device
from dozero.errors import DivergedError
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.checkpoint import load_newest, save_checkpoint
from dozero.train.diagnose import diagnose, smooth
from dozero.train.events import Saved, Stepped
from dozero.train.findings import TEXT
from dozero.train.learner import build_model
from dozero.train.loop import train
from dozero.train.optim import build_optimizer
from dozero.train.run_facts import read_facts

CPU = Device("cpu", torch.float32, 1)
SYLLABLES = [c + v for c in "bdlmnrst" for v in "aeo"]
MUON_LR, ADAM_LR = 0.03, 0.01
BASE = (
    *("model.d_model=32", "model.n_layers=2", "model.n_heads=2", "model.n_kv_heads=2", "model.head_dim=16"),
    *("model.d_ff=64", "model.max_seq_len=32", "train.steps=150", "train.batch_tokens=512", "train.log_every=5"),
    *("train.observe_every=10", "train.eval_every=15", "train.sample_every=1000", "train.save_every=1000"),
    "eval.heldout_docs=100",
)


def at_rate(factor):
    return f"optim.muon_lr={MUON_LR * factor}", f"optim.adam_lr={ADAM_LR * factor}"


def made_up_words(count, seed=0):
    """Words of two to four syllables, each syllable followed by one of five, some more often than others."""
    draw = random.Random(seed)
    after = {s: draw.sample(SYLLABLES, 5) for s in SYLLABLES}
    words = set()
    while len(words) < count:
        word = [draw.choice(SYLLABLES)]
        for _ in range(draw.choice((1, 2, 3))):
            word.append(draw.choices(after[word[-1]], (8, 4, 2, 1, 1))[0])
        words.add("".join(word))
    return sorted(words)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("many") / "dataset", made_up_words(2500), 10)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("few") / "dataset", made_up_words(60), 10)


def run_of(data, run, *overrides, leave_at=None):
    events = train(tiny_config(*BASE, *overrides), *data, run, CPU)
    for event in events:
        if isinstance(event, Stepped) and event.step == leave_at:
            break
    events.close()
    return read_facts(run)


def problems(facts):
    return {finding.key for finding in diagnose(facts) if finding.level == "problem"}


def finding(facts, key):
    (found,) = (f for f in diagnose(facts) if f.key == key)
    return found


# --- runs that have a fault, and runs that have none -----------------------------------------------------------------


@pytest.fixture(scope="module")
def healthy(many, tmp_path_factory):
    return run_of(many, tmp_path_factory.mktemp("healthy") / "run")


def test_a_healthy_run_is_accused_of_nothing(healthy):
    assert [f.key for f in diagnose(healthy)] == ["well"]
    numbers = diagnose(healthy)[0].numbers
    assert numbers["last"] < numbers["first"] / 2
    assert numbers["heldout"] == healthy.heldout[-1]["heldout_loss"]


@pytest.mark.parametrize("overrides", [("seed=1",), ("seed=2", "model.tie_embeddings=true"), ("model.n_layers=1",)])
def test_nor_are_other_healthy_runs(overrides, many, tmp_path):
    assert problems(run_of(many, tmp_path / "run", *overrides)) == set()


@pytest.mark.parametrize("factor", [10, 30, 100])
def test_a_rate_far_too_high_is_recognised(factor, many, healthy, tmp_path):
    facts = run_of(many, tmp_path / "run", *at_rate(factor))
    assert facts.heldout[-1]["heldout_loss"] > healthy.heldout[-1]["heldout_loss"] + 0.1, "it is a fault"
    assert "rate_high" in problems(facts)
    assert "rate_low" not in problems(facts)
    found = finding(facts, "rate_high")
    assert found.numbers["ratio"] > 5 * found.numbers["usual"]
    assert any(look["step"] == found.numbers["step"] for look in facts.looks)


def test_the_change_it_names_for_a_rate_too_high_is_near_one_that_works(many, tmp_path):
    facts = run_of(many, tmp_path / "run", *at_rate(10), "train.steps=40")
    names, values = zip(*(change.split("=") for change in finding(facts, "rate_high").change), strict=True)
    assert names == ("optim.muon_lr", "optim.adam_lr")
    assert float(values[0]) == pytest.approx(MUON_LR, rel=0.5)
    assert float(values[1]) == pytest.approx(ADAM_LR, rel=0.5)


@pytest.mark.parametrize("factor", [0.1, 0.03])
def test_a_rate_ten_times_too_low_is_recognised(factor, many, healthy, tmp_path):
    facts = run_of(many, tmp_path / "run", *at_rate(factor))
    assert facts.heldout[-1]["heldout_loss"] > healthy.heldout[-1]["heldout_loss"] + 0.1, "it is a fault"
    assert problems(facts) == {"rate_low"}
    change = finding(facts, "rate_low").change[0]
    assert float(change.removeprefix("optim.muon_lr=")) == pytest.approx(MUON_LR, rel=0.5)


def test_a_run_whose_numbers_stopped_being_finite(many, tmp_path):
    run = tmp_path / "run"
    for _ in range(2):  # again, as the same command would: told once
        with pytest.raises(DivergedError):
            run_of(many, run, *at_rate(1e30), "train.log_every=1")
    facts = read_facts(run)
    assert "not_finite" in problems(facts)
    numbers = finding(facts, "not_finite").numbers
    assert numbers["step"] == facts.step + 1
    assert "loss" in numbers["got"]
    assert (run / "metrics.jsonl").read_text().count("diverged") == 1


def test_a_loss_that_grows(many, tmp_path):
    facts = run_of(many, tmp_path / "run", *at_rate(100), "train.log_every=1", leave_at=25)
    numbers = finding(facts, "diverging").numbers
    assert numbers["last"] > numbers["lowest"]
    assert "diverging" in problems(facts)


def test_few_documents_read_again_and_again_are_learned_by_heart(few, tmp_path):
    facts = run_of(few, tmp_path / "run")
    assert problems(facts) == {"overfitting", "data_starved"}
    numbers = finding(facts, "overfitting").numbers
    assert numbers["last"] > numbers["best"]
    assert numbers["train_last"] < numbers["train_then"]
    assert numbers["best_step"] < numbers["last_step"] == 150
    assert finding(facts, "data_starved").numbers["epochs"] > 100


def test_a_layer_whose_weights_are_zero_does_not_learn(many, tmp_path):
    """Zeroed in the middle of a run, as a faulty import or merge might: no gradient ever reaches it again."""
    run, config = tmp_path / "run", tiny_config(*BASE, "train.save_every=30")
    events = train(config, *many, run, CPU)
    next(e for e in events if isinstance(e, Saved))
    events.close()
    model = build_model(config, many[0].vocab_size, CPU)
    optimizer = build_optimizer(model, config.optim)
    state, _ = load_newest(run, model, optimizer)
    with torch.no_grad():
        for p in model.model.layers[1].mlp.parameters():
            p.zero_()
        for momentum in optimizer.state.values():
            momentum.zero_()
    save_checkpoint(run, state, model, optimizer, many[1], keep=9)
    for _ in train(config, *many, run, CPU):
        pass
    facts = read_facts(run)
    assert problems(facts) == {"dead_layer"}
    numbers = finding(facts, "dead_layer").numbers
    assert numbers["layer"] == "layer 1 mlp"
    assert numbers["added_rms"] == 0


def test_a_run_that_was_cut_short_could_go_on_learning(many, tmp_path):
    facts = run_of(many, tmp_path / "run", "train.steps=20")
    assert {f.key for f in diagnose(facts)} == {"well", "too_short"}
    assert finding(facts, "too_short").change == ("train.steps=40",)


def test_a_run_left_in_the_middle_is_not_finished(many, tmp_path):
    facts = run_of(many, tmp_path / "run", leave_at=60)
    assert {f.key for f in diagnose(facts)} == {"well", "unfinished"}
    assert finding(facts, "unfinished").numbers == {"step": 60, "steps": 150}


# --- from facts alone --------------------------------------------------------------------------------------------------


def test_a_run_that_waits_for_its_data(healthy):
    timings = [{**line, "batch_share": 0.6} for line in healthy.timings]
    facts = dataclasses.replace(healthy, timings=timings)
    assert finding(facts, "input_bound").numbers["share"] == 0.6


def test_leaps_of_the_loss_alone_speak_of_a_high_rate(healthy):
    leaps = [{**x, "loss": x["loss"] + 2.0 * (i % 9 == 8)} for i, x in enumerate(healthy.losses)]
    facts = dataclasses.replace(healthy, losses=leaps, looks=[])
    numbers = finding(facts, "spikes").numbers
    assert numbers["after"] > numbers["before"] + 1
    assert numbers["spikes"] == sum(i % 9 == 8 for i in range(len(leaps)))


def test_a_long_healthy_run_whose_weights_grew_is_not_accused_of_a_low_rate(healthy):
    """What the preset for stories does by itself: the ratio shrinks tenfold and the stream grows a hundredfold."""
    looks = []
    for i, x in enumerate(healthy.looks):
        shrunk = {n: {**f, "update_ratio": f["update_ratio"] / (1 + i)} for n, f in x["layers"].items()}
        shrunk["layer 1 mlp"] = {**shrunk["layer 1 mlp"], "stream_rms": 4.0**i}
        looks.append({**x, "layers": shrunk})
    assert looks[-1]["layers"]["layer 1 mlp"]["stream_rms"] > 1e6
    assert problems(dataclasses.replace(healthy, looks=looks)) == set()


def test_units_that_never_fire_are_told(healthy):
    looks = [{**x, "layers": {n: {**f, "dead_units": 0.9} for n, f in x["layers"].items()}} for x in healthy.looks]
    assert "dead_units" in problems(dataclasses.replace(healthy, looks=looks))


@pytest.mark.parametrize(("fact", "value"), [("grad_norm", 0.0), ("update_ratio", 0.0), ("added_rms", 0.0)])
def test_a_layer_that_is_frozen_cut_off_or_adds_nothing_is_told(fact, value, healthy):
    name = "layer 0 attention"
    looks = [{**x, "layers": {**x["layers"], name: {**x["layers"][name], fact: value}}} for x in healthy.looks]
    facts = dataclasses.replace(healthy, looks=looks)
    assert problems(facts) == {"dead_layer"}
    assert finding(facts, "dead_layer").numbers["layer"] == name


def test_few_documents_are_a_note_even_when_seen_once(healthy):
    data = {**healthy.data, "train": {**healthy.data["train"], "documents": 50}}
    assert finding(dataclasses.replace(healthy, data=data), "few_documents").level == "note"


def test_a_run_that_tells_little_or_nothing_is_no_obstacle(healthy):
    """Of an older version, one that never looks, one that has hardly begun."""
    bare = dataclasses.replace(healthy, data={}, looks=[], heldout=[], timings=[])
    assert problems(bare) == set()
    begun = dataclasses.replace(bare, losses=bare.losses[:1], manifest=None)
    assert {f.key for f in diagnose(begun)} == {"unfinished", "too_few_lines"}
    assert diagnose(dataclasses.replace(begun, losses=[]))


def test_every_finding_has_its_words(healthy):
    assert {f.key for f in diagnose(healthy)} <= TEXT.keys()


def test_smoothing_keeps_the_mean_of_even_portions():
    lines = [{"loss": float(i % 7)} for i in range(40)]
    smoothed = smooth(lines)
    assert len(smoothed) == 10
    assert sum(smoothed) / 10 == pytest.approx(sum(x["loss"] for x in lines) / 40)
