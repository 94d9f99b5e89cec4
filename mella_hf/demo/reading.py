"""Training data for the miniature backbone: pictures with English texts, and plain text of a language to read.

It contains no test picture, no thing that is kept out of training, and no native name of a pictured thing.
"""

from mella_hf.demo.cldr import plain_text
from mella_hf.demo.lessons import Lesson
from mella_hf.demo.pictures import PictureSource, things_of
from mella_hf.demo.rows import VIEWS, base_scenes, english_of
from mella_hf.demo.scenes import GRID, Scene, view

REHEARSED = 6  # of so many English lessons, one is repeated between the lines of a language


def english_lessons(source: PictureSource) -> list[Lesson]:
    """Every seen thing and many scenes with their English texts, and what each of their cells shows.

    The pictures of one thing come twice. They are fewer than the scenes, and would otherwise be learnt too seldom.
    """
    seen, _ = things_of(source, "en")
    named = [
        Lesson(view(source.font, thing, number), thing.entity, (thing.entity,) * GRID**2)
        for thing in seen
        for number in range(VIEWS)
    ]
    return named * 2 + [_lesson(scene, source) for scene in base_scenes(source)]


def _lesson(scene: Scene, source: PictureSource) -> Lesson:
    placed = dict(zip(scene.cells, (thing.entity for thing in scene.things), strict=True))
    cells = tuple(placed.get(cell, "") for cell in range(GRID**2))
    return Lesson(scene.jpeg(source.font), english_of(scene), cells)


def rehearsed(lessons: list[Lesson]) -> list[Lesson]:
    """Some of the English lessons: of each thing one picture, twice, and a sixth of the scenes."""
    return lessons[::REHEARSED]


def reading_texts(source: PictureSource, code: str) -> list[str]:
    """Plain lines in a language, without the names of its pictures."""
    seen, unseen = things_of(source, code)
    return plain_text(source.common, code, frozenset(thing.name for thing in [*seen, *unseen]))
