"""Beam search finds what transformers finds on the same folder, and with beams enough the likeliest text of all."""

import itertools

import pytest
import torch
from transformers import AutoModelForCausalLM

from dozero.generate.beam import beam_search
from dozero.model.hf import write_model_files
from dozero.model.transformer import Transformer
from dozero.settings import ModelConfig
from dozero.tokenizer.tokenizer import END_ID, train_char_tokenizer

TOKENIZER = train_char_tokenizer(["abcdefgh"])
V = TOKENIZER.vocab_size


def random_model(seed, spread=2.0):
    config = ModelConfig(d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=4, d_ff=16, max_seq_len=24)
    model, noise = Transformer(config, V), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=noise) * (p.shape[1] ** -0.5 if p.ndim == 2 else 1))
        model.lm_head.weight.mul_(spread)
    return model.eval()


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0, -0.5])
@pytest.mark.parametrize("beams", [2, 3, 5])
def test_texts_and_scores_are_those_of_transformers(beams, penalty, tmp_path):
    for seed in range(4):
        model, prompt = random_model(seed), [END_ID, 1 + seed, 3]
        write_model_files(model, TOKENIZER, tmp_path)
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path).generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), num_beams=beams,
            num_return_sequences=beams, length_penalty=penalty, do_sample=False, max_new_tokens=10, max_length=None,
            return_dict_in_generate=True, output_scores=True,
        )  # fmt: skip
        ours = beam_search(model, prompt, beams, 10, END_ID, penalty)
        assert [beam.score for beam in ours] == pytest.approx(theirs.sequences_scores.tolist(), abs=1e-4)
        for beam, sequence in zip(ours, theirs.sequences.tolist(), strict=True):
            written = sequence[len(prompt) :]
            assert beam.ids == written[: len(beam.ids)]
            assert all(i == END_ID for i in written[len(beam.ids) :])


def test_with_beams_enough_it_is_the_likeliest_of_all_texts():
    model, prompt, length = random_model(9), [END_ID, 2], 3
    scores = {}
    for ids in itertools.product(range(V), repeat=length):
        if END_ID in ids[:-1]:
            continue
        with torch.no_grad():
            logs = model(torch.tensor([[*prompt, *ids]])).log_softmax(dim=-1)[0]
        scores[ids] = sum(float(logs[len(prompt) - 1 + n, i]) for n, i in enumerate(ids))
    best = max(scores, key=scores.get)
    full = [beam for beam in beam_search(model, prompt, V * V, length, END_ID, 0.0) if len(beam.ids) == length]
    assert tuple(full[0].ids) == best
    assert full[0].score == pytest.approx(scores[best], abs=1e-4)


def test_one_beam_is_the_greedy_text():
    model, ids = random_model(1), [END_ID, 4]
    (beam,) = beam_search(model, ids, 1, 8, END_ID, 1.0)
    for token in beam.ids:
        with torch.no_grad():
            assert token == int(model(torch.tensor([ids]))[0, -1].argmax())
        ids = [*ids, token]
