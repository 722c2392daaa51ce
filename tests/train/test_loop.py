"""What loop.py promises: however a run is left and continued, its weights and logs are those of a run never left."""

import itertools
import json
import math
import os
import shutil
import types

import pytest
import torch

from dozero.artifact import MANIFEST, open_artifact, read_manifest
from dozero.config import load_config
from dozero.dataset.batch import batch_of_step
from dozero.dataset.rows import pack_rows
from dozero.dataset.shards import open_dataset
from dozero.device import Device
from dozero.errors import ArtifactError, CheckpointError, ConfigError, DivergedError, ModelMismatch
from dozero.eval.likelihood import measure_surprise
from dozero.model.hf import read_model
from dozero.testing import WORDS, limit_file_size, tiny_config, tiny_dataset
from dozero.tokenizer.tokenizer import train_char_tokenizer
from dozero.train.checkpoint import checkpoint_path, list_checkpoints
from dozero.train.events import Evaluated, Finished, Replanned, Sampled, Saved, Started, Stepped, Stopped, Unsaved
from dozero.train.learner import build_model
from dozero.train.log import read_log
from dozero.train.loop import LOGS, clear_run, train
from dozero.train.session import Earlier

CPU = Device("cpu", torch.float32, 1)
STEPS, STEPS_PER_EPOCH, SAVE_EVERY = 12, 5, 4
CONFIG = tiny_config(
    *(f"train.steps={STEPS}", "train.batch_tokens=128", f"train.save_every={SAVE_EVERY}"),
    *("train.log_every=2", "train.eval_every=3", "train.sample_every=5", "train.observe_every=4"),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """40 rows of words, of which 8 make a step: epochs end after steps 5 and 10."""
    dataset, tokenizer = tiny_dataset(tmp_path_factory.mktemp("loop") / "dataset", WORDS[:106])
    assert len(pack_rows(dataset.train, 16)) == STEPS_PER_EPOCH * CONFIG.rows_per_step
    return dataset, tokenizer


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """What a run that is never left tells and leaves behind."""
    run = tmp_path_factory.mktemp("whole") / "run"
    story = list(train(CONFIG, *data, run, CPU))
    return types.SimpleNamespace(run=run, story=story, bits=bits_of(run))


def bits_of(run):
    """All that must be equal to the bit; the clock has its say in timings.jsonl, the manifests and the model card."""
    timed = {MANIFEST, "README.md"}
    model = {f"model/{p.name}": p.read_bytes() for p in (run / "model").iterdir() if p.name not in timed}
    return {name: (run / name).read_bytes() for name in LOGS[:2]} | model


CLOCKED = ("tokens_per_s", "seconds", "utilisation", "resident_bytes", "path", "model")


def told(story):
    """A story without what the clock decides."""
    timeless = []
    for event in story:
        facts = {k: v for k, v in vars(event).items() if k not in CLOCKED}
        timeless.append((type(event).__name__, facts))
    return timeless


def leave_after(count, config, data, run):
    """Take so many events of a run and leave, as `break` does."""
    events = train(config, *data, run, CPU)
    story = list(itertools.islice(events, count))
    events.close()
    return story


def leave_at_step(step, config, data, run):
    """Take events up to the one that tells this step, and leave."""
    events = train(config, *data, run, CPU)
    for event in events:
        if isinstance(event, Stepped) and event.step == step:
            break
    events.close()


def ask_to_stop_at(step, config, data, run):
    """Train until the loop, asked between steps, is told to stop."""
    reached = 0

    def should_stop():
        nonlocal reached
        reached += 1
        return begun + reached >= step

    events = train(config, *data, run, CPU, should_stop=should_stop)
    begun = next(events).step
    return list(events)


def finish(config, data, run):
    story = list(train(config, *data, run, CPU))
    assert isinstance(story[-1], Finished)
    return story


# --- the same bits -------------------------------------------------------------------------------------------------


def test_two_runs_of_the_same_settings_are_equal_to_the_bit(data, whole, tmp_path):
    torch.manual_seed(123)  # what others draw, or drew, does not count
    story = finish(CONFIG, data, tmp_path / "run")
    assert bits_of(tmp_path / "run") == whole.bits
    assert told(story) == told(whole.story)


def test_every_seed_is_a_run_of_its_own(data, whole, tmp_path):
    finish(CONFIG.model_copy(update={"seed": 1}), data, tmp_path / "run")
    other = bits_of(tmp_path / "run")
    for name in ("model/model.safetensors", *LOGS[:2]):
        assert other[name] != whole.bits[name]


EVENTS = 29  # how many a whole run tells


def test_a_whole_run_tells_this_many_events(whole):
    assert len(whole.story) == EVENTS


@pytest.mark.parametrize("place", range(EVENTS))
def test_left_at_any_event_and_continued(place, data, whole, tmp_path):
    """`break` may come at any event: after a step, between its looks, after a save, before anything."""
    leave_after(place, CONFIG, data, tmp_path / "run")
    finish(CONFIG, data, tmp_path / "run")
    assert bits_of(tmp_path / "run") == whole.bits


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_stopped_after_any_step_and_continued(step, data, whole, tmp_path):
    """Among them the steps where a checkpoint is due (4, 8), where an epoch ends (5, 10) and the last (12)."""
    story = ask_to_stop_at(step, CONFIG, data, tmp_path / "run")
    if step < STEPS:
        assert story[-1] == Stopped(step, STEPS)
        assert sum(isinstance(e, Saved) and e.step == step for e in story) == 1
    begun, *rest = finish(CONFIG, data, tmp_path / "run")
    assert begun.step == step, "no step is lost"
    assert [e.step for e in rest if isinstance(e, Stepped)] == list(range(step + 1, STEPS + 1))
    assert bits_of(tmp_path / "run") == whole.bits


@pytest.mark.parametrize("stops", [(6, 7), (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), (5, 10), (4, 8), (4, 5)])
def test_stopped_again_and_again_and_continued(stops, data, whole, tmp_path):
    """Twice within one epoch, after every step, at the end of each epoch, at each checkpoint."""
    for step in stops:
        assert ask_to_stop_at(step, CONFIG, data, tmp_path / "run")[-1] == Stopped(step, STEPS)
    finish(CONFIG, data, tmp_path / "run")
    assert bits_of(tmp_path / "run") == whole.bits


def test_left_by_an_error_of_whoever_reads_the_events(data, whole, tmp_path):
    def read_until_it_fails():
        for event in train(CONFIG, *data, tmp_path / "run", CPU):
            if isinstance(event, Stepped) and event.step == 7:
                raise KeyError

    with pytest.raises(KeyError):
        read_until_it_fails()
    assert finish(CONFIG, data, tmp_path / "run")[0].step == 7
    assert bits_of(tmp_path / "run") == whole.bits


def test_moved_to_another_place_and_continued(data, whole, tmp_path):
    leave_at_step(7, CONFIG, data, tmp_path / "run")
    moved = tmp_path / "outro lugar" / "execução nº 1" / ("longe" * 20)
    moved.parent.mkdir(parents=True)
    (tmp_path / "run").rename(moved)
    (tmp_path / "link").symlink_to(moved)
    finish(CONFIG, data, tmp_path / "link")
    assert bits_of(moved) == whole.bits


# --- what a run leaves ---------------------------------------------------------------------------------------------


def test_the_metrics_hold_each_step_that_was_due_once(whole):
    lines = read_log(whole.run / "metrics.jsonl")
    losses = [line for line in lines if "loss" in line]
    assert [line["step"] for line in losses] == [2, 4, 6, 8, 10, 12]
    assert [line["step"] for line in lines if "heldout_loss" in line] == [3, 6, 9, 12]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    stepped = {e.step: e for e in whole.story if isinstance(e, Stepped)}
    for line in losses:
        assert line == {key: getattr(stepped[line["step"]], key) for key in line}
    evaluated = {e.step: e.loss for e in whole.story if isinstance(e, Evaluated)}
    assert {line["step"]: line["heldout_loss"] for line in lines if "heldout_loss" in line} == evaluated


def test_the_samples_are_those_that_were_told(whole):
    sampled = [{"step": e.step, "text": e.text} for e in whole.story if isinstance(e, Sampled)]
    assert read_log(whole.run / "samples.jsonl") == sampled
    assert [line["step"] for line in sampled] == [0, 5, 10, 12]


def test_an_epoch_is_all_the_targets_once(data, whole):
    tokens = {e.step: e.tokens for e in whole.story if isinstance(e, Stepped)}
    assert tokens[5] == len(data[0].train.ids) - 1
    assert tokens[10] == 2 * tokens[5]


def test_the_loss_falls_from_that_of_a_uniform_guess(data, whole):
    losses = [e.loss for e in whole.story if isinstance(e, Stepped)]
    assert losses[0] == pytest.approx(math.log(data[1].vocab_size), rel=1e-3)
    assert losses[-1] < losses[0] - 0.3


def test_the_model_folder_is_the_model_that_was_scored(data, whole):
    finished = whole.story[-1]
    manifest = open_artifact(finished.model, "model")
    model, tokenizer = read_model(finished.model)
    assert tokenizer == data[1]
    assert measure_surprise(model, data[0].heldout) == finished.heldout
    assert manifest.inputs == {"dataset": data[0].manifest.fingerprint}
    assert manifest.counts["step"] == STEPS
    assert manifest.about["licence"] == "CC0-1.0"


def test_the_settings_that_a_run_keeps_repeat_it(whole):
    assert load_config(whole.run / "run.toml") == CONFIG


def test_the_folder_holds_what_it_should_and_nothing_half_written(whole):
    names = {p.name for p in whole.run.iterdir()}
    assert names == {"checkpoints", "model", "run.lock", "run.toml", *LOGS}
    assert [p.name for p in list_checkpoints(whole.run)] == ["step-000012", "step-000008"]
    assert len(list((whole.run / "checkpoints").iterdir())) == CONFIG.train.keep


# --- finished ------------------------------------------------------------------------------------------------------


def test_a_finished_run_says_so_at_once_and_changes_nothing(data, whole):
    before = {p: p.read_bytes() for p in whole.run.rglob("*") if p.is_file() and p.name != "run.lock"}
    begun, finished = finish(CONFIG, data, whole.run)
    assert (begun.step, begun.total_steps) == (STEPS, STEPS)
    assert told([finished]) == told(whole.story[-1:])
    after = {p: p.read_bytes() for p in whole.run.rglob("*") if p.is_file() and p.name != "run.lock"}
    assert before.keys() == after.keys()
    assert {p.name for p in before if before[p] != after[p]} <= {MANIFEST}
    assert read_manifest(whole.run / "model").fingerprint == read_manifest(finished.model).fingerprint


def test_a_finished_run_that_lost_its_model_folder_writes_it_again(data, whole, tmp_path):
    shutil.copytree(whole.run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    finish(CONFIG, data, tmp_path / "run")
    assert bits_of(tmp_path / "run") == whole.bits


def test_a_run_asked_to_stop_at_its_last_step_is_finished(data, whole, tmp_path):
    story = ask_to_stop_at(STEPS, CONFIG, data, tmp_path / "run")
    assert isinstance(story[-1], Finished)
    assert bits_of(tmp_path / "run") == whole.bits
    assert list_checkpoints(tmp_path / "run")[0] == checkpoint_path(tmp_path / "run", STEPS)


# --- broken checkpoints --------------------------------------------------------------------------------------------


def truncate(file):
    os.truncate(file, file.stat().st_size // 2)


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 16
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        *itertools.product([truncate, flip_a_bit], ["model.safetensors", "optim.safetensors", "state.json"]),
        (truncate, MANIFEST),
    ],
    ids=lambda of: of if isinstance(of, str) else of.__name__,
)
def test_a_broken_checkpoint_is_passed_over_and_the_run_ends_alike(name, damage, data, whole, tmp_path):
    run = tmp_path / "run"
    leave_at_step(10, CONFIG, data, run)
    damage(checkpoint_path(run, 10) / name)
    story = finish(CONFIG, data, run)
    ((path, reason),) = story[0].passed_over
    assert story[0].step == 8
    assert path == checkpoint_path(run, 10).with_name("step-000010.broken")
    assert path.is_dir()
    assert name in reason
    assert bits_of(run) == whole.bits


def test_a_finished_run_whose_last_checkpoint_broke_trains_the_rest_again(data, whole, tmp_path):
    shutil.copytree(whole.run, tmp_path / "run")
    truncate(checkpoint_path(tmp_path / "run", 12) / "optim.safetensors")
    assert finish(CONFIG, data, tmp_path / "run")[0].step == 8
    assert bits_of(tmp_path / "run") == whole.bits


def test_when_all_checkpoints_are_broken_the_run_is_not_begun_anew_by_itself(data, whole, tmp_path):
    run = tmp_path / "run"
    leave_at_step(10, CONFIG, data, run)
    for path in list_checkpoints(run):
        truncate(path / "model.safetensors")
    logs = {name: (run / name).read_bytes() for name in LOGS}
    for _ in range(2):
        with pytest.raises(CheckpointError, match="no checkpoint of this run is intact") as caught:
            next(train(CONFIG, *data, run, CPU))
        assert "--fresh" in caught.value.next
        assert {name: (run / name).read_bytes() for name in LOGS} == logs
    clear_run(run)  # what --fresh does
    finish(CONFIG, data, run)
    assert bits_of(run) == whole.bits


# --- other settings, other data ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "was", "now"),
    [
        ({"seed": 5}, "seed = 0", "seed = 5"),
        ({"optim": CONFIG.optim.model_copy(update={"muon_lr": 0.5})}, "muon_lr = 0.03", "muon_lr = 0.5"),
        ({"train": CONFIG.train.model_copy(update={"steps": 99})}, "steps = 12", "steps = 99"),
        ({"generate": CONFIG.generate.model_copy(update={"top_k": 3})}, "top_k = 0", "top_k = 3"),
        ({"seed": 5, "generate": CONFIG.generate.model_copy(update={"top_k": 3})}, "seed = 0", "seed = 5"),
    ],
)
def test_other_settings_are_refused_by_their_first_difference(change, was, now, data, whole):
    with pytest.raises(ConfigError, match="other settings") as caught:
        next(train(CONFIG.model_copy(update=change), *data, whole.run, CPU))
    assert (caught.value.expected, caught.value.got) == (was, now)
    assert "--fresh" in caught.value.next
    assert bits_of(whole.run) == whole.bits


