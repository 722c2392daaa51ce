"""The README.md of a model folder: what it is, what it learned from, how well it does, how to open it and make it again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from dozero.artifact import MANIFEST, Manifest, read_manifest, versions, write_artifact
from dozero.durable import sha256_of
from dozero.eval.results import Result
from dozero.eval.surprise import Surprise
from dozero.model.cost import model_cost
from dozero.settings import RunConfig
from dozero.train.energy import energy_row
from dozero.train.report_evaluations import evaluation_lines

CARD = "README.md"
_CARD = """\
---
language: {language}
license: other
library_name: transformers
tags: [dozero]
---

# A small language model, trained with dozero

* Learned from {source}: {licence}. Whoever passes this model on should name that source and licence.
* {params:,} parameters ({architecture}): {layers} blocks, {width} wide, a context of {context} tokens.
* Tokenizer: {tokenizer}, {vocab_size:,} tokens.
* {steps:,} steps, {tokens:,} tokens, {seconds:.0f} seconds. Energy: {energy}
* Held out: {documents:,} documents it never saw, {bits_per_byte:.4f} bits a byte ({bits:.4f} bits a character, {nats:.4f} nats a token).
* It knows nothing but the text it saw. It writes what is likely, not what is true.

{evaluations}

## To open it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model, tokenizer = AutoModelForCausalLM.from_pretrained("."), AutoTokenizer.from_pretrained(".")
```

## To make it again

The same data, settings, versions and number of threads give the same weights, bit for bit: `dozero reproduce` trains it
again from the manifest beside this file and compares. Seed {seed}; dataset `{dataset}`; {versions}.
"""


def model_card(manifest: Manifest, heldout: Surprise, results: Sequence[Result] = ()) -> str:
    """Return the model card of a finished run from the facts of its manifest and the evaluations kept beside it."""
    about, counts, config = manifest.about, manifest.counts, RunConfig.model_validate(manifest.config)
    shape = config.model
    return _CARD.format(
        language=about.get("language", "unknown"),
        source=about.get("source", "unknown"),
        licence=about.get("licence", "unknown"),
        params=model_cost(shape, counts["vocab_size"]).params,
        architecture=shape.architecture,
        layers=shape.n_layers,
        width=shape.d_model,
        context=shape.max_seq_len,
        tokenizer=config.tokenizer.kind,
        vocab_size=counts["vocab_size"],
        steps=counts["step"],
        tokens=counts["tokens"],
        seconds=manifest.seconds,
        energy=energy_row(manifest.seconds, config.eval.watts, "en")[1],
        documents=heldout.documents,
        bits_per_byte=heldout.bits_per_byte,
        bits=heldout.bits_per_character,
        nats=heldout.nats_per_token,
        evaluations="\n".join(evaluation_lines(results, "en", "RUN")),
        seed=config.seed,
        dataset=str(manifest.inputs.get("dataset", "unknown"))[:16],
        versions=", ".join(f"{name} {version}" for name, version in (manifest.versions or versions()).items()),
    )


def update_card(model_folder: Path, results: Sequence[Result]) -> bool:
    """Write the card anew with these evaluations; return whether it was ours to write.

    The folder is written whole beside the old one, its other files linked, so that it is intact at every instant. A card
    that somebody has changed is left alone.
    """
    manifest = read_manifest(model_folder, "model")
    told = manifest.files.get(CARD)
    if told is None or sha256_of(model_folder / CARD) != told["sha256"]:
        return False
    card = model_card(manifest, Surprise(**manifest.about["heldout"]), results)
    if card == (model_folder / CARD).read_text(encoding="utf-8"):
        return True
    with write_artifact(model_folder, manifest) as folder:
        for name in manifest.files:
            if name not in (CARD, MANIFEST):
                _link(model_folder / name, folder / name)
        (folder / CARD).write_text(card, encoding="utf-8")
    return True


def _link(file: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the disk knows no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)
