"""What each reason for dropping a document means, in Portuguese and in English: for reports, cards and pictures."""

from __future__ import annotations

from dozero.corpus.decontaminate import CONTAMINATED
from dozero.corpus.rules import REASONS

# Under each reason: Portuguese, then English. Those of the filters stand beside them, in rules.py.
OTHER_REASONS: dict[str, tuple[str, str]] = {
    "empty": ("nada sobra depois da limpeza", "nothing is left after cleaning"),
    CONTAMINATED: ("contém texto de avaliação", "it holds evaluation text"),
    "personal data": ("contém dados pessoais", "it holds personal data"),
    "exact duplicate": ("cópia exata de outro", "exact copy of another"),
    "near duplicate": ("quase uma cópia de outro", "almost a copy of another"),
    "forgotten": ("esquecido a pedido", "forgotten on request"),
}


def reason_in(lang: str, reason: str) -> str:
    """Return what a reason means, in Portuguese ("pt") or English, after the family of rules that gave it.

    >>> reason_in("pt", "gopher: too few words"), reason_in("en", "language")
    ('gopher: poucas palavras', 'most of it is in another language')
    """
    meanings = REASONS.get(reason) or OTHER_REASONS.get(reason)
    if meanings is None:
        return reason
    family, colon, _ = reason.partition(": ")
    return f"{family}{colon}{meanings[0 if lang == 'pt' else 1]}" if colon else meanings[0 if lang == "pt" else 1]
