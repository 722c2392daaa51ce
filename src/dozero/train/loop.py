"""The loop: an iterator of events that trains a model, saves it, and continues where it was left.

Killed at any instant and started again with the same settings, it gives the same weights and metrics, bit for bit:
the batch of a step follows from (seed, step), a checkpoint holds everything else, and the logs are cut back to it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dozero.dataset.batch import Batch, batch_of_step, window_of_step
from dozero.dataset.rows import pack_rows
from dozero.dataset.shards import Dataset
from dozero.device import Device
from dozero.durable import explain_os_errors, lock
from dozero.errors import ArtifactError, DivergedError, ModelMismatch, PeerLost
from dozero.settings import RunConfig
from dozero.tokenizer.tokenizer import Tokenizer
from dozero.train.attention import settle_attention
from dozero.train.bad_step import log_turns, skip_or_go_back, tell_bad_step
from dozero.train.checkpoint import RunState, checkpoint_path, load_newest, machine_facts, save_checkpoint, ways_of
from dozero.train.compiled import settle_compile
from dozero.train.continuation import claim_run, machine_differences, note_dataset, refuse_differences
from dozero.train.divergence import last_regular_save, passed_over, way_out
from dozero.train.end import first_end, move_end, share_done
from dozero.train.events import Compiling, Event, Saved, Started, Stepped, Stopped, Unsaved
from dozero.train.finish import finish
from dozero.train.learner import build_learner
from dozero.train.log import StepLog
from dozero.train.loss import SPIKE_WINDOW, spike_limit
from dozero.train.memory import explain_memory_errors
from dozero.train.observe import snapshot
from dozero.train.parallel import give_state, step_together
from dozero.train.scales import data_facts, scales_of
from dozero.train.session import Earlier, Session
from dozero.train.step import Schedule, StepResult, train_step
from dozero.train.team import Call, Order, Team, dismiss, lone_team
from dozero.train.tell import evaluate, log_step, observe, sample

FIRST_LOOK = 10  # early, because what is wrong with a learning rate shows most plainly in weights that are still small
LOGS = ("metrics.jsonl", "samples.jsonl", "timings.jsonl")


def train(
    config: RunConfig,
    dataset: Dataset,
    tokenizer: Tokenizer,
    run: Path,
    device: Device,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    strict: bool = False,
    allow_data_change: bool = False,
    team: Team | None = None,
    earlier: Earlier | None = None,
) -> Iterator[Event]:
    """Train until config.train.steps, yielding what happens; then write `run/model` and score all held-out text.

    `metrics.jsonl` and `samples.jsonl` are functions of the settings alone; everything the clock decides is in
    `timings.jsonl`. (Under `train.max_seconds` a slow machine moves the end of the run; that is logged, and the
    exception.) Leaving the loop early, or `should_stop`, saves a checkpoint first. A finished run yields Finished
    at once. `strict` refuses to continue where the bits may differ; `allow_data_change` continues on another dataset.
    What an `earlier` run found by the clock takes the place of the clock here.
    In a `team` this is the leader's part; the others `follow`.
    """
    team = team or lone_team(config.train)
    try:
        _check_tokenizer(tokenizer, dataset, run)
        with lock(run), explain_memory_errors(config, run):
            claim_run(config, dataset, tokenizer, run, allow_data_change=allow_data_change)
            session, started = _open_session(
                config, dataset, tokenizer, run, device, strict=strict, team=team, earlier=earlier
            )
            try:
                yield started
                yield from _train_session(session, should_stop)
                if session.state.step == session.state.schedule.total_steps:
                    yield finish(session, dataset)
            finally:
                for log in (session.metrics, session.samples, session.timings):
                    log.close()
    finally:
        dismiss(team)


def _check_tokenizer(tokenizer: Tokenizer, dataset: Dataset, run: Path) -> None:
    if tokenizer.vocab_size != dataset.vocab_size:
        raise ModelMismatch(
            "tokenizer and dataset disagree", where=run, expected=dataset.vocab_size, got=tokenizer.vocab_size
        )


def clear_run(run: Path) -> None:
    """Delete what a run wrote, so that it starts anew; other files in the folder stay."""
    with lock(run), explain_os_errors(run):
        for name in ("checkpoints", "model", "plots"):
            shutil.rmtree(run / name, ignore_errors=True)
        for name in ("run.toml", "sampled", "report.md", "plan.json", *LOGS):
            (run / name).unlink(missing_ok=True)


def _open_session(
    config: RunConfig,
    dataset: Dataset,
    tokenizer: Tokenizer,
    run: Path,
    device: Device,
    *,
    strict: bool,
    team: Team | None = None,
    earlier: Earlier | None = None,
) -> tuple[Session, Started]:
    model, optimizer = build_learner(config, dataset.vocab_size, device, team)
    saved, broken = load_newest(run, model, optimizer, team)
    before = saved.machine if saved else earlier.machine if earlier else {}
    attention, took_ms = settle_attention(model, config, device, before, is_verified=bool(team and team.slots))
    compiling = settle_compile(model, config, device, before) if team is None else Compiling()
    differences = machine_differences(saved, machine_facts(device.dtype, team, ways_of(model)))
    if strict:
        refuse_differences(differences, run)
    state = saved or RunState(0, Schedule(first_end(config.train)))
    state.seconds += compiling.seconds
    if team is not None:
        give_state(team, model, optimizer, state, checkpoint_path(run, state.step) if saved else None)
    logged = state.step or -1  # begun anew, a run tells of step 0 again
    other_data = note_dataset(state, dataset.manifest.fingerprint)
    T = config.model.max_seq_len
    session = Session(
        config, run, model, tokenizer, optimizer,
        pack_rows(dataset.train, T), pack_rows(dataset.heldout, T, config.eval.heldout_docs), config.rows_per_step,
        config.rows_at_once, state, *(StepLog(run / name, logged) for name in LOGS),
        scales=scales_of(config, dataset, device, team.size if team else 1), stream=dataset.train, saved_at=state.step,
        passed_over=passed_over(state.rollbacks), team=team, earlier=earlier,
    )  # fmt: skip
    if logged < 0:
        session.metrics.write(step=0, **data_facts(config, dataset))
    log_turns(session)
    params = sum(p.numel() for p in model.parameters())
    total = state.schedule.total_steps
    return session, Started(
        state.step, total, params, broken, (*differences, *other_data), attention, took_ms, compiling
    )


def _train_session(s: Session, should_stop: Callable[[], bool]) -> Iterator[Event]:
    """Run steps until the end; whatever leaves between two steps finds a checkpoint written."""
    if s.state.step == 0:
        yield sample(s)
        if s.config.train.on_divergence == "rollback":
            yield _save(s)  # what there is to go back to
    try:
        by_clock = s.config.train.max_seconds > 0
        while s.state.step < s.state.schedule.total_steps:
            done = share_done(s) if by_clock else 0.0
            # All of it before telling any, so that leaving finds a whole step.
            yield from [*_one_step(s), *(move_end(s, done) if by_clock else ())]
            if s.state.step % s.config.train.save_every == 0 or s.state.step == s.state.schedule.total_steps:
                yield _save_when_due(s)
            if should_stop():
                break
    except (GeneratorExit, PeerLost) as reason:
        if not (s.is_sharded and isinstance(reason, PeerLost)):  # of a lost peer's share there is nothing to save
            _save_unless_saved(s)
        raise
    except DivergedError as error:
        told = tell_bad_step(s, error)
        _save_unless_saved(s)
        yield told
        error.next = way_out(s.config)
        raise
    if s.state.step < s.state.schedule.total_steps:
        if s.state.step != s.saved_at:
            yield _save(s)
        yield Stopped(s.state.step, s.state.schedule.total_steps)


def _one_step(s: Session) -> Iterator[Event]:
    """Make one update, or what is done instead at a bad step, and yield what is due after it."""
    step = s.state.step
    due = _due_after(step + 1, s.state.schedule.total_steps, s.config)
    before = snapshot(s.optimizer) if due["observe"] and not s.is_sharded else None
    began = time.perf_counter()
    try:
        result, batch, loaded = _update(s, keep_gradients=before is not None)
    except DivergedError as error:
        yield skip_or_go_back(s, error)
        if s.state.step > step:
            yield from _look(s, due)
        return
    took = max(1e-9, time.perf_counter() - began)  # of a virtual machine that was moved, a clock may stand still
    s.state.step += 1
    s.state.tokens += batch.target_tokens
    s.state.seconds += took
    s.state.skips_in_a_row = 0
    s.state.losses = [*s.state.losses, result.loss][-SPIKE_WINDOW:]
    stepped = _tell_step(s, result, batch.target_tokens / took)
    if due["log"]:
        log_step(s, stepped, (loaded - began) / took)
    yield stepped
    if before is not None:
        looked = time.perf_counter()
        yield observe(s, before, batch, result)
        s.state.seconds += time.perf_counter() - looked
    yield from _look(s, due)


def _update(s: Session, *, keep_gradients: bool) -> tuple[StepResult, Batch, float]:
    """Update the weights once, alone or in a team; return what was measured, the rows computed here, when they were there.

    Raises DivergedError before the update, in a team in all its processes alike.
    """
    step, schedule = s.state.step, s.state.schedule
    window = window_of_step(step, s.passed_over)
    limit = spike_limit(s.state.losses, s.config.train.spike_sigma)
    if s.team is not None:
        call = Call(Order.STEP, step, schedule, window, limit)
        return step_together(
            s.team, s.model, s.optimizer, s.train_rows, s.config, call, keep_gradients=keep_gradients
        )  # fmt: skip
    batch = batch_of_step(s.train_rows, s.rows_per_step, s.config.seed, window).to(s.model.lm_head.weight.device)
    loaded = time.perf_counter()
    result = train_step(
        s.model, s.optimizer, batch, step, schedule, limit, rows_at_once=s.rows_at_once, keep_gradients=keep_gradients
    )
    return result, batch, loaded


def _look(s: Session, due: Mapping[str, bool]) -> Iterator[Event]:
    """Evaluate and sample when due."""
    looked = time.perf_counter()
    if due["eval"]:
        yield evaluate(s)
    if due["sample"]:
        yield sample(s)
    s.state.seconds += time.perf_counter() - looked


def _due_after(step: int, total_steps: int, config: RunConfig) -> dict[str, bool]:
    """Return what is to be done after `step` updates; after the last one, all that is ever done."""
    every = {name: getattr(config.train, f"{name}_every") for name in ("log", "observe", "eval", "sample")}
    due = {name: n > 0 and (step % n == 0 or step == total_steps) for name, n in every.items()}
    if every["observe"] and step == FIRST_LOOK:
        due["observe"] = True
    return due


def _tell_step(s: Session, result: StepResult, tokens_per_s: float) -> Stepped:
    peak = s.scales.peak_tokens_per_s
    return Stepped(
        s.state.step, s.state.schedule.total_steps, result.loss, result.grad_norm, result.lr_scale,
        s.state.tokens, tokens_per_s, s.state.seconds, result.loss * s.scales.train_bits,
        tokens_per_s / peak if peak else None,
    )  # fmt: skip


def _save_when_due(s: Session) -> Saved | Unsaved:
    """Save, or where the settings want to go on without what the disk has no room for, tell why not."""
    try:
        return _save(s)
    except ArtifactError as error:
        is_last = s.state.step == s.state.schedule.total_steps
        others_wait = s.team is not None and s.team.is_sharded and not s.team.is_at_work  # inside the save
        if s.config.train.on_full_disk == "stop" or is_last or others_wait:
            raise
        return Unsaved(s.state.step, str(error))


def _save_unless_saved(s: Session) -> None:
    if s.state.step != s.saved_at:
        _save(s)


def _save(s: Session) -> Saved:
    began = time.perf_counter()
    for log in (s.metrics, s.samples, s.timings):
        log.sync()
    goes_back, train_config = s.config.train.on_divergence == "rollback", s.config.train
    regular = last_regular_save(s.state.step, train_config.save_every) if goes_back else None
    path = save_checkpoint(s.run, s.state, s.model, s.optimizer, s.tokenizer, train_config.keep, regular, s.team)
    s.saved_at = s.state.step
    s.state.seconds += time.perf_counter() - began
    return Saved(s.state.step, path)
