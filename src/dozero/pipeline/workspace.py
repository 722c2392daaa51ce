"""Making a workspace: a folder whose run.toml holds the few lines that differ from a preset."""

from __future__ import annotations

from pathlib import Path

from dozero.config import load_config, toml_value
from dozero.corpus.words import check_language
from dozero.durable import explain_os_errors
from dozero.errors import ArtifactError, ConfigError

RUN_FILE = "run.toml"
_TEMPLATE = """\
# Settings of this model: what stands here differs from the preset; `dozero train --help` names the reference.
extends = "{preset}"

[data]
"""


def write_workspace(
    folder: Path,
    preset: str,
    lang: str,
    source: str | None = None,
    licence: str | None = None,
    stories: int | None = None,
) -> Path:
    """Make `folder` with a run.toml and return that file; a folder that already holds anything is left alone.

    `stories` says how many are told, where the preset's number is not wanted.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtifactError(
            "is not empty, so it is left alone", where=folder, expected="a new or empty folder", next="another name"
        )
    kind = load_config(preset=preset).data.kind  # an error now rather than at the first run
    data = {"lang": lang, "source": source, "licence": licence, "stories": stories}
    if kind == "words" and source is None:
        check_language(lang)
    elif kind == "text" and source is None:
        raise ConfigError("needs text to learn from", where=f"preset {preset}", next="--source FOLDER --licence own")
    text = _TEMPLATE.format(preset=preset)
    text += "".join(f"{key} = {toml_value(value)}\n" for key, value in data.items() if value is not None)
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RUN_FILE).write_text(text, encoding="utf-8")
    return folder / RUN_FILE
