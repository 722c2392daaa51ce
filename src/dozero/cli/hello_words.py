"""What `dozero hello words` shows of its data, its tokens, its exam and the words it makes up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dozero.cli.sections import head

if TYPE_CHECKING:
    from dozero.cli.display import Display
    from dozero.eval.surprise import Surprise
    from dozero.pipeline.stages import Prepared, Workspace
    from dozero.settings import RunConfig

SAMPLES = 10
REASONS_SHOWN = 3
ALPHABET_SHOWN = 60
BAR_WIDTH = 40
TELLING_S = 0.5
"""What comes after training takes about so long: exam and samples."""


def tell_data(display: Display, data: Prepared) -> None:
    """Say what words there are, which were dropped and how many are held out."""
    from dozero.cli.messages import MESSAGES, number, say

    counts, about, lang = data.corpus.manifest.counts, data.corpus.manifest.about, display.lang
    head(display, 1, "data")
    total = counts["kept"] + counts["dropped"]
    display.say(
        "data_kept", 3, kept=number(lang, counts["kept"]), total=number(lang, total),
        source=about["source"], licence=about["licence"],
    )  # fmt: skip
    reasons = [
        f"{number(lang, count)} {say(lang, f'reason:{reason}') if f'reason:{reason}' in MESSAGES else reason}"
        for reason, count in counts["by_reason"].items()
    ]
    more = " ..." if len(reasons) > REASONS_SHOWN else ""
    if reasons:
        display.line(f"   {say(lang, 'data_dropped')} " + " · ".join(reasons[:REASONS_SHOWN]) + more)
    display.say("data_heldout", 3, heldout=number(lang, data.dataset.heldout.documents))


def tell_tokens(display: Display, data: Prepared) -> None:
    """Show the alphabet, and three words as ids."""
    tokenizer = data.tokenizer
    head(display, 2, "tokens")
    alphabet = (
        tokenizer.alphabet if len(tokenizer.alphabet) <= ALPHABET_SHOWN else tokenizer.alphabet[:ALPHABET_SHOWN] + "..."
    )
    display.say("tokens_alphabet", 3, alphabet=alphabet, count=len(tokenizer.alphabet), vocab=tokenizer.vocab_size)
    for word in _three_words(data.corpus.texts()):
        ids = " ".join(str(i) for i in tokenizer.encode(word).tolist())
        display.line(f"   {word:<14} {ids}")


def _three_words(texts: Iterator[str]) -> list[str]:
    """Return three common words of six letters or more where there are such, else any three."""
    common = list(itertools.islice(texts, 2000))
    return ([text for text in common if len(text) >= 6] or common)[:3]


def tell_training(display: Display, config: RunConfig, data: Prepared) -> None:
    """Say what a step of training is."""
    from dozero.cli.messages import number

    lang, stream = display.lang, data.dataset.train
    words = round(config.train.batch_tokens * stream.documents / len(stream.ids))
    display.say("training_what", 3, steps=number(lang, config.train.steps), words=number(lang, words))


def tell_exam(display: Display, data: Prepared, heldout: Surprise) -> None:
    """Compare the model with guesses that only count, on words it never saw."""
    from dozero.cli.messages import number, say
    from dozero.eval.ngram import bits_per_character_ladder

    symbols = len(data.tokenizer.alphabet) + 1
    ladder = bits_per_character_ladder(data.dataset, symbols)
    rungs = {**ladder, "model": heldout.bits_per_character}
    if display.as_json:
        display.print_json({"event": "Exam", "bits_per_character": rungs})
    head(display, 5, "exam")
    display.say("exam_what", 3, words=number(display.lang, heldout.documents))
    widest = max(rungs.values())
    for name, bits in rungs.items():
        bar = "█" * round(BAR_WIDTH * bits / widest)
        style = "bold green" if name == "model" else "dim"
        display.line(f"   {say(display.lang, f'rung_{name}'):<12} {bits:.3f} [{style}]{bar}[/]")


def show_samples(display: Display, workspace: Workspace, config: RunConfig, seed: int) -> None:
    """Print ten words with what each is: new, existing, or almost a copy."""
    from dozero.cli.messages import say
    from dozero.corpus.build import known_words
    from dozero.eval.novelty import judge_word
    from dozero.generate.language_model import LanguageModel

    model = LanguageModel.open(workspace.run / "model")
    known = known_words(workspace.corpus)
    texts = model.generate_many(SAMPLES, config=config.generate, seed=seed)
    for i, text in enumerate(texts, 1):
        verdict = judge_word(text, known, model.tokenizer.alphabet)
        if display.as_json:
            display.print_json({"event": "Word", "text": text, "kind": verdict.kind, "near": verdict.near})
        style = {"new": "green", "exists": "dim", "almost": "yellow"}[verdict.kind]
        told = say(display.lang, f"verdict_{verdict.kind}", near=verdict.near)
        display.line(f"   {i:>2}. [bold]{text:<22}[/] [{style}]{told}[/]")


def tell_samples(display: Display, config: RunConfig) -> None:
    """Head the words to come."""
    head(display, 6, "words")
    display.say("words_what", 3, temperature=config.generate.temperature)
