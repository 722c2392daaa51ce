"""A labelled set of sentences in Portuguese and English, half with personal data and half with hard negatives.

Values come from libraries that know nothing of dozero (faker, validate-docbr, phonenumbers) or, where none makes them, from
the form alone. What a value is, is known from how it was made; a harmless number that happens to pass a check digit
(one eleven-digit number in a hundred is a CPF) is drawn again, judged by validate-docbr and python-stdnum.
"""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Callable
from typing import NamedTuple

from claims.personal_templates import DEVELOP, HELDOUT

SETS = {"develop": DEVELOP, "heldout": HELDOUT}
KINDS = ("cpf", "cnpj", "rg", "cep", "phone", "email", "card", "pix", "ip", "pis", "cns", "voter", "ssn")
JOINED_SHARE = 0.2
CARD_TYPES = ("visa16", "mastercard", "amex", "discover", "diners", "visa19")
PHONE_REGIONS = ("PT", "AR", "US", "GB", "DE", "FR", "ES", "IT", "JP", "AO", "MX", "CL")
# Blocks that registries gave out: LACNIC, ARIN, RIPE, AFRINIC, APNIC.
IPV6_BLOCKS = ("2804:{:x}::", "2801:{:x}::", "2600:{:x}::", "2a02:{:x}::", "2c0f:{:x}::", "2400:{:x}::")
STATES = [
    "AC",
    "AL",
    "AM",
    "BA",
    "CE",
    "DF",
    "ES",
    "GO",
    "MA",
    "MG",
    "MS",
    "MT",
    "PA",
    "PB",
    "PE",
    "PI",
    "PR",
    "RJ",
    "RN",
    "RO",
    "RR",
    "RS",
    "SC",
    "SE",
    "SP",
    "TO",
]


class Value(NamedTuple):
    """A text and whether its form speaks for itself; bare digits need a word beside them that says what they are."""

    text: str
    stands_alone: bool = True


class Labelled(NamedTuple):
    """A sentence and the (kind, start, end) of each piece of personal data in it."""

    text: str
    lang: str
    labels: tuple[tuple[str, int, int], ...]


