"""Load a base model and, if one is given, its adapter."""

from pathlib import Path
from typing import Any

from mella_hf.answers.identity import check_adapter, recorded_revision
from mella_hf.answers.loading import check_padding, load_processor, load_weights
from mella_hf.keys import check_hub_token


def load_model(
    base: str, adapter: str | Path | None = None, *, revision: str | None = None, device: str | None = None
) -> tuple[Any, Any]:
    """Load a model in evaluation mode, and its processor.

    Args:
        base: Hub id or folder of an image-text-to-text model.
        adapter: folder of a PEFT adapter of that base; its chat template is used if it has one.
        revision: branch, tag or commit of a base on the Hub; by default the one that the adapter was trained on, else
            main.
        device: "cuda", "cpu", ...; by default the accelerator, if there is one.

    Raises:
        MellaError: if either cannot be loaded, or the adapter belongs to another base.
    """
    import torch

    check_hub_token(base)
    if adapter is not None:
        revision = revision or recorded_revision(base, [adapter])
        check_adapter(base, adapter, revision)
    place = processor_source(base, adapter)
    model: Any = load_weights(base, revision=revision, dtype="auto")
    processor = load_processor(place, revision=revision if place == base else None)
    check_padding(model, processor, place)
    if adapter is not None:
        from mella_hf.answers.adapter_weights import load_adapter

        model = load_adapter(model, adapter)
    if device is None:
        device = str(torch.accelerator.current_accelerator() or "cpu") if torch.accelerator.is_available() else "cpu"
    return model.to(device).eval(), processor


def processor_source(base: str, adapter: str | Path | None) -> str:
    """The source of the processor: the adapter's folder if it has one, otherwise the base."""
    if adapter is not None and (Path(adapter) / "tokenizer_config.json").exists():
        return str(adapter)
    return base
