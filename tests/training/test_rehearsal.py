"""What could end a run in its third hour ends it, or `mella train --check`, before the first step."""

import dataclasses
import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from sft_runs import flags
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.errors import MellaError, TrainingError
from mella_hf.training import rehearsal
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.sft import build_trainer, check, train


@pytest.fixture
def trainer(tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path) -> Any:
    more = {"watch_steps": 4, "watch_samples": 1, "watch_new_tokens": 3, "save_total_limit": 2}
    return build_trainer(parse_settings(flags(tiny_qwen2vl, tiny_dataset, tmp_path / "run", **more)))[0]


def test_the_command_tries_all_and_leaves_nothing(tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    given = flags(tiny_qwen2vl, tiny_dataset, tmp_path / "run", watch_steps=4, watch_samples=1)
    result = CliRunner().invoke(app, ["train", "--check", "--json", *given])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["kinds"] == ["ar know", "ar ling"] and found["steps"] == 8
    assert found["seconds"] > 0 and found["memory"] is None
    assert not (tmp_path / "run").exists()
    spoken = CliRunner().invoke(app, ["train", "--check", *given])
    assert "samples: 22 have sound texts, sizes and images, 0 are left out" in spoken.stdout
    assert "tried: one each of ar know, ar ling" in spoken.stdout and "time: about" in spoken.stdout


def test_the_largest_and_the_longest_batch_are_tried(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the collated batches themselves: none of the epoch is larger, and none holds a longer sample."""
    tried: list[tuple[int, int]] = []
    collate = trainer.data_collator
    trainer.data_collator = lambda turns: _noted(collate(turns), tried)
    found = trainer.rehearse()
    singles, (longest, largest) = tried[:-2], tried[-2:]
    assert [rows for rows, _ in singles] == [1, 1]
    batches = [collate([trainer.train_dataset[i] for i in batch]) for batch in trainer.batches]
    sizes = [batch["input_ids"].numel() for batch in batches]
    widths = [batch["input_ids"].shape[1] for batch in batches]
    assert largest[0] * largest[1] == max(sizes) == found.largest
    assert longest[1] == max(widths) == found.longest


def _noted(batch: Any, tried: list[tuple[int, int]]) -> Any:
    tried.append(tuple(batch["input_ids"].shape))
    return batch


def test_nothing_of_the_run_changes(trainer: Any) -> None:
    import random

    import torch

    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    states = torch.get_rng_state(), random.getstate()
    trainer.rehearse()
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())
    assert all(parameter.grad is None for parameter in trainer.model.parameters())
    assert not trainer.state.log_history and trainer.state.global_step == 0


def test_no_parameter_is_looked_for_in_vain_under_ddp(trainer: Any) -> None:
    """Every weight of LoRA on the language model has a gradient in each step, so DDP need not search for others."""
    assert trainer.args.ddp_find_unused_parameters is False
    batch = trainer.data_collator([trainer.train_dataset[0]])
    rehearsal.label_loss(trainer.model, dict(batch)).backward()
    assert all(p.grad is not None for p in trainer.model.parameters() if p.requires_grad)
    trainer.model.zero_grad()


def test_memory_that_is_too_small(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def too_much(*args: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(rehearsal, "label_loss", too_much)
    with pytest.raises(TrainingError, match=r"Out of memory .*20.00 GiB.* at step 0.*max_image_tokens"):
        trainer.rehearse()


def test_a_folder_without_room_or_rights(trainer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Usage = namedtuple("Usage", "total used free")
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    # Three checkpoints at once of a weight and two moments of four bytes, and the adapter.
    needed = trained * (3 * 12 + 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 0, needed))
    assert trainer.rehearse().disk == needed
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 0, needed - 1))
    with pytest.raises(MellaError, match="are free, but 3 checkpoints and the adapter take about 1 MiB. Free some"):
        trainer.rehearse()
    (tmp_path / "file").write_text("")
    trainer.args.output_dir = str(tmp_path / "file/run")
    monkeypatch.setattr(rehearsal.tempfile, "TemporaryFile", _denied)
    with pytest.raises(MellaError, match="where nothing can be written"):
        trainer.rehearse()


def _denied(**_: Any) -> Any:
    raise PermissionError(13, "Permission denied")


def test_a_metric_that_cannot_be_computed_is_met_at_once(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch would meet it after hundreds of steps."""
    from mella_hf.errors import MissingExtraError

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise MissingExtraError("kiwipiepy", "metrics", "METEOR in Korean")

    monkeypatch.setattr("mella_hf.metrics.MellaMetric", missing)
    with pytest.raises(MissingExtraError, match="kiwipiepy"):
        trainer.rehearse()


def test_a_run_says_what_it_will_take(
    tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(parse_settings(flags(tiny_qwen2vl, tiny_dataset, tmp_path / "run", max_steps=2)))
    assert "time: about" in capfd.readouterr().err


def test_a_stream_is_tried_with_its_first_batch(tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    more = {"streaming": "true", "max_steps": 3}
    found = check(parse_settings(flags(tiny_qwen2vl, tiny_dataset, tmp_path / "run", **more)))
    assert found.seconds is not None and found.steps == 3 and dataclasses.asdict(found)["largest"] > 0


@pytest.mark.parametrize("metric", [None, "loss", "eval_cs_know_loss"])
def test_a_metric_that_no_evaluation_gives(
    tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path, metric: str | None
) -> None:
    """The Trainer looks for it at the first evaluation; without a name it takes eval_loss, which is not there."""
    more: dict[str, Any] = {"eval_strategy": "steps", "eval_samples": 1, "eval_steps": 2}
    more |= {"load_best_model_at_end": "true"} | ({} if metric is None else {"metric_for_best_model": metric})
    with pytest.raises(MellaError, match="metric_for_best_model is .* to eval_ar_know_loss or eval_ar_ling_loss"):
        check(parse_settings(flags(tiny_qwen2vl, tiny_dataset, tmp_path / "run", **more)))
    good = flags(tiny_qwen2vl, tiny_dataset, tmp_path / "run", **{**more, "metric_for_best_model": "ar_know_loss"})
    assert check(parse_settings(good)).steps == 8
