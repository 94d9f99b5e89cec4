"""Turn records into conversations, the form in which TRL trains on a sample.

A sample becomes one user turn, an image and a prompt in the sample's language, and one assistant turn, the text.
`prompt` and `completion` are separate columns, so TRL masks the loss on the prompt.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mella_hf.answers.processors import takes_suffix
from mella_hf.compat import dataset_fingerprint
from mella_hf.dataset.checks import text_problem
from mella_hf.errors import SampleError
from mella_hf.images.opening import on_white
from mella_hf.languages import get_language
from mella_hf.training.image_sizes import image_tokens

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from transformers import ProcessorMixin

Conversation = dict[str, Any]
# `prompt` and `row` only in a transfer set, whose questions are part of the data and whose images lie elsewhere.
TURN_COLUMNS = ("id", "image", "text", "language", "source", "prompt", "row")

COUNTED_COLUMNS = ("id", "language", "source", "text", "width", "height", "prompt")


def draw_prompt(language: str, source: str, sample_id: str, seed: int) -> str:
    """Draw one of the language's prompts for the source; the same sample and seed always give the same prompt.

    The paper draws from about ten prompts a source and language (training settings).
    """
    prompts = get_language(language).prompts(source)
    digest = hashlib.sha256(f"{seed}/{source}/{sample_id}".encode()).digest()
    return prompts[int.from_bytes(digest[:8], "big") % len(prompts)]


def user_turn(prompt: str) -> dict[str, Any]:
    """The user turn with an image and a prompt."""
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}


def assistant_turn(text: str) -> dict[str, Any]:
    """The assistant turn with the text."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def to_conversation(row: dict[str, Any], seed: int) -> Conversation:
    """A record as TRL's prompt-completion format with `images`, and its source."""
    prompt = row["prompt"] if "prompt" in row else draw_prompt(row["language"], row["source"], row["id"], seed)
    return {
        "images": [on_white(row["image"])],
        "prompt": [user_turn(prompt)],
        "completion": [assistant_turn(row["text"])],
        "source": row["source"],
    }


def conversations(seed: int) -> Callable[[dict[str, list[Any]]], Conversation]:
    """A batch transform for `Dataset.set_transform`: images are decoded when a batch asks for them."""

    def transform(batch: dict[str, list[Any]]) -> Conversation:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        turns = [to_conversation(row, seed) for row in rows]
        return {key: [turn[key] for turn in turns] for key in turns[0]}

    return transform


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of each sample, in the dataset's order.

    Attributes:
        sequence: all of them: template, image, prompt and text.
        completion: those with a loss: the text and the end of the turn.
    """

    sequence: "np.ndarray"
    completion: "np.ndarray"


class TokenCounter:
    """Count the tokens of samples without decoding images: width and height give the number of image tokens.

    Args:
        processor: of the backbone.
        seed: of the draw of a prompt.
    """

    def __init__(self, processor: "ProcessorMixin", seed: int):
        self.processor, self.tokenizer, self.seed = processor, processor.tokenizer, seed
        self._prompts: dict[str, int] = {}
        self._control = set(self.tokenizer.all_special_ids) - {self.tokenizer.unk_token_id}
        self._images: dict[tuple[int, int], int] = {}
        question, answer = [user_turn("?")], [assistant_turn("!")]
        asked = processor.apply_chat_template(question, add_generation_prompt=True)
        said = processor.apply_chat_template(question + answer)[len(asked) :]
        self._end_of_turn = 1 if takes_suffix(processor) else self._length(said) - self._length("!")
        self._beside = self._marks_of_an_image(asked)

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[int]]:
        """Columns id, language, source, text, width and height (and prompt) as columns sequence and completion."""
        if None in batch["width"] or None in batch["height"]:
            row = (batch["width"] if None in batch["width"] else batch["height"]).index(None)
            raise SampleError(f"The sample {batch['id'][row]!r} has no width or height; `mella build` writes both.")
        images = self._image_lengths(list(zip(batch["height"], batch["width"], strict=True)))
        asked = batch.get("prompt") or [
            draw_prompt(language, source, sample_id, self.seed)
            for language, source, sample_id in zip(batch["language"], batch["source"], batch["id"], strict=True)
        ]
        prompts = [self._prompt_length(prompt) for prompt in asked]
        texts = self.tokenizer(batch["text"], add_special_tokens=False)["input_ids"]
        self._check_texts(batch["id"], batch["text"], texts)
        completions = [len(ids) + self._end_of_turn for ids in texts]
        sequences = [sum(parts) for parts in zip(images, prompts, completions, strict=True)]
        return {"sequence": sequences, "completion": completions}

    def _image_lengths(self, sizes: list[tuple[int, int]]) -> list[int]:
        """Tokens of images of (height, width), with the marks around them; each size is asked for once."""
        new = [size for size in dict.fromkeys(sizes) if size not in self._images]
        if new:
            self._images |= dict(zip(new, image_tokens(self.processor, new), strict=True))
        return [self._images[size] + self._beside for size in sizes]

    def _marks_of_an_image(self, asked: str) -> int:
        """Tokens that the processor adds to a prompt beside the image's own, found by processing one."""
        from PIL import Image

        size = 64, 96
        ids = self.processor(text=[asked], images=[[Image.new("RGB", size[::-1])]], add_special_tokens=False)
        return len(ids["input_ids"][0]) - (image_tokens(self.processor, [size])[0] + self._length(asked) - 1)

    def _check_texts(self, names: list[str], texts: list[str], tokens: list[list[int]]) -> None:
        """Raise SampleError on a text that is unfit, or that holds a control token of this very backbone."""
        for name, text, ids in zip(names, texts, tokens, strict=True):
            reason = text_problem(text) or (None if self._control.isdisjoint(ids) else "text_control_token")
            if reason is not None:
                raise SampleError(
                    f"The text of the sample {name!r} cannot be trained on ({reason}): {text[:80]!r}. Take it out with "
                    "`mella remove`, or build the dataset again, which leaves such rows out."
                )

    def _prompt_length(self, prompt: str) -> int:
        """Tokens of the prompt in its template, without the image. There are about ten prompts a source."""
        if prompt not in self._prompts:
            text = self.processor.apply_chat_template([user_turn(prompt)], add_generation_prompt=True)
            self._prompts[prompt] = self._length(text) - 1  # the image's placeholder
        return self._prompts[prompt]

    def _length(self, text: str) -> int:
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def count_tokens(
    dataset: "Dataset", processor: "ProcessorMixin", seed: int, num_proc: int | None = None
) -> TokenCounts:
    """Tokens of every sample; counted once and kept in the dataset's cache on disk.

    Args:
        seed: of the draw of a prompt.
        num_proc: processes to count with.

    Raises:
        SampleError: on a sample without width or height, or with a text that cannot be trained on.
    """
    from datasets.fingerprint import Hasher

    columns = dataset.select_columns([name for name in dataset.column_names if name in COUNTED_COLUMNS])
    image_settings = processor.image_processor.to_dict()
    parts = [dataset_fingerprint(columns), processor.tokenizer.backend_tokenizer.to_str(), processor.chat_template]
    counted = columns.map(
        TokenCounter(processor, seed),
        batched=True,
        remove_columns=columns.column_names,
        num_proc=num_proc,
        # The processor's own pickle differs from run to run, so the cache would never be found again.
        new_fingerprint=Hasher.hash([*parts, sorted(map(str, image_settings.items())), seed]),
        desc="Counting tokens",
    ).with_format("numpy")
    return TokenCounts(counted["sequence"][:], counted["completion"][:])
