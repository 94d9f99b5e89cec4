"""Load all weights of a PEFT adapter, or raise an error.

`PeftModel.from_pretrained` only warns about tensors of the file that the model has no place for, and about places that
the file has no tensor for. If its tensors have the names of another version of transformers, nothing is loaded, and the
scores would be those of the base.
"""

from pathlib import Path
from typing import Any

from mella_hf.errors import MellaError

# Old name -> new name. transformers 4.52 moved the parts of vision-language models under `model.`.
RENAMES = (
    ("base_model.model.model.layers.", "base_model.model.model.language_model.layers."),
    ("base_model.model.visual.", "base_model.model.model.visual."),
    ("base_model.model.language_model.model.", "base_model.model.model.language_model."),
    ("base_model.model.vision_model.", "base_model.model.model.vision_tower."),
    ("base_model.model.vision_tower.", "base_model.model.model.vision_tower."),
    ("base_model.model.multi_modal_projector.", "base_model.model.model.multi_modal_projector."),
)


def load_adapter(base: Any, folder: str | Path, *, is_trainable: bool = False) -> Any:
    """Put an adapter on a base: each tensor of its file is used, and each that the model expects is in the file.

    Names of older versions of transformers are translated (`RENAMES`).

    Args:
        base: the loaded base model.
        folder: folder of the PEFT adapter.
        is_trainable: whether its weights are trained further.

    Returns:
        The `PeftModel`.

    Raises:
        MellaError: when tensors are left over or missing, with one example of each.
        RuntimeError, ValueError: of PEFT, when shapes or modules do not fit.
    """
    import warnings

    from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
    from peft.utils import load_peft_weights

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*missing adapter keys.*")  # told below, as an error
        model = PeftModel.from_pretrained(base, str(folder), is_trainable=is_trainable)
    expected = _adapter_names(get_peft_model_state_dict(model, save_embedding_layers=False))
    weights = load_peft_weights(str(folder), device="cpu")
    found = _adapter_names(weights)
    if found == expected:
        return model
    renamed = {name: _renamed(name) for name in found}
    if set(renamed.values()) == expected:
        set_peft_model_state_dict(model, {renamed.get(name, name): tensor for name, tensor in weights.items()})
        return model
    left, missing = sorted(found - expected), sorted(expected - found)
    examples = [f"{len(left)} tensors have no place in the model, such as {left[0]!r}"] if left else []
    examples += [f"{len(missing)} are missing, such as {missing[0]!r}"] if missing else []
    raise MellaError(
        f"The adapter {str(folder)!r} does not fit the base model: of its {len(found)} tensors "
        f"{' and '.join(examples)}. "
        "It was made for another model, or with another version of transformers; train it again, or give its own base."
    )


def _adapter_names(weights: Any) -> set[str]:
    """The names of the adapter's own tensors, without the copies of the base's embeddings that some files hold."""
    return {name for name in weights if ".lora_" in name or "modules_to_save" in name}


def _renamed(name: str) -> str:
    for before, after in RENAMES:
        if name.startswith(before):
            return after + name.removeprefix(before)
    return name
