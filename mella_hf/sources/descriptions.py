"""What was measured on a picture in; five or six sentences in one language out, without naming the thing.

A stand-in for a captioning model's translated description: it carries colours, place, size, form,
surface and light, as fluent sentences, at 40 to 120 tokens. Each language has a module of its own in
`phrases/`. Every slot of a sentence takes one grammatical form, and the word tables hold exactly that form,
so agreement is right by construction.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from mella_hf.errors import MellaError
from mella_hf.sources.measures import Measures


@dataclass(frozen=True)
class Phrases:
    """A language's sentences and the words that fill them.

    A sentence field holds its wordings, of which one is drawn. Slots: {size} {position} {background}
    in `place`; {main} in `main`; {second} and {third} in `rest_*`; {shape} {outline} in `form`;
    {texture} in `surface`; {brightness} {contrast} in `light`. The word tables are keyed by the
    values of `Measures`.
    """

    colour: Mapping[str, str]
    background: Mapping[str, str]
    size: Mapping[str, str]
    position: Mapping[str, str]
    shape: Mapping[str, str]
    outline: Mapping[str, str]
    texture: Mapping[str, str]
    brightness: Mapping[str, str]
    contrast: Mapping[str, str]
    place: tuple[str, ...]
    main: tuple[str, ...]
    rest_two: tuple[str, ...]  # a second and a third colour
    rest_one: tuple[str, ...]  # a second colour only
    rest_none: tuple[str, ...]  # one colour throughout
    form: tuple[str, ...]
    surface: tuple[str, ...]
    light: tuple[str, ...]

    def slots(self, measures: Measures) -> dict[str, str]:
        """The word of each slot."""
        words = {
            name: getattr(self, name)[getattr(measures, name)]
            for name in ("background", "size", "position", "shape", "outline", "texture", "brightness", "contrast")
        }
        for name in ("main", "second", "third"):
            if (colour := getattr(measures, name)) is not None:
                words[name] = self.colour[colour]
        return words


def described_languages() -> list[str]:
    """The codes that have phrases, `en` among them."""
    from mella_hf.sources import phrases

    return sorted(module.name for module in iter_modules(phrases.__path__))


def phrases_of(language: str) -> Phrases:
    if language not in described_languages():
        raise MellaError(
            f"No description phrases for language {language!r}; there are {', '.join(described_languages())}. "
            f"Add a module mella_hf/sources/phrases/{language}.py."
        )
    return import_module(f"mella_hf.sources.phrases.{language}").PHRASES


def _draw(wordings: tuple[str, ...], seed: str, name: str) -> str:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return wordings[int.from_bytes(digest[:8], "big") % len(wordings)]


def capitalise(sentence: str) -> str:
    """A capital first letter, and the rest as it is; scripts without case stay as they are."""
    return sentence[:1].upper() + sentence[1:]


def describe(measures: Measures, language: str, seed: str = "") -> str:
    """A description of what was measured, in a language; the seed draws among its wordings.

    Raises:
        MellaError: the language has no phrases.
    """
    phrases = phrases_of(language)
    rest = "rest_none" if measures.second is None else "rest_one" if measures.third is None else "rest_two"
    slots = phrases.slots(measures)
    sentences = (
        _draw(getattr(phrases, name), seed, name).format_map(slots)
        for name in ("place", "main", rest, "form", "surface", "light")
    )
    return " ".join(map(capitalise, sentences))
