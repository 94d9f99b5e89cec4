"""A card that people edited by hand is never overwritten without a word; one process at a time changes a folder."""

import json
from pathlib import Path

import pytest
import typer
from dataset_samples import picture, record
from image_folders import write_folder
from typer.testing import CliRunner

from mella_hf import api
from mella_hf.commands.build import build
from mella_hf.commands.remove import remove
from mella_hf.dataset.card import card
from mella_hf.dataset.card.card import write_card
from mella_hf.dataset.publish import publish_dataset
from mella_hf.dataset.removal.remove import LOCK, remove_samples
from mella_hf.dataset.write import write_split
from mella_hf.errors import MellaError
from mella_hf.locks import sole_use

WORDS = "\n## Who spoke\n\nThe texts are by the speakers of Al-Karak.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_split([record(n, domain="example.org") for n in range(6)], tmp_path / "d", "ar", "know")
    write_card(tmp_path / "d")
    return tmp_path / "d"


def edit(folder: Path, words: str = WORDS) -> str:
    text = (folder / "README.md").read_text("utf-8") + words
    (folder / "README.md").write_text(text, "utf-8")
    return text


def edited(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in folder.glob("README.*.md")}


def command(function, *words: str):
    app = typer.Typer()
    app.command()(function)
    return CliRunner().invoke(app, list(words))


def test_a_new_card_leaves_the_edited_one(folder: Path) -> None:
    plain = (folder / "README.md").read_text("utf-8")
    write_card(folder)
    assert edited(folder) == {}
    first = edit(folder)
    write_card(folder)
    second = edit(folder, "\nMore.\n")
    write_card(folder)
    assert edited(folder) == {"README.edited.md": first, "README.edited-2.md": second}
    assert (folder / "README.md").read_text("utf-8") == plain
    assert "before" not in json.loads((folder / "facts.json").read_text("utf-8"))


def test_a_card_of_another_hand_is_kept(folder: Path) -> None:
    """A folder with a README that nobody wrote here, such as that of a git repository."""
    (folder / "facts.json").unlink()
    (folder / "README.md").write_text("# My photos\n", "utf-8")
    write_card(folder)
    assert edited(folder) == {"README.edited.md": "# My photos\n"}


@pytest.mark.parametrize("name", ["README.md", "croissant.json", "facts.json", "card.json"])
def test_a_card_that_was_cut_short_is_no_edited_one(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever file of the card is the last that was written."""
    write, seen = card.write_atomic, []

    def dying(path: Path, data: str) -> None:
        seen.append(path.name)
        if path.name == name and (name != "facts.json" or seen.count(name) == 2):
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(card, "write_atomic", dying)
    with pytest.raises(KeyboardInterrupt):
        write_card(folder, title="Another title")
    monkeypatch.setattr(card, "write_atomic", write)
    write_card(folder)
    assert edited(folder) == {}


def test_takedown_keeps_it_and_says_so(folder: Path, tmp_path: Path) -> None:
    text = edit(folder)
    (tmp_path / "ids.txt").write_text(record(2)["id"])
    done = command(remove, str(folder), "--ids", str(tmp_path / "ids.txt"))
    assert done.exit_code == 0 and "README.md was edited by hand: it is kept as README.edited.md" in done.output
    assert edited(folder) == {"README.edited.md": text} and WORDS not in (folder / "README.md").read_text("utf-8")


def test_a_build_keeps_it_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name, seeds in (("one", range(4)), ("two", range(4, 8))):
        lines = [{"file_name": f"{n}.jpg", "text": f"جمل {n}"} for n in seeds]
        write_folder(tmp_path / name, lines, {f"{n}.jpg": picture(n) for n in seeds})
    api.build_dataset(tmp_path / "one", out, "ar", workers=0, progress=False)
    text = edit(out)
    words = [str(tmp_path / "two"), "--source", "folder", "--languages", "ar", "--out", str(out), "--workers", "0"]
    done = command(build, *words)
    assert done.exit_code == 0 and "kept as README.edited.md" in done.output
    assert edited(out) == {"README.edited.md": text}
    again = command(build, *words)
    assert "README" not in again.output and edited(out) == {"README.edited.md": text}


def test_publishing_refuses_before_anything_is_sent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mella_hf.dataset.publish.require_online", lambda repo, intent: None)  # tests are offline
    text = edit(folder)
    with pytest.raises(MellaError, match=r"README.md was edited by hand, .* --replace-card"):
        publish_dataset(folder, "org/mella", endpoint="http://127.0.0.1:9", workers=0)
    assert (folder / "README.md").read_text("utf-8") == text and edited(folder) == {}


def test_who_is_at_the_folder_is_said(folder: Path, tmp_path: Path) -> None:
    """Remove, publish and build beside each other: the second says who is at it, and changes nothing."""
    write_folder(tmp_path / "in", [{"file_name": "1.jpg", "text": "جمل"}], {"1.jpg": picture(1)})
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (tmp_path / "ids.txt").write_text(record(2)["id"])
    with sole_use(folder / LOCK, folder, "mella remove"):
        calls = [
            lambda: remove_samples(folder, domain="example.org"),
            lambda: publish_dataset(folder, "org/mella", endpoint="http://127.0.0.1:9", workers=0),
            lambda: api.build_dataset(tmp_path / "in", folder, "ar", workers=0, progress=False),
        ]
        for call in calls:
            with pytest.raises(MellaError, match=r"is in use by mella remove: process \d+ on .*, since 20"):
                call()
        assert command(remove, str(folder), "--ids", str(tmp_path / "ids.txt")).exit_code == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
