"""The 64-bit perceptual hash of an image: it stays close when the image is recompressed or resized.

The hash is the usual pHash: grey, 32x32, two-dimensional DCT-II, the lowest 8x8 frequencies against
their median (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions"; the
bit order and the median over all 64 values are those of the `imagehash` package).
"""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SIDE = 32  # px, after rescaling
LOW = 8  # frequencies kept in each direction
NEAR = 4  # bits; hashes at most this far apart count as the same picture


@cache
def _dct_matrix() -> "np.ndarray":
    """The DCT-II of length SIDE, its LOW lowest frequencies: [LOW, SIDE], unscaled."""
    import numpy as np

    frequency, position = np.arange(LOW)[:, None], np.arange(SIDE)[None, :]
    return 2 * np.cos(np.pi * frequency * (2 * position + 1) / (2 * SIDE))


def phash(image: "Image.Image") -> int:
    """The 64-bit perceptual hash of an image, as an unsigned integer, top left frequency first."""
    import numpy as np
    from PIL import Image

    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    matrix = _dct_matrix()
    low = matrix @ np.asarray(grey, dtype=np.float64) @ matrix.T  # [LOW, LOW]
    ordered = np.sort(low, axis=None)
    bits = low > (ordered[LOW * LOW // 2 - 1] + ordered[LOW * LOW // 2]) / 2  # np.median, ten times as fast
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hamming(a: int, b: int) -> int:
    """Number of bits in which two hashes differ, 0 to 64."""
    return (a ^ b).bit_count()


def nearest(value: int, hashes: "np.ndarray") -> int:
    """The smallest distance of a hash to any of `hashes` (uint64, [N]); 65 if there are none."""
    import numpy as np

    if not len(hashes):
        return 65
    return int(np.bitwise_count(hashes ^ np.uint64(value)).min())
