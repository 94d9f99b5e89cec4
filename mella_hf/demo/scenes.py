"""Draw views of one thing and scenes of several; the same seed always gives the same bytes.

A picture is SIDE x SIDE px. A scene puts each of its things into a cell of a GRID x GRID raster, at a size and a place
that are drawn from its seed. Its things are named from the top left to the bottom right, row by row.
"""

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mella_hf.demo.pictures import Thing, draw

if TYPE_CHECKING:
    from PIL import Image

GRID = 3
CELL = 56  # px
SIDE = GRID * CELL
QUALITY = 90  # JPEG
VIEW_SCALES = (0.6, 0.95)  # of the side
SCENE_SCALES = (0.75, 1.0)  # of the cell
SCENE_THINGS = (2, 2, 2, 3, 3, 3, 4, 4, 5, 6)  # one of these is drawn; the miniature learns small scenes first
GROUNDS = ("#ffffff", "#fff8e1", "#deecfa", "#e1f3e1", "#fce2e8", "#e2e2e2")


@dataclass(frozen=True)
class Scene:
    """Things in cells; `cells` are numbers in reading order, one for each thing."""

    things: tuple[Thing, ...]
    cells: tuple[int, ...]
    seed: str

    @property
    def combination(self) -> frozenset[str]:
        """The characters that it shows."""
        return frozenset(thing.character for thing in self.things)

    def jpeg(self, font: Path) -> bytes:
        """The picture."""
        rng = random.Random(self.seed)
        canvas = _canvas(rng)
        for thing, cell in zip(self.things, self.cells, strict=True):
            corner = (cell % GRID * CELL, cell // GRID * CELL)
            _paste(canvas, font, thing, corner, CELL, rng.uniform(*SCENE_SCALES), rng)
        return _encoded(canvas)


def view(font: Path, thing: Thing, number: int) -> bytes:
    """A picture of one thing: the JPEG of one of its views."""
    rng = random.Random(f"view/{thing.character}/{number}")
    canvas = _canvas(rng)
    _paste(canvas, font, thing, (0, 0), SIDE, rng.uniform(*VIEW_SCALES), rng)
    return _encoded(canvas)


def draw_scene(things: Sequence[Thing], seed: str, always: Sequence[Thing] = ()) -> Scene:
    """A scene of drawn things.

    Args:
        always: one of these is in the scene.
    """
    rng = random.Random(seed)
    count = min(rng.choice(SCENE_THINGS), len(things) + bool(always))
    chosen = rng.sample(list(things), count - bool(always))
    if always:
        chosen.insert(rng.randrange(count), rng.choice(list(always)))
    return Scene(tuple(chosen), tuple(sorted(rng.sample(range(GRID * GRID), count))), seed)


def scenes(
    things: Sequence[Thing], name: str, count: int, always: Sequence[Thing] = (), other_than: Sequence[Scene] = ()
) -> Iterator[Scene]:
    """Scenes of `count` different combinations, none of them in `other_than`, in whichever language that is."""
    known = {one.combination for one in other_than}
    for number in range(4 * count):  # a handful of things has few combinations
        scene = draw_scene(things, f"{name}/{number}", always)
        if count and scene.combination not in known:
            known.add(scene.combination)
            count -= 1
            yield scene


def _canvas(rng: random.Random) -> "Image.Image":
    from PIL import Image

    return Image.new("RGB", (SIDE, SIDE), rng.choice(GROUNDS))


def _paste(
    canvas: "Image.Image",
    font: Path,
    thing: Thing,
    corner: tuple[int, int],
    side: int,
    scale: float,
    rng: random.Random,
) -> None:
    """Put a thing somewhere into a square of `side` px, its longer edge at `scale` of it."""
    from PIL import Image

    image = draw(font, thing.character)
    assert image is not None, thing  # a candidate is one that the font draws
    factor = scale * side / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    # Premultiplied alpha, so that the colour behind transparent pixels does not bleed into the edge.
    small = image.convert("RGBa").resize(size, Image.Resampling.BICUBIC).convert("RGBA")
    left, top = (start + rng.randint(0, side - edge) for start, edge in zip(corner, size, strict=True))
    canvas.paste(small, (left, top), small)


def _encoded(canvas: "Image.Image") -> bytes:
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
