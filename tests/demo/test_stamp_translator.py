"""The stand-in translator says what the stamps' translators and the templates say, or nothing."""

import itertools

import pytest

from mella_hf.demo.stamps.descriptions import describe
from mella_hf.demo.stamps.measures import COLOURS, POSITIONS, SHAPES, TEXTURES, Measures
from mella_hf.demo.stamps.stamps import Stamp
from mella_hf.demo.stamps.translator import StampTranslator
from mella_hf.errors import MellaError
from mella_hf.languages import language_codes

STAMPS = [Stamp("animals/frog", ("animals",), "A frog.", {"ar": "ضفدع.", "ru": "Лягушка."}, True)]


@pytest.mark.parametrize("language", language_codes())
def test_descriptions_become_those_of_the_language(language: str) -> None:
    """The oracle is `describe` itself: the same measures, said in the other language."""
    values = itertools.cycle(itertools.product(COLOURS, POSITIONS, SHAPES, TEXTURES))
    english, native = [], []
    for number in range(60):
        main, position, shape, texture = next(itertools.islice(values, 37, 38))
        measures = Measures(
            main, "grey" if number % 3 else None, "white" if number % 3 == 2 else None, "cream", "large", position,
            shape, "compact", texture, "dark", "weak",
        )  # fmt: skip
        english.append(describe(measures, "en", seed=f"stamp-{number}"))
        native.append(describe(measures, language, seed=f"stamp-{number}"))
    assert len(set(english)) > 30
    assert StampTranslator(STAMPS).translate(english, "en", language) == native


def test_names_and_what_it_does_not_know() -> None:
    translator = StampTranslator(STAMPS)
    asked = ["A frog.", "frog", "A toad.", "The picture shows a house.", "Answer in Arabic.", ""]
    assert translator.translate(asked, "en", "ar") == ["ضفدع.", "ضفدع.", "", "", "أجب بالعربية.", ""]
    assert translator.translate(["A frog."], "en", "th") == [""]  # the stamp has no Thai line
    with pytest.raises(MellaError, match="translates from en into"):
        translator.translate(["A frog."], "en", "fr")
    assert "stand-in" in translator.name
