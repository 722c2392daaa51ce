"""Documents that hold a run of an evaluation text are dropped; nothing else is."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.decontaminate import CONTAMINATED, make_decontamination_filter
from dozero.corpus.document import Document
from dozero.corpus.parts import Parts

WORDS = [f"palavra{i}" for i in range(40)]


def verdict(evaluation, text, **options):
    judge = make_decontamination_filter(evaluation, **options)
    return judge(Document(text, "here", "CC0-1.0"), Parts(text))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.lists(st.sampled_from("abc"), max_size=30))
def test_verdict_is_that_of_a_search_in_strings(question, document):
    length = min(4, len(question))
    runs = {" ".join(question[i : i + length]) for i in range(len(question) - length + 1)}
    padded = f" {' '.join(document)} "
    shares = any(f" {run} " in padded for run in runs) if length == 4 else document == question
    assert verdict([" ".join(question)], " ".join(document), ngram=4) == (CONTAMINATED if shares else None)


@pytest.mark.parametrize(("shared", "reason"), [(13, CONTAMINATED), (12, None)])
def test_thirteen_words_in_a_row_are_too_many(shared, reason):
    document = " ".join(["antes", *WORDS[5 : 5 + shared], "depois"])
    assert verdict([" ".join(WORDS)], document) == reason


def test_case_marks_and_line_ends_do_not_hide_a_question():
    question = "Qual é a capital do estado em que nasceu o autor de Vidas Secas, Graciliano Ramos?"
    document = "Prova:\n" + question.upper().replace(",", "").replace(" ", "\n") + "\nResposta: Maceió."
    assert verdict([question], document) == CONTAMINATED


@pytest.mark.parametrize(
    ("question", "document", "reason"),
    [
        (WORDS[:8], ["antes", *WORDS[:8], "depois"], CONTAMINATED),  # eight words are looked for whole
        (WORDS[:8], WORDS[:7], None),
        (WORDS[:7], ["antes", *WORDS[:7], "depois"], None),  # seven turn up by chance
        (WORDS[:7], WORDS[:7], CONTAMINATED),
        ([], ["nada"], None),
        (["..."], ["..."], None),
    ],
)
def test_short_evaluation_texts(question, document, reason):
    assert verdict([" ".join(question)], " ".join(document)) == reason


def test_one_of_many_evaluation_texts_is_found():
    rng = random.Random(0)
    questions = [" ".join(rng.choices(WORDS, k=rng.randint(8, 40))) for _ in range(200)]
    judge = make_decontamination_filter(questions)
    found = {judge(Document(text, "here", ""), Parts(text)) for text in (f"antes {q} depois" for q in questions)}
    assert found == {CONTAMINATED}
    assert verdict(questions, " ".join(rng.choices(WORDS, k=300))) is None
    assert verdict([], questions[0]) is None
