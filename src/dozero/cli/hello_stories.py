"""What `dozero hello stories` shows of its data, its tokens, its exam and the stories it makes up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dozero.cli.sections import head

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.eval.surprise import Surprise
    from dozero.pipeline.stages import Prepared, Workspace
    from dozero.settings import RunConfig

SAMPLES = 3
JUDGED = 100
BAR_WIDTH = 40
TELLING_S = 4.0
"""What comes after training takes about so long: exam, samples, and judging them."""
STORIES_A_MINUTE, LEAST_STORIES = 30_000, 5_000
"""More than are read in the time: to tell all of them would take a quarter of the only minute there is."""


def fewer_stories(usual: int, minutes: float | None) -> int | None:
    """Return how many stories to tell where a run is so short that it never gets to the usual number, else None.

    >>> fewer_stories(60_000, 1), fewer_stories(60_000, 5), fewer_stories(60_000, None)
    (30000, None, None)
    """
    if minutes is None:
        return None
    stories = max(LEAST_STORIES, round(STORIES_A_MINUTE * minutes))
    return stories if stories < usual else None


def tell_data(display: Display, data: Prepared) -> None:
    """Say how many stories there are, of what, and show one."""
    from dozero.cli.messages import number

    lang, corpus, grammar = display.lang, data.corpus, _grammar_of(data)
    head(display, 1, "data")
    display.say(
        "stories_kept", 3, stories=number(lang, corpus.manifest.counts["kept"]), plots=grammar["plots"],
        words=number(lang, grammar["words"]), nats=grammar["nats_per_story"],
    )  # fmt: skip
    _show_story(display, next(corpus.texts()))
    display.say("stories_heldout", 3, heldout=number(lang, data.dataset.heldout.documents))


def tell_tokens(display: Display, data: Prepared) -> None:
    """Show how the first sentence of a story is cut."""
    from rich.markup import escape

    from dozero.cli.messages import number

    tokenizer, lang, stream = data.tokenizer, display.lang, data.dataset.train
    head(display, 2, "tokens")
    display.say("stories_tokens", 3, vocab=number(lang, tokenizer.vocab_size), bytes=stream.bytes / len(stream.ids))
    sentence = next(data.corpus.texts()).split(".")[0] + "."
    display.line("   " + escape("|".join(tokenizer.show(tokenizer.encode(sentence).tolist()))))


def tell_training(display: Display, config: RunConfig, data: Prepared) -> None:
    """Say what a step of training is."""
    from dozero.cli.messages import number

    lang, stream = display.lang, data.dataset.train
    stories = round(config.train.batch_tokens * stream.documents / len(stream.ids))
    display.say("stories_training", 3, steps=number(lang, config.train.steps), stories=number(lang, stories))


def tell_exam(display: Display, data: Prepared, heldout: Surprise) -> None:
    """Compare the loss with the floor under it: what a story is worth to who knows the grammar, on average and exactly."""
    from dozero.cli.messages import number

    floor = _grammar_of(data)["nats_per_story"] * heldout.documents / heldout.tokens
    loss = heldout.nats_per_token
    if display.as_json:
        facts = {"nats_per_token": loss, "floor_nats_per_token": floor, "bits_per_byte": heldout.bits_per_byte}
        display.print_json({"event": "Exam", **facts})
    head(display, 5, "exam")
    display.say("stories_exam", 3, stories=number(display.lang, heldout.documents))
    for key, value, style in (("rung_floor", floor, "dim"), ("rung_model", loss, "bold green")):
        bar = "█" * round(BAR_WIDTH * value / max(loss, floor))
        display.line("   " + _said(display, key).ljust(12) + f" {value:.3f} [{style}]{bar}[/]")
    display.say("stories_gap", 3, gap=loss - floor)


def tell_samples(display: Display, config: RunConfig) -> None:
    """Head the stories to come."""
    head(display, 6, "stories")
    display.say("stories_what", 3, temperature=config.generate.temperature)


def show_samples(display: Display, workspace: Workspace, config: RunConfig, seed: int) -> None:
    """Print three stories, and what the grammar says of a hundred."""
    from dozero.corpus.store import open_corpus
    from dozero.eval.stories import judge_stories
    from dozero.generate.language_model import LanguageModel

    model = LanguageModel.open(workspace.run / "model", precision="float32")
    texts = model.generate_many(JUDGED, config=config.generate, seed=seed)
    for text in texts[:SAMPLES]:
        if display.as_json:
            display.print_json({"event": "Story", "text": text})
        _show_story(display, text)
    written = set(texts)
    known = {text for text in open_corpus(workspace.corpus).texts() if text in written}
    score = judge_stories(config.data.lang, texts, known)
    shares = {
        "sentences_right": score.share_of_sentences,
        "stories_right": score.stories_right / score.stories,
        "new": score.new / score.stories,
    }
    if display.as_json:
        display.print_json({"event": "Judged", "stories": score.stories, **shares})
    display.say("stories_judged", 3, stories=score.stories, **shares)


def _grammar_of(data: Prepared) -> dict[str, Any]:
    """Return what the report of the corpus says of the grammar that told it."""
    return json.loads((data.corpus.path / "report.json").read_text(encoding="utf-8"))["grammar"]


def _show_story(display: Display, text: str) -> None:
    from rich.markup import escape

    display.line("   [green]│[/] " + escape(text).replace("\n", "\n   [green]│[/] "))


def _said(display: Display, key: str) -> str:
    from dozero.cli.messages import say

    return say(display.lang, key)
