"""Prompts of a file are its lines, whatever kind of file it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozero.cli.generate_view import read_prompts
from dozero.errors import DataError

prompts = st.lists(st.text("abç \U0001f642", min_size=1, max_size=8), min_size=1, max_size=5)


@given(prompts)
def test_each_line_is_a_prompt(several):
    import json
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as name:
        lines, records = Path(name) / "p.txt", Path(name) / "p.jsonl"
        lines.write_text("\n".join(several) + "\n", encoding="utf-8")
        records.write_text("".join(json.dumps({"prompt": p, "n": 1}) + "\n" for p in several), encoding="utf-8")
        assert read_prompts(lines) == read_prompts(records) == several


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("p.txt", b"", "holds no prompts"),
        ("p.txt", b"\xff\xfe", "prompts cannot be read"),
        ("p.jsonl", b"\n", "holds no prompts"),
        ("p.jsonl", b'{"prompt": "a"}\n{"text": "b"}\n', "p.jsonl:2: not a prompt"),
        ("p.jsonl", b"not json\n", "p.jsonl:1: not a prompt"),
    ],
)
def test_a_file_without_prompts_is_refused(name, content, told, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_prompts(tmp_path / name)
