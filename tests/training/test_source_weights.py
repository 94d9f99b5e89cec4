"""Shares of the loss: an epoch's gradient is the weighted sum of the sources' own, whatever the batches."""

from pathlib import Path
from typing import Any

import pytest
from sft_runs import flags

from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.sft import build_trainer

SAMPLES = 5  # of each source; at three a batch, two batches of unlike size


@pytest.fixture(scope="module")
def gradients(tmp_path_factory: pytest.TempPathFactory, tiny_qwen2vl: Path, tiny_dataset: Path) -> Any:
    """A run's optimizer-step gradients of LoRA's B, and the trainer; the learning rate is 0, so weights stay."""
    import torch
    from transformers import TrainerCallback

    def run(**more: Any) -> tuple[list[torch.Tensor], Any]:
        out = tmp_path_factory.mktemp("run") / "out"
        settings = {
            "max_steps": -1, "num_train_epochs": 1, "learning_rate": 0, "lora_dropout": 0, "max_grad_norm": 0,
            "save_strategy": "no", "max_samples": SAMPLES, **more,
        }  # fmt: skip
        trainer, _ = build_trainer(parse_settings(flags(tiny_qwen2vl, tiny_dataset, out, **settings)))
        seen: list[torch.Tensor] = []

        class Grab(TrainerCallback):
            def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                seen.append(flat(trainer.model))

        trainer.add_callback(Grab())
        trainer.train()
        return seen, trainer

    return run


def flat(model: Any) -> Any:
    import torch

    return torch.cat([p.grad.flatten().clone() for n, p in model.named_parameters() if "lora_B" in n])


def own_gradient(trainer: Any, sources: list[str]) -> Any:
    """The gradient of the mean token loss over all samples of the sources, as the model itself computes it."""
    rows = [trainer.train_dataset[i] for i in range(2 * SAMPLES)]
    batch = trainer.data_collator([row for row in rows if row["source"] in sources])
    trainer.model.zero_grad()
    trainer.model(**batch).loss.backward()
    return flat(trainer.model)


@pytest.mark.parametrize("accumulation", [1, 3, 4])
def test_an_epochs_gradient_is_the_weighted_sum_of_the_sources(gradients: Any, accumulation: int) -> None:
    """Four batches: four steps, two of unlike size, or one."""
    import torch

    steps, trainer = gradients(gradient_accumulation_steps=accumulation, source_weights='{"know": 3, "ling": 1}')
    assert len(steps) == {1: 4, 3: 2, 4: 1}[accumulation]
    know, ling = own_gradient(trainer, ["know"]), own_gradient(trainer, ["ling"])
    assert not torch.allclose(know, ling, rtol=0.1)
    torch.testing.assert_close(sum(steps) / len(steps), 0.75 * know + 0.25 * ling, rtol=2e-4, atol=1e-6)


def test_a_source_of_weight_0_teaches_nothing(gradients: Any) -> None:
    import torch

    steps, trainer = gradients(gradient_accumulation_steps=4, source_weights='{"know": 0, "ling": 1}')
    torch.testing.assert_close(steps[0], own_gradient(trainer, ["ling"]), rtol=2e-4, atol=1e-6)


def test_without_weights_a_step_is_the_mean_over_its_tokens(gradients: Any) -> None:
    import torch

    steps, trainer = gradients(gradient_accumulation_steps=4)
    torch.testing.assert_close(steps[0], own_gradient(trainer, ["know", "ling"]), rtol=2e-4, atol=1e-6)
