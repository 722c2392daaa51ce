"""The word catalog: real words by frequency, filtered with a reason for each one dropped.

The lists come from the package `wordfreq` (Speer 2022, https://doi.org/10.5281/zenodo.7199437), which gathers
40 languages from subtitles, encyclopedias, news, books and the web. Raw lists hold names, foreign words, numbers and
misspellings; what is left after the filters still holds some.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from dozero.corpus.document import Document
from dozero.errors import ConfigError, DataError, did_you_mean
from dozero.settings import DataConfig

WORD_LICENCE = "CC BY-SA 4.0 (data of wordfreq)"
USER_LICENCE = "as told by the user (a file of their own)"
# Compared with these, because their words fill the other lists. German is left out: its list is the longest, and reading
# it would cost every run a quarter of a second for a few names more.
LARGE_LANGUAGES = ("en", "es", "fr", "it", "pt")
COMMON_WORDS = 10_000
COMMON_USES = 3
SCRIPT_SHARE = 0.05
LARGEST_ALPHABET = 200
# The first words of the Unicode names of ー and 々, which are written in these scripts and in no other.
SCRIPT_OF_MARKS = {"KATAKANA-HIRAGANA": "KATAKANA", "IDEOGRAPHIC": "CJK"}

WordFilter = Callable[[Document], str | None]
"""Returns None to keep a word, or the reason to drop it."""


def list_languages() -> list[str]:
    """Return the codes of the languages the catalog has."""
    import wordfreq

    return sorted(wordfreq.available_languages("best"))


def check_language(lang: str) -> None:
    """Raise ConfigError unless the catalog has words of this language."""
    if lang not in list_languages():
        hint = did_you_mean(lang, list_languages())
        raise ConfigError(
            "no word list for this language" + (f", did you mean {hint}?" if hint else ""),
            expected=f"one of {' '.join(list_languages())}",
            got=repr(lang),
            next="dozero hello --lang pt",
        )


def read_catalog(lang: str) -> Iterator[Document]:
    """Yield the words of a language, the most frequent first."""
    import wordfreq

    check_language(lang)
    source = f"wordfreq {lang}"
    for word in wordfreq.iter_wordlist(lang, "best"):
        yield Document(word, source, WORD_LICENCE)


def read_word_file(path: Path, licence: str = USER_LICENCE) -> Iterator[Document]:
    """Yield the words of a UTF-8 text file with one word a line; blank lines are passed over, a BOM too."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError("no such word file", where=path, expected="a text file with one word a line") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1  # a BOM is neither in object nor in start
        raise DataError(
            "not UTF-8",
            where=f"{path}, line {line}",
            expected="UTF-8 text",
            next=f"iconv -f latin1 -t utf8 {path} > utf8.txt",
        ) from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path) from None
    for line in text.splitlines():
        word = unicodedata.normalize("NFC", line.strip())
        if word:
            yield Document(word, path.name, licence)


def read_words(config: DataConfig) -> Iterator[Document]:
    """Yield the words that `config.source` names: the catalog's, or a file's."""
    return (
        read_catalog(config.lang)
        if not config.source
        else read_word_file(Path(config.source), config.licence or USER_LICENCE)
    )


def not_letters(document: Document) -> str | None:
    """Drop what holds anything but letters (and the marks that some scripts write on them)."""
    if document.text.isalpha() or all(unicodedata.category(c)[0] in "LM" for c in document.text):
        return None
    return "not only letters"


def by_length(shortest: int, longest: int) -> WordFilter:
    """Return a filter on the number of letters."""

    def judge(document: Document) -> str | None:
        if len(document.text) < shortest:
            return "too short"
        return "too long" if len(document.text) > longest else None

    return judge


def by_foreign_use(lang: str, ratio: float) -> WordFilter:
    """Return a filter that drops words `ratio` times more frequent in another large language.

    It takes names, brands and English along; a few words shared by two languages go with them.
    """
    here = _rarity([lang])
    elsewhere = _rarity([code for code in LARGE_LANGUAGES if code != lang], among=here.keys())
    margin = 100 * math.log10(ratio)

    def judge(document: Document) -> str | None:
        abroad = elsewhere.get(document.text)
        if abroad is None or abroad >= here[document.text] - margin:
            return None
        return "more usual in another language"

    return judge


