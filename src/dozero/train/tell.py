"""What a running session tells when it is due: lines of its logs, closer looks, held-out losses, samples."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dozero.dataset.batch import Batch, share_of_step, window_of_step
from dozero.eval.likelihood import total_nats
from dozero.generate.language_model import LanguageModel
from dozero.hardware import resident_memory_bytes
from dozero.settings import RunConfig
from dozero.train.events import Evaluated, Observed, Sampled, Stepped
from dozero.train.observe import LOOKED_TOKENS, layers_tree, observe_layers
from dozero.train.session import Session
from dozero.train.step import StepResult, forget_gradients
from dozero.train.team import Order, with_all


def log_step(s: Session, told: Stepped, batch_share: float) -> None:
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


def observe(s: Session, before: Mapping[str, Tensor], batch: Batch, result: StepResult) -> Observed:
    """Look closely at the step just made, whose gradients are still there, and log what is seen; then drop them."""
    if s.team is not None:  # `batch` is a share, and what is seen must not depend on how many share the step
        window, rows = window_of_step(s.state.step - 1, s.passed_over), max(1, LOOKED_TOKENS // s.train_rows.T)
        first = share_of_step(s.train_rows, s.rows_per_step, s.config.seed, window, 0, rows)
        batch = first.to(s.model.lm_head.weight.device)
    layers = observe_layers(s.model, s.optimizer, before, batch, result.grad_norm)
    forget_gradients(s.optimizer)
    s.metrics.write(step=s.state.step, observed_lr_scale=result.lr_scale, layers=layers_tree(layers))
    resident = resident_memory_bytes()
    if resident is not None:
        s.timings.write(step=s.state.step, resident_bytes=resident)
    return Observed(s.state.step, result.lr_scale, layers, resident)


def evaluate(s: Session) -> Evaluated:
    """Measure and log the loss on a part of the held-out documents."""
    with with_all(s.team, Order.EVALUATE, s.state.step, s.state.schedule):
        nats, tokens = total_nats(s.model, s.heldout_rows)
    loss = nats / tokens
    told = Evaluated(s.state.step, loss, loss * s.scales.heldout_bits)
    s.metrics.write(step=told.step, heldout_loss=told.loss, heldout_bits_per_byte=told.bits_per_byte)
    return told


def sample(s: Session) -> Sampled:
    """Let the model write, and log what it wrote."""
    seed = sample_seed(s.config, s.state.step)
    # Those who follow see tokens, not the text that a stop string ends: they must pass as often.
    config = s.config.generate.model_copy(update={"stop": ()})
    with with_all(s.team, Order.SAMPLE, s.state.step, s.state.schedule):
        text = LanguageModel(s.model, s.tokenizer).generate(config=config, seed=seed)
    s.samples.write(step=s.state.step, text=text)
    return Sampled(s.state.step, text)


def sample_seed(config: RunConfig, step: int) -> int:
    """Return the seed of the sample after so many steps."""
    return (config.seed << 32) + step
