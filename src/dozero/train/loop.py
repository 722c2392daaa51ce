"""The loop: an iterator of events that trains a model, saves it, and continues where it was left.

Killed at any instant and started again with the same settings, it gives the same weights and metrics, bit for bit:
the batch of a step follows from (seed, step), a checkpoint holds everything else, and the logs are cut back to it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from dozero.artifact import (
    Manifest,
    explain_os_errors,
    is_current,
    lock,
    read_manifest,
    sweep_leftovers,
    write_artifact,
    write_whole,
)
from dozero.config import load_config
from dozero.dataset.batch import Batch, batch_of_step, pack_rows, window_of_step
from dozero.dataset.shards import Dataset
from dozero.device import Device, generator
from dozero.errors import ArtifactError, DivergedError, ModelMismatch
from dozero.eval.likelihood import Surprise, measure_surprise, total_nats
from dozero.generate.language_model import LanguageModel
from dozero.hardware import resident_memory_bytes
from dozero.model.hf import write_model_files
from dozero.model.initialize import initialize
from dozero.model.transformer import Transformer
from dozero.settings import RunConfig
from dozero.tokenizer.tokenizer import Tokenizer
from dozero.train.bad_step import log_turns, skip_or_go_back, tell_bad_step
from dozero.train.card import model_card
from dozero.train.checkpoint import RunState, load_newest, machine_facts, save_checkpoint
from dozero.train.continuation import (
    check_continuation,
    check_tokenizer_of_run,
    datasets_told,
    machine_differences,
    note_dataset,
    refuse_differences,
    run_file_text,
)
from dozero.train.divergence import last_regular_save, passed_over, way_out
from dozero.train.events import (
    Evaluated,
    Event,
    Finished,
    Observed,
    Replanned,
    Sampled,
    Saved,
    Started,
    Stepped,
    Stopped,
    Unsaved,
)
from dozero.train.log import StepLog
from dozero.train.loss import SPIKE_WINDOW, spike_limit
from dozero.train.memory import explain_memory_errors
from dozero.train.observe import layers_tree, observe_layers, snapshot
from dozero.train.optim import build_optimizer
from dozero.train.scales import data_facts, scales_of
from dozero.train.session import Session
from dozero.train.step import Schedule, StepResult, forget_gradients, train_step

REPLAN_AT = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
REPLAN_TOLERANCE = 0.01
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
) -> Iterator[Event]:
    """Train until config.train.steps, yielding what happens; then write `run/model` and score all held-out text.

    `metrics.jsonl` and `samples.jsonl` are functions of the settings alone; everything the clock decides is in
    `timings.jsonl`. (Under `train.max_seconds` a slow machine moves the end of the run; that is logged, and the
    exception.) Leaving the loop early, or `should_stop`, saves a checkpoint first. A finished run yields Finished
    at once. `strict` refuses to continue where the bits may differ; `allow_data_change` continues on another dataset.
    """
    if tokenizer.vocab_size != dataset.vocab_size:
        raise ModelMismatch(
            "tokenizer and dataset disagree", where=run, expected=dataset.vocab_size, got=tokenizer.vocab_size
        )
    with lock(run), explain_memory_errors(config, run):
        claim_run(config, dataset, tokenizer, run, allow_data_change=allow_data_change)
        session, started = _open_session(config, dataset, tokenizer, run, device, strict=strict)
        try:
            yield started
            yield from _train_session(session, should_stop)
            if session.state.step == session.state.schedule.total_steps:
                yield _finish(session, dataset)
        finally:
            for log in (session.metrics, session.samples, session.timings):
                log.close()


def claim_run(
    config: RunConfig, dataset: Dataset, tokenizer: Tokenizer, run: Path, *, allow_data_change: bool = False
) -> None:
    """Write the run's resolved run.toml, or check that the one there agrees with these settings."""
    file, fingerprint = run / "run.toml", dataset.manifest.fingerprint
    datasets: list[str] = []
    if file.exists():
        old, datasets = load_config(file), datasets_told(file.read_text(encoding="utf-8"))
        same_data = datasets[:1] == [fingerprint]
        if old == config and same_data:
            return
        check_continuation(old, config, same_data=same_data, allow_data_change=allow_data_change, run=run)
        check_tokenizer_of_run(run, tokenizer)
    with explain_os_errors(run):
        write_whole(file, run_file_text(config, [fingerprint, *(d for d in datasets if d != fingerprint)]))


