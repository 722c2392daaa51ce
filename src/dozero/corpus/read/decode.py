"""Bytes to text. No byte is dropped or replaced: text of an encoding that is not known is refused.

1. A byte order mark decides (UTF-8, UTF-16, UTF-32).
2. What is valid UTF-8 is UTF-8; text of another encoding is so by accident about never.
3. The charset that a page declares.
4. Windows-1252, which is Latin-1 with “quotes”, if the result looks like the writing of Western Europe.

UTF-8 with a few stray bytes (a file glued together of two) keeps its UTF-8, and the stray bytes are read as Windows-1252,
as browsers and ftfy do. Mojibake is no matter of bytes; `clean_text` repairs it.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter

from dozero.errors import DataError

UTF8_BOM = codecs.BOM_UTF8
# UTF-32 before UTF-16, because the mark of one begins like that of the other.
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
# Those of the web (encoding.spec.whatwg.org). Python has codecs by the names of `unicode_escape` and `idna` too.
CHARSETS = re.compile(
    r"iso-?8859-?\d+|latin-?\d|windows-125\d|cp125\d|koi8-[ru]|macintosh|gbk|gb2312|gb18030|big5|euc-(?:jp|kr)"
    r"|shift_jis|iso-2022-jp|us-ascii|ascii|utf-?8"
)
LATIN1 = re.compile(r"iso-?8859-?1|latin-?1|us-ascii|ascii")  # browsers read these three as Windows-1252
ESCAPED = re.compile("[\udc80-\udcff]")
WESTERN_SIGNS = frozenset("ªº°“”‘’„–—…«»§·•€£©®¹²³½¼¾¿¡´`¨™×÷\xa0\xad")
JUDGED_CHARS = 8


def find_bom(data: bytes) -> str:
    """Return the encoding that a byte order mark tells, or an empty string."""
    return next((encoding for bom, encoding in BOMS if data.startswith(bom)), "")


def decode_text(data: bytes, declared: str = "") -> str:
    """Return the text of `data`; DataError when it is binary or of an encoding that is not known."""
    bom = find_bom(data)
    if bom:
        return _decode_strictly(data, bom)
    if b"\0" in data:
        raise DataError("binary, not text (it holds NUL bytes)")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _decode_declared(data, declared) or mend(data.decode(errors="surrogateescape"))
    # Only ISO-2022-JP hides its letters in ASCII.
    return (text.isascii() and _decode_declared(data, declared)) or text


def find_declared(page: bytes) -> str:
    """Return the charset that the head of an HTML page or an XML declaration names, or an empty string."""
    found = DECLARED.search(page[:2048])
    return found[1].decode("ascii").lower() if found else ""


def mend(text: str) -> str:
    r"""Return a text that was decoded from UTF-8 with `surrogateescape`, its undecoded bytes read as Windows-1252.

    >>> mend(b"caf\xe9".decode(errors="surrogateescape"))
    'café'
    """
    strays = ESCAPED.findall(text)
    if not strays:
        return text
    foreign = sum(not char.isascii() for char in text) - len(strays)
    if len(strays) > foreign:  # more wrong than right: no UTF-8 at all
        return _decode_western(text.encode(errors="surrogateescape"))
    try:
        table = {ord(char): bytes([ord(char) - 0xDC00]).decode("cp1252") for char in set(strays)}
    except UnicodeDecodeError:
        raise DataError("neither UTF-8 nor Windows-1252") from None
    return text.translate(table)


def _decode_strictly(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if encoding == "utf-8-sig":
            return mend(data.decode(encoding, errors="surrogateescape"))
        raise DataError(f"begins as {encoding} but is not") from None
    if "\0" in text:
        raise DataError("binary, not text (it holds NUL bytes)")
    return text


def _decode_declared(data: bytes, declared: str) -> str:
    """Return the text by the charset declared, or an empty string when that is unknown or wrong."""
    if not CHARSETS.fullmatch(declared):
        return ""
    try:
        return data.decode("cp1252" if LATIN1.fullmatch(declared) else declared)
    except (UnicodeDecodeError, LookupError):
        return ""


def _decode_western(data: bytes) -> str:
    """Return the text by Windows-1252, unless it then does not look like writing.

    Russian or Greek read so is all accented letters; an old DOS or Macintosh file has signs where letters should be.
    """
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:  # five bytes mean nothing there
        raise DataError("neither UTF-8 nor Windows-1252") from None
    foreign = Counter(char for char in text if not char.isascii())
    letters = sum(count for char, count in foreign.items() if char.isalpha())
    odd = sum(count for char, count in foreign.items() if not char.isalpha() and char not in WESTERN_SIGNS)
    plain = sum(char.isalpha() for char in text) - letters
    if foreign.total() >= JUDGED_CHARS and (letters > plain or odd > letters):
        raise DataError("neither UTF-8 nor Windows-1252 (convert it to UTF-8 with iconv)")
    return text
