"""Bits per byte of a form of the model are those of the full forward, document by document."""

import math

import pytest
import torch

from dozero.dataset.stream import encode_documents
from dozero.generate.native import make_decoder
from dozero.generate.precision import bits_per_byte
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig
from dozero.tokenizer.tokenizer import END_ID, train_char_tokenizer

WORDS = ["coração", "mãe", "casa", "a"]
TOKENIZER = train_char_tokenizer(WORDS)


def random_model():
    config = ModelConfig(d_model=32, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=8, d_ff=32, max_seq_len=16)
    model, noise = Transformer(config, TOKENIZER.vocab_size), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=noise) * (p.shape[1] ** -0.5 if p.ndim == 2 else 1))
    return model.eval()


def by_hand(model, words):
    nats = 0.0
    for word in words:
        ids = [END_ID, *TOKENIZER.encode(word).tolist(), END_ID]
        with torch.no_grad():
            logs = model(torch.tensor([ids[:-1]])).log_softmax(dim=-1)[0]
        nats -= sum(float(logs[n, i]) for n, i in enumerate(ids[1:]))
    return nats / math.log(2) / len("".join(words).encode())


def test_it_is_the_surprise_at_each_document_over_its_bytes():
    model, stream = random_model(), encode_documents(WORDS, TOKENIZER)
    assert bits_per_byte(model, TOKENIZER, stream) == pytest.approx(by_hand(model, WORDS), abs=1e-5)


def test_it_ends_after_as_many_tokens_as_asked_for():
    model, stream = random_model(), encode_documents(WORDS, TOKENIZER)
    assert bits_per_byte(model, TOKENIZER, stream, 3) == pytest.approx(by_hand(model, WORDS[:1]), abs=1e-5)


def test_int8_loses_little_and_float32_nothing():
    model, stream = random_model(), encode_documents(WORDS * 20, TOKENIZER)
    exact = bits_per_byte(model, TOKENIZER, stream)
    decoder = make_decoder(model)
    if decoder is None:
        pytest.skip("no C compiler")
    assert bits_per_byte(decoder, TOKENIZER, stream) == pytest.approx(exact, abs=1e-5)
    assert bits_per_byte(make_decoder(model, "int8"), TOKENIZER, stream) == pytest.approx(exact, rel=0.03)
