"""Training data for the miniature backbone: pictures with English words, and plain text to read.

It contains no test view, no entity that is kept out of training, and no native name of an entity that `know` teaches or
tests.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from mella_hf.demo.pretrain import NamedPicture
from mella_hf.demo.stamps.descriptions import describe
from mella_hf.demo.stamps.measures import Measures
from mella_hf.demo.stamps.rows import read_views
from mella_hf.demo.stamps.stamps import Stamp, plain_text
from mella_hf.know.alt_text import clean_alt_text

DESCRIPTIONS = 150  # descriptions per language, of pictures that `ling` does not use


def english_pictures(rendered: Path | str, stamps: Sequence[Stamp]) -> list[NamedPicture]:
    """Every training view with its English name and its English description."""
    by_path = {stamp.path: stamp for stamp in stamps}
    return [
        NamedPicture(
            image=view["jpeg"],
            name=clean_alt_text(by_path[view["stamp"]].english),
            description=describe(Measures(**json.loads(view["measures"])), "en", seed=view["stamp"]),
        )
        for view in read_views(Path(rendered) / "train").to_pylist()
    ]


def reading_texts(rendered: Path | str, stamps: Sequence[Stamp], languages: Sequence[str]) -> list[str]:
    """Lines in every language, without pictures: names of stamps that are in no `know` sample, and descriptions.

    The descriptions are of `know` pictures, drawn with a seed. They stand for the prose that a real backbone has read
    in these languages; `ling` describes other pictures.
    """
    views = read_views(Path(rendered) / "train", ["source", "measures"]).to_pylist()
    measured = [view for view in views if view["source"] == "know"]
    texts = []
    for language in languages:
        texts += plain_text(stamps, language)
        for view in random.Random(f"reading/{language}").sample(measured, min(DESCRIPTIONS, len(measured))):
            texts.append(describe(Measures(**json.loads(view["measures"])), language, seed=f"text/{view['stamp']}"))
    return texts
