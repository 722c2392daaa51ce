"""The four corpora that `--minutes` is measured on, and others, each as the run.toml of a workspace that a user would write."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from peers.debian_text import HANDBOOK, debian_root, help_text, pages_text

HERE = Path(__file__).resolve().parents[1]
PLAYS = Path(os.environ.get("DOZERO_PLAYS", HERE.parents[1] / "shared" / "data" / "tinyshakespeare.txt"))
CORPORA = ("words", "plays", "stories", "help")
OTHERS = {
    "words": ("words-en",),
    "plays": (),
    "stories": ("stories-en",),
    "help": ("handbook-pt", "plays-bpe"),
}
"""Under each of them, others that are much of a kind, to see how far the law of one holds for another."""
PARAGRAPHS, DOCUMENTS = 40, 150
"""Of so many paragraphs is a document, or of fewer where that would give fewer documents."""


def write_corpus_workspace(name: str, folder: Path) -> Path:
    """Write a workspace for one of the corpora to a new folder, its text included, and return its run.toml."""
    folder.mkdir(parents=True)
    subject, _, variant = name.partition("-")
    if subject in ("words", "stories"):
        settings = f'extends = "{subject}"\n\n[data]\nlang = "{variant or "pt"}"\n'
    else:
        write_documents(*text_of(subject, variant), folder / "text.jsonl")
        by_character = (subject == "plays") != (variant in ("bpe", "en-char"))
        settings = (HERE / "settings" / f"{'plays' if by_character else 'help'}.toml").read_text(encoding="utf-8")
        settings = settings.replace("SOURCE", (folder / "text.jsonl").as_posix())
    file = folder / "run.toml"
    file.write_text(settings, encoding="utf-8")
    return file


def text_of(subject: str, variant: str) -> tuple[Sequence[str], str, str]:
    """Return the paragraphs of a text, what stands between them, and its licence."""
    if subject == "plays":
        return PLAYS.read_text(encoding="utf-8").split("\n\n"), "\n\n", "public-domain"
    if subject == "help":
        return help_text().splitlines(), "\n", "MPL-2.0"
    language = "en-US" if variant.startswith("en") else "pt-BR"
    return pages_text(debian_root() / HANDBOOK.replace("pt-BR", language)).splitlines(), "\n", "CC-BY-SA-3.0"


def write_documents(paragraphs: Sequence[str], between: str, licence: str, file: Path) -> None:
    """Write paragraphs as documents of some of them each, a line of JSON for each document."""
    each = max(1, min(PARAGRAPHS, len(paragraphs) // DOCUMENTS))
    documents = (between.join(paragraphs[at : at + each]) for at in range(0, len(paragraphs), each))
    lines = (json.dumps({"text": text, "licence": licence}, ensure_ascii=False) + "\n" for text in documents)
    file.write_text("".join(lines), encoding="utf-8")