def test_another_dataset_is_refused(data, whole, tmp_path):
    other, tokenizer = tiny_dataset(tmp_path / "other", WORDS[:105])
    assert tokenizer == data[1]
    with pytest.raises(ConfigError, match="another dataset"):
        next(train(CONFIG, other, tokenizer, whole.run, CPU))
    assert bits_of(whole.run) == whole.bits


def test_a_shard_that_changed_between_stop_and_continuation_is_found(data, tmp_path):
    dataset, tokenizer = tiny_dataset(tmp_path / "dataset", WORDS[:106])
    leave_at_step(3, CONFIG, (dataset, tokenizer), tmp_path / "run")
    flip_a_bit(tmp_path / "dataset" / "train-00000.bin")
    with pytest.raises(ArtifactError, match=r"train-00000\.bin: content differs"):
        open_dataset(tmp_path / "dataset")


def test_a_comment_of_another_version_is_not_another_setting(data, whole, tmp_path):
    """run.toml carries the help texts, which a newer version may word differently."""
    leave_at_step(7, CONFIG, data, tmp_path / "run")
    file = tmp_path / "run" / "run.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("# Peak", "# The peak"), encoding="utf-8")
    finish(CONFIG, data, tmp_path / "run")
    assert bits_of(tmp_path / "run") == whole.bits


