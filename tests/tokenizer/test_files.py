"""What files.py promises: what is saved is what is opened, and what dozero did not write is refused."""

import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import assume, given
from hypothesis import strategies as st

from dozero.artifact import Manifest
from dozero.errors import ArtifactError, ModelMismatch
from dozero.stories.tell import tell
from dozero.tokenizer.files import open_tokenizer, read_tokenizer_json, save_tokenizer, write_tokenizer_files
from dozero.tokenizer.tokenizer import END_OF_TEXT, train_bpe_tokenizer, train_char_tokenizer

STORIES = [tell(lang, 2, n) for lang in ("pt", "en") for n in range(150)]
BPE = train_bpe_tokenizer(STORIES, 900)
characters = st.one_of(
    st.sampled_from("aeço ãé'"), st.characters(exclude_categories=("Cs",)), st.sampled_from("日本語🙂👍ёж\u0301")
)
texts = st.lists(st.text(characters, max_size=12), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def bpe_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bpe")
    write_tokenizer_files(BPE, folder)
    return folder


@given(texts)
def test_what_is_saved_is_what_is_opened(tmp_path_factory, training):
    assume(any(training))
    folder = tmp_path_factory.mktemp("saved") / "tokenizer"
    tokenizer = train_char_tokenizer(training)
    save_tokenizer(tokenizer, folder, Manifest(kind="tokenizer", counts={"vocab_size": tokenizer.vocab_size}))
    opened, manifest = open_tokenizer(folder)
    assert opened == tokenizer
    assert (manifest.kind, manifest.counts) == ("tokenizer", {"vocab_size": tokenizer.vocab_size})


def test_an_altered_file_is_not_opened(tmp_path):
    save_tokenizer(train_char_tokenizer(["casa"]), tmp_path / "tokenizer", Manifest(kind="tokenizer"))
    file = tmp_path / "tokenizer" / "tokenizer.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"c"', '"k"'), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"SHA-256"):
        open_tokenizer(tmp_path / "tokenizer")


def trained_by_tokenizers(file: Path, special, **settings):
    """A byte-level BPE of the library's own, whose merges join letters."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(special_tokens=special, show_progress=False, **settings)
    tokenizer.train_from_iterator(["casa casa casas asas"] * 5, trainer)
    tokenizer.save(str(file))


OTHERS = {
    "no file": lambda file: None,
    "not JSON": lambda file: file.write_text("{"),
    "not text": lambda file: file.write_bytes(b"\xff"),
    "not a table": lambda file: file.write_text("[1]"),
    "no tokens": lambda file: file.write_text(
        json.dumps({"model": {"vocab": {}}, "added_tokens": [{"content": END_OF_TEXT}]})
    ),
    "a list of tokens": lambda file: file.write_text('{"model": {"vocab": [["a", 0.5]]}, "added_tokens": []}'),
    "only the end": lambda file: file.write_text(
        json.dumps({"model": {"vocab": {END_OF_TEXT: 0}}, "added_tokens": [{"content": END_OF_TEXT}]})
    ),
    "no special token": lambda file: trained_by_tokenizers(file, []),
    "another special token": lambda file: trained_by_tokenizers(file, ["[UNK]"]),
    "merges of letters": lambda file: trained_by_tokenizers(file, [END_OF_TEXT]),
    "another special token besides": lambda file: trained_by_tokenizers(file, [END_OF_TEXT, "<|im_start|>"]),
    "no bytes": lambda file: trained_by_tokenizers(file, [END_OF_TEXT], continuing_subword_prefix="日"),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_a_tokenizer_that_dozero_did_not_write_is_refused(make, tmp_path):
    """Else text would be cut into other tokens than its model learned, and nobody told."""
    make(tmp_path / "tokenizer.json")
    with pytest.raises(ModelMismatch, match=r"tokenizer\.json: (tokenizer cannot be read|not a tokenizer of dozero)"):
        read_tokenizer_json(tmp_path / "tokenizer.json")


def test_ids_with_a_gap_are_refused(tmp_path):
    write_tokenizer_files(train_char_tokenizer(["casa"]), tmp_path)
    tree = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    tree["model"]["vocab"]["s"] += 1
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(ModelMismatch, match="not a tokenizer of dozero"):
        read_tokenizer_json(tmp_path / "tokenizer.json")


def test_what_is_saved_of_a_bpe_is_what_is_opened(tmp_path):
    save_tokenizer(BPE, tmp_path / "tokenizer", Manifest(kind="tokenizer"))
    opened, _ = open_tokenizer(tmp_path / "tokenizer")
    assert opened == BPE
    assert opened.encode(STORIES[0]).tolist() == BPE.encode(STORIES[0]).tolist()


ALTERED = {
    "two merges in another order": lambda tree: tree["model"]["merges"].insert(0, tree["model"]["merges"].pop()),
    "a merge less": lambda tree: tree["model"]["merges"].pop(),
    "other words": lambda tree: tree["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex=r"\\w+"),
    "a normalizer": lambda tree: tree.update(normalizer={"type": "NFC"}),
    "a special token less": lambda tree: tree["added_tokens"].pop(),
    "another first token": lambda tree: tree["added_tokens"].reverse(),
    "dropout": lambda tree: tree["model"].update(dropout=0.1),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_a_bpe_that_would_cut_otherwise_is_refused(alter, bpe_folder, tmp_path):
    tree = json.loads((bpe_folder / "tokenizer.json").read_text(encoding="utf-8"))
    alter(tree)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(ModelMismatch, match=r"tokenizer\.json: (tokenizer cannot be read|not a tokenizer of dozero)"):
        read_tokenizer_json(tmp_path / "tokenizer.json")
