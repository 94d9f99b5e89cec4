"""Load all weights of a PEFT adapter, or raise an error.

`PeftModel.from_pretrained` only warns about tensors of the file that the model has no place for, and about places that
the file has no tensor for. If its tensors have the names of another version of transformers, nothing is loaded, and the
scores would be those of the base.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError, first_line

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import Tensor

# Old beginning -> new beginning of a module's path. transformers 4.52 moved the parts of vision-language models under
# `model.`; version 5 removed a level of SigLIP and CLIP. The first that leads to a module of the model holds.
RENAMES = (
    ("language_model.model.", "model.language_model."),
    ("language_model.lm_head.", "lm_head."),
    ("visual.", "model.visual."),
    ("vision_tower.vision_model.", "model.vision_tower."),
    ("vision_tower.", "model.vision_tower."),
    ("vision_model.", "model.vision_model."),
    ("vision_model.", "model.vision_tower."),
    ("multi_modal_projector.", "model.multi_modal_projector."),
    ("model.vision_tower.vision_model.", "model.vision_tower."),
    ("model.", "model.language_model."),
)
KEEP_BASE = ("gaussian", "eva", "orthogonal")  # ways to start LoRA that leave the base's weights alone
PREFIX = "base_model.model."  # PEFT puts it before each path


def load_adapter(base: Any, folder: str | Path, *, is_trainable: bool = False) -> Any:
    """Put an adapter on a base: each tensor of its file is used, and each that the model expects is in the file.

    Names of older versions of transformers are translated (`RENAMES`), in the tensors and in the configuration.

    Args:
        base: the loaded base model.
        folder: folder of the PEFT adapter.
        is_trainable: whether its weights are trained further.

    Returns:
        The `PeftModel`.

    Raises:
        MellaError: when the adapter cannot be read, or tensors are left over, missing or of another shape.
    """
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    config = _read_config(folder)
    found, used = _renamed(_read_weights(folder), base)
    if used:
        _rename_config(config, base, used)
    config.inference_mode = not is_trainable
    named_base, config.base_model_name_or_path = config.base_model_name_or_path, base.name_or_path
    try:
        model = get_peft_model(base, config)
        config.base_model_name_or_path = named_base
        expected = get_peft_model_state_dict(model, save_embedding_layers=False)
        extra = [name for name in found if name not in expected and not _is_copy(name, found[name], model)]
        missing = [name for name in expected if name not in found]
        if not extra and not missing:
            result: Any = set_peft_model_state_dict(model, {name: found[name] for name in expected})
            extra = result.unexpected_keys
    except (RuntimeError, ValueError, KeyError) as error:  # torch names the shapes, PEFT the modules that do not fit
        raise MellaError(
            f"The adapter {str(folder)!r} does not fit the base model {base.name_or_path!r}: {first_line(error)} "
            "Give as base the model that the adapter was trained on."
        ) from error
    if extra or missing:
        examples = [f"{len(extra)} tensors have no place in the model, such as {extra[0]!r}"] if extra else []
        examples += [f"{len(missing)} are missing, such as {missing[0]!r}"] if missing else []
        raise MellaError(
            f"The adapter {str(folder)!r} does not fit the base model {base.name_or_path!r}: of its {len(found)} "
            f"tensors {' and '.join(examples)}. "
            "It was made for another model, or with another version of transformers; train it again, or give its own "
            "base."
        )
    return model if is_trainable else model.eval()


def changes_base(model: Any) -> bool:
    """Whether a loaded adapter changed weights of the base itself, so that the base's answers need another copy of it.

    It did if it trained the base's biases, or was started from a part of the base's weights (PiSSA, OLoRA and others).
    """
    config = model.peft_config["default"]
    start = getattr(config, "init_lora_weights", True)
    return getattr(config, "bias", "none") != "none" or (isinstance(start, str) and start.lower() not in KEEP_BASE)


def _read_config(folder: str | Path) -> "PeftConfig":
    """The adapter's configuration. Raises MellaError if PEFT does not know it, or it cannot work here."""
    from peft import PeftConfig

    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (KeyError, TypeError, ValueError) as error:
        raise MellaError(
            f"PEFT cannot read the configuration of the adapter {str(folder)!r}: {first_line(error)} "
            "Update peft, or save the adapter again."
        ) from error
    if config.is_prompt_learning:
        raise MellaError(
            f"The adapter {str(folder)!r} is of the kind {config.peft_type.value}, which puts virtual tokens before "
            "the question. Vision-language models do not take these; use an adapter of the layers, such as LoRA."
        )
    return config


