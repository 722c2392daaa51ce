"""A chat's messages as the one text that a model reads, by the template that comes with its tokenizer.

A template is a small program of others: it is run by jinja's sandbox, in which it can neither change what it is given
nor reach past it, with the words that transformers gives it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dozero.errors import DataError
from dozero.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

Messages = Sequence[Mapping[str, str]]


def render_chat(tokenizer: Tokenizer, messages: Messages, *, answer_next: bool = True) -> str:
    """Return the text of a chat, with `answer_next` up to where the answer begins; DataError where there is no way to."""
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise DataError("this model has no chat template", expected="a model that was tuned for chat")
    given = {"messages": [dict(message) for message in messages], "add_generation_prompt": answer_next}
    try:
        template = _environment().from_string(tokenizer.chat_template)
        return template.render(given | _names_of(tokenizer) | {"tools": None, "documents": None})
    except (
        TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        raise DataError(f"the chat template refuses these messages ({error})") from None


def _environment() -> ImmutableSandboxedEnvironment:
    """Return jinja as transformers sets it up for templates."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError
    from jinja2.utils import Namespace

    class Generation(Extension):
        """`{% generation %}`, which marks for training what the model said: here its content alone."""

        tags = {"generation"}  # noqa: RUF012 - jinja's own name

        def parse(self, parser: Any) -> list[nodes.Node]:
            """Return what stands inside."""
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    class Plain(Namespace):
        """A namespace into which no name of Python's own workings can be put."""

        def __setitem__(self, name: str, value: Any) -> None:
            check_name(name)
            super().__setitem__(name, value)

    def check_name(name: str) -> None:
        if name.startswith("_"):
            raise SecurityError(f"a template may not set {name!r}")

    def make_namespace(*entries: Any, **names: Any) -> Plain:
        held = dict(*entries, **names)
        for name in held:
            check_name(name)
        return Plain(held)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    now: Any = lambda form: datetime.now().strftime(form)  # noqa: DTZ005, E731 - the user's own clock, as there
    environment.globals = {
        "range": environment.globals["range"], "dict": lambda **items: items, "namespace": make_namespace,
        "raise_exception": refuse, "strftime_now": now,
    }  # fmt: skip
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _names_of(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the names of the tokens that begin and end texts, as templates know them."""
    its, end = tokenizer.imported, tokenizer.end_id
    begin, pad = (end, end) if its is None else (its.begin_id, its.pad_id)
    ids = {"bos_token": begin, "eos_token": end, "pad_token": pad}
    names = tokenizer.special_names
    return {role: names.get(i) or tokenizer.tokens[i].decode() for role, i in ids.items() if i is not None}
