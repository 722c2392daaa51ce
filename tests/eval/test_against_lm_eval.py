"""lm-evaluation-harness, offline, on the same model folder and the same items: the same bits and the same choices."""

import importlib.util
import json
import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dozero.eval.choices import mark_choices
from dozero.eval.task import load_task
from dozero.eval.text import mark_text
from dozero.generate.language_model import LanguageModel
from dozero.model.hf import write_model_files
from dozero.testing import random_language_model

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / "benchmarks" / "peers" / "lm_eval_scores.py"
AGREES = 1e-4
WORDS = ("coração", "mãe", "água", "de", "novo", "cão", "avó", "pé")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("lm_eval") is None, reason="needs lm-eval (pip install lm-eval; half a minute)"
    ),
]


def write_task(folder, name, kind, rows):
    (folder / f"{name}.toml").write_text(f'[task]\nkind = "{kind}"\n', encoding="utf-8")
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder / f"{name}.toml"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Our outcomes and lm-eval's scores by task: of texts and prompts that fit the context of 24, and that do not."""
    folder, draw = tmp_path_factory.mktemp("lm-eval"), random.Random(0)

    def words(count):
        return " ".join(draw.choice(WORDS) for _ in range(count))

    model = random_language_model([" ".join(WORDS)], context=24)
    (folder / "model").mkdir()
    write_model_files(model.model, model.tokenizer, folder / "model")
    texts = [{"text": words(draw.randint(1, 30))} for _ in range(40)]
    questions = [
        {"prompt": words(draw.randint(0, 9)) + draw.choice(("", " ", "  ")), "answer": draw.randrange(3),
         "choices": [words(n) for n in draw.sample((1, 1, 2, 3), 3)]}
        for _ in range(60)
    ]  # fmt: skip
    tasks = [write_task(folder, "texts", "text", texts), write_task(folder, "questions", "choice", questions)]
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", PEER, folder / "model", *tasks], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    theirs = {found["task"]: found for found in map(json.loads, ran.stdout.splitlines()) if "task" in found}
    model = LanguageModel.open(folder / "model")
    ours = {
        "texts": mark_text(model, load_task(str(tasks[0]))),
        "questions": mark_choices(model, load_task(str(tasks[1]))),
    }
    return ours, theirs


def test_the_bits_of_each_text_and_of_all_of_them_agree(told):
    ours, theirs = (side["texts"] for side in told)
    assert abs(ours.measures[0].interval.value - theirs["metrics"]["bits_per_byte"]) < AGREES
    bits = [item["nats"] / math.log(2) / item["bytes"] for item in ours.items]
    told_bits = [
        -logprob / math.log(2) / item["bytes"] for (logprob,), item in zip(theirs["logprobs"], ours.items, strict=True)
    ]
    assert np.allclose(bits, told_bits, rtol=0, atol=AGREES)
    assert max(item["tokens"] for item in ours.items) > 3 * 24, "some are read in windows"


def test_the_likelihood_of_each_choice_and_the_accuracies_agree(told):
    ours, theirs = (side["questions"] for side in told)
    assert len(ours.items) == len(theirs["logprobs"])
    for item, logprobs in zip(ours.items, theirs["logprobs"], strict=True):
        assert item["logprobs"] == pytest.approx(logprobs, abs=AGREES)
    accuracy, per_character = (measure.interval.value for measure in ours.measures)
    assert accuracy == pytest.approx(theirs["metrics"]["acc"], abs=1e-12)
    assert per_character == pytest.approx(theirs["metrics"]["acc_norm"], abs=1e-12)
    assert {item["said"] for item in ours.items} == {0, 1, 2}
