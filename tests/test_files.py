"""Linking files: the bytes arrive, replaced files do not change their source, and file systems without links work."""

import os
from pathlib import Path

import pytest

from mella_hf.files import link_file


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
