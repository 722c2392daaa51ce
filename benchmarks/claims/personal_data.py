"""Claim: personal data is found in 10,000 labelled sentences with the recall and precision asked, in both languages.

A label is found if a finding of its kind stands exactly where it stands; every other finding is a false one. tarja, where it
knows the kind, runs on the same sentences (any overlap with a label counts for it).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from claims.claim import Claim
from claims.personal_sentences import KINDS, Labelled, make_sentences

WITH_CHECK_DIGITS = ("cpf", "cnpj", "card", "pis", "cns", "voter")
TARJA_KINDS = {
    "cpf": "BR_CPF",
    "cnpj": "BR_CNPJ",
    "card": "BR_CARTAO",
    "pis": "BR_NIS",
    "cns": "BR_CNS",
    "voter": "BR_TITULO_ELEITOR",
    "phone": "BR_TELEFONE",
    "cep": "BR_CEP",
    "pix": "BR_PIX_EVP",
}
PROSE = "A feira abriu cedo, e o cheiro de pão quente subiu pela ladeira até a casa da minha avó. Nobody minded. "


def personal_data(quick: bool) -> Iterator[Claim]:
    """Recall and precision of each kind on the held-out templates, and the speed on prose."""
    sentences = make_sentences(1_000 if quick else 10_000, "heldout", seed=2026)
    ours, theirs = score_ours(sentences), score_tarja(sentences)
    for kind in KINDS:
        recall_bar, precision_bar = (0.98, 0.98) if kind in WITH_CHECK_DIGITS else (0.95, 0.90)
        for name, bar, value, peer in (
            ("recall", recall_bar, ours[kind][0], theirs.get(kind, (None, None))[0]),
            ("precision", precision_bar, ours[kind][1], theirs.get(kind, (None, None))[1]),
        ):
            against = bar if peer is None else peer
            beside = "" if peer is None else ", beside tarja"
            yield Claim(f"personal data: {name} of {kind}{beside}", value, against, value / max(against, 1e-9), f">= {bar}", value >= bar)  # fmt: skip
    speed = measure_speed(PROSE * (20_000 if quick else 100_000))
    yield Claim("personal data: MB a CPU second on prose without digits", speed, 20, speed / 20, ">= 20", speed >= 20)


def score_ours(sentences: list[Labelled]) -> dict[str, tuple[float, float]]:
    """Return recall and precision of each kind, counting exact places."""
    from dozero.corpus.personal import find_personal_data

    return _score(
        (set(sentence.labels), {tuple(f) for f in find_personal_data(sentence.text)}) for sentence in sentences
    )


def score_tarja(sentences: list[Labelled]) -> dict[str, tuple[float, float]]:
    """Return recall and precision of the kinds that tarja knows; a match that overlaps a label of its kind is that label."""
    import tarja

    names = {entity: kind for kind, entity in TARJA_KINDS.items()}

    def pair(sentence: Labelled) -> tuple[set, set]:
        labels = {label for label in sentence.labels if label[0] in TARJA_KINDS}
        found = set()
        for match in tarja.find(sentence.text):
            if match.entity in names:
                finding = (names[match.entity], match.start, match.end)
                overlapped = [x for x in labels if x[0] == finding[0] and x[1] < match.end and match.start < x[2]]
                found.add(overlapped[0] if overlapped else finding)
        return labels, found

    scores = _score(pair(sentence) for sentence in sentences)
    return {kind: scores[kind] for kind in TARJA_KINDS}


def measure_speed(text: str) -> float:
    """Return the megabytes that the finder reads in a second of CPU time, the best of three."""
    from dozero.corpus.personal import find_personal_data

    seconds = []
    for _ in range(3):
        began = time.process_time()
        find_personal_data(text)
        seconds.append(time.process_time() - began)
    return len(text.encode()) / 1e6 / max(min(seconds), 1e-9)


def _score(pairs: Iterator[tuple[set, set]]) -> dict[str, tuple[float, float]]:
    labelled, found, both = Counter[str](), Counter[str](), Counter[str]()
    for labels, findings in pairs:
        labelled.update(kind for kind, *_ in labels)
        found.update(kind for kind, *_ in findings)
        both.update(kind for kind, *_ in labels & findings)
    return {
        kind: (both[kind] / max(labelled[kind], 1), both[kind] / found[kind] if found[kind] else 1.0) for kind in KINDS
    }
