"""The loop: an iterator of events that trains a model, saves it, and continues where it was left.

Killed at any instant and started again with the same settings, it gives the same weights and metrics, bit for bit:
the batch of a step follows from (seed, step), a checkpoint holds everything else, and the logs are cut back to it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dozero.artifact import (
    Manifest,
    explain_os_errors,
    is_current,
    lock,
    read_manifest,
    sweep_leftovers,
    write_artifact,
)
from dozero.config import load_config, to_toml
from dozero.dataset.batch import Rows, batch_of_step, pack_rows
from dozero.dataset.shards import Dataset
from dozero.device import Device, generator
from dozero.errors import ConfigError, DivergedError, ModelMismatch, PeerLost
from dozero.eval.likelihood import Surprise, measure_surprise, total_nats
from dozero.generate.language_model import LanguageModel
from dozero.model.hf import write_model_files
from dozero.model.initialize import initialize
from dozero.model.transformer import Transformer
from dozero.settings import RunConfig
from dozero.tokenizer.tokenizer import Tokenizer
from dozero.train.card import model_card
from dozero.train.checkpoint import RunState, checkpoint_path, load_newest, machine_facts, save_checkpoint
from dozero.train.events import Evaluated, Event, Finished, Replanned, Sampled, Saved, Started, Stepped, Stopped
from dozero.train.log import StepLog
from dozero.train.optim import Optimizer, build_optimizer
from dozero.train.parallel import check_shares, give_state, step_together
from dozero.train.recompute import recompute_blocks
from dozero.train.shard import build_sharded_optimizer, gather_model, shard_model
from dozero.train.step import Schedule, StepResult, train_step
from dozero.train.team import Order, Team, dismiss, lone_team, tell

REPLAN_AT = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
REPLAN_TOLERANCE = 0.01
LOGS = ("metrics.jsonl", "samples.jsonl", "timings.jsonl")


@dataclass
class Session:
    """What a running loop holds: the things that change, and the files it writes."""

    config: RunConfig
    run: Path
    model: Transformer
    tokenizer: Tokenizer
    optimizer: Optimizer
    train_rows: Rows
    heldout_rows: Rows
    rows_per_step: int
    rows_at_once: int
    state: RunState
    metrics: StepLog
    samples: StepLog
    timings: StepLog
    team: Team | None = None


def train(
    config: RunConfig,
    dataset: Dataset,
    tokenizer: Tokenizer,
    run: Path,
    device: Device,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    team: Team | None = None,
) -> Iterator[Event]:
    """Train until config.train.steps, yielding what happens; then write `run/model` and score all held-out text.

    `metrics.jsonl` and `samples.jsonl` are functions of the settings alone; everything the clock decides is in
    `timings.jsonl`. (Under `train.max_seconds` a slow machine moves the end of the run; that is logged, and the
    exception.) Leaving the loop early, or `should_stop`, saves a checkpoint first. A finished run yields Finished
    at once. In a `team` this is the leader's part; the others `follow`.
    """
    team = team or lone_team(config.train)
    try:
        yield from _train_run(config, dataset, tokenizer, run, device, should_stop, team)
    finally:
        dismiss(team)


def _train_run(
    config: RunConfig,
    dataset: Dataset,
    tokenizer: Tokenizer,
    run: Path,
    device: Device,
    should_stop: Callable[[], bool],
    team: Team | None,
) -> Iterator[Event]:
    if tokenizer.vocab_size != dataset.vocab_size:
        raise ModelMismatch(
            "tokenizer and dataset disagree", where=run, expected=dataset.vocab_size, got=tokenizer.vocab_size
        )
    with lock(run):
        claim_run(config, dataset, run)
        session, started = _open_session(config, dataset, tokenizer, run, device, team)
        try:
            yield started
            yield from _train_session(session, should_stop)
            if session.state.step == session.state.schedule.total_steps:
                yield _finish(session, dataset)
        finally:
            for log in (session.metrics, session.samples, session.timings):
                log.close()


def claim_run(config: RunConfig, dataset: Dataset, run: Path) -> None:
    """Write the run's resolved run.toml, or check that the one there agrees with these settings."""
    file = run / "run.toml"
    text = f"# dataset {dataset.manifest.fingerprint}\n" + to_toml(config)
    if not file.exists():
        with explain_os_errors(run):
            temporary = run / ".run.toml.writing"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(file)
        return
    old, first_line = load_config(file), file.read_text(encoding="utf-8").partition("\n")[0]
    if old == config and text.startswith(first_line + "\n"):
        return
    pairs = zip(to_toml(old).splitlines(), to_toml(config).splitlines(), strict=True)
    was, now = next((pair for pair in pairs if pair[0] != pair[1]), ("another dataset", "this dataset"))
    raise ConfigError(
        "this run was made with other settings", where=run, expected=was, got=now, next="--fresh, or another --name"
    )


