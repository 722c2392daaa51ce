"""The model and the optimizer of a run, as a process holds them: whole, or its share of them."""

from __future__ import annotations

from dataclasses import replace

from dozero.device import Device, generator
from dozero.model.initialize import initialize
from dozero.model.transformer import Transformer
from dozero.settings import RunConfig
from dozero.train.optim import Optimizer, build_optimizer
from dozero.train.parallel import check_shares
from dozero.train.recompute import recompute_blocks
from dozero.train.shard import build_sharded_optimizer, shard_model
from dozero.train.team import Team


def build_model(config: RunConfig, vocab_size: int, device: Device) -> Transformer:
    """Return the model of these settings, initialised as a function of the seed."""
    model = Transformer(config.model, vocab_size, device.dtype)
    initialize(model, generator(config.seed, 0))
    if config.train.checkpoint_activations:
        recompute_blocks(model)
    return model.to(device.type)


def build_learner(
    config: RunConfig, vocab_size: int, device: Device, team: Team | None = None
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
