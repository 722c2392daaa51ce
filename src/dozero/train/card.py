"""The README.md of a model folder: what it is, what it learned from, how well it does, how to open it."""

from __future__ import annotations

from dozero.artifact import Manifest
from dozero.eval.surprise import Surprise

_CARD = """\
---
language: {language}
license: other
library_name: transformers
tags: [dozero]
---

# A small language model, trained with dozero

* Learned from {source}: {licence}. Whoever passes this model on should name that source and licence.
* {steps:,} steps, {tokens:,} tokens, {seconds:.0f} seconds.
* Held out: {documents:,} documents it never saw, {bits_per_byte:.4f} bits a byte ({bits:.4f} bits a character, {nats:.4f} nats a token).
* It knows nothing but the text it saw. It writes what is likely, not what is true.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model, tokenizer = AutoModelForCausalLM.from_pretrained("."), AutoTokenizer.from_pretrained(".")
```
"""


def model_card(manifest: Manifest, heldout: Surprise) -> str:
    """Return the model card of a finished run from the facts of its manifest."""
    about, counts = manifest.about, manifest.counts
    return _CARD.format(
        language=about.get("language", "unknown"),
        source=about.get("source", "unknown"),
        licence=about.get("licence", "unknown"),
        steps=counts["step"],
        tokens=counts["tokens"],
        seconds=manifest.seconds,
        documents=heldout.documents,
        bits_per_byte=heldout.bits_per_byte,
        bits=heldout.bits_per_character,
        nats=heldout.nats_per_token,
    )
