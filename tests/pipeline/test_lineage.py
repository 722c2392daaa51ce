"""From a corpus to everything that saw it."""

import pytest

from dozero.artifact import Manifest, write_artifact
from dozero.errors import ArtifactError
from dozero.pipeline.lineage import trace_lineage
from dozero.pipeline.stages import Workspace
from dozero.testing import tiny_workspace


def artifact(path, kind, **inputs):
    manifest = Manifest(kind, inputs=inputs, config={"name": path.name})
    with write_artifact(path, manifest):
        pass
    return manifest.fingerprint


def test_links_are_followed_to_the_end_and_no_further(tmp_path):
    corpus = artifact(tmp_path / "corpus", "corpus")
    tokenizer = artifact(tmp_path / "tokenizer", "tokenizer", corpus=corpus)
    dataset = artifact(tmp_path / "dataset", "dataset", corpus=corpus, tokenizer=tokenizer)
    other = artifact(tmp_path / "other", "corpus")
    artifact(tmp_path / "other-tokenizer", "tokenizer", corpus=other)
    for name, fingerprint in (("runs/a", dataset), ("runs/b", "gone")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.toml").write_text(f"# dataset {fingerprint}\n")
    lineage = trace_lineage({corpus}, [tmp_path])
    assert {a.path.name for a in lineage.artifacts} == {"corpus", "tokenizer", "dataset"}
    assert [run.path.name for run in lineage.runs] == ["a"]
    assert [run.path.name for run in lineage.uncertain] == ["b"]
    assert lineage.fingerprints == {corpus, tokenizer, dataset}


def test_a_workspace_leads_to_its_weights(tmp_path):
    from dozero.config import load_config
    from dozero.device import pick_device
    from dozero.pipeline.events import StageDone
    from dozero.pipeline.stages import run_stages

    file = tiny_workspace(tmp_path / "ws")
    config = load_config(file)
    events = list(run_stages(config, Workspace(file.parent), pick_device("cpu", "float32", 1)))
    corpus = next(e.manifest for e in events if isinstance(e, StageDone) and e.stage == "corpus")
    lineage = trace_lineage({corpus.fingerprint}, [file.parent])
    [run] = lineage.runs
    assert {w.name for w in run.weights} >= {"model"}
    assert {a.kind for a in lineage.artifacts} == {"corpus", "tokenizer", "dataset"}


def test_a_place_that_is_none_is_told(tmp_path):
    with pytest.raises(ArtifactError, match="no such folder"):
        trace_lineage(set(), [tmp_path / "nowhere"])
