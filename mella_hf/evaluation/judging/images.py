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

PATCH_SIDE = 28  # px of an image token's square, as Qwen2-VL has it (arXiv 2409.12191, section 2.1)
BYTES_A_TOKEN = 4  # of UTF-8 text, about; only the estimate before a run goes by it
REPLY_TOKENS = 80  # of a verdict, about; only the estimate


@dataclass(frozen=True)
class JudgedImages:
    """The test images of a run, from the dataset that it was made on.

    Raises:
        MellaError: on the first use, when no folder is named and the run was made on one, or it has other images.
    """

    run: Run
    data_dir: Path | None

    def open(self, image_id: str) -> "Image":
        """The decoded image, RGB."""
        rows, at = self._places[image_id]
        return open_image(rows, at)

    def tokens(self, image_id: str) -> int:
        """About how many tokens it is, after it was made to fit."""
        rows, at = self._places[image_id]
        width, height = (rows[side][at] for side in ("width", "height"))
        scale = min(1.0, IMAGE_SIDE / max(width, height))
        return math.ceil(scale * width / PATCH_SIDE) * math.ceil(scale * height / PATCH_SIDE)

    @cached_property
    def _places(self) -> dict[str, tuple[Any, int]]:
        if self.data_dir is None and self.run.data["local"]:
            name = self.run.data["name"]
            raise MellaError(f"{self.run.folder} was made on the folder {name!r}; name it with --data-dir.")
        found: dict[str, tuple[Any, int]] = {}
        for split in dict.fromkeys(split for _, split in self.run.predictions):
            rows = load_split(self.run.language, self.data_dir, split)
            found |= {image_id: (rows, at) for at, image_id in enumerate(rows["id"])}
        asked = {p["id"] for predictions in self.run.predictions.values() for p in predictions}
        if missing := sorted(asked - found.keys()):
            raise MellaError(
                f"{len(missing)} of the {len(asked)} test images of {self.run.folder}, {missing[0]} among them, are "
                f"not in {self.data_dir or self.run.data['name']}; name the dataset of that evaluation with --data-dir."
            )
        return found


@dataclass(frozen=True)
class JudgeCost:
    """What judging would take: `questions` in all, `answered` before, and tokens of the others, about."""

    questions: int
    answered: int
    prompt_tokens: int
    completion_tokens: int


def estimate(questions: Sequence[JudgeQuestion], judge: Judge, images: JudgedImages) -> JudgeCost:
    """What asking questions would take."""
    language = images.run.language
    new = [question for question in questions if not judge.asked_before(question, language)]
    texts = sum(len(question.text.encode()) // BYTES_A_TOKEN for question in new)
    pictures = sum(images.tokens(question.image_id) for question in new)
    return JudgeCost(len(questions), len(questions) - len(new), texts + pictures, REPLY_TOKENS * len(new))
