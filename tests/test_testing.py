"""The test doubles are what they say: small, lawful, and enough to train on."""

import os
import subprocess
import sys

from dozero.pipeline.stages import Workspace, prepared
from dozero.testing import WORDS, tiny_config, tiny_dataset, tiny_workspace, workers_of


def test_the_words_are_108_and_different():
    assert len(WORDS) == len(set(WORDS)) == 108
    assert len(set("".join(WORDS))) == 12


def test_a_tiny_dataset_holds_every_word_on_one_side(tmp_path):
    dataset, tokenizer = tiny_dataset(tmp_path / "dataset")
    assert dataset.train.documents + dataset.heldout.documents == len(WORDS)
    assert tokenizer.vocab_size == dataset.vocab_size == 13


def test_a_tiny_workspace_is_one_the_pipeline_takes(tmp_path):
    run_file = tiny_workspace(tmp_path / "w")
    config = tiny_config(f"data.source={run_file.parent / 'words.txt'}")
    assert set(prepared(config, Workspace(run_file.parent)).corpus.texts()) == set(WORDS)


def test_the_workers_of_a_process_are_those_it_started():
    program = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    children = [subprocess.Popen(program, stdin=subprocess.PIPE) for _ in range(2)]
    assert {child.pid for child in children} <= set(workers_of(os.getpid()))
    for child in children:
        child.communicate()
    assert not {child.pid for child in children} & set(workers_of(os.getpid()))
