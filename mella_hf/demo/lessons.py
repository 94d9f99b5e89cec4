"""The pictures that the miniature backbone learns English from, and the variants of them that it sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from mella_hf.demo import miniature
from mella_hf.images.opening import open_image

if TYPE_CHECKING:
    from transformers import Qwen2VLProcessor

CACHED_SIDE = 126  # px; pictures are kept in memory at this size
ZOOM, SHIFT, STRETCH = 0.22, 0.2, 0.04  # share of the side: how far a variant may differ from the picture
SCENE_SHARE = 0.25  # of these, for scenes, whose things must stay in their cells
VARIANTS = 2  # variants per picture, drawn once


@dataclass(frozen=True)
class Lesson:
    """One picture of the miniature's English training.

    Attributes:
        image: encoded image.
        text: what to say about it in English.
        cells: what is in each part of the picture, row by row; "" for nothing. One name for all parts makes it a
            picture of one thing.
    """

    image: bytes
    text: str
    cells: tuple[str, ...]

    @property
    def is_scene(self) -> bool:
        """Whether there are several things in it."""
        return len(set(self.cells)) > 1


class Views:
    """The pictures in memory, and a fixed set of variants of each: zoomed, shifted, slightly stretched.

    Variants are drawn once from the seed, so the data of a step does not depend on interruptions.
    """

    def __init__(self, lessons: Sequence[Lesson], processor: "Qwen2VLProcessor", seed: int):
        import numpy as np
        from PIL import Image

        def pixels(data: bytes) -> torch.Tensor:
            image = open_image(data, side=CACHED_SIDE)
            small = image.resize((CACHED_SIDE, CACHED_SIDE), Image.Resampling.BILINEAR)
            return torch.from_numpy(np.array(small)).permute(2, 0, 1)

        self.lessons = lessons
        self.images = torch.stack([pixels(lesson.image) for lesson in lessons])  # [N, 3, H, W] uint8
        self.processor = processor
        draws = torch.rand(len(lessons) * VARIANTS, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        share = torch.tensor([SCENE_SHARE if lesson.is_scene else 1.0 for lesson in lessons])
        self.draws = draws * share.repeat_interleave(VARIANTS)[:, None]  # [V, 4] in [-1, 1]

    def __len__(self) -> int:
        return len(self.draws)

    def lesson(self, index: int) -> Lesson:
        """The lesson of a variant."""
        return self.lessons[index // VARIANTS]

    def inputs(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """`pixel_values` and `image_grid_thw` of variants, by their numbers in [0, len(self))."""
        index = torch.tensor(indices)
        images = self.images[index // VARIANTS].float()  # [B, 3, H, W]
        zoom, stretch, right, down = self.draws[index].unbind(1)
        affine = torch.zeros(len(indices), 2, 3)
        affine[:, 1, 1] = 1 + ZOOM * zoom
        affine[:, 0, 0] = affine[:, 1, 1] * (1 + STRETCH * stretch)
        affine[:, 0, 2], affine[:, 1, 2] = SHIFT * right, SHIFT * down
        grid = functional.affine_grid(affine, [len(indices), 3, CACHED_SIDE, CACHED_SIDE], align_corners=False)
        corner = images[:, :, :1, :1]  # the area outside the picture gets the colour of its corner
        moved = functional.grid_sample(images - corner, grid, align_corners=False) + corner
        side = miniature.IMAGE_SIDE
        small = functional.interpolate(moved, (side, side), mode="bilinear", antialias=True)
        batch = list(small.round().clamp(0, 255).to(torch.uint8))
        return dict(self.processor.image_processor(batch, return_tensors="pt"))
