"""Check a fetched image: return its bytes, size, hashes and flags, or a reason to reject it.

A JPEG is decoded at the smallest scale that still has 256 pixels a side, in luminance only. This reads every compressed
byte, so damage is found as in a full decode, and the perceptual hash differs by at most two bits.
"""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mella_hf.images import opening
from mella_hf.images.image_optouts import image_opt_outs
from mella_hf.images.metadata import strip_metadata
from mella_hf.images.opening import MAX_PIXELS, Rejected, guarded, on_white, plain_format, refuse_film
from mella_hf.images.phash import SIDE, phash
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
        find_faces: flag what shows a face.
        honour_opt_outs: drop images whose own metadata opt out (`images.image_optouts`); else they are flagged.
        ignored_opt_outs: of these, the ones that are only flagged.
    """

    min_side: int = 200
    max_aspect: float = 3.0
    max_pixels: int = MAX_PIXELS
    max_side: int | None = None
    quality: int = 95
    nsfw_threshold: float | None = 0.8
    find_faces: bool = True
    honour_opt_outs: bool = True
    ignored_opt_outs: tuple[str, ...] = ()


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
            `image_animated`, `image_broken`, `image_one_colour`; `reserved_plus`, `reserved_c2pa`.
    """
    opted_out = image_opt_outs(data)
    honoured = [name for name in opted_out if settings.honour_opt_outs and name not in settings.ignored_opt_outs]
    if honoured:
        raise Rejected(f"reserved_{honoured[0]}", "the image's own metadata forbid its use for machine learning")
    with guarded():
        image = open_header(data, settings)
        exif = image.getexif()
        flags = {f"reserved_{name}" for name in opted_out}
        if _GPS in exif:
            flags.add("had_location")
        is_turned = exif.get(_ORIENTATION, 1) in range(2, 9)
        scale = min(1.0, (settings.max_side or max(image.size)) / max(image.size))
        kind = plain_format(image)
        # The metadata of an AVIF is woven into its index: a file that has any is encoded anew.
        is_woven = kind == "AVIF" and bool(image.info.get("exif") or image.info.get("xmp"))
        stripped = data if kind == "AVIF" else strip_metadata(data, kind)
        if is_woven or stripped != data:
            flags.add("had_metadata")
        if is_turned or is_woven or scale < 1:
            flags |= {name for name, is_so in (("rotated", is_turned), ("scaled", scale < 1)) if is_so}
            small = redraw(image, scale)
            size = small.size
            clean = _encode(small, "JPEG" if scale < 1 else kind, image, settings.quality)
        else:
            clean, size = stripped, image.size
            small = reduce(image)
        # Grey stays grey: to make three channels of it and one again costs as much as decoding, for the same hash.
        opaque = small if small.mode == "L" and "transparency" not in small.info else on_white(small)
        averaged = average(opaque)
        # Means vary no more than what they are means of: where they do, the rest need not be looked at.
        if not _varies(averaged) and not _varies(opaque) and (small.mode == "RGB" or not _varies(open_reduced(data))):
            raise Rejected("image_one_colour")
    return CheckedImage(clean, sha256_hex(clean), *size, phash(shrink(averaged)), tuple(sorted(flags)))


def open_header(data: bytes, settings: ImageSettings) -> "Image.Image":
    """Open an image without decoding it, if format, size, aspect and number of frames let it stay. Raises Rejected."""
    image = opening.open_header(data, settings.max_pixels)
    width, height = image.size
    what = f"{width} x {height} px"
    if min(width, height) < settings.min_side:
        raise Rejected("image_too_small", what)
    if max(width, height) > settings.max_aspect * min(width, height):
        raise Rejected("image_aspect", what)
    refuse_film(image)
    return image


def reduce(image: "Image.Image", side: int = REDUCED, mode: str = "L") -> "Image.Image":
    """Decode an image: a JPEG at the smallest scale of at least `side` px a side and in `mode`, another as it is."""
    if image.format in ("JPEG", "MPO"):
        image.draft(mode, (side, side))  # type: ignore[attr-defined]
    image.load()
    return image if image.mode == mode else on_white(image)


def open_reduced(data: bytes) -> "Image.Image":
    """A checked image as RGB, large enough for REDUCED px a side."""
    return reduce(opening.open_header(data), mode="RGB")


def average(image: "Image.Image") -> "Image.Image":
    """A large image at a whole fraction of its size, three times what the perceptual hash needs; others as they are."""
    factor = max(1, min(image.size) // (3 * SIDE))
    return image.reduce(factor) if factor > 1 else image


def shrink(image: "Image.Image") -> "Image.Image":
    """Grey, SIDE x SIDE, as the perceptual hash has it. Averaging large images before is five times as fast."""
    from PIL import Image

    return image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def redraw(image: "Image.Image", scale: float) -> "Image.Image":
    """An image that is not decoded yet, upright and scaled; opaque when it is scaled."""
    from PIL import Image, ImageOps

    width, height = (max(1, round(side * scale)) for side in image.size)
    if scale < 1 and image.format in ("JPEG", "MPO"):
        image.draft("RGB", (width, height))  # type: ignore[attr-defined]
    orientation = image.getexif().get(_ORIENTATION, 1)
    if orientation in range(5, 9):  # on its side
        width, height = height, width
    upright = ImageOps.exif_transpose(image) if orientation != 1 else image
    upright.load()
    return on_white(upright).resize((width, height), Image.Resampling.BICUBIC) if scale < 1 else upright


def _encode(image: "Image.Image", image_format: str, original: "Image.Image", quality: int) -> bytes:
    """The bytes of a redrawn image: no metadata but the colour profile of the original."""
    plain = image.copy()
    plain.info.clear()
    if "transparency" in image.info:
        plain.info["transparency"] = image.info["transparency"]
    out = io.BytesIO()
    options: dict[str, Any] = {"quality": quality} if image_format in ("JPEG", "WEBP", "AVIF") else {}
    plain.save(out, image_format, icc_profile=original.info.get("icc_profile"), **options)
    return out.getvalue()


def _varies(image: "Image.Image") -> bool:
    """Whether any channel varies by more than ONE_COLOUR. For most images their luminance is enough to tell."""
    extrema: Any = image.getextrema() if image.mode in ("L", "RGB") else on_white(image).getextrema()
    channels = [extrema] if image.mode == "L" else extrema
    return any(high - low > ONE_COLOUR for low, high in channels)
