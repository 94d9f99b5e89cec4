"""The Debian package through stand-ins for apt and dpkg-deb; its text files; roles; plain text to read."""

import hashlib
import os
from collections import Counter
from pathlib import Path

import pytest
from stamp_folder import write_text

from mella_hf.demo.stamps.stamps import PACKAGE, STAMPS, Role, entity_of, fetch_stamps, plain_text, read_stamps, role
from mella_hf.errors import MellaError

DEB = b"stands for the archive"


def fake_tools(folder: Path, *, sha256: str, download: str = "", unpack: str = "") -> None:
    """apt-cache, apt-get and dpkg-deb as shell scripts that do what the real ones do to the cache."""
    deb, calls = f"{PACKAGE}_2022.06.04-1_all.deb", folder.with_name("calls")
    scripts = {
        "apt-cache": f"echo 'Package: {PACKAGE}'; echo 'SHA256: {sha256}'",
        "apt-get": download or f"printf '%s' '{DEB.decode()}' > {deb}; echo download >> {calls}",
        "dpkg-deb": unpack or f'mkdir -p "$3/{STAMPS}/food"; echo unpack >> {calls}',
    }
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Puts the stand-ins before the real commands."""

    def use(**settings: str) -> Path:
        fake_tools(tmp_path / "bin", **{"sha256": hashlib.sha256(DEB).hexdigest(), **settings})
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
        return tmp_path / "cache"

    return use


def test_fetched_once_checked_and_unpacked(tools, tmp_path):
    cache = tools()
    root = fetch_stamps(cache)
    assert root == cache / "stamps" / PACKAGE / STAMPS and root.is_dir()
    assert fetch_stamps(cache) == root
    assert (tmp_path / "calls").read_text().split() == ["download", "unpack"]
    assert [path.name for path in (cache / "stamps").iterdir()] == [PACKAGE]


def test_another_process_that_is_first_does_no_harm(tools):
    cache = tools(unpack=f'mkdir -p "$3/{STAMPS}" "../{PACKAGE}/{STAMPS}/animals"')
    assert [path.name for path in fetch_stamps(cache).iterdir()] == ["animals"]
    assert [path.name for path in (cache / "stamps").iterdir()] == [PACKAGE]


def test_the_cache_is_where_the_environment_says(tools, monkeypatch, tmp_path):
    tools()
    monkeypatch.setenv("MELLA_CACHE", str(tmp_path / "mine"))
    assert fetch_stamps() == tmp_path / "mine" / "stamps" / PACKAGE / STAMPS


def test_a_download_that_is_not_the_published_one_is_refused(tools):
    cache = tools(sha256="0" * 64)
    with pytest.raises(MellaError, match=r"has the sha256 [0-9a-f]{64}, apt publishes 0{64}\..*was removed"):
        fetch_stamps(cache)
    assert not list((cache / "stamps").rglob("*.deb")) and not (cache / "stamps" / PACKAGE).exists()


def test_an_unpacking_cut_short_leaves_nothing_that_looks_whole(tools):
    cache = tools(unpack=f'mkdir -p "$3/{STAMPS}"; echo "no space left on device" >&2; exit 2')
    with pytest.raises(MellaError, match="no space left on device"):
        fetch_stamps(cache)
    assert not (cache / "stamps" / PACKAGE).exists()


def test_apt_that_fails_or_is_absent_names_the_package_and_the_way_out(tools, monkeypatch, tmp_path):
    cache = tools(download="echo 'E: Unable to locate package' >&2; exit 100")
    with pytest.raises(MellaError, match=f"(?s){PACKAGE}.*Unable to locate.*apt-get update.*--source DIR"):
        fetch_stamps(cache)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(MellaError, match="the command 'apt-cache' is not installed.*--source DIR"):
        fetch_stamps(cache)


def test_texts_are_read_as_translators_left_them(tmp_path):
    write_text(tmp_path / "animals/birds/crow.txt", "A crow.", cs="Vrána.", ar=".غراب ", th="")
    (tmp_path / "animals/birds/crow.png").write_bytes(b"")
    (tmp_path / "animals/frog.txt").write_bytes(
        "\ufeffA frog.\r\nru.utf8=Лягушка.\r\nsr.utf8=Жаба.\r\nsr@latin.utf8=Žaba.\r\nsome note\r\n".encode()
    )
    (tmp_path / "animals/frog.svg").write_bytes(b"")
    (tmp_path / "animals/old.txt").write_bytes(b"An owl.\nhu.utf8=Bagoly \xf5.\nhu.utf8=Second.\n")
    (tmp_path / "animals/old.png").write_bytes(b"")
    write_text(tmp_path / "animals/nothing.txt", "")
    write_text(tmp_path / "animals/alone.txt", "Without a picture.")
    write_text(tmp_path / "symbols/coin.txt", "A coin.")
    (tmp_path / "symbols/coin.png").write_bytes(b"")

    counts: Counter[str] = Counter()
    crow, frog, old, coin = read_stamps(tmp_path, counts)
    assert crow.path == "animals/birds/crow" and crow.category == ("animals", "birds") and crow.has_image
    assert crow.texts == {"cs": "Vrána.", "ar": ".غراب"}
    assert frog.english == "A frog." and not frog.has_image
    assert frog.texts == {"ru": "Лягушка.", "sr": "Жаба.", "sr@latin": "Žaba."}
    assert old.texts["hu"] == "Bagoly \ufffd."
    assert not coin.has_image
    assert counts == {"not_utf8": 1, "odd_line": 1, "no_english": 1, "no_picture": 1}


def test_the_unpacked_package_is_found_from_its_root(tmp_path, stamps_root):
    (tmp_path / STAMPS).parent.mkdir(parents=True)
    (tmp_path / STAMPS).symlink_to(stamps_root)
    assert read_stamps(tmp_path) == read_stamps(stamps_root)


def test_a_folder_without_stamps_is_an_error(tmp_path):
    with pytest.raises(MellaError, match=f"No stamps under {tmp_path}: expected NAME.png beside NAME.txt"):
        read_stamps(tmp_path)
    with pytest.raises(MellaError, match="does not exist; remove --source"):
        read_stamps(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "english, entity",
    [
        ("A frog.", "frog"),
        ("Frog", "frog"),
        ("An Adelaide Rosella.", "adelaide rosella"),
        ("The yellow light means “stop”!", "yellow light means stop"),
        ("A", "a"),
        ("Grandma’s old rag doll.", "grandma’s old rag doll"),
    ],
)
def test_entities(english, entity):
    assert entity_of(english) == entity


def test_roles_are_the_same_everywhere_and_in_their_shares():
    # `printf '0:frog' | sha256sum` begins 4046f5cbe05333cb 85bc5672b4a75b41: 0.251 is under 0.6, 0.522 over 0.12.
    assert role("frog") == Role("know", unseen=False)
    roles = [role(f"entity {number}") for number in range(5000)]
    assert sum(r.source == "know" for r in roles) / 5000 == pytest.approx(0.6, abs=0.02)
    for source in ("know", "ling"):
        unseen = [r.unseen for r in roles if r.source == source]
        assert sum(unseen) / len(unseen) == pytest.approx(0.12, abs=0.02)
    assert roles != [role(f"entity {number}", seed=1) for number in range(5000)]


def test_plain_text_keeps_apart_what_is_asked_for_later(stamps_root):
    stamps = read_stamps(stamps_root)
    lines = plain_text(stamps, "cs")
    kept_apart = {s.texts["cs"] for s in stamps if s.has_image and (role(s.entity) != Role("ling", unseen=False))}
    readable = {s.texts["cs"] for s in stamps if s.has_image} - kept_apart
    assert kept_apart and readable
    assert not kept_apart & set(lines)
    assert set(lines) == readable | {"Čárový obrázek moře.", "Značka přednosti."}
    assert len(lines) == len(set(lines))


def test_plain_text_compares_the_native_lines(tmp_path):
    names = [f"entity {number}" for number in range(200)]
    taught = next(name for name in names if role(name) == Role("know", unseen=False))
    described = next(name for name in names if role(name) == Role("ling", unseen=False))
    for number, (name, text) in enumerate([(taught, "Муха."), (described, "муха"), (described, "Стрекоза.")]):
        write_text(tmp_path / f"a/{number}.txt", name, ru=text)
        (tmp_path / f"a/{number}.png").write_bytes(b"")
    assert plain_text(read_stamps(tmp_path), "ru") == ["Стрекоза."]
    assert plain_text(read_stamps(tmp_path), "en") == [described]
