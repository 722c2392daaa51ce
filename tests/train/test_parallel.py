"""What parallel.py promises: a team of any size trains on the same rows, to the same curve, in slots to the same bits.

Real processes of torchrun on this machine; in_team.py is what they run, several runs one after the other.
"""

import itertools
import json
import math
import os
import shutil
import subprocess
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from dozero.artifact import open_artifact, read_manifest
from dozero.dataset.batch import batch_of_step, share_of_step
from dozero.dataset.rows import pack_rows
from dozero.device import Device
from dozero.errors import ConfigError, DivergedError
from dozero.generate.language_model import LanguageModel
from dozero.testing import WORDS, tiny_config, tiny_dataset, torchrun_command
from dozero.train.checkpoint import RunState, list_checkpoints, save_checkpoint
from dozero.train.events import Started, Stepped, Stopped
from dozero.train.learner import build_model
from dozero.train.log import read_log
from dozero.train.loop import train
from dozero.train.optim import build_optimizer
from dozero.train.parallel import check_shares, cut, own_slots
from dozero.train.step import Schedule
from dozero.train.team import Team, lone_team

pytestmark = pytest.mark.slow  # two starts of torchrun, shared by all
HERE = Path(__file__).resolve().parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parent.parent / "src"), "OMP_NUM_THREADS": "1"}
CPU = Device("cpu", torch.float32, 1)
FAST, SLOTS, SHARD = "", "train.verify_slots=4", "train.shard=true"
RELATIVE = 1e-5
# One row for each of two processes, so that one of them alone has the bad one; two slots make the bits comparable.
_BAD = ("train.batch_tokens=32", "train.save_every=4", "train.keep=1", "generate.temperature=0")
_SKIP, _BACK, _TWO = "train.on_divergence=skip", "train.on_divergence=rollback", "train.verify_slots=2"
BAD = {
    "bad-skip": (*_BAD, _TWO, _SKIP),
    "bad-skip-2": (*_BAD, _TWO, _SKIP),
    "bad-back": (*_BAD, _TWO, _BACK),
    "bad-back-2": (*_BAD, _TWO, _BACK),
    "bad-back-fast-2": (*_BAD, _BACK),
    "bad-back-shard-2": (*_BAD, _BACK, SHARD),
    "bad-raise": (*_BAD, _TWO),
    "bad-raise-2": (*_BAD, _TWO),
    "bad-raise-shard-2": (*_BAD, SHARD),
}


