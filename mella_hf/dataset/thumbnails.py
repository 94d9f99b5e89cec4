"""A row of training images for each language, for the dataset card: `thumbnails/{language}.jpg`."""

import io
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from mella_hf.dataset.card.card import THUMBNAILS
from mella_hf.dataset.write import languages_in, shard_paths
from mella_hf.files import write_atomic
from mella_hf.images.opening import Rejected, open_image

if TYPE_CHECKING:
    from PIL import Image

COLUMNS, SIDE, GAP = 8, 112, 4  # images, px of an image, px between


def write_thumbnails(folder: Path | str) -> list[Path]:
    """Write one JPEG a language, and take away those of languages that are gone."""
    home = Path(folder) / THUMBNAILS
    sheets = thumbnails(folder)
    for name, data in sheets.items():
        write_atomic(Path(folder) / name, data)
    for path in home.glob("*.jpg") if home.is_dir() else ():
        if f"{THUMBNAILS}/{path.name}" not in sheets:
            path.unlink()
    return [Path(folder) / name for name in sheets]


def thumbnails(folder: Path | str) -> dict[str, bytes]:
    """`thumbnails/{language}.jpg` -> a JPEG of some images, spread over the first row group."""
    return {f"{THUMBNAILS}/{code}.jpg": _sheet(_images(Path(folder), code)) for code in languages_in(folder)}


def _sheet(images: list["Image.Image"]) -> bytes:
    from PIL import Image

    step = SIDE + GAP
    sheet = Image.new("RGB", (COLUMNS * step - GAP, SIDE), "white")
    for x, image in enumerate(images):
        image.thumbnail((SIDE, SIDE))
        sheet.paste(image, (x * step + (SIDE - image.width) // 2, (SIDE - image.height) // 2))
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=85)
    return out.getvalue()


def _images(folder: Path, language: str) -> list["Image.Image"]:
    """At most `COLUMNS` images of a language, know before ling; those that do not decode are passed over."""
    paths = shard_paths(folder, language, "know") or shard_paths(folder, language, "ling")
    files = [file for file in map(pq.ParquetFile, paths) if file.num_row_groups]
    if not files:
        return []
    step = max(1, files[0].metadata.row_group(0).num_rows // COLUMNS)
    images = []
    # Batch by batch: memory for all images of a row group at once costs more than reading them.
    for batch in islice(files[0].iter_batches(step, row_groups=[0], columns=["image.bytes"]), COLUMNS):
        try:
            images.append(open_image(batch["image"][0].as_py()["bytes"], side=SIDE))
        except Rejected:
            continue
    return images