class Makers:
    """Draws values of every kind from one seed."""

    def __init__(self, seed: int) -> None:
        import faker
        import validate_docbr

        self.random = random.Random(seed)
        random.seed(seed)  # validate-docbr draws from the module's own generator
        self.pt, self.en = faker.Faker("pt_BR"), faker.Faker("en_US")
        self.pt.seed_instance(seed)
        self.en.seed_instance(seed + 1)
        self.docbr = validate_docbr

    # --- personal ---------------------------------------------------------------------------------------------

    def cpf(self) -> Value:
        """A person's number in one of five spellings."""
        bare = self.random.choice([self.pt.ssn, self.docbr.CPF().generate])()
        a, b, c, d = bare[:3], bare[3:6], bare[6:9], bare[9:]
        forms = [f"{a}.{b}.{c}-{d}"] * 5 + [bare] * 3 + [f"{a}{b}{c}-{d}", f"{a} {b} {c} {d}", f"{a}.{b}.{c}/{d}"]
        return Value(self.random.choice(forms))

    def cnpj(self) -> Value:
        """A company's number: faker's, validate-docbr's, or the alphanumeric one."""
        docbr = self.docbr.CNPJ()
        make = [self.pt.cnpj, docbr.generate, lambda: docbr.generate(digits_only=False)]
        bare = re.sub(r"\W", "", self.random.choice(make)())
        masked = docbr.mask(bare)
        form = self.random.choice([masked, masked, masked, bare, f"{bare[:8]}/{bare[8:12]}-{bare[12:]}"])
        if not bare.isdigit() and form != bare:
            form = masked
        return Value(form, stands_alone=bare.isdigit() or form == masked)

    def rg(self) -> Value:
        """An identity card's number: São Paulo's with its check digit, other states' without."""
        bare = self.pt.rg()
        sao_paulo = f"{bare[:2]}.{bare[2:5]}.{bare[5:8]}-{bare[8]}"
        digits = "".join(self.random.choices("0123456789", k=8))
        dotted = f"{digits[:2]}.{digits[2:5]}.{digits[5:]}"
        others = [
            bare,
            dotted,
            f"MG-{dotted}",
            f"{digits[0]}.{digits[1:4]}.{digits[4:7]}",
            digits,
            digits[:7] + "-" + digits[7],
        ]
        if self.random.random() < 0.4:
            return Value(sao_paulo)
        return Value(self.random.choice(others), stands_alone=False)

    def cep(self) -> Value:
        """A postal code of faker's in the range in use."""
        digits = re.sub(r"\D", "", self.pt.postcode())
        while int(digits) < 1_000_000:
            digits = re.sub(r"\D", "", self.pt.postcode())
        if self.random.random() < 0.25:
            return Value(digits, stands_alone=False)
        return Value(
            self.random.choice([f"{digits[:5]}-{digits[5:]}"] * 4 + [f"{digits[:2]}.{digits[2:5]}-{digits[5:]}"])
        )

    def phone(self) -> Value:
        """A phone: Brazilian with and without area and country, US, or of twelve countries as phonenumbers writes them."""
        return self.random.choice([self._brazilian_phone, self._brazilian_phone, self._us_phone, self._foreign_phone])()

    def email(self) -> Value:
        """An address of faker's, some with capitals, a tag or a subdomain."""
        source = self.random.choice([self.pt, self.en])
        address = self.random.choice([source.email, source.free_email, source.company_email, source.ascii_safe_email])()
        local, _, domain = address.partition("@")
        forms = [address] * 5 + [
            f"{local}+news@{domain}",
            f"{local}@mail.{domain}",
            address.upper(),
            f"{local}_{7}@{domain}",
        ]
        return Value(self.random.choice(forms))

    def card(self) -> Value:
        """A payment card of faker's, in groups or bare."""
        bare = self.en.credit_card_number(self.random.choice(CARD_TYPES))
        if len(bare) in (14, 15):
            groups = [bare[:4], bare[4:10], bare[10:]]
        else:
            groups = [bare[i : i + 4] for i in range(0, len(bare), 4)]
        return Value(self.random.choice([bare, " ".join(groups), " ".join(groups), "-".join(groups)]))

    def pix(self) -> Value:
        """A random key: a UUID of version 4."""
        return Value(self._uuid(), stands_alone=False)

    def ip(self) -> Value:
        """A public address of either version; with four small numbers it could be a version of something."""
        if self.random.random() < 0.3:
            block = int(ipaddress.IPv6Address(self.random.choice(IPV6_BLOCKS).format(self.random.randrange(1, 0x1000))))
            host = self.random.choice([self.random.getrandbits(64), self.random.getrandbits(8) + 1])
            address = ipaddress.IPv6Address(block + (self.random.getrandbits(16) << 64) + host)
            return Value(self.random.choice([str(address), address.exploded, str(address).upper()]))
        text = self.en.ipv4_public()
        while ipaddress.ip_address(text).is_multicast or not ipaddress.ip_address(text).is_global:
            text = self.en.ipv4_public()
        return Value(text, stands_alone=max(map(int, text.split("."))) > 31)

    def pis(self) -> Value:
        """A worker's number of validate-docbr's."""
        masked = self.random.random() < 0.7
        return Value(self.docbr.PIS().generate(mask=masked), stands_alone=masked)

    def cns(self) -> Value:
        """A health card's number of validate-docbr's."""
        masked = self.random.random() < 0.7
        return Value(self.docbr.CNS().generate(mask=masked), stands_alone=masked)

    def voter(self) -> Value:
        """A voter's number of validate-docbr's; those of SP and MG for which it misses a rule of the TSE are drawn again."""
        import tarja

        while not tarja.validate("BR_TITULO_ELEITOR", number := self.docbr.TituloEleitoral().generate(mask=True)):
            pass
        return Value(self.random.choice([number, number.replace(" ", "")]), stands_alone=False)

    def ssn(self) -> Value:
        """A US social security number of faker's."""
        text = self.en.ssn()
        return self.random.choice([Value(text), Value(text), Value(text.replace("-", ""), stands_alone=False)])

    def _brazilian_phone(self) -> Value:
        mobile = re.sub(r"\D", "", self.pt.msisdn())[2:]  # area and nine digits
        area, local = mobile[:2], mobile[2:]
        if self.random.random() < 0.35:
            local = self.random.choice("2345") + local[2:]  # a landline
        head, tail = local[:-4], local[-4:]
        alone = [f"({area}) {head}-{tail}", f"({area}) {head}-{tail}", f"({area}) {head} {tail}", f"({area}){head}-{tail}",
                 f"+55 {area} {head}-{tail}", f"+55 ({area}) {head}-{tail}", f"+55{area}{local}", f"{area} {head}-{tail}"]  # fmt: skip
        asked = [f"{head}-{tail}", area + local, f"55{area}{local}", f"{area} {head}{tail}"]
        if self.random.random() < 0.65:
            return Value(self.random.choice(alone))
        return Value(self.random.choice(asked), stands_alone=False)

    def _us_phone(self) -> Value:
        text = self.en.basic_phone_number()
        while text.lstrip("(")[:2] in ("80", "83", "84", "85", "86", "87", "88"):  # toll-free or not in use
            text = self.en.basic_phone_number()
        if self.random.random() < 0.2:
            text = "+1 " + text
        return Value(text, stands_alone=not text.isdigit())

    def _foreign_phone(self) -> Value:
        import phonenumbers as pn

        region = self.random.choice(PHONE_REGIONS)
        example = pn.example_number_for_type(region, self.random.choice([pn.PhoneNumberType.MOBILE, pn.PhoneNumberType.FIXED_LINE]))  # fmt: skip
        assert example is not None, region
        digits = str(example.national_number)
        number = example
        for kept in (
            3,
            len(digits) - 4,
        ):  # few prefixes are in use in some countries: then only the last four are drawn
            for _ in range(50):
                drawn = digits[:kept] + "".join(self.random.choices("0123456789", k=len(digits) - kept))
                candidate = pn.PhoneNumber(country_code=example.country_code, national_number=int(drawn))
                if pn.is_valid_number(candidate) and pn.number_type(candidate) != pn.PhoneNumberType.TOLL_FREE:
                    number = candidate
        form = self.random.choice([pn.PhoneNumberFormat.INTERNATIONAL, pn.PhoneNumberFormat.E164])
        return Value(pn.format_number(number, form))

    # --- harmless ---------------------------------------------------------------------------------------------

    def harmless(self, name: str) -> str:
        """Return a value that is no personal data, drawn again while it passes as a document or card by chance."""
        make: Callable[[], str] = getattr(self, f"_no_{name}")
        for _ in range(1000):
            text = make()
            if name == "imei" or not self._is_document(text):
                return text
        raise AssertionError(f"{name} always passes as a document")

    def _is_document(self, text: str) -> bool:
        """Whether validate-docbr or python-stdnum take the digits of the text, or a run of them, for a person's."""
        from stdnum import luhn

        docbr = self.docbr
        for run in (re.sub(r"\D", "", text), *re.findall(r"\d+", text)):
            checks = {11: (docbr.CPF, docbr.PIS), 12: (docbr.TituloEleitoral,), 14: (docbr.CNPJ,), 15: (docbr.CNS,)}
            if any(check().validate(run) for check in checks.get(len(run), ())):
                return True
            if 13 <= len(run) <= 19 and luhn.is_valid(run):
                return True
        return False

    def _digits(self, count: int) -> str:
        return str(self.random.randint(1, 9)) + "".join(self.random.choices("0123456789", k=count - 1))

    def _uuid(self) -> str:
        import uuid

        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _hex(self, count: int) -> str:
        return f"{self.random.getrandbits(4 * count):0{count}x}"

    def _no_order(self) -> str:
        n = self._digits
        return self.random.choice([n(6), n(8), n(10), n(12), f"PED-2024-{n(6)}", f"{n(3)}-{n(7)}-{n(7)}", f"#{n(9)}"])

    def _no_protocol(self) -> str:
        n = self._digits
        return self.random.choice([n(20), f"2024{n(10)}", f"2023.{n(7)}-{n(2)}", f"INC{n(7)}", f"{n(8)}/2024"])

    def _no_isbn(self) -> str:
        return self.random.choice([self.en.isbn13(), self.en.isbn10(), self.en.isbn13("")])

    def _no_date(self) -> str:
        return self.random.choice(
            [self.en.date("%d/%m/%Y"), self.en.date(), self.en.date("%d.%m.%Y"), self.en.date("%d-%m-%Y")]
        )

    def _no_time(self) -> str:
        return self.random.choice(
            [self.en.time(), self.en.time("%H:%M"), self.en.time("%Hh%M"), self.en.time() + ".482913"]
        )

    def _no_timestamp(self) -> str:
        forms = ["%Y%m%d%H%M%S", "%Y-%m-%dT%H:%M:%S", "%Y%m%d-%H%M%S", "%Y-%m-%d %H:%M:%S"]
        stamp = self.en.date_time().strftime(self.random.choice(forms))
        return self.random.choice([stamp, stamp, self._digits(10), self._digits(13)])

    def _no_version(self) -> str:
        r = self.random.randint
        return self.random.choice([f"{r(0, 20)}.{r(0, 40)}.{r(0, 250)}.{r(0, 250)}", f"{r(1, 9)}.{r(0, 20)}.{r(0, 99)}-{r(1, 9)}",
                                   f"v{r(1, 20)}.{r(0, 255)}.{r(0, 255)}.{r(0, 255)}", f"{r(90, 130)}.0.{r(1000, 6999)}.{r(1, 200)}"])  # fmt: skip

    def _no_tracking(self) -> str:
        letters = "".join(self.random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=2))
        return self.random.choice([f"{letters}{self._digits(9)}BR", f"{letters} {self._digits(3)} {self._digits(3)} {self._digits(3)} BR",
                                   f"1Z{self._hex(16).upper()}"])  # fmt: skip

    def _no_part(self) -> str:
        n = self._digits
        return self.random.choice([f"{n(5)}-{n(4)}", f"{n(4)}-{n(4)}", f"{n(3)}-{n(3)}-{n(4)}", f"{n(2)}-{n(5)}-{n(2)}", f"LM-{n(3)}-{n(4)}",
                                   f"{n(5)}-{n(3)}"])  # fmt: skip

    def _no_digits11(self) -> str:
        return self._digits(11)

    def _no_digits14(self) -> str:
        return self._digits(14)

    def _no_digits16(self) -> str:
        return self.random.choice([self._digits(16), " ".join(self._digits(4) for _ in range(4))])

    def _no_ean(self) -> str:
        return self.random.choice([self.en.ean13(), self.en.ean8()])

    def _no_decimal(self) -> str:
        return f"{self.random.randint(0, 99)}{self.random.choice('.,')}{self._digits(self.random.randint(8, 16))}"

    def _no_coordinates(self) -> str:
        return f"{self.en.latitude()}, {self.en.longitude()}"

    def _no_price(self) -> str:
        whole = f"{self.random.randint(1, 99_999_999):,}"
        return self.random.choice(
            [f"R$ {whole.replace(',', '.')},00", f"US$ {whole}.50", f"R${whole.replace(',', '')},90"]
        )

    def _no_mac(self) -> str:
        return self.random.choice([self.en.mac_address(), self.en.mac_address().upper().replace(":", "-")])

    def _no_uuid(self) -> str:
        return self._uuid()

    def _no_url(self) -> str:
        return self.random.choice([self.en.uri(), f"https://example.org/status/{self._digits(19)}", f"https://loja.com.br/p/{self._digits(11)}",
                                   f"https://{self.en.user_name()}:{self.en.user_name()}@example.org/x"])  # fmt: skip

    def _no_mention(self) -> str:
        return "@" + self.random.choice([self.en.user_name(), self.pt.user_name() + ".oficial"])

    def _no_law(self) -> str:
        number = f"{self.random.randint(1, 14)}.{self.random.randint(100, 999)}/{self.random.randint(1950, 2025)}"
        return self.random.choice(
            [f"Lei nº {number}", f"Lei {number}", f"ISO/IEC 27001:2022 e {number}", f"RFC {self._digits(4)}"]
        )

    def _no_years(self) -> str:
        begin = self.random.randint(1900, 2015)
        return f"{begin}{self.random.choice(['-', '–', '/', ' - '])}{begin + self.random.randint(1, 10)}"

    def _no_hash(self) -> str:
        return self._hex(self.random.choice([7, 12, 32, 40, 64]))

    def _no_lawsuit(self) -> str:
        n = self._digits
        return f"{n(7)}-{n(2)}.20{n(2)}.8.{n(2)}.{n(4)}"

    def _no_count(self) -> str:
        whole = f"{self.random.randint(10_000, 99_999_999):,}"
        return self.random.choice([whole.replace(",", "."), whole, whole.replace(",", " ")])

    def _no_tollfree(self) -> str:
        n = self._digits
        return self.random.choice(
            [f"0800 {n(3)} {n(4)}", f"0800-{n(3)}-{n(4)}", f"0800 {n(6)}", "190", "188", f"1-800-{n(3)}-{n(4)}"]
        )

    def _no_private_ip(self) -> str:
        return self.random.choice(
            [
                self.en.ipv4_private(),
                "127.0.0.1",
                "fe80::1ff:fe23:4567:890a",
                "192.0.2.17",
                "::1",
                "2001:db8::8a2e:370:7334",
            ]
        )

    def _no_netmask(self) -> str:
        return self.random.choice(["255.255.255.0", "255.255.255.240", "255.255.0.0", "0.0.0.0"])

    def _no_network(self) -> str:
        network = ipaddress.ip_network(f"{self.en.ipv4_public()}/{self.random.choice([16, 20, 22, 24])}", strict=False)
        return str(network)

    def _no_section(self) -> str:
        return ".".join(str(self.random.randint(1, 30)) for _ in range(self.random.choice([3, 4, 5])))

    def _no_invoice_key(self) -> str:
        key = self._digits(44)
        return self.random.choice([key, " ".join(key[i : i + 4] for i in range(0, 44, 4))])

    def _no_boleto(self) -> str:
        n = self._digits
        return self.random.choice([f"{n(5)}.{n(5)} {n(5)}.{n(6)} {n(5)}.{n(6)} {n(1)} {n(14)}", n(47)])

    def _no_imei(self) -> str:
        from stdnum import luhn

        body = "35" + self._digits(12)
        return body + luhn.calc_check_digit(body)

    def _no_bad_cpf(self) -> str:
        n = self._digits
        return f"{n(3)}.{n(3)}.{n(3)}-{n(2)}"

    def _no_bad_cnpj(self) -> str:
        n = self._digits
        return f"{n(2)}.{n(3)}.{n(3)}/0001-{n(2)}"

    def _no_bad_card(self) -> str:
        return " ".join(["4" + self._digits(3), self._digits(4), self._digits(4), self._digits(4)])

    def _no_zip4(self) -> str:
        return f"{self._digits(5)}-{self._digits(4)}"

    def _no_account(self) -> str:
        n = self._digits
        return self.random.choice([f"{n(4)}-{n(1)} / {n(5)}-{n(1)}", f"ag. {n(4)}, c/c {n(6)}-{n(1)}"])

    def _no_plate(self) -> str:
        letters = "".join(self.random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=3))
        return self.random.choice([f"{letters}-{self._digits(4)}", f"{letters}{self._digits(1)}A{self._digits(2)}"])

    def _no_code(self) -> str:
        return self.random.choice(["git@github.com:foo/bar.git", "icon@2x.png", "react@18.2.0", "q@k.transpose(1, 2)", "std::vector<int>",
                                   "10.1000/182", "#a1b2c3", "@app.route('/x')", "x[0:10:2]", "6.02214076e+23", "user@localhost"])  # fmt: skip

    def _no_number(self) -> str:
        return self.random.choice(
            [self._no_decimal, self._no_count, self._no_digits11, self._no_digits14, lambda: self._digits(9)]
        )()


