"""A fetched body enters; the bytes to keep, with size, hashes and flags, or the reason why it goes, leaves.

JPEGs are decoded at the smallest scale that still has 256 pixels a side, in luminance: that reads every compressed
byte, so damage is found as in a full decode, and the perceptual hash is the same within two bits.
"""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mella_hf.dataset.images import FORMATS, MAX_PIXELS, Rejected, guarded, on_white
from mella_hf.know.metadata import strip_metadata
from mella_hf.phash import SIDE, phash
from mella_hf.sample import sha256_hex

if TYPE_CHECKING:
    from PIL import Image

REDUCED = 256  # px; of 80 photographs, 77 had the full decode's hash, none was more than two bits away
ONE_COLOUR = 8  # of 255; an image whose channels all vary less shows nothing
_ORIENTATION, _GPS = 0x0112, 0x8825  # EXIF tags


@dataclass(frozen=True)
class ImageSettings:
    """Which images stay.

    Attributes:
        min_side: px, of the shorter side; DataComp (arXiv 2304.14108, table 9 "basic filtering") asks for 200,
            OBELICS for 150, CC12M for more than 400.
        max_aspect: longer side to shorter; DataComp 3, CC12M 2.5, OBELICS 2.
        max_pixels: width times height, checked before decoding.
        max_side: px; a longer side is scaled down to it and encoded anew as JPEG. None keeps the original bytes.
        quality: of JPEGs that are encoded anew, because they were rotated or scaled.
        nsfw_threshold: images that score above it go; None scores none. open_nsfw's authors take less than 0.2 as
            safe and more than 0.8 as not (https://github.com/yahoo/open_nsfw).
    """

    min_side: int = 200
    max_aspect: float = 3.0
    max_pixels: int = MAX_PIXELS
    max_side: int | None = None
    quality: int = 95
    nsfw_threshold: float | None = 0.8


@dataclass(frozen=True)
class CheckedImage:
    """An image that stays.

    Attributes:
        data: its bytes: the original ones, less metadata, wherever nothing else has to change.
        width, height: px, upright.
        phash: 64 bits.
        flags: "had_metadata", "had_location", "rotated", "scaled".
    """

    data: bytes
    id: str
    width: int
    height: int
    phash: int
    flags: tuple[str, ...]


def check_image(data: bytes, settings: ImageSettings) -> CheckedImage:
    """Check and clean one image. The same bytes give the same result, on every machine with the same Pillow.

    Raises:
        Rejected: `image_empty`, `image_format`, `image_too_large`, `image_too_small`, `image_aspect`,
            `image_animated`, `image_broken`, `image_one_colour`.
    """
    if not data:
        raise Rejected("image_empty")
    with guarded():
        image = open_header(data, settings)
        exif = image.getexif()
        orientation = exif.get(_ORIENTATION, 1)
        flags = ["had_location"] if _GPS in exif else []
        width, height = image.size
        image_format = str(image.format)
        small = reduce(image)
        if _is_one_colour(small, data):
            raise Rejected("image_one_colour")
        clean = strip_metadata(data, "JPEG" if image_format == "MPO" else image_format)
        if clean != data:
            flags.append("had_metadata")
        scale = min(1.0, (settings.max_side or max(width, height)) / max(width, height))
        if orientation in range(2, 9) or scale < 1:
            clean, (width, height), small = _encode_anew(data, image_format, scale, settings.quality)
            flags += [name for name, is_so in (("rotated", orientation != 1), ("scaled", scale < 1)) if is_so]
    return CheckedImage(clean, sha256_hex(clean), width, height, phash(shrink(small)), tuple(sorted(flags)))


def open_header(data: bytes, settings: ImageSettings) -> "Image.Image":
    """Open an image without decoding it, if format, size, aspect and number of frames let it stay. Raises Rejected."""
    from PIL import Image

    image = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = image.size
    what = f"{width} x {height} px"
    if width * height > settings.max_pixels:
        raise Rejected("image_too_large", what)
    if min(width, height) < settings.min_side:
        raise Rejected("image_too_small", what)
    if max(width, height) > settings.max_aspect * min(width, height):
        raise Rejected("image_aspect", what)
    # A camera's JPEG may hold previews as further frames (MPO); the others move.
    if image.format in ("GIF", "PNG", "WEBP") and getattr(image, "n_frames", 1) > 1:
        raise Rejected("image_animated", str(image.format))
    return image


def reduce(image: "Image.Image", side: int = REDUCED, mode: str = "L") -> "Image.Image":
    """Decode an image: a JPEG at the smallest scale of at least `side` px a side and in `mode`, another as it is."""
    if image.format in ("JPEG", "MPO"):
        image.draft(mode, (side, side))  # type: ignore[attr-defined]
    image.load()
    return image if image.mode == mode else on_white(image)


def open_reduced(data: bytes) -> "Image.Image":
    """A checked image as RGB, large enough for REDUCED px a side."""
    from PIL import Image

    return reduce(Image.open(io.BytesIO(data), formats=FORMATS), mode="RGB")


def shrink(image: "Image.Image") -> "Image.Image":
    """Grey, SIDE x SIDE, as the perceptual hash has it. Large images are averaged first: five times as fast."""
    from PIL import Image

    factor = max(1, min(image.size) // (3 * SIDE))
    return image.reduce(factor).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _is_one_colour(small: "Image.Image", data: bytes) -> bool:
    """Whether no channel varies. Luminance, which is there already, settles it for all but flat images."""
    extrema: Any = small.convert("L").getextrema()
    if extrema[1] - extrema[0] > ONE_COLOUR:
        return False
    channels: Any = open_reduced(data).getextrema()
    return all(high - low <= ONE_COLOUR for low, high in channels)


def _encode_anew(
    data: bytes, image_format: str, scale: float, quality: int
) -> tuple[bytes, tuple[int, int], "Image.Image"]:
    """The image upright and scaled: its new bytes, their size, and the pixels."""
    from PIL import Image, ImageOps

    image = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = (max(1, round(side * scale)) for side in image.size)
    profile = image.info.get("icc_profile")
    if scale < 1 and image.format in ("JPEG", "MPO"):
        image.draft("RGB", (width, height))  # type: ignore[attr-defined]
    if image.getexif().get(_ORIENTATION, 1) >= 5:  # on its side
        width, height = height, width
    upright = ImageOps.exif_transpose(image)
    if scale < 1:
        image_format = "JPEG"
        upright = on_white(upright).resize((width, height), Image.Resampling.BICUBIC)
    image_format = "JPEG" if image_format == "MPO" else image_format
    upright.info.clear()
    out = io.BytesIO()
    options: dict[str, Any] = {"quality": quality} if image_format in ("JPEG", "WEBP") else {}
    upright.save(out, image_format, icc_profile=profile, **options)
    return out.getvalue(), upright.size, on_white(upright)