def clear_run(run: Path) -> None:
    """Delete what a run wrote, so that it starts anew; other files in the folder stay."""
    with lock(run), explain_os_errors(run):
        for name in ("checkpoints", "model", "plots"):
            shutil.rmtree(run / name, ignore_errors=True)
        for name in ("run.toml", "sampled", "report.md", *LOGS):
            (run / name).unlink(missing_ok=True)


def build_model(config: RunConfig, vocab_size: int, device: Device) -> Transformer:
    """Return the model of these settings, initialised as a function of the seed."""
    model = Transformer(config.model, vocab_size, device.dtype)
    initialize(model, generator(config.seed, 0))
    return model.to(device.type)


def _open_session(
    config: RunConfig, dataset: Dataset, tokenizer: Tokenizer, run: Path, device: Device, *, strict: bool
) -> tuple[Session, Started]:
    model = build_model(config, dataset.vocab_size, device)
    optimizer = build_optimizer(model, config.optim, device.dtype)
    state, broken = load_newest(run, model, optimizer)
    differences = machine_differences(state, machine_facts(device.dtype))
    if strict:
        refuse_differences(differences, run)
    state = state or RunState(0, Schedule(config.train.steps))
    logged = state.step or -1  # begun anew, a run tells of step 0 again
    other_data = note_dataset(state, dataset.manifest.fingerprint)
    T = config.model.max_seq_len
    session = Session(
        config, run, model, tokenizer, optimizer,
        pack_rows(dataset.train, T), pack_rows(dataset.heldout, T, config.eval.heldout_docs), config.rows_per_step,
        config.rows_at_once, state, *(StepLog(run / name, logged) for name in LOGS), scales=scales_of(config, dataset, device),
        stream=dataset.train, saved_at=state.step, passed_over=passed_over(state.rollbacks),
    )  # fmt: skip
    if logged < 0:
        session.metrics.write(step=0, **data_facts(config, dataset))
    log_turns(session)
    params = sum(p.numel() for p in model.parameters())
    total = state.schedule.total_steps
    return session, Started(state.step, total, params, broken, (*differences, *other_data))


def _train_session(s: Session, should_stop: Callable[[], bool]) -> Iterator[Event]:
    """Run steps until the end; whatever leaves between two steps finds a checkpoint written."""
    if s.state.step == 0:
        yield _sample(s)
        if s.config.train.on_divergence == "rollback":
            yield _save(s)  # what there is to go back to
    try:
        while s.state.step < s.state.schedule.total_steps:
            yield from [*_one_step(s), *_replan(s)]  # all of it before telling any, so that leaving finds a whole step
            if s.state.step % s.config.train.save_every == 0 or s.state.step == s.state.schedule.total_steps:
                yield _save_when_due(s)
            if should_stop():
                break
    except GeneratorExit:
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
    began = time.perf_counter()
    step = s.state.step
    due = _due_after(step + 1, s.state.schedule.total_steps, s.config)
    window = window_of_step(step, s.passed_over)
    batch = batch_of_step(s.train_rows, s.rows_per_step, s.config.seed, window).to(s.model.lm_head.weight.device)
    limit = spike_limit(s.state.losses, s.config.train.spike_sigma)
    loaded = time.perf_counter()
    before = snapshot(s.optimizer) if due["observe"] else None
    try:
        result = train_step(
            s.model, s.optimizer, batch, step, s.state.schedule, limit, rows_at_once=s.rows_at_once,
            keep_gradients=due["observe"]
        )  # fmt: skip
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
        _log_step(s, stepped, (loaded - began) / took)
    yield stepped
    if before is not None:
        yield _observe(s, before, batch, result)
    yield from _look(s, due)


def _look(s: Session, due: Mapping[str, bool]) -> Iterator[Event]:
    """Evaluate and sample when due."""
    looked = time.perf_counter()
    if due["eval"]:
        yield _evaluate(s)
    if due["sample"]:
        yield _sample(s)
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


