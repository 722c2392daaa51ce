"""Is one model better than another? Both are asked the same items, and the same items are drawn for both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from dozero.errors import DataError
from dozero.eval.bootstrap import Difference, difference_of
from dozero.eval.exams import Asking, Exam, Skipped
from dozero.eval.measure import Measure, Outcome
from dozero.eval.task import Task
from dozero.generate.language_model import LanguageModel


@dataclass(frozen=True)
class Compared:
    """What two models made of the same items, and whether the difference is real."""

    task: str
    kind: str
    items: int
    first: Measure
    second: Measure
    difference: Difference
    """Second minus first."""

    @property
    def better(self) -> str | None:
        """Return "first" or "second" where one is better and chance does not explain it, else None."""
        if not self.difference.is_real:
            return None
        return "second" if (self.difference.interval.value > 0) == self.first.more_is_better else "first"


def compare_models(
    first: LanguageModel, second: LanguageModel, exams: Sequence[Exam]
) -> Iterator[Asking | Skipped | Compared]:
    """Ask two models each exam and yield how they differ; an exam that one of them cannot read may be left out."""
    for exam in exams:
        yield Asking(exam.name, exam.kind)
        try:
            outcomes = exam.ask(first), exam.ask(second)
        except DataError as error:
            if not exam.is_optional:
                raise
            yield Skipped(exam.name, str(error))
            continue
        yield compare_outcomes(exam.name, exam.kind, *outcomes)


def compare_outcomes(task: str, kind: str, first: Outcome, second: Outcome) -> Compared:
    """Return how the headlines of two models differ on the same items."""
    assert [i["where"] for i in first.items] == [i["where"] for i in second.items], "not the same items"
    difference = difference_of(first.headline, second.headline, len(first.items))
    return Compared(task, kind, len(first.items), first.measures[0], second.measures[0], difference)


def compared_tree(compared: Compared) -> dict[str, object]:
    """Return a comparison as JSON holds it."""
    return {"event": "Compared", **asdict(compared), "better": compared.better}


def without_texts(task: Task, seen: Iterable[str]) -> tuple[Task, int]:
    """Return the task without the texts that were seen, in training say, and how many were left out.

    DataError when none is left.
    """
    asked = {item[task.config.text] for item in task.items}
    known = {text for text in seen if text in asked}
    kept = tuple(item for item in task.items if item[task.config.text] not in known)
    if not kept:
        raise DataError(
            "no held-out document is new to both models", where=task.name,
            expected="documents that neither was trained on", next="dozero compare A B --task FILE",
        )  # fmt: skip
    return replace(task, items=kept), len(task.items) - len(kept)
