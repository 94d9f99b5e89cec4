"""The parts of a backbone: which modules LoRA adapts, and how many parameters of each part are trained.

A list such as `["q_proj", "v_proj"]` also matches the vision tower of several backbones, so targets
are regular expressions on the part's path.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mella_hf.errors import MellaError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

PARTS = ("language_model", "projector", "vision_tower")


@dataclass(frozen=True)
class Backbone:
    """The parts of a family of models, as regular expressions on module paths.

    A part is matched in the order projector, vision tower, language model, since some families keep
    the projector inside the vision tower.

    Attributes:
        image_bounds: settings that limit its image size; the processor silently ignores the others.
    """

    projector: str
    vision_tower: str
    image_bounds: tuple[str, ...]
    language_model: str = r"model\.language_model\."


_QWEN = Backbone(
    projector=r"model\.visual\.(merger|deepstack_merger_list)\.",
    vision_tower=r"model\.visual\.",
    image_bounds=("min_pixels", "max_pixels"),
)
_INTERNVL = Backbone(
    projector=r"model\.multi_modal_projector\.",
    vision_tower=r"model\.vision_tower\.",
    image_bounds=("max_patches",),
)
BACKBONES = {
    "qwen2_vl": _QWEN,
    "qwen2_5_vl": _QWEN,
    "qwen3_vl": _QWEN,
    "internvl": _INTERNVL,
}


def get_backbone(model_type: str) -> Backbone:
    """The parts of a `config.model_type`. Raises MellaError for an unknown family."""
    if model_type not in BACKBONES:
        raise MellaError(
            f"The model type {model_type!r} is not known here; choose a backbone of {', '.join(BACKBONES)}, "
            "or add its paths to mella_hf/training/backbones.py."
        )
    return BACKBONES[model_type]


def part_of(path: str, backbone: Backbone) -> str | None:
    """The part that a module or parameter path belongs to; None for what is in none (the LM head)."""
    for part in ("projector", "vision_tower", "language_model"):
        if re.search(getattr(backbone, part), path):
            return part
    return None


def lora_targets(model: "PreTrainedModel", scope: list[str]) -> str:
    """A regular expression for `LoraConfig.target_modules`: the linear layers of the parts in `scope`.

    The paper adapts the language model only, with vision tower and projector frozen.

    Raises:
        MellaError: on a part that is unknown, or in which no linear layer was found.
    """
    from torch import nn

    unknown = [part for part in scope if part not in PARTS]
    if unknown or not scope:
        raise MellaError(f"lora_scope is {scope}; choose among {', '.join(PARTS)}.")
    backbone = get_backbone(model.config.model_type)
    leaves: dict[str, set[str]] = {part: set() for part in scope}
    for path, module in model.named_modules():
        part = part_of(path, backbone)
        if isinstance(module, nn.Linear) and part in leaves:
            leaves[part].add(path)
    for part, paths in leaves.items():
        if not paths:
            raise MellaError(f"lora_scope names {part!r}, but {type(model).__name__} has no linear layer there.")
    patterns = {_pattern(model, path) for paths in leaves.values() for path in paths}
    return "|".join(sorted(patterns))


def _pattern(model: "nn.Module", path: str) -> str:
    """The path as an expression in which a layer's number stands for any: one pattern for all layers.

    Only numbers within a ModuleList, whose members are alike; in a Sequential the neighbour of a linear layer
    is an activation, which LoRA cannot adapt.
    """
    from torch import nn

    steps = path.split(".")
    alike = [isinstance(model.get_submodule(".".join(steps[:i])), nn.ModuleList) for i in range(len(steps))]
    return r"\.".join(r"\d+" if listed else step for step, listed in zip(steps, alike, strict=True))


def trainable_by_part(model: "nn.Module", model_type: str) -> dict[str, dict[str, int]]:
    """Parameters of each part: {"language_model": {"trainable": …, "total": …}, …, "other": …}."""
    backbone = get_backbone(model_type)
    counts = {part: {"trainable": 0, "total": 0} for part in (*PARTS, "other")}
    for path, parameter in model.named_parameters():
        entry = counts[part_of(path, backbone) or "other"]
        size = _weights(parameter)
        entry["total"] += size
        entry["trainable"] += size if parameter.requires_grad else 0
    return counts


def _weights(parameter: "nn.Parameter") -> int:
    """How many weights a parameter holds: bitsandbytes packs two of four bits into each byte of its storage."""
    packed = type(parameter).__name__ == "Params4bit"  # bitsandbytes need not be installed
    return parameter.numel() * (2 * parameter.element_size() if packed else 1)
