"""Pictures of an evaluation: those that its details give, drawn again the same."""

import pytest

from dozero.eval.plots import MOST_LABELS, draw_outcome

pytest.importorskip("matplotlib", reason="needs the extra plots")
DETAILS = {
    "labels": ["sim", "não"],
    "confusion": [[5, 1], [2, 7]],
    "bins": [{"low": 0.0, "high": 0.2, "count": 5, "confidence": 0.1, "accuracy": 0.2}],
}


@pytest.mark.parametrize("lang", ["pt", "en"])
def test_both_pictures_are_drawn_and_drawn_again_the_same(tmp_path, lang):
    first = draw_outcome(DETAILS, tmp_path, lang)
    assert [file.name for file in first] == ["confusion.png", "reliability.png"]
    before = [file.read_bytes() for file in first]
    assert all(picture.startswith(b"\x89PNG") for picture in before)
    assert [file.read_bytes() for file in draw_outcome(DETAILS, tmp_path, lang)] == before


def test_without_details_there_is_nothing_to_draw(tmp_path):
    assert draw_outcome({}, tmp_path, "en") == []
    many = [str(n) for n in range(MOST_LABELS + 1)]
    assert draw_outcome({"labels": many, "confusion": [[0] * len(many)] * len(many)}, tmp_path, "en") == []
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_there_are_no_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr("dozero.eval.plots.find_spec", lambda name: None)
    assert draw_outcome(DETAILS, tmp_path, "en") == []
    assert list(tmp_path.iterdir()) == []
