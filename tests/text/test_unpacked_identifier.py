"""py3langid's model is unpacked once a machine: the same answers from the cache, whatever happens to it."""

import json
import shutil
from pathlib import Path

import pytest
from py3langid.langid import LanguageIdentifier

from mella_hf.text.identifiers import Py3langid

TEXTS = (
    "Wanawake wakiuza samaki",
    "Karlův most v Praze",
    "كنافة نابلسية على طبق",
    "ต้มยำกุ้งในชาม",
    "北京大学",
    "",
    "1 2 3",
    "İstanbul'da akşam",
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MELLA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "py3langid"


def answers(model: Py3langid) -> list[dict[str, float]]:
    return [{label: float(share) for label, share in model.rank(text).items()} for text in TEXTS]


def test_the_cache_answers_as_the_package(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = LanguageIdentifier.from_model_file("data/model.npz.xz", norm_probs=True)
    first = Py3langid()
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(LanguageIdentifier, "from_model_file", lambda *_, **__: pytest.fail("unpacked again"))
    again = Py3langid()
    assert first.labels == again.labels == frozenset(own.nb_classes)
    assert answers(first) == answers(again) == [{k: float(v) for k, v in own.rank(text)} for text in TEXTS]


@pytest.mark.parametrize("damage", ["cut", "labels"])
def test_a_damaged_cache_is_made_again(damage: str, cache: Path) -> None:
    expected = answers(Py3langid())
    (folder,) = cache.iterdir()
    if damage == "cut":
        (folder / "nextmove.npy").write_bytes((folder / "nextmove.npy").read_bytes()[:1000])
    else:
        (folder / "classes.json").write_text(json.dumps(["sw"]))
    assert answers(Py3langid()) == expected
    assert sorted(path.name for path in folder.iterdir()) == [
        "classes.json", "nextmove.npy", "output.npy", "pc.npy", "ptc.npy", "row.npy",
    ]  # fmt: skip


def test_where_the_cache_cannot_be_written(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file")
    assert Py3langid().best(TEXTS[0])[0] == "sw"
    cache.unlink()
    shutil.rmtree(cache.parent)
    cache.parent.write_text("a file")
    assert Py3langid().best(TEXTS[1])[0] == "cs"
