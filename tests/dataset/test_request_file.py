"""Lists of what to take away are read as people have them: from editors, spreadsheets and mails."""

import json
from pathlib import Path

import pytest

from mella_hf.dataset.removal.request_file import read_request_file
from mella_hf.errors import MellaError

A, B = "ab" * 32, "0c" * 32


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "lines",
    [
        [A, "", B], [A.upper(), f"  {B} "], [f'"{A}"', f"'{B}'"], [f"sha256:{A}", f"{B}.jpg"],
        ["id,why", f"{A},zmizí", f'{B},"all, please"'], ["why;id", f"weg;{A}", f'"a;b";{B}'],
        ["n\tid", f"1\t{A}", f"2\t{B}"],
        ["id,page_url", f"{A},https://x.org/1", f"{B},https://x.org/2"], ["# two", A, B], ["Sample", A, B],
        ["# mail", f"{A}  # first, second", "", f"{B} # it's mine"], [f"{A} by mail", f"2 {B}"],
    ],
)  # fmt: skip
def test_ids(tmp_path: Path, lines: list[str], encoding: str, end: str) -> None:
    path = tmp_path / "ids"
    path.write_bytes(end.join(lines).encode(encoding, "replace"))
    found = read_request_file(path)
    assert (found.ids, found.urls) == ([A, B], [])


@pytest.mark.parametrize(
    "text",
    [
        f"sep=;\r\nid;why\r\n{A};\"a;b\"\r\n{B};c\r\n", f"- {A}\n* {B}\n", f"{A} {B}", f"images/{A}.jpg\nar/{B}",
        json.dumps([A, B], indent=1), json.dumps({"ids": [A, B]}),
        f'{{"id": "{A}"}}\n{{"id": "{B}", "keywords": ["x"]}}\n',
        json.dumps([{"id": A, "page_url": "https://x.org/1"}, {"id": B, "text": None}]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_ids_from_other_programs(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "ids").write_bytes(text.encode(encoding))
    found = read_request_file(tmp_path / "ids")
    assert (found.ids, found.urls) == ([A, B], [])


@pytest.mark.parametrize(
    ("lines", "urls"),
    [
        (["https://x.org/a.jpg", "HTTP://X.ORG/b c"], ["https://x.org/a.jpg", "HTTP://X.ORG/b c"]),
        (["url", "https://x.org/a,b;c.jpg"], ["https://x.org/a,b;c.jpg"]),
        (["url,why", "https://x.org/a.jpg,mine"], ["https://x.org/a.jpg"]),
        (["https://x.org/a.jpg, it is mine"], ["https://x.org/a.jpg"]),
        (["<https://x.org/a_(b)>", "- https://x.org/c,"], ["https://x.org/a_(b)", "https://x.org/c"]),
        (['{"urls": ["https://x.org/a"], "ids": []}'], ["https://x.org/a"]),
        (["https://x.org/a.jpg # mine", "https://x.org/b#c"], ["https://x.org/a.jpg", "https://x.org/b#c"]),
        ([f"https://x.org/{A}.jpg"], [f"https://x.org/{A}.jpg"]),
        (["page;image", "https://x.org/1;https://x.org/2"], ["https://x.org/1", "https://x.org/2"]),
    ],
)
def test_urls(tmp_path: Path, lines: list[str], urls: list[str]) -> None:
    (tmp_path / "ids").write_text("\n".join(lines), "utf-8")
    found = read_request_file(tmp_path / "ids")
    assert (found.ids, found.urls) == ([], urls)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (f"{A}\nabc\n".encode(), "line 2: 'abc' holds neither a sample id"), (b"", "names nothing"),
        (b"id\n", "names nothing"), (f"id\n{A[:-1]}\n".encode(), "line 2: 'abab"),
        (b"\xff\xfea", "begins as utf-16 and is not"), (b'[{"name": "x"}]', "'x'.* holds neither"),
        (b"[]", "names nothing"), (b"[" * 100_000, "names nothing"),
        (f"see https://x.org/a\n{A}\n".encode(), "line 1: .see https"), (f"id={A}\n{B}\n".encode(), "line 1: .id=abab"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "ids").write_bytes(data)
    with pytest.raises(MellaError, match=message):
        read_request_file(tmp_path / "ids")
