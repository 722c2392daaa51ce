"""Text that is JSON of a given schema, whatever the model: which tokens may come next, and how to close in few.

`llguidance` follows the schema byte by byte. A model that would never end a string, or has no room left, does not break
the form: what is open is then closed without it.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool
from torch import Tensor

from dozero.errors import ConfigError, DataError, MissingExtra
from dozero.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from llguidance import LLMatcher

MOST_TOKENS_TO_CLOSE = 20_000
BRACKETS, QUOTE, COMMA = (b"}", b"]"), b'"', b","
OPENERS = (b"{", b"[", b"\\")
TRIES_ANYTHING = 0.125
"""How often closing takes any character instead: a pattern may wait for one that does not show."""
_PRINTABLE = frozenset(range(0x20, 0x7F))


class JsonSchema:
    """A schema compiled for a tokenizer; `constraint` follows one text through it."""

    def __init__(self, schema: dict[str, Any] | bool, tokenizer: Tokenizer) -> None:
        try:
            from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
        except ImportError:
            raise MissingExtra("llguidance", extra="json") from None
        self.tokens, self.end_id = tokenizer.tokens, tokenizer.end_id
        options: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=options)
        known = LLTokenizer(TokenizerWrapper(_Words(tokenizer)), slices=[])
        told = LLMatcher.validate_grammar(grammar, known)
        if told and not told.startswith("WARNING"):
            raise ConfigError(f"schema cannot be followed ({told.splitlines()[0]})", where="json schema")
        self._start = LLMatcher(known, grammar, log_level=0)
        self.constraint().close()  # which tells now what cannot be written with these tokens, or at all

    def constraint(self) -> JsonConstraint:
        """Return the form of a new text."""
        return JsonConstraint(self._start.deep_copy(), self.tokens, self.end_id)


class JsonConstraint:
    """How far one text has come through a schema."""

    def __init__(self, matcher: LLMatcher, tokens: tuple[bytes, ...], end_id: int) -> None:
        self._matcher, self._tokens, self._end_id = matcher, tokens, end_id

    def allowed(self) -> Bool[Tensor, "V"]:
        """Return which tokens may come next; the end alone once nothing can follow."""
        mask = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8) > 0
        mask = mask[: len(self._tokens)].clone()
        if self._matcher.is_stopped() or self._matcher.is_accepting():
            mask[self._end_id] = True
        if self._matcher.is_error() or not mask.any():
            reason = self._matcher.get_error().splitlines()[:1] or ["no token of the model continues it"]
            raise DataError(f"the model cannot write what the schema asks for ({reason[0]})", where="json schema")
        return mask

    def accept(self, token: int) -> None:
        """Take note of the token that came."""
        self._matcher.consume_token(token)

    def close(self) -> list[int]:
        """Return tokens that complete the JSON as it stands: brackets and quotes as soon as they may come.

        Where the schema asks for more, a chance token of one byte: it may be what a pattern waits for.
        """
        closing, draws = list[int](), random.Random(0)
        while not self._is_whole():
            allowed = self.allowed().nonzero()[:, 0].tolist()
            token = self._nearest_to_the_end(allowed, draws)
            self.accept(token)
            closing.append(token)
            if len(closing) > MOST_TOKENS_TO_CLOSE:
                raise DataError("no JSON of this schema has an end in sight", where="json schema")
        return closing

    def _is_whole(self) -> bool:
        """Whether the text is complete and what may follow can only be more of it."""
        return self._matcher.is_accepting() or (self._matcher.is_stopped() and not self._matcher.is_error())

    def _nearest_to_the_end(self, allowed: list[int], draws: random.Random) -> int:
        words = {self._tokens[i]: i for i in allowed if i != self._end_id}
        if draws.random() >= TRIES_ANYTHING:
            brackets = [bracket for bracket in BRACKETS if bracket in words]
            # Where both brackets may come this is the inside of a string, which a quote ends and a bracket does not.
            for word in (*(brackets if len(brackets) == 1 else ()), QUOTE, COMMA):
                if word in words:
                    return words[word]
            words = {word: i for word, i in words.items() if word not in OPENERS} or words
        plain = [i for word, i in words.items() if len(word) == 1 and word[0] in _PRINTABLE]
        return draws.choice(plain or list(words.values()))


class _Words:
    """A tokenizer as llguidance asks for it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.eos_token_id, self.bos_token_id = tokenizer.end_id, None
        names = tokenizer.special_names
        self.tokens = [names[i].encode() if i in names else token for i, token in enumerate(tokenizer.tokens)]
        self.special_token_ids = list(tokenizer.special_ids)
        self._tokenizer = tokenizer

    def __call__(self, text: bytes | str) -> list[int]:
        """Return ids of a text: what llguidance asks for to know how a text would be cut."""
        words = text.decode(errors="ignore") if isinstance(text, bytes) else text
        try:
            return self._tokenizer.encode(words).tolist()
        except DataError:  # characters without a token
            return []


def read_schema(file: Path) -> dict[str, Any] | bool:
    """Return the JSON schema of a file; ConfigError when it is none."""
    try:
        schema = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"schema cannot be read ({error.strerror})", where=file) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON ({error})", where=file) from None
    if not isinstance(schema, (dict, bool)):
        raise ConfigError("not a JSON schema", where=file, expected="an object", got=type(schema).__name__)
    return schema
