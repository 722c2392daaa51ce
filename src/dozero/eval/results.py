"""What came of a task, kept as an artifact beside the model, and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dozero.artifact import MANIFEST, Manifest, open_artifact, read_manifest, write_artifact
from dozero.durable import make_folder, sha256_of, write_json
from dozero.errors import ArtifactError, DozeroError
from dozero.eval.bootstrap import DRAWS, SEED
from dozero.eval.measure import Outcome, measure_tree
from dozero.eval.plots import draw_outcome

RESULT, ITEMS, KIND = "result.json", "items.jsonl", "evaluation"
FOLDER = "evaluations"


@dataclass(frozen=True)
class Result:
    """What a task found of a model: `result.json`."""

    task: str
    kind: str
    lang: str
    licence: str
    items: int
    of_items: int
    """Items that the task has, when not all were asked."""
    measures: list[dict[str, Any]]
    """Each with name, value, low, high and, where there is such a thing, chance and whether it is at chance."""
    details: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    path: str = ""

    @property
    def headline(self) -> dict[str, Any]:
        """The measure that counts most."""
        return self.measures[0]


def evaluations_of(model_folder: Path) -> Path:
    """Return where the evaluations of a model are kept: in the folder of its run, or beside a model of its own.

    >>> [evaluations_of(Path(p)).as_posix() for p in ("runs/main/model", "runs/main/checkpoints/step-000200", "smol")]
    ['runs/main/evaluations', 'runs/main/evaluations-step-000200', 'smol-evaluations']
    """
    parent = model_folder.parent
    if model_folder.name == "model":
        return parent / FOLDER
    if parent.name == "checkpoints":
        return parent.parent / f"{FOLDER}-{model_folder.name}"
    return parent / f"{model_folder.name}-{FOLDER}"


def identify_model(model_folder: Path) -> str:
    """Return the SHA-256 of the weights of a model folder: what an evaluation belongs to."""
    with suppress(ArtifactError, KeyError):
        return read_manifest(model_folder).files["model.safetensors"]["sha256"]
    found = sorted(model_folder.glob("*.safetensors"))
    if not found:
        raise ArtifactError("no weights here", where=model_folder, expected="model.safetensors")
    return "-".join(sha256_of(file) for file in found)


def write_result(result: Result, outcome: Outcome, inputs: dict[str, str], lang: str, folder: Path) -> Path:
    """Write the artifact of an evaluation, its pictures among the files where there is matplotlib, and return it."""
    manifest = Manifest(
        kind=KIND, inputs=inputs, config={"draws": DRAWS, "seed": SEED}, counts={"items": result.items},
        about={"task": result.task, "licence": result.licence}, seconds=result.seconds,
    )  # fmt: skip
    out = folder / result.task
    make_folder(folder)
    with write_artifact(out, manifest) as inside:
        tree = {k: v for k, v in vars(result).items() if k != "path"}
        write_json(inside / RESULT, tree)
        lines = (json.dumps(item, ensure_ascii=False) + "\n" for item in outcome.items)
        (inside / ITEMS).write_text("".join(lines), encoding="utf-8")
        draw_outcome(result.details, inside, lang)
    return out


def read_results(folder: Path, model: str) -> list[Result]:
    """Return the evaluations kept in a folder that are of the model with these weights, by name; damaged ones are left out."""
    found = []
    for path in sorted(p.parent for p in folder.glob(f"*/{MANIFEST}")):
        with suppress(DozeroError):
            if open_artifact(path, KIND).inputs.get("model") == model:
                tree = json.loads((path / RESULT).read_text(encoding="utf-8"))
                found.append(Result(**tree, path=str(path)))
    return found


def headlines(results: Iterable[Result]) -> dict[str, dict[str, Any]]:
    """Return the headline of each task."""
    return {result.task: result.headline for result in results}


def result_of(
    task: str, kind: str, outcome: Outcome, seconds: float, *, lang: str = "", licence: str = "", of_items: int = 0
) -> Result:
    """Return the result of an outcome."""
    measures = [measure_tree(measure) for measure in outcome.measures]
    items = len(outcome.items)
    return Result(task, kind, lang, licence, items, of_items or items, measures, outcome.details, round(seconds, 3))
