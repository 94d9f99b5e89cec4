"""Records in, conversations out: the form in which TRL trains on a sample.

A sample becomes one user turn, an image and a prompt in the sample's language, and one assistant
turn, the text. `prompt` and `completion` are kept apart so that TRL masks the prompt's loss.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mella_hf.languages import get_language

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import ProcessorMixin

Conversation = dict[str, list[Any]]


def draw_prompt(language: str, source: str, sample_id: str, seed: int) -> str:
    """One of the language's prompts for the source: always the same one for the same sample and seed.

    The paper draws from about ten prompts a source and language (training settings).
    """
    prompts = get_language(language).prompts(source)
    digest = hashlib.sha256(f"{seed}/{source}/{sample_id}".encode()).digest()
    return prompts[int.from_bytes(digest[:8], "big") % len(prompts)]


def user_turn(prompt: str) -> dict[str, Any]:
    """The user turn of an image and a prompt."""
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}


def to_conversation(row: dict[str, Any], seed: int) -> Conversation:
    """A record as TRL's prompt-completion format with `images`."""
    prompt = draw_prompt(row["language"], row["source"], row["id"], seed)
    return {
        "images": [row["image"].convert("RGB")],
        "prompt": [user_turn(prompt)],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": row["text"]}]}],
    }


def conversations(seed: int) -> Callable[[dict[str, list[Any]]], Conversation]:
    """A batch transform for `Dataset.set_transform`: images are decoded when a batch asks for them."""

    def transform(batch: dict[str, list[Any]]) -> Conversation:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        turns = [to_conversation(row, seed) for row in rows]
        return {key: [turn[key] for turn in turns] for key in ("images", "prompt", "completion")}

    return transform


def sequence_lengths(dataset: "Dataset", processor: "ProcessorMixin", seed: int, batch_size: int = 1000) -> list[int]:
    """Tokens of each sample: image tokens from width and height alone, prompt and text by the tokenizer.

    The chat template's own tokens are left out: they are the same for every sample.
    """
    columns = dataset.select_columns(["id", "language", "source", "text", "width", "height"])
    lengths: list[int] = []
    for batch in columns.iter(batch_size):
        prompts = [
            draw_prompt(language, source, sample_id, seed)
            for language, source, sample_id in zip(batch["language"], batch["source"], batch["id"], strict=True)
        ]
        images = image_tokens(processor, list(zip(batch["height"], batch["width"], strict=True)))
        prompt_ids = processor.tokenizer(prompts, add_special_tokens=False)["input_ids"]
        text_ids = processor.tokenizer(batch["text"], add_special_tokens=False)["input_ids"]
        lengths += [i + len(p) + len(t) for i, p, t in zip(images, prompt_ids, text_ids, strict=True)]
    return lengths


def image_tokens(processor: Any, sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Image tokens of images of (height, width) in pixels, without decoding them.

    The processors' own count, which serving engines rely on too.
    """
    return [int(n) for n in processor._get_num_multimodal_tokens(image_sizes=sizes).num_image_tokens]
