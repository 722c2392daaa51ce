"""What the tokenizer claims: the taught BPE equals the library's, any text comes back, encoding is as fast as it gets.

    python benchmarks/tokenizer.py [equal round_trip speed price] [--quick] [--json]

The text is the Portuguese LibreOffice help (a Debian package, unpacked into a cache folder). About one minute on two cores.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from claims.claim import Claim, at_most, run_claims
from peers.debian_text import help_text

MERGES, SPECIALS = 4096, 8
STRINGS = 10_000
ROUNDS = 15


@cache
def lines(quick: bool) -> list[str]:
    """Return the help, a paragraph each; a tenth of it for a smoke run."""
    every = help_text().splitlines(keepends=True)
    return every[::10] if quick else every


def equal(quick: bool) -> Iterator[Claim]:
    """Train both on the same text and compare every merge and every id."""
    from dozero.tokenizer.bpe import train_bpe
    from dozero.tokenizer.tokenizer import train_bpe_tokenizer

    texts, size = lines(quick), SPECIALS + 256 + MERGES
    began = time.perf_counter()
    library = train_bpe_tokenizer(texts, size)
    middle = time.perf_counter()
    ours = train_bpe(texts, size, specials=SPECIALS, min_count=2)
    end = time.perf_counter()
    different = sum(a != b for a, b in zip(ours.merges, library.merges, strict=False))
    different += abs(len(ours.merges) - len(library.merges))
    yield at_most(f"reference BPE: merges of {len(library.merges)} that differ from tokenizers'", different, 0)
    whole = "".join(texts)
    mine, theirs = ours.encode(whole), library.encode(whole).tolist()
    wrong = sum(a != b for a, b in zip(mine, theirs, strict=False)) + abs(len(mine) - len(theirs))
    yield at_most(f"reference BPE: ids of {len(theirs)} that differ, the whole text encoded", wrong, 0)
    yield Claim("reference BPE: seconds to train, beside tokenizers", end - middle, middle - began, (end - middle) / (middle - began), "told", True)  # fmt: skip


def round_trip(quick: bool) -> Iterator[Claim]:
    """Encode and decode random Unicode strings, special tokens spelled out among them."""
    from dozero.tokenizer.tokenizer import train_bpe_tokenizer

    tokenizer, rng, lost = train_bpe_tokenizer(lines(True), 2048), random.Random(0), 0
    specials = [name for name in tokenizer.specials if name]
    for _ in range(STRINGS // (10 if quick else 1)):
        text = "".join(_random_piece(rng, specials) for _ in range(rng.randrange(30)))
        ids = tokenizer.encode(text)
        lost += tokenizer.decode(ids) != text or (len(ids) > 0 and int(ids.min()) < len(tokenizer.specials))
    yield at_most("encode, decode: random Unicode strings that do not come back", lost, 0)


def _random_piece(rng: random.Random, specials: list[str]) -> str:
    if rng.random() < 0.05:
        return rng.choice(specials)
    point = rng.randrange(0x110000)
    return chr(point) if not 0xD800 <= point < 0xE000 else " ação"


def speed(quick: bool) -> Iterator[Claim]:
    """Encode the whole help by ours and by the library called directly, turn by turn."""
    from tokenizers import Tokenizer as LibraryTokenizer

    from dozero.artifact import Manifest
    from dozero.tokenizer.files import save_tokenizer
    from dozero.tokenizer.tokenizer import train_bpe_tokenizer

    texts = lines(quick)
    ours = train_bpe_tokenizer(texts, SPECIALS + 256 + MERGES)
    with tempfile.TemporaryDirectory() as name:
        save_tokenizer(ours, Path(name) / "tokenizer", Manifest("tokenizer"))
        library = LibraryTokenizer.from_file(str(Path(name) / "tokenizer" / "tokenizer.json"))
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(3 if quick else ROUNDS):
        for side, encode in (
            ("ours", lambda: ours.encode_many(texts)),
            ("theirs", lambda: [e.ids for e in library.encode_batch_fast(texts, add_special_tokens=False)]),
        ):
            began = time.perf_counter()
            encode()
            times[side].append(time.perf_counter() - began)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    mine, theirs = (megabytes / statistics.median(times[side]) for side in ("ours", "theirs"))
    yield Claim("encoding: MB a second, beside tokenizers called directly", mine, theirs, mine / theirs, ">= 0.9", mine >= 0.9 * theirs)  # fmt: skip


def price(quick: bool) -> Iterator[Claim]:
    """Tell what Portuguese pays under an English vocabulary of the same size."""
    from dozero.stories.tell import tell
    from dozero.tokenizer.tokenizer import train_bpe_tokenizer

    count = 2_000 if quick else 10_000
    exam = [tell("pt", 1, n) for n in range(1000)]
    tokens = {}
    for lang in ("pt", "en"):
        tokenizer = train_bpe_tokenizer((tell(lang, 0, n) for n in range(count)), 2048)
        tokens[lang] = sum(map(len, tokenizer.encode_many(exam)))
    ratio = tokens["en"] / tokens["pt"]
    yield Claim("price: tokens for Portuguese stories under an English vocabulary", tokens["en"], tokens["pt"], ratio, "told", True)  # fmt: skip


if __name__ == "__main__":
    run_claims(__doc__, {"equal": equal, "round_trip": round_trip, "speed": speed, "price": price})
