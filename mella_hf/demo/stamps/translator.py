"""A miniature translation service that translates English sentences about the stamps.

It knows only three things: the names of the stamps, from their own translators; the sentences of
`mella_hf.demo.stamps.descriptions`, word by word; and the instructions of `mella_hf.training.distill`. It refuses
anything else. Its translations have no errors; those of real services do.
"""

import re
from collections.abc import Sequence
from dataclasses import fields

from mella_hf.demo.stamps.descriptions import capitalise, phrases_of
from mella_hf.demo.stamps.phrases import Phrases
from mella_hf.demo.stamps.stamps import Stamp, entity_of, native_line
from mella_hf.errors import MellaError
from mella_hf.know.alt_text import Kept, check_alt_text

SLOTS = ("size", "position", "background", "shape", "outline", "texture", "brightness", "contrast")
# "Answer in <language>.", "Answer in English.", "Translate into <language>:"
INSTRUCTIONS = {
    "ar": ("أجب بالعربية.", "أجب بالإنجليزية.", "ترجم إلى العربية:"),
    "cs": ("Odpověz česky.", "Odpověz anglicky.", "Přelož do češtiny:"),
    "hu": ("Válaszolj magyarul.", "Válaszolj angolul.", "Fordítsd magyarra:"),
    "ko": ("한국어로 답해 주세요.", "영어로 답해 주세요.", "한국어로 번역해 주세요:"),
    "ru": ("Ответь по-русски.", "Ответь по-английски.", "Переведи на русский:"),
    "sr": ("Одговори на српском.", "Одговори на енглеском.", "Преведи на српски:"),
    "th": ("ตอบเป็นภาษาไทย", "ตอบเป็นภาษาอังกฤษ", "แปลเป็นภาษาไทย:"),
    "vi": ("Hãy trả lời bằng tiếng Việt.", "Hãy trả lời bằng tiếng Anh.", "Hãy dịch sang tiếng Việt:"),
}


class StampTranslator:
    """A `mella_hf.ling.translators.translator.Translator` from English, for texts about the stamps only."""

    name = "stamps' own translations (stand-in)"
    version = "1"
    max_chars = 10_000
    batch_size = 1_000

    def __init__(self, stamps: Sequence[Stamp]):
        self.stamps = stamps

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """One translation per text; "" for any other text. Raises MellaError for other language pairs."""
        if source != "en" or target not in INSTRUCTIONS:
            raise MellaError(
                f"{self.name} translates from en into {', '.join(INSTRUCTIONS)}, not {source} to {target}."
            )
        known = {**self._names(target), **_instructions(target)}
        sentences = _Sentences(phrases_of("en"), phrases_of(target))
        return [known.get(text) or known.get(entity_of(text)) or sentences.translate(text) for text in texts]

    def _names(self, target: str) -> dict[str, str]:
        """Cleaned native names by entity; the first stamp of an entity gives its name."""
        names: dict[str, str] = {}
        for stamp in self.stamps:
            result = check_alt_text(native_line(stamp, target), target)
            if isinstance(result, Kept):
                names.setdefault(stamp.entity, result.text)
        return names


def _instructions(target: str) -> dict[str, str]:
    from mella_hf.languages import get_language

    name = get_language(target).name
    english = (f"Answer in {name}.", "Answer in English.", f"Translate into {name}:")
    return dict(zip(english, INSTRUCTIONS[target], strict=True))


class _Sentences:
    """Translates the template sentences of one language, found by pattern, to another."""

    def __init__(self, source: Phrases, target: Phrases):
        self.target = target
        self.keys = {slot: {word: key for key, word in getattr(source, slot).items()} for slot in SLOTS}
        colours = {word: key for key, word in source.colour.items()}
        self.keys |= {slot: colours for slot in ("main", "second", "third")}
        self.patterns = [
            (self._pattern(wording), field.name, number)
            for field in fields(Phrases)
            if isinstance(wordings := getattr(source, field.name), tuple)
            for number, wording in enumerate(wordings)
        ]

    def _pattern(self, wording: str) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", wording)  # text, slot, text, ...
        for i in range(1, len(parts), 2):
            words = sorted(self.keys[parts[i]], key=len, reverse=True)
            parts[i] = f"(?P<{parts[i]}>{'|'.join(map(re.escape, words))})"
        parts[::2] = map(re.escape, parts[::2])
        return re.compile("".join(parts) + r"(?:\s+|$)", re.IGNORECASE)

    def translate(self, text: str) -> str:
        """Translate sentence by sentence; "" if a sentence comes from no template."""
        said, at = [], 0
        while at < len(text):
            found = next(((m, name, n) for p, name, n in self.patterns if (m := p.match(text, at))), None)
            if found is None:
                return ""
            match, name, number = found
            said.append(self._say(match, name, number))
            at = match.end()
        return " ".join(said)

    def _say(self, match: re.Match[str], name: str, number: int) -> str:
        wordings = getattr(self.target, name)
        slots = {}
        for slot, word in match.groupdict().items():
            table = self.target.colour if slot in ("main", "second", "third") else getattr(self.target, slot)
            slots[slot] = table[self.keys[slot][word.lower()]]
        return capitalise(wordings[number % len(wordings)].format_map(slots))
