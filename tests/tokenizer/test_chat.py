"""Chats are rendered as transformers renders them, and a template gets no further than its text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from dozero.errors import DataError
from dozero.tokenizer.chat import render_chat
from dozero.tokenizer.files import write_tokenizer_files
from dozero.tokenizer.tokenizer import Tokenizer, train_bpe_tokenizer

TEMPLATES = {
    "chatml": "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "blocks": "{%- if tools is not none %}\n  tools\n{%- endif %}\n{{ bos_token }}\n{% for m in messages %}\n"
    "    {% if m.role == 'system' %}\n    [{{ m.content | trim }}]\n    {% continue %}\n    {% endif %}\n"
    "{{ m.content | tojson }}{{ eos_token }}\n{% endfor %}",
    "namespace": "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}:"
    "{% generation %}{{ m['content'] }}{% endgeneration %}{% endfor %}{{ dict(a=1) | tojson(indent=2) }}",
    "no template knows": "{{ nothing_such }}{% if documents %}d{% endif %}{{ pad_token }}",
}
chats = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text(max_size=20)}),
    min_size=1, max_size=4,
)  # fmt: skip


def with_template(template):
    made = train_bpe_tokenizer(["casa"], 300)
    return Tokenizer(made.tokens, made.specials, made.merges, chat_template=template)


@pytest.fixture(scope="module", params=TEMPLATES)
def both(request, tmp_path_factory):
    ours, folder = with_template(TEMPLATES[request.param]), tmp_path_factory.mktemp("chat")
    write_tokenizer_files(ours, folder)
    return ours, AutoTokenizer.from_pretrained(folder)


@given(chats, st.booleans())
@settings(max_examples=50, deadline=None)
def test_any_chat_is_rendered_as_transformers_renders_it(both, chat, answer_next):
    ours, theirs = both
    expected = theirs.apply_chat_template(chat, tokenize=False, add_generation_prompt=answer_next)
    assert render_chat(ours, chat, answer_next=answer_next) == expected


CHAT = [{"role": "user", "content": "oi"}]


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ ''.__class__.__mro__ }}", "refuses these messages .*unsafe"),
        ("{{ messages.append(1) }}", "refuses these messages .*unsafe"),
        ("{% set ns = namespace(__class__=1) %}", "may not set '__class__'"),
        ("{% set ns = namespace(a=1) %}{% set ns.__dict__ = 1 %}", "may not set '__dict__'"),
        ("{{ cycler.__init__.__globals__ }}", "refuses these messages"),
        ("{{ range(10**9) | list }}", "refuses these messages .*Range too big"),
        ("{% include '/etc/passwd' %}", "refuses these messages"),
        ("{{ raise_exception('only users speak') }}", r"refuses these messages \(only users speak\)"),
        ("{% for %}", "refuses these messages"),
        ("{{ 1 / 0 }}", "refuses these messages .*division by zero"),
        ("{{ messages[7]['content'] }}", "refuses these messages"),
    ],
)
def test_a_template_that_reaches_too_far_or_fails_is_told_in_one_line(template, told):
    with pytest.raises(DataError, match=told):
        render_chat(with_template(template), CHAT)


def test_a_model_without_a_template_has_no_chat():
    with pytest.raises(DataError, match="this model has no chat template"):
        render_chat(train_bpe_tokenizer(["casa"], 300), CHAT)


def test_a_template_changes_no_message():
    chat = [{"role": "user", "content": "oi"}]
    render_chat(with_template("{% for m in messages %}{% set x = m.content %}{{ x }}{% endfor %}"), chat)
    assert chat == CHAT
