"""Find the images that a run's answers are about, and estimate the cost of judging them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.predictions import open_image
from mella_hf.errors import MellaError
from mella_hf.evaluation.judging.judge import IMAGE_SIDE, Judge, JudgeQuestion
from mella_hf.evaluation.run import Run, load_split

if TYPE_CHECKING:
    from PIL.Image import Image

PATCH_SIDE = 28  # px of an image token's side in Qwen2-VL (arXiv 2409.12191, section 2.1)
BYTES_A_TOKEN = 4  # approximate, UTF-8; used only for the estimate before a run
REPLY_TOKENS = 80  # approximate length of a verdict; used only for the estimate


@dataclass(frozen=True)
class JudgedImages:
    """The test images of a run, from the dataset that it was evaluated on.

    Raises:
        MellaError: at the first use, if the dataset folder is needed but not given, or it has other images.
    """

    run: Run
    data_dir: Path | None

    def open(self, image_id: str) -> "Image":
        """The decoded image, RGB."""
        rows, at = self._places[image_id]
        return open_image(rows, at)

    def tokens(self, image_id: str) -> int:
        """Approximate number of tokens of the image after resizing."""
        rows, at = self._places[image_id]
        width, height = (rows[side][at] for side in ("width", "height"))
        scale = min(1.0, IMAGE_SIDE / max(width, height))
        return math.ceil(scale * width / PATCH_SIDE) * math.ceil(scale * height / PATCH_SIDE)

    @cached_property
    def _places(self) -> dict[str, tuple[Any, int]]:
        if self.data_dir is None and self.run.data["local"]:
            name = self.run.data["name"]
            raise MellaError(f"{self.run.folder} was evaluated on the folder {name!r}; give it with --data-dir.")
        found: dict[str, tuple[Any, int]] = {}
        for split in dict.fromkeys(split for _, split in self.run.predictions):
            rows = load_split(self.run.language, self.data_dir, split)
            found |= {image_id: (rows, at) for at, image_id in enumerate(rows["id"])}
        asked = {p["id"] for predictions in self.run.predictions.values() for p in predictions}
        missing = sorted(asked - found.keys())
        if missing:
            raise MellaError(
                f"{len(missing)} of the {len(asked)} test images of {self.run.folder}, {missing[0]} among them, are "
                f"not in {self.data_dir or self.run.data['name']}; give the dataset of that evaluation with --data-dir."
            )
        return found


@dataclass(frozen=True)
class JudgeCost:
    """Estimated cost of judging: `questions` in total, `answered` already, and tokens of the rest."""

    questions: int
    answered: int
    prompt_tokens: int
    completion_tokens: int


def estimate(questions: Sequence[JudgeQuestion], judge: Judge, images: JudgedImages) -> JudgeCost:
    """Estimate the cost of asking questions."""
    language = images.run.language
    new = [question for question in questions if not judge.asked_before(question, language)]
    texts = sum(len(question.text.encode()) // BYTES_A_TOKEN for question in new)
    pictures = sum(images.tokens(question.image_id) for question in new)
    return JudgeCost(len(questions), len(questions) - len(new), texts + pictures, REPLY_TOKENS * len(new))
