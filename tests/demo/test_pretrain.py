"""The miniature's training: a finished one is found without its folder's lock."""

import json
from pathlib import Path

import pytest
from pictures import png

from mella_hf.demo.pretrain import Budget, Lesson, _places, pretrain
from mella_hf.errors import MellaError
from mella_hf.training.checkpoints import sole_use

BUDGET = Budget(vision_steps=1, vision_batch=2, steps=1, batch=2, save_steps=1)
PICTURES = [Lesson(png(i), f"A thing {i}.", (f"A thing {i}.",) * 9) for i in range(3)]
PICTURES.append(Lesson(png(3), "A thing and another.", ("A thing 1.", "", "A thing 2.", *[""] * 6)))


def test_a_finished_base_is_found_while_others_use_it(tmp_path: Path) -> None:
    model = pretrain(PICTURES, ["نص"], tmp_path / "base", BUDGET)
    before = {path: path.stat().st_mtime_ns for path in model.rglob("*")}
    assert any(path.suffix == ".safetensors" for path in before)
    with sole_use(tmp_path / "base"):  # as another demo does while it looks
        assert pretrain(PICTURES, ["نص"], tmp_path / "base", BUDGET) == model
        with pytest.raises(MellaError, match="base is in use by a training run"):
            pretrain(PICTURES, ["نص آخر"], tmp_path / "base", BUDGET)
    assert before == {path: path.stat().st_mtime_ns for path in model.rglob("*")}


def test_training_ends_by_the_english_loss(tmp_path: Path) -> None:
    """Any loss is under 99 nats a token and none is under 0: one run ends at the first look, the other at its limit."""
    for loss, last in ((99.0, 2), (0.0, 3)):
        budget = Budget(1, 2, steps=3, batch=2, english_loss=loss, check_steps=2, save_steps=1)
        pretrain(PICTURES, ["نص"], tmp_path / str(last), budget)
        record = json.loads((tmp_path / str(last) / "pretrain.json").read_text("utf-8"))
        assert record["curves"]["english"][-1]["step"] == last


def test_things_are_counted_in_reading_order() -> None:
    assert _places(["", "cat", "", "dog", "cat"]) == [0, 1, 0, 2, 3]
