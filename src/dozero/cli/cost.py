"""What `dozero train --dry-run` tells: parameters, operations, memory by kind, time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dozero.cli.display import Display
from dozero.cli.messages import number
from dozero.device import Device
from dozero.model.cost import model_cost, update_flops
from dozero.pipeline.stages import Prepared
from dozero.settings import RunConfig
from dozero.train.end import first_end
from dozero.train.plan import measure_step
from dozero.train.room import Room, look_for_room, settings_that_fit


def show_cost(display: Display, config: RunConfig, data: Prepared, device: Device) -> None:
    """Tell what a run costs on this machine, as it is now."""
    tell_cost(display, config, data, device, look_for_room(config, data.tokenizer.vocab_size, device))


def tell_cost(display: Display, config: RunConfig, data: Prepared, device: Device, room: Room) -> None:
    """Tell what a run costs; a few steps are made to know the time, unless there is no room for them."""
    vocab_size = data.tokenizer.vocab_size
    step_s = measure_step(config, data.dataset, device) if room.is_enough else None
    facts = cost_facts(config, data, room, step_s)
    way_out = () if room.is_enough else settings_that_fit(
        config, vocab_size, device.dtype.itemsize, room.available_bytes, room.kernel
    )  # fmt: skip
    if display.as_json:
        display.print_json({**facts, "settings_that_fit": list(way_out)})
        return
    _say_cost(display, facts)
    _say_memory(display, room)
    if not room.is_enough:
        _say_no_room(display, room, way_out)


def cost_facts(config: RunConfig, data: Prepared, room: Room, step_s: float | None) -> dict[str, Any]:
    """Return the figures of a run as plain data; those of time are None if no step was measured."""
    cost, train = model_cost(config.model, data.tokenizer.vocab_size), config.train
    steps, limit = first_end(train), train.max_seconds or float("inf")
    return {
        "parameters": cost.params,
        "steps": steps,
        "flops_per_token": cost.training_flops_per_token,
        "training_flops": cost.training_flops_per_token * train.batch_tokens * steps,
        "update_flops": update_flops(config.model) * steps,
        "memory": {
            **asdict(room.memory), "peak_bytes": room.memory.peak_bytes, "idle_bytes": room.idle_bytes, "needed_bytes": room.needed_bytes,
            "available_bytes": room.available_bytes, "total_bytes": room.total_bytes, "fits": room.is_enough,
        },
        "seconds_per_step": None if step_s is None else round(step_s, 4),
        "seconds": None if step_s is None else round(min(step_s * steps, limit), 1),
        "epochs": round(steps * train.batch_tokens / len(data.dataset.train.ids), 2),
    }  # fmt: skip


def _say_cost(display: Display, facts: dict[str, Any]) -> None:
    display.say(
        "cost", params=number(display.lang, facts["parameters"]), steps=number(display.lang, facts["steps"]),
        mflop=facts["flops_per_token"] / 1e6, flops=(facts["training_flops"] + facts["update_flops"]) / 1e12,
        epochs=facts["epochs"],
    )  # fmt: skip
    if facts["seconds"] is None:
        display.say("cost_time_unknown")
    else:
        display.say("cost_time", seconds=facts["seconds"], step_ms=facts["seconds_per_step"] * 1e3)


def _say_memory(display: Display, room: Room) -> None:
    memory = room.memory
    display.say(
        "cost_memory", needed=_megabytes(room.needed_bytes), idle=_megabytes(room.idle_bytes + memory.code_bytes),
        alive=_megabytes(memory.alive_bytes), heap=_megabytes(memory.heap_bytes), available=_megabytes(room.available_bytes),
        total=_megabytes(room.total_bytes),
    )  # fmt: skip
    display.say(
        "cost_memory_kinds", weights=_megabytes(memory.weights_bytes), gradients=_megabytes(memory.gradients_bytes),
        optimizer=_megabytes(memory.optimizer_bytes), activations=_megabytes(memory.activations_bytes),
        logits=_megabytes(memory.logits_bytes), update=_megabytes(memory.update_bytes + memory.look_bytes),
    )  # fmt: skip


def _say_no_room(display: Display, room: Room, way_out: tuple[str, ...]) -> None:
    short = _megabytes(room.memory.peak_bytes - room.available_bytes)
    if way_out:
        display.say("cost_no_room", short=short, settings=" ".join(way_out))
    else:
        display.say("cost_no_room_at_all", short=short)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f}"
