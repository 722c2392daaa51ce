"""An Ollama Modelfile: the GGUF beside it, and the chat template in Go's language where that says the same.

Ollama does not run Jinja. ChatML, the most usual form of a chat, is written here in Go's templates; that a model's own
template is ChatML is found out by rendering chats with both, not by its text. Of any other Ollama is told nothing: it
knows some by their text in the GGUF, and else takes what it is given as it is.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from dozero.errors import DataError
from dozero.settings import GenerateConfig
from dozero.tokenizer.chat import Messages, render_chat
from dozero.tokenizer.tokenizer import Tokenizer

PLAIN = "{{ .Prompt }}"
CHATML = """\
{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
_ROLES = ("user", "assistant")
_CONTENTS = ("Olá! ", "a\nb", "{{ 7 * 7 }}", "  <b>")


def write_modelfile(gguf_name: str, tokenizer: Tokenizer, config: GenerateConfig, context: int) -> str:
    """Return the Modelfile of a GGUF beside it: where it lies, its template, how to sample and where to stop."""
    lines = [f"FROM ./{gguf_name}"]
    template, system, stops = describe_chat(tokenizer)
    if template:
        lines.append(f'TEMPLATE """{template}"""')
    if system:
        lines.append(f'SYSTEM """{system}"""')
    settings = {"num_ctx": context, "num_predict": config.max_tokens, "temperature": config.temperature,
                "top_k": config.top_k, "top_p": config.top_p, "min_p": config.min_p, "repeat_penalty": 1.0}  # fmt: skip
    lines += [f"PARAMETER {name} {value}" for name, value in settings.items()]
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    return "\n".join(lines) + "\n"


def describe_chat(tokenizer: Tokenizer) -> tuple[str, str, Sequence[str]]:
    """Return the template in Go, what the system says unasked, and the strings at which an answer ends.

    No template at all means: not one that can be said in Go here.
    """
    if not tokenizer.chat_template:
        return PLAIN, "", ()
    system = _unasked_system(tokenizer)
    is_sayable = '"""' not in system
    if is_sayable and all(_render_or_refuse(tokenizer, chat) == chatml(chat, system) for chat in _chats()):
        return CHATML, system, ("<|im_end|>",)
    return "", "", (tokenizer.special_names.get(tokenizer.end_id, ""),)


def chatml(messages: Messages, unasked_system: str = "") -> str:
    r"""Return a chat in ChatML up to where the answer begins.

    >>> chatml([{"role": "user", "content": "Oi"}])
    '<|im_start|>user\nOi<|im_end|>\n<|im_start|>assistant\n'
    """
    if unasked_system and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": unasked_system}, *messages]
    turns = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return f"{turns}<|im_start|>assistant\n"


def _unasked_system(tokenizer: Tokenizer) -> str:
    """Return what the template makes the system say when the chat has no such message."""
    text = _render_or_refuse(tokenizer, [{"role": "user", "content": "Oi"}])
    found = re.match(r"<\|im_start\|>system\n(.*?)<\|im_end\|>\n", text, re.DOTALL)
    return found[1] if found else ""


def _render_or_refuse(tokenizer: Tokenizer, chat: Messages) -> str:
    try:
        return render_chat(tokenizer, chat)
    except DataError as error:
        return f"refused: {error}"


def _chats() -> list[Messages]:
    """Return chats in which a template that is not ChatML shows it: one to three turns, with a system and without."""
    chats: list[Messages] = []
    for turns, has_system in itertools.product((1, 3), (False, True)):
        said = [{"role": role, "content": text} for role, text in zip(itertools.cycle(_ROLES), _CONTENTS, strict=False)]
        system = [{"role": "system", "content": "Be brief."}] if has_system else []
        chats.append([*system, *said[:turns]])
    return chats
