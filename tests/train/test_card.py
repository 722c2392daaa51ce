"""The model card says what the manifest says."""

from dozero.artifact import Manifest
from dozero.eval.surprise import Surprise
from dozero.train.card import model_card


def test_the_card_names_source_licence_and_score():
    manifest = Manifest(
        kind="model",
        counts={"step": 1200, "tokens": 34567},
        about={"source": "wordfreq pt", "licence": "CC BY-SA 4.0", "language": "pt"},
        seconds=41.4,
    )
    heldout = Surprise(nats=693.147, tokens=250, documents=100, characters=500, bytes=400)
    card = model_card(manifest, heldout)
    for fact in (
        "wordfreq pt",
        "CC BY-SA 4.0",
        "1,200 steps",
        "34,567 tokens",
        "2.0000 bits",
        "2.5000 bits",
        "2.7726 nats a token",
        "language: pt",
    ):
        assert fact in card
