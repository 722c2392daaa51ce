"""Claim: bits, choices, BLEU, chrF and F1 of `dozero eval` are those of lm-eval, sacrebleu and scikit-learn."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from claims.claim import Claim, at_most
from claims.reproduced import dozero

HERE = Path(__file__).resolve().parents[1]
SAME = 1e-4
SETTINGS = ("data.stories=6000", "train.save_every=1000", "train.eval_every=1000")


def judges(quick: bool) -> Iterator[Claim]:
    """Train a small model of stories, ask it, and let each judge look at the same folder, items and answers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workspace, tasks = folder / "ws", folder / "tasks"
        tasks.mkdir()
        dozero("new", str(workspace), "--preset", "stories", "--lang", "pt")
        dozero("run", str(workspace / "run.toml"), *SETTINGS, f"train.steps={60 if quick else 400}")
        written = [write_texts(workspace, tasks, 60 if quick else 400), write_pairs(tasks, 12 if quick else 100)]
        others = ["cotidiano-pt", "sentimento-pt", "traducao-pt-en"]
        _, out = dozero("eval", str(workspace), *map(str, written), *others, "--json")
        ours = {e["task"]: e for e in map(json.loads, out.splitlines()) if e["event"] == "Evaluated"}
        items = {task: items_of(workspace, task) for task in ours}
        theirs = lm_eval(workspace / "runs" / "main" / "model", [*map(str, written), "cotidiano-pt"])
    yield from agree_on_bits(ours["texts"], items["texts"], theirs["texts"])
    for task in ("pairs", "cotidiano-pt"):
        yield from agree_on_choices(ours[task], items[task], theirs[task])
    yield from agree_with_sacrebleu(ours["traducao-pt-en"], items["traducao-pt-en"])
    yield from agree_with_sklearn(ours["sentimento-pt"], items["sentimento-pt"])


def write_texts(workspace: Path, tasks: Path, count: int) -> Path:
    """Write the task of predicting some held-out stories, two in one so that some outgrow the context."""
    from dozero.dataset.shards import open_dataset
    from dozero.eval.exams import heldout_task
    from dozero.tokenizer.files import open_tokenizer

    tokenizer, _ = open_tokenizer(workspace / "work" / "tokenizer")
    heldout = heldout_task(open_dataset(workspace / "work" / "dataset"), tokenizer, count)
    texts = [item["text"] for item in heldout.items]
    rows = [{"text": text} for text in texts] + [
        {"text": "\n".join(texts[n : n + 4])} for n in range(0, len(texts) // 2, 4)
    ]
    return write_task(tasks, "texts", "text", rows)


def write_pairs(tasks: Path, per_phenomenon: int) -> Path:
    """Write our minimal pairs as a task of two choices after nothing."""
    from dozero.eval.minimal_pairs import make_pairs

    pairs = make_pairs("pt", per_phenomenon)
    rows = [{"prompt": "", "choices": [p.right, p.wrong][:: 1 if n % 2 else -1], "answer": 1 - n % 2} for n, p in enumerate(pairs)]  # fmt: skip
    return write_task(tasks, "pairs", "choice", rows)


def write_task(tasks: Path, name: str, kind: str, rows: list[dict[str, object]]) -> Path:
    """Write a task and its items, and return the task's file."""
    (tasks / f"{name}.toml").write_text(f'[task]\nkind = "{kind}"\n', encoding="utf-8")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tasks / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return tasks / f"{name}.toml"


def items_of(workspace: Path, task: str) -> list[dict]:
    """Return what the evaluation kept of each item."""
    file = workspace / "runs" / "main" / "evaluations" / task / "items.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def lm_eval(model: Path, tasks: list[str]) -> dict[str, dict]:
    """Return what lm-eval makes of the same model and tasks, in a process of its own."""
    command = [sys.executable, "-W", "ignore", str(HERE / "peers" / "lm_eval_scores.py"), str(model), *tasks]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    lines = (line for line in done.stdout.splitlines() if line.startswith('{"task"'))
    return {found["task"]: found for found in map(json.loads, lines)}


def figure_of(evaluated: dict, name: str) -> float:
    """Return a measure by its name."""
    return next(m["value"] for m in evaluated["measures"] if m["name"] == name)


def same(claim: str, ours: float, theirs: float, bar: float) -> Claim:
    """Return the claim that two figures differ by no more than the bar."""
    distance = abs(ours - theirs)
    return Claim(claim, ours, theirs, distance, f"differ by <= {bar:g}", distance <= bar)


def agree_on_bits(ours: dict, items: list[dict], theirs: dict) -> Iterator[Claim]:
    """Compare the bits of all texts, and of each."""
    bits = theirs["metrics"]["bits_per_byte"]
    yield same("lm-eval: bits per byte of texts (ratio: difference)", figure_of(ours, "bits_per_byte"), bits, SAME)
    worst = max(
        abs(item["nats"] + logprob) / math.log(2) / item["bytes"]
        for item, (logprob,) in zip(items, theirs["logprobs"], strict=True)
    )
    yield at_most(f"lm-eval: bits per byte, largest difference in {len(items)} texts", worst, SAME)


def agree_on_choices(ours: dict, items: list[dict], theirs: dict) -> Iterator[Claim]:
    """Compare the accuracies, and the likelihood of each choice."""
    for name, metric in (("accuracy", "acc"), ("accuracy_per_character", "acc_norm")):
        yield same(f"lm-eval: {ours['task']}, {name}", figure_of(ours, name), theirs["metrics"][metric], SAME)
    worst = max(
        abs(a - b) / max(1.0, abs(b))
        for item, told in zip(items, theirs["logprobs"], strict=True)
        for a, b in zip(item["logprobs"], told, strict=True)
    )
    yield at_most(f"lm-eval: {ours['task']}, largest relative difference of a log-likelihood", worst, SAME)


def agree_with_sacrebleu(ours: dict, items: list[dict]) -> Iterator[Claim]:
    """Compare BLEU and chrF of the answers written with what sacrebleu's own command prints."""
    with tempfile.TemporaryDirectory() as name:
        written, references = Path(name) / "written", Path(name) / "references"
        written.write_text("".join(item["written"] + "\n" for item in items), encoding="utf-8")
        references.write_text("".join(item["references"][0] + "\n" for item in items), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "sacrebleu",
            str(references),
            "-i",
            str(written),
            "-m",
            "bleu",
            "chrf",
            "-w",
            "6",
        ]
        out = json.loads(subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True).stdout)
    for found in out:
        name = "chrf" if found["name"].startswith("chrF") else "bleu"
        yield same(f"sacrebleu: {found['name']}", figure_of(ours, name), found["score"], 1e-6)


def agree_with_sklearn(ours: dict, items: list[dict]) -> Iterator[Claim]:
    """Compare accuracy and F1, of each class and of all, with scikit-learn's of the same answers."""
    from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

    right, said = ([item[key] for item in items] for key in ("right", "said"))
    labels = ours["details"]["labels"]
    yield same("scikit-learn: accuracy", figure_of(ours, "accuracy"), accuracy_score(right, said), 1e-12)
    f1 = f1_score(right, said, average="macro", zero_division=0.0)
    yield same("scikit-learn: macro F1", figure_of(ours, "macro_f1"), f1, 1e-12)
    told = precision_recall_fscore_support(right, said, labels=labels, zero_division=0.0)
    worst = max(
        abs(score[key] - column[n])
        for n, score in enumerate(ours["details"]["classes"])
        for key, column in zip(("precision", "recall", "f1"), told, strict=False)
    )
    yield at_most("scikit-learn: precision, recall and F1 of each class, largest difference", worst, 1e-12)
