"""Merge an adapter into its base; the result needs neither PEFT nor the base."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.identity import PROVENANCE, model_identity
from mella_hf.answers.models import load_model
from mella_hf.answers.records import ModelIdentity
from mella_hf.errors import MellaError
from mella_hf.files import write_atomic
from mella_hf.hub.card import CARD, CardChoice, is_edited, keep_edited, read_provenance, write_adapter_card
from mella_hf.hub.records import MergeRecord, Provenance
from mella_hf.languages import get_language

if TYPE_CHECKING:
    from torch import Tensor

# How far logits may move, as a share of their largest magnitude: rounding of sums in float32; in the half precisions
# the merged weights themselves are rounded (bfloat16 has 8 bits).
TOLERANCES = {"torch.float32": 1e-4, "torch.float16": 1e-2, "torch.bfloat16": 5e-2}


def merge_adapter(
    folder: Path | str,
    out: Path | str,
    *,
    base: str | None = None,
    max_shard_size: str = "5GB",
    edited: CardChoice = None,
) -> Path:
    """Write base and adapter as one model with processor, card and provenance, and load it again to compare logits.

    A folder that holds this very merge keeps its weights; its card and provenance are written anew.

    Args:
        folder: what `prepare_adapter` wrote.
        out: the folder to write; replaced whole.
        base: where the base is, when it is not on the Hub under the name that the card gives.
        edited: what to do with a card in `out` that was edited by hand.
        max_shard_size: of a safetensors file; small files make an upload that is interrupted lose less.

    Returns:
        `out`.

    Raises:
        MellaError: when the base is another one or not given, `out` has an edited card and `edited` is None, or the
            merged model's logits are not those of base and adapter within `TOLERANCES`, or are those of the base.
    """
    from transformers import AutoModelForImageTextToText

    folder, out = Path(folder), Path(out)
    facts = read_provenance(folder)
    if base is None and facts["base_is_local"]:
        raise MellaError(f"The base {facts['base_id']!r} is not on the Hub; say where it is with --base FOLDER.")
    kept = keep_edited(out, edited)
    revision = facts.get("base_revision") if base is None else None
    base = base or facts["base_id"]
    identity = model_identity(base, folder, revision)
    merged = _merged(out, identity)
    if merged is not None:
        _describe(out, {**facts, "merged": merged}, edited)
        return out
    model, processor = load_model(base, folder, revision=revision, device="cpu")
    inputs = _question(processor, get_language(facts["language"]).test_prompt("ling"))
    expected = _logits(model, inputs)
    with model.disable_adapter():
        bare = _logits(model, inputs)
    aside = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    model = model.merge_and_unload(safe_merge=True)
    model.save_pretrained(aside, max_shard_size=max_shard_size)
    processor.save_pretrained(aside)
    dtype = str(model.dtype)
    del model
    found = _logits(AutoModelForImageTextToText.from_pretrained(aside, dtype="auto").eval(), inputs)
    difference = float((found - expected).abs().max() / expected.abs().max())
    if not difference <= TOLERANCES[dtype]:  # also when it is NaN
        shutil.rmtree(aside)
        raise MellaError(
            f"The merged model's logits differ by {difference:.1e} of their range, more than "
            f"{TOLERANCES[dtype]:.0e} in {dtype}. Push the adapter itself, without --merge."
        )
    if (found - bare).norm() <= (found - expected).norm():
        shutil.rmtree(aside)
        raise MellaError(
            f"The merged model answers as the base does: in {dtype}, nothing is left of the adapter "
            f"{facts['models']['adapter']['adapter']!r}. If it was trained, push the adapter itself, without --merge."
        )
    facts["merged"] = {
        "base_hash": identity["base_hash"],
        "adapter_hash": identity["adapter_hash"],
        "dtype": dtype.removeprefix("torch."),
        "difference": difference,
        "tolerance": TOLERANCES[dtype],
    }
    if kept:
        shutil.copy2(out / CARD, aside / CARD)
    _describe(aside, facts, edited, name=out.name)
    shutil.rmtree(out, ignore_errors=True)
    aside.rename(out)
    return out


def _merged(out: Path, identity: ModelIdentity) -> MergeRecord | None:
    """What `out` says of its merge, where that is of the same base and adapter."""
    if not (out / PROVENANCE).is_file():
        return None
    merged = read_provenance(out).get("merged")
    same = merged is not None and all(merged.get(key) == identity[key] for key in ("base_hash", "adapter_hash"))
    return merged if same else None


def _describe(folder: Path, facts: Provenance, edited: CardChoice, name: str | None = None) -> None:
    """Write provenance and card; a card that is kept stays known as an edited one."""
    facts.pop("card_sha256", None)
    if not is_edited(folder) and (folder / CARD).is_file():
        (folder / CARD).unlink()
    write_atomic(folder / PROVENANCE, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    write_adapter_card(folder, name=name, edited=edited)


def _question(processor: Any, prompt: str) -> Any:
    """A question about an image, as the model takes it: adapters may be on the vision tower, too."""
    from PIL import Image

    image = Image.merge("RGB", 3 * [Image.radial_gradient("L")])
    turn = {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": prompt}]}
    return processor.apply_chat_template(
        [turn], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )


def _logits(model: Any, inputs: Any) -> "Tensor":
    """Logits [T, V] of one question, in float32."""
    import torch

    with torch.no_grad():
        return model(**inputs.to(model.device, dtype=model.dtype)).logits[0].float().cpu()