def test_a_tokenizer_that_does_not_belong_is_refused_before_anything_is_written(data, tmp_path):
    with pytest.raises(ModelMismatch, match="tokenizer and dataset disagree"):
        next(train(CONFIG, data[0], train_char_tokenizer(["abc"]), tmp_path / "run", CPU))
    assert not (tmp_path / "run").exists()


def test_other_threads_are_told_because_the_bits_may_differ(data, tmp_path):
    leave_at_step(3, CONFIG, data, tmp_path / "run")
    torch.set_num_threads(2)
    events = train(CONFIG, *data, tmp_path / "run", CPU)
    assert next(events).differences == ("threads: 1 -> 2",)
    events.close()
    torch.set_num_threads(1)
    events = train(CONFIG, *data, tmp_path / "run", CPU)
    assert next(events).differences == ()
    events.close()


def test_a_folder_belongs_to_one_loop_at_a_time(data, whole, tmp_path):
    events = train(CONFIG, *data, tmp_path / "run", CPU)
    next(events)
    with pytest.raises(ArtifactError, match=f"in use by another process.*process {os.getpid()} "):
        next(train(CONFIG, *data, tmp_path / "run", CPU))
    list(events)
    assert bits_of(tmp_path / "run") == whole.bits


def test_clearing_a_run_takes_what_it_wrote_and_leaves_the_rest(data, whole, tmp_path):
    shutil.copytree(whole.run, tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine", encoding="utf-8")
    clear_run(tmp_path / "run")
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"notes.txt", "run.lock"}
    finish(CONFIG, data, tmp_path / "run")
    assert bits_of(tmp_path / "run") == whole.bits


