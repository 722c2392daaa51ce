"""What prove.py promises: copies that are really killed, and a comparison that finds one flipped bit, by file, step and place."""

import json
import random
import shutil
import signal
import subprocess
from collections import Counter

import pytest
import torch
from safetensors.torch import load_file, save_file

from dozero.errors import CheckpointError
from dozero.pipeline import prove
from dozero.pipeline.prove import (
    Difference,
    Killed,
    Proof,
    Undisturbed,
    first_difference,
    percentile,
    prove_resume,
    shorten,
)
from dozero.pipeline.stages import Workspace, prepared
from dozero.testing import tiny_config, tiny_workspace
from dozero.train.checkpoint import checkpoint_path

KILLS = 4


@pytest.fixture(scope="module")
def proven(tmp_path_factory):
    """A workspace, the folder of its copies, and what happened; how each process ended is kept too."""
    root = tmp_path_factory.mktemp("proven")
    tiny_workspace(root, "train.steps=30")
    config = tiny_config("train.steps=30", f"data.source={root / 'words.txt'}")
    workspace = Workspace(root)
    prepared(config, workspace)
    ended = []
    with pytest.MonkeyPatch.context() as patch:
        popen = subprocess.Popen

        def remember(*args, **kwargs):
            ended.append(popen(*args, **kwargs))
            return ended[-1]

        patch.setattr(subprocess, "Popen", remember)
        story = list(
            prove_resume(shorten(config), workspace.dataset, workspace.tokenizer, root / "copies", KILLS, seed=2)
        )
    return workspace, root / "copies", story, Counter(process.returncode for process in ended)


def test_processes_are_killed_and_the_copies_are_alike_to_the_bit(proven):
    _, copies, story, ended = proven
    first, *killed, proof = story
    assert isinstance(first, Undisturbed)
    assert isinstance(proof, Proof)
    assert all(isinstance(event, Killed) for event in killed)
    assert ended == {-signal.SIGKILL: KILLS, 0: 2}, "killed for real, and two that came to their end"
    assert proof.kills == len(killed) == KILLS
    assert proof.difference is None
    assert proof.steps == 30
    saves = shorten(tiny_config("train.steps=30")).train.save_every
    assert max(event.lost_steps for event in killed) <= proof.most_steps_lost <= saves
    assert any(event.began_at > 0 for event in killed), "a continued one is killed too"
    assert 0 < proof.recovery_p50_s <= proof.recovery_p99_s < proof.seconds
    for name in ("metrics.jsonl", "samples.jsonl"):
        assert (copies / "whole" / name).read_bytes() == (copies / "killed" / name).read_bytes()


def copied(proven, tmp_path):
    whole = proven[1] / "whole"
    return whole, shutil.copytree(whole, tmp_path / "copy")


@pytest.mark.parametrize("name", ["model.safetensors", "optim.safetensors"])
def test_one_flipped_bit_of_a_tensor_is_found_by_name(name, proven, tmp_path):
    whole, copy = copied(proven, tmp_path)
    file = checkpoint_path(copy, 30) / name
    tensors = load_file(file)
    key = sorted(tensors)[-1]
    tensors[key].flatten().view(torch.int32)[5] ^= 1
    save_file(tensors, file)
    found = first_difference(whole, copy, 30)
    assert found is not None
    assert (found.file, found.step, found.where) == (name, 30, f"{key}[5]")
    assert found.undisturbed != found.killed


def test_minus_zero_is_not_zero_and_a_missing_tensor_is_one(proven, tmp_path):
    whole, copy = copied(proven, tmp_path)
    one, other = (checkpoint_path(run, 30) / "optim.safetensors" for run in (whole, copy))
    tensors = load_file(other)
    del tensors["mean"]
    save_file(tensors, other)
    assert first_difference(whole, copy, 30).where == "mean"
    tensors = load_file(one)
    zero, minus = ({"a": torch.tensor([0.5, value])} for value in (0.0, -0.0))
    run, twin = (tmp_path / name for name in ("zero", "minus"))
    for folder, state in ((run, zero), (twin, minus)):
        checkpoint_path(folder, 1).mkdir(parents=True)
        for log in ("metrics.jsonl", "samples.jsonl"):
            (folder / log).write_text("")
        save_file(state, checkpoint_path(folder, 1) / "model.safetensors")
        save_file({}, checkpoint_path(folder, 1) / "optim.safetensors")
    assert first_difference(run, twin, 1) == Difference("model.safetensors", 1, "a[1]", "0.0", "-0.0")


def test_the_first_line_that_differs_is_found_by_step_and_field(proven, tmp_path):
    whole, copy = copied(proven, tmp_path)
    file = copy / "metrics.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    changed = next(line for line in lines if line["step"] == 17 and "loss" in line)
    was = changed["loss"]
    changed["loss"] = was + 1e-12
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert first_difference(whole, copy, 30) == Difference("metrics.jsonl", 17, "loss", str(was), str(was + 1e-12))
    file.write_text("".join(json.dumps(line) + "\n" for line in lines[:3]), encoding="utf-8")
    assert first_difference(whole, copy, 30).step == lines[3]["step"]


def test_a_run_that_cannot_be_trained_is_an_error_with_its_reason(proven, tmp_path):
    workspace = proven[0]
    with pytest.raises(CheckpointError, match="cannot be trained") as caught:
        list(prove_resume(tiny_config(), tmp_path / "no-dataset", workspace.tokenizer, tmp_path / "copies", 1))
    assert "no-dataset" in caught.value.got


def test_a_copy_is_short_logs_each_step_and_ignores_the_clock():
    long = tiny_config("train.steps=5000", "train.max_seconds=60", "train.save_every=1000", "train.log_every=100")
    train = shorten(long).train
    assert (train.steps, train.max_seconds, train.log_every, train.save_every) == (prove.STEPS, 0.0, 1, 5)
    assert shorten(tiny_config("train.steps=3")).train.steps == 3
    assert shorten(long).model == long.model


def test_the_moments_of_the_kills_follow_from_the_seed():
    draws = [prove._steps_to_kill_at(40, 20, random.Random(seed)) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert all(draw == sorted(draw) and max(draw) < 39 for draw in draws)
    assert percentile([1.0], 0.99) == 1.0
