"""The tokenizer stage: from a corpus folder to a tokenizer folder that tells what it was made of."""

import pytest

from dozero.artifact import open_artifact
from dozero.settings import TokenizerConfig
from dozero.stories.tell import tell
from dozero.testing import tiny_corpus
from dozero.tokenizer.build import build_tokenizer
from dozero.tokenizer.files import open_tokenizer
from dozero.tokenizer.tokenizer import train_bpe_tokenizer

WORDS = ("coração", "mãe", "日本", "casa")


@pytest.fixture
def corpus(tmp_path):
    return tiny_corpus(tmp_path / "corpus", WORDS)


def test_it_covers_the_corpus_and_opens_as_it_was_built(corpus, tmp_path):
    built = build_tokenizer(corpus, TokenizerConfig(), tmp_path / "tokenizer")
    opened, _ = open_tokenizer(tmp_path / "tokenizer")
    assert opened == built
    assert set(opened.alphabet) == set("".join(WORDS))
    assert [opened.decode(opened.encode(word).tolist()) for word in WORDS] == list(WORDS)


def test_its_manifest_tells_corpus_settings_counts_and_licence(corpus, tmp_path):
    built = build_tokenizer(corpus, TokenizerConfig(), tmp_path / "tokenizer")
    manifest = open_artifact(tmp_path / "tokenizer", "tokenizer")
    assert manifest.inputs == {"corpus": corpus.manifest.fingerprint}
    assert manifest.config == TokenizerConfig().model_dump()
    assert manifest.counts == {"vocab_size": built.vocab_size, "characters": len(set("".join(WORDS)))}
    assert manifest.about == {"licence": corpus.manifest.about["licence"]}
    assert set(manifest.files) == {"tokenizer.json", "tokenizer_config.json"}


def test_the_same_corpus_gives_the_same_fingerprint(corpus, tmp_path):
    for name in ("a", "b"):
        build_tokenizer(corpus, TokenizerConfig(), tmp_path / name)
    assert len({open_artifact(tmp_path / name, "tokenizer").fingerprint for name in ("a", "b")}) == 1


def test_a_bpe_learns_from_every_nth_document_of_a_large_corpus_and_says_so(tmp_path):
    texts = [tell("pt", 5, n).replace("\n", " ") for n in range(60)]
    corpus, config = tiny_corpus(tmp_path / "corpus", texts), TokenizerConfig(kind="bpe", vocab_size=400)
    total = sum(len(text.encode()) for text in texts)
    built = build_tokenizer(corpus, config, tmp_path / "tokenizer", sample_bytes=total // 2 - 1)
    opened, manifest = open_tokenizer(tmp_path / "tokenizer")
    counts = {"vocab_size": built.vocab_size, "corpus_bytes": total, "learned_from_every_nth_document": 3}
    assert manifest.counts == counts
    assert opened == built == train_bpe_tokenizer(texts[::3], 400)
    whole = build_tokenizer(corpus, config, tmp_path / "whole")
    assert whole == train_bpe_tokenizer(texts, 400) != built
    assert [whole.decode(whole.encode(text).tolist()) for text in texts] == texts
