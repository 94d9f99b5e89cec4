"""Linking files keeps their bytes, also on file systems without links; unsafe names are told.

The unsafe names are those of "Naming Files, Paths, and Namespaces" (Microsoft Learn).
"""

import os
from pathlib import Path

import pytest

from mella_hf.files import link_file, name_problems


def test_a_linked_file_shares_its_bytes(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(b"first")
    link_file(source, target)
    assert target.samefile(source)
    link_file(source, target)
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_file_with_other_content_is_replaced(tmp_path: Path) -> None:
    source, target, other = tmp_path / "source", tmp_path / "target", tmp_path / "other"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    os.link(target, other)
    link_file(source, target)
    assert target.read_bytes() == b"new"
    assert other.read_bytes() == b"old"


def test_without_links_the_bytes_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError("Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"bytes")
    link_file(source, target)
    assert target.read_bytes() == b"bytes"
    assert not target.samefile(source)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "con/know-00000-of-00001.parquet",
            "thumbnails/aux.jpg",
            "Nul",
            "prn.tar.gz",
            "COM1",
            "lpt9.txt",
            "com³",
            "con ",
        ),
        *(
            "a:b",
            "a<b",
            "a>b",
            'a"b',
            "a\\b",
            "a|b",
            "what?",
            "*.jpg",
            "tab\there",
            "nul\0",
            "ends.",
            "ar /x",
            "..",
            "a//b",
        ),
    ],
)
def test_a_name_that_windows_does_not_take(path: str) -> None:
    (problem,) = name_problems(["README.md", path])
    assert problem.startswith(tuple(repr(part) for part in path.split("/")))


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ("zh-Hans/know.parquet", "zh-hans/ling.parquet", "'zh-Hans' and 'zh-hans'"),
        ("t/AR.jpg", "t/ar.jpg", "'t/AR.jpg' and 't/ar.jpg'"),
        ("caf\u00e9", "cafe\u0301", "are one file"),  # macOS: composed and decomposed
    ],
)
def test_names_that_are_one_file_elsewhere(first: str, second: str, named: str) -> None:
    (problem,) = name_problems([first, f"{first}x", second, second])
    assert named in problem


def test_names_that_are_safe_everywhere() -> None:
    names = [
        "README.md",
        "ar/know-00000-of-00001.parquet",
        "conf/a",
        "con_Latn/a",
        "com10",
        "com0",
        "nulls",
        "aux-1",
        ".git",
    ]
    assert name_problems([*names, "ar/know-00001-of-00002.parquet", "العربية/a b.jpg"]) == []
