"""Measure a rendered view: its colours, size, place, form, surface and light, as plain words.

The thresholds were set by looking at contact sheets of the stamps; each is a named constant.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

# The eleven basic colour terms (Berlin & Kay 1969), and beige, which wood, stone and skin need.
COLOURS = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "beige", "black", "grey", "white",
)  # fmt: skip
BACKGROUNDS = {
    "white": (255, 255, 255),
    "cream": (255, 248, 225),
    "pale blue": (222, 236, 250),
    "pale green": (225, 243, 225),
    "pale pink": (252, 226, 232),
    "light grey": (226, 226, 226),
}
SIZES = ("small", "medium", "large")
POSITIONS = (
    "centre", "top", "bottom", "left", "right", "top left", "top right", "bottom left", "bottom right",
)  # fmt: skip
SHAPES = ("tall", "wide", "square")
OUTLINES = ("boxy", "rounded", "compact", "irregular")
TEXTURES = ("smooth", "some", "detailed")
BRIGHTNESSES = ("bright", "medium", "dark")
CONTRASTS = ("strong", "medium", "weak")

SECOND_SHARE, THIRD_SHARE = 0.08, 0.05  # share of the object's pixels; rarer colours are not mentioned
SMALL_SHARE, LARGE_SHARE = 0.12, 0.30  # share of the picture's pixels
OFF_CENTRE = 0.08  # share of the picture's side, between the centres of the picture and of the object's box
ELONGATED = 1.3  # longer side of the object's box over the shorter
BOXY_FILL, COMPACT_FILL = 0.9, 0.6  # share of the box that the object fills
ROUND_OVERLAP = 0.88  # intersection over union of the object and the ellipse in its box
SMOOTH_GRADIENT, DETAILED_GRADIENT = 6.0, 14.0  # mean absolute step between neighbours, grey levels 0-255
BRIGHT_LEVEL, DARK_LEVEL = 165, 90  # mean luma, 0-255
STRONG_DISTANCE, WEAK_DISTANCE = 55.0, 28.0  # CIE76 distance between the mean colours of object and background


@dataclass(frozen=True)
class Measures:
    """The measurements of a view. `second` and `third` are None if the object has no such colour."""

    main: str
    second: str | None
    third: str | None
    background: str
    size: str
    position: str
    shape: str
    outline: str
    texture: str
    brightness: str
    contrast: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable columns."""
        return asdict(self)


def name_colours(rgb: "np.ndarray") -> "np.ndarray":
    """Name the colours of pixels by hue, saturation and value: uint8 [..., 3] -> int8 [...], indices into COLOURS."""
    import numpy as np

    pixels = rgb.astype(np.float32) / 255
    value, low = pixels.max(-1), pixels.min(-1)
    chroma = value - low
    saturation = np.divide(chroma, value, out=np.zeros_like(value), where=value > 0)
    red, green, blue = np.moveaxis(pixels, -1, 0)
    step = np.where(chroma > 0, chroma, 1)
    hue = np.select(
        [value == red, value == green],
        [(green - blue) / step % 6, (blue - red) / step + 2],
        (red - green) / step + 4,
    )
    hue = hue * 60  # degrees
    cool = (hue >= 170) & (hue < 260)  # a bluish grey still reads as grey
    grey = (saturation < np.where(cool, 0.24, 0.14)) | (chroma < 0.07)
    warm = (hue >= 12) & (hue < 52)
    rules = [
        ((value < 0.2) | (grey & (value < 0.25)), "black"),
        (grey & (value > 0.75), "white"),
        (grey, "grey"),
        (warm & (saturation < 0.45) & (value >= 0.72), "beige"),
        (warm & (hue < 42) & ((value < 0.68) | ((saturation < 0.6) & (value < 0.8))), "brown"),
        (((hue < 12) | (hue >= 345)) & ((value < 0.35) | ((value < 0.55) & (saturation < 0.7))), "brown"),
        (((hue < 18) | (hue >= 335)) & (saturation < 0.55) & (value > 0.7), "pink"),
        ((hue < 14) | (hue >= 345), "red"),
        (hue < 40, "orange"),
        ((hue < 66) & (value < 0.42), "brown"),
        (hue < 66, "yellow"),
        (hue < 170, "green"),
        (hue < 245, "blue"),
        (hue < 300, "purple"),
    ]
    names = np.select([rule for rule, _ in rules], [COLOURS.index(name) for _, name in rules], COLOURS.index("pink"))
    return names.astype(np.int8)


