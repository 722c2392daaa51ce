"""What plots.py promises: the curves of any run as pictures, the same each time, and missed politely."""

import dataclasses
import sys

import pytest

from dozero.errors import MissingExtra
from dozero.testing import tiny_config
from dozero.train.plots import HELDOUT, TEXT, TRAIN, draw_run_plots
from dozero.train.run_facts import RunFacts

Image = pytest.importorskip("PIL.Image", reason="pictures are looked at with Pillow, which comes with matplotlib")


def layers(step, depth=2):
    names = ["embedding", *(f"layer {i} {part}" for i in range(depth) for part in ("attention", "mlp")), "head"]
    return {name: {"update_ratio": 0.01 / (i + 1 + step / 50), "grad_norm": 1.0} for i, name in enumerate(names)}


def facts_of(run, steps=400, depth=2):
    losses = [
        {"step": s, "loss": 3 / (1 + s / 80) + s % 3 / 9, "grad_norm": 1 + s % 4 / 4, "lr_scale": 1 - s / steps, "tokens": s}
        for s in range(1, steps, 3)
    ]  # fmt: skip
    heldout = [
        {"step": s, "heldout_loss": 3 / (1 + s / 99), "heldout_bits_per_byte": 4 / (1 + s / 99)}
        for s in range(20, steps, 20)
    ]
    looks = [
        {"step": s, "observed_lr_scale": 1 - s / steps, "layers": layers(s, depth)} for s in range(10, steps + 1, 10)
    ]
    timings = [{"step": x["step"], "tokens_per_s": 15_000 + 99 * (x["step"] % 7)} for x in losses]
    return RunFacts(run, tiny_config(), {"vocab_size": 30}, losses, heldout, looks, timings)


@pytest.fixture
def facts(tmp_path):
    return facts_of(tmp_path / "run")


def share_of(colour, file):
    """The share of a picture's points that have a colour."""
    wanted = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        points = list(picture.convert("RGB").get_flattened_data())
    return points.count(wanted) / len(points)


@pytest.mark.parametrize("lang", ["pt", "en"])
def test_two_pictures_show_both_losses_and_what_happened(lang, facts, tmp_path):
    loss, learning = draw_run_plots(facts, tmp_path / "plots", lang)
    assert (loss.name, learning.name) == ("loss.png", "learning.png")
    assert share_of(TRAIN, loss) > 0.001
    assert share_of(HELDOUT, loss) > 0.001
    assert share_of(TRAIN, learning) > 0.001


def test_the_pictures_of_the_same_run_are_the_same_bytes_and_the_language_shows(facts, tmp_path):
    once = [file.read_bytes() for file in draw_run_plots(facts, tmp_path / "a", "pt")]
    assert [file.read_bytes() for file in draw_run_plots(facts, tmp_path / "b", "pt")] == once
    other = [file.read_bytes() for file in draw_run_plots(facts, tmp_path / "a", "en")]
    assert all(a != b for a, b in zip(once, other, strict=True))


@pytest.mark.parametrize(
    "left_out", [("heldout",), ("looks",), ("timings",), ("heldout", "looks", "timings")], ids="-".join
)
def test_what_a_run_did_not_log_is_left_out(left_out, facts, tmp_path):
    bare = dataclasses.replace(facts, **{name: [] for name in left_out})
    assert len(draw_run_plots(bare, tmp_path / "plots", "en")) == 2


def test_deep_models_layers_that_do_not_move_and_very_short_runs_are_drawn(tmp_path):
    deep = facts_of(tmp_path, depth=30)
    for look in deep.looks:
        look["layers"]["layer 3 mlp"]["update_ratio"] = 0.0
    assert len(draw_run_plots(deep, tmp_path / "deep", "pt")) == 2
    assert len(draw_run_plots(facts_of(tmp_path, steps=7), tmp_path / "short", "pt")) == 2
    assert draw_run_plots(facts_of(tmp_path, steps=2), tmp_path / "none", "pt") == []
    assert not (tmp_path / "none").exists()


def test_without_matplotlib_the_install_line_is_told(facts, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"dozero\[plots\]"):
        draw_run_plots(facts, tmp_path / "plots", "en")
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize("key", TEXT)
def test_every_caption_stands_in_both_languages(key):
    portuguese, english = TEXT[key]
    assert portuguese.strip()
    assert english.strip()
    assert portuguese.count("{") == english.count("{")
