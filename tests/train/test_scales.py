"""What scales.py promises: bits per byte are those of the whole text, and the share of the peak is arithmetic."""

import math

import pytest
import torch

from dozero.device import Device
from dozero.eval.likelihood import measure_surprise
from dozero.measure import MachinePeak, MatmulSpeed
from dozero.model.cost import model_cost
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.events import Stepped
from dozero.train.learner import build_model
from dozero.train.loop import train
from dozero.train.peak import keep_peak
from dozero.train.scales import bits_per_nat, data_facts, scales_of

CPU = Device("cpu", torch.float32, 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("scales") / "dataset")


def test_bits_per_byte_of_all_held_out_text_are_those_of_its_surprise(data):
    dataset, _ = data
    heldout = measure_surprise(build_model(tiny_config(), dataset.vocab_size, CPU), dataset.heldout)
    assert heldout.nats_per_token * bits_per_nat(dataset.heldout) == pytest.approx(heldout.bits_per_byte)
    uniform = math.log(dataset.vocab_size) * bits_per_nat(dataset.train)
    assert uniform == pytest.approx(math.log2(dataset.vocab_size) * dataset.train.tokens / dataset.train.bytes)


def test_a_run_uses_the_share_of_the_peak_that_its_operations_take(data, tmp_path, monkeypatch):
    monkeypatch.setenv("DOZERO_CACHE", str(tmp_path / "cache"))
    config = tiny_config()
    assert scales_of(config, data[0], CPU).peak_tokens_per_s is None
    assert all(e.utilisation is None for e in train(config, *data, tmp_path / "a", CPU) if isinstance(e, Stepped))
    keep_peak(CPU, MachinePeak("cpu", 1, (MatmulSpeed("float32", 1, 512, 2.0, 1e-7),), 1.0, 1))
    flops = model_cost(config.model, data[0].vocab_size).training_flops_per_token
    assert scales_of(config, data[0], CPU).peak_tokens_per_s == pytest.approx(2e9 / flops)
    for event in train(config, *data, tmp_path / "b", CPU):
        if isinstance(event, Stepped):
            assert event.utilisation == pytest.approx(event.tokens_per_s * flops / 2e9)
    assert (tmp_path / "a" / "metrics.jsonl").read_bytes() == (tmp_path / "b" / "metrics.jsonl").read_bytes()


def test_the_facts_of_the_data_add_up(data):
    facts = data_facts(tiny_config(), data[0])
    assert facts["train"]["documents"] + facts["heldout"]["documents"] == 108
    assert facts["params"] == sum(p.numel() for p in build_model(tiny_config(), data[0].vocab_size, CPU).parameters())
    assert facts["about"]["licence"] == "CC0-1.0"
