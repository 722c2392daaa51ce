"""What `dozero hello` claims, measured here and now: time to the first words, speed against a plain recipe, quality.

    python benchmarks/hello.py [--quick] [--json] [--seeds 3]

Runs everything as a user would, whole processes in an empty folder, both sides in one go, and takes medians over
seeds. Exit 1 if a bar falls short. About 20 minutes on two cores; --quick is a smoke run of two.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from claims.claim import Claim, line_of

HERE = Path(__file__).resolve().parent
WORDS_IN_RACE = 10_000
# The race is to a loss that two counted letters would nearly reach, so a small model and short steps win it.
RACE_SETTINGS = """\
extends = "words"
seed = {seed}
[data]
source = "{source}"
max_letters = 15
[model]
d_model = 64
n_layers = 2
n_heads = 2
n_kv_heads = 2
d_ff = 192
[optim]
muon_lr = 0.05
adam_lr = 0.03
momentum = 0.9
[train]
steps = 100
batch_tokens = 2048
eval_every = 1000
sample_every = 1000
save_every = 1000
max_seconds = 0
"""
LONG_SETTINGS = """\
extends = "words"
seed = {seed}
[data]
source = "{source}"
max_letters = 15
"""
VOWEL_MARKS = set("àáâãéêíóôõúç")


def run_dozero(*args: str, cwd: Path) -> tuple[float, list[tuple[float, dict]]]:
    """Run a dozero command with --json; return its seconds and its events with the second each came at."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "dozero", *args, "--json"]
    events = []
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        events.extend((time.perf_counter() - began, json.loads(line)) for line in process.stdout)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return time.perf_counter() - began, events


def first(events: list[tuple[float, dict]], name: str, *, trained: bool = False) -> tuple[float, dict]:
    """Return the first event of a name; with `trained`, of a step past 0."""
    return next((t, e) for t, e in events if e["event"] == name and (not trained or e["step"] > 0))


def first_minute(folder: Path, lang: str, quick: bool) -> Iterator[Claim]:
    """`dozero hello` from nothing: the whole command, and the first sample."""
    args = ["--minutes", "0.4"] if quick else []
    seconds, events = run_dozero("hello", "--lang", lang, "--out", str(folder / lang), *args, cwd=folder)
    shown, _ = first(events, "Sampled")
    written, _ = first(events, "Sampled", trained=True)
    yield Claim(f"hello {lang}: whole command, seconds", seconds, 60, seconds / 60, "<= 60", seconds <= 60)
    yield Claim(f"hello {lang}: first sample, seconds", shown, 5, shown / 5, "<= 5", shown <= 5)
    yield Claim(f"hello {lang}: first sample after training began, seconds", written, 10, written / 10, "(told)", True)


def minutes_kept(folder: Path, minutes: float) -> Claim:
    """`--minutes M` takes M minutes within 10%."""
    seconds, _ = run_dozero(
        "hello", "--lang", "pt", "--minutes", f"{minutes}", "--out", str(folder / f"m{minutes}"), cwd=folder
    )
    ratio = seconds / (60 * minutes)
    return Claim(f"hello --minutes {minutes}: seconds", seconds, 60 * minutes, ratio, "0.9 to 1.1", 0.9 <= ratio <= 1.1)


def quality(folder: Path, lang: str) -> Iterator[Claim]:
    """1,000 samples of a hello: how many are new, how likely under held-out 5-grams, how accented."""
    from dozero.corpus.build import known_words
    from dozero.corpus.store import open_corpus
    from dozero.dataset.split import is_heldout
    from dozero.generate.language_model import LanguageModel
    from dozero.pipeline.stages import generate_settings

    root = folder / lang
    model_folder = root / "runs" / "main" / "model"
    model, config = LanguageModel.open(model_folder), generate_settings(model_folder, {})
    samples = [w for start in range(0, 1000, 250) for w in model.generate_many(250, config=config, seed=10_000 + start)]
    known = known_words(root / "work" / "corpus")
    letters = set(model.tokenizer.alphabet)
    new = [w for w in samples if w not in known and letters.issuperset(w)]  # half a character is no new word
    share = len(new) / len(samples)
    yield Claim(f"hello {lang}: share of 1,000 samples that are new", share, 0.8, share / 0.8, ">= 0.8", share >= 0.8)
    heldout = [w for w in open_corpus(root / "work" / "corpus").texts() if is_heldout(w, 10)]
    ours, real = cross_fitted_log_probability(new, heldout, model)
    name = f"hello {lang}: log-probability a letter of new words under held-out 5-grams"
    yield Claim(name, ours, real, ours / real, "0.9 to 1.1", 0.9 <= ours / real <= 1.1)
    if lang == "pt":
        ours, real = accent_rate(samples), accent_rate(heldout)
        yield Claim("hello pt: accents a letter", ours, real, ours / real, "0.75 to 1.25", 0.75 <= ours / real <= 1.25)


