"""The pictures of a report: made where there is something to show, the same each time, and missed politely."""

import sys

import pytest

from dozero.corpus.document import Document
from dozero.corpus.plots import BARS, DROPPED_COLOUR, KEPT_COLOUR, TEXT, draw_plots
from dozero.corpus.report import summarise
from dozero.corpus.store import Stored
from dozero.errors import MissingExtra

Image = pytest.importorskip("PIL.Image", reason="pictures are looked at with Pillow, which comes with matplotlib")


def stored(n, reason=None, lang="pt"):
    document = Document("palavra " * (n % 90 + 1), f"{n}.txt", "MIT", lang, "docs")
    return Stored(f"{n:016x}", document, reason)


@pytest.fixture(scope="module")
def report():
    rows = [stored(n) for n in range(60)] + [stored(n, "near duplicate", "en") for n in range(60, 90)]
    return summarise(rows).to_json()


def share_of(colour, file):
    """The share of a picture's points that have a colour."""
    wanted = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        points = list(picture.convert("RGB").get_flattened_data())
    return points.count(wanted) / len(points)


@pytest.mark.parametrize("lang", ["pt", "en"])
def test_three_pictures_show_kept_and_dropped(tmp_path, report, lang):
    files = draw_plots(report, tmp_path, lang)
    assert files == [tmp_path / f"{name}.png" for name in ("lengths", "languages", "reasons")]
    for file in files:
        assert share_of(DROPPED_COLOUR, file) > 0.03
    assert share_of(KEPT_COLOUR, tmp_path / "languages.png") > share_of(DROPPED_COLOUR, tmp_path / "languages.png")
    assert share_of(KEPT_COLOUR, tmp_path / "reasons.png") == 0


def test_the_same_report_gives_the_same_bytes_and_the_language_other_captions(tmp_path, report):
    pictures = [
        [f.read_bytes() for f in draw_plots(report, tmp_path / d, lang)]
        for d, lang in (("a", "pt"), ("b", "pt"), ("c", "en"))
    ]
    assert pictures[0] == pictures[1]
    assert all(one != other for one, other in zip(pictures[0], pictures[2], strict=True))


def test_nothing_to_show_is_no_picture_and_an_old_one_goes(tmp_path):
    nothing = summarise([stored(1)]).to_json()
    (tmp_path / "reasons.png").write_bytes(b"old")
    assert [file.name for file in draw_plots(nothing, tmp_path, "en")] == ["lengths.png", "languages.png"]
    assert not (tmp_path / "reasons.png").exists()
    assert draw_plots(summarise([]).to_json(), tmp_path, "en") == []


def test_many_languages_and_documents_without_a_word_fit(tmp_path):
    rows = [stored(n, None if n % 2 else "language", f"x{n}") for n in range(3 * BARS)]
    rows.append(Stored("f" * 16, Document("", "e.txt", "", "", ""), "empty"))
    draw_plots(summarise(rows).to_json(), tmp_path, "pt")
    with Image.open(tmp_path / "languages.png") as picture:
        assert picture.size[1] < 1200


def test_without_matplotlib_the_install_line_is_told(tmp_path, report, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"matplotlib.*dozero\[plots\]"):
        draw_plots(report, tmp_path, "en")


def test_captions_stand_in_both_languages():
    assert all(portuguese and english for portuguese, english in TEXT.values())
