"""Licences: one spelling for each, what it asks, and the filter that keeps out what nobody licensed.

Names are SPDX identifiers (https://spdx.org/licenses/) where there is one, `public-domain` where copyright has ended,
`own` for text of one's own. An unknown name stays as it was told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dozero.corpus.document import Document
from dozero.corpus.parts import Filter, Parts

NO_LICENCE = "no licence"
CREATIVE_COMMONS = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/licenses/(?P<url>[a-z-]+)/(?P<url_version>\d\.\d)"
    r"|\b(?:cc|creative commons)[\s_-]*(?P<kind>(?:by|attribution)(?:[\s_-]*(?:nc|nd|sa|non-?commercial|no-?derivatives|share-?alike))*)"
    r"[\s_-]*(?:v?\s*(?P<version>\d(?:\.\d)?))?"
)
WORDS_OF_CC = {"attribution": "by", "noncommercial": "nc", "noderivatives": "nd", "sharealike": "sa"}
# Tried in order on the name in lower case: the first that fits names the licence.
SPELLINGS: tuple[tuple[str, str], ...] = (
    (r"publicdomain/zero|\bcc[\s-]*0\b|creative commons zero", "CC0-1.0"),
    (r"publicdomain/mark|dom[ií]nio p[úu]blico|public[\s-]*domain|\bpddl\b", "public-domain"),
    (r"^(own|pr[óo]prio|pr[óo]pria|minha|meu|mine|self)$", "own"),
    (r"\bunlicense\b", "Unlicense"),
    (r"\bapache\b(?!.*1\.1)", "Apache-2.0"),
    (r"\bmit\b", "MIT"),
    (r"\bisc\b", "ISC"),
    (r"\bbsd\b.*(2|two|simplified)|\bbsd-2", "BSD-2-Clause"),
    (r"\bbsd\b", "BSD-3-Clause"),
    (r"\bmpl\b|mozilla public", "MPL-2.0"),
    (r"\b(agpl|gnu affero)", "AGPL-3.0-only"),
    (r"\b(lgpl|gnu lesser|gnu library)", "LGPL-{version}"),
    (r"\b(gfdl|gnu free documentation|fdl)\b", "GFDL-{version}"),
    (r"\bgpl|gnu general public", "GPL-{version}"),
    (r"\bodc-by|open data commons attribution", "ODC-By-1.0"),
    (r"\bodbl", "ODbL-1.0"),
)
OLDEST = {"LGPL": "2.1", "GFDL": "1.1", "GPL": "2.0"}
# What the text of a LICENSE file says in its first lines.
TEXTS: tuple[tuple[str, str], ...] = (
    (r"permission is hereby granted, free of charge", "MIT"),
    (r"apache license\s+version 2\.0", "Apache-2.0"),
    (r"mozilla public license,? version 2\.0", "MPL-2.0"),
    (r"gnu affero general public license\s+version 3", "AGPL-3.0-only"),
    (r"gnu lesser general public license\s+version (2\.1|3)", "LGPL"),
    (r"gnu general public license\s+version ([23])", "GPL"),
    (r"gnu free documentation license\s+version 1\.([123])", "GFDL"),
    (r"cc0 1\.0 universal", "CC0-1.0"),
    (r"this is free and unencumbered software", "Unlicense"),
    (r"neither the name of", "BSD-3-Clause"),
    (r"redistributions of source code must retain", "BSD-2-Clause"),
)


@dataclass(frozen=True)
class LicenceFacts:
    """What a licence asks of whoever passes the text on."""

    attribution: bool = False
    share_alike: bool = False
    non_commercial: bool = False
    no_derivatives: bool = False

    def told(self, lang: str) -> str:
        """Return what is asked, in a sentence."""
        asked = [words[lang == "en"] for words, holds in zip(ASKED, vars(self).values(), strict=True) if holds]
        return "; ".join(asked) or ASKS_NOTHING[lang == "en"]


ASKED = (
    ("dê o crédito e mantenha o aviso de licença", "give credit and keep the licence notice"),
    ("passe adiante só sob a mesma licença", "pass on only under the same licence"),
    ("só para fins não comerciais: um modelo treinado nele pode herdar isso", "non-commercial use only: a model trained on it may inherit that"),
    ("não distribua versões alteradas, e um texto filtrado ou mascarado é uma", "do not pass on altered versions, and filtered or masked text is one"),
)  # fmt: skip
ASKS_NOTHING = ("não pede nada", "asks for nothing")
CREDIT, COPYLEFT = LicenceFacts(attribution=True), LicenceFacts(attribution=True, share_alike=True)
FACTS = {
    **dict.fromkeys(("CC0-1.0", "public-domain", "own", "Unlicense"), LicenceFacts()),
    **dict.fromkeys(("MIT", "Apache-2.0", "ISC", "BSD-2-Clause", "BSD-3-Clause", "ODC-By-1.0"), CREDIT),
    **dict.fromkeys(("MPL-2.0", "ODbL-1.0"), COPYLEFT),
}


def normalise_licence(text: str) -> str:
    """Return the SPDX identifier of a licence told in other words, or the words themselves.

    >>> [normalise_licence(t) for t in ("CC BY-SA 4.0", "domínio público", "GPL v3 or later", "House rules ")]
    ['CC-BY-SA-4.0', 'public-domain', 'GPL-3.0-or-later', 'House rules']
    """
    told = " ".join(text.split())
    low = told.lower().replace("license", "licence").replace("publicdomain/", "publicdomain/")
    if " or " in low and not re.search(r"or (any )?later", low):
        return told  # a choice between two: both names matter
    commons = CREATIVE_COMMONS.search(low.replace("licences/", "licenses/"))
    if commons:
        return _commons_name(commons)
    for pattern, name in SPELLINGS:
        if re.search(pattern.replace("license", "licen[cs]e"), low):
            return _with_version(name, low)
    return told


def _commons_name(match: re.Match[str]) -> str:
    words = (
        (match["url"] or match["kind"]).replace("non-commercial", "noncommercial").replace("share-alike", "sharealike")
    )
    kinds = [WORDS_OF_CC.get(w, w) for w in re.split(r"[\s_-]+", words.replace("no-derivatives", "noderivatives")) if w]
    version = match["url_version"] or match["version"] or "4.0"
    return f"CC-{'-'.join(kinds).upper()}-{version if '.' in version else version + '.0'}"


def _with_version(name: str, low: str) -> str:
    """Return a GNU licence with its version: the oldest there is when nobody told, since later ones allow as much."""
    if "{version}" not in name:
        return name
    family = name.partition("-")[0]
    found = re.search(r"(\d(?:\.\d)?)", low)
    version = found[1] if found else OLDEST[family]
    version = version if "." in version else f"{version}.0"
    later = "later" in low or low.rstrip().endswith("+")
    return f"{family}-{version}-{'or-later' if later else 'only'}"


def licence_facts(licence: str) -> LicenceFacts | None:
    """Return what a licence asks, by its normalised name; None for one that is not known here."""
    if licence.startswith("CC-"):
        kinds = licence.split("-")
        return LicenceFacts("BY" in kinds, "SA" in kinds, "NC" in kinds, "ND" in kinds)
    if re.match(r"(A|L)?GPL-|GFDL-", licence):
        return COPYLEFT
    return FACTS.get(licence)


def licence_filter(allow_unlicensed: bool) -> Filter:
    """Return the filter that drops what has no licence, or keeps it if the user says so."""

    def judge(document: Document, _: Parts) -> str | None:
        return None if document.licence or allow_unlicensed else NO_LICENCE

    return judge


def guess_licence(text: str) -> str | None:
    """Return the licence that the text of a LICENSE file is, to suggest it: None if it is none of the usual ones."""
    low = " ".join(text.lower().split())[:5000]
    for pattern, name in TEXTS:
        found = re.search(pattern, low)
        if found:
            version = found[1] if found.groups() else ""
            version = version if "." in version or not version else f"{version}.0"
            return f"{name}-1.{found[1]}-only" if name == "GFDL" else f"{name}-{version}-only" if version else name
    commons = re.search(r"creative commons (attribution[a-z -]*?) (\d\.\d)", low)
    return normalise_licence(f"Creative Commons {commons[1]} {commons[2]}") if commons else None