def clear_run(run: Path) -> None:
    """Delete what a run wrote, so that it starts anew; other files in the folder stay."""
    with lock(run), explain_os_errors(run):
        for name in ("checkpoints", "model"):
            shutil.rmtree(run / name, ignore_errors=True)
        for name in ("run.toml", "sampled", *LOGS):
            (run / name).unlink(missing_ok=True)


def build_model(config: RunConfig, vocab_size: int, device: Device) -> Transformer:
    """Return the model of these settings, initialised as a function of the seed."""
    model = Transformer(config.model, vocab_size, device.dtype)
    initialize(model, generator(config.seed, 0))
    if config.train.checkpoint_activations:
        recompute_blocks(model)
    return model.to(device.type)


def build_learner(
    config: RunConfig, vocab_size: int, device: Device, team: Team | None
) -> tuple[Transformer, Optimizer]:
    """Return model and optimizer as this process of a team holds them."""
    if team is not None:
        check_shares(team, config)
    if team is None or not team.is_sharded:
        model = build_model(config, vocab_size, device)
        return model, build_optimizer(model, config.optim, device.dtype)
    model = build_model(config, vocab_size, replace(device, type="cpu"))  # whole it may not fit the device
    shard_model(team, model)
    return model, build_sharded_optimizer(model, config.optim, device.dtype)


def _open_session(
    config: RunConfig, dataset: Dataset, tokenizer: Tokenizer, run: Path, device: Device, team: Team | None
) -> tuple[Session, Started]:
    model, optimizer = build_learner(config, dataset.vocab_size, device, team)
    state, passed_over = load_newest(run, model, optimizer, team)
    facts = machine_facts(team)
    differences = [f"{k}: {v} -> {facts[k]}" for k, v in (state.machine if state else {}).items() if facts.get(k) != v]
    logged = state.step if state else -1  # begun anew, a run tells of step 0 again
    state = state or RunState(0, Schedule(config.train.steps))
    if team is not None:
        give_state(team, model, optimizer, state, checkpoint_path(run, state.step))
    T = config.model.max_seq_len
    session = Session(
        config, run, model, tokenizer, optimizer,
        pack_rows(dataset.train, T), pack_rows(dataset.heldout, T, config.eval.heldout_docs), config.rows_per_step,
        config.rows_at_once, state, *(StepLog(run / name, logged) for name in LOGS), team=team,
    )  # fmt: skip
    params = sum(p.numel() for p in model.parameters())
    total = state.schedule.total_steps
    return session, Started(state.step, total, params, passed_over, tuple(differences))


def _train_session(s: Session, should_stop: Callable[[], bool]) -> Iterator[Event]:
    """Run steps until the end; whatever leaves between two steps finds a checkpoint written."""
    saved_at = s.state.step
    if s.state.step == 0:
        yield _sample(s)
    try:
        while s.state.step < s.state.schedule.total_steps:
            yield from [*_one_step(s), *_replan(s)]  # all of it before telling any, so that leaving finds a whole step
            if s.state.step % s.config.train.save_every == 0 or s.state.step == s.state.schedule.total_steps:
                saved = _save(s)
                saved_at = s.state.step
                yield saved
            if should_stop():
                break
    except (GeneratorExit, DivergedError, PeerLost) as reason:
        if s.state.step != saved_at and not (isinstance(reason, PeerLost) and _is_sharded(s)):
            _save(s)
        raise
    if s.state.step < s.state.schedule.total_steps:
        if s.state.step != saved_at:
            yield _save(s)
        yield Stopped(s.state.step, s.state.schedule.total_steps)