def test_the_first_weights_follow_from_the_seed_alone():
    torch.manual_seed(1)
    one = build_model(CONFIG, 13, CPU).state_dict()
    torch.manual_seed(2)
    two = build_model(CONFIG, 13, CPU).state_dict()
    other = build_model(CONFIG.model_copy(update={"seed": 1}), 13, CPU).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


# --- faults --------------------------------------------------------------------------------------------------------


def test_a_run_that_diverges_stops_saved_at_its_last_good_step(data, tmp_path):
    run, wild = tmp_path / "run", tiny_config("optim.adam_lr=1e30", "optim.muon_lr=1e30", "train.save_every=100")
    steps = []
    for _ in range(2):
        with pytest.raises(DivergedError, match="not finite") as caught:
            steps += [e.step for e in train(wild, *data, run, CPU) if isinstance(e, Stepped)]
        assert caught.value.where == f"step {checkpoint_step(run)}", "the same step each time"
    open_artifact(list_checkpoints(run)[0], "checkpoint")
    model, _ = read_model(list_checkpoints(run)[0])
    assert all(p.isfinite().all() for p in model.parameters())


def checkpoint_step(run):
    return json.loads((list_checkpoints(run)[0] / "state.json").read_text(encoding="utf-8"))["step"]


@pytest.mark.parametrize("room", [0, 300, 1000, 5000, 12_000])
def test_a_full_disk_stops_the_run_in_one_error_and_then_it_goes_on(room, data, whole, tmp_path):
    """The limit strikes in a log, in a checkpoint or in the model folder."""
    run = tmp_path / "run"
    leave_at_step(2, CONFIG, data, run)
    with limit_file_size(room), pytest.raises(ArtifactError, match="cannot be written") as caught:
        list(train(CONFIG, *data, run, CPU))
    assert "MB free" in caught.value.got
    finish(CONFIG, data, run)
    assert bits_of(run) == whole.bits
    assert len(list((run / "checkpoints").iterdir())) == CONFIG.train.keep


