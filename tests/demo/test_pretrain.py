"""The miniature's training: a finished one is found without its folder's lock."""

from pathlib import Path

import pytest
from pictures import png

from mella_hf.demo.pretrain import Budget, NamedPicture, pretrain
from mella_hf.errors import MellaError
from mella_hf.training.checkpoints import sole_use

BUDGET = Budget(vision_steps=1, vision_batch=2, steps=1, batch=2, save_steps=1)
PICTURES = [NamedPicture(png(i), f"A thing {i}.", f"A round thing {i} on blue.") for i in range(4)]


def test_demos_of_several_languages_share_a_finished_base(tmp_path: Path) -> None:
    model = pretrain(PICTURES, ["نص"], tmp_path / "base", BUDGET)
    before = {path: path.stat().st_mtime_ns for path in model.rglob("*")}
    assert any(path.suffix == ".safetensors" for path in before)
    with sole_use(tmp_path / "base"):  # as another demo does while it looks
        assert pretrain(PICTURES, ["نص"], tmp_path / "base", BUDGET) == model
        with pytest.raises(MellaError, match="base is in use by a training run"):
            pretrain(PICTURES, ["نص آخر"], tmp_path / "base", BUDGET)
    assert before == {path: path.stat().st_mtime_ns for path in model.rglob("*")}
