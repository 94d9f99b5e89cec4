"""Faster LoRA layers: the adapter's part is computed and added in one operation.

PEFT computes `base(x) + B(A(dropout(x))) * scaling` in three passes over the layer's output, and converts the input to
the adapter's float32 only for autocast to convert it back. On a GPU these passes are a tenth of a step.
"""

from functools import partial
from typing import Any

import torch


def fuse_lora(model: Any) -> None:
    """Let each plain LoRA layer of a model compute the same in fewer passes; other kinds stay as they are.

    Not for models whose weights are split over processes (FSDP, ZeRO-3): the weights are read where they are, without
    the layers that would gather them.

    Args:
        model: with an adapter of PEFT on it, or without; changed in place.
    """
    from peft.tuners.lora.layer import Linear

    for layer in model.modules():
        if type(layer) is Linear:  # subclasses compute something else
            vars(layer)["forward"] = partial(_forward, layer)


def _forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """`peft.tuners.lora.layer.Linear.forward`, with `addmm` for the sum; inputs of (..., features)."""
    active = layer.active_adapters
    plain = len(active) == 1 and active[0] in layer.lora_A and active[0] not in layer.lora_variant
    if args or kwargs or not plain or layer.disable_adapters or layer.merged:
        return type(layer).forward(layer, x, *args, **kwargs)
    (name,) = active
    first, second = layer.lora_A[name], layer.lora_B[name]
    converted = x.dtype == first.weight.dtype or torch.is_autocast_enabled(x.device.type)
    if second.bias is not None or not converted:
        return type(layer).forward(layer, x)
    result = layer.base_layer(x)
    low = first(layer.lora_dropout[name](x))
    rows, lows = result.reshape(-1, result.shape[-1]), low.reshape(-1, low.shape[-1])
    return torch.addmm(rows, lows, second.weight.t(), alpha=layer.scaling[name]).view(result.shape)
