"""Surprise at held-out text: against a loop over documents, and in units whose values are known."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.dataset.rows import pack_rows
from dozero.dataset.stream import encode_documents
from dozero.eval import likelihood
from dozero.eval.likelihood import measure_surprise, total_nats
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig
from dozero.tokenizer.tokenizer import END_ID, train_char_tokenizer

TOKENIZER = train_char_tokenizer(["coração", "mãe"])
V = TOKENIZER.vocab_size
CONTEXT = 12
texts = st.lists(st.text(TOKENIZER.alphabet, min_size=1, max_size=CONTEXT - 1), min_size=1, max_size=8)


def random_model(max_seq_len=CONTEXT):
    shape = {"d_model": 16, "n_layers": 2, "n_heads": 2, "n_kv_heads": 1, "head_dim": 4, "d_ff": 16}
    model, noise = Transformer(ModelConfig(**shape, max_seq_len=max_seq_len), V), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=noise) * (p.shape[1] ** -0.5 if p.ndim == 2 else 1))
    return model


def uniform_model():
    model = random_model()
    with torch.no_grad():
        model.lm_head.weight.zero_()
    return model


def nats_document_by_document(model, documents, T):
    """One document at a time, its end included; what is longer than T is read in pieces of T."""
    nats = 0.0
    for text in documents:
        ids = [END_ID, *TOKENIZER.encode(text).tolist(), END_ID]
        for start in range(0, len(ids) - 1, T):
            piece = torch.tensor([ids[start : start + T + 1]])
            with torch.no_grad():
                nats += F.cross_entropy(model(piece[:, :-1])[0], piece[0, 1:], reduction="sum").item()
    return nats


@settings(max_examples=25)
@given(texts)
def test_it_is_the_sum_over_documents_each_read_alone(documents):
    model = random_model()
    surprise = measure_surprise(model, encode_documents(documents, TOKENIZER))
    assert surprise.nats == pytest.approx(nats_document_by_document(model, documents, CONTEXT), rel=1e-5)
    assert surprise.documents == len(documents)
    assert surprise.tokens == surprise.characters, "one token a character"
    assert surprise.characters == sum(len(text) + 1 for text in documents)
    assert surprise.bytes == sum(len(text.encode()) for text in documents)


def test_a_document_longer_than_the_context_is_read_in_pieces():
    model, documents = random_model(), ["coração" * 5, "mãe"]
    surprise = measure_surprise(model, encode_documents(documents, TOKENIZER))
    assert surprise.nats == pytest.approx(nats_document_by_document(model, documents, CONTEXT), rel=1e-5)


@settings(max_examples=20)
@given(texts, st.sampled_from((1, 30, 8192)))
def test_it_does_not_depend_on_how_documents_share_rows_and_rows_share_batches(documents, tokens_at_once):
    model, stream = random_model(), encode_documents(documents, TOKENIZER)
    expected = nats_document_by_document(model, documents, CONTEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(likelihood, "TOKENS_AT_ONCE", tokens_at_once)
        for T in (CONTEXT, 17, 50):
            nats, tokens = total_nats(model, pack_rows(stream, T))
            assert nats == pytest.approx(expected, rel=1e-5)
            assert tokens == stream.characters


@settings(max_examples=20)
@given(texts)
def test_a_uniform_guess_costs_log2_of_the_vocabulary_for_every_token(documents):
    surprise = measure_surprise(uniform_model(), encode_documents(documents, TOKENIZER))
    tokens = sum(len(text) + 1 for text in documents)
    size = sum(len(text.encode()) for text in documents)
    assert surprise.bits_per_byte == pytest.approx(math.log2(V) * tokens / size, rel=1e-6)
    assert surprise.bits_per_character == pytest.approx(math.log2(V), rel=1e-6)
    assert surprise.nats_per_document == pytest.approx(math.log(V) * tokens / len(documents), rel=1e-6)


def test_measuring_leaves_no_gradients():
    model = random_model()
    measure_surprise(model, encode_documents(["mãe"], TOKENIZER))
    assert all(p.grad is None for p in model.parameters())
