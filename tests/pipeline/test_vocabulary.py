"""--vocab-size auto: every size gets the same time, and the smallest that is as good as the best is taken."""

import pytest
import torch

from dozero.device import Device
from dozero.errors import DataError
from dozero.pipeline.vocabulary import NOISE, SizeChosen, SizeTried, choose_vocab_size, pick_size
from dozero.stories.tell import tell
from dozero.testing import tiny_config, tiny_corpus

CPU = Device("cpu", torch.float32, 1)
CONFIG = tiny_config()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    texts = [tell("pt", 3, n).replace("\n", " ") for n in range(600)]
    return tiny_corpus(tmp_path_factory.mktemp("vocabulary") / "corpus", texts)


def tried(size, bits):
    return SizeTried(size, bits, steps=1, text_bytes=1, seconds=1.0)


def test_the_smallest_within_the_noise_is_taken():
    assert pick_size([tried(512, 1.0), tried(1024, 0.9), tried(2048, 0.9 * (1 - NOISE / 2))]) == 1024
    assert pick_size([tried(512, 0.8), tried(1024, 0.9)]) == 512


def test_sizes_are_tried_in_order_for_the_same_time_and_one_is_chosen(corpus):
    *trials, chosen = choose_vocab_size(corpus, CONFIG, CPU, seconds_each=0.3, sizes=(420, 300))
    assert isinstance(chosen, SizeChosen)
    assert chosen.tried == tuple(trials)
    assert [trial.vocab_size for trial in trials] == [300, 420]
    assert chosen.vocab_size == pick_size(trials)
    assert all(0 < trial.bits_per_byte < 8 for trial in trials)  # less than saying nothing about a byte
    assert all(trial.steps >= 50 for trial in trials)


def test_the_larger_vocabulary_sees_more_text_in_a_step(corpus):
    small, large, _ = choose_vocab_size(corpus, CONFIG, CPU, seconds_each=0.1, sizes=(300, 420))
    assert large.text_bytes / large.steps > 1.1 * small.text_bytes / small.steps


def test_a_corpus_too_small_for_a_size_does_not_try_it(corpus):
    *trials, chosen = choose_vocab_size(corpus, CONFIG, CPU, seconds_each=0.1, sizes=(300, 100_000))
    assert [trial.vocab_size for trial in trials] == [chosen.vocab_size] == [300]


def test_a_single_document_cannot_be_split(tmp_path):
    with pytest.raises(DataError, match="too few documents"):
        next(choose_vocab_size(tiny_corpus(tmp_path / "corpus", ["casa"]), CONFIG, CPU))
