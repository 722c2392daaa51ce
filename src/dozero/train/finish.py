"""The end of a run: all held-out documents scored, and the model folder written."""

from __future__ import annotations

from dataclasses import asdict

from dozero.artifact import Manifest, is_current, read_manifest, sweep_leftovers, write_artifact
from dozero.dataset.shards import Dataset
from dozero.eval.likelihood import measure_surprise
from dozero.eval.surprise import Surprise
from dozero.model.hf import write_model_files
from dozero.train.card import model_card
from dozero.train.events import Finished
from dozero.train.session import Session
from dozero.train.shard import gather_model
from dozero.train.team import Order, dismiss, with_all


def finish(s: Session, dataset: Dataset) -> Finished:
    """Score all held-out documents and write the model folder, unless an earlier call did."""
    out, config = s.run / "model", s.config.model_dump()
    sweep_leftovers(out)
    inputs = {"dataset": dataset.manifest.fingerprint}
    if is_current(out, "model", inputs, config) and read_manifest(out).counts["step"] == s.state.step:
        manifest = read_manifest(out, "model")
        return Finished(s.state.step, out, Surprise(**manifest.about["heldout"]), s.state.seconds)
    if not s.is_sharded:
        dismiss(s.team)  # the rest is for the leader alone, and may take long
    with with_all(s.team, Order.FINISH, s.state.step, s.state.schedule):
        heldout = measure_surprise(s.model, dataset.heldout)
        model = gather_model(s.team, s.model) if s.team is not None and s.is_sharded else s.model
    manifest = Manifest(
        kind="model",
        inputs=inputs,
        config=config,
        counts={"step": s.state.step, "tokens": s.state.tokens, "vocab_size": s.model.vocab_size},
        about={**dataset.manifest.about, "heldout": asdict(heldout)},
        seconds=round(s.state.seconds, 3),
    )
    with write_artifact(out, manifest) as folder:
        write_model_files(model, s.tokenizer, folder)
        (folder / "README.md").write_text(model_card(manifest, heldout), encoding="utf-8")
    return Finished(s.state.step, out, heldout, s.state.seconds)