def _log_step(s: Session, told: Stepped, batch_share: float) -> None:
    """Write what follows from the settings to the metrics, what the clock decides to the timings."""
    s.metrics.write(
        step=told.step, loss=told.loss, bits_per_byte=told.bits_per_byte, grad_norm=told.grad_norm,
        lr_scale=told.lr_scale, tokens=told.tokens,
    )  # fmt: skip
    used = {} if told.utilisation is None else {"utilisation": round(told.utilisation, 4)}
    s.timings.write(
        step=told.step, seconds=round(told.seconds, 3), tokens_per_s=round(told.tokens_per_s),
        batch_share=round(batch_share, 4), **used,
    )  # fmt: skip


def _observe(s: Session, before: Mapping[str, Tensor], batch: Batch, result: StepResult) -> Observed:
    layers = observe_layers(s.model, s.optimizer, before, batch, result.grad_norm)
    forget_gradients(s.optimizer)
    s.metrics.write(step=s.state.step, observed_lr_scale=result.lr_scale, layers=layers_tree(layers))
    resident = resident_memory_bytes()
    if resident is not None:
        s.timings.write(step=s.state.step, resident_bytes=resident)
    return Observed(s.state.step, result.lr_scale, layers, resident)


def _evaluate(s: Session) -> Evaluated:
    nats, tokens = total_nats(s.model, s.heldout_rows)
    loss = nats / tokens
    told = Evaluated(s.state.step, loss, loss * s.scales.heldout_bits)
    s.metrics.write(step=told.step, heldout_loss=told.loss, heldout_bits_per_byte=told.bits_per_byte)
    return told


def _sample(s: Session) -> Sampled:
    seed = (s.config.seed << 32) + s.state.step
    text = LanguageModel(s.model, s.tokenizer).generate(config=s.config.generate, seed=seed)
    s.samples.write(step=s.state.step, text=text)
    return Sampled(s.state.step, text)


def _save_when_due(s: Session) -> Saved | Unsaved:
    """Save, or where the settings want to go on without what the disk has no room for, tell why not."""
    try:
        return _save(s)
    except ArtifactError as error:
        if s.config.train.on_full_disk == "stop" or s.state.step == s.state.schedule.total_steps:
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
    path = save_checkpoint(s.run, s.state, s.model, s.optimizer, s.tokenizer, train_config.keep, regular)
    s.saved_at = s.state.step
    s.state.seconds += time.perf_counter() - began
    return Saved(s.state.step, path)


def _replan(s: Session) -> Iterator[Replanned]:
    """At a few points of the way, move the end of the run so that it fits max_seconds; never past train.steps."""
    schedule, step, limit = s.state.schedule, s.state.step, s.config.train.max_seconds
    if not limit or step == schedule.total_steps:
        return
    if not any(schedule.progress(step - 1) < at <= schedule.progress(step) for at in REPLAN_AT):
        return
    left = max(1, int((limit - s.state.seconds) / s.state.seconds * step))
    total = min(s.config.train.steps, step + left)
    if abs(total - schedule.total_steps) > REPLAN_TOLERANCE * schedule.total_steps:
        s.state.schedule = schedule.replan(step, total)
        s.timings.write(step=step, total_steps=total)
        yield Replanned(step, total)


def _finish(s: Session, dataset: Dataset) -> Finished:
    """Score all held-out documents and write the model folder, unless an earlier call did."""
    out, config = s.run / "model", s.config.model_dump()
    sweep_leftovers(out)
    inputs = {"dataset": dataset.manifest.fingerprint}
    if is_current(out, "model", inputs, config) and read_manifest(out).counts["step"] == s.state.step:
        manifest = read_manifest(out, "model")
        return Finished(s.state.step, out, Surprise(**manifest.about["heldout"]), s.state.seconds)
    heldout = measure_surprise(s.model, dataset.heldout)
    manifest = Manifest(
        kind="model",
        inputs=inputs,
        config=config,
        counts={"step": s.state.step, "tokens": s.state.tokens, "vocab_size": s.model.vocab_size},
        about={**dataset.manifest.about, "heldout": asdict(heldout)},
        seconds=round(s.state.seconds, 3),
    )
    with write_artifact(out, manifest) as folder:
        write_model_files(s.model, s.tokenizer, folder)
        (folder / "README.md").write_text(model_card(manifest, heldout), encoding="utf-8")
    return Finished(s.state.step, out, heldout, s.state.seconds)
