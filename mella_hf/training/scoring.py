"""Log-probabilities of a batch's labels, computed only at positions that have a label.

TRL skips images, prompts and padding only if its Triton kernel runs; otherwise it scores every position, in about
twenty passes over all logits. On a CPU this took half of a small backbone's step.
"""

from typing import Any

import torch

from mella_hf.compat import fused_output

IGNORED = -100  # a position without a label


class LabelledScores:
    """A stand-in for TRL's model that scores only positions that predict a label in some row.

    Args:
        model: wrapped or not; it computes fewer logits if its `forward` takes `logits_to_keep`.
    """

    def __init__(self, model: Any):
        self.model = model

    def __call__(self, *, labels: torch.Tensor, fused_lm_head: bool, **inputs: Any) -> Any:
        """Scores of a batch with labels of (rows, positions), each of (rows, kept positions)."""
        targets = labels[:, 1:]
        kept = (targets != IGNORED).any(0).nonzero().squeeze(1)
        targets = targets.index_select(1, kept)
        mask = targets != IGNORED
        logits = self.model(**inputs, logits_to_keep=kept).logits
        if logits.shape[1] != len(kept):  # a model that takes no `logits_to_keep`
            logits = logits.index_select(1, kept)
        scores = logits.float().log_softmax(-1)
        log_probs = scores.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        with torch.no_grad():
            entropy = -(scores.exp() * scores).sum(-1)
            is_top1 = scores.argmax(-1) == targets
        return fused_output()(
            log_probs=log_probs.masked_fill(~mask, 0),
            entropy=entropy.masked_fill(~mask, 0),
            is_top1=is_top1 & mask,
            label_mask=mask,
        )


def label_loss(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """The mean loss of a batch's labels, computed as in a step of training: without logits of other positions.

    Args:
        model: that a `MellaTrainer` has prepared, or any other.
        batch: inputs with labels of (rows, positions).
    """
    labels = batch["labels"]
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    if is_quicker(labels.device):
        scores = LabelledScores(model)(labels=labels, fused_lm_head=True, use_cache=False, **inputs)
    elif fused_output() is not None and _is_fused(model):
        scores = model(labels=labels, fused_lm_head=True, **inputs)
    else:
        return model(labels=labels, use_cache=False, **inputs).loss
    return -scores.log_probs.sum() / scores.label_mask.sum().clamp(min=1)


def _is_fused(model: Any) -> bool:
    """Whether TRL's trainer has given this model its own scoring of labels, which takes `fused_lm_head`."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "forward" in vars(base)  # the trainer replaces the method on the object


def is_quicker(device: torch.device) -> bool:
    """Whether TRL lets others score labels, and this is faster than its own scoring on this device."""
    return device.type == "cpu" and fused_output() is not None
