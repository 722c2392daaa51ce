"""More tokens for a model that has learned: their rows begin as the mean of all the others.

A mean row is as likely as an average token, so what the model wrote before it still writes; a row of zeros or of noise
would often win (Hewitt 2021, https://nlp.stanford.edu/~johnhew/vocab-expansion.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dozero.errors import DataError
from dozero.model.transformer import Transformer
from dozero.tokenizer.files import of_parts
from dozero.tokenizer.imported import is_unused, settings_of, take_parts, with_added
from dozero.tokenizer.tokenizer import END_ID, END_OF_TEXT, Tokenizer, tree_of


def add_tokens(
    model: Transformer, tokenizer: Tokenizer, specials: Sequence[str], words: Sequence[str], where: Path
) -> tuple[Transformer, Tokenizer]:
    """Return model and tokenizer with special tokens and words after the last one; DataError for one there already.

    A special token is never found in text; a word is, wherever it stands, before text is cut into tokens.
    """
    if tokenizer.merges is None:
        raise DataError("a tokenizer of characters takes no more tokens", where=where, expected="a tokenizer of bytes")
    _refuse_known(tokenizer, [*specials, *words])
    tree = with_added(with_added(tree_of(tokenizer), specials, special=True), words, special=False)
    parts = take_parts(tree, _settings_of(tokenizer), tokenizer.chat_template, where)
    used = [i for i, name in enumerate(tokenizer.show(range(tokenizer.vocab_size))) if not is_unused(name)]
    larger = Transformer(model.config, len(parts.tokens), model.dtype).to(model.lm_head.weight.dtype)
    state, count = model.state_dict(), len(specials) + len(words)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        state[name] = with_mean_rows(state[name], used, count)
    larger.load_state_dict(state)
    return larger.eval(), of_parts(parts)


def with_mean_rows(rows: Tensor, used: Sequence[int], count: int) -> Tensor:
    """Return the rows and `count` more, each the mean, in fp64, of those in `used`.

    >>> with_mean_rows(torch.tensor([[1.0, 0.0], [3.0, 0.0], [9.0, 9.0]]), used=[0, 1], count=1).tolist()
    [[1.0, 0.0], [3.0, 0.0], [9.0, 9.0], [2.0, 0.0]]
    """
    mean = rows[list(used)].double().mean(dim=0).to(rows.dtype)
    return torch.cat((rows, mean.expand(count, -1)))


def _refuse_known(tokenizer: Tokenizer, names: Sequence[str]) -> None:
    known = {*tokenizer.specials, *(token.decode(errors="replace") for token in tokenizer.tokens)}
    twice = [name for i, name in enumerate(names) if name in known or name in names[:i] or not name]
    if twice:
        raise DataError("not a new token", expected="text that is no token yet", got=repr(twice[0]))


def _settings_of(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return what tokenizer_config.json says; of ours, that END begins every text, which its own file leaves unsaid."""
    if tokenizer.imported is not None:
        return settings_of(tokenizer.imported, tokenizer.specials)
    assert tokenizer.specials[END_ID] == END_OF_TEXT
    return {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT, "add_bos_token": True}
