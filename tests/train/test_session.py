"""What session.py holds comes from the checkpoint where there is one: the place, what is saved, what is passed over."""

import torch

from dozero.device import Device
from dozero.testing import tiny_config, tiny_dataset
from dozero.train.checkpoint import RunState, save_checkpoint
from dozero.train.divergence import Rollback
from dozero.train.learner import build_model
from dozero.train.loop import _open_session
from dozero.train.optim import build_optimizer
from dozero.train.step import Schedule

CPU = Device("cpu", torch.float32, 1)


def test_a_session_opened_on_a_checkpoint_knows_its_place_and_what_it_leaves_out(tmp_path):
    config, data = tiny_config(), tiny_dataset(tmp_path / "dataset")
    model = build_model(config, data[0].vocab_size, CPU)
    state = RunState(8, Schedule(12), rollbacks=[Rollback(9, 8, [8, 9], "", ""), Rollback(5, 4, [4, 5], "", "")])
    run = tmp_path / "run"
    save_checkpoint(run, state, model, build_optimizer(model, config.optim), data[1], keep=1)
    session, started = _open_session(config, *data, run, CPU, strict=True)
    assert (session.state.step, session.saved_at, started.step) == (8, 8, 8)
    assert session.passed_over == [4, 5, 8, 9]
    assert session.stream is data[0].train
    for log in (session.metrics, session.samples, session.timings):
        log.close()


def test_a_session_of_a_new_run_begins_at_nothing(tmp_path):
    config, data = tiny_config(), tiny_dataset(tmp_path / "dataset")
    (tmp_path / "run").mkdir()
    session, _ = _open_session(config, *data, tmp_path / "run", CPU, strict=False)
    assert (session.state.step, session.saved_at, session.passed_over) == (0, 0, [])
    assert session.state.datasets == {"0": data[0].manifest.fingerprint}
    for log in (session.metrics, session.samples, session.timings):
        log.close()
