"""How `dozero curate --forget` looks: what is meant, what was made from it, what was done and what is left to do."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from dozero.cli.corpus_messages import tell
from dozero.cli.corpus_view import draw_pictures
from dozero.corpus.reasons import reason_in
from dozero.errors import DataError
from dozero.hardware import usable_cores
from dozero.pipeline.forget import Erased, Matched, find_corpus, forget, parse_wanted

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.pipeline.stages import Workspace


def forget_and_show(
    display: Display, path: Path, text: str, also: Sequence[Path], *, yes: bool, keep_pattern: bool, rebuild: bool
) -> None:
    """Erase documents, or without `yes` only say what would be erased (and exit as after an error)."""
    wanted = parse_wanted(text)
    matched: Matched | None = None
    for event in forget(path, wanted, also=also, keep_pattern=keep_pattern, rebuild=rebuild, processes=usable_cores()):
        if display.as_json and isinstance(event, Matched | Erased):
            display.print_json({"event": type(event).__name__, **plain(asdict(event))})
        elif isinstance(event, Matched):
            _show_matched(display, event)
        elif isinstance(event, Erased):
            display.line(
                _say(
                    display,
                    "erased",
                    documents=event.documents,
                    path=event.corpus,
                    kept=event.kept,
                    dropped=event.dropped,
                )
            )
        else:
            display.show(event)
        if isinstance(event, Matched):
            matched = event
            _check_consent(matched, text, is_regex=wanted.pattern is not None, yes=yes)
    assert matched is not None
    corpus, workspace = find_corpus(path)
    draw_pictures(corpus, display.lang)
    if not display.as_json:
        _show_what_is_left(display, matched, workspace, rebuilt=rebuild)


def plain(tree: Any) -> Any:
    """Return a tree of events with paths as text and sets as sorted lists, as JSON takes it."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, frozenset | set):
        return sorted(tree)
    if isinstance(tree, list | tuple):
        return [plain(value) for value in tree]
    return str(tree) if isinstance(tree, Path) else tree


def _check_consent(matched: Matched, text: str, *, is_regex: bool, yes: bool) -> None:
    """Raise DataError when nothing is meant, or when the user has yet to say that it is to be done."""
    total = matched.kept + matched.dropped
    if not total:
        hint = None if is_regex else f"dozero curate --forget {shlex.quote('re:' + text)}, if it is no id but a pattern"
        raise DataError(
            "holds nothing that matches, so nothing was forgotten", where=matched.corpus, got=text, next=hint
        )
    if not yes:
        command = shlex.join(["dozero", *sys.argv[1:], "--yes"])
        raise DataError(f"nothing is forgotten yet (documents that match: {total})", where=matched.corpus, next=command)


def _say(display: Display, key: str, **values: object) -> str:
    return tell(display.lang, key, **values)


def _show_matched(display: Display, event: Matched) -> None:
    display.line(_say(display, "matched", path=event.corpus, kept=event.kept, dropped=event.dropped))
    for match in event.first:
        reason = f" ({reason_in(display.lang, match.reason)})" if match.reason else ""
        display.line(escape(f"  {match.id} {match.source}{reason}"))
    more = event.kept + event.dropped - len(event.first)
    if more:
        display.line("  " + _say(display, "matched_more", count=more))
    display.line(_say(display, "searched", places=", ".join(map(str, event.places))))
    made = [(a.kind, a.path) for a in event.lineage.artifacts if a.path != event.corpus.resolve()]
    made += [("run", run.path) for run in event.lineage.runs]
    display.line(_say(display, "made_from_it" if made else "nothing_made"))
    for kind, path in made:
        display.line("  " + _say(display, "trace", kind=_say(display, f"kind_{kind}"), path=path))


def _show_what_is_left(display: Display, matched: Matched, workspace: Workspace | None, *, rebuilt: bool) -> None:
    """Tell what erasing documents does not undo, and the commands that do."""
    root = workspace.root.resolve() if workspace else matched.corpus.resolve()
    runs = matched.lineage.runs
    own = [run for run in runs if run.path.parent == root / "runs"]
    if runs:
        _list(display, "weights_keep", [str(folder) for run in runs for folder in run.weights])
    if own:
        commands = [["dozero", "train", str(root / "run.toml"), "--name", run.path.name, "--fresh"] for run in own]
        _list(display, "weights_anew", [shlex.join(command) for command in commands])
    if matched.lineage.uncertain:
        _list(display, "weights_uncertain", [str(run.path) for run in matched.lineage.uncertain])
    made_anew = root / "work" if workspace and rebuilt else matched.corpus.resolve()
    left = [a.path for a in matched.lineage.artifacts if made_anew not in (a.path, *a.path.parents)]
    left += [run.path for run in runs if run not in own]
    if left:
        _list(display, "left_over", [str(path) for path in left])
    display.line(_say(display, "sources_hold"))
    display.line(_say(display, "near_copies"))


def _list(display: Display, title: str, lines: Sequence[str]) -> None:
    display.line(_say(display, title))
    for line in lines:
        display.line("  " + escape(line))
