"""The words of a grammar, in classes: what a variable can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dozero.stories.morphology import FORMS
from dozero.stories.notation import FORMS_BY_AGREEMENT

FEATURES = {"m": 0, "f": 1, "mp": 2, "fp": 3, "s": 0, "p": 2, "all": 0, "at": 0, "in": 0, "on": 0}
"""Groups of a class and the feature of their entries; `at`, `in` and `on` are places by their preposition."""


@dataclass(frozen=True)
class Entry:
    """A word with all its forms; its feature is 0 masculine or neuter, 1 feminine, and 2 more in the plural."""

    forms: dict[str, str]
    feature: int


@dataclass(frozen=True)
class WordClass:
    """Words that can stand in for one another, each as likely."""

    name: str
    entries: tuple[Entry, ...]

    @cached_property
    def everything(self) -> frozenset[int]:
        """The indices of all entries."""
        return frozenset(range(len(self.entries)))

    @cached_property
    def with_feature(self) -> dict[int, frozenset[int]]:
        """The indices of the entries of each feature that occurs."""
        found = {entry.feature for entry in self.entries}
        return {f: frozenset(i for i in self.everything if self.entries[i].feature == f) for f in sorted(found)}

    @cached_property
    def written(self) -> dict[str, dict[str, frozenset[int]]]:
        """For each form, the texts it takes and the indices of the entries written so."""
        table: dict[str, dict[str, frozenset[int]]] = {}
        for i, entry in enumerate(self.entries):
            for form, text in entry.forms.items():
                texts = table.setdefault(form, {})
                texts[text] = texts.get(text, frozenset()) | {i}
        return table

    @cached_property
    def lengths(self) -> dict[str, list[int]]:
        """For each form, the lengths its texts have."""
        return {form: sorted({len(text) for text in texts}) for form, texts in self.written.items()}


def read_class(lang: str, name: str, table: Mapping[str, Any]) -> WordClass:
    """Return a class from its table: a `kind`, and entries divided by commas under the name of their group.

    >>> read_class("pt", "toy", {"kind": "noun", "m": "pião/piões", "f": "bola, boneca"}).entries[1]
    Entry(forms={'': 'bola', 'p': 'bolas'}, feature=1)
    """
    make_forms = FORMS[lang, table["kind"]]
    entries: list[Entry] = []
    for group, words in table.items():
        if group == "kind":
            continue
        for word in (" ".join(word.split()) for word in words.split(",")):
            forms = make_forms(word)
            if group in ("at", "in", "on"):
                forms["in"] = f"{group} the {word}"
            if lang == "en" and FEATURES[group] == 2:
                forms["a"] = f"some {word}"
            entries.append(Entry(forms, FEATURES[group]))
    texts = [entry.forms[""] for entry in entries]
    assert len(set(texts)) == len(texts), f"{name} has twice {sorted(t for t in texts if texts.count(t) > 1)}"
    assert all(set(FORMS_BY_AGREEMENT) <= entry.forms.keys() for entry in entries) or table["kind"] != "adjective"
    return WordClass(name, tuple(entries))
