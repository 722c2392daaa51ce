"""What the pipeline promises: each stage made once, made anew when something it stands on changed, never half."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dozero.artifact import MANIFEST, open_artifact, read_manifest
from dozero.config import load_config
from dozero.corpus.build import corpus_settings
from dozero.device import Device
from dozero.errors import ArtifactError, ConfigError
from dozero.pipeline.events import StageDone
from dozero.pipeline.stages import (
    Prepared,
    Workspace,
    find_model,
    generate_settings,
    prepare,
    prepared,
    run_stages,
)
from dozero.settings import CurateConfig, DataConfig, RunConfig
from dozero.testing import WORDS, tiny_config, tiny_workspace
from dozero.train.events import Finished, Saved, Started, Stopped

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"
STAGES = ("corpus", "tokenizer", "dataset")
CPU = Device("cpu", torch.float32, 1)


@pytest.fixture
def file(tmp_path):
    return tiny_workspace(tmp_path / "ws")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace with a run that is complete, in reading only."""
    file = tiny_workspace(tmp_path_factory.mktemp("finished"), "generate.temperature=0.7")
    config, workspace = load_config(file), Workspace(file.parent)
    return workspace, list(run_stages(config, workspace, CPU))


def made(file, *overrides):
    """The stages that are made now; those that were up to date are left out."""
    return [
        stage.stage for stage in prepared(load_config(file, overrides), Workspace(file.parent)).stages if stage.made
    ]


