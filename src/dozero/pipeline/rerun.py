"""A process that trains a copy of a run, so that it can be killed: python -m dozero.pipeline.rerun RUN DATASET TOKENIZER.

RUN holds the settings as given.toml. What happens is told on stdout, one JSON line an event; it ends when the last step is saved.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from dozero.config import load_config
from dozero.dataset.shards import open_dataset
from dozero.device import apply_device, pick_device
from dozero.errors import DozeroError
from dozero.tokenizer.files import open_tokenizer
from dozero.train.events import Saved, Started, Stepped
from dozero.train.loop import train


def main(arguments: Sequence[str]) -> None:
    """Train the copy; exit with the error's one line if it cannot."""
    run, dataset_folder, tokenizer_folder = map(Path, arguments)
    try:
        config = load_config(run / "given.toml")
        device = pick_device(config.train.device, config.train.dtype, config.train.threads)
        apply_device(device)
        dataset, (tokenizer, _) = open_dataset(dataset_folder), open_tokenizer(tokenizer_folder)
        for event in train(config, dataset, tokenizer, run, device):
            if isinstance(event, Started | Stepped | Saved):
                sys.stdout.write(json.dumps({"event": type(event).__name__, "step": event.step}) + "\n")
                sys.stdout.flush()
            if isinstance(event, Saved) and event.step == config.train.steps:
                return
    except DozeroError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
