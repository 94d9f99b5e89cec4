"""Merge an adapter into its base; the result needs neither PEFT nor the base."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.identity import PROVENANCE, model_identity
from mella_hf.answers.models import load_model
from mella_hf.errors import MellaError
from mella_hf.files import write_atomic
from mella_hf.hub.card import read_provenance, write_adapter_card
from mella_hf.languages import get_language

if TYPE_CHECKING:
    from torch import Tensor

# How far logits may move, as a share of their largest magnitude: rounding of sums in float32; in the half precisions
# the merged weights themselves are rounded (bfloat16 has 8 bits).
TOLERANCES = {"torch.float32": 1e-4, "torch.float16": 1e-2, "torch.bfloat16": 5e-2}


def merge_adapter(folder: Path | str, out: Path | str, *, base: str | None = None, max_shard_size: str = "5GB") -> Path:
    """Write base and adapter as one model with processor, card and provenance, and load it again to compare logits.

    A folder that holds this very merge is left as it is.

    Args:
        folder: what `prepare_adapter` wrote.
        out: the folder to write; replaced whole.
        base: where the base is, when it is not on the Hub under the name that the card gives.
        max_shard_size: of a safetensors file; small files make an upload that is interrupted lose less.

    Returns:
        `out`.

    Raises:
        MellaError: when the base is another one or not given, or the merged model's logits are not those of base and
            adapter within `TOLERANCES`.
    """
    from transformers import AutoModelForImageTextToText

    folder, out = Path(folder), Path(out)
    facts = read_provenance(folder)
    if base is None and facts["base_is_local"]:
        raise MellaError(f"The base {facts['base_id']!r} is not on the Hub; say where it is with --base FOLDER.")
    base = base or facts["base_id"]
    identity = model_identity(base, folder)
    if _is_merge_of(out, identity):
        return out
    model, processor = load_model(base, folder, device="cpu")
    prompt = get_language(facts["language"]).test_prompt("ling")
    ids = processor.tokenizer(prompt, return_tensors="pt")["input_ids"]  # [1, T]
    expected = _logits(model, ids)
    aside = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    model = model.merge_and_unload(safe_merge=True)
    model.save_pretrained(aside, max_shard_size=max_shard_size)
    processor.save_pretrained(aside)
    dtype = str(model.dtype)
    del model
    found = _logits(AutoModelForImageTextToText.from_pretrained(aside, dtype="auto").eval(), ids)
    difference = float((found - expected).abs().max() / expected.abs().max())
    if not difference <= TOLERANCES[dtype]:  # also when it is no number
        shutil.rmtree(aside)
        raise MellaError(
            f"The merged model's logits differ by {difference:.1e} of their range, more than "
            f"{TOLERANCES[dtype]:.0e} in {dtype}. Push the adapter itself, without --merge."
        )
    facts["merged"] = {**_hashes(identity), "dtype": dtype.removeprefix("torch.")}
    facts["merged"] |= {"difference": difference, "tolerance": TOLERANCES[dtype]}
    write_atomic(aside / PROVENANCE, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    write_adapter_card(aside, name=out.name)
    shutil.rmtree(out, ignore_errors=True)
    aside.rename(out)
    return out


def _hashes(identity: dict[str, Any]) -> dict[str, Any]:
    """The content hashes of an identity, without its paths."""
    return {key: identity[key] for key in ("base_hash", "adapter_hash")}


def _is_merge_of(out: Path, identity: dict[str, Any]) -> bool:
    if not (out / PROVENANCE).is_file():
        return False
    merged = read_provenance(out).get("merged") or {}
    return all(merged.get(key) == value for key, value in _hashes(identity).items())


def _logits(model: Any, ids: "Tensor") -> "Tensor":
    """Logits [T, V] of a text, in float32."""
    import torch

    with torch.no_grad():
        return model(input_ids=ids.to(model.device)).logits[0].float().cpu()
