"""What is measured on drawn shapes, whose colours, sizes and places are known."""

import numpy as np
import pytest
from PIL import Image, ImageColor, ImageDraw

from mella_hf.demo.stamps import measures
from mella_hf.demo.stamps.measures import BACKGROUNDS, COLOURS, measure, name_colours

# CSS colour names, whose everyday name nobody would dispute.
NAMED = {
    "red": ["red", "crimson", "firebrick"],
    "orange": ["orange", "darkorange"],
    "yellow": ["yellow", "gold"],
    "green": ["green", "limegreen", "forestgreen", "seagreen", "olivedrab", "palegreen"],
    "blue": ["blue", "royalblue", "navy", "skyblue", "dodgerblue", "cyan"],
    "purple": ["indigo", "darkviolet", "rebeccapurple", "mediumorchid"],
    "pink": ["pink", "hotpink", "deeppink", "lightpink"],
    "brown": ["saddlebrown", "sienna", "#5a3a22", "#6b4423"],
    "beige": ["tan", "wheat", "burlywood", "bisque"],
    "black": ["black", "#101010", "#1c1c1e"],
    "grey": ["grey", "dimgrey", "darkgrey", "slategrey"],
    "white": ["white", "snow", "whitesmoke", "ghostwhite"],
}


@pytest.mark.parametrize("name", COLOURS)
def test_colours_have_their_names(name):
    pixels = np.array([ImageColor.getrgb(colour) for colour in NAMED[name]], dtype=np.uint8)
    assert [COLOURS[index] for index in name_colours(pixels)] == [name] * len(pixels)


def test_lab_of_published_values():
    # sRGB primaries under D65, as tabulated by Bruce Lindbloom.
    lab = measures._to_lab(np.array([[255.0, 0, 0], [0, 0, 255], [255, 255, 255]]))
    assert lab == pytest.approx(np.array([[53.24, 80.09, 67.20], [32.30, 79.19, -107.86], [100, 0, 0]]), abs=0.1)


def drawing(kind: str, box: tuple[int, int, int, int], fill: str, ground: str = "white"):
    """A shape on a 200 x 200 ground, and its mask."""
    image, mask = Image.new("RGB", (200, 200), BACKGROUNDS[ground]), Image.new("1", (200, 200))
    for canvas, colour in ((image, fill), (mask, 1)):
        getattr(ImageDraw.Draw(canvas), kind)(box, fill=colour)
    return image, np.asarray(mask)


def test_a_small_red_disc_in_the_upper_left():
    found = measure(*drawing("ellipse", (10, 10, 59, 59), "red", "pale blue"))
    assert found.to_dict() == {
        "main": "red",
        "second": None,
        "third": None,
        "background": "pale blue",
        "size": "small",  # 50 px across: 4.9% of the picture
        "position": "top left",
        "shape": "square",
        "outline": "rounded",
        "texture": "smooth",
        "brightness": "dark",  # luma of pure red: 0.299 * 255 = 76
        "contrast": "strong",
    }


def test_a_large_tall_white_bar_on_cream():
    found = measure(*drawing("rectangle", (60, 0, 139, 199), "white", "cream"))
    assert (found.main, found.size, found.position, found.shape, found.outline) == (
        "white", "large", "centre", "tall", "boxy",
    )  # fmt: skip
    assert (found.brightness, found.contrast, found.background) == ("bright", "weak", "cream")


@pytest.mark.parametrize(
    "box, position",
    [
        ((75, 5, 125, 55), "top"),
        ((145, 5, 195, 55), "top right"),
        ((5, 75, 55, 125), "left"),
        ((75, 75, 125, 125), "centre"),
        ((145, 75, 195, 125), "right"),
        ((5, 145, 55, 195), "bottom left"),
        ((75, 145, 125, 195), "bottom"),
        ((145, 145, 195, 195), "bottom right"),
    ],
)
def test_positions(box, position):
    assert measure(*drawing("rectangle", box, "green")).position == position


def test_a_wide_cross_is_irregular_and_has_three_colours_in_order():
    image, mask = drawing("rectangle", (20, 95, 179, 104), "blue")  # 1600 px
    for canvas, colour in ((image, "yellow"), (drawn := Image.fromarray(mask), 1)):
        ImageDraw.Draw(canvas).rectangle((95, 60, 104, 139), fill=colour)  # 800 px, 100 of them over the bar
    ImageDraw.Draw(image).rectangle((20, 95, 39, 104), fill="black")  # 200 px
    found = measure(image, np.asarray(drawn))
    assert (found.main, found.second, found.third) == ("blue", "yellow", "black")
    assert (found.shape, found.outline) == ("wide", "irregular")


def test_texture_follows_the_steps_between_neighbours():
    mask = np.ones((64, 64), dtype=bool)
    mask[:8] = False

    def texture(step: int) -> str:
        checks = np.indices((64, 64)).sum(0) % 2 * step + 100
        return measure(Image.fromarray(np.repeat(checks[..., None], 3, 2).astype(np.uint8)), mask).texture

    assert [texture(step) for step in (0, 5, 10, 30)] == ["smooth", "smooth", "some", "detailed"]


def test_an_empty_mask_is_an_error():
    with pytest.raises(ValueError, match="mask is empty"):
        measure(Image.new("RGB", (8, 8)), np.zeros((8, 8), dtype=bool))
