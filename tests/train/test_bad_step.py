"""What bad_step.py promises: a bad step costs no weight, is told by its documents, and ends alike however often killed.

Bad steps are made by data: one letter whose embedding is infinite, which makes the loss of each batch that holds it
not finite; and a document of letters that hardly occur elsewhere, which makes the loss of its batches jump.
"""

import itertools
import math
import random

import pytest
import torch

from dozero.artifact import open_artifact
from dozero.dataset.batch import rows_of_step, window_of_step
from dozero.dataset.origin import documents_of_rows
from dozero.dataset.rows import pack_rows
from dozero.dataset.split import is_heldout
from dozero.device import Device
from dozero.errors import ConfigError, DivergedError
from dozero.testing import WORDS, tiny_config, tiny_dataset
from dozero.train.checkpoint import RunState, list_checkpoints, save_checkpoint
from dozero.train.divergence import (
    Rollback,
    last_regular_save,
    passed_over,
)
from dozero.train.events import Diverged, Finished, Saved, Started, Stepped
from dozero.train.learner import build_model
from dozero.train.log import read_log
from dozero.train.loop import train
from dozero.train.loss import SPIKE_WINDOW, spike_limit
from dozero.train.optim import build_optimizer
from dozero.train.step import Schedule

CPU = Device("cpu", torch.float32, 1)
STEPS = 24
SETTINGS = (
    *(f"train.steps={STEPS}", "train.save_every=5", "train.eval_every=1000", "train.sample_every=7"),
    *("generate.temperature=0", "train.keep=1"),
)
POISON = next(word for n in range(1, 9) for word in ["z" * n + "ba"] if not is_heldout(word, 20.0))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One training document holds the letter z: the step it falls into is bad, once an epoch."""
    return tiny_dataset(tmp_path_factory.mktemp("data") / "dataset", (*WORDS, POISON))


def poisoned(run, data, config):
    """Begin a run whose model has an infinite number in the row of z, as its checkpoint of step 0."""
    dataset, tokenizer = data
    model = build_model(config, dataset.vocab_size, CPU)
    (z,) = tokenizer.encode("z").tolist()
    model.model.embed_tokens.weight.data[z] = math.inf
    optimizer = build_optimizer(model, config.optim)
    save_checkpoint(run, RunState(0, Schedule(config.train.steps)), model, optimizer, tokenizer, keep=1)
    return run


def config_of(policy, *more):
    return tiny_config(*SETTINGS, f"train.on_divergence={policy}", *more)


def bad_windows(data, config, upto=60):
    """The windows of data that hold a z, by looking into the batches themselves."""
    rows = pack_rows(data[0].train, config.model.max_seq_len)
    bad = poison_document(data)
    return [
        window for window in range(upto)
        if bad in documents_of_rows(rows, rows_of_step(rows.mix, config.rows_per_step, config.seed, window), data[0].train)
    ]  # fmt: skip


def poison_document(data):
    stream, tokenizer = data[0].train, data[1]
    (z,) = tokenizer.encode("z").tolist()
    return max(d for d in range(stream.documents) if stream.starts[d] <= list(stream.ids).index(z))


def bits_of(run):
    names = ("metrics.jsonl", "samples.jsonl", "model/model.safetensors")
    return {name: (run / name).read_bytes() for name in names} | {
        "optim": (list_checkpoints(run)[0] / "optim.safetensors").read_bytes()
    }


def undisturbed(tmp_path, data, config):
    story = list(train(config, *data, poisoned(tmp_path / "whole", data, config), CPU))
    assert isinstance(story[-1], Finished)
    return story


def collect(events, told):
    """Add the events to a list up to the error that ends them, and return that."""
    try:
        told.extend(events)  # which keeps what came before
    except DivergedError as error:
        return error
    raise AssertionError("no bad step")


# --- skip ----------------------------------------------------------------------------------------------------------


def test_skipped_steps_are_those_of_the_bad_document_and_change_no_weight(data, tmp_path):
    config = config_of("skip", "train.save_every=1", "train.keep=99")
    story = undisturbed(tmp_path, data, config)
    told = [event for event in story if isinstance(event, Diverged)]
    assert [event.step - 1 for event in told] == [w for w in bad_windows(data, config) if w < STEPS]
    assert len(told) >= 1
    for event in told:
        assert (event.action, event.continues_from) == ("skip", event.step)
        assert poison_document(data) in event.documents
        assert "not finite" in event.what
        before, after = (tmp_path / "whole" / "checkpoints" / f"step-{s:06d}" for s in (event.step - 1, event.step))
        for name in ("model.safetensors", "optim.safetensors"):
            assert (before / name).read_bytes() == (after / name).read_bytes(), "nothing moved"
    assert [e.step for e in story if isinstance(e, Stepped)] == sorted({*range(1, STEPS + 1)} - {e.step for e in told})
    lines = [line for line in read_log(tmp_path / "whole" / "metrics.jsonl") if "diverged" in line]
    assert [(line["step"], line["documents"]) for line in lines] == [(e.step, list(e.documents)) for e in told]


def test_too_many_skips_in_a_row_end_the_run(data, tmp_path):
    """In a model that is infinite throughout every step is bad."""
    config = config_of("skip", "train.most_skips=3")
    run = poisoned(tmp_path / "run", data, config)
    dataset, tokenizer = data
    model = build_model(config, dataset.vocab_size, CPU)
    model.model.embed_tokens.weight.data.fill_(math.inf)
    save_checkpoint(run, RunState(0, Schedule(STEPS)), model, build_optimizer(model, config.optim), tokenizer, keep=1)
    config = config.model_copy(update={"generate": config.generate.model_copy(update={"max_tokens": 1})})
    events = train(config_without_samples(config), *data, run, CPU)
    told = []
    with pytest.raises(DivergedError) as caught:
        told += [event for event in events if isinstance(event, Diverged)]
    assert caught.value.where == "step 3"
    assert "--fresh" in caught.value.next
    open_artifact(list_checkpoints(run)[0], "checkpoint")
    assert list_checkpoints(run)[0].name == "step-000003"


def config_without_samples(config):
    return config.model_copy(update={"train": config.train.model_copy(update={"sample_every": 10**6})})


# --- rollback ------------------------------------------------------------------------------------------------------


def test_going_back_passes_over_the_data_since_and_reaches_the_end(data, tmp_path):
    config = config_of("rollback")
    story = undisturbed(tmp_path, data, config)
    told = [event for event in story if isinstance(event, Diverged)]
    assert len(told) >= 1
    assert all(poison_document(data) in event.documents for event in told)
    skipped, at = [], []
    for event in told:
        assert event.continues_from == last_regular_save(event.step - 1, 5)
        windows = [window_of_step(s, skipped) for s in range(event.continues_from, event.step)]
        skipped = sorted({*skipped, *windows})
        at.append(windows[-1])
    assert set(at) <= set(bad_windows(data, config)), "the bad one is the last of those passed over"
    state = open_state(tmp_path / "whole")
    assert passed_over(state.rollbacks) == skipped
    used = [window_of_step(step, skipped) for step in range(STEPS)]
    assert not set(used) & set(bad_windows(data, config)), "no bad data in what it was trained on"
    losses = [line for line in read_log(tmp_path / "whole" / "metrics.jsonl") if "loss" in line]
    assert [line["step"] for line in losses] == list(range(1, STEPS + 1)), "each step once"


def test_after_going_back_it_is_the_run_that_never_saw_those_data(data, tmp_path):
    """The losses are those of steps made by hand on the windows that are left."""
    config = config_of("rollback")
    undisturbed(tmp_path, data, config)
    windows = passed_over(open_state(tmp_path / "whole").rollbacks)
    fresh = tmp_path / "fresh"
    dataset, tokenizer = data
    model = build_model(config, dataset.vocab_size, CPU)
    (z,) = tokenizer.encode("z").tolist()
    model.model.embed_tokens.weight.data[z] = math.inf
    state = RunState(0, Schedule(STEPS), rollbacks=[Rollback(0, 10**6, windows, "", "")])
    save_checkpoint(fresh, state, model, build_optimizer(model, config.optim), tokenizer, keep=1)
    told = [event for event in train(config, *data, fresh, CPU) if isinstance(event, Diverged)]
    assert told == []
    assert bits_of(fresh)["model/model.safetensors"] == bits_of(tmp_path / "whole")["model/model.safetensors"]


def open_state(run):
    from dozero.train.checkpoint import load_checkpoint

    config = config_of("rollback")
    model = build_model(config, 14, CPU)
    return load_checkpoint(list_checkpoints(run)[0], model, build_optimizer(model, config.optim))


def test_going_back_again_and_again_to_one_checkpoint_ends_the_run(data, tmp_path):
    config = config_without_samples(config_of("rollback", "train.most_skips=2"))
    dataset, tokenizer = data
    model = build_model(config, dataset.vocab_size, CPU)
    model.model.embed_tokens.weight.data.fill_(math.inf)
    save_checkpoint(
        tmp_path, RunState(0, Schedule(STEPS)), model, build_optimizer(model, config.optim), tokenizer, keep=1
    )
    config = config.model_copy(update={"generate": config.generate.model_copy(update={"max_tokens": 1})})
    with pytest.raises((DivergedError, RuntimeError)) as caught:
        list(train(config, *data, tmp_path, CPU))
    assert isinstance(caught.value, DivergedError)
    assert [len(r.windows) for r in open_state(tmp_path).rollbacks] == [1, 1]


# --- killed and continued ------------------------------------------------------------------------------------------


@pytest.mark.no_cover
@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_left_after_any_step_it_decides_alike(policy, data, tmp_path):
    """Leaving saves a checkpoint of its own, which must not become one to go back to."""
    config = config_of(policy)
    undisturbed(tmp_path, data, config)
    expected = bits_of(tmp_path / "whole")
    for count in range(1, 40, 3):
        run = poisoned(tmp_path / str(count), data, config)
        events = train(config, *data, run, CPU)
        list(itertools.islice(events, count))
        events.close()
        list(train(config, *data, run, CPU))
        assert bits_of(run) == expected, count


@pytest.mark.no_cover
@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_left_again_and_again_it_decides_alike(policy, data, tmp_path):
    config = config_of(policy)
    undisturbed(tmp_path, data, config)
    expected, draw = bits_of(tmp_path / "whole"), random.Random(3)
    for trial in range(4):
        run = poisoned(tmp_path / f"again-{trial}", data, config)
        for _ in range(200):
            events = train(config, *data, run, CPU)
            story = list(itertools.islice(events, draw.randrange(3, 12)))
            events.close()
            if isinstance(story[-1], Finished):
                break
        assert bits_of(run) == expected, trial


def test_a_run_that_ends_at_its_bad_step_goes_on_when_told_to_skip(data, tmp_path):
    """What it is then, it would be had it been told so from the start."""
    config, skip = config_of("raise"), config_of("skip")
    run = poisoned(tmp_path / "run", data, config)
    told = []
    for _ in range(2):
        error = collect(train(config, *data, run, CPU), told)
        assert "train.on_divergence=skip" in error.next
    assert [event.action for event in told if isinstance(event, Diverged)] == ["raise", "raise"]
    assert list_checkpoints(run)[0].name == f"step-{bad_windows(data, config)[0]:06d}"
    assert [line["action"] for line in read_log(run / "metrics.jsonl") if "diverged" in line] == ["raise"], "once"
    with pytest.raises(ConfigError, match="other settings"):
        next(train(config.model_copy(update={"seed": 9}), *data, run, CPU))
    assert isinstance(list(train(skip, *data, run, CPU))[-1], Finished)
    undisturbed(tmp_path, data, skip)
    assert bits_of(run) == bits_of(tmp_path / "whole")
    with pytest.raises(ConfigError, match="other settings"):
        next(train(config, *data, run, CPU))


# --- a jump --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jumpy(tmp_path_factory):
    """Data in which one document of odd letters comes late in the first epoch, and settings of a run past it."""
    syllables = ("ba", "de", "li", "mo", "nu", "ra", "to", "pi", "se", "gu", "fa", "vi")
    words = tuple("".join(parts) for parts in itertools.product(syllables, repeat=3))
    odd = next(w for n in range(99) for w in ["qxzwk" * 5 + str(n)] if not is_heldout(w, 20.0))
    data = tiny_dataset(tmp_path_factory.mktemp("jumpy") / "dataset", (*words, odd))
    stream = data[0].train
    bad = next(
        d for d in range(stream.documents) if stream.starts[d] == list(stream.ids).index(first_of("q", data)) - 1
    )
    for seed in range(500):
        config = tiny_config(
            f"seed={seed}", "train.steps=205", "train.save_every=20", "train.eval_every=1000", "train.sample_every=1000",
            "train.batch_tokens=32", "optim.decay=0.1",
        )  # fmt: skip
        rows = pack_rows(stream, 16)
        held = [
            w for w in range(205)
            if bad in documents_of_rows(rows, rows_of_step(rows.mix, config.rows_per_step, seed, w), stream)
        ]  # fmt: skip
        if held and 195 <= min(held) < 203:
            return data, config, held, bad
    raise AssertionError("no seed puts the document late")


def first_of(letter, data):
    (token,) = data[1].encode(letter).tolist()
    return token


def test_a_jump_is_found_before_the_update_and_told_by_its_document(jumpy, tmp_path):
    data, config, held, bad = jumpy
    told = []
    error = collect(train(config, *data, tmp_path, CPU), told)
    assert "the loss jumped" in error.what
    assert error.where == f"step {held[0]}"
    assert bad in told[-1].documents
    losses = [event.loss for event in told if isinstance(event, Stepped)]
    limit = spike_limit(losses[-SPIKE_WINDOW:], 6.0)
    assert max(losses[-60:]) < limit < float(told[-1].got.split()[1].rstrip(","))
    assert list_checkpoints(tmp_path)[0].name == f"step-{held[0]:06d}"


@pytest.mark.no_cover
@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_what_is_a_jump_is_decided_alike_after_any_stop(policy, jumpy, tmp_path):
    """The losses that a new one is held against are part of a checkpoint."""
    data, config, held, bad = jumpy
    config = config.model_copy(update={"train": config.train.model_copy(update={"on_divergence": policy})})
    story = list(train(config, *data, tmp_path / "whole", CPU))
    told = [event for event in story if isinstance(event, Diverged)]
    assert told[0].step == held[0] + 1
    assert bad in told[0].documents
    for stop in (held[0] - 30, held[0] - 1, held[0]):
        run = tmp_path / str(stop)
        events = train(config, *data, run, CPU)
        for event in events:
            if isinstance(event, Stepped) and event.step == stop:
                break
        events.close()
        list(train(config, *data, run, CPU))
        assert bits_of(run) == bits_of(tmp_path / "whole"), stop


def test_sigma_0_lets_every_finite_loss_pass(jumpy, tmp_path):
    data, config, _, _ = jumpy
    calm = config.model_copy(update={"train": config.train.model_copy(update={"spike_sigma": 0.0})})
    assert not any(isinstance(event, Diverged) for event in train(calm, *data, tmp_path, CPU))


# --- the small functions -------------------------------------------------------------------------------------------


def test_the_regular_checkpoint_before_the_bad_step_is_kept_however_few_are(data, tmp_path):
    """Two stops write two newer checkpoints; keep = 1 must not take the one to go back to."""
    config = config_of("rollback", "train.keep=1")
    run = poisoned(tmp_path, data, config)
    for count in (2, 2):
        events = train(config, *data, run, CPU)
        begun = next(events)
        assert isinstance(begun, Started)
        list(itertools.islice((e for e in events if isinstance(e, Stepped)), count))
        events.close()
    steps = {int(p.name.removeprefix("step-")) for p in list_checkpoints(run)}
    newest = max(steps)
    assert steps == {newest, last_regular_save(newest, 5)}


def test_a_run_that_may_go_back_saves_before_its_first_step(data, tmp_path):
    events = train(config_of("rollback"), *data, tmp_path, CPU)
    assert [type(event) for event in itertools.islice(events, 3)][-1] is Saved
    events.close()
