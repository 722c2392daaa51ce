"""What `dozero hello stories` claims: no story twice, a loss near the exact entropy, right sentences, new stories.

    python benchmarks/stories.py [distinct learned] [--quick] [--json]

`learned` runs the command as a user would, in an empty folder, in both languages. About 20 minutes on two cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from claims.claim import Claim, at_least, at_most, run_claims

LANGS = ("pt", "en")
JUDGED_STORIES, JUDGED_SENTENCES = 500, 500


def distinct(quick: bool) -> Iterator[Claim]:
    """Tell a million stories in each language and count those told before."""
    from dozero.stories.tell import describe, tell

    count = 50_000 if quick else 1_000_000
    for lang in LANGS:
        seen = {hash(tell(lang, 0, n)) for n in range(count)}
        yield at_most(f"stories {lang}: repeated in {count}", count - len(seen), 0)
        facts = describe(lang)
        yield at_least(f"stories {lang}: forms of words", facts.words, 2000)
        yield at_least(f"stories {lang}: plots", facts.plots, 8)


def learned(quick: bool) -> Iterator[Claim]:
    """Run hello stories and judge what it has learned, by the grammar."""
    from dozero.corpus.store import open_corpus
    from dozero.eval.stories import judge_stories
    from dozero.generate.language_model import LanguageModel

    for lang in LANGS:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name) / "ws"
            command = [sys.executable, "-m", "dozero", "hello", "stories", "--lang", lang, "--out", str(root), "--json"]
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
            seconds = time.perf_counter() - began
            events = [json.loads(line) for line in done.stdout.splitlines()]
            trained_s = next(e["seconds"] for e in events if e["event"] == "Finished")
            exam = next(e for e in events if e["event"] == "Exam")
            loss, floor = exam["nats_per_token"], exam["floor_nats_per_token"]
            yield Claim(f"hello stories {lang}: seconds, whole command and training", seconds, trained_s, seconds / trained_s, "training <= 300", trained_s <= 303)  # fmt: skip
            yield Claim(f"hello stories {lang}: nats per token above the entropy (loss, entropy)", loss, floor, loss - floor, "<= 0.15, aim 0.05", loss - floor <= 0.15)  # fmt: skip
            model = LanguageModel.open(root / "runs" / "main" / "model")
            known = set(open_corpus(root / "work" / "corpus").texts())
            texts = model.generate_many(100 if quick else JUDGED_STORIES, seed=10_000, config=_settings(root))
        score = judge_stories(lang, texts, known)
        assert quick or score.sentences >= JUDGED_SENTENCES
        yield at_least(f"hello stories {lang}: share of {score.sentences} sentences that parse", score.share_of_sentences, 0.95)  # fmt: skip
        yield at_least(f"hello stories {lang}: share of {score.stories} stories not in training", score.new / score.stories, 0.99)  # fmt: skip
        whole = score.stories_right / score.stories
        yield Claim(f"hello stories {lang}: share of stories right from first to last", whole, 0, whole, "told", True)


def _settings(root: Path) -> object:
    from dozero.pipeline.stages import generate_settings

    return generate_settings(root / "runs" / "main" / "model", {})


if __name__ == "__main__":
    run_claims(__doc__, {"distinct": distinct, "learned": learned})