def _to_lab(rgb: "np.ndarray") -> "np.ndarray":
    """sRGB 0-255 [..., 3] -> CIE L*a*b* under D65 (IEC 61966-2-1 and CIE 15)."""
    import numpy as np

    srgb = rgb / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = (linear @ matrix.T / (0.95047, 1, 1.08883)).T
    fx, fy, fz = (np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116) for t in (x, y, z))
    return np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=-1)


def _rank_colours(pixels: "np.ndarray") -> tuple[str, str | None, str | None]:
    """The most frequent colour names of an object's pixels, [N, 3]."""
    import numpy as np

    counts = np.bincount(name_colours(pixels), minlength=len(COLOURS))
    order = np.argsort(-counts, kind="stable")
    shares = counts[order] / counts.sum()
    second = COLOURS[order[1]] if shares[1] >= SECOND_SHARE else None
    third = COLOURS[order[2]] if second and shares[2] >= THIRD_SHARE else None
    return COLOURS[order[0]], second, third


def _place(mask: "np.ndarray") -> tuple[str, str, str]:
    """Position, shape and outline from an object's mask, bool [H, W]."""
    import numpy as np

    height, width = mask.shape
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = ys[0], ys[-1] + 1, xs[0], xs[-1] + 1
    across = (left + right) / 2 / width - 0.5
    down = (top + bottom) / 2 / height - 0.5
    row = "top" if down < -OFF_CENTRE else "bottom" if down > OFF_CENTRE else ""
    column = "left" if across < -OFF_CENTRE else "right" if across > OFF_CENTRE else ""
    ratio = (bottom - top) / (right - left)
    shape = "tall" if ratio > ELONGATED else "wide" if ratio < 1 / ELONGATED else "square"
    return f"{row} {column}".strip() or "centre", shape, _outline(mask[top:bottom, left:right])


def _outline(box: "np.ndarray") -> str:
    """The kind of outline of an object that touches all four edges of its box, bool [H, W]."""
    import numpy as np

    height, width = box.shape
    down, across = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    ellipse = down**2 + across**2 <= 1
    if (box & ellipse).sum() >= ROUND_OVERLAP * (box | ellipse).sum():
        return "rounded"
    fill = box.mean()
    return "boxy" if fill >= BOXY_FILL else "compact" if fill >= COMPACT_FILL else "irregular"


def _roughness(grey: "np.ndarray", mask: "np.ndarray") -> float:
    """Mean absolute difference between neighbouring pixels that both belong to the object, in grey levels."""
    import numpy as np

    steps = [np.abs(np.diff(grey, axis=axis)) for axis in (0, 1)]
    inside = [mask[1:] & mask[:-1], mask[:, 1:] & mask[:, :-1]]
    return float(np.concatenate([step[both] for step, both in zip(steps, inside, strict=True)]).mean())


def measure(image: "Image.Image", mask: "np.ndarray") -> Measures:
    """Measure an RGB view.

    Args:
        image: RGB, W x H px.
        mask: bool [H, W], the object's pixels; without it a white swan on white cannot be found.

    Raises:
        ValueError: if the mask is empty.
    """
    import numpy as np

    if not mask.any():
        raise ValueError("The mask is empty: there is no object to measure.")
    rgb = np.asarray(image)  # [H, W, 3]
    pixels, ground = rgb[mask], rgb[~mask]
    main, second, third = _rank_colours(pixels)
    grey = rgb @ np.array([0.299, 0.587, 0.114])  # luma, ITU-R BT.601
    position, shape, outline = _place(mask)
    corner = np.median(ground, axis=0) if len(ground) else np.array(BACKGROUNDS["white"])
    background = min(BACKGROUNDS, key=lambda name: float(np.abs(corner - BACKGROUNDS[name]).sum()))
    distance = float(np.linalg.norm(_to_lab(pixels.mean(0)) - _to_lab(corner)))
    share, level, roughness = mask.mean(), grey[mask].mean(), _roughness(grey, mask)
    return Measures(
        main=main,
        second=second,
        third=third,
        background=background,
        size="small" if share < SMALL_SHARE else "large" if share >= LARGE_SHARE else "medium",
        position=position,
        shape=shape,
        outline=outline,
        texture="smooth" if roughness < SMOOTH_GRADIENT else "detailed" if roughness >= DETAILED_GRADIENT else "some",
        brightness="bright" if level >= BRIGHT_LEVEL else "dark" if level < DARK_LEVEL else "medium",
        contrast="strong" if distance >= STRONG_DISTANCE else "weak" if distance < WEAK_DISTANCE else "medium",
    )
