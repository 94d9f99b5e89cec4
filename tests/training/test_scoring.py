"""Scores of labels alone: TRL's own loss, gradients and logs, on batches whose prompts and answers differ in length."""

from pathlib import Path
from typing import Any

import pytest
from sft_runs import flags

from mella_hf.compat import fused_output
from mella_hf.training import trainer as trainers
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.sft import build_trainer


@pytest.mark.skipif(fused_output() is None, reason="TRL before 1.16 scores labels itself")
@pytest.mark.parametrize("labelled", [3, 1, 0])
def test_loss_gradients_and_logs_are_trls_own(
    tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labelled: int
) -> None:
    """With labels in all rows of a batch, in one, in none."""
    import torch

    trainer, _ = build_trainer(parse_settings(flags(tiny_qwen2vl, tiny_dataset, tmp_path / "out", lora_dropout=0)))
    rows = [trainer.train_dataset[i] for i in (0, 1, len(trainer.train_dataset) - 1)]
    assert len({len(row["completion"][0]["content"][0]["text"]) for row in rows}) > 1
    batch = trainer.data_collator(rows)
    batch["labels"][labelled:] = -100
    trainer.model.train()

    def step(ours: bool) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        monkeypatch.setattr(trainers, "is_quicker", lambda device: ours)
        trainer._metrics["train"].clear()
        trainer._total_train_tokens = 0
        trainer.model.zero_grad()
        positions: list[int] = []
        head = trainer.model.get_output_embeddings()
        hook = head.register_forward_hook(lambda module, inputs, output: positions.append(inputs[0].shape[1]))
        loss = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=torch.tensor(7))
        loss.backward()
        hook.remove()
        assert bool(positions) == ours and all(n < batch["labels"].shape[1] for n in positions)
        gradients = {name: p.grad for name, p in trainer.model.named_parameters() if p.requires_grad}
        return loss.detach(), gradients, {key: list(values) for key, values in trainer._metrics["train"].items()}

    loss, gradients, logs = step(ours=True)
    expected_loss, expected_gradients, expected_logs = step(ours=False)
    assert (expected_loss > 0) == bool(labelled)
    torch.testing.assert_close(loss, expected_loss)
    largest = max(float(gradient.abs().max()) for gradient in expected_gradients.values())
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-4, atol=1e-5 * largest)
    assert logs.keys() == expected_logs.keys() >= {"entropy", "mean_token_accuracy", "num_tokens"}
    assert {k: pytest.approx(v, rel=1e-5) for k, v in expected_logs.items()} == logs
