"""The perceptual hash against the `imagehash` package, and against its own definition in scipy."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mella_hf.images.phash import hamming, nearest, phash


def picture(seed: int, mode: str = "RGB") -> Image.Image:
    """Random ellipses on a random ground."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (int(rng.integers(40, 300)), int(rng.integers(40, 300))), tuple(rng.integers(0, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.integers(0, image.width), rng.integers(0, image.height)
        w, h = rng.integers(5, 80, 2)
        draw.ellipse((x, y, x + w, y + h), fill=tuple(int(c) for c in rng.integers(0, 256, 3)))
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_equals_imagehash(mode):
    imagehash = pytest.importorskip("imagehash", reason="the peer implementation is not installed")
    for seed in range(10):
        image = picture(seed, mode)
        assert f"{phash(image):016x}" == str(imagehash.phash(image))


def test_equals_the_definition_in_scipy():
    fft = pytest.importorskip("scipy.fft", reason="scipy is not installed")
    image = picture(99)
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), dtype=float)
    low = fft.dctn(grey, type=2)[:8, :8]
    bits = "".join("1" if value > np.median(low) else "0" for value in low.ravel())
    assert phash(image) == int(bits, 2)


def test_a_black_picture_has_no_bit():
    # All frequencies are zero, and none is above their median.
    assert phash(Image.new("RGB", (50, 40))) == 0


def test_a_copy_is_near_and_another_picture_is_far(tmp_path):
    image = picture(3)
    image.save(tmp_path / "copy.jpg", quality=60)
    with Image.open(tmp_path / "copy.jpg") as file:
        small = file.resize((file.width // 2, file.height // 2))
    assert hamming(phash(image), phash(small)) <= 4
    assert min(hamming(phash(image), phash(picture(seed))) for seed in range(4, 24)) > 4


def test_distances():
    assert hamming(0b1011, 0b0001) == 2
    assert hamming(2**64 - 1, 0) == 64
    assert nearest(0b1011, np.array([0, 0b1010], dtype=np.uint64)) == 1
    assert nearest(2**63, np.array([0], dtype=np.uint64)) == 1
    assert nearest(0, np.array([], dtype=np.uint64)) == 65  # farther than any hash can be
