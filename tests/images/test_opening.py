"""One opener for all: what a browser shows is what a build, a trainer and a page see."""

import ast
import io
from pathlib import Path

import numpy as np
import pytest
from datasets import Image as ImageFeature
from PIL import Image

import mella_hf
from mella_hf.answers.predictions import open_image as open_row
from mella_hf.evaluation.lmms_eval.task import doc_to_visual
from mella_hf.images.opening import FORMATS, Rejected, on_white, open_image, plain_format
from mella_hf.images.phash import hamming, phash
from mella_hf.training.batches.chat import to_conversation

ROOT = Path(mella_hf.__file__).parent


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def logo(mode: str) -> Image.Image:
    """A black disc on nothing, as logos are."""
    y, x = np.mgrid[:60, :80]
    alpha = np.where((x - 40) ** 2 + (y - 30) ** 2 < 400, 255, 0).astype(np.uint8)
    image = Image.new("RGBA", (80, 60), (0, 0, 0, 0))
    image.putalpha(Image.fromarray(alpha))
    return image.convert(mode)


def keyed(mode: str) -> bytes:
    """A PNG of opaque pixels, one of whose colours its tRNS chunk declares transparent."""
    image = Image.new(mode, (80, 60), 7 if mode == "L" else (7, 8, 9))
    image.paste(0 if mode == "L" else (0, 0, 0), (30, 20, 50, 40))
    return encode(image, transparency=7 if mode == "L" else (7, 8, 9))


def deep_ramp(shift: int = 0, **options: object) -> bytes:
    """A 16-bit grey PNG, darkest at column `shift`: 16 x 64 px, each column 1,024 brighter."""
    row = np.roll(np.arange(64, dtype=np.uint16) * 1024, shift)
    return encode(Image.fromarray(np.tile(row, (16, 1))), **options)


TRANSPARENT = {
    "RGBA": encode(logo("RGBA")),
    "LA": encode(logo("LA")),
    "palette": encode(logo("RGBA").quantize(8)),
    "WebP": encode(logo("RGBA"), "WEBP", lossless=True),
    "AVIF": encode(logo("RGBA"), "AVIF", quality=100),
    "GIF": encode(logo("RGBA"), "GIF"),
    "key of RGB": keyed("RGB"),
    "key of grey": keyed("L"),
}


@pytest.mark.parametrize("data", TRANSPARENT.values(), ids=TRANSPARENT)
def test_a_transparent_picture_is_on_white_for_everybody(data: bytes) -> None:
    """A logo is black on white paper: not a black square."""
    decoded = ImageFeature().decode_example({"bytes": data, "path": None})  # what a training row holds
    row = {"image": decoded, "text": "شعار", "language": "ar", "source": "know", "id": "0" * 64}
    seen = {
        "build": open_image(data),
        "trainer": to_conversation(row, seed=0)["images"][0],
        "evaluation": open_row([row], 0),
        "lmms-eval": doc_to_visual(row)[0],
    }
    for reader, image in seen.items():
        assert image.mode == "RGB", reader
        pixels = np.asarray(image).astype(int)
        assert pixels[2, 2].min() >= 250, reader  # AVIF is lossy
        assert pixels[30, 40].max() <= 8, reader


def test_16_bits_of_grey_keep_their_shades() -> None:
    """The upper byte of each value, as the PNG specification reduces depth (section 13.12)."""
    pixels = np.asarray(open_image(deep_ramp()))[0, :, 0]
    assert pixels.tolist() == [column * 1024 // 256 for column in range(64)]
    hashes = {phash(open_image(deep_ramp(shift))) for shift in range(0, 64, 8)}
    assert len(hashes) == 8 and min(hamming(a, b) for a in hashes for b in hashes if a != b) > 4


def test_a_16_bit_grey_that_is_transparent() -> None:
    pixels = np.asarray(open_image(deep_ramp(transparency=2048)))[0, :, 0]
    assert pixels[2] == 255 and pixels[1] == 4 and pixels[3] == 12


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_opaque_pictures_keep_their_pixels(mode: str) -> None:
    image = Image.new("RGB", (40, 30), "teal").convert(mode)
    assert np.array_equal(np.asarray(on_white(image)), np.asarray(image.convert("RGB")))


def test_a_camera_file_with_previews_is_its_first_picture() -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    data = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert open_image(data).getpixel((9, 9))[0] > 200


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_opens(kind: str) -> None:
    data = encode(Image.new("RGB", (64, 48), "teal"), kind)
    assert open_image(data).size == (64, 48)
    assert plain_format(Image.open(io.BytesIO(data))) == kind


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "PPM", "TGA", "JPEG2000"])
def test_other_formats_do_not(kind: str) -> None:
    with pytest.raises(Rejected, match="image_format"):
        open_image(encode(Image.new("RGB", (64, 48), "teal"), kind))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_a_film_is_none(kind: str) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    with pytest.raises(Rejected, match="image_animated"):
        open_image(encode(frames[0], kind, save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (5, 1001), (3000, 14)])
def test_a_strip_is_refused_as_the_processors_do(size: tuple[int, int]) -> None:
    from transformers import Qwen2VLImageProcessor

    image = Image.new("RGB", size)
    with pytest.raises(ValueError, match="aspect ratio"):
        Qwen2VLImageProcessor()(images=[image], return_tensors="pt")
    with pytest.raises(Rejected, match="image_aspect"):
        open_image(encode(image))


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (5, 1000), (2800, 14)])
def test_what_the_processors_take_stays(size: tuple[int, int]) -> None:
    from transformers import Qwen2VLImageProcessor

    image = open_image(encode(Image.new("RGB", size)))
    assert len(Qwen2VLImageProcessor()(images=[image], return_tensors="pt")["pixel_values"])


@pytest.mark.parametrize("junk", [b"garbage garbage", b"", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"])
def test_an_exif_segment_that_is_none(junk: bytes) -> None:
    data = encode(Image.new("RGB", (64, 48), "teal"), "JPEG")
    segment = b"Exif\0\0" + junk
    data = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
    assert open_image(data).size == (64, 48)


# The loading script stands alone, so it has an opener of its own; tests/dataset/test_builder.py compares the two.
OPENERS = {ROOT / "images" / "opening.py", ROOT / "dataset" / "builder.py"}


def forbidden(source: str) -> list[str]:
    """The calls that open an image past the one opener: `Image.open`, and `.convert("RGB")`, for which what is
    transparent is black and 16 bits of grey are white."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [ast.unparse(call) for call in calls if isinstance(call.func, ast.Attribute)]
    return [call for call in named if "Image.open(" in call or call.endswith(".convert('RGB')")]


def test_nobody_else_opens_images() -> None:
    """Call mella_hf.images.opening.open_image or on_white."""
    found = {str(path): forbidden(path.read_text("utf-8")) for path in set(ROOT.rglob("*.py")) - OPENERS}
    assert len(found) > 200
    assert {path: calls for path, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "call", ["PIL.Image.open(x)", "Image.open(io.BytesIO(b), formats=F)", "row.image.convert('RGB')"]
)
def test_other_openers_are_found(call: str) -> None:
    assert forbidden(f"with a:\n    y = [{call} for x in b]") == [call]
