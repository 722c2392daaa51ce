"""A process that trains many steps of a tiny model, logs, looks, saves and samples included, and watches its memory."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

WATCHED = 100
"""How often the memory is looked at."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
DOCUMENT_LETTERS = 1000
SETTINGS = (
    "model.max_seq_len=256", "train.batch_tokens=256", "train.log_every=10", "train.observe_every=500",
    "train.spike_sigma=0",  # random letters in small steps: what jumps there is noise
    *(f"train.{verb}_every=1000" for verb in ("eval", "sample", "save")),
)  # fmt: skip


@dataclass(frozen=True)
class LongRun:
    """What a process told of a long run."""

    tokens: int
    """Of its text."""
    resident_bytes: list[int]
    """At equal distances, the last after the last step."""
    own_bytes: int
    """Of the last: what is not pages of the dataset's files, which the system takes back when it needs them."""


def long_run(documents: int, steps: int) -> LongRun:
    """Train so many steps on so many documents in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        base = [sys.executable, __file__, folder, str(steps)]
        for more in ([str(documents)], []):  # what made the text is another process: its memory would count as ours
            done = subprocess.run([*base, *more], capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"a long run failed:\n{done.stderr[-2000:]}")
        return LongRun(**json.loads(done.stdout))


def write_text(folder: Path, documents: int) -> None:
    """Write the dataset of so many documents of random letters."""
    from dozero.testing import tiny_dataset

    draw = random.Random(0)
    tiny_dataset(folder / "dataset", ["".join(draw.choices(LETTERS, k=DOCUMENT_LETTERS)) for _ in range(documents)], 2)


def main(folder: Path, steps: int) -> LongRun:
    """Train on the dataset of a folder here."""
    from dozero.dataset.shards import open_dataset
    from dozero.device import apply_device, pick_device
    from dozero.hardware import resident_memory_bytes
    from dozero.testing import tiny_config
    from dozero.tokenizer.tokenizer import train_char_tokenizer
    from dozero.train.events import Stepped
    from dozero.train.loop import train

    config, dataset = tiny_config(*SETTINGS, f"train.steps={steps}"), open_dataset(folder / "dataset")
    device = pick_device("cpu", "float32", 1)
    apply_device(device)
    every = max(1, steps // WATCHED)
    events = train(config, dataset, train_char_tokenizer([LETTERS]), folder / "run", device)
    steps_made = (event for event in events if isinstance(event, Stepped))
    resident = [resident_memory_bytes() or 0 for event in steps_made if event.step % every == 0]
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    own = next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon:"))
    return LongRun(dataset.train.tokens, resident, own)


if __name__ == "__main__":
    place, count, *size = sys.argv[1:]
    if size:
        write_text(Path(place), int(size[0]))
    else:
        print(json.dumps(asdict(main(Path(place), int(count)))))
