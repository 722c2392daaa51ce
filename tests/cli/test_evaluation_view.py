"""How an evaluation looks: figures with interval and chance, in the words and numbers of each language, whatever the labels."""

import pytest

from dozero.cli.display import Display
from dozero.cli.evaluation_view import COPIES_SHOWN, show_result
from dozero.eval.results import Result

BITS = {"name": "bits_per_byte", "value": 1.25, "low": 1.2, "high": 1.3, "chance": 4.0, "verdict": "better"}
ACCURACY = {"name": "accuracy", "value": 0.5, "low": 0.25, "high": 0.75, "chance": 0.5, "verdict": "at_chance"}
CLASSES = [
    {"label": label, "precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 4} for label in ("positivo", "[bold]não")
]
LABELS = Result("mine", "label", "pt", "own", 8, 20, [ACCURACY], {
    "labels": ["positivo", "[bold]não"], "classes": CLASSES, "confusion": [[1, 3], [1, 3]],
})  # fmt: skip
COPY = {
    "sample": 2,
    "at": 0,
    "characters": 1234,
    "text": "um\ntrecho [dim]",
    "document": "d1",
    "source": "a.txt",
    "licence": "",
}


def lines_of(result, lang, capsys):
    show_result(Display(lang), result)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("lang", "head", "line"),
    [
        ("en", "heldout  1,200 items, 3.5 s", "  bits per byte (less is better)     1.2500   95%: 1.2000 to 1.3000   chance: 4.0000"),
        ("pt", "heldout  1.200 itens, 3,5 s", "  bits por byte (menos é melhor)     1,2500   95%: 1,2000 a 1,3000   acaso: 4,0000"),
    ],
)  # fmt: skip
def test_a_figure_stands_with_its_interval_and_chance(lang, head, line, capsys):
    _, *told = lines_of(Result("heldout", "text", "pt", "own", 1200, 1200, [BITS], seconds=3.5), lang, capsys)
    assert told == [head, line]


def test_what_is_no_better_than_chance_is_called_so(capsys):
    told = "\n".join(lines_of(LABELS, "en", capsys))
    assert "8 of 20 items" in told
    assert "at chance: not told apart from guessing" in told
    worse = Result("t", "choice", "pt", "own", 8, 8, [ACCURACY | {"high": 0.4, "verdict": "worse"}])
    assert lines_of(worse, "en", capsys)[-1].endswith("worse than guessing")


def test_the_classes_and_their_confusion_are_a_table(capsys):
    told = lines_of(LABELS, "en", capsys)
    start = next(i for i, line in enumerate(told) if "precision" in line)
    assert told[start + 1].split() == ["positivo", "0.500", "0.250", "0.333", "4"]
    assert told[start + 2].split() == ["[bold]não", "0.500", "0.250", "0.333", "4"]
    assert told[-2].split() == ["positivo", "░", "1", "▓", "3"]
    assert len(told[-1]) == len(told[-2]) == len(told[-3])


def test_calibration_is_a_bar_for_each_band_with_a_mark_where_it_should_end(capsys):
    bins = [{"low": 0.0, "high": 0.2, "count": 3000, "confidence": 0.125, "accuracy": 0.5}]
    line = lines_of(Result("t", "text", "pt", "own", 9, 9, [BITS], {"bins": bins}), "pt", capsys)[-1]
    assert line.split() == ["0,00", "a", "0,20", "███│████████············", "50,0%", "3.000"]


@pytest.mark.parametrize("count", [0, 1, COPIES_SHOWN + 2])
def test_copies_are_told_with_document_and_licence_or_that_there_are_none(count, capsys):
    details = {"shortest": 30, "documents": 10, "copies": [COPY] * count}
    told = lines_of(Result("samples", "samples", "", "", 5, 5, [BITS], details, path="here"), "en", capsys)
    shown = [line for line in told if "sample 2" in line]
    assert len(shown) == min(count, COPIES_SHOWN)
    for line in shown:
        assert line == "    1,234 characters, sample 2, from a.txt (licence unknown; document d1): um trecho [dim]"
    assert ("no passage of 30 or more characters was copied (10 documents compared)" in "\n".join(told)) == (count == 0)
    assert ("    and 2 more; all are in here" in told) == (count > COPIES_SHOWN)
