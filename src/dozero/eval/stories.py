"""How good the stories of a model are, judged by the grammar that told it the ones it learned from."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dozero.stories.tell import judge


@dataclass(frozen=True)
class StoryScore:
    """What became of some stories that a model wrote."""

    stories: int
    sentences: int
    sentences_right: int
    """Sentences that the grammar can write: words known, agreeing, in their places."""
    stories_right: int
    """Stories of right sentences only, that also fit together from first to last."""
    new: int
    """Stories that are not among those it learned from."""

    @property
    def share_of_sentences(self) -> float:
        """Share of the sentences that are right."""
        return self.sentences_right / max(1, self.sentences)


def judge_stories(lang: str, texts: Iterable[str], known: Collection[str]) -> StoryScore:
    """Return the score of a model's stories; `known` are those it was trained on."""
    stories = sentences = right = whole = new = 0
    for text in texts:
        verdict = judge(lang, text)
        stories, new = stories + 1, new + (text not in known)
        sentences, right = sentences + verdict.sentences, right + verdict.sentences_right
        whole += verdict.story_right
    return StoryScore(stories, sentences, right, whole, new)
