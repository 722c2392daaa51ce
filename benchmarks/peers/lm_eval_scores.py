"""What lm-evaluation-harness makes of the same model folder and the same items: the peer of benchmarks/evaluate.py.

    python benchmarks/peers/lm_eval_scores.py MODEL_FOLDER TASK.toml [TASK.toml ...]

TASK is one of ours, of the kind text or choice; lm-eval gets its items and a description with the same words. The model
is its own `hf`. Our models saw the end of a document before each document: lm-eval puts it before a text by itself, and
before a prompt when told `add_bos_token=True`. Offline. One JSON object a task: its metrics, and for each item the
log-likelihoods in the order of the items.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from dozero.eval.task import Task, load_task

OUTPUT = {"text": "loglikelihood_rolling", "choice": "multiple_choice"}
METRICS = {"text": ("bits_per_byte",), "choice": ("acc", "acc_norm")}
ADDED = {"text": {}, "choice": {"add_bos_token": True}}


def describe(task: Task, items: Path) -> dict[str, Any]:
    """Return a task of ours as lm-eval describes one."""
    config = task.config
    assert not config.shots, "our examples are drawn for each item, lm-eval's otherwise"
    fields = {"doc_to_text": "", "doc_to_target": "{{text}}"}
    if config.kind == "choice":
        fields = {"doc_to_text": "{{prompt}}", "doc_to_target": "answer", "doc_to_choice": "choices"}
    return {
        "task": task.name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(items)}},
        "test_split": "test",
        "output_type": OUTPUT[config.kind],
        "target_delimiter": config.join,
        "metric_list": [{"metric": metric} for metric in METRICS[config.kind]],
        **fields,
    }


def write_items(task: Task, file: Path) -> None:
    """Write the items under the names that the description uses, prompts put together."""
    config, lines = task.config, []
    for item in task.items:
        row = {"text": item[config.text]} if config.kind == "text" else {
            "prompt": task.prompt_of(item), "choices": item[config.choices], "answer": item[config.answer],
        }  # fmt: skip
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    file.write_text("".join(lines), encoding="utf-8")


def scores_of(model_folder: Path, task: Task, folder: Path) -> dict[str, Any]:
    """Return what lm-eval finds."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    kind, items = task.config.kind, folder / f"{task.name}.jsonl"
    write_items(task, items)
    found = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(model_folder), "dtype": "float32", **ADDED[kind]},
        tasks=[describe(task, items)],
        device="cpu",
        batch_size=16,
        bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False),
    )
    assert found is not None
    samples = sorted(found["samples"][task.name], key=lambda sample: sample["doc_id"])
    return {
        "task": task.name,
        "metrics": {metric: found["results"][task.name][f"{metric},none"] for metric in METRICS[kind]},
        "logprobs": [_logprobs(sample) for sample in samples],
    }


def _logprobs(sample: dict[str, Any]) -> list[float]:
    """Return the log-likelihood of each answer of an item, or of its whole text."""
    return [float(answer[0] if isinstance(answer, (list, tuple)) else answer) for answer in sample["filtered_resps"]]


def main() -> None:
    """Print the scores."""
    model_folder, *tasks = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for task in tasks:
            print(json.dumps(scores_of(Path(model_folder), load_task(task), Path(folder))))


if __name__ == "__main__":
    main()
