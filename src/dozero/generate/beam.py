"""Beam search: the texts that the model finds likeliest as a whole, for answers that are measured against one right one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dozero.generate.batch import Forward
from dozero.generate.engine import as_forward
from dozero.model.transformer import Transformer


@dataclass(frozen=True)
class Beam:
    """A continuation, its end mark included, and its score: log-probability over length to the power of the penalty."""

    ids: list[int]
    score: float


def beam_search(
    model: Transformer | Forward,
    prompt: Sequence[int],
    beams: int,
    max_tokens: int,
    end_id: int,
    length_penalty: float = 1.0,
) -> list[Beam]:
    """Return the best continuations that keeping `beams` of them at each step finds, the best first.

    Of the 2 * beams likeliest ways to go on, those among the first `beams` that end are candidates, and the likeliest
    that do not end go on. It ends when none of these, at its present length, scores better than the worst of a full
    list of candidates (as transformers does with early_stopping=False). A penalty above 0 favours longer texts.
    """
    forward = as_forward(model)
    room = min(max_tokens, forward.positions - len(prompt))
    cache, logits = forward.prefill(torch.tensor([list(prompt)]), len(prompt) + room)
    running, finished = [Beam([], 0.0)], list[Beam]()
    for length in range(1, room + 1):
        logs = logits.log_softmax(dim=-1) + torch.tensor([[beam.score] for beam in running])
        best = logs.flatten().topk(min(2 * beams, logs.numel()))
        going_on = list[tuple[int, Beam]]()
        for rank, (score, place) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            parent, token = divmod(place, logs.shape[1])
            ids = [*running[parent].ids, token]
            if token == end_id or length == room:
                finished += [Beam(ids, score / length**length_penalty)] if rank < beams else []
            else:
                going_on.append((parent, Beam(ids, score)))
        finished = sorted(finished, key=lambda beam: -beam.score)[:beams]
        going_on = going_on[:beams]
        if not going_on:
            break
        running = [beam for _, beam in going_on]
        if len(finished) == beams and running[0].score / length**length_penalty <= finished[-1].score:
            break
        cache = forward.spread([cache], [(0, parent) for parent, _ in going_on])
        logits = forward.advance(torch.tensor([beam.ids[-1:] for beam in running]), cache)[:, -1]
    return finished
