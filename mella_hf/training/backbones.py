"""The parts of a backbone: which modules LoRA adapts, and how many parameters of each part are trained.

The model itself says where its language model and its vision tower are, by the accessors of transformers. The projector
is the rest; only some families keep it inside the vision tower.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

PARTS = ("language_model", "projector", "vision_tower")
# Projectors that are modules of the vision tower: of Qwen-VL, GLM-V and their like.
IN_TOWER = ("merger", "deepstack_merger_list")


@dataclass(frozen=True)
class Backbone:
    """Where the parts of a model are, as prefixes of module paths; each ends with a dot.

    Attributes:
        outside: what belongs to no part: the LM head, and what hears.
    """

    language_model: str
    vision_tower: str
    outside: tuple[str, ...]

    def part_of(self, path: str) -> str | None:
        """The part that a module or parameter path belongs to; None outside all parts."""
        path = f"{path}."
        if path.startswith(self.outside):
            return None
        if path.startswith(self.language_model):
            return "language_model"
        if path.startswith(self.vision_tower):
            inside = path.removeprefix(self.vision_tower).split(".", 1)[0]
            return "projector" if inside in IN_TOWER else "vision_tower"
        return "projector"


def find_parts(model: "PreTrainedModel") -> Backbone:
    """Ask a model where its parts are.

    Raises:
        MellaError: if it does not say so; names what is missing.
    """
    path_of = {id(module): path for path, module in model.named_modules()}
    found: dict[str, Any] = {"language model": model.get_decoder(), "vision tower": model.get_encoder(modality="image")}
    for what, module in found.items():
        if path_of.get(id(module), "") in ("", model.base_model_prefix):
            raise MellaError(
                f"{type(model).__name__} does not say which module is its {what}, so LoRA cannot be put on it alone; "
                "choose another backbone."
            )
    language, tower = (f"{path_of[id(module)]}." for module in found.values())
    # Llama 4 and others hold a language model with its head.
    heads = [with_head.get_output_embeddings() for with_head in (model, found["language model"])]
    outside = {path_of[id(head)] for head in heads if head is not None}
    outside |= {path for path in path_of.values() if "audio" in path.rsplit(".", 1)[-1]}
    return Backbone(language, tower, tuple(f"{path}." for path in sorted(outside)))


def lora_targets(model: "PreTrainedModel", scope: list[str]) -> list[str]:
    """The linear layers of the parts in `scope`, as a list for `LoraConfig.target_modules`.

    The paper adapts the language model only, with vision tower and projector frozen. A layer's own name stands for all
    layers of that name where no other part has one ("q_proj"); otherwise each is named by its whole path. vLLM and
    SGLang read both; SGLang refuses regular expressions.

    Raises:
        MellaError: on a part that is unknown, or in which no linear layer was found.
    """
    from torch import nn

    unknown = [part for part in scope if part not in PARTS]
    if unknown or not scope:
        raise MellaError(f"lora_scope is {scope}; choose among {', '.join(PARTS)}.")
    backbone = find_parts(model)
    inside: dict[str, set[str]] = {part: set() for part in scope}
    others: set[str] = set()  # the names of all modules elsewhere
    for path, module in model.named_modules():
        part = backbone.part_of(path)
        if isinstance(module, nn.Linear) and part in inside and not _is_router(module):
            inside[part].add(path)
        else:
            others.add(_name(path))
    for part, paths in inside.items():
        if not paths:
            raise MellaError(
                f"lora_scope names {part!r}, but {type(model).__name__} has no linear layer there; leave it out."
            )
    chosen = set().union(*inside.values())
    return sorted({path if _name(path) in others or _name(path).isdigit() else _name(path) for path in chosen})


def _is_router(module: "nn.Linear") -> bool:
    """Whether a layer chooses experts: models define a linear layer of their own for that."""
    return type(module).__module__.startswith("transformers.models.")


def _name(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def trainable_by_part(model: Any) -> dict[str, dict[str, int]]:
    """Parameters of each part: {"language_model": {"trainable": …, "total": …}, …, "other": …}.

    Args:
        model: of transformers, or with an adapter of PEFT on it.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    backbone = find_parts(base)
    counts = {part: {"trainable": 0, "total": 0} for part in (*PARTS, "other")}
    for path, parameter in base.named_parameters():
        entry = counts[backbone.part_of(path) or "other"]
        size = _weights(parameter)
        entry["total"] += size
        entry["trainable"] += size if parameter.requires_grad else 0
    return counts


def rest_tower(model: Any) -> None:
    """Compute no gradients in a vision tower of which nothing is trained.

    With an adapter and gradient checkpointing, transformers lets gradients flow into every part that has embeddings,
    the patches of the vision tower too. A frozen tower then runs forwards twice and backwards once for nothing.

    Args:
        model: of transformers, or with an adapter of PEFT on it; changed in place.
    """
    import torch

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    tower = base.get_encoder(modality="image")
    if tower is not base and not any(parameter.requires_grad for parameter in tower.parameters()):
        tower.forward = torch.no_grad()(tower.forward)


def _weights(parameter: "nn.Parameter") -> int:
    """How many weights a parameter holds: bitsandbytes packs two of four bits into each byte of its storage."""
    packed = type(parameter).__name__ == "Params4bit"  # bitsandbytes need not be installed
    return parameter.numel() * (2 * parameter.element_size() if packed else 1)
