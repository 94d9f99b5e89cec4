"""Describe a picture in five or six sentences from what was measured on it, without naming the object.

These texts stand in for a captioning model's translated descriptions: fluent sentences about colours, place, size,
form, surface and light, 40 to 120 tokens long. Each language has its own module in `phrases/`. Every slot of a sentence
takes one grammatical form, and the word tables hold exactly that form, so grammatical agreement is always right.
"""

import hashlib
from importlib import import_module
from pkgutil import iter_modules

from mella_hf.demo.stamps.measures import Measures
from mella_hf.demo.stamps.phrases import Phrases
from mella_hf.errors import MellaError


def described_languages() -> list[str]:
    """The codes that have phrases, `en` among them."""
    from mella_hf.demo.stamps import phrases

    return sorted(module.name for module in iter_modules(phrases.__path__))


def phrases_of(language: str) -> Phrases:
    """The sentences and words of a language. Raises MellaError if there are none."""
    if language not in described_languages():
        raise MellaError(
            f"No description phrases for language {language!r}; there are {', '.join(described_languages())}. "
            f"Add a module mella_hf/demo/stamps/phrases/{language}.py."
        )
    return import_module(f"mella_hf.demo.stamps.phrases.{language}").PHRASES


def _draw(wordings: tuple[str, ...], seed: str, name: str) -> str:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return wordings[int.from_bytes(digest[:8], "big") % len(wordings)]


def capitalise(sentence: str) -> str:
    """Make the first letter a capital and keep the rest; scripts without case do not change."""
    return sentence[:1].upper() + sentence[1:]


def describe(measures: Measures, language: str, seed: str = "") -> str:
    """Describe the measurements in a language; the seed selects the wording.

    Raises:
        MellaError: if the language has no phrases.
    """
    phrases = phrases_of(language)
    rest = "rest_none" if measures.second is None else "rest_one" if measures.third is None else "rest_two"
    slots = phrases.slots(measures)
    sentences = (
        _draw(getattr(phrases, name), seed, name).format_map(slots)
        for name in ("place", "main", rest, "form", "surface", "light")
    )
    return " ".join(map(capitalise, sentences))
