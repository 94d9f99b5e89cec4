"""Views of drawn stamps: the same bytes each time, where they should be, and no hostile file gets through."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mella_hf.demo.stamps.measures import BACKGROUNDS
from mella_hf.demo.stamps.views import SIDE, ImageRejected, open_stamp, render, render_view


@pytest.fixture
def stamp(tmp_path):
    """A transparent 100 x 60 px picture: an L in blue, with transparent edges and bright rubbish under them."""
    image = Image.new("RGBA", (100, 60), (255, 0, 255, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 5, 29, 54), fill=(0, 0, 200, 255))
    draw.rectangle((10, 45, 89, 54), fill=(0, 0, 200, 255))
    image.save(tmp_path / "letter.png")
    return tmp_path / "letter.png"


def test_bytes_are_the_same_each_time_and_another_for_each_view(stamp):
    views = [render_view(stamp, number) for number in range(6)]
    assert views == [render_view(stamp, number) for number in range(6)]
    assert len(set(views)) == 6
    assert render_view(stamp, 1, name="other/letter") != views[1]


def test_view_0_is_the_whole_stamp_in_the_middle_of_a_white_square(stamp):
    view = render(open_stamp(stamp), "letter", 0)
    rows, columns = np.flatnonzero(view.mask.any(1)), np.flatnonzero(view.mask.any(0))
    assert view.image.size == (SIDE, SIDE)
    assert columns[-1] - columns[0] + 1 == round(0.9 * SIDE)  # 80 px of blue, the longer edge
    assert rows[-1] - rows[0] + 1 == pytest.approx(0.9 * SIDE * 50 / 80, abs=1)
    assert abs(rows[0] + rows[-1] - SIDE) <= 2 and abs(columns[0] + columns[-1] - SIDE) <= 2
    assert view.image.getpixel((0, 0)) == (255, 255, 255)


def test_no_view_is_mirrored_and_all_grounds_are_light(stamp):
    opened = open_stamp(stamp)
    for number in range(30):
        view = render(opened, "letter", number)
        columns = np.flatnonzero(view.mask.any(0))
        left, right = view.mask[:, columns[0] + 2], view.mask[:, columns[-1] - 2]
        assert left.sum() > 2 * right.sum()  # the upright of the L stays on the left
        assert tuple(np.asarray(view.image)[~view.mask].max(0)) in BACKGROUNDS.values()


def test_what_lies_under_transparent_pixels_does_not_bleed_into_the_edge(stamp):
    pixels = np.asarray(render(open_stamp(stamp), "letter", 0).image).astype(int)
    assert (pixels[..., 0] <= pixels[..., 1] + 1).all()  # magenta would have more red than green


def test_jpeg_decodes_to_the_view(stamp):
    view = render(open_stamp(stamp), "letter", 2)
    with Image.open(io.BytesIO(view.jpeg)) as file:
        assert file.format == "JPEG" and file.size == (SIDE, SIDE)
        difference = np.abs(np.asarray(file).astype(int) - np.asarray(view.image).astype(int)).mean()
    assert difference < 4


@pytest.mark.parametrize("mode", ["P", "LA", "L", "RGB", "1", "I;16"])
def test_other_modes_open(tmp_path, mode):
    Image.new("L", (30, 20), 120).convert(mode).save(tmp_path / "a.png")
    assert open_stamp(tmp_path / "a.png").size == (30, 20)


def blank_png(width: int, height: int) -> bytes:
    """Many pixels in few bytes: 1 bit each, all alike."""
    buffer = io.BytesIO()
    Image.new("1", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def test_hostile_files_are_rejected_with_a_reason(tmp_path, stamp):
    transparent = io.BytesIO()
    Image.new("RGBA", (9, 9)).save(transparent, "PNG")
    files = {
        "too_many_pixels": blank_png(5_000, 4_001),
        "corrupt_image": stamp.read_bytes()[:120],
        "empty_image": transparent.getvalue(),
    }
    for reason, data in files.items():
        (tmp_path / "bad.png").write_bytes(data)
        with pytest.raises(ImageRejected) as error:
            open_stamp(tmp_path / "bad.png")
        assert error.value.reason == reason and "bad.png" in str(error.value)
    (tmp_path / "bad.png").write_text("<html>not an image</html>")
    with pytest.raises(ImageRejected, match="not a readable image"):
        open_stamp(tmp_path / "bad.png")
