"""Tokenizers on disk: written as transformers and llama.cpp read them, and read back if they are ours or imported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from dozero.artifact import Manifest, open_artifact, write_artifact
from dozero.durable import write_json
from dozero.errors import DataError, ModelMismatch
from dozero.tokenizer.imported import CHAT_TEMPLATE, SETTINGS, Parts, is_imported, read_parts, settings_of
from dozero.tokenizer.stand_in import bytes_of
from dozero.tokenizer.tokenizer import (
    END_OF_TEXT,
    Tokenizer,
    bpe_tokenizer,
    is_character,
    train_char_tokenizer,
    tree_of,
)


def save_tokenizer(tokenizer: Tokenizer, out: Path, manifest: Manifest) -> None:
    """Write a tokenizer folder: tokenizer.json and a manifest."""
    with write_artifact(out, manifest) as folder:
        write_tokenizer_files(tokenizer, folder)


def open_tokenizer(path: Path) -> tuple[Tokenizer, Manifest]:
    """Return the tokenizer of a tokenizer folder, verified, and its manifest."""
    manifest = open_artifact(path, "tokenizer")
    return read_tokenizer_json(path / "tokenizer.json"), manifest


def write_tokenizer_files(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, as `AutoTokenizer` reads them."""
    write_json(folder / "tokenizer.json", tree_of(tokenizer))
    if tokenizer.chat_template:
        (folder / CHAT_TEMPLATE).write_text(tokenizer.chat_template, encoding="utf-8", newline="\n")
    if tokenizer.imported is not None:
        write_json(folder / SETTINGS, settings_of(tokenizer.imported, tokenizer.specials))
        return
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
    }
    write_json(folder / SETTINGS, settings)


def of_parts(parts: Parts) -> Tokenizer:
    """Return an imported tokenizer."""
    return Tokenizer(parts.tokens, parts.specials, (), parts.imported, parts.chat_template)


def read_tokenizer_json(file: Path) -> Tokenizer:
    """Return the tokenizer of a tokenizer.json that dozero wrote or imported; ModelMismatch for any other."""
    if is_imported(file.parent):
        return of_parts(read_parts(file.parent))
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        vocab: dict[str, int] = tree["model"]["vocab"]
        specials = tuple(str(token["content"]) for token in tree["added_tokens"])
        if tree["pre_tokenizer"]["type"] == "Sequence":
            merges = [(vocab[left], vocab[right]) for left, right in tree["model"]["merges"]]
            tokenizer = bpe_tokenizer(merges, specials)
        else:
            characters = {token for name in {*vocab} - {*specials} if is_character(token := bytes_of(name))}
            tokenizer = train_char_tokenizer([b"".join(characters).decode()])
        # Any other tokenizer would cut text otherwise than `encode` does, and the model read what it never learned.
        is_ours = specials[:1] == (END_OF_TEXT,) and tree_of(tokenizer) == tree
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ModelMismatch(f"tokenizer cannot be read ({error!r})", where=file) from None
    except DataError:  # no characters
        tokenizer, is_ours = None, False
    if tokenizer is None or not is_ours:
        raise ModelMismatch("not a tokenizer of dozero", where=file, expected="a tokenizer.json that dozero wrote")
    chat = file.with_name(CHAT_TEMPLATE)
    return replace(tokenizer, chat_template=chat.read_text(encoding="utf-8")) if chat.is_file() else tokenizer
