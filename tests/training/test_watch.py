"""Watching a run: it logs what the answers are worth, warns of a stall once, and moves no weight."""

import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mella_hf.dataset.write import write_split
from mella_hf.errors import MellaError
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.sft import train
from mella_hf.training.watch import Watch, WatchArguments, course, gains


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_rows: Any) -> Path:
    from datasets import Image

    folder = tmp_path_factory.mktemp("mella")
    for source, start in (("know", 0), ("ling", 50)):
        rows = make_rows(6, source=source, start=start)
        write_split(rows.cast_column("image", Image(decode=False)), folder, "ar", source)
    return folder


def run(model: Path, data: Path, out: Path, **more: Any) -> dict[str, Any]:
    values = {
        "model_name_or_path": model, "data_dir": data, "languages": ["ar"], "output_dir": out, "use_peft": True,
        "lora_r": 4, "lora_dropout": 0.2, "max_steps": 4, "per_device_train_batch_size": 2, "save_strategy": "no",
        "logging_steps": 2, "learning_rate": 1e-2, "report_to": "none", "use_cpu": True, "dtype": "float32",
        "max_length": None, "gradient_checkpointing": False, "bf16": False, **more,
    }  # fmt: skip
    recipe = out.parent / f"{out.name}.yaml"
    recipe.write_text(json.dumps(values, default=str))  # JSON is YAML
    train(parse_settings(["--config", str(recipe)]))
    return json.loads((out / "training.json").read_text("utf-8"))


def test_watching_logs_scores_and_changes_nothing(tiny_qwen2vl: Path, data: Path, tmp_path: Path) -> None:
    """With dropout on, one random number drawn in between would give other weights."""
    plain = run(tiny_qwen2vl, data, tmp_path / "plain")
    watched = run(tiny_qwen2vl, data, tmp_path / "watched", watch_steps=2, watch_samples=3, watch_new_tokens=6)
    weights = [load_file(tmp_path / name / "adapter/adapter_model.safetensors") for name in ("plain", "watched")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    looks = [entry for entry in watched["log_history"] if any(key.startswith("watch/") for key in entry)]
    assert [look["step"] for look in looks] == [2, 4]
    metrics = {f"watch/ar/{s}_{m}" for s in ("know", "ling") for m in ("meteor", "repetition_rate")}
    assert metrics | {"watch/ar/know_keyword_micro", "watch/ar/ling_wrong_language_rate"} <= set(looks[0])
    losses = [[e["loss"] for e in record["log_history"] if "loss" in e] for record in (plain, watched)]
    assert losses[0] == losses[1] and len(losses[0]) == 2
    assert watched["identity"] == plain["identity"]  # the same run, whether it is watched or not


def test_what_counts_as_a_gain() -> None:
    assert gains([1.0, 2.0, 3.0], patience=3) is None  # too few looks
    assert gains([5.0, 5.5, 5.9, 5.2], patience=3) is False  # less than a point above 5
    assert gains([5.0, 5.5, 6.0, 5.2], patience=3) is True
    assert gains([99.5, 99.5, 99.5], patience=2) is True  # nothing left to gain


def look(step: int, know: float, ling: float, language: str = "ar") -> dict[str, float]:
    return {"step": step, f"watch/{language}/know_keyword_micro": know, f"watch/{language}/ling_meteor": ling}


def test_course_is_the_mean_over_languages() -> None:
    log = [look(1, 10, 20) | look(1, 30, 40, "th"), {"loss": 1.0, "step": 1}, look(2, 12, 22)]
    assert course(log, "know") == [20, 12] and course(log, "ling") == [30, 22]


def judge(log: list[dict[str, float]], **arguments: Any) -> tuple[list[str], bool]:
    """The warnings after each look of a log, and whether training was ended."""
    rows = {("ar", "know"): [0], ("ar", "ling"): [0]}
    watch = Watch(None, rows, WatchArguments(watch_steps=1, watch_patience=2, **arguments))
    control = SimpleNamespace(should_training_stop=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for end in range(1, len(log) + 1):
            watch._judge(SimpleNamespace(log_history=log[:end], global_step=end), control)
    return [str(warning.message) for warning in caught], control.should_training_stop


def test_one_objective_that_stalls_is_named_once() -> None:
    said, stopped = judge([look(step, 3.0, 10.0 * step) for step in range(1, 7)], watch_early_stop=True)
    assert len(said) == 1 and not stopped
    assert said[0].startswith("know stalls: its keyword_micro is 3.0 at step 3 and has not gained 1 point in 2 looks")


def test_early_stop_waits_until_neither_gains() -> None:
    flat = [look(step, 3.0, 8.0) for step in range(1, 4)]
    assert judge(flat, watch_early_stop=True) == ([], True)
    assert judge(flat) == ([], False)


def test_arguments_are_checked() -> None:
    with pytest.raises(MellaError, match="watch_patience is 0"):
        WatchArguments(watch_patience=0)
    with pytest.raises(MellaError, match="watch_early_stop needs watch_steps"):
        WatchArguments(watch_early_stop=True)
