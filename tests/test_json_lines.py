"""JSON lines: only a line feed ends a line, and faults are named by line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mella_hf.errors import MellaError
from mella_hf.files import json_line, json_lines

TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)  # half surrogates included


@given(st.lists(st.dictionaries(TEXTS, TEXTS | st.none() | st.integers()), max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, values: list) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    path.write_bytes("".join(map(json_line, values)).encode("utf-8"))
    assert [value for _, value in json_lines(path)] == values


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r"])
def test_no_other_character_ends_a_line(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        f'{{"text": "a{inside}b"}}\n'.encode() if inside >= "\x7f" else json_line({"text": f"a{inside}b"}).encode()
    )
    assert list(json_lines(path)) == [(1, {"text": f"a{inside}b"})]


def test_a_byte_order_mark_windows_endings_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n[2]')
    assert list(json_lines(path)) == [(1, {"a": 1}), (4, [2])]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (b"{'a': 1}", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "not JSON"),
    ],
)
def test_a_fault_is_named_by_its_line(tmp_path: Path, second: bytes, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps({"a": 1}).encode() + b"\n" + second + b"\n")
    with pytest.raises(MellaError, match=f"a.jsonl, line 2 is not JSON.*{said.removeprefix('not JSON')}"):
        list(json_lines(path))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="none.jsonl cannot be read: No such file"):
        list(json_lines(tmp_path / "none.jsonl"))
    with pytest.raises(MellaError, match="Is a directory"):
        list(json_lines(tmp_path))
