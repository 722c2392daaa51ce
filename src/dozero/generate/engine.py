"""Running the model over rows of tokens with a cache: prompt in, token after token out.

`admit` runs the prompts, `step` gives each row its next token; who calls them, and how often, is the caller's affair.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dozero.generate.batch import Batch, Finish, Forward, Lane, Request, Row, Token
from dozero.generate.sample import choose, penalize, remembers
from dozero.model.transformer import LayerCache, Transformer
from dozero.settings import GenerateConfig

LOOKED_UP_TOKENS = 3


@dataclass(frozen=True)
class Step:
    """One decoding step: the token each row got, and the logits it was chosen from."""

    ids: list[int]
    logits: Float[Tensor, "B V"]


@dataclass(frozen=True)
class PlainForward:
    """The model as it is written down, in `model/transformer.py`."""

    model: Transformer
    is_ragged: bool = False

    @property
    def positions(self) -> int:
        """Longest context."""
        return self.model.config.max_seq_len

    def prefill(self, ids: Int[Tensor, "B T"], positions: int) -> tuple[list[LayerCache], Float[Tensor, "B V"]]:
        """Return a cache that holds the ids, and the logits of what comes next."""
        cache = self.model.new_cache(len(ids), positions)
        return cache, self.advance(ids, cache)[:, -1]

    def advance(self, ids: Int[Tensor, "B T"], cache: list[LayerCache]) -> Float[Tensor, "B T V"]:
        """Add T tokens to each row and return the logits after each, on the CPU: not every device has float64."""
        with torch.no_grad():
            return self.model(ids.to(self.model.lm_head.weight.device), cache=cache).float().cpu()

    def spread(self, caches: Sequence[list[LayerCache]], rows: Sequence[tuple[int, int]]) -> list[LayerCache]:
        """Return a cache of the rows named by (cache, row in it), all of one length."""
        (one,) = {cache for cache, _ in rows}
        own = [row for _, row in rows]
        return [LayerCache(layer.k[own], layer.v[own], layer.length) for layer in caches[one]]

    def forget(self, cache: list[LayerCache], tokens: int) -> None:
        """Take the last so many tokens out of the cache again."""
        for layer in cache:
            layer.length -= tokens


def as_forward(model: Transformer | Forward) -> Forward:
    """Return the model in the form in which the engine calls it."""
    return PlainForward(model) if isinstance(model, Transformer) else model


def admit(model: Transformer | Forward, requests: Sequence[Request], end_id: int) -> Batch:
    """Run the prompts and return the batch; equal prompts run once, and prompts of one length together."""
    forward = as_forward(model)
    rows = [_new_row(request, forward.positions) for request in requests]
    room: dict[tuple[int, ...], int] = {}
    for row in rows:
        room[row.request.prompt] = max(room.get(row.request.prompt, 0), row.room)
    most = max((len(prompt) + more for prompt, more in room.items()), default=0)
    caches, logits, place = [], [], dict[tuple[int, ...], tuple[int, int]]()
    for length in sorted({len(prompt) for prompt in room}):
        same = [prompt for prompt in room if len(prompt) == length]
        positions = most if forward.is_ragged else length + max(room[p] for p in same)
        cache, after = forward.prefill(torch.tensor(same), positions)
        place |= {prompt: (len(caches), i) for i, prompt in enumerate(same)}
        caches.append(cache)
        logits.append(after)
    lanes = []
    for together in [range(len(caches))] if forward.is_ragged else [[i] for i in range(len(caches))]:
        own = [row for row in rows if place[row.request.prompt][0] in together]
        places = [place[row.request.prompt] for row in own]
        as_they_are = len(together) == 1 and [i for _, i in places] == list(range(len(logits[together[0]])))
        cache = caches[together[0]] if as_they_are else forward.spread(caches, places)
        lanes.append(Lane(cache, own, torch.stack([logits[c][i] for c, i in places])))
    return Batch(forward, end_id, lanes, rows)


def _new_row(request: Request, positions: int) -> Row:
    room = min(request.config.max_tokens, positions - len(request.prompt))
    assert request.prompt, "a text begins with a token, if only the end mark"
    assert room > 0, "the prompt leaves no room"
    return Row(request, room, random.Random(_seed_of(request.seed)))


def step(batch: Batch) -> list[Token]:
    """Give each text that goes on its next token, or several where guesses held, and return them."""
    tokens: list[Token] = []
    for lane in batch.lanes:
        if all(row.finish for row in lane.rows):
            continue
        if lane.logits is not None:
            logits, lane.logits = lane.logits, None
            tokens += _next_tokens(lane.rows, logits, batch.end_id)
            continue
        _drop_ended(batch.forward, lane)
        guesses = _guess(lane.rows)
        ids = torch.tensor([[*row.ids[-1:], *guesses] for row in lane.rows])
        logits = batch.forward.advance(ids, lane.cache)
        for t, guess in enumerate([*guesses, None]):
            came = _next_tokens(lane.rows, logits[:, t], batch.end_id)
            tokens += came
            if guess is None or lane.rows[0].finish or came[0].id != guess:
                batch.forward.forget(lane.cache, len(guesses) - t)
                break
    return tokens


def _drop_ended(forward: Forward, lane: Lane) -> None:
    """Leave rows that have ended out of the cache; where that copies it, once they are half of it."""
    live = [i for i, row in enumerate(lane.rows) if not row.finish]
    if len(live) < len(lane.rows) and (forward.is_ragged or 2 * len(live) <= len(lane.rows)):
        lane.cache = forward.spread([lane.cache], [(0, i) for i in live])
        lane.rows = [lane.rows[i] for i in live]


def _guess(rows: list[Row]) -> list[int]:
    """Return tokens that may come next in a text that is alone, where its settings ask for guesses."""
    row = rows[0]
    most = min(row.request.config.speculate, row.room - len(row.ids) - 1)
    return look_up((*row.request.prompt, *row.ids), most) if len(rows) == 1 and most > 0 else []


def look_up(ids: Sequence[int], most: int) -> list[int]:
    """Return what followed the last time that the last tokens, three or else two, came together (prompt lookup).

    >>> look_up([5, 1, 2, 3, 9, 8, 1, 2, 3], 2)
    [9, 8]
    """
    for n in range(min(LOOKED_UP_TOKENS, len(ids) - 1), 1, -1):
        last = tuple(ids[-n:])
        for start in range(len(ids) - n - 1, -1, -1):
            if tuple(ids[start : start + n]) == last:
                return list(ids[start + n : start + n + most])
    return []


def _next_tokens(rows: list[Row], logits: Float[Tensor, "B V"], end_id: int) -> list[Token]:
    """Choose the next token of each row that goes on, by its own settings, numbers and past."""
    config, tokens = rows[0].request.config, list[Token]()
    if all(row.request.config is config and row.request.constraint is None for row in rows) and not remembers(config):
        adjusted = penalize(logits, config)  # all alike: in one go
        chosen = choose(adjusted, config, _noise(rows)).tolist()
    else:
        adjusted = torch.cat([_adjust(row, logits[i : i + 1], end_id) for i, row in enumerate(rows)])
        chosen = [int(choose(adjusted[i : i + 1], row.request.config, _noise([row]))) for i, row in enumerate(rows)]
    for i, row in enumerate(rows):
        if not row.finish:
            tokens += _take(row, chosen[i], logits[i], adjusted[i], end_id)
    return tokens


def _noise(rows: list[Row]) -> Float[Tensor, "B 1"] | None:
    """Return the next random number of each row; fp32 would round the largest up to 1."""
    if rows[0].request.config.temperature == 0:
        return None
    return torch.tensor([[row.draws.random()] for row in rows], dtype=torch.float64)


def _adjust(row: Row, logits: Float[Tensor, "1 V"], end_id: int) -> Float[Tensor, "1 V"]:
    """Return a row's logits after bias and penalties, and with -inf where its form lets nothing come.

    The end mark that begins a prompt is no word of it: it does not count as said.
    """
    config, counts, said = row.request.config, None, None
    if remembers(config):
        if row.counts is None or row.in_prompt is None:
            row.counts = torch.zeros(logits.shape[1], dtype=torch.long)
            row.in_prompt = torch.zeros(logits.shape[1], dtype=torch.bool)
            row.in_prompt[[i for i in row.request.prompt if i != end_id]] = True
        counts, said = row.counts[None], row.in_prompt[None]
    logits = penalize(logits, config, said, counts)
    if row.request.constraint and not row.finish:
        logits = logits.masked_fill(~row.request.constraint.allowed(), -math.inf)
    return logits


def _take(row: Row, token: int, logits: Tensor, adjusted: Tensor, end_id: int) -> list[Token]:
    """Add a token to a row and return it, and after the last one for which there is room those that close its form."""
    constraint = row.request.constraint
    row.ids.append(token)
    if row.counts is not None:
        row.counts[token] += 1
    if constraint and token != end_id:
        constraint.accept(token)
    row.finish = "stop" if token == end_id else "length" if len(row.ids) >= row.room else None
    closing = constraint.close() if constraint and row.finish == "length" else []
    row.ids += closing
    ends: list[Finish | None] = [*[None] * len(closing), row.finish]
    return [
        Token(row, token, logits, adjusted, ends[0]),
        *(Token(row, more, None, None, end) for more, end in zip(closing, ends[1:], strict=True)),
    ]


def decode(
    model: Transformer | Forward, prompt: Sequence[int], config: GenerateConfig, seeds: Sequence[int], end_id: int
) -> Iterator[Step]:
    """Yield steps until every row has ended, max_tokens is reached or the context is full.

    All rows start from one prompt, which is run once; each draws from its own seed, so that a row's text is the
    same alone or beside others. A row that has ended goes on yielding `end_id`.
    """
    batch = admit(model, [Request(tuple(prompt), config, seed) for seed in seeds], end_id)
    place = {id(row): i for i, row in enumerate(batch.rows)}
    while not all(row.finish for row in batch.rows):
        came: dict[int, list[Token]] = {i: [] for i in range(len(seeds))}
        for token in step(batch):
            came[place[id(token.row)]].append(token)
        logits = next(token.logits for tokens in came.values() for token in tokens)
        assert logits is not None
        for t in range(max(map(len, came.values()))):
            at = [tokens[t] if t < len(tokens) else None for tokens in came.values()]
            rows = [logits if token is None or token.logits is None else token.logits for token in at]
            yield Step([end_id if token is None else token.id for token in at], torch.stack(rows))


def _seed_of(seed: int) -> int:
    """Return a well-mixed seed, so that neighbouring seeds give unrelated texts."""
    return int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest())
