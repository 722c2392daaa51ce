"""A Modelfile says what Ollama needs, and its template is given only where it says what the model's own does."""

import re
from dataclasses import replace

import pytest

from dozero.interop.ollama import CHATML, PLAIN, chatml, describe_chat, write_modelfile
from dozero.settings import GenerateConfig
from dozero.tokenizer.chat import render_chat

CHAT = [
    {"role": "user", "content": "Oi"},
    {"role": "assistant", "content": "Olá"},
    {"role": "user", "content": "{{ 1 }}"},
]


def go(template, messages):
    """What Go's text/template makes of the forms that our template is written in."""
    loop = re.fullmatch(r"\{\{- range \.Messages \}\}(.*?)\{\{ end \}\}(.*)", template, re.DOTALL)
    turns = (loop[1].replace("{{ .Role }}", m["role"]).replace("{{ .Content }}", m["content"]) for m in messages)
    return "".join(turns) + loop[2]


@pytest.fixture
def with_template(ours):
    return lambda template: replace(ours().tokenizer, chat_template=template)


def test_chatml_is_found_by_what_it_renders_and_said_in_go(with_template, others):
    tokenizer = with_template(others.chatml)
    template, system, stops = describe_chat(tokenizer)
    assert (template, system, stops) == (CHATML, "Be kind.", ("<|im_end|>",))
    for chat in (CHAT, CHAT[:1]):
        whole = [{"role": "system", "content": system}, *chat]  # Ollama puts SYSTEM before a chat that has none
        assert go(template, whole) == render_chat(tokenizer, chat) == chatml(chat, system)


def test_a_template_without_a_system_of_its_own_has_none(with_template):
    template = "{% for m in messages %}{{'<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n'}}{% endfor %}{{ '<|im_start|>assistant\n' }}"
    assert describe_chat(with_template(template)) == (CHATML, "", ("<|im_end|>",))


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{'<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n'}}{% endfor %}{{ '<|im_start|>assistant\n' }}",
        "{% for m in messages %}{% if m.role != 'system' %}{{'<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n'}}{% endif %}{% endfor %}{{ '<|im_start|>assistant\n' }}",
        "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}",
        "{{ raise_exception('no') }}",
        "{% broken",
    ],
)
def test_what_is_not_chatml_is_not_said_to_be(with_template, template):
    assert describe_chat(with_template(template)) == ("", "", ("<|endoftext|>",))


def test_the_modelfile_names_the_file_the_template_and_how_to_sample(with_template, others):
    config = GenerateConfig(temperature=0.7, top_k=40, top_p=0.9, min_p=0.05, max_tokens=99)
    text = write_modelfile("m-f16.gguf", with_template(others.chatml), config, 512)
    assert text.startswith("FROM ./m-f16.gguf\n")
    assert f'TEMPLATE """{CHATML}"""\nSYSTEM """Be kind."""\n' in text
    parameters = dict(re.findall(r"^PARAMETER (\w+) (.+)$", text, re.MULTILINE))
    assert parameters == {
        "num_ctx": "512", "num_predict": "99", "temperature": "0.7", "top_k": "40", "top_p": "0.9", "min_p": "0.05",
        "repeat_penalty": "1.0", "stop": '"<|im_end|>"',
    }  # fmt: skip


def test_a_model_without_chat_gets_its_prompt_as_it_is(with_template):
    text = write_modelfile("m.gguf", with_template(""), GenerateConfig(), 64)
    assert f'TEMPLATE """{PLAIN}"""' in text
    assert "stop" not in text
    assert "SYSTEM" not in text
