"""`dozero train --dry-run`: what it tells, in both languages, and what it advises where memory is short."""

import json
from dataclasses import replace

import pytest

from dozero.cli.cost import tell_cost
from dozero.cli.display import Display
from dozero.device import pick_device
from dozero.model.cost import model_cost, update_flops
from dozero.model.memory import training_memory
from dozero.pipeline.stages import Workspace, prepared
from dozero.testing import tiny_config, tiny_workspace
from dozero.train.room import look_for_room

BIG = ("model.n_layers=4", "train.batch_tokens=1024", "train.observe_every=0")


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """Settings of a run with room for portions, and its data."""
    root = tmp_path_factory.mktemp("cost")
    tiny_workspace(root)
    config = tiny_config(*BIG, f"data.source={root / 'words.txt'}")
    return config, prepared(config, Workspace(root))


def shown(ready, capsys, lang="en", *, as_json=False, share=None):
    """What is told where only a share of what the run needs is available, or by default what there is."""
    config, data = ready
    device = pick_device("cpu", "float32", 1)
    room = look_for_room(config, data.tokenizer.vocab_size, device)
    if share is not None:
        room = replace(room, available_bytes=int(room.memory.peak_bytes * share))
    with Display(lang, as_json=as_json) as display:
        tell_cost(display, config, data, device, room)
    return capsys.readouterr().out


@pytest.mark.parametrize(("lang", "words"), [("en", ("memory:", "time: about")), ("pt", ("memória:", "tempo: uns"))])
def test_it_tells_parameters_memory_and_time(ready, capsys, lang, words):
    told = shown(ready, capsys, lang)
    assert len(told.splitlines()) == 4
    assert all(word in told for word in words)
    assert f"{training_memory(ready[0], 13, 4).alive_bytes / 1e6:.1f} MB" in told


def test_as_json_it_tells_the_figures_themselves(ready, capsys):
    facts = json.loads(shown(ready, capsys, as_json=True))
    cost, memory = model_cost(ready[0].model, 13), training_memory(ready[0], 13, 4)
    assert facts["parameters"] == cost.params
    assert facts["update_flops"] == 12 * update_flops(ready[0].model)
    assert facts["memory"]["peak_bytes"] == memory.peak_bytes
    assert facts["memory"]["needed_bytes"] == memory.peak_bytes + facts["memory"]["idle_bytes"]
    assert facts["memory"]["fits"]
    assert facts["settings_that_fit"] == []
    assert facts["seconds"] > 0


def test_of_a_run_that_the_clock_ends_it_tells_what_is_expected_not_all_that_is_allowed(ready, capsys):
    config, data = ready
    clocked = {"steps": 900, "max_seconds": 60.0, "expected_steps": 300}
    planned = config.model_copy(update={"train": config.train.model_copy(update=clocked)})
    facts = json.loads(shown((planned, data), capsys, as_json=True))
    alone = json.loads(shown(ready, capsys, as_json=True))
    assert facts["steps"] == 300
    for name in ("training_flops", "update_flops", "epochs"):
        assert facts[name] == pytest.approx(300 / 12 * alone[name], rel=0.01)


@pytest.mark.parametrize(("lang", "words"), [
    ("en", ("it may not fit", "not measured")), ("pt", ("pode não caber", "não medido")),
])  # fmt: skip
def test_without_room_it_warns_names_what_fits_and_makes_no_step(ready, capsys, lang, words):
    told = shown(ready, capsys, lang, share=0.5)
    assert all(word in told for word in words)
    assert "train.micro_batch_tokens=" in told
    assert json.loads(shown(ready, capsys, as_json=True, share=0.5))["seconds"] is None


def test_where_nothing_helps_it_says_so(ready, capsys):
    assert "make the model smaller" in shown(ready, capsys, share=0.001)
    facts = json.loads(shown(ready, capsys, as_json=True, share=0.001))
    assert not facts["memory"]["fits"]
    assert facts["settings_that_fit"] == []