def _rarity(languages: Sequence[str], among: Iterable[str] | None = None) -> dict[str, int]:
    """Return how rare each word is in the language where it is most frequent, in hundredths of a power of ten.

    wordfreq keeps a language as buckets of words by that number: 300 means one word in a thousand. Going from the
    rarest bucket up, a more frequent use overwrites a rarer one. With `among`, other words are passed over.
    """
    import wordfreq

    wanted = None if among is None else frozenset(among)

    tables = [wordfreq.get_frequency_list(code, "best") for code in languages]
    rarity: dict[str, int] = {}
    for bucket in reversed(range(max(len(table) for table in tables))):
        for table in tables:
            if bucket < len(table):
                words = table[bucket] if wanted is None else wanted.intersection(table[bucket])
                rarity.update(dict.fromkeys(words, bucket))
    return rarity


def by_alphabet(letters: frozenset[str]) -> WordFilter:
    """Return a filter that drops words with a letter outside the alphabet."""

    def judge(document: Document) -> str | None:
        return None if letters.issuperset(document.text) else "letter outside the alphabet"

    return judge


def find_alphabet(words: Sequence[Document]) -> frozenset[str]:
    """Return the letters that at least three of the 10,000 most frequent words use, in the scripts of the language.

    So à stays in Portuguese, where it is rare but at home, while å and ж go; a script that makes up less than 5%
    of the letters goes whole (Latin in Russian), and Japanese keeps its three. A script of more than 200 letters is
    no alphabet: there a letter seldom used is at home too (她, 좋).
    """
    uses = Counter(letter for document in words[:COMMON_WORDS] for letter in set(document.text))
    scripts = Counter[str]()
    for letter, count in uses.items():
        scripts[_script(letter)] += count
    sizes = Counter(map(_script, uses))
    enough = min(COMMON_USES, max(1, len(words) // 100))
    return frozenset(
        letter
        for letter, count in uses.items()
        if (count >= enough or sizes[_script(letter)] > LARGEST_ALPHABET)
        and scripts[_script(letter)] >= SCRIPT_SHARE * scripts.total()
    )


def curate_words(config: DataConfig) -> tuple[list[Document], list[tuple[str, str]]]:
    """Return the words kept, in the order of the source, and each word dropped with its reason."""
    filters: list[WordFilter] = [_once(), not_letters, by_length(config.min_letters, config.max_letters)]
    if not config.source:
        check_language(config.lang)
    if not config.source and config.foreign_ratio:
        filters.append(by_foreign_use(config.lang, config.foreign_ratio))
    kept, dropped = _sieve(read_words(config), filters)
    if not config.source:
        kept, odd = _sieve(iter(kept), [by_alphabet(find_alphabet(kept))])
        dropped += odd
    if config.max_words:
        dropped += [(d.text, "beyond max_words") for d in kept[config.max_words :]]
        kept = kept[: config.max_words]
    if not kept:
        raise DataError(
            "no word left after the filters" if dropped else "holds no words",
            where=config.source,
            expected=f"words of {config.min_letters} to {config.max_letters} letters, one a line",
            got=f"{len(dropped)} dropped" if dropped else "an empty source",
        )
    return kept, dropped


def _script(letter: str) -> str:
    """Return the first word of the character's Unicode name, which is that of its script (LATIN, CYRILLIC, CJK...)."""
    script = unicodedata.name(letter, "UNNAMED").split()[0]
    return SCRIPT_OF_MARKS.get(script, script)


def _once() -> WordFilter:
    seen: set[str] = set()

    def judge(document: Document) -> str | None:
        if document.text in seen:
            return "repeated"
        seen.add(document.text)
        return None

    return judge


def _sieve(documents: Iterator[Document], filters: list[WordFilter]) -> tuple[list[Document], list[tuple[str, str]]]:
    kept: list[Document] = []
    dropped: list[tuple[str, str]] = []
    for document in documents:
        for judge in filters:
            reason = judge(document)
            if reason is not None:
                dropped.append((document.text, reason))
                break
        else:
            kept.append(document)
    return kept, dropped