def test_a_disk_without_room_may_be_trained_past(data, whole, tmp_path, monkeypatch):
    """As the settings want it: training goes on, tells it, and saves again once there is room."""
    config = CONFIG.model_copy(update={"train": CONFIG.train.model_copy(update={"on_full_disk": "continue"})})
    usage, full = shutil.disk_usage(tmp_path), {8}
    step = 0

    def disk_usage(place):
        return usage._replace(free=0) if step in full else usage

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    story = []
    for event in train(config, *data, tmp_path / "run", CPU):
        story.append(event)
        step = event.step
    assert [(type(e).__name__, e.step) for e in story if isinstance(e, Saved | Unsaved)] == [
        ("Saved", 4), ("Unsaved", 8), ("Saved", 12),
    ]  # fmt: skip
    (unsaved,) = (e for e in story if isinstance(e, Unsaved))
    assert "No space left on device" in unsaved.reason
    assert bits_of(tmp_path / "run")["metrics.jsonl"] == whole.bits["metrics.jsonl"]
    full.add(12)
    step = 0
    shutil.rmtree(tmp_path / "run")

    def train_on():
        nonlocal step
        for event in train(config, *data, tmp_path / "run", CPU):
            step = event.step

    with pytest.raises(ArtifactError, match="No space left"):  # the last one is what all of it was for
        train_on()
    assert [p.name for p in list_checkpoints(tmp_path / "run")] == ["step-000004"]


