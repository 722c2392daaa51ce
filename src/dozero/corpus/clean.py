"""Text as it was meant: one kind of line feed, Unicode composed (NFC), no controls, mojibake undone; accents stay.

Repairing mojibake ("coraÃ§Ã£o" for "coração") is ftfy's work (Speer 2019, https://doi.org/10.5281/zenodo.2591652), and
slow: 0.2 ms for each 1,000 characters only to see that all is well. So ftfy gets the lines that hold a pair of
characters which one of its encodings makes of the bytes of one UTF-8 character, and no other line: in Portuguese
prose about one in ten thousand.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# Format characters and controls that say nothing in text; the two joiners (emoji, Persian, Hindi) and the marks of
# direction stay. C1 controls are dropped only if ftfy does not know which character of Windows-1252 they were.
INVISIBLE = (
    "\0-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
)
SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f"
LINE_ENDS = "\x0b\x0c\u2028\u2029"
UNUSUAL = re.compile(f"[{INVISIBLE}{SPACES}{LINE_ENDS}]")
SPACE = re.compile(f"[{SPACES}]")
LINE_END = re.compile(f"[{LINE_ENDS}]")
TRAILING_SPACE = re.compile(r"[ \t]+\n")
MANY_BLANK_LINES = re.compile(r"\n{4,}")
MOST_PASSES = 8

# Bytes of the first and of the other places of a UTF-8 character.
LEADS = range(0xC2, 0xF5)
FOLLOWERS = range(0x80, 0xC0)
# Where each encoding puts signs seldom seen in Western text, so that a search meets few of them: at the leads or at the
# followers.
RARE_LEADS = ("macroman", "cp437", "sloppy-windows-1251", "sloppy-windows-1253")
RARE_FOLLOWERS = (
    "latin-1",
    "sloppy-windows-1252",
    "sloppy-windows-1250",
    "sloppy-windows-1254",
    "sloppy-windows-1257",
    "iso-8859-2",
)


def clean_text(text: str) -> str:
    r"""Return the text repaired and tidied; cleaning twice changes nothing more.

    Lines lose their trailing space, the text its blank ends, and no more than two blank lines stand together.

    >>> clean_text("O coraÃ§Ã£o\u200b do\u00a0Brasil  \r\n")
    'O coração do Brasil'
    """
    for _ in range(MOST_PASSES):  # what one step repairs may uncover work for another; two passes are the rule
        cleaned = _clean_once(text)
        if cleaned == text:
            break
        text = cleaned
    return text


def _clean_once(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = unicodedata.normalize("NFC", _repair_encoding(text))
    if UNUSUAL.search(text):
        text = UNUSUAL.sub("", LINE_END.sub("\n", SPACE.sub(" ", text)))
    if " \n" in text or "\t\n" in text:
        text = TRAILING_SPACE.sub("\n", text)
    if "\n\n\n\n" in text:
        text = MANY_BLANK_LINES.sub("\n\n\n", text)
    return text.rstrip().lstrip("\n")


def _repair_encoding(text: str) -> str:
    suspicious = find_mojibake_pattern()
    if not suspicious.search(text) and "Ã " not in text:  # Ã and a space: à, whose second byte became a space
        return text
    from ftfy import fix_encoding

    lines = text.split("\n")
    return "\n".join(fix_encoding(line) if suspicious.search(line) or "Ã " in line else line for line in lines)


@cache
def find_mojibake_pattern() -> re.Pattern[str]:
    """Return what matches where two characters may be the bytes of one, read in a wrong encoding.

    The expression begins with one set of rare characters, since `re` skips fastest to such a set.
    """
    import ftfy.bad_codecs  # noqa: F401 - registers the sloppy encodings

    rare: set[str] = set()
    pairs = ["(?<=[\x80-\x9f])"]
    for encoding in RARE_LEADS:
        leads, followers = _decode_each(LEADS, encoding), _decode_each(FOLLOWERS, encoding)
        rare.update(leads)
        pairs.append(f"(?<=[{re.escape(leads)}])(?=[{re.escape(followers)}])")
    for encoding in RARE_FOLLOWERS:
        leads, followers = _decode_each(LEADS, encoding), _decode_each(FOLLOWERS, encoding)
        rare.update(followers)
        pairs.append(f"(?<=[{re.escape(leads)}][{re.escape(followers)}])")
    return re.compile(f"[{re.escape(''.join(sorted(rare)))}](?:{'|'.join(pairs)})")


def _decode_each(values: range, encoding: str) -> str:
    """Return the character of each byte, bytes without one left out."""
    return "".join(bytes([value]).decode(encoding, "ignore") for value in values)
