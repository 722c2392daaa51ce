"""A tokenizer: text to ids and back, stored as a Hugging Face `tokenizer.json`.

Of the kind `char` it has a token for each character of its training text; in the file it is a byte-level BPE whose
merges do nothing but build the characters of more than one byte. Of the kind `bpe` its merges were learned
(`bpe.py` tells how), and the library `tokenizers` makes them. transformers and llama.cpp open both as they are.

Special tokens never come from text: `encode("<|endoftext|>")` gives the ids of those characters, as of any others.
Only code that means them gives them, by `special_id`. (In transformers the same file does read them out of text,
unless it is called with `split_special_tokens=True`.)

A tokenizer that others made keeps its own file, words and special tokens: `imported.py` tells which ones we take.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dozero.errors import DataError, ModelMismatch
from dozero.tokenizer.bpe import BYTE_ORDER, PATTERN, Pair
from dozero.tokenizer.imported import Imported
from dozero.tokenizer.pieces import is_of_pieces
from dozero.tokenizer.stand_in import printable

if TYPE_CHECKING:
    from tokenizers import Tokenizer as LibraryTokenizer

END_OF_TEXT = "<|endoftext|>"
END_ID = 0
# Names of a chat's turns, as in ChatML, and some to spare: a model cannot be given new tokens as easily afterwards.
BPE_SPECIALS = (END_OF_TEXT, "<|im_start|>", "<|im_end|>", *(f"<|reserved_{i}|>" for i in range(5)))
# The library holds over 100 bytes for each token of one text, and is slower the longer it is: we give it pieces.
PIECE_CHARACTERS, PIECES_AT_ONCE = 50_000, 16
_CUT = re.compile(r"(?<=\S) ")  # where PATTERN ends a word whatever follows, so that the pieces give the same ids


@dataclass(frozen=True)
class Tokenizer:
    """`tokens[i]` are the bytes of token i. The first ones, named in `specials`, stand for no bytes.

    Token 0 starts and ends every document. `merges` are the pairs of a BPE in the order learned; None for characters.
    In an imported one special tokens may stand anywhere, and its file holds the merges.
    """

    tokens: tuple[bytes, ...]
    specials: tuple[str, ...] = (END_OF_TEXT,)
    merges: tuple[Pair, ...] | None = None
    imported: Imported | None = None
    chat_template: str = ""
    """Jinja that turns the messages of a chat into one text, if the model has one."""

    @property
    def end_id(self) -> int:
        """The token that ends a document."""
        return END_ID if self.imported is None else self.imported.end_id

    @property
    def begin_ids(self) -> list[int]:
        """What the model saw before each text: END for ours; for an imported one what its file adds, perhaps nothing."""
        if self.imported is None:
            return [END_ID]
        return [self.imported.begin_id] if self.imported.adds_begin and self.imported.begin_id is not None else []

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The ids of `specials`."""
        return tuple(range(len(self.specials))) if self.imported is None else self.imported.special_ids

    def begin(self, ids: Iterable[int]) -> list[int]:
        """Return the ids of a prompt as the model reads it: a prompt of nothing is the end of the text before."""
        return [*self.begin_ids, *ids] or [self.end_id]

    @property
    def vocab_size(self) -> int:
        """V: number of tokens."""
        return len(self.tokens)

    @cached_property
    def alphabet(self) -> str:
        """The characters that have a token, in the order of their ids."""
        return "".join(t.decode() for t in self.tokens if is_character(t))

    def special_id(self, name: str) -> int:
        """Return the id of a special token, such as <|im_start|>; ModelMismatch when this tokenizer has no such token."""
        if name not in self.specials:
            raise ModelMismatch("no such special token", expected=" ".join(self.specials), got=repr(name))
        return self.special_ids[self.specials.index(name)]

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return the ids of the text, never a special one; DataError names characters that have no token."""
        if self.merges is None:
            return self._encode_characters(text)
        pieces, parts = _pieces(text) if self._may_cut else iter([text]), [np.empty(0, dtype=np.int32)]
        while batch := list(islice(pieces, PIECES_AT_ONCE)):
            parts += [np.array(e.ids, dtype=np.int32) for e in self._ask_library(batch)]
        return np.concatenate(parts)

    def encode_many(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Return the ids of each text; much faster than one at a time."""
        if self.merges is None:
            ids, ends = self._encode_characters("".join(texts)), accumulate(map(len, texts))
            return [ids[end - len(text) : end] for text, end in zip(texts, ends, strict=True)]
        if any(len(text) > PIECE_CHARACTERS for text in texts):
            return [self.encode(text) for text in texts]
        return [np.array(e.ids, dtype=np.int32) for e in self._ask_library(texts)]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of the ids; bytes that are not UTF-8 show as U+FFFD, special tokens as nothing."""
        return b"".join(self.tokens[i] for i in ids).decode("utf-8", errors="replace")

    def show(self, ids: Sequence[int]) -> list[str]:
        r"""Return a printable name for each id: bytes that are no character and ends of lines as in \xc3 and \n."""
        return [self.special_names.get(i) or _visible(self.tokens[i]) for i in ids]

    @cached_property
    def special_names(self) -> dict[int, str]:
        """The name of each special token by its id."""
        return dict(zip(self.special_ids, self.specials, strict=True))

    @cached_property
    def _may_cut(self) -> bool:
        """Whether no token reaches over a space after a letter: those that others add to a vocabulary may."""
        if self.imported is None:
            return True
        tree = json.loads(self.imported.tree)
        return not is_of_pieces(tree) and not any(" " in token["content"] for token in tree["added_tokens"])

    @cached_property
    def _id_of_codepoint(self) -> NDArray[np.int32]:
        table = np.full(0x110000, -1, dtype=np.int32)
        for i, token in enumerate(self.tokens):
            if i and is_character(token):
                table[ord(token.decode())] = i
        return table

    def _encode_characters(self, text: str) -> NDArray[np.int32]:
        codepoints = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        ids = self._id_of_codepoint[codepoints]
        if ids.size and ids.min() < 0:
            unknown = "".join(dict.fromkeys(c for c, i in zip(text, ids, strict=True) if i < 0))
            raise DataError(
                "characters that the model never saw",
                expected=f"characters of its alphabet {self.alphabet[:80]!r}",
                got=repr(unknown[:40]),
            )
        return ids

    def _ask_library(self, texts: Sequence[str]) -> Any:
        try:
            return self._library.encode_batch_fast(texts, add_special_tokens=False)
        except TypeError:  # the library's word for half a character
            broken = next(t for t in texts if any("\ud800" <= c <= "\udfff" for c in t))
            raise DataError("text that is not Unicode", got=ascii(broken[:40])) from None

    @cached_property
    def _library(self) -> LibraryTokenizer:
        from tokenizers import Tokenizer as LibraryTokenizer  # 30 ms, of no use to characters

        try:
            library = LibraryTokenizer.from_str(json.dumps(tree_of(self)))
        except Exception as error:  # noqa: BLE001 - the library has no kind of its own; only files of others can be wrong
            raise ModelMismatch(f"tokenizer cannot be read ({error})", where="tokenizer.json") from None
        library.encode_special_tokens = True  # that is: as the text they are
        return library


def _pieces(text: str) -> Iterator[str]:
    """Yield the text in pieces whose ids are those of the whole."""
    start = 0
    while len(text) - start > PIECE_CHARACTERS and (cut := _CUT.search(text, start + PIECE_CHARACTERS)):
        yield text[start : cut.start()]
        start = cut.start()
    yield text[start:]


def train_char_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Return the tokenizer of the characters in `texts`: end of text, then bytes, then longer characters.

    >>> t = train_char_tokenizer(["maçã"])
    >>> [token.decode(errors="replace") for token in t.tokens[1:4]], t.encode("maçã").tolist()
    (['a', 'm', '�'], [2, 1, 7, 6])
    """
    characters = sorted({c for text in texts for c in text})
    if not characters:
        raise DataError("no text to train a tokenizer on")
    encoded = [c.encode() for c in characters]
    single = sorted({bytes([b]) for e in encoded for b in e})
    # Parts of longer characters (all but their last byte, two at least) are tokens too, since merges join two.
    parts = {e[:n] for e in encoded for n in range(2, len(e) + 1)}
    return Tokenizer((b"", *single, *sorted(parts, key=lambda p: (len(p), p))))


