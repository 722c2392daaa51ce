"""What lies around a model: found where it is, not taken for its data when made anew, and told with its licences."""

import shutil

import pytest
import torch

from dozero.config import load_config
from dozero.dataset.shards import open_dataset
from dozero.device import Device
from dozero.pipeline.stages import Workspace, prepared, run_stages
from dozero.pipeline.surroundings import Surroundings, look_around, training_documents
from dozero.testing import WORDS, tiny_workspace
from dozero.tokenizer.files import open_tokenizer


@pytest.fixture
def workspace(tmp_path):
    file = tiny_workspace(tmp_path / "ws")
    for _ in run_stages(load_config(file), Workspace(file.parent), Device("cpu", torch.float32, 1)):
        pass
    return Workspace(file.parent)


def test_the_data_of_a_run_is_found_from_its_model_and_from_its_checkpoints(workspace):
    around = look_around(workspace.run / "model")
    assert (around.run, around.dataset, around.corpus) == (workspace.run, workspace.dataset, workspace.corpus)
    assert around.config == load_config(workspace.run / "run.toml")
    assert around.manifest is not None
    assert around.languages == tuple(around.manifest.about["language"].split(", "))
    assert look_around(workspace.run / "checkpoints" / "step-000012").run == workspace.run


def test_data_made_anew_since_is_not_that_of_the_model(workspace):
    config = load_config(workspace.root / "run.toml", overrides=("data.heldout_percent=40",))
    prepared(config, workspace)
    around = look_around(workspace.run / "model")
    assert (around.dataset, around.corpus) == (None, None)


def test_data_that_is_gone_is_not_there(workspace):
    shutil.rmtree(workspace.corpus)
    around = look_around(workspace.run / "model")
    assert (around.dataset, around.corpus) == (workspace.dataset, None)
    shutil.rmtree(workspace.dataset)
    assert look_around(workspace.run / "model").dataset is None


def test_a_model_of_its_own_has_nothing_around_it(workspace, tmp_path):
    shutil.copytree(workspace.run / "model", tmp_path / "alone")
    around = look_around(tmp_path / "alone")
    assert (around.run, around.dataset, around.corpus) == (None, None, None)
    assert around.manifest is not None
    assert look_around(tmp_path / "nowhere") == Surroundings()
    assert look_around(tmp_path / "nowhere").languages == ()


def test_training_documents_are_all_but_those_held_out_from_corpus_and_from_shards_alike(workspace):
    tokenizer, _ = open_tokenizer(workspace.tokenizer)
    of_corpus = {d.text for d in training_documents(workspace.corpus, tokenizer, 20.0)}
    of_dataset = list(training_documents(workspace.dataset, tokenizer))
    assert of_corpus == {d.text for d in of_dataset}
    heldout = open_dataset(workspace.dataset).heldout
    assert len(of_corpus) + heldout.documents == len(WORDS)
    assert all(d.licence for d in of_dataset)
    assert {d.text for d in training_documents(workspace.corpus, tokenizer)} == set(WORDS)
