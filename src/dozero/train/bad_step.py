"""A bad step in a running session: it is skipped, gone back from, or ends the run, and the metrics tell its documents."""

from __future__ import annotations

from dozero.dataset.batch import rows_of_step, window_of_step
from dozero.dataset.origin import documents_of_rows
from dozero.errors import DivergedError
from dozero.train.checkpoint import checkpoint_path, load_to_go_back
from dozero.train.continuation import note_dataset
from dozero.train.divergence import choose_action, go_back, last_regular_save, passed_over, rollback_facts
from dozero.train.events import Diverged
from dozero.train.parallel import give_state
from dozero.train.session import Session


def skip_or_go_back(s: Session, error: DivergedError) -> Diverged:
    """Do about a bad step what the settings say, or raise its error."""
    step, back_to = s.state.step, last_regular_save(s.state.step, s.config.train.save_every)
    action = choose_action(s.config, s.state.skips_in_a_row, s.state.rollbacks, back_to)
    if action == "raise":
        raise error
    documents = _documents_of(s, window_of_step(step, s.passed_over))
    if action == "skip":
        s.state.step += 1
        s.state.skips_in_a_row += 1
        s.metrics.write(step=s.state.step, diverged=error.got, action=action, documents=documents)
    else:
        _go_back(s, back_to, error)
    return Diverged(step + 1, action, error.what, str(error.got), tuple(documents), s.state.step)


def _go_back(s: Session, back_to: int, error: DivergedError) -> None:
    """Become the run as it was at a checkpoint, but for the data passed over from there on."""
    bad = s.state
    s.state = load_to_go_back(s.run, back_to, s.model, s.optimizer, s.team)
    s.state.rollbacks = [*bad.rollbacks, go_back(bad.rollbacks, bad.step, s.state.step, error)]
    s.state.seconds, s.saved_at, s.passed_over = bad.seconds, s.state.step, passed_over(s.state.rollbacks)
    note_dataset(s.state, list(bad.datasets.values())[-1])
    for log in (s.metrics, s.samples, s.timings):
        log.cut(s.state.step)
    log_turns(s)
    if s.team is not None:
        give_state(s.team, s.model, s.optimizer, s.state, checkpoint_path(s.run, s.state.step))


def log_turns(s: Session) -> None:
    """Tell what turned the run at this step, at the first step after it: a run that continues from here tells it again."""
    dataset = s.state.datasets.get(str(s.state.step))
    if dataset and s.state.step:
        s.metrics.write(step=s.state.step + 1, dataset=dataset)
    for rollback in s.state.rollbacks:
        if rollback.back_to >= s.state.step:
            documents = _documents_of(s, rollback.windows[-1])
            s.metrics.write(step=s.state.step + 1, **rollback_facts(rollback), documents=documents)


def tell_bad_step(s: Session, error: DivergedError) -> Diverged:
    """Log the bad step that ends a run."""
    documents = _documents_of(s, window_of_step(s.state.step, s.passed_over))
    s.metrics.write(step=s.state.step + 1, diverged=error.got, action="raise", documents=documents)
    return Diverged(s.state.step + 1, "raise", error.what, str(error.got), tuple(documents), s.state.step)


def _documents_of(s: Session, window: int) -> list[int]:
    rows = rows_of_step(s.train_rows.mix, s.rows_per_step, s.config.seed, window)
    return documents_of_rows(s.train_rows, rows, s.stream)
