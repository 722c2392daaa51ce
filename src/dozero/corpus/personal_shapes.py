"""What numbers of persons look like, and the words that tell one kind of number from another.

A shape says how much it proves. `CERTAIN` stands by itself: punctuation that nothing else has, or check digits and
punctuation. `LIKELY` holds unless the words before it speak of another number (an order, a part, a version). `ASKED`
holds only where the words beside it name its kind: eleven bare digits are a phone after "ligue para", else anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from dozero.corpus import check_digits

CERTAIN, LIKELY, ASKED = 3, 2, 1
OTHER = "other"
WORD_REACH = 40
OTHER_REACH = 16
"""Characters between a word and the number it speaks of; less for words that only speak against."""


class Shape(NamedTuple):
    """A form that a kind of personal number is written in."""

    kind: str
    trust: int
    pattern: re.Pattern[str]
    holds: Callable[[str], bool]
    """What the pattern cannot say: check digits, ranges."""


# --- edges: where a number begins and ends ------------------------------------------------------------------------

# º and ª count as letters in Unicode, yet nº12345678909 begins at its 1. A number that goes on after a mark is another
# number: 1.529.982.247-25, 4111-1111-1111-1111-1111. The loose edges are for shapes with check digits and punctuation.
_OPEN = r"(?<![^\Wºª])(?<![0-9][-.,/])"
_CLOSE = r"(?![^\W])(?![-.,/][0-9])"
_OPEN_LOOSE = r"(?<![^\Wºª])(?<![0-9][-.])"
_CLOSE_LOOSE = r"(?![^\W])(?!-[0-9])"
# A bare number may not be a piece of a code, path or address: PED-52998224725, /status/52998224725.
_OPEN_BARE = r"(?<![^\Wºª])(?<![-.,/+#$][0-9])(?<![^\W][-./_])(?<![-.,/+#$])"
# Extensions are written x123, and are left where they stand.
_CLOSE_PHONE = rf"(?:(?=x[0-9])|{_CLOSE})"
_AREA = r"0?(?:1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9])"  # DDD, Anatel's plan
_MOBILE = r"9[ .]?[0-9]{4}[-. ]?[0-9]{4}"
_LANDLINE = r"[2-5][0-9]{3}[-. ]?[0-9]{4}"
_US_LOCAL = r"[2-9][0-9]{2}[-. ]?[0-9]{4}"
_TIMESTAMP = re.compile(
    r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]"
)
_YEARS = re.compile(r"[0-9]{2}[ .-](?:19|20)[0-9]{2}-(?:19|20)[0-9]{2}")
_THOUSANDS = re.compile(r"\+?[0-9]{1,3}(?:\.[0-9]{3})+")
_TOLL_FREE = re.compile(r"\D*(?:0?(?:300|500|800|900)|(?:00)?1?\D*8(?:00|33|44|55|66|77|88))(?![0-9])")


def _count_digits(text: str) -> int:
    return sum(map(str.isdigit, text))


def _is_anything(text: str) -> bool:
    """The pattern said it all."""
    return bool(text)


def _is_cep(text: str) -> bool:
    return int("".join(filter(str.isdigit, text))) >= 1_000_000  # the first ones in use are 01000-000 and up


def _is_bare_cnpj(text: str) -> bool:
    return check_digits.is_cnpj(text) and not _TIMESTAMP.fullmatch(text)


def _is_phone(text: str) -> bool:
    """Toll-free numbers belong to companies; years and thousands only look like phones."""
    return not (_TOLL_FREE.match(text) or _YEARS.fullmatch(text) or _THOUSANDS.fullmatch(text))


def _is_international(text: str) -> bool:
    return 8 <= _count_digits(text) <= 15 and _is_phone(text)


def _is_ssn(text: str) -> bool:
    """Area 000, 666 and 900 up, group 00 and serial 0000 are never given."""
    digits = "".join(filter(str.isdigit, text))
    return digits[:3] not in ("000", "666") and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"


def _shape(kind: str, trust: int, pattern: str, holds: Callable[[str], bool] = _is_anything) -> Shape:
    return Shape(kind, trust, re.compile(pattern), holds)


# States write their letters before the number of an identity card: MG-12.345.678, and M alone in the older ones.
_STATE = "(?:A[CLMP]|BA|CE|DF|ES|GO|M[AGST]?|P[ABEIR]|R[JNORS]|S[CEP]|TO)"

SHAPES = (
    _shape(
        "cpf",
        CERTAIN,
        rf"{_OPEN_LOOSE}[0-9]{{3}}([. ])[0-9]{{3}}\1[0-9]{{3}}[-/. ]?[0-9]{{2}}{_CLOSE_LOOSE}",
        check_digits.is_cpf,
    ),
    _shape("cpf", CERTAIN, rf"{_OPEN}[0-9]{{9}}[-/][0-9]{{2}}{_CLOSE}", check_digits.is_cpf),
    _shape("cpf", LIKELY, rf"{_OPEN_BARE}[0-9]{{11}}{_CLOSE}", check_digits.is_cpf),
    _shape(
        "cnpj",
        CERTAIN,
        rf"{_OPEN_LOOSE}[0-9]{{2}}([. ])[0-9]{{3}}\1[0-9]{{3}}[/ ][0-9]{{4}}[- ]?[0-9]{{2}}{_CLOSE_LOOSE}",
        check_digits.is_cnpj,
    ),
    _shape("cnpj", CERTAIN, rf"{_OPEN}[0-9]{{8}}/[0-9]{{4}}-?[0-9]{{2}}{_CLOSE}", check_digits.is_cnpj),
    _shape("cnpj", LIKELY, rf"{_OPEN_BARE}[0-9]{{14}}{_CLOSE}", _is_bare_cnpj),
    # Groups of four beside it make it a piece of a longer number, as the 44 digits of an invoice.
    _shape(
        "card",
        CERTAIN,
        rf"{_OPEN}(?<![0-9]{{4}}[ -])(?:[0-9]{{4}}([ -])[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}(?:\1[0-9]{{3}})?|[0-9]{{4}}([ -])[0-9]{{6}}\2[0-9]{{4,5}}){_CLOSE}(?![ -][0-9]{{4}}(?![0-9]))",
        check_digits.is_card,
    ),
    _shape("card", LIKELY, rf"{_OPEN_BARE}[0-9]{{14,19}}{_CLOSE}", check_digits.is_card),
    _shape("card", ASKED, rf"{_OPEN}[0-9](?:[ -]?[0-9]){{12,18}}{_CLOSE}", check_digits.is_card),
    _shape("pis", CERTAIN, rf"{_OPEN}[0-9]{{3}}[. ][0-9]{{5}}[. ][0-9]{{2}}[- .][0-9]{_CLOSE}", check_digits.is_pis),
    _shape("pis", ASKED, rf"{_OPEN}[0-9]{{10}}-?[0-9]{_CLOSE}", check_digits.is_pis),
    _shape("cns", CERTAIN, rf"{_OPEN}[0-9]{{3}}([ .])[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}{_CLOSE}", check_digits.is_cns),
    _shape("cns", ASKED, rf"{_OPEN}[0-9]{{15}}{_CLOSE}", check_digits.is_cns),
    _shape("voter", ASKED, rf"{_OPEN}[0-9]{{4}}[ .]?[0-9]{{4}}[ .]?[0-9]{{4}}{_CLOSE}", check_digits.is_voter),
    _shape("rg", LIKELY, rf"{_OPEN}[0-9]{{2}}\.[0-9]{{3}}\.[0-9]{{3}}-[0-9Xx]{_CLOSE}", check_digits.is_sao_paulo_rg),
    _shape("rg", ASKED, rf"{_OPEN}(?:{_STATE}[- ]?)?[0-9]{{1,2}}\.[0-9]{{3}}\.[0-9]{{3}}(?:[- ]?[0-9Xx])?{_CLOSE}"),
    _shape("rg", ASKED, rf"{_OPEN}(?:{_STATE}[- ]?)?[0-9]{{6,13}}(?:-?[0-9Xx])?{_CLOSE}"),
    _shape("ssn", LIKELY, rf"{_OPEN}[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}{_CLOSE}", _is_ssn),
    _shape("ssn", ASKED, rf"{_OPEN}[0-9]{{3}} ?[0-9]{{2}} ?[0-9]{{4}}{_CLOSE}", _is_ssn),
    _shape("cep", LIKELY, rf"{_OPEN}[0-9]{{2}}\.?[0-9]{{3}}-[0-9]{{3}}{_CLOSE}", _is_cep),
    _shape("cep", ASKED, rf"{_OPEN}[0-9]{{2}}\.?[0-9]{{3}}[- ]?[0-9]{{3}}{_CLOSE}", _is_cep),
    _shape(
        "phone", CERTAIN, rf"(?<![\w+])\+55[ .-]?(?:\({_AREA}\)|{_AREA})[ .-]?(?:{_MOBILE}|{_LANDLINE}){_CLOSE_PHONE}"
    ),
    _shape(
        "phone",
        CERTAIN,
        rf"(?<![\w+])\+[1-9][0-9]{{0,2}}(?:[-. ]?\([0-9]{{1,4}}\))?(?:[-. ]?[0-9]{{2,12}}){{1,6}}{_CLOSE_PHONE}",
        _is_international,
    ),
    _shape(
        "phone", CERTAIN, rf"(?<![\w(])\((?:0?xx ?|0?[0-9]{{2}} ?)?{_AREA}\) ?-?(?:{_MOBILE}|{_LANDLINE}){_CLOSE_PHONE}"
    ),
    _shape("phone", CERTAIN, rf"(?<![\w(])\([2-9][0-9]{{2}}\) ?-?{_US_LOCAL}{_CLOSE_PHONE}", _is_phone),
    _shape(
        "phone",
        LIKELY,
        rf"{_OPEN}(?:55[ -])?{_AREA}[ .-](?:9[ .]?[0-9]{{4}}[-. ][0-9]{{4}}|[2-5][0-9]{{3}}-[0-9]{{4}}){_CLOSE_PHONE}",
        _is_phone,
    ),
    _shape(
        "phone",
        LIKELY,
        rf"{_OPEN}(?:(?:001|1)[-. ])?[2-9][0-9]{{2}}([-.])[2-9][0-9]{{2}}\1[0-9]{{4}}{_CLOSE_PHONE}",
        _is_phone,
    ),
    _shape(
        "phone", LIKELY, rf"{_OPEN}00[1-9][0-9]{{0,2}}(?:[-. ][0-9]{{2,8}}){{2,6}}{_CLOSE_PHONE}", _is_international
    ),
    _shape(
        "phone",
        ASKED,
        rf"{_OPEN}(?:55[ -]?)?(?:\(?{_AREA}\)?[-. ]?)?(?:{_MOBILE}|{_LANDLINE}){_CLOSE_PHONE}",
        _is_phone,
    ),
    _shape("phone", ASKED, rf"{_OPEN}(?:1[-. ]?)?(?:\(?[2-9][0-9]{{2}}\)?[-. ]?)?{_US_LOCAL}{_CLOSE_PHONE}", _is_phone),
    _shape(
        "phone",
        ASKED,
        rf"{_OPEN}0[0-9]{{1,4}}[-. /]?[0-9]{{3,8}}(?:[-. ][0-9]{{2,4}})*{_CLOSE_PHONE}",
        _is_international,
    ),
)
"""Numbers with at least seven digits, tried on every run of digits and the marks between them."""

# --- words -------------------------------------------------------------------------------------------------------

_WORDS = {
    "cpf": r"CPFs?|C\.P\.F\.?|CPF/MF|cadastro de pessoas? f[ií]sicas?|taxpayer",
    "cnpj": r"CNPJs?|C\.N\.P\.J\.?|cadastro nacional (?:da|de) pessoas? jur[ií]dicas?|company registration",
    "rg": r"RGs?|R\.G\.?|identidade|registro geral|c[eé]dula|identity(?: card| document)?|ID card|SSP",
    "cep": r"CEPs?|c[oó]digo (?:postal|de endere[cç]amento)|(?:postal|zip) ?codes?|postcode|ZIP",
    "phone": r"tel|telefones?|telef[oô]nicos?|fones?|cel|celular(?:es)?|whats|whats ?app|zap|fax|ramal|recados?|SMS|"
    r"lig(?:ue|uem|ar|ou|uei|ando|a|uem)|disque|discar|chamar|contat[oe]s?|telefon(?:e|ou|ar|ei)|"
    r"(?:tele)?phones?|phoned|mobiles?|cell|cellphone|call|called|calling|calls|dial|dialed|dialled|text|texted|ring|rang|"
    r"reach(?:ed|able)?|contact|voicemail|landline|hotline",
    "card": r"cart[aã]o|cart[oõ]es|cards?|visa|master(?:card)?|amex|american express|elo|hipercard|diners|"
    r"cr[eé]dito|d[eé]bito|credit|debit",
    "pix": r"pix|chave aleat[oó]ria|random key|EVP",
    "pis": r"PIS|PASEP|PIS/PASEP|NIS|NIT",
    "cns": r"CNS|cart[aã]o (?:do )?SUS|cart[aã]o nacional de sa[uú]de|SUS|(?:national )?health card",
    "voter": r"t[ií]tulo (?:de eleitora?|eleitoral)|inscri[cç][aã]o eleitoral|eleitora?|eleitoral|voter(?:'s)?"
    r"(?: ID| card| registration)?",
    "ssn": r"SSNs?|social security(?: number)?",
    "ip": r"IPs?|IPv|hosts?|servidor|server|gateway|DNS|ping|login|logins|logged|acess(?:o|os|ou|ar)|access(?:ed)?|"
    r"conex(?:ão|ões)|conect(?:ou|ado|ar)|connect(?:ed|ion|ions|ing)?|requisi[cç](?:ão|ões)|requests?",
    OTHER: r"pedidos?|encomendas?|compras?|orders?|protocolos?|protocols?|processos?|autos|docket|case|tickets?|chamados?|"
    r"ocorr[eê]ncias?|nota fiscal|notas? fiscais|NF|NFe|NF-e|DANFE|boletos?|faturas?|invoices?|lotes?|batch(?:es)?|lots?|"
    r"s[eé]rie|serial|serials|matr[ií]culas?|enrol?lment|c[oó]d|c[oó]digos?|codes?|rastreio|rastreamento|rastreador|"
    r"tracking|shipments?|parcels?|remessas?|SKUs?|ref|refer[eê]ncias?|references?|pe[cç]as?|parts?|P/N|PN|modelos?|models?|itens|item|items|"
    r"produtos?|products?|cat[aá]logos?|catalogue|catalog|ISBN|ISSN|EAN|GTIN|UPC|IMEI|barcodes?|barras|patentes?|patents?|leis?|law|decretos?|portarias?|"
    r"resolu[cç][aã]o|normas?|standards?|vers(?:ão|ao|ões)|versions?|vers[aã]o|release|releases|build|builds|firmware|kernel|driver|"
    r"patch|update|atualiza[cç][aã]o|ISO|NBR|IEC|DIN|RFC|hash|commit|checksum|UUID|GUID|id|contratos?|contracts?|"
    r"ap[oó]lices?|policy|empenhos?|licita[cç][aã]o|conv[eê]nios?|DOI|CVE|artigos?|articles?|se[cç][aã]o|sections?|cap[ií]tulos?|"
    r"chapters?|cl[aá]usulas?|OID|latitude|longitude|coordenadas?|coordinates|valor|pre[cç]o|price|total|R\$|US\$|"
    r"sensor|amostras?|samples?|registro|record|transa[cç][aã]o|transactions?|NSU|v",
}
# The longer reading first at one place: "código postal" before "código", "cartão SUS" before "cartão".
_ORDER = ("cns", "cep", "voter", *(kind for kind in _WORDS if kind not in ("cns", "cep", "voter")))
_LETTER = r"[^\W\d_]"
WORDS = re.compile(
    rf"(?<!{_LETTER})(?:" + "|".join(f"(?P<{kind}>{_WORDS[kind]})" for kind in _ORDER) + rf")(?!{_LETTER})",
    re.IGNORECASE,
)
WORDS_AFTER = re.compile(
    r"[ ,]{0,2}[(–-]?[ ]?(?:(?:é|is) (?:o|a|meu|my|the) )?(?:"
    r"(?P<rg>(?:SSP|SESP|SDS|IFP|DETRAN|DIC|IGP|ITEP|SEJUSP|SEJUSPS|SEGUP|PCMG|POLITEC)\b)|"
    + "|".join(f"(?P<{kind}>(?:{_WORDS[kind]})(?!{_LETTER}))" for kind in ("cpf", "cnpj", "phone", "cep", "pix"))
    + ")",
    re.IGNORECASE,
)
# Digits and masks end the search: "RG [RG] e 12345678" says nothing of the second number. Digits inside a word (IPv4)
# do not.
_STOP = re.compile(rf"(?<!{_LETTER})[0-9]|[\[\]@]")


def is_mentioned(text: str, start: int, kind: str) -> bool:
    """Return whether words in reach before a number speak of the kind, whatever stands between.

    >>> text = "cartão da compra 4000000000000002"
    >>> is_mentioned(text, 17, "card"), is_mentioned(text, 17, "cpf")
    (True, False)
    """
    return any(word.lastgroup == kind for word in WORDS.finditer(text, _find_reach(text, start), start))


def _find_reach(text: str, start: int) -> int:
    """Return where the words that speak of a number at `start` may begin."""
    begin = max(0, start - WORD_REACH)
    for stop in _STOP.finditer(text, begin, start):
        begin = stop.end()
    return begin


def name_kind(text: str, start: int, end: int) -> str | None:
    """Return the kind that the words nearest before a number speak of, else those right after it; None if none do.

    >>> name_kind("Ligue para 98765-4321", 11, 21), name_kind("pedido 98765-4321", 7, 17), name_kind("em 98765-4321", 3, 13)
    ('phone', 'other', None)
    """
    nearest = None
    for word in WORDS.finditer(text, _find_reach(text, start), start):
        nearest = word
    if nearest is not None and (nearest.lastgroup != OTHER or start - nearest.end() <= OTHER_REACH):
        return nearest.lastgroup
    after = WORDS_AFTER.match(text, end)
    return after.lastgroup if after else None
