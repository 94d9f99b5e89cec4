"""Stand-ins for the ablation: thick descriptions, and a translator for the base's English answers."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mella_hf.demo.cldr import join_names
from mella_hf.demo.pictures import PictureSource, things_of
from mella_hf.errors import MellaError
from mella_hf.languages import get_language

CAPTIONER = "CLDR keywords"


def thick_rows(know: Iterable[Mapping[str, Any]], source: PictureSource, code: str) -> Iterator[dict[str, Any]]:
    """A `ling` row for each row of `know`: its name, and what CLDR's keywords say of the thing.

    It stands for `mella describe --with-context`.

    Args:
        know: training rows with encoded images (bytes, not decoded).
    """
    seen, _ = things_of(source, code)
    keywords = {thing.entity: [word for word in thing.keywords if word != thing.name] for thing in seen}
    for row in know:
        text = join_names([row["text"], *keywords[row["entity"]]], code)
        columns = {"captioner": CAPTIONER, "translator": CAPTIONER, "caption_en": row["entity"]}
        yield {**row, "source": "ling", "text": text, **columns}


class PictureTranslator:
    """A `mella_hf.ling.translators.translator.Translator` from English that knows the pictures' names and their lists.

    It refuses anything else. Its translations have no errors; those of real services do.
    """

    name = "CLDR's names (stand-in)"
    version = "1"
    max_chars = 10_000
    batch_size = 1_000

    def __init__(self, source: PictureSource):
        self.source = source

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """One translation per text; "" for any other text. Raises MellaError for another source language."""
        if source != "en":
            raise MellaError(f"{self.name} translates from en, not from {source}.")
        names = {thing.entity: thing.name for part in things_of(self.source, target) for thing in part}
        instructions = _instructions(target)
        return [instructions.get(text) or _translated(text, names, target) for text in texts]


def _translated(text: str, names: Mapping[str, str], target: str) -> str:
    parts = re.split(r", and |, | and ", text)
    return join_names([names[part] for part in parts], target) if set(parts) <= set(names) else ""


def _instructions(code: str) -> dict[str, str]:
    """The instructions of `mella_hf.training.distill`, as the names of the languages that they ask for."""
    from babel import Locale

    language, locale = get_language(code), Locale.parse(code.replace("-", "_"))
    english = str(locale.languages.get("en", "English"))
    return {
        f"Answer in {language.name}.": f"{language.native_name}:",
        "Answer in English.": f"{english}:",
        f"Translate into {language.name}:": f"{english} → {language.native_name}:",
    }
