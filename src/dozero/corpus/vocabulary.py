"""Words, phrases and marks that the rules of quality.py look for, each with where it comes from."""

from __future__ import annotations

from functools import cache

# Rae et al. 2021, appendix A1.1: a document needs two of these.
ENGLISH_STOP_WORDS = frozenset(["the", "be", "to", "of", "and", "that", "have", "with"])
# Penedo et al. 2025 (FineWeb2), configs/por_Latn.yml: the most frequent words of Portuguese.
PORTUGUESE_STOP_WORDS = frozenset(
    ["de", "a", "e", "o", "em", "do", "da", "que", "um", "no", "uma", "com", "para", "na", "é", "foi"]
)

# Raffel et al. 2020, section 2.2, as the code of the authors spells them: lines with one of these are boilerplate.
ENGLISH_POLICY_PHRASES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
# The same in Portuguese; ours.
PORTUGUESE_POLICY_PHRASES = (
    "termos de uso",
    "política de privacidade",
    "política de cookies",
    "usa cookies",
    "utiliza cookies",
    "uso de cookies",
)

# FineWeb's ends of a line: . ! ? in every script, Unicode's property Sentence_Terminal (PropList.txt, version 15) with
# three Khmer marks and without the forms for vertical text; code points and ranges, in hexadecimal.
SENTENCE_TERMINALS = (
    "21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736 17D4-17D6 "
    "17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049 "
    "2E2E 2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB "
    "FE52 FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143 "
    "111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 "
    "1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5 "
    "16B37-16B38 16B44 16E98 1BC9F 1DA88 "
)
# Marks of no alphabet that make no word: the punctuation of CCNet (Wenzek et al. 2020, https://aclanthology.org/2020.lrec-1.494/),
# which datatrove completes with the control characters.
MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«´»–—’“”„…∶━►、。〈〉《》「」【】！％（），．１：；？～"
CONTROLS = "0-8 B-1F 7F-9F"


def expand_ranges(ranges: str) -> frozenset[str]:
    """Return the characters of a list of code points and ranges.

    >>> sorted(expand_ranges("21 41-43"))
    ['!', 'A', 'B', 'C']
    """
    ends = [(part.split("-")[0], part.split("-")[-1]) for part in ranges.split()]
    return frozenset(chr(code) for first, last in ends for code in range(int(first, 16), int(last, 16) + 1))


@cache
def sentence_terminals() -> frozenset[str]:
    """Return the marks that end a sentence in some script."""
    return expand_ranges(SENTENCE_TERMINALS)


@cache
def punctuation() -> frozenset[str]:
    """Return the characters that alone make no word."""
    return frozenset(MARKS) | expand_ranges(CONTROLS) | sentence_terminals()
