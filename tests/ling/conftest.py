"""A tiny random COMET checkpoint, built once a session by the environment that `make comet` makes."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import build_comet
import pytest
from comet_pairs import PAIRS
from interpreter import described_pairs
from native_sentences import SENTENCES


def training_lines() -> list[str]:
    """Sentences in all languages, for the tokenizer."""
    return [sentence for slots in SENTENCES.values() for slot in slots for sentence in slot]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn images; one is broken, one is there twice."""
    from PIL import Image, ImageDraw

    folder = tmp_path_factory.mktemp("pictures")
    for number in range(10):
        image = Image.new("RGB", (200, 160), "white")
        box = (10 + 5 * number, 20, 80 + 10 * number, 90 + 6 * number)
        ImageDraw.Draw(image).ellipse(box, fill=("red", "blue", "green", "orange", "purple")[number % 5])
        image.save(folder / f"{number:02d}.png")
    whole = (folder / "01.png").read_bytes()
    (folder / "10.png").write_bytes(whole[: len(whole) // 2])
    (folder / "11.png").write_bytes((folder / "00.png").read_bytes())
    about = {"file_name": "00.png", "page_url": "https://example.org/birds", "license": "GPL-2"}
    (folder / "metadata.jsonl").write_text(json.dumps(about) + "\n")
    return folder


@pytest.fixture(scope="session")
def tiny_comet(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random UnifiedMetric, in the real format; its name says what it is."""
    if not (build_comet.COMET_PYTHON.parents[1] / ".installed").exists():
        pytest.skip("COMET's environment is absent; run make comet")
    home = tmp_path_factory.mktemp("comet")
    folder = home / "stand-in-random-comet"
    folder.mkdir()
    (folder / "pairs.json").write_text(json.dumps(PAIRS + described_pairs(pictures, 10)))
    (home / "lines.txt").write_text("\n".join(training_lines()), "utf-8")
    command = [str(build_comet.COMET_PYTHON), build_comet.__file__, str(folder), str(home / "lines.txt")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def comet_worker(tiny_comet: Path):  # type: ignore[no-untyped-def]
    """The real worker over the real library, shared: it takes seconds to start."""
    from mella_hf.ling.comet import CometWorker

    with CometWorker(str(tiny_comet), build_comet.COMET_PYTHON, batch_tokens=600) as worker:
        yield worker


@pytest.fixture
def invented_language() -> Iterator[str]:
    """A language that nobody speaks, added as users add one: one entry, and nothing else."""
    from mella_hf import languages

    entry = languages.Language(
        code="qzz",
        name="Tokiponish",
        native_name="toki",
        scripts=("Latn",),
        know_prompts=("ni li seme?",),
        ling_prompts=("o toki e sitelen ni.",),
        translation=(("libre", "toki"),),
    )
    languages.register(entry)
    yield entry.code
    languages.unregister(entry.code)
