"""What checkpoint.py promises: all that a run is at one step comes back bit for bit, or the damage is named and passed over."""

import json
import os
import random
import re
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from dozero.artifact import MANIFEST, open_artifact, read_manifest
from dozero.device import Device
from dozero.errors import ArtifactError, CheckpointError
from dozero.model.hf import read_model
from dozero.testing import WORDS, limit_file_size, tiny_config
from dozero.tokenizer.tokenizer import train_char_tokenizer
from dozero.train.checkpoint import (
    STATE_FORMAT,
    RunState,
    check_room,
    checkpoint_path,
    list_checkpoints,
    load_checkpoint,
    load_newest,
    load_to_go_back,
    machine_facts,
    save_checkpoint,
)
from dozero.train.divergence import Rollback
from dozero.train.learner import build_model
from dozero.train.optim import build_optimizer
from dozero.train.step import Schedule

TOKENIZER = train_char_tokenizer(WORDS)
FILES = ("model.safetensors", "optim.safetensors", "state.json", "config.json", "tokenizer.json")


def make(*overrides, seed=None):
    """A model and its optimizer; with a seed, every number in them is drawn anew."""
    config = tiny_config(*overrides)
    model = build_model(config, TOKENIZER.vocab_size, Device("cpu", torch.float32, 1))
    optimizer = build_optimizer(model, config.optim)
    if seed is not None:
        draw = torch.Generator().manual_seed(seed)
        for tensor in [*model.parameters(), *optimizer.state.values()]:
            tensor.data.copy_(torch.randn(tensor.shape, generator=draw))
    return model, optimizer


def save(run, step, keep=9, seed=None):
    return save_checkpoint(
        run, RunState(step, Schedule(100)), *make(seed=step if seed is None else seed), TOKENIZER, keep
    )


def numbers(model, optimizer):
    return {**{n: p.detach().clone() for n, p in model.named_parameters()}, **optimizer.state}


def assert_equal_bits(ours, theirs):
    ours, theirs = numbers(*ours), numbers(*theirs)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor.view(torch.int32), theirs[name].view(torch.int32)), name


# --- round trip ----------------------------------------------------------------------------------------------------

FLOATS = st.floats(0, 1e9)
SCHEDULES = st.tuples(st.integers(1, 10**7), st.integers(0, 10**7), st.floats(0, 1))
ROLLBACKS = st.tuples(
    st.integers(0, 10**7), st.integers(0, 10**7), st.lists(st.integers(0, 10**7), max_size=3), st.text(), st.text()
)
STATES = st.fixed_dictionaries(
    {
        "step": st.integers(1, 10**7),
        "tokens": st.integers(0, 10**12),
        "seconds": FLOATS,
        "losses": st.lists(FLOATS, max_size=5),
        "skips_in_a_row": st.integers(0, 9),
        "datasets": st.dictionaries(st.integers(0, 10**7).map(str), st.text(), max_size=3),
    }
)