def _one_step(s: Session) -> Iterator[Event]:
    """Make one update and yield what is due after it."""
    began = time.perf_counter()
    train_config, step = s.config.train, s.state.step
    if s.team is None:
        batch = batch_of_step(s.train_rows, s.rows_per_step, s.config.seed, step).to(s.model.lm_head.weight.device)
        result = train_step(s.model, s.optimizer, batch, step, s.state.schedule, s.rows_at_once)
        target_tokens = batch.target_tokens
    else:
        result, target_tokens = step_together(
            s.team, s.model, s.optimizer, s.train_rows, s.config, step, s.state.schedule
        )
    took = time.perf_counter() - began
    s.state.step += 1
    s.state.tokens += target_tokens
    s.state.seconds += took
    due = {"log": train_config.log_every, "eval": train_config.eval_every, "sample": train_config.sample_every}
    is_last = s.state.step == s.state.schedule.total_steps
    if s.state.step % due["log"] == 0 or is_last:
        _log_step(s, result, target_tokens / took)
    yield Stepped(
        s.state.step, s.state.schedule.total_steps, result.loss, result.grad_norm, result.lr_scale,
        s.state.tokens, target_tokens / took, s.state.seconds,
    )  # fmt: skip
    looked = time.perf_counter()
    if s.state.step % due["eval"] == 0 or is_last:
        yield _evaluate(s)
    if s.state.step % due["sample"] == 0 or is_last:
        yield _sample(s)
    s.state.seconds += time.perf_counter() - looked


def _log_step(s: Session, result: StepResult, tokens_per_s: float) -> None:
    s.metrics.write(
        step=s.state.step, loss=result.loss, grad_norm=result.grad_norm, lr_scale=result.lr_scale, tokens=s.state.tokens
    )
    s.timings.write(step=s.state.step, seconds=round(s.state.seconds, 3), tokens_per_s=round(tokens_per_s))


def _is_sharded(s: Session) -> bool:
    return s.team is not None and s.team.is_sharded


def _have_all(s: Session, order: Order) -> None:
    """Have the followers join in what the leader does alone unless the model is in shards."""
    if s.team is not None and s.team.is_sharded:
        tell(s.team, order, s.state.step, s.state.schedule)


def _evaluate(s: Session) -> Evaluated:
    _have_all(s, Order.EVALUATE)
    nats, tokens = total_nats(s.model, s.heldout_rows)
    s.metrics.write(step=s.state.step, heldout_loss=nats / tokens)
    return Evaluated(s.state.step, nats / tokens)


def _sample(s: Session) -> Sampled:
    _have_all(s, Order.SAMPLE)
    seed = sample_seed(s.config, s.state.step)
    text = LanguageModel(s.model, s.tokenizer).generate(config=s.config.generate, seed=seed)
    s.samples.write(step=s.state.step, text=text)
    return Sampled(s.state.step, text)


def sample_seed(config: RunConfig, step: int) -> int:
    """Return the seed of the sample after so many steps."""
    return (config.seed << 32) + step


def _save(s: Session) -> Saved:
    began = time.perf_counter()
    for log in (s.metrics, s.samples, s.timings):
        log.sync()
    _have_all(s, Order.SAVE)
    path = save_checkpoint(s.run, s.state, s.model, s.optimizer, s.tokenizer, s.config.train.keep, s.team)
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
    if not _is_sharded(s):
        dismiss(s.team)  # the rest is for the leader alone, and may take long
    _have_all(s, Order.FINISH)
    heldout = measure_surprise(s.model, dataset.heldout)
    model = gather_model(s.team, s.model) if s.team is not None and s.team.is_sharded else s.model
    manifest = Manifest(
        kind="model",
        inputs=inputs,
        config=config,
        counts={"step": s.state.step, "tokens": s.state.tokens, "vocab_size": s.model.vocab_size},
        about={**dataset.manifest.about, "heldout": asdict(heldout)},
        seconds=round(s.state.seconds, 3),
    )
    with write_artifact(out, manifest) as folder:
        write_model_files(model, s.tokenizer, folder)
        (folder / "README.md").write_text(model_card(manifest, heldout), encoding="utf-8")
    return Finished(s.state.step, out, heldout, s.state.seconds)
