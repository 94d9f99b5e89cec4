"""What a run may change when it goes on, and what makes it another run."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sft_runs import flags

from mella_hf.errors import MellaError
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.checkpoints import claim
from mella_hf.training.run_identity import all_settings, run_identity

FREE = {  # how fast, where, and what is written down
    "dataloader_num_workers": 1,
    "gradient_checkpointing": "true",
    "attn_implementation": "eager",
    "logging_steps": 3,
    "save_steps": 7,
    "ddp_timeout": 60,
    "torch_empty_cache_steps": 5,
    "run_name": "other",
    "disable_tqdm": "true",
    "dataset_num_proc": 2,
    "watch_samples": 5,
}
ANOTHER_RUN = {
    "seed": 7, "max_steps": 9, "learning_rate": 1e-3, "lora_r": 2, "dtype": "bfloat16", "sources": "know",
    "max_samples": 5, "gradient_accumulation_steps": 2, "weight_decay": 0.5, "per_device_train_batch_size": 2,
    "source_weights": "know=0.5 ling=0.5".split(), "prompt_seed": 1, "warmup_steps": 2,
}  # fmt: skip


@pytest.fixture
def settings_with(tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path) -> Any:
    def parse(**more: Any) -> Any:
        lists = {key: value for key, value in more.items() if isinstance(value, list)}
        single = {key: value for key, value in more.items() if key not in lists}
        given = flags(tiny_qwen2vl, tiny_dataset, tmp_path / "run", **single)
        return parse_settings([*given, *(part for key, values in lists.items() for part in (f"--{key}", *values))])

    return parse


@pytest.mark.parametrize("name", FREE)
def test_a_run_goes_on_with_settings_that_do_not_change_its_result(settings_with: Any, name: str) -> None:
    changed = settings_with(**{name: FREE[name]})
    assert all_settings(changed) != all_settings(settings_with()), "the setting exists"
    assert run_identity(changed) == run_identity(settings_with())


@pytest.mark.parametrize("name", ANOTHER_RUN)
def test_what_changes_the_result_makes_another_run(settings_with: Any, name: str) -> None:
    assert run_identity(settings_with(**{name: ANOTHER_RUN[name]})) != run_identity(settings_with())


def test_other_prompts_make_another_run(settings_with: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def identity(folder: str, prompt: str) -> dict[str, Any]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "qu.toml").write_text(
            f'[prompts]\nby = "speaker"\nknow = ["{prompt}"]\nling = ["?"]\n', "utf-8"
        )
        monkeypatch.setenv("MELLA_LANGUAGES", str(tmp_path / folder))
        return run_identity(settings_with(languages="qu"))

    draft = identity("drafts", "Imataq kay?")
    assert identity("same", "Imataq kay?") == draft
    spoken = identity("spoken", "Kayqa imataq?")
    (tmp_path / "checkpoint-2").mkdir()
    claim(tmp_path, draft, False)
    with pytest.raises(MellaError, match="holds a run with other settings: the prompts of a language changed"):
        claim(tmp_path, spoken, False)


def test_watching_counts_only_where_it_may_end_the_run(settings_with: Any) -> None:
    watched = settings_with(watch_steps=2)
    assert run_identity(watched) == run_identity(settings_with())
    stops = {"watch_steps": 2, "watch_early_stop": "true"}
    assert run_identity(settings_with(**stops)) != run_identity(watched)
    assert run_identity(settings_with(**stops)) != run_identity(settings_with(**stops, watch_patience=9))


def test_how_often_a_run_is_saved_counts_only_where_the_best_step_is_the_result(settings_with: Any) -> None:
    best = {"eval_strategy": "steps", "eval_steps": 2, "save_steps": 2, "load_best_model_at_end": "true"}
    last = {**best, "load_best_model_at_end": "false"}
    assert run_identity(settings_with(**best)) != run_identity(settings_with(**last))
    seldom = {"save_steps": 4, "eval_steps": 4}
    assert run_identity(settings_with(**{**best, **seldom})) != run_identity(settings_with(**best))
    assert run_identity(settings_with(**{**last, **seldom})) == run_identity(settings_with(**last))


@pytest.mark.parametrize(
    "more", [{"eval_delay": 3}, {"per_device_eval_batch_size": 2}, {"metric_for_best_model": "eval_runtime"}]
)
def test_what_chooses_the_best_step_counts_where_it_is_the_result(settings_with: Any, more: dict[str, Any]) -> None:
    best = {"eval_strategy": "steps", "eval_steps": 2, "save_steps": 2, "load_best_model_at_end": "true"}
    last = {**best, "load_best_model_at_end": "false"}
    assert run_identity(settings_with(**best, **more)) != run_identity(settings_with(**best))
    assert run_identity(settings_with(**last, **more)) == run_identity(settings_with(**last))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sources": "ling"}, "sources was ['know', 'ling'] and is now ['ling']"),
        ({"learning_rate": 1e-3, "seed": 7}, "learning_rate was 0.01 and is now 0.001; seed was 42 and is now 7"),
        ({"lora_scope": "projector"}, "lora_scope was ['language_model'] and is now ['projector']"),
    ],
)
def test_a_run_with_other_settings_is_refused_by_their_names(
    settings_with: Any, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    """Other sources are other files too; the mark of their content tells a user nothing."""
    (tmp_path / "checkpoint-2").mkdir()
    claim(tmp_path, run_identity(settings_with()), False)
    with pytest.raises(MellaError) as refused:
        claim(tmp_path, run_identity(settings_with(**changed)), False)
    assert f"holds a run with other settings: {said}. Choose another output_dir" in str(refused.value)


def test_other_content_is_named_by_what_holds_it(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-2").mkdir()
    claim(tmp_path, {"data": "0a1b", "seed": 1}, False)
    with pytest.raises(MellaError, match=r"settings: the dataset \(its name, or the content of data_dir\) changed\."):
        claim(tmp_path, {"data": "9f9f", "seed": 1}, False)


def test_folders_may_move_but_not_change(
    settings_with: Any, tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run_identity(settings_with())
    shutil.copytree(tiny_dataset, tmp_path / "moved" / "data")
    shutil.copytree(tiny_qwen2vl, tmp_path / "moved" / "base")
    monkeypatch.chdir(tmp_path / "moved")
    assert run_identity(settings_with(data_dir="data", model_name_or_path="base")) == before
    shard = next((tmp_path / "moved" / "data" / "ar").glob("know-*.parquet"))
    shard.write_bytes((tiny_dataset / "ar" / shard.name.replace("know", "ling")).read_bytes())
    assert run_identity(settings_with(data_dir="data"))["data"] != before["data"]
    config = json.loads((tmp_path / "moved" / "base" / "config.json").read_text())
    (tmp_path / "moved" / "base" / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    assert run_identity(settings_with(model_name_or_path="base"))["backbone"] != before["backbone"]


def test_what_changed_is_said_and_a_field_of_another_version_is_no_other_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoint-2").mkdir()
    claim(tmp_path, {"lora_r": 4, "gone": 1}, False, {"lora_r": 4, "logging_steps": 10})
    claim(tmp_path, {"lora_r": 4, "new": 2}, False, {"lora_r": 4, "logging_steps": 5, "new": 2})
    said = "Going on with other settings, which do not change the result: logging_steps was 10 and is now 5.\n"
    assert capsys.readouterr().err == said
    claim(tmp_path, {"lora_r": 4, "new": 2}, False, {"lora_r": 4, "logging_steps": 5, "new": 2})
    assert capsys.readouterr().err == ""
    with pytest.raises(MellaError, match="new was 2 and is now 3"):
        claim(tmp_path, {"lora_r": 4, "new": 3}, False, {})


def test_checkpoints_without_the_optimizer_are_refused(settings_with: Any) -> None:
    with pytest.raises(MellaError, match="save_only_model is true: .* Set it to false"):
        settings_with(save_only_model="true")
