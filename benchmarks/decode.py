"""How fast text is written: ours, transformers' generate and llama.cpp, on the same folders, both sides in one run.

    python benchmarks/decode.py [words stories smol] [--quick] [--json]

`words` and `stories` have the shapes of `dozero hello` and `dozero hello stories`; `smol` is SmolLM2-135M: the folder in
DOZERO_SMOLLM2 if that is given, else its shape with random weights, which take as long to multiply. One text and 32 side
by side, greedy, no text ends early; the best of several runs of each side, by turns. About 15 minutes on two cores.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claims.claim import Claim, run_claims

STREAMS = 32
SMOL = "SmolLM2-135M"


@dataclass(frozen=True)
class Side:
    """One way to write: `write(prompts, tokens)` writes so many tokens after each of the prompts (rows of ids)."""

    name: str
    write: Callable[[Any, int], object]


def words(quick: bool) -> Iterator[Claim]:
    """The model of `dozero hello`."""
    yield from _measure("hello", _folder_of("words", 60), 30, quick, one=2.0, many=2.0)


def stories(quick: bool) -> Iterator[Claim]:
    """The model of `dozero hello stories`."""
    yield from _measure("stories", _folder_of("stories", 2048), 200, quick, one=3.0, many=2.0)


def smol(quick: bool) -> Iterator[Claim]:
    """A model of 135M parameters: against transformers in bfloat16, the memory of this machine, and llama.cpp."""
    given = os.environ.get("DOZERO_SMOLLM2")
    folder = Path(given) if given else _random_smol()
    name = SMOL if given else f"{SMOL}'s shape"
    yield from _measure(name, folder, 16 if quick else 64, quick, one=2.0, many=2.0, theirs="bfloat16", int8=4.0)
    yield from _first_token(name, folder, quick)
    yield from _bandwidth(name, folder, quick)
    yield from _llamacpp(name, quick)


def _measure(
    name: str,
    folder: Path,
    tokens: int,
    quick: bool,
    *,
    one: float,
    many: float,
    theirs: str = "float32",
    int8: float = 0.0,
) -> Iterator[Claim]:
    """Ours against transformers', one text and 32."""
    plain = _ours(folder, "float32")
    other = _transformers(folder, theirs)
    for rows, bar in ((1, one), (STREAMS, many)):
        ours, peer = _by_turns([plain, other], rows, tokens, quick)
        yield _faster(f"{name}: {rows} at once, float32, tokens/s (ours, transformers {theirs})", ours, peer, bar)
    if int8:
        ours, peer = _by_turns([_ours(folder, "int8"), other], 1, tokens, quick)
        yield _faster(f"{name}: 1 at once, int8, tokens/s (ours, transformers {theirs})", ours, peer, int8)


def _faster(claim: str, ours: float, theirs: float, bar: float) -> Claim:
    return Claim(claim, ours, theirs, ours / theirs, f">= {bar:g} times", ours >= bar * theirs)


def _by_turns(sides: list[Side], rows: int, tokens: int, quick: bool, prompt: int = 8) -> list[float]:
    """Return the tokens a second of each side: the best of its runs, which take turns."""
    import torch

    prompts = torch.randint(1, 50, (rows, prompt), generator=torch.Generator().manual_seed(0))
    best = [float("inf")] * len(sides)
    for side in sides:
        side.write(prompts, 4)
    for _ in range(1 if quick else 5):
        for i, side in enumerate(sides):
            began = time.perf_counter()
            side.write(prompts, tokens)
            best[i] = min(best[i], time.perf_counter() - began)
    return [rows * tokens / seconds for seconds in best]


def _ours(folder: Path, precision: str) -> Side:
    """Our engine, as `dozero generate` calls it; -100 on the end mark keeps texts from ending."""
    from dozero.generate.batch import Request
    from dozero.generate.language_model import LanguageModel
    from dozero.settings import GenerateConfig

    model = LanguageModel.open(folder, precision=precision)
    assert model.decoder is not None, "no C compiler"

    def write(prompts: Any, tokens: int) -> None:
        config = GenerateConfig(temperature=0, max_tokens=tokens, logit_bias=("0=-1000",))
        requests = [Request(tuple(row), config) for row in prompts.tolist()]
        written = sum(1 for _ in model.write(requests))
        assert written == tokens * len(requests), written

    return Side(f"ours {precision}", write)


