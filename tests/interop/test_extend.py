"""New tokens begin as the mean of those that were learned, as transformers' resizing has them, and disturb nothing."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from dozero.errors import DataError
from dozero.generate.language_model import LanguageModel
from dozero.interop.extend import add_tokens, with_mean_rows
from dozero.interop.import_model import import_model
from dozero.tokenizer.files import read_tokenizer_json, write_tokenizer_files
from dozero.tokenizer.tokenizer import END_ID, END_OF_TEXT


@pytest.mark.parametrize("tied", [True, False])
def test_old_rows_stay_and_new_ones_are_the_mean_of_all(ours, tied, tmp_path):
    mine = ours(tie_embeddings=tied)
    model, tokenizer = add_tokens(mine.model, mine.tokenizer, ["<|tool|>"], [" pão", "xyz"], tmp_path)
    before, after = mine.model.state_dict(), model.state_dict()
    V = mine.tokenizer.vocab_size
    assert tokenizer.vocab_size == model.vocab_size == V + 3
    for name, old in before.items():
        if name in ("model.embed_tokens.weight", "lm_head.weight"):
            assert torch.equal(after[name][:V], old)
            assert torch.allclose(after[name][V:], old.mean(0).expand(3, -1), atol=1e-6)
        else:
            assert torch.equal(after[name], old)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) is tied


def test_the_mean_is_that_of_transformers_resizing(folder_of_others, tmp_path):
    out = import_model(folder_of_others.path, tmp_path / "a", specials=["<|tool|>"]).out
    theirs = AutoModelForCausalLM.from_pretrained(folder_of_others.path)
    theirs.resize_token_embeddings(theirs.config.vocab_size + 1, mean_resizing=True)
    ours = LanguageModel.open(out).model
    if folder_of_others.kind != "Qwen2":  # there theirs counts the rows that no token uses
        # transformers draws around the mean, by a billionth of the covariance
        assert torch.allclose(ours.lm_head.weight, theirs.lm_head.weight, atol=1e-3)


def test_rows_that_no_token_uses_are_left_out_of_the_mean(folder_of_others, tmp_path):
    out = import_model(folder_of_others.path, tmp_path / "a", specials=["<|tool|>"]).out
    rows = folder_of_others.model.get_input_embeddings().weight[: len(folder_of_others.tokenizer)]
    new = LanguageModel.open(out).model.model.embed_tokens.weight[-1]
    assert torch.allclose(new, rows.mean(0), atol=1e-6)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 5))
def test_the_mean_row_loses_no_digits(rows, width, count):
    table = torch.randn(rows, width) * 1e4
    larger = with_mean_rows(table, range(rows), count)
    assert larger.shape == (rows + count, width)
    assert torch.equal(larger[:rows], table)
    assert torch.equal(larger[rows:], table.double().mean(0).float().expand(count, -1))


def test_old_text_keeps_its_ids_and_new_words_are_one_token(ours, tmp_path):
    mine = ours()
    _, tokenizer = add_tokens(mine.model, mine.tokenizer, ["<|tool|>"], ["pão de queijo"], tmp_path)
    V = mine.tokenizer.vocab_size
    for text in ("Era uma vez um gato.", "<|tool|>", "a\n\nb"):
        assert tokenizer.encode(text).tolist() == mine.tokenizer.encode(text).tolist()
    a, b = tokenizer.encode("um "), tokenizer.encode(" bom")
    assert tokenizer.encode("um pão de queijo bom").tolist() == [*a, V + 1, *b]
    assert tokenizer.decode([V + 1]) == "pão de queijo"
    assert (tokenizer.special_id("<|tool|>"), tokenizer.end_id, tokenizer.begin([5])) == (V, END_ID, [END_ID, 5])
    assert tokenizer.specials[0] == END_OF_TEXT
    write_tokenizer_files(tokenizer, tmp_path)
    assert read_tokenizer_json(tmp_path / "tokenizer.json") == tokenizer


@pytest.mark.parametrize("names", [["<|im_start|>"], ["a"], [" "], ["x y", "x y"], [""]])
def test_what_is_a_token_already_is_refused(ours, names, tmp_path):
    mine = ours()
    for specials, words in ((names, []), ([], names)):
        with pytest.raises(DataError, match="not a new token; expected text that is no token yet; got"):
            add_tokens(mine.model, mine.tokenizer, specials, words, tmp_path)


def test_characters_take_no_more_tokens(ours, tmp_path):
    mine = ours(kind="char")
    with pytest.raises(DataError, match="a tokenizer of characters takes no more tokens"):
        add_tokens(mine.model, mine.tokenizer, ["<|tool|>"], [], tmp_path)
