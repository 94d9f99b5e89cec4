"""Two stages: the second goes on with the first's adapter, with replay or EWC. test_forgetting_formulas.py is quick."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mella_hf.dataset.write import write_split
from mella_hf.errors import MellaError
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.feeding import load_training_data
from mella_hf.training.forgetting import FISHER_FILE, draw_replay
from mella_hf.training.sft import build_trainer, train


@pytest.fixture(scope="module")
def two_sources(tmp_path_factory: pytest.TempPathFactory, make_rows: Any) -> Path:
    from datasets import Image

    folder = tmp_path_factory.mktemp("mella")
    for source, count, start in (("know", 8, 0), ("ling", 10, 50)):
        rows = make_rows(count, source=source, start=start)
        write_split(rows.cast_column("image", Image(decode=False)), folder, "ar", source)
    return folder


def settings(model: Path, data: Path, out: Path, **more: Any) -> Any:
    values = {
        "model_name_or_path": model, "data_dir": data, "languages": ["ar"], "output_dir": out, "use_peft": True,
        "lora_r": 4, "lora_dropout": 0.0, "max_steps": 4, "per_device_train_batch_size": 2, "save_strategy": "no",
        "logging_steps": 1, "learning_rate": 1e-2, "report_to": "none", "use_cpu": True, "dtype": "float32",
        "max_length": None, "gradient_checkpointing": False, "bf16": False, "lr_scheduler_type": "constant", **more,
    }  # fmt: skip
    recipe = out.parent / f"{out.name}.yaml"
    recipe.write_text(json.dumps(values, default=str))  # JSON is YAML
    return parse_settings(["--config", str(recipe)])


@pytest.fixture(scope="module")
def stage_one(tmp_path_factory: pytest.TempPathFactory, tiny_qwen2vl: Path, two_sources: Path) -> Path:
    out = tmp_path_factory.mktemp("one") / "run"
    return train(settings(tiny_qwen2vl, two_sources, out, sources=["ling"], fisher_samples=5))


def weights(adapter: Path) -> dict[str, torch.Tensor]:
    return load_file(adapter / "adapter_model.safetensors")


def test_fisher_is_saved_with_the_adapter_and_is_that_of_the_answers(
    stage_one: Path, tiny_qwen2vl: Path, two_sources: Path
) -> None:
    """The oracle: logits of the saved adapter, log-softmax and squared gradients, summed by hand over its samples."""
    import random

    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from mella_hf.training.batches.chat import to_conversation

    fisher, names = load_file(stage_one / FISHER_FILE), set(weights(stage_one))
    assert set(fisher) == names and all((value >= 0).all() for value in fisher.values())
    model = PeftModel.from_pretrained(
        AutoModelForImageTextToText.from_pretrained(tiny_qwen2vl), stage_one, is_trainable=True
    ).eval()
    processor = AutoProcessor.from_pretrained(tiny_qwen2vl)
    rows = load_training_data(settings(tiny_qwen2vl, two_sources, stage_one.parent, sources=["ling"]).data)
    total = {name: torch.zeros_like(value) for name, value in fisher.items()}
    parameters = {n.replace(".default.", "."): p for n, p in model.named_parameters() if p.requires_grad}
    for index in random.Random("fisher/42").sample(range(len(rows)), 5):
        turn = to_conversation(rows[index], 42)
        question = processor.apply_chat_template(turn["prompt"], add_generation_prompt=True)
        whole = processor.apply_chat_template(turn["prompt"] + turn["completion"])
        inputs = processor(text=[whole], images=turn["images"], return_tensors="pt")
        start = processor(text=[question], images=turn["images"], return_tensors="pt")["input_ids"].shape[1]
        chosen = model(**inputs).logits[0, :-1].log_softmax(-1).gather(1, inputs["input_ids"][0, 1:, None])[:, 0]
        model.zero_grad()
        chosen[start - 1 :].sum().backward()
        for name, parameter in parameters.items():
            total[name] += parameter.grad**2 / 5
    for name in names:
        torch.testing.assert_close(fisher[name], total[name], rtol=1e-3, atol=1e-8)


def test_the_second_stage_starts_where_the_first_ended(
    stage_one: Path, tiny_qwen2vl: Path, two_sources: Path, tmp_path: Path
) -> None:
    common = {"sources": ["know"], "init_adapter": stage_one}
    still = train(settings(tiny_qwen2vl, two_sources, tmp_path / "still", learning_rate=0, weight_decay=0, **common))
    assert all(torch.equal(value, weights(still)[name]) for name, value in weights(stage_one).items())
    moved = train(settings(tiny_qwen2vl, two_sources, tmp_path / "moved", **common))
    assert any(not torch.equal(value, weights(moved)[name]) for name, value in weights(stage_one).items())
    record = json.loads((tmp_path / "moved" / "training.json").read_text())
    assert record["samples"] == {"know": 8} and len(record["identity"]["init_adapter"]) == 64


def test_ewc_holds_the_weights_of_the_first_stage(
    stage_one: Path, tiny_qwen2vl: Path, two_sources: Path, tmp_path: Path
) -> None:
    def importance_moved(name: str, **more: Any) -> float:
        out = tmp_path / name
        adapter = train(settings(tiny_qwen2vl, two_sources, out, sources=["know"], init_adapter=stage_one, **more))
        before, after, fisher = weights(stage_one), weights(adapter), load_file(stage_one / FISHER_FILE)
        return sum(float((fisher[n] * (after[n] - before[n]) ** 2).sum()) for n in before)

    free, held = importance_moved("free"), importance_moved("held", ewc_lambda=1e4)
    assert held < free / 3
    log = json.loads((tmp_path / "held" / "training.json").read_text())["log_history"]
    penalties = [entry["ewc_penalty"] for entry in log if "ewc_penalty" in entry]
    assert penalties[0] == 0 and penalties[-1] > 0  # nothing has moved before the first step


def test_ewc_counts_once_a_step_however_many_batches_it_has(
    stage_one: Path, tiny_qwen2vl: Path, two_sources: Path, tmp_path: Path
) -> None:
    common = {"sources": ["know"], "init_adapter": stage_one, "ewc_lambda": 50.0, "max_grad_norm": 0.0, "max_steps": 1}
    trainer, _ = build_trainer(
        settings(tiny_qwen2vl, two_sources, tmp_path / "two", gradient_accumulation_steps=2, **common)
    )
    with torch.no_grad():  # so that there is a penalty from the first step on
        for parameter, _, _ in trainer.elastic.held:
            parameter += 0.1
    calls = []
    add = trainer.elastic.add_gradient
    trainer.elastic.add_gradient = lambda: (calls.append(trainer.state.global_step), add())
    trainer.train()
    assert calls == [0]


def test_a_resumed_second_stage_ends_the_same(
    stage_one: Path, tiny_qwen2vl: Path, two_sources: Path, tmp_path: Path
) -> None:
    """Resumed at step 2, the weights are still held to those of the first stage, not to those of the checkpoint."""
    more = {"sources": ["know"], "init_adapter": stage_one, "ewc_lambda": 1e3, "replay_share": 0.3}
    more |= {"save_strategy": "steps", "save_steps": 2}
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    train(settings(tiny_qwen2vl, two_sources, whole, **more))
    shutil.copytree(whole, resumed)
    shutil.rmtree(resumed / "checkpoint-4")
    shutil.rmtree(resumed / "adapter")
    (resumed / "training.json").unlink()
    train(settings(tiny_qwen2vl, two_sources, resumed, **more))
    assert all(torch.equal(value, weights(resumed / "adapter")[n]) for n, value in weights(whole / "adapter").items())


def test_replay_draws_by_seed_without_replacement(make_rows: Any, tiny_qwen2vl: Path, two_sources: Path) -> None:
    rows = make_rows(20, source="ling")
    first, again, other = (draw_replay(rows, 0.25, seed)["id"] for seed in (1, 1, 2))
    assert list(first) == list(again) and len(set(first)) == 5
    assert list(first) != list(other) and set(first) <= set(rows["id"])
    assert len(draw_replay(rows, 0.001, 0)) == 1
    run = settings(tiny_qwen2vl, two_sources, two_sources / "run", sources=["know"], replay_share=0.3)
    assert sorted(load_training_data(run.data, run.forgetting.replay_share, 0)["source"]) == ["know"] * 8 + ["ling"] * 3


def test_settings_that_cannot_work_are_refused(
    stage_one: Path, tiny_qwen2vl: Path, two_sources: Path, tmp_path: Path
) -> None:
    def fails(match: str, **more: Any) -> None:
        with pytest.raises(MellaError, match=match):
            train(settings(tiny_qwen2vl, two_sources, tmp_path / f"run-{match[:6]}", **more))

    fails("replay_share is 1.5; give a share in", replay_share=1.5, sources=["know"])
    fails("nothing is left to replay", replay_share=0.5)
    fails("ewc_lambda needs init_adapter", ewc_lambda=1.0)
    fails("fisher_samples is 0", fisher_samples=0)
    fails("has r 4, but the recipe asks for 8", init_adapter=stage_one, lora_r=8)
    fails("No adapter at .*nowhere", init_adapter=tmp_path / "nowhere")
    without = tmp_path / "without"
    without.mkdir()
    for file in stage_one.iterdir():
        if file.name != FISHER_FILE:
            (without / file.name).write_bytes(file.read_bytes())
    fails("has no fisher.safetensors, which ewc_lambda needs", init_adapter=without, ewc_lambda=1.0)