def cross_fitted_log_probability(new: list[str], heldout: list[str], model: object) -> tuple[float, float]:
    """Return the mean log-probability a letter of new and of real words, under 5-grams of held-out words.

    Counted on one half of the held-out words and read off the new words and the other half, both ways round:
    words that were counted themselves would look likelier than any unseen word can.
    """
    from dozero.dataset.shards import encode_documents
    from dozero.eval.ngram import count_ngrams, ngram_nats

    tokenizer = model.tokenizer  # type: ignore[attr-defined] - a LanguageModel, imported late
    symbols = len(tokenizer.alphabet) + 1
    shuffled = random.Random(0).sample(heldout, len(heldout))
    halves = shuffled[: len(shuffled) // 2], shuffled[len(shuffled) // 2 :]
    scores: dict[str, list[float]] = {"new": [], "real": []}
    for counted, other in (halves, halves[::-1]):
        ngrams = count_ngrams(encode_documents(counted, tokenizer), 5, tokenizer.vocab_size, symbols)
        for name, words in (("new", new), ("real", other)):
            nats = ngram_nats(ngrams, encode_documents(words, tokenizer))
            scores[name].append(-float(nats.mean()))
    return statistics.mean(scores["new"]), statistics.mean(scores["real"])


def accent_rate(words: list[str]) -> float:
    """Return the share of letters that carry an accent or cedilla."""
    return sum(c in VOWEL_MARKS for w in words for c in w) / sum(map(len, words))


def write_race_words(folder: Path) -> tuple[Path, Path, Path, Path]:
    """Write the race's 10,000 random English words, their two splits, and the whole list; return the four files."""
    from dozero.corpus.words import curate_words
    from dozero.dataset.split import is_heldout
    from dozero.settings import DataConfig

    kept, _ = curate_words(DataConfig(lang="en", max_letters=15))
    words = [document.text for document in kept]
    random.Random(0).shuffle(words)
    race = words[:WORDS_IN_RACE]
    lists = {
        "race.txt": race,
        "race-train.txt": [w for w in race if not is_heldout(w, 10)],
        "race-heldout.txt": [w for w in race if is_heldout(w, 10)],
        "all.txt": words,
    }
    for name, content in lists.items():
        (folder / name).write_text("\n".join(content) + "\n", encoding="utf-8")
    race_file, train, heldout, everything = (folder / name for name in lists)
    return race_file, train, heldout, everything


def race(folder: Path, seeds: int, quick: bool) -> Iterator[Claim]:
    """Ours against the plain recipe: time to its loss, and loss in a quarter of its time."""
    race_file, train_file, heldout_file, all_file = write_race_words(folder)
    rows = []
    for seed in range(seeds):
        began = time.perf_counter()
        plain = [
            sys.executable,
            str(HERE / "peers" / "plain_words.py"),
            str(train_file),
            str(heldout_file),
            f"--seed={seed}",
        ]
        environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
        out = subprocess.run(
            plain + (["--steps=300"] if quick else []), capture_output=True, text=True, check=True, env=environment
        ).stdout
        plain_seconds, plain_nats = time.perf_counter() - began, json.loads(out)["nats_per_word"]

        workspace = folder / f"race-{seed}"
        workspace.mkdir()
        (workspace / "run.toml").write_text(RACE_SETTINGS.format(seed=seed, source=race_file.as_posix()))
        seconds, events = run_dozero("train", str(workspace / "run.toml"), cwd=folder)
        nats = first(events, "Finished")[1]["heldout"]["nats_per_document"]

        quarter = plain_seconds / 4
        workspace = folder / f"long-{seed}"
        workspace.mkdir()
        (workspace / "run.toml").write_text(LONG_SETTINGS.format(seed=seed, source=all_file.as_posix()))
        long_seconds, _ = run_dozero("train", str(workspace / "run.toml"), f"--minutes={quarter / 60}", cwd=folder)
        long_nats = score_words(workspace, heldout_file)
        rows.append((plain_seconds, plain_nats, seconds, nats, long_seconds / quarter, long_nats))
        print(f"seed {seed}: plain {plain_seconds:.1f} s {plain_nats:.3f} nats; ours {seconds:.1f} s {nats:.3f} nats; "
              f"whole list {long_seconds:.1f} s {long_nats:.3f} nats", file=sys.stderr)  # fmt: skip
    median = [statistics.median(column) for column in zip(*rows, strict=True)]
    plain_seconds, plain_nats, seconds, nats, long_share, long_nats = median
    reached = all(row[3] <= row[1] for row in rows) or quick
    speedup = statistics.median(row[0] / row[2] for row in rows)
    yield Claim(
        "race: nats a held-out word at the end", nats, plain_nats, nats / plain_nats, "<= 1 on each seed", reached
    )
    yield Claim(
        "race: whole process, seconds (ratio: times faster)",
        seconds,
        plain_seconds,
        speedup,
        ">= 15, aim 25",
        speedup >= 15 or quick,
    )
    gain = statistics.median(row[5] / row[1] for row in rows)
    yield Claim(
        "whole list, a quarter of the time: nats a held-out word",
        long_nats,
        plain_nats,
        gain,
        "<= 0.95",
        gain <= 0.95 or quick,
    )
    yield Claim(
        "whole list: share of a quarter of the time used",
        long_share,
        1.0,
        long_share,
        "<= 1.1",
        long_share <= 1.1 or quick,
    )


def score_words(workspace: Path, heldout_file: Path) -> float:
    """Return the nats a word of a workspace's model on a file of words."""
    from dozero.dataset.shards import encode_documents
    from dozero.eval.likelihood import measure_surprise
    from dozero.generate.language_model import LanguageModel

    model = LanguageModel.open(workspace / "runs" / "main" / "model")
    words = heldout_file.read_text(encoding="utf-8").split()
    return measure_surprise(model.model, encode_documents(words, model.tokenizer)).nats_per_document


def main() -> None:
    """Measure, print a table (or JSON lines), exit 1 if a bar falls short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: shorter, its figures mean little")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the race (median)")
    args = parser.parse_args()
    claims: list[Claim] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for lang in ("pt", "en"):
            claims += first_minute(folder, lang, args.quick)
            claims += quality(folder, lang)
        claims += [] if args.quick else [minutes_kept(folder, minutes) for minutes in (0.5, 1, 3)]
        claims += race(folder, 1 if args.quick else args.seeds, args.quick)
    for claim in claims:
        print(json.dumps(claim.__dict__) if args.json else line_of(claim))
    sys.exit(0 if args.quick or all(claim.holds for claim in claims) else 1)


if __name__ == "__main__":
    main()