@given(
    fields=STATES,
    schedule=SCHEDULES,
    rollbacks=st.lists(ROLLBACKS, max_size=3),
    seed=st.integers(0, 9),
    tied=st.sampled_from(["true", "false"]),
)
@settings(max_examples=15)
def test_every_saved_field_comes_back(fields, schedule, rollbacks, seed, tied, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    state = RunState(**fields, schedule=Schedule(*schedule), rollbacks=[Rollback(*r) for r in rollbacks])
    tie = f"model.tie_embeddings={tied}"
    saved, loaded = make(tie, seed=seed), make(tie)
    path = save_checkpoint(run, state, *saved, TOKENIZER, keep=1)
    assert path == checkpoint_path(run, state.step)
    assert load_newest(run, *loaded) == (state, ())
    assert state.machine == machine_facts()
    assert_equal_bits(saved, loaded)


def test_numbers_that_are_hardly_numbers_come_back_too(tmp_path):
    saved, loaded = make(), make(seed=1)
    odd = torch.tensor([0.0, -0.0, 1e-45, -3.4e38, 3.4e38, 1 / 3])
    for tensor in [*saved[0].parameters(), *saved[1].state.values()]:
        tensor.data.copy_(odd.repeat(tensor.numel() // 6 + 1)[: tensor.numel()].view_as(tensor))
    save_checkpoint(tmp_path, RunState(1, Schedule(2)), *saved, TOKENIZER, keep=1)
    load_newest(tmp_path, *loaded)
    assert_equal_bits(saved, loaded)


def test_what_was_saved_does_not_follow_what_is_trained_after(tmp_path):
    model, optimizer = make(seed=1)
    save_checkpoint(tmp_path, RunState(1, Schedule(2)), model, optimizer, TOKENIZER, keep=1)
    for tensor in [*model.parameters(), *optimizer.state.values()]:
        tensor.data.fill_(7)
    loaded = make()
    load_newest(tmp_path, *loaded)
    assert_equal_bits(loaded, make(seed=1))


def test_a_checkpoint_is_a_model_folder(tmp_path):
    path = save(tmp_path, 5, seed=3)
    model, tokenizer = read_model(path)
    assert tokenizer == TOKENIZER
    for name, p in make(seed=3)[0].named_parameters():
        assert torch.equal(p, dict(model.named_parameters())[name])
    assert set(load_file(path / "optim.safetensors")) == set(make()[1].state)


def test_the_manifest_tells_the_step(tmp_path):
    manifest = open_artifact(save(tmp_path, 5), "checkpoint")
    assert manifest.counts == {"step": 5}
    assert machine_facts().keys() > {"torch", "python", "threads"}


def test_no_file_names_the_place_it_was_written_in(tmp_path):
    """A run may be moved, or opened from another machine."""
    run = tmp_path / "a-name-to-look-for"
    path = save(run, 5)
    assert all(run.name.encode() not in file.read_bytes() for file in path.iterdir())
    shutil.move(run, tmp_path / "elsewhere")
    assert load_newest(tmp_path / "elsewhere", *make())[0].step == 5


def test_a_run_without_checkpoints_starts_anew(tmp_path):
    fresh = make()
    assert load_newest(tmp_path, *fresh) == (None, ())
    assert load_newest(tmp_path / "nowhere", *fresh) == (None, ())
    assert_equal_bits(fresh, make())


# --- several of them -----------------------------------------------------------------------------------------------


@given(steps=st.lists(st.integers(0, 10**9), unique=True, max_size=6))
@settings(max_examples=30)
def test_the_newest_comes_first_however_long_the_number(steps, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    for step in [*steps, 999_999, 1_000_000]:
        checkpoint_path(run, step).mkdir(parents=True, exist_ok=True)
    (run / "checkpoints" / "step-000005.broken").mkdir()
    (run / "checkpoints" / ".writing-step-000006-77").mkdir()
    (run / "checkpoints" / "step-000007-copy").mkdir()
    (run / "checkpoints" / "step-notes.txt").touch()
    in_order = sorted({*steps, 999_999, 1_000_000}, reverse=True)
    assert list_checkpoints(run) == [checkpoint_path(run, step) for step in in_order]


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_only_the_newest_are_kept(keep, tmp_path):
    for step in (2, 4, 6, 8):
        save(tmp_path, step, keep)
        left = [p.name for p in list_checkpoints(tmp_path)]
        assert left == [f"step-{s:06d}" for s in range(step, 0, -2)][:keep]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == sorted(left), "and nothing else"


def test_the_newest_is_the_one_loaded(tmp_path):
    for step in (2, 4, 6):
        save(tmp_path, step)
    loaded = make()
    assert load_newest(tmp_path, *loaded)[0].step == 6
    assert_equal_bits(loaded, make(seed=6))


# --- damage --------------------------------------------------------------------------------------------------------


def truncate(file):
    os.truncate(file, file.stat().st_size // 2)


def flip_a_bit(file):
    content, draw = bytearray(file.read_bytes()), random.Random(file.name)
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    file.write_bytes(content)


def remove(file):
    file.unlink()


def empty(file):
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, remove, empty], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_checkpoint_is_named_set_aside_and_the_older_one_taken(name, damage, tmp_path):
    older, newest = save(tmp_path, 2), save(tmp_path, 4)
    damage(newest / name)
    loaded = make()
    state, ((path, reason),) = load_newest(tmp_path, *loaded)
    assert state.step == 2
    assert_equal_bits(loaded, make(seed=2))
    assert str(newest / name) in reason
    assert path == newest.with_name("step-000004.broken")
    assert path.is_dir(), "kept for whoever wants to look"
    assert list_checkpoints(tmp_path) == [older]
    assert load_newest(tmp_path, *make()) == (state, ()), "told once"


@pytest.mark.parametrize("damage", [truncate, remove, empty], ids=lambda f: f.__name__)
def test_a_damaged_manifest_is_named_too(damage, tmp_path):
    save(tmp_path, 2)
    newest = save(tmp_path, 4)
    damage(newest / MANIFEST)
    state, ((_, reason),) = load_newest(tmp_path, *make())
    assert state.step == 2
    assert str(newest) in reason


def test_the_newest_intact_one_is_taken_however_many_are_damaged(tmp_path):
    for step in (1, 2, 3, 4):
        save(tmp_path, step)
    for step in (2, 3, 4):
        flip_a_bit(checkpoint_path(tmp_path, step) / "model.safetensors")
    state, passed = load_newest(tmp_path, *make())
    assert state.step == 1
    assert [path.name for path, _ in passed] == ["step-000004.broken", "step-000003.broken", "step-000002.broken"]


def test_a_second_broken_one_of_the_same_step_takes_the_place_of_the_first(tmp_path):
    for _ in range(2):
        save(tmp_path, 2)
        truncate(save(tmp_path, 4) / "model.safetensors")
        assert load_newest(tmp_path, *make())[0].step == 2
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-000002", "step-000004.broken"]


def test_when_all_are_damaged_it_says_so_every_time_and_how_to_start_anew(tmp_path):
    """Started again without --fresh it must not throw the run away by itself: a backup may still be put back."""
    for step in (2, 4):
        truncate(save(tmp_path, step) / "model.safetensors")
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"no checkpoint of this run is intact.*model\.safetensors") as caught:
            load_newest(tmp_path, *make())
        assert "--fresh" in caught.value.next
        assert caught.value.where == tmp_path


def test_checkpoints_of_another_model_are_refused_and_left_as_they_are(tmp_path):
    save(tmp_path, 2)
    with pytest.raises(CheckpointError, match="no checkpoint of this run is intact"):
        load_newest(tmp_path, *make("model.d_ff=40"))
    assert load_newest(tmp_path, *make())[0].step == 2


def test_state_of_another_optimizer_is_refused(tmp_path):
    model, optimizer = make()
    optimizer.state["mean"] = optimizer.state["mean"][1:].clone()
    save_checkpoint(tmp_path, RunState(2, Schedule(4)), model, optimizer, TOKENIZER, keep=1)
    with pytest.raises(CheckpointError, match="optimizer state of another model"):
        load_newest(tmp_path, *make())


@pytest.mark.parametrize("change", [{"colour": "blue"}, {"schedule": {"total": 3}}, {"schedule": None}])
def test_a_state_of_another_form_is_refused_by_name(change, tmp_path):
    """Intact, but not what this version writes: its hash is right."""
    path = save(tmp_path, 2)
    tree = json.loads((path / "state.json").read_text(encoding="utf-8")) | change
    rewrite_with_right_hash(path, "state.json", json.dumps(tree))
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_newest(tmp_path, *make())


def rewrite_with_right_hash(path, name, text):
    from dozero.artifact import write_artifact

    files = {file.name: file.read_bytes() for file in path.iterdir() if file.name != MANIFEST}
    manifest = read_manifest(path)
    with write_artifact(path, manifest) as folder:
        for file, content in files.items():
            (folder / file).write_bytes(text.encode() if file == name else content)


# --- interrupted ---------------------------------------------------------------------------------------------------


def test_leftovers_of_a_killed_save_are_swept_at_the_next_start(tmp_path):
    """Also of a step that is never saved again, such as one where the run was interrupted."""
    save(tmp_path, 4)
    half = tmp_path / "checkpoints" / ".writing-step-000007-4242"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert load_newest(tmp_path, *make())[0].step == 4
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-000004"]


def test_one_that_had_stepped_aside_for_its_successor_is_found_again(tmp_path):
    path = save(tmp_path, 4)
    os.rename(path, path.with_name(".replaced-step-000004-4242"))
    loaded = make()
    assert load_newest(tmp_path, *loaded)[0].step == 4
    assert_equal_bits(loaded, make(seed=4))


@pytest.mark.parametrize("room", [0, 1000, 10_000])
def test_a_full_disk_is_one_error_and_the_older_one_is_intact(room, tmp_path):
    """The limit strikes in one file after the other."""
    save(tmp_path, 2)
    with limit_file_size(room), pytest.raises(ArtifactError, match=r"cannot be written.*File too large"):
        save(tmp_path, 4)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-000002"]
    assert load_newest(tmp_path, *make())[0].step == 2
    save(tmp_path, 4)
    assert load_newest(tmp_path, *make())[0].step == 4


# --- R05, R06: every byte counts -----------------------------------------------------------------------------------

EVERY_FILE = (*FILES, "generation_config.json", "tokenizer_config.json", MANIFEST)


@pytest.mark.parametrize("name", EVERY_FILE)
def test_fifty_flipped_bits_in_each_file_are_all_found(name, tmp_path):
    older, newest = save(tmp_path, 2), save(tmp_path, 4)
    content, draw = (newest / name).read_bytes(), random.Random(name)
    for _ in range(50):
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        (newest / name).write_bytes(flipped)
        with pytest.raises(ArtifactError, match=re.escape(str(newest))):
            open_artifact(newest, "checkpoint")
    state, ((path, reason),) = load_newest(tmp_path, *make())
    assert state.step == 2
    assert name in reason
    assert path.name == "step-000004.broken"
    assert list_checkpoints(tmp_path) == [older]


@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_file_cut_anywhere_is_found(name, tmp_path):
    save(tmp_path, 2)
    newest = save(tmp_path, 4)
    content = (newest / name).read_bytes()
    last = len(content.rstrip()) - 1  # after the manifest's closing brace comes a line end, which says nothing
    for length in (0, 1, len(content) // 2, last):
        (newest / name).write_bytes(content[:length])
        with pytest.raises(ArtifactError, match=re.escape(str(newest))):
            open_artifact(newest, "checkpoint")
    assert load_newest(tmp_path, *make())[0].step == 2


def test_a_file_that_the_manifest_does_not_name_is_never_read(tmp_path):
    """What a backup or a file manager leaves there changes nothing."""
    newest = save(tmp_path, 4)
    (newest / ".DS_Store").write_bytes(b"noise")
    (newest / "model-00002.safetensors").write_bytes(b"noise")
    loaded = make()
    assert load_newest(tmp_path, *loaded) == (RunState(4, Schedule(100), machine=machine_facts()), ())
    assert_equal_bits(loaded, make(seed=4))


# --- room on the disk ----------------------------------------------------------------------------------------------


def test_a_checkpoint_is_begun_only_where_the_last_one_would_fit_and_a_fifth(tmp_path, monkeypatch):
    check_room(tmp_path / "not" / "there")
    path = save(tmp_path, 2)
    size = sum(file.stat().st_size for file in path.iterdir())
    usage = shutil.disk_usage(tmp_path)
    for free, fits in ((int(1.19 * size), False), (int(1.21 * size), True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda place, free=free: usage._replace(free=free))
        if fits:
            save(tmp_path, 4)
            continue
        with pytest.raises(ArtifactError, match="No space left on device") as caught:
            save(tmp_path, 4)
        assert caught.value.got == f"{free / 1e6:.2f} MB free"
        assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-000002"]
    assert list_checkpoints(tmp_path)[0].name == "step-000004"


# --- going back ----------------------------------------------------------------------------------------------------


def test_going_back_takes_the_step_asked_for_and_deletes_what_came_after(tmp_path):
    for step in (2, 4, 6):
        save(tmp_path, step)
    loaded = make()
    assert load_to_go_back(tmp_path, 4, *loaded).step == 4
    assert_equal_bits(loaded, make(seed=4))
    assert [p.name for p in list_checkpoints(tmp_path)] == ["step-000004", "step-000002"]


def test_going_back_passes_over_broken_ones_to_the_next_before_or_else_after(tmp_path):
    for step in (2, 4, 6):
        save(tmp_path, step)
    flip_a_bit(checkpoint_path(tmp_path, 4) / "model.safetensors")
    assert load_to_go_back(tmp_path, 5, *make()).step == 2
    run = tmp_path / "late"
    save(run, 6)
    assert load_to_go_back(run, 5, *make()).step == 6
    truncate(checkpoint_path(run, 6) / "model.safetensors")
    with pytest.raises(CheckpointError, match="go back to"):
        load_to_go_back(run, 5, *make())


def test_the_one_to_go_back_to_is_kept(tmp_path):
    model, optimizer = make(seed=1)
    for step in (5, 6, 7):
        save_checkpoint(tmp_path, RunState(step, Schedule(9)), model, optimizer, TOKENIZER, keep=1, keep_step=5)
    assert [p.name for p in list_checkpoints(tmp_path)] == ["step-000007", "step-000005"]


# --- R19: other versions -------------------------------------------------------------------------------------------

WRITTEN_BEFORE = Path(__file__).resolve().parent.parent / "golden" / "checkpoints"


@pytest.mark.parametrize("layout", sorted(p.name for p in WRITTEN_BEFORE.iterdir()))
def test_a_checkpoint_of_every_layout_there_was_opens(layout, tmp_path):
    """They hold the same run after the same step; only what the state tells of it differs."""
    shutil.copytree(WRITTEN_BEFORE / layout, tmp_path / "checkpoints")
    loaded, newest = make(), make()
    state, passed = load_newest(tmp_path, *loaded)
    assert passed == ()
    assert (state.step, state.tokens, state.schedule, state.format) == (4, 222, Schedule(12), STATE_FORMAT)
    load_checkpoint(WRITTEN_BEFORE / f"state-{STATE_FORMAT}" / "step-000004", *newest)
    assert_equal_bits(loaded, newest)


@pytest.mark.parametrize("older_one", [False, True])
def test_a_checkpoint_of_a_newer_layout_is_explained_and_stays(older_one, tmp_path):
    if older_one:
        save(tmp_path, 2)
    path = save(tmp_path, 4)
    tree = json.loads((path / "state.json").read_text(encoding="utf-8")) | {
        "format": STATE_FORMAT + 1,
        "colour": "blue",
    }
    rewrite_with_right_hash(path, "state.json", json.dumps(tree))
    with pytest.raises(CheckpointError, match="newer version") as caught:
        load_newest(tmp_path, *make())
    assert caught.value.next == "pip install -U dozero"
    assert caught.value.got == f"format {STATE_FORMAT + 1}"
    assert path.is_dir()


def test_a_manifest_of_a_newer_layout_is_explained(tmp_path):
    path = save(tmp_path, 4)
    tree = json.loads((path / MANIFEST).read_text(encoding="utf-8")) | {"format": 99, "signature": "x"}
    (path / MANIFEST).write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(ArtifactError, match="newer version"):
        open_artifact(path, "checkpoint")
    with pytest.raises(CheckpointError, match="newer version"):
        load_newest(tmp_path, *make())
