"""Words from a catalog or a file: each is kept, or dropped with a reason."""

import unicodedata

import jaxtyping
import pytest
import wordfreq
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.document import Document
from dozero.corpus.words import (
    LARGE_LANGUAGES,
    USER_LICENCE,
    WORD_LICENCE,
    by_alphabet,
    by_foreign_use,
    by_length,
    check_language,
    curate_words,
    find_alphabet,
    list_languages,
    not_letters,
    read_catalog,
    read_word_file,
)
from dozero.errors import ConfigError, DataError
from dozero.settings import DataConfig


def documents(*words):
    return [Document(word, "here", "CC0-1.0") for word in words]


def verdicts(judge, *words):
    return {word: judge(document) for word, document in zip(words, documents(*words), strict=True)}


def word_file(folder, content):
    path = folder / "words.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def words_of(path):
    return [document.text for document in read_word_file(path)]


# --- the catalog, on all of Portuguese ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def portuguese():
    """The words kept, in order, and the reason of each word dropped.

    Types go unchecked here: over a quarter of a million words, checking takes four times the work itself.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    kept, dropped = curate_words(DataConfig(lang="pt"))
    jaxtyping.config.update("jaxtyping_disable", False)
    assert {(d.source, d.licence) for d in kept} == {("wordfreq pt", WORD_LICENCE)}
    return [d.text for d in kept], dropped


def test_every_word_read_is_kept_or_dropped_with_a_reason_and_none_is_both(portuguese):
    kept, dropped = portuguese
    assert sorted([*kept, *(word for word, _ in dropped)]) == sorted(wordfreq.iter_wordlist("pt", "best"))
    assert {reason for _, reason in dropped} == {
        "not only letters",
        "too short",
        "too long",
        "more usual in another language",
        "letter outside the alphabet",
    }


def test_words_stay_in_the_order_of_frequency(portuguese):
    kept, _ = portuguese
    place = {word: i for i, word in enumerate(wordfreq.iter_wordlist("pt", "best"))}
    places = [place[word] for word in kept]
    assert places == sorted(places)


def test_portuguese_keeps_its_accents_and_the_rare_grave_but_no_letter_of_others(portuguese):
    kept, dropped = portuguese
    assert "".join(sorted(set("".join(kept)))) == "abcdefghijklmnopqrstuvwxyz" + "àáâãçéêíóôõú"
    assert {"coração", "mãe", "você", "não", "avó", "avô", "às", "àquela", "água", "órfã"} <= set(kept)
    odd = {word for word, reason in dropped if reason == "letter outside the alphabet"}
    assert all(any(letter in word for word in odd) for letter in "åжü")


def test_what_is_dropped_deserves_its_reason(portuguese):
    by_reason = {}
    for word, reason in portuguese[1]:
        by_reason.setdefault(reason, []).append(word)
    assert all(len(word) < 2 for word in by_reason["too short"])
    assert all(len(word) > 20 for word in by_reason["too long"])
    assert not any(word.isalpha() for word in by_reason["not only letters"])
    assert {"the", "and", "york", "los"} <= set(by_reason["more usual in another language"])


def test_foreign_words_are_those_with_a_higher_frequency_elsewhere(portuguese):
    """By the frequencies themselves; wordfreq rounds them to hundredths of a power of ten."""
    kept, dropped = portuguese
    tables = {lang: wordfreq.get_frequency_dict(lang, "best") for lang in LARGE_LANGUAGES}

    def ratio(word):
        return max(tables[lang].get(word, 0) for lang in tables if lang != "pt") / tables["pt"][word]

    assert max(ratio(word) for word in kept) <= 3
    assert min(ratio(word) for word, reason in dropped if reason == "more usual in another language") > 3


def test_the_ratio_of_foreign_use_moves_the_border():
    words = ("casa", "the", "internet")
    strict, lenient = (verdicts(by_foreign_use("pt", ratio), *words) for ratio in (0.01, 1e6))
    assert set(strict.values()) == {"more usual in another language"}
    assert set(lenient.values()) == {None}


def test_an_unknown_language_is_refused_with_the_nearest_one():
    assert {"pt", "en", "es", "ja"} <= set(list_languages())
    for refuse in (check_language, lambda lang: next(read_catalog(lang))):
        with pytest.raises(ConfigError, match=r"did you mean pt\?.*expected one of ar bg .*got 'ptt'"):
            refuse("ptt")
        with pytest.raises(ConfigError, match=r"no word list for this language; expected"):
            refuse("klingon")


@pytest.mark.parametrize(
    ("lang", "letters", "foreign"),
    [
        ("ru", "ёжйцы", "abcñ"),
        ("el", "άέω", "abcж"),
        ("tr", "ğışâ", "éж"),
        ("ja", "のアー日々俺円", "жё"),
        ("zh", "的她吗谁", "abcжの"),
        ("ko", "한좋않", "の日"),
    ],
)
def test_other_languages_keep_their_letters_and_lose_those_of_others(lang, letters, foreign):
    """Those of Chinese or Korean too, of which most stand in few words."""
    alphabet = find_alphabet(documents(*(w for w in wordfreq.top_n_list(lang, 12_000) if w.isalpha())))
    assert set(letters) <= alphabet
    assert not set(foreign) & alphabet


# --- filters ------------------------------------------------------------------------------------------------------------


def test_only_letters_and_the_marks_written_on_them():
    judged = verdicts(not_letters, "coração", "ёж", "日本", "नमस्ते", "ñandú", "don't", "co2", "a-b", "a b", "½", "_")
    assert [word for word, reason in judged.items() if reason is None] == ["coração", "ёж", "日本", "नमस्ते", "ñandú"]


def test_length_is_counted_in_letters_and_borders_are_kept():
    judged = verdicts(by_length(2, 4), "é", "ré", "ação", "mação")
    assert list(judged.values()) == ["too short", None, None, "too long"]


def test_words_outside_the_alphabet_go():
    assert verdicts(by_alphabet(frozenset("abc")), "abc", "abcd") == {
        "abc": None,
        "abcd": "letter outside the alphabet",
    }


def test_a_letter_is_at_home_when_three_common_words_use_it():
    common = ["casa"] * 400 + ["à", "às", "àquela"] + ["år", "smått"]
    assert find_alphabet(documents(*common)) == set("casà")  # å, used twice, goes, and so does what à brought along


def test_a_letter_twice_in_a_word_is_used_once():
    assert "ö" not in find_alphabet(documents(*["casa"] * 400, "öö", "ööö"))


def test_a_minor_script_goes_whole_and_equals_stay():
    russian = ["дом", "лес", "сад"] * 100
    assert find_alphabet(documents(*russian, *["web"] * 5)) == set("домлеса")
    assert find_alphabet(documents(*["ねこ", "ネコ", "猫"] * 100)) == set("ねこネコ猫")


def test_a_short_list_needs_fewer_uses():
    assert find_alphabet(documents("casa", "rua")) == set("casru")


# --- files --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "casa\nmãe\nrua\n",
        "casa\nmãe\nrua",
        "\ufeffcasa\nmãe\nrua\n",
        "casa\r\nmãe\r\nrua\r\n",
        "\ufeffcasa\r\n\r\nmãe\r\nrua",
        "casa\rmãe\rrua\r",
        "\n\n  casa  \n\t\nmãe\n \nrua\n\n",
        "casa\nma\u0303e\nrua\n",  # decomposed: a and a combining tilde
    ],
    ids=ascii,
)
def test_the_same_words_however_the_file_is_written(content, tmp_path):
    assert words_of(word_file(tmp_path, content)) == ["casa", "mãe", "rua"]


@given(st.lists(st.text(st.sampled_from("aãçé\u0301\u0303日"), min_size=1, max_size=6), max_size=8))
def test_words_of_a_file_are_composed(tmp_path_factory, words):
    read = words_of(word_file(tmp_path_factory.mktemp("words"), "\n".join(words)))
    assert read == [unicodedata.normalize("NFC", word) for word in words]


def test_words_of_a_file_tell_where_they_are_from(tmp_path):
    (document,) = read_word_file(word_file(tmp_path, "casa"))
    assert document == Document("casa", "words.txt", USER_LICENCE)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with BOM"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("line", [1, 2, 3, 500])
def test_a_latin1_file_is_refused_with_the_line_and_a_way_out(line, end, mark, tmp_path):
    lines = [b"a"] * (line - 1) + ["ção".encode("latin-1"), "mãe".encode("latin-1"), b"b"]
    path = word_file(tmp_path, mark + end.join(lines))
    with pytest.raises(DataError, match=rf"words.txt, line {line}: not UTF-8; expected UTF-8 text. Try: iconv"):
        words_of(path)


def test_utf16_is_refused(tmp_path):
    with pytest.raises(DataError, match="line 1: not UTF-8"):
        words_of(word_file(tmp_path, "casa\nrua".encode("utf-16")))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such word file"):
        words_of(tmp_path / "none.txt")
    with pytest.raises(DataError, match="cannot be read"):
        words_of(tmp_path)


def curated(path, **settings):
    kept, dropped = curate_words(DataConfig(source=str(path), **settings))
    return [d.text for d in kept], dropped


def test_a_file_is_sieved_by_letters_length_and_repetition_but_not_by_language_or_alphabet(tmp_path):
    path = word_file(tmp_path, "the\nsmått\ncasa\na\ncasa\nco2\nsupercalifragilisticoexpialidoso\nёж\n")
    kept, dropped = curated(path)
    assert kept == ["the", "smått", "casa", "ёж"]
    assert dropped == [
        ("a", "too short"),
        ("casa", "repeated"),
        ("co2", "not only letters"),
        ("supercalifragilisticoexpialidoso", "too long"),
    ]


def test_two_spellings_of_one_word_are_one(tmp_path):
    kept, dropped = curated(word_file(tmp_path, "mãe\nma\u0303e\n"))
    assert (kept, dropped) == (["mãe"], [("mãe", "repeated")])


def test_max_words_keeps_the_first_and_says_so_of_the_others(tmp_path):
    kept, dropped = curated(word_file(tmp_path, "um\ndois\ntrês\nquatro\n"), max_words=2)
    assert (kept, dropped) == (["um", "dois"], [("três", "beyond max_words"), ("quatro", "beyond max_words")])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"holds no words; expected words of 2 to 20 letters, one a line; got an empty source"),
        ("\n \n", r"holds no words"),
        ("1\n2\nx\n", r"no word left after the filters; expected .* got 3 dropped"),
    ],
)
def test_a_file_without_words_is_refused(content, message, tmp_path):
    path = word_file(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        curated(path)
    assert str(path) in str(caught.value)