def test_tokens_are_those_of_the_batches_after_any_stops(data, tmp_path):
    """R20: the sum of the targets of all steps so far, each counted once."""
    run = tmp_path / "run"
    for step in (3, 5, 9):
        ask_to_stop_at(step, CONFIG, data, run)
    finish(CONFIG, data, run)
    rows = pack_rows(data[0].train, 16)
    each = [batch_of_step(rows, CONFIG.rows_per_step, CONFIG.seed, step).target_tokens for step in range(STEPS)]
    totals = list(itertools.accumulate(each))
    lines = [line for line in read_log(run / "metrics.jsonl") if "loss" in line]
    assert [(line["step"], line["tokens"]) for line in lines] == [(s, totals[s - 1]) for s in (2, 4, 6, 8, 10, 12)]
    assert read_manifest(run / "model").counts["tokens"] == totals[-1]


def test_a_clock_that_jumps_changes_no_bit(data, whole, tmp_path, monkeypatch):
    """R17: back by a day, on by a year, and standing still."""
    jumps = itertools.cycle([1.0, -86_400.0, 0.0, 3.2e7, 0.25])
    now = itertools.accumulate(jumps, initial=1e9)
    clock = types.SimpleNamespace(perf_counter=lambda: next(now), time=lambda: next(now), strftime=lambda form: "1970")
    for module in ("dozero.train.loop", "dozero.artifact", "dozero.durable"):
        monkeypatch.setattr(f"{module}.time", clock)
    finish(CONFIG, data, tmp_path / "run")
    assert bits_of(tmp_path / "run") == whole.bits


# --- a run that must end in time -----------------------------------------------------------------------------------


def paced(monkeypatch, seconds):
    """Let the loop's clock go forward by these seconds, one after the other, each time it looks."""
    now = itertools.accumulate(itertools.chain(seconds, itertools.repeat(0.01)))
    monkeypatch.setattr("dozero.train.loop.time", types.SimpleNamespace(perf_counter=lambda: next(now)))


def pace_of(name, count=5000):
    step = {"steady": lambda i: 1.0, "slower": lambda i: 0.5 + i / 100, "faster": lambda i: 20 / (i + 5)}[name]
    return [step(i) for i in range(count)]


@pytest.mark.parametrize("pace", ["steady", "slower", "faster"])
@pytest.mark.parametrize(("steps", "limit"), [(30, 1e9), (60, 40.0), (20, 25.0), (60, 3.0), (2, 0.5)])
def test_the_clock_moves_the_end_but_never_past_the_steps(steps, limit, pace, data, tmp_path, monkeypatch):
    paced(monkeypatch, pace_of(pace))
    config = tiny_config(
        f"train.steps={steps}", f"train.max_seconds={limit}", "train.save_every=20", "train.eval_every=9"
    )
    story = finish(config, data, tmp_path / "run")
    ends = [e.total_steps for e in story if isinstance(e, Started | Replanned)]
    stepped = [e for e in story if isinstance(e, Stepped)]
    assert ends[0] == steps
    assert max(ends) == steps, "max_seconds never lengthens a run"
    assert len(stepped) == ends[-1] == story[-1].step, "the run ends where it was last told to"
    assert all(e.lr_scale > 0 for e in stepped), "no step after the rate came down to 0"
    last_move = max((e.step for e in story if isinstance(e, Replanned)), default=0)
    if len(stepped) >= last_move + 3:
        before, last = (e.lr_scale for e in stepped[-2:])
        assert last == pytest.approx((before - last) / 2, abs=1e-6), "half a step more and the rate is 0"
    assert [e.step for e in story if isinstance(e, Evaluated)].count(story[-1].step) == 1
    if limit == 1e9:
        assert ends == [steps], "a limit that is far away changes nothing"


