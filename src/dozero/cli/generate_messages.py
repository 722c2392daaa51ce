"""What `dozero generate` says, in Portuguese and in English side by side."""

from __future__ import annotations

from dozero.cli.corpus_messages import decimal
from dozero.cli.language import narration

# Under each key: Portuguese, then English.
GENERATE_MESSAGES: dict[str, tuple[str, str]] = {
    "slower": (
        "sem um compilador C (gcc ou clang) que funcione nesta máquina: o modelo escreve pelo caminho mais lento",
        "no C compiler (gcc or clang) that works on this machine: the model writes the slower way",
    ),
    "int8_costs": (
        "int8: {ours} bits por byte em texto que o modelo não viu; em float32 {exact} ({loss:+.2%})",
        "int8: {ours} bits per byte of text that the model has not seen; in float32 {exact} ({loss:+.2%})",
    ),
    "int8_unmeasured": (
        "int8: o que se perde não foi medido, pois ao lado do modelo não há texto reservado (work/dataset)",
        "int8: what is lost was not measured, since there is no held-out text beside the model (work/dataset)",
    ),
    "cuts": ("cortadas: {cuts}", "cut: {cuts}"),
    "closed": ("fechada pela forma", "closed by the form"),
    "compare_head": (
        "{count} textos de cada regra, sementes {first} a {last}",
        "{count} texts by each rule, seeds {first} to {last}",
    ),
    "rule": ("regra", "rule"),
    "repeated": ("4-gramas repetidos", "repeated 4-grams"),
    "distinct": ("n-gramas distintos 1 / 2 / 3", "distinct n-grams 1 / 2 / 3"),
    "length": ("tokens por texto", "tokens a text"),
    "example": ("o primeiro texto", "the first text"),
    "score": ("[dim]{score}[/]  {text}", "[dim]{score}[/]  {text}"),
}


def tell(lang: str, key: str, **values: object) -> str:
    """Return a message as rich markup in the narrated language nearest to `lang`; decimals are written as it does."""
    shown = {k: decimal(lang, v, 4) if isinstance(v, float) and k != "loss" else v for k, v in values.items()}
    return GENERATE_MESSAGES[key][0 if narration(lang) == "pt" else 1].format(**shown)
