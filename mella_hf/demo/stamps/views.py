"""Draw a 224 x 224 JPEG view of a stamp; the same stamp and view number always give the same bytes.

View 0 shows the whole stamp, centred on white. The others are drawn from a hash of the stamp's name:
scale, shift, a mild crop, a light background. No view is mirrored, because signs and letters would be wrong.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mella_hf.demo.stamps.measures import BACKGROUNDS
from mella_hf.errors import MellaError
from mella_hf.images.opening import Rejected, guarded, open_header

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SIDE = 224  # px; CLIP's and ViT's usual input
QUALITY = 90  # JPEG
MAX_PIXELS = 20_000_000  # a stamp has at most 1.6 million; a decompression bomb is refused before decoding
OPAQUE = 128  # lowest alpha of the object's pixels
WHOLE_SCALE = 0.9  # of the side, view 0
SCALES = (0.6, 1.0)  # of the side, other views
MAX_CROP = 0.08  # of the stamp's own width and height, off each edge


class ImageRejected(MellaError):
    """An image that cannot become a view. `reason` is the drop reason."""

    def __init__(self, path: Path, reason: str, detail: str):
        super().__init__(f"{path}: {detail}")
        self.reason = reason


@dataclass(frozen=True)
class View:
    """A rendered view: RGB image of SIDE x SIDE px, bool mask [SIDE, SIDE] of the object, JPEG bytes."""

    image: "Image.Image"
    mask: "np.ndarray"
    jpeg: bytes


def open_stamp(path: Path) -> "Image.Image":
    """Open a stamp as RGBA, cut to what is visible.

    Raises:
        ImageRejected: "too_many_pixels", "corrupt_image" or "empty_image".
    """
    try:
        with guarded():
            stamp = open_header(path.read_bytes(), MAX_PIXELS).convert("RGBA")
    except Rejected as rejected:
        if rejected.reason == "image_too_large":
            detail = f"{rejected}, more than {MAX_PIXELS:,} px; scale the image down"
            raise ImageRejected(path, "too_many_pixels", detail) from rejected
        raise ImageRejected(path, "corrupt_image", f"not a readable image ({rejected}); replace the file") from rejected
    visible = stamp.getchannel("A").point(lambda alpha: 255 if alpha >= OPAQUE else 0).getbbox()
    if visible is None:
        raise ImageRejected(path, "empty_image", "every pixel is transparent; replace the file")
    return stamp.crop(visible)


def _draws(name: str, view: int) -> Iterator[float]:
    """Random numbers in [0, 1) from a hash of the stamp's name and the view number."""
    digest = hashlib.sha256(f"{name}:{view}".encode()).digest()
    for start in range(0, 32, 4):
        yield int.from_bytes(digest[start : start + 4], "big") / 2**32


def render(stamp: "Image.Image", name: str, view: int) -> View:
    """Render one view of an opened stamp.

    Args:
        stamp: RGBA, as `open_stamp` returns it.
        name: the stamp's path, which seeds every view but the first.
        view: 0 for the whole stamp on white, any other number for a drawn one.
    """
    if view == 0:
        return _compose(stamp, "white", WHOLE_SCALE, (0.5, 0.5))
    draw = _draws(name, view)
    background = list(BACKGROUNDS)[int(next(draw) * len(BACKGROUNDS))]
    scale = SCALES[0] + next(draw) * (SCALES[1] - SCALES[0])
    shift = (next(draw), next(draw))
    left, top, right, bottom = (next(draw) * MAX_CROP for _ in range(4))
    width, height = stamp.size
    box = (round(left * width), round(top * height), width - round(right * width), height - round(bottom * height))
    cut = stamp.crop(box) if box[2] > box[0] and box[3] > box[1] else stamp
    return _compose(cut, background, scale, shift)


def _compose(stamp: "Image.Image", background: str, scale: float, shift: tuple[float, float]) -> View:
    """The stamp on a canvas: `scale` of the side at its longer edge; `shift` 0 is left or top, 1 right or bottom."""
    import numpy as np
    from PIL import Image

    longer = scale * SIDE
    factor = longer / max(stamp.size)
    size = (max(1, round(stamp.width * factor)), max(1, round(stamp.height * factor)))
    # Premultiplied alpha, so that the colour behind transparent pixels does not bleed into the edge.
    small = stamp.convert("RGBa").resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0).convert("RGBA")
    canvas = Image.new("RGB", (SIDE, SIDE), BACKGROUNDS[background])
    alpha = small.getchannel("A")
    left, top = (round((SIDE - edge) * part) for edge, part in zip(size, shift, strict=True))
    canvas.paste(small, (left, top), alpha)
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[top : top + size[1], left : left + size[0]] = np.asarray(alpha) >= OPAQUE
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=QUALITY)
    return View(canvas, mask, buffer.getvalue())


def render_view(path: Path | str, view: int, name: str | None = None) -> bytes:
    """The JPEG bytes of one view of a PNG; `name` seeds it, the file's stem by default.

    Raises:
        ImageRejected: if the file is not a readable picture of reasonable size.
    """
    path = Path(path)
    return render(open_stamp(path), path.stem if name is None else name, view).jpeg
