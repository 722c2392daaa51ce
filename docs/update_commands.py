"""Write docs/{en,pt}/commands.md from the commands' own help: python docs/update_commands.py (tests compare them)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dozero.cli.main import VERBS

HERE = Path(__file__).resolve().parent
HEADS = {
    "en": ("# Commands", "Exit codes: 0 all well, 1 a bug of ours, 2 something for you to put right (one line says what), "
           "130 or 143 interrupted and saved.\n\nResults go to stdout, progress to stderr; `--json` prints JSON lines."),
    "pt": ("# Comandos", "Códigos de saída: 0 tudo bem, 1 um erro nosso, 2 algo que você pode corrigir (uma linha diz o quê), "
           "130 ou 143 interrompido e salvo.\n\nResultados vão para stdout, o andamento para stderr; `--json` imprime "
           "linhas JSON. A ajuda está em inglês, a língua do código."),
}  # fmt: skip


def help_of(*verb: str) -> str:
    """Return the help text of a command, 100 columns wide."""
    command = [sys.executable, "-m", "dozero", *verb, "--help"]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8", env=environment)
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def main() -> None:
    """Write both pages."""
    helps = {" ".join(("dozero", *verb)): help_of(*verb) for verb in ((), *((v,) for v in VERBS))}
    for lang, (title, intro) in HEADS.items():
        parts = [title, intro]
        for command, text in helps.items():
            parts.append(f"## {command}\n\n<!-- output: {command} --help -->\n```text\n{text}\n```")
        (HERE / lang / "commands.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
