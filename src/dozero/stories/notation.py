"""The notation of templates: text with slots, choices and rules, read into nodes.

{hero}           a word: the variable `hero` takes an entry of its class the first time, and keeps it
{fruit.p}        another form of that entry (here its plural)
{hero:o/a}       one of two endings by the gender of `hero`; with four: o/a/os/as by gender and number
{thing:no}       the same, by a row of the table of agreement ("no/na/nos/nas"); {hero:Ele} capitalises it
{colour~thing}   an adjective, in the gender and number of `thing`; {colour~fruit*} in the plural
[big|small|]     one of several, each as likely; it may be nothing
<when>           one of the alternatives of a rule
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

FORMS_BY_AGREEMENT = ("", "f", "p", "fp")
"""Names of an adjective's forms: masculine and feminine, then both plurals. A feature is an index into this."""
TOKEN = re.compile(r"\{([^{}]+)\}|<([^<>]+)>|([\[|\]])|([^{}<>\[|\]]+)")


@dataclass(frozen=True)
class Text:
    """The text itself."""

    text: str


@dataclass(frozen=True)
class Word:
    """A form of the entry that the variable holds."""

    variable: str
    form: str


@dataclass(frozen=True)
class Agreement:
    """A text chosen by the feature of what the variable holds: one for each of ms, fs, mp, fp."""

    variable: str
    forms: tuple[str, ...]


@dataclass(frozen=True)
class Adjective:
    """The entry of `variable`, in the form that agrees with what `noun` holds."""

    variable: str
    noun: str
    plural: bool


@dataclass(frozen=True)
class Choice:
    """One of several sequences, each as likely."""

    options: tuple[tuple[Node, ...], ...]


Node = Text | Word | Agreement | Adjective | Choice


def read_template(
    template: str, rule: Callable[[str], Choice], agreement: Mapping[str, str] | None = None
) -> tuple[Node, ...]:
    """Return the nodes of a template; `rule` looks up what stands in <...>.

    >>> read_template("a {toy}[!|?]", rule=lambda name: Choice(()))
    (Text(text='a '), Word(variable='toy', form=''), Choice(options=((Text(text='!'),), (Text(text='?'),))))
    """
    stack: list[list[list[Node]]] = [[[]]]  # the options opened so far at each depth; the innermost grows
    covered = 0
    for token in TOKEN.finditer(template):
        slot, name, mark, text = token.groups()
        covered += len(token[0])
        if mark == "[":
            stack.append([[]])
        elif mark == "|":
            stack[-1].append([])
        elif mark == "]":
            options = stack.pop()
            stack[-1][-1].append(Choice(tuple(map(tuple, options))))
        else:
            stack[-1][-1].append(Text(text) if text else rule(name) if name else read_slot(slot, agreement or {}))
    assert covered == len(template), f"a bracket without its pair: {template}"
    assert len(stack) == 1 == len(stack[0]), f"a choice that is not closed or not opened: {template}"
    return tuple(stack[0][0])


def read_slot(slot: str, agreement: Mapping[str, str]) -> Word | Agreement | Adjective:
    """Return the node of what stands in braces.

    >>> read_slot("hero:Ele", {"ele": "ele/ela"})
    Agreement(variable='hero', forms=('Ele', 'Ela', 'Ele', 'Ela'))
    """
    if "~" in slot:
        variable, noun = slot.split("~")
        return Adjective(variable, noun.removesuffix("*"), noun.endswith("*"))
    if ":" not in slot:
        variable, _, form = slot.partition(".")
        return Word(variable, form)
    variable, key = slot.split(":")
    row = key if "/" in key else agreement[key.lower()]
    forms = tuple(row.split("/"))
    assert len(forms) in (2, 4), slot
    if key != key.lower() and "/" not in key:
        forms = tuple(form[0].upper() + form[1:] for form in forms)
    return Agreement(variable, forms * 2 if len(forms) == 2 else forms)
