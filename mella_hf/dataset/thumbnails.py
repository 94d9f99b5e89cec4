"""Draw `thumbnails.jpg` for the card: a few training images of every language."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from mella_hf.dataset.card import THUMBNAILS
from mella_hf.dataset.write import languages_in, shard_paths
from mella_hf.files import write_atomic
from mella_hf.images.opening import Rejected, open_image

if TYPE_CHECKING:
    from PIL import Image

COLUMNS, SIDE, GAP = 8, 112, 4  # images a row, px of an image, px between


def write_thumbnails(folder: Path | str) -> Path:
    """Write the sheet: a row a language, in alphabetical order, its images spread over the first row group."""
    from PIL import Image

    rows = [_images(Path(folder), language) for language in languages_in(folder)]
    step = SIDE + GAP
    sheet = Image.new("RGB", (COLUMNS * step - GAP, max(1, len(rows)) * step - GAP), "white")
    for y, images in enumerate(rows):
        for x, image in enumerate(images):
            image.thumbnail((SIDE, SIDE))
            sheet.paste(image, (x * step + (SIDE - image.width) // 2, y * step + (SIDE - image.height) // 2))
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=85)
    path = Path(folder) / THUMBNAILS
    write_atomic(path, out.getvalue())
    return path


def _images(folder: Path, language: str) -> list["Image.Image"]:
    """At most `COLUMNS` images of a language, know before ling; those that do not decode are passed over."""
    paths = shard_paths(folder, language, "know") or shard_paths(folder, language, "ling")
    if not paths:
        return []
    column = pq.ParquetFile(paths[0]).read_row_group(0, columns=["image"])["image"]
    places = dict.fromkeys(len(column) * n // COLUMNS for n in range(COLUMNS))
    images = []
    for place in places:
        try:
            images.append(open_image(column[place].as_py()["bytes"], side=SIDE))
        except Rejected:
            continue
    return images
