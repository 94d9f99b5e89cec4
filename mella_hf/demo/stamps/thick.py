"""Thick descriptions of the demo's pictures: the stand-in for `mella describe --with-context` in the ablation."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mella_hf.demo.stamps.descriptions import describe
from mella_hf.demo.stamps.measures import measure
from mella_hf.images.opening import open_image

CAPTIONER = "template context"
_WHITE = 250  # of the views' background, in [0, 255]


def thick_rows(know: Iterable[Mapping[str, Any]], language: str) -> Iterator[dict[str, Any]]:
    """A `ling` row for each row of `know`: its alt-text, and what the template says of the picture.

    Args:
        know: training rows with encoded images (bytes, not decoded).
    """
    import numpy as np

    for row in know:
        image = open_image(row["image"]["bytes"])
        measures = measure(image, np.asarray(image.convert("L")) < _WHITE)
        native, english = (describe(measures, code, seed=row["entity"] or row["id"]) for code in (language, "en"))
        name = row["text"].rstrip(" .")
        columns = {"captioner": CAPTIONER, "translator": "template", "caption_en": f"{name}. {english}"}
        yield {**row, "source": "ling", "text": f"{name}. {native}", **columns}
