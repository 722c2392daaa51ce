"""The marks are those that datatrove knows."""

from dozero.corpus.vocabulary import ENGLISH_STOP_WORDS, PORTUGUESE_STOP_WORDS, punctuation, sentence_terminals


def test_marks_equal_those_of_datatrove():
    import datatrove.utils.text as theirs
    from datatrove.pipeline.filters.gopher_quality_filter import STOP_WORDS

    assert sentence_terminals() == theirs.TERMINAL_PUNCTUATION
    assert punctuation() == theirs.PUNCTUATION_SET
    assert set(STOP_WORDS) == ENGLISH_STOP_WORDS


def test_stop_words_are_the_most_frequent_words_of_portuguese():
    import wordfreq

    assert set(wordfreq.top_n_list("pt", 30)) >= PORTUGUESE_STOP_WORDS
