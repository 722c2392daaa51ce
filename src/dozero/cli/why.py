"""`dozero why`: what a run's own logs say went well or wrong, with the evidence and what to change."""

from __future__ import annotations

from pathlib import Path

import typer


def why(
    run: Path = typer.Argument(help="Folder of a run, or a workspace, whose run main is meant."),
    as_json: bool = typer.Option(False, "--json", help="Print findings as JSON lines."),
) -> None:
    """Say in plain words what happened in a run, finished or not, and what to change.

    Overfitting, diverging, a learning rate too high or too low, layers that do not learn, too little text, too short
    a run: each with the numbers that show it.
    """
    from dozero.cli.display import Display
    from dozero.cli.language import narration, pick_language
    from dozero.train.diagnose import diagnose
    from dozero.train.findings import finding_tree, tell_finding
    from dozero.train.run_facts import find_run, read_facts

    facts = read_facts(find_run(run))
    lang = narration(pick_language())
    with Display(lang, as_json=as_json) as display:
        for finding in diagnose(facts):
            if as_json:
                display.print_json({"event": "Finding", **finding_tree(finding, facts, lang)})
                continue
            told = tell_finding(finding, facts, lang)
            display.say(f"finding_{told.level}", what=told.what)
            display.say("finding_evidence", 3, evidence=told.evidence)
            if told.level != "well":
                display.say("finding_advice", 3, advice=told.advice)
            if told.command:
                display.say("finding_command", 6, command=told.command)