def _transformers(folder: Path, dtype: str) -> Side:
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))

    def write(prompts: Any, tokens: int) -> None:
        written = model.generate(
            prompts, attention_mask=torch.ones_like(prompts), do_sample=False, max_new_tokens=tokens,
            min_new_tokens=tokens, max_length=None, eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
        assert written.shape[1] == prompts.shape[1] + tokens

    return Side(f"transformers {dtype}", write)


def _first_token(name: str, folder: Path, quick: bool) -> Iterator[Claim]:
    """From a prompt of 512 tokens to the first token."""
    prompt = 64 if quick else 512
    sides = [
        _ours(folder, "float32"),
        _ours(folder, "int8"),
        *(_transformers(folder, d) for d in ("float32", "bfloat16")),
    ]
    speeds = _by_turns(sides, 1, 1, quick, prompt=prompt)
    ours, ours8, *theirs = (1 / speed for speed in speeds)
    for precision, seconds in (("float32", ours), ("int8", ours8)):
        bar = f"<= the faster of transformers' two, on {prompt} tokens"
        yield Claim(f"{name}: first token, {precision}, s (ours, transformers)", seconds, min(theirs), seconds / min(theirs), bar, seconds <= min(theirs))  # fmt: skip


def _bandwidth(name: str, folder: Path, quick: bool) -> Iterator[Claim]:
    """The weights that a second of int8 writing reads, as a share of what the memory of this machine gives."""
    from dozero.generate.language_model import LanguageModel

    side = _ours(folder, "int8")
    (speed,) = _by_turns([side], 1, 16 if quick else 64, quick)
    decoder = LanguageModel.open(folder, precision="int8").decoder
    gives = _memory_bytes_a_second()
    reads = speed * getattr(decoder, "weight_bytes", 0)
    yield Claim(f"{name}: int8, GB/s of weights read (ours, memory)", reads / 1e9, gives / 1e9, reads / gives, ">= 0.4 of it", reads >= 0.4 * gives)  # fmt: skip


def _memory_bytes_a_second() -> float:
    """Return how fast this machine reads memory: the median sum over 256 MB on all threads."""
    import torch

    block = torch.ones(64_000_000)
    seconds = []
    for _ in range(7):
        began = time.perf_counter()
        block.sum()
        seconds.append(time.perf_counter() - began)
    return block.nbytes / statistics.median(seconds)


def _llamacpp(name: str, quick: bool) -> Iterator[Claim]:
    """llama.cpp at Q8_0 on the GGUF in DOZERO_SMOLLM2_GGUF, beside ours: told, not barred, where there is no such file."""
    file = os.environ.get("DOZERO_SMOLLM2_GGUF")
    folder = Path(os.environ["DOZERO_SMOLLM2"]) if os.environ.get("DOZERO_SMOLLM2") else _random_smol()
    if file is None:
        return
    from dozero.generate.llamacpp import LlamaCpp
    from dozero.settings import GenerateConfig

    tokens = 16 if quick else 128
    config = GenerateConfig(temperature=0, max_tokens=tokens, logit_bias=("0=-1000", "2=-1000"))
    with LlamaCpp.open(Path(file)) as peer:

        def write(prompts: Any, count: int) -> None:
            peer.finish("Once upon a time there was a", config.model_copy(update={"max_tokens": count}))

        ours, theirs = _by_turns([_ours(folder, "int8"), Side("llama.cpp", write)], 1, tokens, quick)
    yield _faster(f"{name}: 1 at once, tokens/s (ours int8, llama.cpp {Path(file).stem})", ours, theirs, 1.0)


def _folder_of(preset: str, vocab_size: int) -> Path:
    """Return the folder of an untrained model of a preset's shape."""
    from dozero.config import load_config

    return _written(load_config(preset=preset).model, vocab_size)


def _random_smol() -> Path:
    from dozero.settings import ModelConfig

    shape = ModelConfig(
        d_model=576, n_layers=30, n_heads=9, n_kv_heads=3, head_dim=64, d_ff=1536, max_seq_len=2048, qk_norm=False,
        tie_embeddings=True, rope_theta=100000.0, norm_eps=1e-5,
    )  # fmt: skip
    return _written(shape, 49152)


_WRITTEN: dict[object, Path] = {}


def _written(config: Any, vocab_size: int) -> Path:
    """Write a model of random weights with a byte-level tokenizer of the size asked for, once a run."""
    import torch

    from dozero.model.hf import write_model_files
    from dozero.model.transformer import Transformer
    from dozero.tokenizer.tokenizer import Tokenizer, bpe_tokenizer, train_char_tokenizer

    if config in _WRITTEN:
        return _WRITTEN[config]
    tokenizer: Tokenizer = train_char_tokenizer(["".join(map(chr, range(0x21, 0x21 + vocab_size - 1)))][:1])
    if vocab_size > 256:
        base = bpe_tokenizer([])
        pairs = ((a, b) for a in range(8, 264) for b in range(8, 264))
        tokenizer = bpe_tokenizer([next(pairs) for _ in range(vocab_size - base.vocab_size)])
    model, noise = Transformer(config, tokenizer.vocab_size), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=noise) * (p.shape[1] ** -0.5 if p.ndim == 2 else 1))
    folder = Path(tempfile.mkdtemp(prefix="dozero-decode-"))
    write_model_files(model, tokenizer, folder)
    _WRITTEN[config] = folder
    return folder


if __name__ == "__main__":
    run_claims(__doc__, {"words": words, "stories": stories, "smol": smol})
