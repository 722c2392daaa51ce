"""Personal data are found where they are and nowhere else, masked once and for all, in time that grows with the text."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.corpus.personal import KINDS, MASKS, check_kinds, count_kinds, find_personal_data, mask_personal_data
from dozero.errors import ConfigError

FOUND = {
    "cpf": ["Meu CPF é 529.982.247-25.", "CPF: 52998224725", "cpf nº52998224725"],
    "cnpj": ["A empresa 11.222.333/0001-81 fechou.", "CNPJ 11222333000181", "CNPJ 12.ABC.345/01DE-35"],
    "rg": ["RG 24.678.131-2 SSP/SP", "RG: MG-12.345.678"],
    "cep": ["Rua A, 10, 01310-100 São Paulo", "CEP 01310100"],
    "phone": [
        "Ligue (11) 98765-4321.",
        "tel. +55 21 2345-6789",
        "Call me at +44 20 7946 0958",
        "phone: (415) 555-2671",
    ],
    "email": ["Escreva para ana.souza@exemplo.com.br!", "Mail bob+x@example.co.uk"],
    "card": ["cartão 4111 1111 1111 1111", "card 378282246310005"],
    "pix": ["chave pix 123e4567-e89b-12d3-a456-426614174000"],
    "ip": ["acesso do IP 200.147.3.157", "from 2804:14c:65:8f2::1"],
    "pis": ["PIS 120.12345.67-2"],
    "cns": ["CNS 700 0000 0000 0005"],
    "voter": ["título de eleitor 1234 5678 0191"],
    "ssn": ["SSN 123-45-6789"],
}
CLEAN = [
    "Pedido 12345678901 saiu em 12/03/2024 às 14:30.", "ISBN 978-85-359-0277-5", "Lei nº 13.709/2018, art. 5", "versão 1.2.3.4",
    "R$ 1.234.567,89", "Em 2019-2020 foram 98765 casos.", "rastreio AA123456789BR", "a rota 192.168.0.1 e 127.0.0.1",
    "id 123e4567-e89b-12d3-a456-426614174000", "siga @fulano", "coordenadas -23.55052, -46.633308", "CPF 529.982.247-24 (errado)",
    "git clone user@host:repo.git", "logo@2x.png", "0800 722 0101", "página 123-456",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in FOUND.items() for text in texts])
def test_each_kind_is_found_in_its_usual_forms(kind, text):
    assert [finding.kind for finding in find_personal_data(text)] == [kind]


@pytest.mark.parametrize("text", CLEAN)
def test_what_only_looks_like_it_is_left_alone(text):
    assert find_personal_data(text) == []


@given(
    st.lists(
        st.sampled_from([t for texts in FOUND.values() for t in texts] + CLEAN + ["\n", "e", "-", ".", "[CPF]"]),
        max_size=6,
    ).map(" ".join)
)
def test_masking_twice_is_masking_once(text):
    findings = find_personal_data(text)
    assert all(a.end <= b.start for a, b in itertools.pairwise(findings))
    masked = mask_personal_data(text, findings)
    assert find_personal_data(masked) == []
    assert masked.count("[") == text.count("[") + len(findings)


@given(st.text())
def test_any_text_is_looked_through(text):
    masked = mask_personal_data(text, find_personal_data(text))
    assert mask_personal_data(masked, find_personal_data(masked)) == masked


def test_only_the_kinds_asked_for_are_looked_for():
    text = "CPF 529.982.247-25, ana@example.com"
    assert [f.kind for f in find_personal_data(text, {"email"})] == ["email"]
    assert mask_personal_data(text, find_personal_data(text)) == "CPF [CPF], [EMAIL]"
    assert count_kinds(find_personal_data(text * 2)) == "cpf 2, email 2"
    with pytest.raises(ConfigError, match="did you mean email"):
        check_kinds(["emial"])
    assert set(MASKS) == set(KINDS)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "piece", ["1", "1 ", "12.", "@", "a@", "a.", "1-2", "(11) ", "0:", "abc-", "12345678901 ", "1.2.3.4 ", "x@y."]
)
def test_hostile_text_takes_time_that_grows_with_it(piece):
    def seconds(length):
        text = (piece * length)[:length]
        began = time.process_time()
        find_personal_data(text)
        return time.process_time() - began

    seconds(1000)
    small, large = max(seconds(20_000), 0.01), seconds(100_000)
    assert large < 25 * small + 0.2  # five times the text; the square would be 25 times


def test_an_independent_judge_agrees_on_documents():
    tarja = pytest.importorskip("tarja")
    docbr = pytest.importorskip("validate_docbr")
    cpf, cnpj = docbr.CPF(), docbr.CNPJ()
    for n in range(60):
        text = f"O titular {cpf.generate(mask=n % 2 == 0)} abriu a firma {cnpj.generate(mask=True)}."
        ours = {(f.start, f.end) for f in find_personal_data(text, {"cpf", "cnpj"})}
        assert len(ours) == 2, text
        theirs = tarja.mascarar(text) if hasattr(tarja, "mascarar") else None
        if theirs is not None:
            assert all(text[a:b] not in str(theirs) for a, b in ours)
