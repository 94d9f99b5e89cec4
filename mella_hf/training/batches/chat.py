"""Turn records into conversations, the form in which TRL trains on a sample.

A sample becomes one user turn, an image and a prompt in the sample's language, and one assistant turn, the text.
`prompt` and `completion` are separate columns, so TRL masks the loss on the prompt.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from mella_hf.answers.processors import takes_suffix
from mella_hf.compat import dataset_fingerprint
from mella_hf.dataset.checks import text_problem
from mella_hf.errors import SampleError
from mella_hf.images.opening import Rejected, on_white, open_image
from mella_hf.languages import get_language
from mella_hf.stage import fingerprint
from mella_hf.training.batches.bad_samples import BadSamples, bad_sample
from mella_hf.training.batches.image_check import check_size, decoded
from mella_hf.training.batches.image_sizes import image_tokens

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from PIL import Image
    from transformers import ProcessorMixin

JPEG_QUALITY = (75, 100)  # internvl/train/dataset.py of OpenGVLab/InternVL, `qualities`
Conversation = dict[str, Any]
Others = Callable[[str], Iterable[dict[str, Any]]]  # a source's rows
# `prompt` and `row` only in a transfer set, whose questions are part of the data and whose images lie elsewhere.
TURN_COLUMNS = ("id", "image", "text", "language", "source", "prompt", "row")

COUNT_VERSION = 2  # of the columns that are counted; others are counted anew
COUNTED_COLUMNS = ("id", "language", "source", "text", "width", "height", "prompt")


def draw_prompt(language: str, source: str, sample_id: str, seed: int) -> str:
    """Draw one of the language's prompts for the source; the same sample and seed always give the same prompt.

    The paper draws from about ten prompts a source and language (training settings).
    """
    prompts = get_language(language).prompts(source)
    digest = hashlib.sha256(f"{seed}/{source}/{sample_id}".encode()).digest()
    return prompts[int.from_bytes(digest[:8], "big") % len(prompts)]


def prompts_mark(kinds: Iterable[tuple[str, str]]) -> str:
    """A hash of the prompts that samples of these (language, source) can be asked with."""
    prompts = {f"{language} {source}": get_language(language).prompts(source) for language, source in kinds}
    return fingerprint(prompts)


def user_turn(prompt: str) -> dict[str, Any]:
    """The user turn with an image and a prompt."""
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}


def assistant_turn(text: str) -> dict[str, Any]:
    """The assistant turn with the text."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def to_conversation(row: dict[str, Any], seed: int, jpeg: bool = False) -> Conversation:
    """A record as TRL's prompt-completion format with `images`, and its source.

    Args:
        row: its image is decoded, or as `datasets` stores it: {"bytes": …, "path": …}, or None.
        seed: of the draw of a prompt.
        jpeg: whether the image loses quality as by saving it as JPEG, of a quality drawn by id.

    Raises:
        SampleError: if the image cannot be decoded; names the sample.
    """
    prompt = row["prompt"] if "prompt" in row else draw_prompt(row["language"], row["source"], row["id"], seed)
    image = row["image"]
    if image is None or isinstance(image, dict):
        try:
            image = decoded(image)
            check_size(image, (row.get("width"), row.get("height")))
        except Rejected as error:
            raise bad_sample(row["id"], str(error)) from error
    image = on_white(image)
    return {
        "images": [degraded(image, row["id"], seed) if jpeg else image],
        "prompt": [user_turn(prompt)],
        "completion": [assistant_turn(row["text"])],
        "source": row["source"],
    }


def degraded(image: "Image.Image", sample_id: str, seed: int) -> "Image.Image":
    """The image after saving it as JPEG of a quality drawn by id: the augmentation of InternVL's training."""
    import io

    digest = hashlib.sha256(f"jpeg/{seed}/{sample_id}".encode()).digest()
    low, high = JPEG_QUALITY
    quality = low + int.from_bytes(digest[:8], "big") % (high - low + 1)
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=quality)
    return open_image(stored.getvalue())


