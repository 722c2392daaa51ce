"""What `describe` says of any folder: what it is, what made it, and whether it is still what was written."""

import json
import shutil

import pytest
import torch

from dozero.artifact import MANIFEST, read_manifest
from dozero.config import load_config
from dozero.device import Device
from dozero.errors import ArtifactError
from dozero.pipeline.report import describe
from dozero.pipeline.stages import Workspace, prepared, run_stages
from dozero.testing import WORDS, tiny_workspace

ARTIFACTS = {
    "corpus": "work/corpus",
    "tokenizer": "work/tokenizer",
    "dataset": "work/dataset",
    "checkpoint": "runs/main/checkpoints/step-000012",
    "model": "runs/main/model",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A workspace with a finished run, in reading only."""
    file = tiny_workspace(tmp_path_factory.mktemp("finished"))
    *_, _finished = run_stages(load_config(file), Workspace(file.parent), Device("cpu", torch.float32, 1))
    return file.parent


@pytest.fixture
def copy(root, tmp_path):
    return shutil.copytree(root, tmp_path / "copy")


def shorten(path):
    path.write_bytes(path.read_bytes()[:-1] or b"x")


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_an_artifact_tells_what_it_is_and_what_made_it(root, kind):
    facts = describe(root / ARTIFACTS[kind])
    manifest = read_manifest(root / ARTIFACTS[kind])
    assert (facts["kind"], facts["intact"]) == (kind, True)
    assert "fault" not in facts
    assert facts["made from"] == manifest.inputs
    assert facts["made in seconds"] == manifest.seconds
    assert facts["versions"] == manifest.versions
    assert set(facts["files"]) == set(manifest.files)
    assert {**manifest.about, **manifest.counts}.items() <= facts.items()


def test_a_corpus_tells_its_source_its_licence_and_how_many(root):
    facts = describe(root / "work/corpus")
    assert (facts["source"], facts["kept"], facts["dropped"]) == ("words.txt", len(WORDS), 0)
    assert facts["licence"]


@pytest.mark.parametrize("kind", ["checkpoint", "model"])
def test_a_model_tells_its_shape(root, kind):
    config = load_config(root / "run.toml").model
    shape = describe(root / ARTIFACTS[kind])["model"]
    assert config.model_dump().items() <= shape.items()
    assert shape["architecture"] == config.architecture
    assert shape["parameters"] > 1000


def test_a_run_tells_how_far_it_is(root):
    facts = describe(root / "runs/main")
    assert (facts["kind"], facts["finished"], facts["step"]) == ("run", True, 12)
    assert 0 < facts["loss (nats a token)"] < 3
    assert 0 < facts["held-out loss (nats a token)"] < 3
    assert len(facts["last samples"]) == 4
    assert facts["checkpoints"] == {"step-000012": "intact", "step-000008": "intact"}


def test_a_workspace_tells_its_stages_and_runs(root):
    facts = describe(root)
    assert facts["kind"] == "workspace"
    assert list(facts["stages"]) == ["corpus", "tokenizer", "dataset"]
    assert all(stage["intact"] for stage in facts["stages"].values())
    assert facts["runs"] == {"main": describe(root / "runs/main")}


def test_what_is_not_made_yet_is_told(tmp_path):
    file = tiny_workspace(tmp_path / "ws")
    facts = describe(file.parent)
    assert facts["stages"] == dict.fromkeys(("corpus", "tokenizer", "dataset"), "not made")
    assert facts["runs"] == {}
    prepared(load_config(file), Workspace(file.parent))
    assert all(stage["intact"] for stage in describe(file.parent)["stages"].values())


def test_an_interrupted_run_is_not_finished(tmp_path):
    file = tiny_workspace(tmp_path / "ws")
    device = Device("cpu", torch.float32, 1)
    list(run_stages(load_config(file), Workspace(file.parent), device, should_stop=lambda: True))
    facts = describe(file.parent / "runs/main")
    assert (facts["finished"], facts["step"]) == (False, 1)
    assert facts["held-out loss (nats a token)"] is None
    assert facts["checkpoints"] == {"step-000001": "intact"}


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_damage_to_any_file_is_told_with_its_name(copy, kind):
    folder = copy / ARTIFACTS[kind]
    for name in read_manifest(folder).files:
        whole = (folder / name).read_bytes()
        shorten(folder / name)
        facts = describe(folder)
        assert facts["kind"] == kind
        assert facts["intact"] is False, name
        assert str(folder / name) in facts["fault"]
        (folder / name).unlink()
        assert "file is missing" in describe(folder)["fault"]
        (folder / name).write_bytes(whole)
    assert describe(folder)["intact"] is True


def test_damage_inside_shows_in_the_run_and_the_workspace(copy):
    shorten(copy / "runs/main/checkpoints/step-000008/optim.safetensors")
    (copy / "work/tokenizer/tokenizer.json").unlink()
    facts = describe(copy)
    states = facts["runs"]["main"]["checkpoints"]
    assert states["step-000012"] == "intact"
    assert "size differs" in states["step-000008"]
    assert facts["stages"]["corpus"]["intact"] is True
    assert facts["stages"]["tokenizer"]["intact"] is False
    assert "tokenizer.json: file is missing" in facts["stages"]["tokenizer"]["fault"]


def test_a_stage_whose_manifest_is_damaged_does_not_hide_the_others(copy):
    (copy / "work/corpus" / MANIFEST).write_text("{")
    stages = describe(copy)["stages"]
    assert stages["corpus"]["intact"] is False
    assert "manifest cannot be read" in stages["corpus"]["fault"]
    assert stages["tokenizer"]["intact"] is True
    with pytest.raises(ArtifactError, match="manifest cannot be read"):
        describe(copy / "work/corpus")


def test_all_facts_are_plain_data(root):
    for place in ("", "runs/main", *ARTIFACTS.values()):
        facts = describe(root / place)
        assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize(("place", "told"), [("nowhere", "no such folder"), ("work", "not a folder that dozero wrote")])
def test_any_other_place_is_refused(root, place, told):
    with pytest.raises(ArtifactError, match=told):
        describe(root / place)


def test_a_file_is_refused(root):
    with pytest.raises(ArtifactError, match="not a folder that dozero wrote"):
        describe(root / "run.toml")
