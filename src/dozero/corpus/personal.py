"""Personal data in Portuguese and English text: found by form, check digits and the words beside it; masked by kind.

Kinds: Brazilian documents (cpf, cnpj also alphanumeric, rg, pis, cns, voter's number) and postal codes (cep), phones of any country,
e-mail, payment cards, PIX keys that are UUIDs (other keys are found as what they are), public IP addresses, US social
security numbers. Names and street addresses are not looked for. Left alone on purpose, for they lead to nobody: IP
addresses of private networks, loopback, documentation and whole networks (10.0.0.1, 192.0.2.7, 200.1.2.0/24),
toll-free numbers, and numbers of lawsuits, which are public.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from dozero.corpus import check_digits
from dozero.corpus.personal_shapes import ASKED, CERTAIN, LIKELY, OTHER, SHAPES, is_mentioned, name_kind
from dozero.errors import ConfigError, did_you_mean

KINDS = ("cpf", "cnpj", "rg", "cep", "phone", "email", "card", "pix", "ip", "pis", "cns", "voter", "ssn")
MASKS = {kind: f"[{kind.upper()}]" for kind in KINDS}
"""One set for all languages: names of documents are proper names, the rest are words of both."""


class Finding(NamedTuple):
    """Where a piece of personal data stands. What it is stays in the text, so that no report can spread it."""

    kind: str
    start: int
    end: int


class _Candidate(NamedTuple):
    score: int
    finding: Finding


def find_personal_data(text: str, kinds: Collection[str] = KINDS) -> list[Finding]:
    """Return what is found of these kinds, in order and without overlap; of two that overlap, the surer, then the longer.

    >>> find_personal_data("CPF 529.982.247-25, ana@example.com")
    [Finding(kind='cpf', start=4, end=18), Finding(kind='email', start=20, end=35)]
    """
    check_kinds(kinds)
    if not _TRIGGER.search(text):
        return []
    text = _plain_marks(text)
    found: list[Finding] = []
    # What a number hid may show once it is gone, so look again until nothing is left: then masking twice is masking once.
    while best := _choose(_scan(text, frozenset(kinds))):
        found += best
        text = _blank(text, best)
    return sorted(found, key=lambda finding: finding.start)


def mask_personal_data(text: str, findings: Iterable[Finding]) -> str:
    """Return the text with each finding replaced by the mask of its kind; a mask is never found again.

    >>> mask_personal_data("CPF 529.982.247-25!", [Finding("cpf", 4, 18)])
    'CPF [CPF]!'
    """
    pieces, end = [], 0
    for finding in findings:
        pieces += [text[end : finding.start], MASKS[finding.kind]]
        end = finding.end
    return "".join([*pieces, text[end:]])


def count_kinds(findings: Iterable[Finding]) -> str:
    """Return kinds and counts in the order of KINDS.

    >>> count_kinds([Finding("email", 0, 9), Finding("cpf", 10, 24), Finding("cpf", 30, 44)])
    'cpf 2, email 1'
    """
    counts = Counter(finding.kind for finding in findings)
    return ", ".join(f"{kind} {counts[kind]}" for kind in KINDS if counts[kind])


def check_kinds(kinds: Iterable[str]) -> None:
    """Raise ConfigError at a kind that is not in KINDS."""
    for kind in kinds:
        if kind not in KINDS:
            hint = did_you_mean(kind, KINDS)
            raise ConfigError(
                "no such kind of personal data" + (f", did you mean {hint}?" if hint else ""),
                where="curate.personal_kinds",
                expected=f"some of {' '.join(KINDS)}",
                got=repr(kind),
            )


# --- candidates --------------------------------------------------------------------------------------------------

# Every pattern begins with characters that are rare in prose, since the search for a first character is what text
# without personal data costs. Possessive repeats hold no stack, however long the line.
_TRIGGER = re.compile(r"[0-9@]")
_RUN = re.compile(r"[0-9](?:[-. ()/]{0,3}+[0-9]){6,}+")
_BEFORE_RUN, _AFTER_RUN = 4, 6
_AT = re.compile(r"@(?=([\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,24}))\1(?![\w(\[])(?!-\w)(?!:[\w.~-]*/)")
_LOCAL = re.compile(r"(?<![\w.!#$%&'*+=?^`{|}~-])[\w!#$%&*+=?^`{|}~-][\w.!#$%&'*+=?^`{|}~-]{0,63}\Z")
_USERINFO = re.compile(r"://[^\s/?#]*\Z")
_FILE_ENDINGS = frozenset(
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "avif",
        "ico",
        "css",
        "scss",
        "js",
        "ts",
        "jsx",
        "tsx",
        "py",
        "html",
        "htm",
        "json",
        "pdf",
    ]
)
_UUID_MIDDLE = re.compile(r"-([0-9a-fA-F]{4}-){3}")
_UUID = re.compile(r"(?<![\w-])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![\w-])")
_CNPJ_END = re.compile(r"/[0-9A-Za-z]{4}-[0-9]{2}(?![\w-])")
_CNPJ = re.compile(r"(?<![^\Wºª])[0-9A-Za-z]{2}\.[0-9A-Za-z]{3}\.[0-9A-Za-z]{3}/[0-9A-Za-z]{4}-[0-9]{2}")
_CNPJ_BARE = re.compile(r"[0-9A-Z]{12}[0-9]{2}(?![\w-])")
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w-])(?!\.[0-9])(/[0-9]{1,2}(?![\w.]))?")
_IPV4_EDGE = re.compile(r"[^\Wºª]|[-.,+_]|[^\W/][/]|=v")
_IPV6_MIDDLE = re.compile(r":[0-9a-fA-F]{0,4}:")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-fA-F]{3}:[0-9a-fA-F:]{2,34}(?![\w:])(/[0-9]{1,3}(?!\w))?")
SMALL_OCTET = 31
_SAME_WIDTH = (*((mark, " ") for mark in "\u00a0\u2007\u2009\u202f"), *((mark, "-") for mark in "\u2010\u2011\u2012\u2013\u2212"))  # fmt: skip


def _plain_marks(text: str) -> str:
    """Return the text with spaces and hyphens of all sorts made plain, each in its place."""
    for mark, plain in _SAME_WIDTH:
        text = text.replace(mark, plain)
    return text


def _scan(text: str, kinds: frozenset[str]) -> Iterator[_Candidate]:
    for kind, scan in _SCANS:
        if kind in kinds:
            yield from scan(text)
    shapes = [shape for shape in SHAPES if shape.kind in kinds]
    if not shapes:
        return
    for run in _RUN.finditer(text):
        begin, end = max(0, run.start() - _BEFORE_RUN), run.end() + _AFTER_RUN
        for shape in shapes:
            for match in shape.pattern.finditer(text, begin, end):
                if shape.holds(match[0]):
                    yield from _weigh(text, shape.kind, shape.trust, match.start(), match.end())


def _weigh(text: str, kind: str, trust: int, start: int, end: int) -> Iterator[_Candidate]:
    """Yield the candidate if the words beside it allow it, with a score."""
    named = name_kind(text, start, end)
    if trust == CERTAIN or named == kind:
        yield _Candidate(CERTAIN if trust == CERTAIN else LIKELY, Finding(kind, start, end))
    elif trust == LIKELY and (named != OTHER or is_mentioned(text, start, kind)):
        yield _Candidate(ASKED, Finding(kind, start, end))


def _scan_emails(text: str) -> Iterator[_Candidate]:
    for match in _AT.finditer(text):
        begin = max(0, match.start() - 66)
        before = text[begin : match.start()]
        local = _LOCAL.search(before)
        ending = match[1].rpartition(".")[2].lower()
        if local and ending not in _FILE_ENDINGS and not _USERINFO.search(before):
            yield _Candidate(CERTAIN, Finding("email", begin + local.start(), match.end()))


def _scan_keys(text: str) -> Iterator[_Candidate]:
    for middle in _UUID_MIDDLE.finditer(text):
        match = _UUID.match(text, max(0, middle.start() - 8))
        if match:
            yield from _weigh(text, "pix", ASKED, match.start(), match.end())


def _scan_lettered_cnpjs(text: str) -> Iterator[_Candidate]:
    for ending in _CNPJ_END.finditer(text):
        match = _CNPJ.match(text, max(0, ending.start() - 10))
        if match and check_digits.is_cnpj(match[0]):
            yield from _weigh(text, "cnpj", CERTAIN, match.start(), match.end())
    for match in _CNPJ_BARE.finditer(text):
        whole = not text[max(0, match.start() - 1) : match.start()].isalnum()
        if whole and not match[0].isdigit() and check_digits.is_cnpj(match[0]):
            yield from _weigh(text, "cnpj", ASKED, match.start(), match.end())


def _scan_addresses(text: str) -> Iterator[_Candidate]:
    for match in _IPV4.finditer(text):
        if _IPV4_EDGE.match(text, match.start() - 1) and match.start() > 0:
            continue
        address, trust = _read_address(match[0]), LIKELY
        if address and all(int(octet) <= SMALL_OCTET for octet in str(address).split(".")):
            trust = ASKED  # 1.2.3.4 is a version or a section more often than a host
        if address and (address.packed[0] >= 1):
            yield from _weigh(text, "ip", trust, match.start(), match.start() + len(str(address)))
    for middle in _IPV6_MIDDLE.finditer(text):
        match = _IPV6.search(text, max(0, middle.start() - 4), middle.end() + 40)
        if match and match.start() < middle.end() and _read_address(match[0]):
            yield from _weigh(text, "ip", CERTAIN, match.start(), match.start() + len(match[0].partition("/")[0]))


def _read_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address of one host on the public internet, or None."""
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        return None
    is_network = interface.network.num_addresses > 1 and interface.ip == interface.network.network_address
    return interface.ip if interface.ip.is_global and not interface.ip.is_multicast and not is_network else None


_SCANS: tuple[tuple[str, Callable[[str], Iterator[_Candidate]]], ...] = (
    ("email", _scan_emails),
    ("pix", _scan_keys),
    ("cnpj", _scan_lettered_cnpjs),
    ("ip", _scan_addresses),
)


# --- the best of what overlaps -----------------------------------------------------------------------------------


def _choose(candidates: Iterable[_Candidate]) -> list[Finding]:
    ranked = sorted(candidates, key=lambda c: (-c.score, c.finding.start - c.finding.end, c.finding))
    chosen: list[Finding] = []
    taken: set[int] = set()
    for _, finding in ranked:
        places = range(finding.start, finding.end)
        if taken.isdisjoint(places):
            taken.update(places)
            chosen.append(finding)
    return sorted(chosen, key=lambda finding: finding.start)


def _blank(text: str, findings: Iterable[Finding]) -> str:
    """Return the text with brackets over what was found: of the same length, and read by every pattern as a mask is."""
    pieces, end = [], 0
    for finding in findings:
        pieces += [text[end : finding.start], "[" * (finding.end - finding.start)]
        end = finding.end
    return "".join([*pieces, text[end:]])