@pytest.mark.parametrize("limit", [60.0, 120.0])
def test_a_run_takes_about_as_long_as_it_may(limit, data, tmp_path, monkeypatch):
    paced(monkeypatch, pace_of("steady"))
    config = tiny_config("train.steps=200", f"train.max_seconds={limit}", "train.save_every=50", "train.eval_every=50")
    assert 0.8 * limit <= finish(config, data, tmp_path / "run")[-1].seconds <= 1.1 * limit


def test_moving_the_end_makes_no_jump_in_the_rate(data, tmp_path, monkeypatch):
    paced(monkeypatch, pace_of("slower"))
    config = tiny_config("train.steps=200", "train.max_seconds=75", "train.save_every=500", "train.eval_every=500")
    story = finish(config, data, tmp_path / "run")
    rates = [e.lr_scale for e in story if isinstance(e, Stepped)]
    assert sum(isinstance(e, Replanned) for e in story) >= 2
    steepest = 1 / (min(config.optim.warmup, config.optim.decay) * len(rates))
    assert max(abs(a - b) for a, b in itertools.pairwise(rates)) <= 2 * steepest


def test_steps_before_the_clock_first_moved_the_end_count_as_warm_up(data, tmp_path, monkeypatch):
    """Where far more are set than fit the time, the rate rose too slowly until then."""
    paced(monkeypatch, pace_of("steady"))
    config = tiny_config(
        "train.steps=5000",
        "train.max_seconds=1500",
        "optim.warmup=0.1",
        "train.save_every=5000",
        "train.eval_every=5000",
    )
    rates = [e.lr_scale for e in finish(config, data, tmp_path / "run") if isinstance(e, Stepped)]
    assert rates.index(max(rates)) == pytest.approx(0.1 * len(rates), rel=0.04)


def test_a_moved_end_survives_a_stop(data, tmp_path, monkeypatch):
    paced(monkeypatch, pace_of("steady"))
    config = tiny_config("train.steps=60", "train.max_seconds=40")
    first = ask_to_stop_at(10, config, data, tmp_path / "run")
    moved = [e.total_steps for e in first if isinstance(e, Replanned)]
    assert moved
    assert first[-1] == Stopped(10, moved[-1])
    begun = finish(config, data, tmp_path / "run")[0]
    assert (begun.step, begun.total_steps) == (10, moved[-1])


def test_a_run_repeats_what_the_clock_decided_in_an_earlier_one(data, tmp_path, monkeypatch):
    paced(monkeypatch, pace_of("slower"))
    config = tiny_config("train.steps=200", "train.max_seconds=75", "train.save_every=500", "train.eval_every=500")
    moved = {e.step: e.total_steps for e in finish(config, data, tmp_path / "run") if isinstance(e, Replanned)}
    assert moved
    paced(monkeypatch, pace_of("faster"))
    other = finish(config, data, tmp_path / "other")
    paced(monkeypatch, pace_of("faster"))
    *_, again = train(config, *data, tmp_path / "again", CPU, earlier=Earlier(moved, {}))
    assert again.step != other[-1].step, "the clock alone would have decided otherwise"
    for name in ("metrics.jsonl", "model/model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


@pytest.mark.parametrize("kernel", ["written", "library"])
def test_a_run_computes_attention_as_an_earlier_one_did(kernel, data, tmp_path):
    started = next(iter(train(CONFIG, *data, tmp_path / "run", CPU, earlier=Earlier({}, {"attention": kernel}))))
    assert started.attention == kernel


def test_what_whoever_reads_the_events_takes_is_not_training_time(data, tmp_path, monkeypatch):
    now = [0.0]

    def look():
        now[0] += 0.001
        return now[0]

    monkeypatch.setattr("dozero.train.loop.time", types.SimpleNamespace(perf_counter=look))
    for event in train(CONFIG, *data, tmp_path / "run", CPU):
        now[0] += 100.0  # a coffee at each event
        if isinstance(event, Stepped | Finished):
            assert event.seconds < 1
