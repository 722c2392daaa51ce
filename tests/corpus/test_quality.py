"""Rules on prose give datatrove's verdicts for the same words and sentences, and each has a text that it alone drops."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dozero.corpus import quality
from dozero.corpus.parts import Parts, split_sentences
from dozero.corpus.quality import (
    PORTUGUESE_C4,
    PORTUGUESE_FINEWEB,
    PORTUGUESE_GOPHER,
    C4Rules,
    FineWebRules,
    GopherRules,
    judge_c4,
    judge_fineweb,
    judge_gopher,
    judge_length,
)

PROSE = (
    "A menina que morava perto do rio gostava de ler histórias antigas. Todo dia ela abria um livro e lia em voz alta "
    "para os irmãos, que ouviam sem piscar. Quando a chuva vinha, a casa inteira cheirava a terra e a café, e ninguém "
    "queria sair. Foi assim que aprenderam a contar casos. Um deles, o do peixe que falava, ficou famoso na vila."
)
PIECES = st.sampled_from(
    ["The cat sat on the mat.", "and", "with", "#", "...", "…", "- item", "• item", "{", "lorem ipsum", "javascript",
     "terms of use", "1234", "!!!", "a" * 20, "of the people that have been", "Is it true?", "\n", "\n\n", "[12]", "12 34 56"]
)  # fmt: skip
TEXTS = (
    st.lists(PIECES, min_size=1, max_size=120)
    .map(lambda pieces: " ".join(pieces).replace(" \n ", "\n"))
    .filter(str.strip)
)


def repeated(text, times):
    return " ".join(f"{text} {n}" for n in range(times))


def theirs(name, **options):
    """datatrove's filter of this name, with our words and sentences; skips where it is not installed."""
    pytest.importorskip("datatrove")
    from datatrove.pipeline import filters
    from datatrove.utils.word_tokenizers import WordTokenizer

    class OurWords(WordTokenizer):
        def word_tokenize(self, text):
            return Parts(text).words

        def sent_tokenize(self, text):
            return split_sentences(text)

        def span_tokenize(self, text):
            return [(0, len(sentence)) for sentence in split_sentences(text)]

    return getattr(filters, name)(language=OurWords(), **options)


def keeps(judge, text):
    from datatrove.data import Document

    verdict = judge.filter(Document(text=text, id="0"))
    return verdict is True


# --- against datatrove -------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(TEXTS)
def test_gopher_keeps_what_datatrove_keeps(text):
    judge = theirs("GopherQualityFilter", min_doc_words=5)
    assert (judge_gopher(Parts(text), GopherRules(fewest_words=5, marks_are_words=True)) is None) == keeps(judge, text)


@settings(max_examples=150)
@given(TEXTS)
def test_fineweb_keeps_what_datatrove_keeps(text):
    judge = theirs("FineWebQualityFilter")
    assert (judge_fineweb(Parts(text), FineWebRules()) is None) == keeps(judge, text)


@settings(max_examples=150)
@given(TEXTS)
def test_c4_keeps_what_datatrove_keeps(text):
    judge = theirs("C4QualityFilter")
    assert (judge_c4(Parts(text), C4Rules()) is None) == keeps(judge, text)


# --- each reason -------------------------------------------------------------------------------------------------

GOPHER = {
    "Uma frase curta.": quality.FEW_WORDS,
    "a e o de ou se me te eu tu " * 10: quality.SHORT_WORDS,
    "otorrinolaringologista inconstitucionalissimamente " * 40: quality.LONG_WORDS,
    PROSE + " #" * 20: quality.HASHES,
    PROSE + " ..." * 20: quality.ELLIPSES,
    "\n".join(f"- {PROSE}" for _ in range(3)): quality.BULLETS,
    "\n".join(f"{PROSE[:250]} e depois..." for _ in range(3)): quality.CUT_LINES,
    repeated("1234 5678 casa grande", 30): quality.FEW_LETTERS,
    repeated("cachorro gato pássaro jardim bonito", 20): quality.FEW_STOP_WORDS,
}


@pytest.mark.parametrize(("text", "reason"), GOPHER.items(), ids=GOPHER.values())
def test_gopher_says_why(text, reason):
    rules = PORTUGUESE_GOPHER if reason != quality.FEW_LETTERS else GopherRules()
    assert judge_gopher(Parts(text.strip()), rules) == reason


C4 = {
    PROSE + "\nTudo isto é lorem ipsum dolor.": quality.LOREM_IPSUM,
    PROSE + "\nSe isto { for código }, sai daqui.": quality.CURLY_BRACKET,
    "Uma só frase, nada mais que isso.": quality.FEW_SENTENCES,
    "\n".join(["sem ponto no fim da linha"] * 20): quality.FEW_SENTENCES,
}


@pytest.mark.parametrize(("text", "reason"), C4.items())
def test_c4_says_why(text, reason):
    assert judge_c4(Parts(text), PORTUGUESE_C4) == reason


FINEWEB = {
    "\n".join(["linha sem ponto final nenhum por aqui"] * 12): quality.OPEN_LINES,
    "\n".join([f"Linha {n}." for n in range(40)]): quality.LIST,
    "\n".join([PROSE] * 2): quality.SAME_CHARACTERS,
    " \n ": quality.BLANK,
}


@pytest.mark.parametrize(("text", "reason"), FINEWEB.items())
def test_fineweb_says_why(text, reason):
    assert judge_fineweb(Parts(text), PORTUGUESE_FINEWEB) == reason


def test_short_lines_count_in_english_only():
    text = "\n".join(f"This is line number {n}." for n in range(9)) + "\n" + "words " * 60 + "."
    assert judge_fineweb(Parts(text), FineWebRules()) == quality.SHORT_LINES
    assert judge_fineweb(Parts(text), PORTUGUESE_FINEWEB) is None


def test_length_has_two_ends():
    texts = [
        "x" * (quality.FEWEST_CHARACTERS - 1),
        "x" * quality.FEWEST_CHARACTERS,
        "x" * (quality.MOST_CHARACTERS + 1),
    ]
    assert [judge_length(Parts(t)) for t in texts] == [quality.TOO_SHORT, None, quality.TOO_LONG]


def test_good_prose_is_kept_by_all():
    parts = Parts(PROSE)
    assert judge_gopher(parts, PORTUGUESE_GOPHER) is None
    assert judge_c4(parts, PORTUGUESE_C4) is None
    assert judge_fineweb(parts, PORTUGUESE_FINEWEB) is None