def bpe_tokenizer(merges: Iterable[Pair], specials: tuple[str, ...] = BPE_SPECIALS) -> Tokenizer:
    """Return the tokenizer of merges in the order learned: its tokens are the special ones, the bytes, what they make.

    >>> t = bpe_tokenizer([(72, 90)])
    >>> t.tokens[72], t.tokens[90], t.tokens[264], t.encode("casa").tolist(), t.encode("<|endoftext|>")[0]
    (b'a', b's', b'as', [74, 264, 72], np.int32(35))
    """
    merges = tuple(merges)
    tokens = [b""] * len(specials) + [bytes([b]) for b in BYTE_ORDER]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return Tokenizer(tuple(tokens), specials, merges)


def train_bpe_tokenizer(texts: Iterable[str], vocab_size: int, min_count: int = 2) -> Tokenizer:
    """Return the BPE tokenizer of at most `vocab_size` tokens that the library learns: the same as `bpe.train_bpe`."""
    from tokenizers import Regex, models, pre_tokenizers, trainers
    from tokenizers import Tokenizer as LibraryTokenizer

    library = LibraryTokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=min_count, special_tokens=list(BPE_SPECIALS), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    library.train_from_iterator((piece for text in texts for piece in _pieces(text)), trainer)
    model = json.loads(library.to_str())["model"]
    return bpe_tokenizer((model["vocab"][left], model["vocab"][right]) for left, right in model["merges"])


def tree_of(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return what stands in tokenizer.json."""
    if tokenizer.imported is not None:
        return json.loads(tokenizer.imported.tree)
    first = len(tokenizer.specials)
    names = [*tokenizer.specials, *(printable(token) for token in tokenizer.tokens[first:])]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    if tokenizer.merges is None:
        pre_tokenizer = byte_level
        merges = [[printable(t[:-1]), printable(t[-1:])] for t in tokenizer.tokens if len(t) > 1]
    else:
        split = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
        pre_tokenizer = {"type": "Sequence", "pretokenizers": [split, byte_level]}
        merges = [[names[left], names[right]] for left, right in tokenizer.merges]
    model: dict[str, Any] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {name: i for i, name in enumerate(names)},
        "merges": merges,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": name, "special": True} | flags for i, name in enumerate(names[:first])],
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": byte_level,
        "model": model,
    }


def is_character(token: bytes) -> bool:
    """Return whether the bytes are one character."""
    try:
        return len(token.decode()) == 1
    except UnicodeDecodeError:
        return False


def _visible(token: bytes) -> str:
    text = token.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
