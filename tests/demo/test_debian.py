"""The Debian packages through stand-ins for apt and dpkg-deb: fetched once, checked, and complete or absent."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mella_hf.demo.debian import fetch_package
from mella_hf.demo.pictures import COMMON, FONT, PACKAGES, find_source
from mella_hf.errors import MellaError

DEB = b"stands for the archive"
PACKAGE = PACKAGES[0]
Tools = Callable[..., Path]


def fake_tools(folder: Path, *, sha256: str, download: str = "", unpack: str = "") -> None:
    """apt-cache, apt-get and dpkg-deb as shell scripts that do what the real ones do to the cache."""
    calls = folder.with_name("calls")
    whole = f'mkdir -p "$3/{COMMON}/annotations" "$3/{FONT.parent}"; touch "$3/{COMMON}/annotations/en.xml" "$3/{FONT}"'
    scripts = {
        "apt-cache": f"echo 'Package: stands for it'; echo 'SHA256: {sha256}'",
        "apt-get": download or f"printf '%s' '{DEB.decode()}' > \"$2_41-0.1_all.deb\"; echo download >> {calls}",
        "dpkg-deb": unpack or f"{whole}; echo unpack >> {calls}",
    }
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Puts the stand-ins before the real commands; returns the folder of the packages."""

    def use(**settings: str) -> Path:
        fake_tools(tmp_path / "bin", **{"sha256": hashlib.sha256(DEB).hexdigest(), **settings})
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
        monkeypatch.setenv("MELLA_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache" / "pictures"

    return use


def test_fetched_once_checked_and_unpacked(tools: Tools, tmp_path: Path) -> None:
    home = tools()
    source = find_source()
    assert source.common == home / PACKAGES[0] / COMMON and source.font == home / PACKAGES[1] / FONT
    assert find_source() == source
    assert (tmp_path / "calls").read_text().split() == ["download", "unpack"] * 2
    assert {path.name for path in home.iterdir()} == set(PACKAGES)


def test_another_process_that_is_first_does_no_harm(tools: Tools) -> None:
    home = tools(unpack=f'mkdir -p "$3/usr" "../{PACKAGE}/usr/share"')
    assert [path.name for path in (fetch_package(PACKAGE, home) / "usr").iterdir()] == ["share"]
    assert [path.name for path in home.iterdir()] == [PACKAGE]


def test_a_download_that_is_not_the_published_one_is_refused(tools: Tools) -> None:
    home = tools(sha256="0" * 64)
    with pytest.raises(MellaError, match=r"has the sha256 [0-9a-f]{64}, apt publishes 0{64}\..*was removed"):
        find_source()
    assert not list(home.rglob("*.deb")) and not (home / PACKAGE).exists()


def test_an_unpacking_cut_short_leaves_nothing_that_looks_whole(tools: Tools) -> None:
    home = tools(unpack=f'mkdir -p "$3/{COMMON}"; echo "no space left on device" >&2; exit 2')
    with pytest.raises(MellaError, match="no space left on device"):
        find_source()
    assert not (home / PACKAGE).exists()


def test_apt_that_fails_or_is_absent_names_the_package_and_the_way_out(
    tools: Tools, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tools(download="echo 'E: Unable to locate package' >&2; exit 100")
    with pytest.raises(MellaError, match=f"(?s){PACKAGE}.*Unable to locate.*apt-get update.*--source DIR"):
        find_source()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(MellaError, match="the command 'apt-cache' is not installed.*--source DIR"):
        find_source()
