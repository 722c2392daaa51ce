"""What `dozero export` and `dozero import` say, in Portuguese and in English side by side."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from dozero.cli.language import narration

# Under each key: Portuguese, then English.
INTEROP_MESSAGES: dict[str, tuple[str, str]] = {
    "exported": (
        "feito: [bold]{file}[/] ({to}, {type}, {mb:.1f} MB)",
        "made: [bold]{file}[/] ({to}, {type}, {mb:.1f} MB)",
    ),
    "parity": (
        "conferido em {engine}: maior diferença de logits {difference:.2e}{bar}",
        "checked in {engine}: largest logit difference {difference:.2e}{bar}",
    ),
    "parity_bar": (" (pode ser até {bar:g})", " (may be up to {bar:g})"),
    "parity_format": (" (a do formato {type})", " (that of the format {type})"),
    "parity_text": (
        "texto guloso igual em {same_text} de {prompts} começos; tokens iguais até a primeira diferença: {same_tokens} de {tokens}",
        "same greedy text after {same_text} of {prompts} beginnings; tokens equal up to the first difference: {same_tokens} of {tokens}",
    ),
    "parity_ids": (
        "os mesmos tokens em {same_ids} de {prompts} começos",
        "the same tokens in {same_ids} of {prompts} beginnings",
    ),
    "parity_no_chat": ("o modelo não tem modelo de conversa", "the model has no chat template"),
    "parity_chat_same": ("a mesma conversa, igual em {engine}:", "the same chat, equal in {engine}:"),
    "parity_chat_ours": ("a conversa, aqui:", "the chat, here:"),
    "parity_chat_theirs": ("a conversa, em {engine}:", "the chat, in {engine}:"),
    "run_gguf": ("rode com: llama-cli -m {file}", "run it with: llama-cli -m {file}"),
    "run_ollama": (
        "rode com: ollama create {name} -f {file} && ollama run {name}",
        "run it with: ollama create {name} -f {file} && ollama run {name}",
    ),
    "imported": (
        "feito: [bold]{out}[/] · {architecture}, {parameters} parâmetros, {vocab_size} tokens · licença: {licence}",
        "made: [bold]{out}[/] · {architecture}, {parameters} parameters, {vocab_size} tokens · licence: {licence}",
    ),
    "imported_added": (
        "tokens novos: {added}; cada um começa como a média dos outros",
        "new tokens: {added}; each begins as the mean of the others",
    ),
    "imported_stored": ("os pesos estavam em {stored}", "the weights were in {stored}"),
    "imported_next": ("experimente:", "try it:"),
}


def say_move(lang: str, key: str, **values: Any) -> str:
    """Return a message in the narrated language nearest to `lang`, filled in; brackets in what is filled in stay."""
    filled = {name: escape(value) if isinstance(value, str) else value for name, value in values.items()}
    return INTEROP_MESSAGES[key][0 if narration(lang) == "pt" else 1].format(**filled)