def in_team(processes, folder, *runs):
    """Run in_team.py's runs in so many processes."""
    command = torchrun_command(processes, str(HERE / "in_team.py"), str(folder), *(":".join(run) for run in runs))
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def what_teams_run():
    """The module in_team.py."""
    spec = spec_from_file_location("in_team", HERE / "in_team.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def alone(folder, name, stop_at, *overrides):
    """Run in this process what a team runs, and return its events."""
    module = what_teams_run()
    torch.set_num_threads(1)
    config = module.config_of(*[o for o in overrides if o])
    steps = []
    stop = lambda: bool(stop_at) and steps[-1] >= stop_at  # noqa: E731 - asked after each step
    events = []
    with suppress(DivergedError):
        for event in train(config, *module.data_of(folder, name), folder / name, CPU, should_stop=stop):
            events.append(event)
            if isinstance(event, Stepped):
                steps.append(event.step)
    return events


def poison(folder, name, *overrides):
    """Begin a run whose model has an infinite number in the row of z, as its checkpoint of step 0."""
    module = what_teams_run()
    config, (dataset, tokenizer) = module.config_of(*overrides), module.data_of(folder, name)
    model = build_model(config, dataset.vocab_size, CPU)
    model.model.embed_tokens.weight.data[tokenizer.encode("z").tolist()[0]] = math.inf
    state, optimizer = RunState(0, Schedule(config.train.steps)), build_optimizer(model, config.optim)
    save_checkpoint(folder / name, state, model, optimizer, tokenizer, 1, team=lone_team(config.train))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs alone, in two processes and in four, some of them passed from one to the other on the way."""
    folder = tmp_path_factory.mktemp("team")
    tiny_dataset(folder / "dataset", WORDS)
    tiny_dataset(folder / "bad", (*WORDS, what_teams_run().POISON))
    for name, overrides in BAD.items():
        poison(folder, name, *overrides)
    for name in ("bad-skip", "bad-back", "bad-raise"):
        alone(folder, name, 0, *BAD[name])
    alone(folder, "alone", 0)
    alone(folder, "alone-slots", 0, SLOTS)
    ways = (("fast", FAST), ("slots", SLOTS), ("shard", SHARD))
    for name, how in (("fast-121", FAST), ("slots-121", SLOTS), ("shard-124", SHARD)):
        alone(folder, name, 5, how)
    two = [(f"{name}-2", "0", how) for name, how in ways]
    moved = [(name, "13", how) for name, how in (("fast-121", FAST), ("slots-121", SLOTS), ("shard-124", SHARD))]
    moved += [(f"{name}-242", "5", how) for name, how in ways]
    portions = ("micro-2", "0", "train.micro_batch_tokens=16,train.checkpoint_activations=true")
    bad = [(name, "0", ",".join(overrides)) for name, overrides in BAD.items() if name.endswith("-2")]
    in_team(2, folder, *two, *moved, portions, *bad, ("again-2", "0", FAST), ("shard-21", "7", SHARD))
    for name, how in (("fast-121", FAST), ("slots-121", SLOTS)):
        alone(folder, name, 0, how)
    moved = [(f"{name}-242", "13", how) for name, how in ways]
    in_team(4, folder, ("slots-4", "0", SLOTS), ("shard-124", "0", SHARD), ("fast-4", "0", FAST), *moved)
    in_team(2, folder, *((f"{name}-242", "0", how) for name, how in ways))
    shutil.copytree(folder / "shard-21", folder / "shard-2-stopped")
    alone(folder, "shard-21", 0, SHARD)
    return folder


def curve_of(run):
    """Losses, norms and seen tokens by step, and the held-out losses."""
    lines = read_log(run / "metrics.jsonl")
    steps = {line["step"]: line for line in lines if "loss" in line}
    return steps, {line["step"]: line["heldout_loss"] for line in lines if "heldout_loss" in line}


def bits_of(run):
    names = ("metrics.jsonl", "samples.jsonl", "model/model.safetensors", "model/config.json")
    return {name: (run / name).read_bytes() for name in names}


# --- rows ----------------------------------------------------------------------------------------------------------


@given(rows=st.integers(1, 40), size=st.integers(1, 8), per_process=st.integers(0, 3))
def test_every_row_of_a_step_belongs_to_one_slot_of_one_process(rows, size, per_process):
    bounds = [own_slots(Team(rank=rank, size=size, slots=size * per_process), rows) for rank in range(size)]
    assert bounds[0][0] == 0
    assert bounds[-1][-1] == rows
    assert all(a[-1] == b[0] for a, b in itertools.pairwise(bounds))
    sizes = np.diff(cut(rows, size))
    assert max(sizes) - min(sizes) <= 1, "no process has much more to do"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("step", [0, 1, 7, 30])
def test_the_shares_of_any_team_are_the_batch_of_the_step(size, step, tmp_path):
    dataset, _ = tiny_dataset(tmp_path / "dataset", WORDS)
    rows, whole = pack_rows(dataset.train, 16), None
    whole = batch_of_step(rows, 8, 3, step)
    bounds = cut(8, size)
    shares = [share_of_step(rows, 8, 3, step, begin, end) for begin, end in itertools.pairwise(bounds)]
    for name in ("ids", "targets", "segments"):
        assert torch.equal(torch.cat([getattr(share, name) for share in shares]), getattr(whole, name))
    assert {share.target_tokens for share in shares} == {whole.target_tokens}, "each divides by the whole step's"


def test_a_step_with_too_few_rows_is_refused():
    config = tiny_config("train.batch_tokens=48")
    check_shares(Team(size=3), config)
    with pytest.raises(ConfigError, match=r"3 rows of 16 tokens cannot be shared out to 4 processes.*64 or more"):
        check_shares(Team(size=4), config)
    with pytest.raises(ConfigError, match="a multiple of 32"):
        check_shares(Team(size=2, shard=True), config)


# --- R12: another number of processes ------------------------------------------------------------------------------

FASTS = (*("fast-2", "fast-4", "fast-121", "fast-242", "shard-2", "shard-21", "shard-124", "shard-242", "micro-2"),)


@pytest.mark.parametrize("run", FASTS)
def test_the_curve_is_that_of_one_process(run, folder):
    steps, heldout = curve_of(folder / run)
    reference, reference_heldout = curve_of(folder / "alone")
    assert list(steps) == list(reference) == list(range(1, 22)), "each step once"
    assert heldout.keys() == reference_heldout.keys()
    for step, line in steps.items():
        assert line["tokens"] == reference[step]["tokens"], "the same samples"
        assert line["loss"] == pytest.approx(reference[step]["loss"], rel=RELATIVE)
        assert line["lr_scale"] == reference[step]["lr_scale"]
    for step, loss in heldout.items():
        assert loss == pytest.approx(reference_heldout[step], rel=RELATIVE)


@pytest.mark.parametrize("run", ["slots-2", "slots-4", "slots-121", "slots-242"])
def test_in_slots_the_bits_are_those_of_one_process(run, folder):
    assert bits_of(folder / run) == bits_of(folder / "alone-slots")


def test_a_team_repeats_its_bits(folder):
    assert bits_of(folder / "again-2") == bits_of(folder / "fast-2")


def test_slots_change_nothing_but_the_order_of_adding(folder):
    losses = [[line["loss"] for line in curve_of(folder / run)[0].values()] for run in ("alone", "alone-slots")]
    assert losses[1] == pytest.approx(losses[0], rel=RELATIVE)


def test_another_number_of_processes_is_told_because_bits_may_differ(folder, tmp_path):
    shutil.copytree(folder / "fast-2", tmp_path / "run")
    shutil.copytree(folder / "dataset", tmp_path / "dataset")
    (started,) = (e for e in alone(tmp_path, "run", 0) if isinstance(e, Started))
    assert started.differences == ("processes: 2 -> 1",)
    shutil.copytree(folder / "slots-2", tmp_path / "slots")
    (started,) = (e for e in alone(tmp_path, "slots", 0, SLOTS) if isinstance(e, Started))
    assert started.differences == (), "in slots they do not"


# --- R08: bad steps --------------------------------------------------------------------------------------------------


def turns_of(run):
    """What the metrics tell of bad steps, and the last checkpoint of them."""
    told = [line for line in read_log(run / "metrics.jsonl") if "diverged" in line]
    state = json.loads((list_checkpoints(run)[0] / "state.json").read_text(encoding="utf-8"))
    return [{key: line.get(key) for key in ("step", "action", "at", "passed_over", "documents")} for line in told], [
        [rollback[key] for key in ("step", "back_to", "windows")] for rollback in state["rollbacks"]
    ]


@pytest.mark.parametrize("policy", ["skip", "back"])
def test_in_slots_a_team_gets_over_bad_steps_to_the_bits_of_one_process(policy, folder):
    assert bits_of(folder / f"bad-{policy}-2") == bits_of(folder / f"bad-{policy}")
    told, rollbacks = turns_of(folder / f"bad-{policy}-2")
    assert told, "there were some"
    assert bool(rollbacks) == (policy == "back")


@pytest.mark.parametrize("run", ["bad-back-fast-2", "bad-back-shard-2"])
def test_a_team_goes_back_together(run, folder):
    """The followers too have the weights and the state of the checkpoint: else the curve would leave that of one process."""
    assert turns_of(folder / run) == turns_of(folder / "bad-back")
    assert turns_of(folder / run)[1]
    steps, reference = (curve_of(folder / name)[0] for name in (run, "bad-back"))
    assert list(steps) == list(reference) == list(range(1, 22))
    assert [line["loss"] for line in steps.values()] == pytest.approx(
        [line["loss"] for line in reference.values()], rel=RELATIVE
    )


@pytest.mark.parametrize("run", ["bad-raise-2", "bad-raise-shard-2"])
def test_a_team_ends_at_a_bad_step_with_a_checkpoint(run, folder):
    assert turns_of(folder / run) == turns_of(folder / "bad-raise")
    assert [line["action"] for line in turns_of(folder / run)[0]] == ["raise"]
    newest, theirs = (list_checkpoints(folder / name)[0] for name in (run, "bad-raise"))
    assert newest.name == theirs.name
    open_artifact(newest, "checkpoint")


# --- shards --------------------------------------------------------------------------------------------------------


def test_a_checkpoint_in_shards_is_whole_and_opens_anywhere(folder):
    """Written by two processes: verified by its manifest, read by our own loader and by transformers."""
    from transformers import AutoModelForCausalLM

    (newest, *_) = list_checkpoints(folder / "shard-2-stopped")
    open_artifact(newest, "checkpoint")
    assert len(list(newest.glob("model-*-of-00002.safetensors"))) == 2
    assert len(list(newest.glob("optim-*-of-00002.safetensors"))) == 2
    stored = {name: t for file in newest.glob("model-*.safetensors") for name, t in load_file(file).items()}
    index = json.loads((newest / "model.safetensors.index.json").read_text(encoding="utf-8"))
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in stored.values())
    ours, theirs = LanguageModel.open(newest).model, AutoModelForCausalLM.from_pretrained(newest)
    assert stored.keys() == dict(ours.named_parameters()).keys()
    ids = torch.arange(12)[None]
    torch.testing.assert_close(ours(ids), theirs(ids).logits, rtol=1e-4, atol=1e-5)


def test_the_model_of_a_run_in_shards_is_a_plain_folder(folder):
    for run in ("shard-2", "shard-124"):
        manifest = read_manifest(folder / run / "model", "model")
        assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= set(manifest.files)
        ours, whole = (load_file(folder / name / "model" / "model.safetensors") for name in (run, "alone"))
        for name, t in whole.items():
            torch.testing.assert_close(ours[name], t, rtol=1e-3, atol=1e-4)


def test_alone_a_run_in_shards_is_the_run_without(folder, tmp_path):
    shutil.copytree(folder / "dataset", tmp_path / "dataset")
    assert isinstance(alone(tmp_path, "run", 9, SHARD)[-1], Stopped)
    alone(tmp_path, "run", 0, SHARD)
    assert bits_of(tmp_path / "run") == bits_of(folder / "alone")


# --- on GPUs -------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("how", [[], ["train.shard=true"], ["train.verify_slots=4"]], ids=["fast", "shard", "slots"])
def test_as_many_processes_as_there_are_gpus_train_to_the_curve_of_one_process(how, run_dozero, tmp_path):
    from dozero.testing import tiny_workspace

    settings = ["train.batch_tokens=128", "train.device=cuda", *how]
    command = torchrun_command(min(4, torch.cuda.device_count()), "-m", "dozero", "train", "run.toml")
    curves = []
    for name in ("one", "all"):
        tiny_workspace(tmp_path / name, *settings)
        if name == "one":
            assert run_dozero("train", "run.toml", cwd=tmp_path / name).returncode == 0
        else:
            subprocess.run(command, cwd=tmp_path / name, env=ENVIRONMENT, check=True, timeout=600)
        curves.append([line["loss"] for line in curve_of(tmp_path / name / "runs" / "main")[0].values()])
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
