"""Runs made again: the same bits on the same machine, from the shards or from the text, and the first difference if not."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from dozero.artifact import read_manifest, write_artifact
from dozero.config import load_config
from dozero.device import Device, apply_device
from dozero.errors import ArtifactError, CheckpointError
from dozero.pipeline.events import StageDone
from dozero.pipeline.reproduce import (
    Reproduced,
    StageCompared,
    check_reproduced,
    device_of,
    read_record,
    reproduce,
)
from dozero.pipeline.stages import Workspace, run_stages
from dozero.testing import tiny_workspace
from dozero.train.checkpoint import list_checkpoints
from dozero.train.events import Stepped

CPU = Device("cpu", torch.float32, 1)


def finish(root, *overrides):
    file = tiny_workspace(root, *overrides)
    apply_device(CPU)  # as each command does, and as whoever makes the run again will
    for _ in run_stages(load_config(file), Workspace(file.parent), CPU):
        pass
    return root / "runs" / "main"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, in reading only."""
    return finish(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run and its data that a test may change."""
    shutil.copytree(finished.parents[1], tmp_path / "ws")
    return tmp_path / "ws" / "runs" / "main"


def again(run, out, **options):
    record = read_record(run)
    *events, result = reproduce(record, out, device_of(record), **options)
    assert isinstance(result, Reproduced)
    return events, result


def test_the_same_weights_come_out_bit_for_bit(finished, tmp_path):
    events, result = again(finished, tmp_path / "out")
    assert result.is_identical
    assert result.difference is None
    assert result.machine == ()
    assert result.steps == sum(isinstance(event, Stepped) for event in events) == 12
    weights = (tmp_path / "out" / "runs" / "main" / "model" / "model.safetensors").read_bytes()
    assert weights == (finished / "model" / "model.safetensors").read_bytes()
    check_reproduced(result)


def test_a_run_whose_end_the_clock_moved_is_reproduced_too(tmp_path):
    run = finish(
        tmp_path / "ws", "train.steps=100000", "train.max_seconds=2", "train.eval_every=50", "train.log_every=5"
    )
    steps = read_manifest(run / "model").counts["step"]
    assert steps < 100000
    _, result = again(run, tmp_path / "out")
    assert result.is_identical
    assert result.steps == steps


def test_from_the_text_each_stage_is_made_again_and_compared(finished, tmp_path):
    events, result = again(finished, tmp_path / "out", from_text=True)
    assert [e.stage for e in events if isinstance(e, StageDone)] == ["corpus", "tokenizer", "dataset"]
    assert [(e.stage, e.is_same) for e in events if isinstance(e, StageCompared)] == [
        ("corpus", True), ("tokenizer", True), ("dataset", True),
    ]  # fmt: skip
    assert result.is_identical


def test_text_that_changed_since_is_told_by_stage_and_by_the_first_difference(run, tmp_path):
    words = run.parents[1] / "words.txt"
    record = read_record(run)
    source = record.config.data.source
    config = record.config.model_copy(update={"data": record.config.data.model_copy(update={"source": str(words)})})
    words.write_text(words.read_text(encoding="utf-8").replace("babas", "babab"), encoding="utf-8")
    assert source != str(words)
    *events, result = reproduce(
        type(record)(record.run, config, record.manifest, record.earlier), tmp_path / "out", CPU, from_text=True
    )
    assert {e.stage: e.is_same for e in events if isinstance(e, StageCompared)} == {
        "corpus": False, "tokenizer": False, "dataset": False,
    }  # fmt: skip
    assert not result.is_identical
    assert result.difference is not None
    assert result.difference.file == "metrics.jsonl"
    with pytest.raises(CheckpointError, match="the run was not reproduced"):
        check_reproduced(result)


def test_one_flipped_bit_of_the_weights_is_found(run, tmp_path):
    model = run / "model"
    tensors, manifest = load_file(model / "model.safetensors"), read_manifest(model)
    name = sorted(tensors)[0]
    tensors[name].view(torch.int32).view(-1)[3] ^= 1
    with write_artifact(model, manifest) as folder:
        for file in manifest.files:
            shutil.copy(model / file, folder / file)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _, result = again(run, tmp_path / "out")
    assert not result.is_identical
    assert result.difference is not None
    assert result.difference.file == "model.safetensors"
    assert result.difference.where.startswith(name)


def test_what_of_the_machine_changed_is_told(run, tmp_path):
    newest = list_checkpoints(run)[0] / "state.json"
    state = json.loads(newest.read_text(encoding="utf-8"))
    state["machine"] |= {"torch": "1.0"}
    newest.write_text(json.dumps(state), encoding="utf-8")
    _, result = again(run, tmp_path / "out")
    assert result.machine == (f"torch: 1.0 -> {torch.__version__}",)
    assert result.is_identical, "the bits decide, not the versions"
    shutil.rmtree(run / "checkpoints")
    _, result = again(run, tmp_path / "other")
    assert result.machine is None


def test_what_cannot_be_made_again_is_refused_with_the_reason(run, tmp_path):
    newest = list_checkpoints(run)[0] / "state.json"
    state = json.loads(newest.read_text(encoding="utf-8"))
    for change, what in (
        ({"datasets": {"0": "a", "6": "b"}}, "more than one dataset.*step 0, step 6"),
        ({"machine": {"processes": "2"}}, "several processes"),
    ):
        newest.write_text(json.dumps(state | change), encoding="utf-8")
        with pytest.raises(ArtifactError, match=what):
            read_record(run)
    newest.write_text(json.dumps(state), encoding="utf-8")
    shutil.rmtree(run.parents[1] / "work")
    record = read_record(run)
    with pytest.raises(ArtifactError, match=r"the dataset it was trained on is no longer here.*--from-text"):
        list(reproduce(record, tmp_path / "out", CPU))
    shutil.rmtree(run / "model")
    with pytest.raises(ArtifactError, match="not finished"):
        read_record(run)
