"""What measures are called, in Portuguese and in English side by side."""

from __future__ import annotations

# Under each name: Portuguese, then English.
NAMES: dict[str, tuple[str, str]] = {
    "bits_per_byte": ("bits por byte (menos é melhor)", "bits per byte (less is better)"),
    "bits_per_byte_with_ends": (
        "bits por byte, contando o fim dos documentos",
        "bits per byte, ends of documents counted",
    ),
    "perplexity": ("perplexidade por token", "perplexity per token"),
    "next_token_accuracy": ("acerto do próximo token", "next token right"),
    "calibration_error": ("erro de calibração", "calibration error"),
    "accuracy": ("acerto", "accuracy"),
    "accuracy_per_character": ("acerto, por caractere da resposta", "accuracy, per character of the answer"),
    "macro_f1": ("F1 médio das classes", "mean F1 of the classes"),
    "exact_match": ("resposta exata", "exact match"),
    "chrf": ("chrF", "chrF"),
    "bleu": ("BLEU", "BLEU"),
    "copied": ("caracteres em trechos copiados", "characters in copied passages"),
    "whole_copies": ("amostras que são um documento inteiro", "samples that are a whole document"),
    "longest_copy": ("maior trecho copiado, em caracteres", "longest passage copied, in characters"),
    "repetition_4": ("repetição dentro do texto (4 palavras)", "repetition within a text (4 words)"),
    "distinct_1": ("palavras diferentes (distinct-1)", "different words (distinct-1)"),
    "distinct_2": ("pares diferentes (distinct-2)", "different pairs (distinct-2)"),
    "distinct_3": ("trios diferentes (distinct-3)", "different triples (distinct-3)"),
    "gender_article": ("gênero do artigo", "gender of the article"),
    "gender_adjective": ("gênero do adjetivo", "gender of the adjective"),
    "gender_predicate": ("gênero do predicativo", "gender of the predicate"),
    "number_noun": ("número do substantivo", "number of the noun"),
    "number_adjective": ("número do adjetivo", "number of the adjective"),
    "number_verb": ("número do verbo", "number of the verb"),
    "number_demonstrative": ("número do demonstrativo", "number of the demonstrative"),
    "accent_noun": ("acento em substantivos", "accents of nouns"),
    "accent_verb": ("acento em é e está", "accents of verbs"),
    "crase": ("crase", "crase (a + a)"),
    "contraction": ("contrações", "contractions"),
    "possessive": ("possessivos", "possessives"),
    "pronoun_case": ("pronome oblíquo ou reto", "case of the pronoun"),
    "reflexive": ("reflexivos", "reflexives"),
    "agreement_verb": ("concordância do verbo", "agreement of the verb"),
    "agreement_be": ("concordância de to be", "agreement of to be"),
    "article": ("a ou an", "a or an"),
    "irregular_past": ("passado irregular", "irregular past"),
    "irregular_plural": ("plural irregular", "irregular plural"),
    "pronoun": ("pronomes", "pronouns"),
    "verb_form": ("forma do verbo", "form of the verb"),
}  # fmt: skip
SHARES = {
    *("next_token_accuracy", "calibration_error", "accuracy", "accuracy_per_character", "macro_f1", "exact_match"),
    *("copied", "whole_copies", "repetition_4", "distinct_1", "distinct_2", "distinct_3"),
}
"""Measures that are shares, and shown in per cent; every phenomenon of minimal pairs is one, too."""
DECIMALS = {"longest_copy": 0, "chrf": 2, "bleu": 2, "perplexity": 2}
"""Decimals of the others, where they are not four."""


def name_measure(lang: str, name: str) -> str:
    """Return the name of a measure in "pt" or else English; one that is not in the table is its own name.

    >>> name_measure("pt", "accuracy"), name_measure("en", "bleu")
    ('acerto', 'BLEU')
    """
    names = NAMES.get(name)
    return name if names is None else names[0 if lang == "pt" else 1]


def format_of(name: str, kind: str) -> str:
    """Return the format of a measure of a kind of task.

    >>> format_of("bits_per_byte", "text"), format_of("crase", "pairs")
    (',.4f', '.1%')
    """
    return ".1%" if name in SHARES or kind == "pairs" else f",.{DECIMALS.get(name, 4)}f"
