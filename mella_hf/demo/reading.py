"""Training data for the miniature backbone: the training pictures with English texts, and plain text to read.

It contains no test picture, no thing that is kept out of training, and no native name of a pictured thing.
"""

from mella_hf.demo.cldr import plain_text
from mella_hf.demo.pictures import PictureSource, things_of
from mella_hf.demo.pretrain import Lesson
from mella_hf.demo.rows import VIEWS, english_of, training_scenes
from mella_hf.demo.scenes import GRID, view


def english_lessons(source: PictureSource, code: str) -> list[Lesson]:
    """Every training picture of a language with its English text, and what each of its cells shows."""
    seen, _ = things_of(source, code)
    lessons = [
        Lesson(view(source.font, thing, number), thing.entity, (thing.entity,) * GRID**2)
        for thing in seen
        for number in range(VIEWS)
    ]
    for scene in training_scenes(seen):
        placed = dict(zip(scene.cells, (thing.entity for thing in scene.things), strict=True))
        cells = tuple(placed.get(cell, "") for cell in range(GRID**2))
        lessons.append(Lesson(scene.jpeg(source.font), english_of(scene), cells))
    return lessons


def reading_texts(source: PictureSource, code: str) -> list[str]:
    """Plain lines in a language, without the names of its pictures."""
    seen, unseen = things_of(source, code)
    return plain_text(source.common, code, frozenset(thing.name for thing in [*seen, *unseen]))
