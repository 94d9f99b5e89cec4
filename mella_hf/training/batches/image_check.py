"""Find images that cannot be decoded before the first step, without decoding all of them.

A broken image would otherwise end a run when a batch holds it, hours after the start. A JPEG, PNG or WebP tells by its
header, its end and its checksums whether it is whole, in a twentieth of the time that decoding takes; only what looks
cut off, and the rarer formats, are decoded. Damage within a JPEG or WebP of the right length is seen by decoding alone:
`mella verify` does that, and a run with `skip_bad_samples` leaves such a sample out when a batch meets it.
"""

from typing import TYPE_CHECKING, Any

from mella_hf.compat import dataset_fingerprint
from mella_hf.images.opening import Rejected, guarded, open_if_whole

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL import Image

CHECK_VERSION = 1  # of the checks; after a change, images are looked at again
_BATCH = 64  # images in memory at once

Size = tuple[int | None, int | None]


def broken_images(dataset: "Dataset", num_proc: int | None = None) -> dict[int, str]:
    """Rows whose image cannot be decoded or has another size than they say, and why; kept in the cache on disk.

    Args:
        dataset: its images are not decoded, as `cast_column("image", Image(decode=False))` makes them.
        num_proc: processes to look with.
    """
    from datasets import Features, Value
    from datasets.fingerprint import Hasher

    columns = dataset.select_columns(["image", "width", "height"])
    looked_at = columns.map(
        _problems,
        batched=True,
        batch_size=_BATCH,
        remove_columns=columns.column_names,
        num_proc=num_proc,
        new_fingerprint=Hasher.hash([dataset_fingerprint(columns), "images", CHECK_VERSION]),
        desc="Checking images",
        features=Features({"problem": Value("string")}),
    )
    return {row: problem for row, problem in enumerate(looked_at["problem"]) if problem is not None}


def _problems(batch: dict[str, list[Any]]) -> dict[str, list[str | None]]:
    rows = zip(batch["image"], batch["width"], batch["height"], strict=True)
    return {"problem": [image_problem(image, (width, height)) for image, width, height in rows]}


def image_problem(stored: dict[str, Any] | None, size: Size) -> str | None:
    """Why an image cannot be trained on, or None.

    Args:
        stored: as `datasets` stores it: {"bytes": …, "path": …}.
        size: width and height that the row says; None is not compared.
    """
    try:
        with guarded():
            check_size(_opened(stored), size)
    except Rejected as error:
        return str(error)
    return None


def check_size(image: "Image.Image", size: Size) -> None:
    """Raise Rejected if an image has another size than its row says, whichever way it is turned."""
    width, height = size
    # Tokens are counted by what the row says; the image's own size may be one that the backbone cannot take.
    if width is not None and height is not None and sorted(image.size) != sorted((width, height)):
        raise Rejected("image_size", f"it has {image.width} x {image.height} px, its row says {width} x {height}")


def decoded(stored: dict[str, Any] | None) -> "Image.Image":
    """An image that `datasets` stores, decoded and upright. Raises Rejected."""
    from datasets import Image

    if stored is None:
        raise Rejected("image_empty")
    with guarded():
        return Image().decode_example(stored)  # type: ignore[arg-type]


def _opened(stored: dict[str, Any] | None) -> "Image.Image":
    """The image; decoded only where its header and its end do not show that it is whole."""
    data = (stored or {}).get("bytes")
    if data is None:  # a file of its own
        return decoded(stored)
    return open_if_whole(data) or decoded(stored)