def contents(folder):
    """Every file below a folder: its bytes and when it was written."""
    return {p.relative_to(folder): (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def folders(file):
    return {name: contents(file.parent / "work" / name) for name in STAGES}


# --- once, and again when it matters -----------------------------------------------------------------------------


def test_every_stage_is_made_once(file):
    assert made(file) == list(STAGES)
    before = folders(file)
    assert made(file) == []
    assert folders(file) == before


def test_stages_come_one_by_one_and_then_all_of_them(file):
    *stages, last = prepare(load_config(file), Workspace(file.parent))
    assert [type(s) for s in stages] == [StageDone] * 3
    assert isinstance(last, Prepared)
    assert last.stages == tuple(stages)
    for stage in stages:
        assert open_artifact(stage.path, stage.stage) == stage.manifest


def test_each_stage_names_the_one_before_by_its_fingerprint(file):
    corpus, tokenizer, dataset = (s.manifest for s in prepared(load_config(file), Workspace(file.parent)).stages)
    assert tokenizer.inputs == {"corpus": corpus.fingerprint}
    assert dataset.inputs == {"corpus": corpus.fingerprint, "tokenizer": tokenizer.fingerprint}


CHANGES = {
    "lang": "pt",
    "max_words": "50",
    "min_letters": "5",
    "max_letters": "5",
    "foreign_ratio": "2",
    "heldout_percent": "40",
    "source": "other.txt",
    "licence": "MIT",
}


def test_every_setting_of_the_data_is_changed_below():
    config = DataConfig()
    assert set(CHANGES) == set(corpus_settings(config, CurateConfig())) - {"kind"} | {"heldout_percent"}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_remakes_its_stage_and_all_after_it(file, monkeypatch, name):
    monkeypatch.chdir(file.parent)
    Path("other.txt").write_text("\n".join(WORDS[:60]))
    made(file)
    before = folders(file)
    first = STAGES.index("dataset" if name == "heldout_percent" else "corpus")
    assert made(file, f"data.{name}={CHANGES[name]}") == list(STAGES[first:])
    after = folders(file)
    assert {stage: after[stage] for stage in STAGES[:first]} == {stage: before[stage] for stage in STAGES[:first]}
    assert made(file, f"data.{name}={CHANGES[name]}") == []


def test_settings_of_the_run_remake_no_stage(file):
    made(file)
    elsewhere = ["seed=9", "model.n_layers=2", "optim.adam_lr=0.5", "train.steps=3", "eval.heldout_docs=2"]
    elsewhere += ["generate.temperature=0"]
    assert made(file, *elsewhere) == []


def test_another_text_in_the_word_file_remakes_all(file):
    made(file)
    words = file.parent / "words.txt"
    words.write_text(words.read_text() + "zebra\n")
    assert made(file) == list(STAGES)
    assert "z" in prepared(load_config(file), Workspace(file.parent)).tokenizer.alphabet


def test_the_same_text_elsewhere_is_still_another_source(file, tmp_path):
    # The manifest tells which file a corpus came from, so it must be true.
    made(file)
    moved = shutil.copy(file.parent / "words.txt", tmp_path / "moved.txt")
    assert made(file, f"data.source={moved}") == list(STAGES)


# --- damage ------------------------------------------------------------------------------------------------------


def shorten(path):
    path.write_bytes(path.read_bytes()[:-1] or b"x")


def flip(path):
    content = path.read_bytes() or b"x"
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


@pytest.mark.parametrize("damage", [shorten, flip, Path.unlink], ids=["shortened", "altered", "deleted"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_damaged_file_remakes_its_stage_as_it_was(file, stage, damage):
    made(file)
    folder = file.parent / "work" / stage
    whole = {path: content for path, (content, _) in contents(folder).items() if path.name != MANIFEST}
    for path in whole:
        damage(folder / path)
        assert made(file) == [stage], f"{path}: the others stand on equal content and stay"
        again = {path: content for path, (content, _) in contents(folder).items() if path.name != MANIFEST}
        assert again == whole


def test_a_stage_without_manifest_in_an_empty_folder_is_made(file):
    made(file)
    shutil.rmtree(file.parent / "work/dataset")
    (file.parent / "work/dataset").mkdir()
    assert made(file) == ["dataset"]


def test_a_folder_that_is_no_stage_is_left_alone(file):
    foreign = file.parent / "work/corpus"
    foreign.mkdir(parents=True)
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="left alone"):
        made(file)
    assert (foreign / "thesis.txt").read_text() == "years of work"


KILLED = """
import os, signal, sys
from pathlib import Path
import dozero.dataset.shards as shards
from dozero.config import load_config
from dozero.pipeline.stages import Workspace, prepared

shards.write_json = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # the bins are written, the index is not
prepared(load_config(sys.argv[1]), Workspace(Path(sys.argv[1]).parent))
"""


def test_a_killed_build_leaves_no_half(file):
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(file)], env=environment, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    work = file.parent / "work"
    assert [p.name for p in work.iterdir() if p.is_dir() and p.name.startswith(".")], "it was killed while writing"
    assert not (work / "dataset").exists()
    for stage in STAGES[:2]:
        open_artifact(work / stage, stage)
    assert made(file) == ["dataset"]
    assert sorted(p.name for p in work.iterdir() if p.is_dir()) == sorted(STAGES)


# --- workspaces --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/tmp", "a\\b", ".hidden", "C:x", "a*", "x\0y"])
def test_a_run_name_stays_inside_runs(tmp_path, name):
    with pytest.raises(ConfigError, match="not a run name"):
        Workspace(tmp_path, name)


@pytest.mark.parametrize("name", ["main", "deeper", "2026-01-31", "ção", "a.b", "two words"])
def test_a_run_has_a_folder_of_its_own(tmp_path, name):
    workspace = Workspace(tmp_path, name)
    assert workspace.run == tmp_path / "runs" / name
    others = (workspace.corpus, workspace.tokenizer, workspace.dataset)
    assert [place.relative_to(tmp_path).as_posix() for place in others] == [f"work/{stage}" for stage in STAGES]


# --- the whole way -----------------------------------------------------------------------------------------------


def test_a_run_goes_from_words_to_a_model(finished):
    workspace, events = finished
    assert [(e.stage, e.made) for e in events[:3]] == [(stage, True) for stage in STAGES]
    assert isinstance(events[3], Started)
    assert isinstance(events[-1], Finished)
    assert events[-1].model == workspace.run / "model"
    manifest = open_artifact(workspace.run / "model", "model")
    assert manifest.inputs == {"dataset": read_manifest(workspace.dataset).fingerprint}


def test_run_again_it_makes_nothing_and_is_finished(finished):
    workspace, events = finished
    before = contents(workspace.run / "model")
    again = list(run_stages(load_config(workspace.root / "run.toml"), workspace, CPU))
    assert not any(e.made for e in again[:3])
    assert again[-1].heldout == events[-1].heldout
    assert contents(workspace.run / "model") == before


def test_a_run_that_is_asked_to_stop_saves_and_says_so(file):
    events = list(run_stages(load_config(file), Workspace(file.parent), CPU, should_stop=lambda: True))
    assert isinstance(events[-2], Saved)
    assert events[-1] == Stopped(1, 12)


# --- which model a path means ------------------------------------------------------------------------------------


def test_a_path_means_the_finished_model(finished):
    run = finished[0].run
    for path in (finished[0].root, run, run / "model"):
        assert find_model(path) == run / "model"
    checkpoint = run / "checkpoints/step-000008"
    assert find_model(checkpoint) == checkpoint


def test_an_interrupted_run_means_its_newest_checkpoint(finished, tmp_path):
    root = shutil.copytree(finished[0].root, tmp_path / "ws")
    shutil.rmtree(root / "runs/main/model")
    newest = root / "runs/main/checkpoints/step-000012"
    assert find_model(root) == find_model(root / "runs/main") == newest
    shutil.rmtree(newest)
    assert find_model(root) == root / "runs/main/checkpoints/step-000008"


def test_a_path_without_a_model_is_refused_with_what_to_do(file, tmp_path):
    with pytest.raises(ArtifactError, match="no such folder"):
        find_model(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match=r"holds no model yet.*Try: dozero train .*run\.toml"):
        find_model(file.parent)


def test_sampling_settings_are_the_runs_then_those_given(finished, tmp_path, monkeypatch):
    run = finished[0].run
    for folder in (run / "model", run / "checkpoints/step-000008"):
        assert generate_settings(folder, {}).temperature == 0.7
        given = generate_settings(folder, {"temperature": 0.0, "top_k": 3})
        assert given == replaced(tiny_config("generate.temperature=0.7").generate, temperature=0.0, top_k=3)
    alone = shutil.copytree(run / "model", tmp_path / "alone/model")
    shutil.copy(run / "run.toml", tmp_path)  # of something else: a model's run is next to it
    assert generate_settings(alone, {}) == RunConfig().generate
    assert generate_settings(alone, {"min_p": 0.5}) == replaced(RunConfig().generate, min_p=0.5)
    monkeypatch.chdir(run / "model")
    assert generate_settings(Path(), {}).temperature == 0.7
    with pytest.raises(ConfigError, match=r"generate\.temperature: .*got -1"):
        generate_settings(alone, {"temperature": -1.0})


def replaced(settings, **changes):
    return settings.model_copy(update=changes)
