"""The words of `mella_hf.demo.stamps.descriptions`, one module per language."""

from collections.abc import Mapping
from dataclasses import dataclass

from mella_hf.demo.stamps.measures import Measures

LANGUAGES = ("ar", "cs", "hu", "ko", "ru", "sr", "th", "vi")  # those that have a module here


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
