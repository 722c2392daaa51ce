"""The language model as its user sees it: the same seed, the same text; whole characters; and why each token came."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from dozero.errors import DataError
from dozero.generate.language_model import LanguageModel
from dozero.model.hf import write_model_files
from dozero.model.transformer import Transformer
from dozero.settings import GenerateConfig, ModelConfig
from dozero.tokenizer.tokenizer import END_ID, END_OF_TEXT, train_char_tokenizer

CONTEXT = 24
WORDS = ("coração", "mãe", "日本", "ёж", "casa")
GREEDY = GenerateConfig(temperature=0)


def random_language_model(texts=WORDS, seed=0):
    """Random weights: it writes gibberish of its alphabet, parts of characters included."""
    tokenizer = train_char_tokenizer(texts)
    config = ModelConfig(d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=4, d_ff=16, max_seq_len=CONTEXT)
    model, noise = Transformer(config, tokenizer.vocab_size), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=noise) * (p.shape[1] ** -0.5 if p.ndim == 2 else 1))
        model.lm_head.weight[END_ID].mul_(0.1)  # not to end at once
    return LanguageModel(model, tokenizer)


def chain_language_model(texts, *tokens):
    """A model that writes these tokens, given as bytes and each once, and ends."""
    tokenizer = train_char_tokenizer(texts)
    size = tokenizer.vocab_size
    shape = {"n_layers": 1, "n_heads": 1, "n_kv_heads": 1, "head_dim": 2, "d_ff": 8, "max_seq_len": CONTEXT}
    model = Transformer(ModelConfig(d_model=max(8, size), **shape), size)
    path = [END_ID, *(tokenizer.tokens.index(token) for token in tokens), END_ID]
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0 if p.ndim == 1 else 0.0)  # the blocks add nothing
        model.model.embed_tokens.weight.fill_diagonal_(1.0)
        for now, after in itertools.pairwise(path):
            model.lm_head.weight[after, now] = 50.0
    return LanguageModel(model, tokenizer)


def bytes_of(text):
    return [bytes([b]) for b in text.encode()]


RANDOM = random_language_model()

# --- the same seed, the same text ---------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from(("", "ca", "日")))
def test_the_stream_joins_to_what_generate_returns(seed, prompt):
    text = RANDOM.generate(prompt, seed=seed)
    assert text == prompt + "".join(RANDOM.stream(prompt, seed=seed))
    assert text == RANDOM.generate(prompt, seed=seed)


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from(("", "ca", "日")))
def test_each_of_many_texts_is_the_one_its_seed_gives_alone(seed, count, prompt):
    config = GenerateConfig(temperature=1.3)
    many = RANDOM.generate_many(count, prompt, config, seed)
    assert many == [RANDOM.generate(prompt, config, seed + i) for i in range(count)]


def test_different_seeds_give_different_texts_and_none_at_temperature_zero():
    assert len(set(RANDOM.generate_many(100, config=GenerateConfig(max_tokens=20)))) > 90
    assert len(set(RANDOM.generate_many(5, config=GREEDY))) == 1


@pytest.mark.parametrize("prompt", ["", "c", "casa", "日本"])
def test_greedy_text_is_that_of_transformers_from_the_exported_folder(prompt, tmp_path):
    write_model_files(RANDOM.model, RANDOM.tokenizer, tmp_path)
    theirs, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(prompt).input_ids]], dtype=torch.long)
    written = theirs.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12)
    ours = LanguageModel.open(tmp_path).generate(prompt, GREEDY.model_copy(update={"max_tokens": 12}))
    assert ours == tokenizer.decode(written[0], skip_special_tokens=True)
    assert len(ours) > len(prompt)


def test_it_opens_from_a_path_or_its_name_and_computes_in_the_dtype_asked_for(tmp_path):
    write_model_files(RANDOM.model, RANDOM.tokenizer, tmp_path)
    assert LanguageModel.open(str(tmp_path)).generate("ca", seed=3) == RANDOM.generate("ca", seed=3)
    assert LanguageModel.open(tmp_path, torch.bfloat16).model.dtype == torch.bfloat16


# --- whole characters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "pieces"),
    [
        (["ç".encode(), *bytes_of("ã"), b"o"], ["ç", "ã", "o"]),
        ([*bytes_of("日"), "本".encode()], ["日", "本"]),
        (["日".encode()[:2], "日".encode()[2:], "本".encode()], ["日", "本"]),
        (bytes_of("🙂"), ["🙂"]),
        (["日".encode(), b"o", *bytes_of("🙂")], ["日", "o", "🙂"]),
    ],
)
def test_no_piece_ends_inside_a_character_though_its_bytes_come_one_by_one(tokens, pieces):
    chain = chain_language_model([*WORDS, "🙂"], *tokens)
    assert list(chain.stream()) == pieces
    assert chain.generate() == "".join(pieces)
    assert chain.generate_many(2) == ["".join(pieces)] * 2


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ([b"\xc3", b"o"], "\ufffdo"),  # a character that is never finished
        ([b"o", *bytes_of("日")[:2]], "o\ufffd"),  # nor before the end
    ],
)
def test_bytes_that_are_no_character_show_as_such_and_in_every_way_alike(tokens, text):
    chain = chain_language_model(WORDS, *tokens)
    assert ["".join(chain.stream()), chain.generate(), *chain.generate_many(2)] == [text] * 4


# --- limits -------------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(0, CONTEXT - 2), st.integers(0, 99))
def test_a_continuation_has_max_tokens_at_the_most_and_fits_the_context(max_tokens, length, seed):
    config = GenerateConfig(max_tokens=max_tokens)
    choices = list(RANDOM.explain("a" * length, config, seed))
    assert 1 <= len(choices) <= min(max_tokens, CONTEXT - 1 - length)
    assert all(not choice.chosen.is_end for choice in choices[:-1])
    assert choices[-1].chosen.is_end or len(choices) == min(max_tokens, CONTEXT - 1 - length)


def test_a_prompt_that_leaves_no_room_is_refused_with_its_length():
    longest = CONTEXT - 2  # the end mark stands before it, and one token must fit after it
    assert len(RANDOM.encode_prompt("a" * longest)) == longest + 1
    for call in (RANDOM.generate, lambda prompt: RANDOM.generate_many(2, prompt), lambda p: list(RANDOM.explain(p))):
        with pytest.raises(DataError, match=f"longer than the context; expected {longest} tokens or fewer; got 30"):
            call("a" * 30)


def test_a_prompt_outside_the_alphabet_is_refused_with_its_letters():
    with pytest.raises(DataError, match="got 'ξ!'"):
        RANDOM.generate("caξa!")


def test_a_prompt_is_continued_from_the_end_mark():
    assert RANDOM.encode_prompt("ca") == [END_ID, *RANDOM.tokenizer.encode("ca").tolist()]


# --- why ----------------------------------------------------------------------------------------------------------------

RULES = [
    GenerateConfig(),
    GREEDY,
    GenerateConfig(temperature=0.5, top_k=4),
    GenerateConfig(temperature=1.5, top_p=0.7),
    GenerateConfig(min_p=0.3),
]


@pytest.mark.parametrize("config", RULES, ids=str)
def test_an_explanation_adds_up_and_tells_what_was_written(config):
    size = RANDOM.tokenizer.vocab_size
    for seed in range(5):
        choices = list(RANDOM.explain("ca", config, seed, top=size))
        for choice in choices:
            probabilities = [c.probability for c in choice.candidates]
            assert len(choice.candidates) == size
            assert probabilities == sorted(probabilities, reverse=True)
            assert sum(probabilities) == pytest.approx(1, abs=1e-5)
            assert sum(c.after_rules for c in choice.candidates) == pytest.approx(1, abs=1e-5)
            assert [c.text for c in choice.candidates if c.is_end] == [END_OF_TEXT]
            entropy = -sum(p * math.log2(p) for p in probabilities if p)
            assert choice.entropy_bits == pytest.approx(entropy, abs=1e-4)
            assert choice.chosen in choice.candidates
            assert choice.chosen.after_rules > 0
        ids = [RANDOM.tokenizer.show(range(size)).index(c.chosen.text) for c in choices]
        assert RANDOM.generate("ca", config, seed) == "ca" + RANDOM.tokenizer.decode(ids)


def test_the_rules_cut_what_the_explanation_says():
    choice = next(RANDOM.explain(config=GenerateConfig(top_k=3), top=9))
    assert [c.after_rules > 0 for c in choice.candidates] == [True] * 3 + [False] * 6
    greedy = next(RANDOM.explain(config=GREEDY))
    assert (greedy.chosen, greedy.chosen.after_rules) == (greedy.candidates[0], 1.0)
    assert sum(c.after_rules for c in greedy.candidates) == 1.0


def test_as_many_candidates_as_asked_for_and_no_more_than_there_are():
    assert [len(next(RANDOM.explain(top=n)).candidates) for n in (1, 5, 999)] == [1, 5, RANDOM.tokenizer.vocab_size]


@pytest.mark.parametrize("seed", range(3))
def test_what_each_token_adds_makes_up_the_text_and_a_character_comes_with_its_last_byte(seed):
    config = GenerateConfig(max_tokens=20)
    text = RANDOM.generate("ca", config, seed)
    added = "ca" + "".join(choice.text for choice in RANDOM.explain("ca", config, seed))
    assert text in (added, added + "\ufffd")  # at the end half a character may be left
    chain = chain_language_model(["日本"], *bytes_of("日"), "本".encode())
    assert [choice.text for choice in chain.explain(config=GREEDY)] == ["", "", "日", "本", ""]


# --- stop strings, reasons and logarithms -------------------------------------------------------------------------------


def before_the_stop(text, stops):
    ends = [text.find(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


@pytest.mark.no_cover
@settings(max_examples=30)
@given(st.integers(0, 999), st.lists(st.sampled_from("aãçosc日本ё"), min_size=1, max_size=2), st.sampled_from((0, 3)))
def test_a_stop_string_ends_the_text_and_no_part_of_it_shows(seed, stops, guesses):
    free = GenerateConfig(max_tokens=20, temperature=1.2)
    whole = "".join(RANDOM.stream("ca", free, seed))
    stopping = free.model_copy(update={"stop": tuple(stops), "speculate": guesses})
    pieces = list(RANDOM.stream("ca", stopping, seed))
    assert "".join(pieces) == before_the_stop(whole, stops)
    (done,) = RANDOM.complete([RANDOM.request("ca", stopping, seed)], ["ca"])
    assert done.text == "".join(pieces)
    if any(stop in whole for stop in stops):
        assert done.finish == "stop"


def test_a_stop_string_across_tokens_and_inside_characters_is_held_back():
    chain = chain_language_model([*WORDS, "🙂"], b"c", "ã".encode()[:1], "ã".encode()[1:], b"o", "日".encode())
    assert list(chain.stream(config=GenerateConfig(stop=("ão",)))) == ["c"]
    assert list(chain.stream(config=GenerateConfig(stop=("ãa",)))) == ["c", "ão", "日"]
    assert list(chain.stream(config=GenerateConfig(stop=("日!",)))) == ["c", "ã", "o", "日"]


def test_the_reason_for_the_end_is_told():
    chain = chain_language_model(WORDS, b"c", b"a", b"s")
    reasons = [(9, (), "cas", "stop"), (2, (), "ca", "length"), (9, ("s",), "ca", "stop"), (1, ("c",), "", "stop")]
    for most, stop, text, finish in reasons:
        (done,) = chain.complete([chain.request("", GenerateConfig(max_tokens=most, stop=stop), 0)], [""])
        assert (done.text, done.finish) == (text, finish)


def test_prompts_of_different_lengths_are_continued_as_each_alone():
    prompts = ["", "ca", "coração", "日", "casa"]
    config = GenerateConfig(temperature=1.2, max_tokens=12)
    done = RANDOM.complete([RANDOM.request(p, config, i) for i, p in enumerate(prompts)], prompts)
    assert [d.prompt + d.text for d in done] == [RANDOM.generate(p, config, i) for i, p in enumerate(prompts)]


@pytest.mark.parametrize("config", [GREEDY, GenerateConfig(temperature=0.7, repetition_penalty=1.3)], ids=str)
def test_logarithms_are_those_of_the_full_forward_whatever_the_rules(config):
    prompts = ["ca", "日"]
    for done in RANDOM.complete([RANDOM.request(p, config, 1) for p in prompts], prompts, top=3):
        ids = torch.tensor([[*RANDOM.encode_prompt(done.prompt), *done.ids]])
        with torch.no_grad():
            logs = RANDOM.model(ids).log_softmax(dim=-1)[0]
        begun = ids.shape[1] - len(done.ids)
        assert len(done.logprobs) == len(done.ids)
        for place, told in enumerate(done.logprobs, begun - 1):
            assert told.id == int(ids[0, place + 1])
            assert told.logprob == pytest.approx(float(logs[place, told.id]), abs=1e-4)
            expected = logs[place].topk(3)
            assert [i for i, _, _ in told.top] == expected.indices.tolist()
            assert [x for _, _, x in told.top] == pytest.approx(expected.values.tolist(), abs=1e-4)


def test_a_bias_for_a_token_that_is_not_there_is_refused():
    with pytest.raises(DataError, match=r"logit_bias names no token of this model; expected .* got 999"):
        RANDOM.generate(config=GenerateConfig(logit_bias=("999=1",)))