def conversations(
    seed: int, *, jpeg: bool = False, bad: BadSamples | None = None, others: Others | None = None
) -> Callable[[dict[str, list[Any]]], Conversation]:
    """A batch transform for `Dataset.set_transform`: images are decoded when a batch asks for them.

    Args:
        seed: of the draw of a prompt.
        jpeg: as in `to_conversation`.
        bad: as in `sound_conversations`.
        others: as in `sound_conversations`.
    """

    def transform(batch: dict[str, list[Any]]) -> Conversation:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        turns = sound_conversations(rows, seed, jpeg=jpeg, bad=bad, others=others)
        return {key: [turn[key] for turn in turns] for key in turns[0]}

    return transform


def sound_conversations(
    rows: list[dict[str, Any]],
    seed: int,
    *,
    jpeg: bool = False,
    bad: BadSamples | None = None,
    others: Others | None = None,
) -> list[Conversation]:
    """The conversations of a batch, without those that cannot be trained on.

    Args:
        rows: as in `to_conversation`.
        bad: the list on which samples are put whose image cannot be decoded; without one, they are an error.
        others: rows of a source. The first sound one stands for a batch of which nothing is left, because all
            processes of a run need equally many batches.

    Raises:
        SampleError: for a sample that cannot be trained on, if there is no list or it is full.
    """
    turns = []
    for row in rows:
        try:
            turns.append(to_conversation(row, seed, jpeg))
        except SampleError as error:
            if bad is None:
                raise
            bad.leave_out({row["id"]: str(error.__cause__ or error)})
    for row in others(rows[0]["source"]) if others and not turns else ():
        try:
            return [to_conversation(row, seed, jpeg)]
        except SampleError:
            continue  # its own batch leaves it out
    if not turns:
        raise SampleError(f"No sample of {rows[0]['source']!r} can be trained on; look at them with `mella verify`.")
    return turns


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of each sample, in the dataset's order.

    Attributes:
        sequence: all of them: template, image, prompt and text.
        completion: those with a loss: the text and the end of the turn.
        problems: position -> why the sample cannot be trained on.
    """

    sequence: "np.ndarray"
    completion: "np.ndarray"
    problems: Mapping[int, str] = field(default_factory=dict)


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
        self._images: dict[tuple[Any, Any], int | str] = {}  # by height and width: tokens, or a problem
        question, answer = [user_turn("?")], [assistant_turn("!")]
        asked = processor.apply_chat_template(question, add_generation_prompt=True)
        said = processor.apply_chat_template(question + answer)[len(asked) :]
        self._end_of_turn = 1 if takes_suffix(processor) else self._length(said) - self._length("!")
        self._beside = self._marks_of_an_image(asked)

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Columns id, language, source, text, width and height (and prompt) as columns sequence and completion.

        The column problem says why a sample cannot be trained on, and is None where it can; its counts are then 0.
        """
        sizes = list(zip(batch["height"], batch["width"], strict=True))
        self._look_at([size for size in sizes if None not in size])
        asked = batch.get("prompt") or [
            draw_prompt(language, source, sample_id, self.seed)
            for language, source, sample_id in zip(batch["language"], batch["source"], batch["id"], strict=True)
        ]
        said = [text or "" for text in batch["text"]]  # a text that is missing is told as an empty one
        texts = self.tokenizer(said, add_special_tokens=False)["input_ids"]
        counted: dict[str, list[Any]] = {"sequence": [], "completion": [], "problem": []}
        for size, prompt, text, ids in zip(sizes, asked, said, texts, strict=True):
            image = self._images.get(size, "it has no width or height; `mella build` writes both")
            problem = image if isinstance(image, str) else self._problem(text, ids)
            completion = len(ids) + self._end_of_turn
            whole = 0 if isinstance(image, str) else image + self._beside + self._prompt_length(prompt) + completion
            counted["problem"].append(problem)
            counted["completion"].append(0 if problem else completion)
            counted["sequence"].append(0 if problem else whole)
        return counted

    def strictly(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """The same. Raises SampleError on the first sample that cannot be trained on."""
        counted = self(batch)
        for name, problem in zip(batch["id"], counted["problem"], strict=True):
            if problem is not None:
                raise bad_sample(name, problem)
        return counted

    def _look_at(self, sizes: list[tuple[int, int]]) -> None:
        """Keep the tokens of images of (height, width), or why there can be none; each size is asked for once."""
        new = [size for size in dict.fromkeys(sizes) if size not in self._images]
        try:
            self._images |= dict(zip(new, image_tokens(self.processor, new), strict=True)) if new else {}
        except SampleError:
            for size in new:
                try:
                    self._images[size] = image_tokens(self.processor, [size])[0]
                except SampleError as error:
                    self._images[size] = str(error).rstrip(".")

    def _problem(self, text: str, ids: list[int]) -> str | None:
        """Why a text cannot be trained on: it is unfit, or holds a control token of this very backbone."""
        reason = text_problem(text) or (None if self._control.isdisjoint(ids) else "text_control_token")
        return None if reason is None else f"{reason} in its text {text[:80]!r}"

    def _marks_of_an_image(self, asked: str) -> int:
        """Tokens that the processor adds to a prompt beside the image's own, found by processing one."""
        from PIL import Image

        size = 64, 96
        ids = self.processor(text=[asked], images=[[Image.new("RGB", size[::-1])]], add_special_tokens=False)
        return len(ids["input_ids"][0]) - (image_tokens(self.processor, [size])[0] + self._length(asked) - 1)

    def _prompt_length(self, prompt: str) -> int:
        """Tokens of the prompt in its template, without the image. There are about ten prompts a source."""
        if prompt not in self._prompts:
            text = self.processor.apply_chat_template([user_turn(prompt)], add_generation_prompt=True)
            self._prompts[prompt] = self._length(text) - 1  # the image's placeholder
        return self._prompts[prompt]

    def _length(self, text: str) -> int:
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def count_tokens(
    dataset: "Dataset", processor: "ProcessorMixin", seed: int, num_proc: int | None = None, *, most_bad: int = 0
) -> TokenCounts:
    """Tokens of every sample; counted once and kept in the dataset's cache on disk.

    Args:
        seed: of the draw of a prompt.
        num_proc: processes to count with.
        most_bad: how many samples that cannot be trained on are allowed; they are told in `problems`.

    Raises:
        SampleError: on more samples without width or height, of an impossible size, or with a text that cannot be
            trained on.
    """
    from datasets import Features, Value
    from datasets.fingerprint import Hasher

    columns = dataset.select_columns([name for name in dataset.column_names if name in COUNTED_COLUMNS])
    image_settings = processor.image_processor.to_dict()
    parts = [dataset_fingerprint(columns), processor.tokenizer.backend_tokenizer.to_str(), processor.chat_template]
    if "prompt" not in columns.column_names:  # prompts are drawn from the languages' files, which may change
        parts.append(prompts_mark(product(columns.unique("language"), columns.unique("source"))))
    counted = columns.map(
        TokenCounter(processor, seed),
        batched=True,
        remove_columns=columns.column_names,
        num_proc=num_proc,
        # The processor's own pickle differs from run to run, so the cache would never be found again.
        new_fingerprint=Hasher.hash([*parts, sorted(map(str, image_settings.items())), seed, COUNT_VERSION]),
        desc="Counting tokens",
        features=Features({"sequence": Value("int64"), "completion": Value("int64"), "problem": Value("string")}),
    )
    problems = {row: problem for row, problem in enumerate(counted["problem"]) if problem is not None}
    if len(problems) > most_bad:
        first = next(iter(problems))
        raise bad_sample(columns[first]["id"], problems[first], len(problems))
    numbers = counted.select_columns(["sequence", "completion"]).with_format("numpy")
    return TokenCounts(numbers["sequence"][:], numbers["completion"][:], problems)