def read_templates(which: str, lang: str) -> list[tuple[str, str]]:
    """Return (maker, sentence) of one set in one language."""
    lines = SETS[which][lang].strip().splitlines()
    return [(maker, sentence) for maker, _, sentence in (line.partition(": ") for line in lines)]


def make_sentences(count: int, which: str, seed: int = 0) -> list[Labelled]:
    """Return that many labelled sentences, half of them with personal data, every kind and language alike often."""
    makers = Makers(seed)
    draw = makers.random
    templates = {lang: read_templates(which, lang) for lang in ("pt", "en")}
    made = []
    for i in range(count):
        lang = "pt" if i // 2 % 2 else "en"
        if i % 2:
            sentence = _draw_harmless(makers, templates[lang], lang)
        else:
            sentence = _draw_personal(makers, templates[lang], lang, KINDS[i // 4 % len(KINDS)])
        if draw.random() < JOINED_SHARE:
            sentence = _join(
                sentence, _draw_harmless(makers, templates[lang], lang), harmless_first=draw.random() < 0.5
            )
        made.append(sentence)
    return made


def _draw_personal(makers: Makers, templates: list[tuple[str, str]], lang: str, kind: str) -> Labelled:
    value: Value = getattr(makers, kind)()
    own = [sentence for maker, sentence in templates if maker == kind]
    anywhere = [sentence for maker, sentence in templates if maker == "any"]
    alone = value.stands_alone and makers.random.random() < 0.4
    before, _, after = makers.random.choice(anywhere if alone else own).partition("{v}")
    return Labelled(before + value.text + after, lang, ((kind, len(before), len(before) + len(value.text)),))


def _draw_harmless(makers: Makers, templates: list[tuple[str, str]], lang: str) -> Labelled:
    maker, sentence = makers.random.choice([t for t in templates if t[0] not in (*KINDS, "any")])
    return Labelled(sentence if maker == "plain" else sentence.replace("{v}", makers.harmless(maker)), lang, ())


def _join(one: Labelled, other: Labelled, *, harmless_first: bool) -> Labelled:
    first, second = (other, one) if harmless_first else (one, other)
    shift = len(first.text) + 1
    moved = tuple((kind, start + shift, end + shift) for kind, start, end in second.labels)
    return Labelled(f"{first.text} {second.text}", one.lang, first.labels + moved)