def _read_weights(folder: str | Path) -> dict[str, "Tensor"]:
    """The tensors of the adapter's file. Raises MellaError if it is damaged or holds what is no number."""
    from pickle import UnpicklingError

    from peft.utils import load_peft_weights
    from safetensors import SafetensorError

    try:
        weights = load_peft_weights(str(folder), device="cpu")
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError) as error:
        raise MellaError(
            f"The weights of the adapter {str(folder)!r} cannot be read: {first_line(error, 120)} "
            "Download or copy the file again; if it is a text of three lines, run `git lfs pull`."
        ) from error
    for name, tensor in weights.items():
        if not (tensor.is_floating_point() and bool(tensor.isfinite().all())):
            what = "NaN or infinity" if tensor.is_floating_point() else f"{tensor.dtype} instead of floating point"
            raise MellaError(
                f"The adapter {str(folder)!r} is broken: its tensor {name!r} holds {what}. "
                "Take an earlier checkpoint, or train it again."
            )
    return weights


def _is_copy(name: str, tensor: "Tensor", model: Any) -> bool:
    """Whether a tensor of the file is a copy of the base's own: some files hold the embeddings, too."""
    import torch

    path, _, last = name.rpartition(".")
    for inside in ("", "base_layer.", "original_module."):
        try:
            own = model.get_parameter(f"{path}.{inside}{last}")
        except AttributeError:
            continue
        return own.shape == tensor.shape and torch.equal(own.cpu(), tensor.to(own.dtype))
    return False


def _plain_name(name: str) -> str:
    """A tensor's name as PEFT saves it; some programs save the names that it has in memory."""
    name = name.replace(".default.", ".").removesuffix(".default").replace(".modules_to_save.", ".")
    name = name.replace(".lora_magnitude_vector.weight", ".lora_magnitude_vector")
    return name if name.startswith("base_model.") else PREFIX + name


def _renamed(weights: Mapping[str, "Tensor"], base: Any) -> tuple[dict[str, "Tensor"], list[tuple[str, str]]]:
    """The tensors by their names in this model, and the `RENAMES` that it took."""
    # Containers are no place for a tensor.
    places = {path for path, module in base.named_modules() if next(module.parameters(recurse=False), None) is not None}
    used: dict[tuple[str, str], None] = {}
    renamed = {}
    for name, tensor in weights.items():
        path = _plain_name(name).removeprefix(PREFIX)
        rename = _needed_rename(path, places)
        if rename is not None:
            used[rename] = None
            path = rename[1] + path.removeprefix(rename[0])
        renamed[path if path.startswith("base_model.") else PREFIX + path] = tensor
    return renamed, list(used)


def _needed_rename(path: str, places: Collection[str]) -> tuple[str, str] | None:
    """The rename that leads from a tensor's path to a place in the model; None if it is there, or none does."""
    if _is_inside(path, places):
        return None
    for before, after in RENAMES:
        if path.startswith(before) and _is_inside(after + path.removeprefix(before), places):
            return before, after
    return None


def _is_inside(path: str, places: Collection[str]) -> bool:
    """Whether a tensor belongs to one of the places: "a.q_proj.lora_A.weight" to "a.q_proj"."""
    parts = path.split(".")
    return any(".".join(parts[:-depth]) in places for depth in (1, 2, 3))


def _rename_config(config: Any, base: Any, used: Sequence[tuple[str, str]]) -> None:
    """Let a configuration that was made for old paths name the same modules by their new ones."""
    from peft.tuners.tuners_utils import check_target_module_exists
    from peft.utils.other import get_pattern_key

    moved = any(not before.startswith("model.vision_tower.") for before, _ in used)

    def old(path: str) -> str:
        for before, after in used:
            if path.startswith(after):
                return before + path.removeprefix(after)
        return path.removeprefix("model.") if moved else path  # all but the language model stood at the top

    paths = {path: old(path) for path, _ in base.named_modules() if path}
    targets = getattr(config, "target_modules", None)
    if targets and targets != "all-linear":
        paths = {path: was for path, was in paths.items() if check_target_module_exists(config, was)} or paths
        config.target_modules = set(paths)
        for setting in ("exclude_modules", "layers_to_transform", "layers_pattern"):
            if getattr(config, setting, None) is not None:
                setattr(config, setting, None)
    for setting in ("rank_pattern", "alpha_pattern"):
        pattern = getattr(config, setting, None)
        if pattern and all(isinstance(value, int | float) for value in pattern.values()):
            keys = {path: get_pattern_key(pattern, was) for path, was in paths.items()}
            setattr(config, setting, {re.escape(path): pattern[key] for path, key in keys.items() if key in pattern})
    if config.modules_to_save:
        config.modules_to_save = [_new_module(name, base, used) for name in config.modules_to_save]


def _new_module(name: str, base: Any, used: Sequence[tuple[str, str]]) -> str:
    """The new path of a module that is named by its old one; any other name stays."""
    if any(path.endswith(name) for path, _ in base.named_modules()):
        return name
    new = (after + f"{name}.".removeprefix(before) for before, after in used if f"{name}.".startswith(before))
    return next(new, name).rstrip(".")
