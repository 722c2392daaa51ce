"""How a document looks before and after curation: what goes struck through, what comes underlined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from rich.console import Console
from rich.text import Text

from dozero.cli.corpus_messages import tell
from dozero.cli.language import narration
from dozero.corpus.reasons import reason_in

Change = tuple[str, str]
"""What becomes of a piece of text, `=`, `-` or `+`, and the piece."""
CONTEXT_LINES = 2
MOST_WORDS = 5000
STYLES = {"=": "", "-": "red strike", "+": "green underline"}
MARKS = {"=": ("", ""), "-": ("[-", "-]"), "+": ("{+", "+}")}


def find_changes(before: str, after: str) -> list[Change]:
    r"""Return the pieces that stay, go and come: by lines, and within lines that changed by words.

    >>> find_changes("uma linha\nCPF 529.982.247-25\n", "uma linha\nCPF [CPF]\n")
    [('=', 'uma linha\nCPF '), ('-', '529.982.247-25'), ('+', '[CPF]'), ('=', '\n')]
    """
    changes = []
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for kind, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        removed, added = "".join(old[a:b]), "".join(new[c:d])
        changes += [("=", added)] if kind == "equal" else _by_words(removed, added)
    return _joined(changes)


def _by_words(before: str, after: str) -> list[Change]:
    old, new = (re.findall(r"\s|[^\s\[\]]+|[\[\]]", text) for text in (before, after))
    if max(len(old), len(new)) > MOST_WORDS:  # the time it takes grows with the square
        return [("-", before), ("+", after)]
    changes: list[Change] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            changes.append(("=", "".join(new[c:d])))
        else:
            changes += [("-", "".join(old[a:b])), ("+", "".join(new[c:d]))]
    return changes


def _joined(changes: Iterable[Change]) -> list[Change]:
    """Return the changes without empty ones, equal neighbours as one."""
    joined: list[Change] = []
    for kind, text in changes:
        if text and joined and joined[-1][0] == kind:
            joined[-1] = (kind, joined[-1][1] + text)
        elif text:
            joined.append((kind, text))
    return joined


def show_document(console: Console, facts: Mapping[str, Any], lang: str) -> None:
    """Print what is known of a document, and what curation changed in it."""
    reason = reason_in(narration(lang), facts["reason"] or "")
    key = "document_dropped" if reason else "document_kept"
    console.print(Text(tell(lang, key, id=facts["id"], **({"reason": reason} if reason else {})), style="bold"))
    for name in ("source", "licence", "language", "collection", "personal"):
        if facts[name]:
            console.print(Text(f"{tell(lang, name)}: {facts[name]}"))
    console.print()
    if facts["before"] is None:
        console.print(tell(lang, f"before:{facts['before_missing']}") + "\n")
        console.print(Text(facts["after"]))
    elif facts["before"] == facts["after"]:
        console.print(tell(lang, "unchanged") + "\n")
        console.print(Text(facts["after"]))
    else:
        console.print(tell(lang, "changed") + "\n")
        console.print(render_changes(facts["changes"], lang, marks=not console.is_terminal or console.no_color))


def render_changes(changes: Sequence[Change], lang: str, *, marks: bool) -> Text:
    """Return changes as styled text, long stretches without any cut short; `marks` are for where colour does not show."""
    whole = Text()
    for i, (kind, text) in enumerate(changes):
        if kind == "=":
            for piece in _shortened(text, lang, first=i == 0, last=i == len(changes) - 1):
                whole.append_text(piece)
        else:
            start, end = MARKS[kind] if marks else ("", "")
            shown = text if marks or not text.isspace() else text.replace("\n", "↵\n").replace(" ", "·")
            whole.append(f"{start}{shown}{end}", style=STYLES[kind])
    return whole


def _shortened(text: str, lang: str, *, first: bool, last: bool) -> Iterator[Text]:
    """Yield a stretch without changes, but for the lines far from any change."""
    lines = text.splitlines(keepends=True)
    head, tail = (0 if first else CONTEXT_LINES + 1), (0 if last else CONTEXT_LINES + 1)
    hidden = len(lines) - head - tail
    if hidden <= 1:
        yield Text(text)
        return
    yield Text("".join(lines[:head]))
    yield Text.from_markup(tell(lang, "skipped_same", count=hidden) + "\n")
    yield Text("".join(lines[len(lines) - tail :]))
