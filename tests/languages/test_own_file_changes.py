"""When a user changes a language's file, what was worked out with it before is worked out again."""

from pathlib import Path

import pytest
from datasets import Dataset
from transformers import AutoProcessor

from mella_hf.api import collect
from mella_hf.languages import add_folder, own_entries
from mella_hf.training.batches.chat import count_tokens

# Quechua of Cusco; "rikch'a" is a picture. The sentences are hand-made.
PAGE = """<html lang="qu"><meta charset="utf-8"><body>
<img src="a.jpg" alt="Machu Pikchuqa huk ñawpa llaqtam, Qusqu suyupi kachkan" width="400" height="300">
<img src="b.jpg" alt="Llamaqa Anti urqukunapi kawsaq uywam, millmayuq" width="400" height="300">
</body></html>"""
FILE = """boilerplate = [{boilerplate}]
[prompts]
by = "speaker"
know = ["{prompt}"]
ling = ["Kay rikch'ata willay."]
"""


@pytest.fixture
def write_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes the user's file of Quechua."""
    folder = tmp_path / "languages"
    folder.mkdir()
    monkeypatch.setenv("MELLA_LANGUAGES", "")

    def write(prompt: str = "Imataq kay?", boilerplate: str = "") -> None:
        (folder / "qu.toml").write_text(FILE.format(prompt=prompt, boilerplate=boilerplate), "utf-8")
        add_folder(folder)

    return write


def test_only_a_users_file_has_a_mark(write_file) -> None:
    assert own_entries(["cs", "qu"]) == {}
    write_file()
    first = own_entries(["cs", "qu"])
    assert first and own_entries(["qu"]) == first and own_entries(["cs"]) == {}
    write_file(prompt="Kayqa imataq?")
    assert own_entries(["qu"]) != first


def test_alt_texts_are_chosen_again(write_file, tmp_path: Path) -> None:
    pages, out = tmp_path / "pages", tmp_path / "web"
    pages.mkdir()
    (pages / "index.html").write_text(PAGE, "utf-8")

    def texts() -> int:
        found = collect(
            out, "qu", pages=pages, base_url="http://e.example/", texts_only=True, workers=0, progress=False
        )
        return found.stages["alt_texts"].counts["kept"]

    write_file()
    assert texts() == 2
    write_file(boilerplate='"Llamaqa Anti urqukunapi kawsaq uywam, millmayuq"')
    assert texts() == 1


def test_tokens_are_counted_again(write_file, tiny_qwen2vl: Path) -> None:
    row = {"id": "a", "language": "qu", "source": "know", "text": "llama", "width": 56, "height": 56}
    rows = Dataset.from_list([row])

    def counted() -> int:
        return int(count_tokens(rows, AutoProcessor.from_pretrained(tiny_qwen2vl), 42).sequence[0])

    write_file(prompt="Imataq?")
    short = counted()
    write_file(prompt="Imataq kay rikch'api kachkan, sutinta niway?")
    assert counted() > short
