"""Text normalisation that metrics apply before they compare texts.

Each function is str -> str and makes spellings equal that a reader of the language takes for the same word. Each is
idempotent: normalising twice gives the same as normalising once. `normalize_text` suits any language; the others add
the rules of one language.
"""

import re
import unicodedata
from collections.abc import Callable
from itertools import chain, groupby, islice

Normalizer = Callable[[str], str]


def _settled(step: Normalizer, text: str) -> str:
    """`step` until nothing changes: lower case may undo NFKC (İ becomes i + a combining dot), and back."""
    while (after := step(text)) != text:
        text = after
    return text


class _Table(dict[int, str | int | None]):
    """A `str.translate` table that works out each character when it first meets it."""

    def __init__(self, rule: Callable[[str], str | None], letters: dict[str, str] | None = None):
        super().__init__((ord(letter), to) for letter, to in (letters or {}).items())
        self.rule = rule

    def __missing__(self, codepoint: int) -> str | int | None:
        self[codepoint] = result = self.rule(chr(codepoint))
        return result


def _visible(character: str) -> str | None:
    """No format characters (zero-width space, joiners, direction marks, soft hyphen); controls become spaces."""
    category = unicodedata.category(character)
    if category == "Cf":
        return None
    return " " if category in ("Cc", "Cs", "Zl", "Zp") else character


def _ascii_digit(character: str) -> str:
    """Decimal digits of any script as 0-9: ๒๕๖๐ and ٢٠١٧ name the same years as 2560 and 2017."""
    return str(unicodedata.decimal(character)) if character.isdecimal() else character


_VISIBLE = _Table(_visible)
_ASCII_DIGITS = _Table(_ascii_digit)


_LONG = 10_000  # characters
_MARKS = 30  # on one letter; Unicode's Stream-Safe Text Format (Standard Annex 15) allows as many


def _is_mark(character: str) -> bool:
    return unicodedata.combining(character) > 0


def _stream_safe(text: str) -> str:
    """A text with at most 30 marks on a letter: NFKC sorts them, in time that grows with their square."""
    kept = (islice(run, _MARKS) if is_mark else run for is_mark, run in groupby(text, _is_mark))
    return "".join(chain.from_iterable(kept))


def _common(text: str) -> str:
    if len(text) > _LONG:
        text = _stream_safe(text)
    # Translating is slow, and mostly it is only line breaks that are not printable.
    if not text.isprintable():
        text = _spaced(text)
        if not text.isprintable():
            text = text.translate(_VISIBLE)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())


def _spaced(text: str) -> str:
    return " ".join(text.split())


def normalize_text(text: str) -> str:
    """NFKC, lower case, no format characters, single spaces."""
    return _settled(lambda t: _spaced(_common(t)), text)


# Harakat and Quranic marks, combining hamza and madda, superscript alef, tatweel.
_ARABIC_MARKS = re.compile("[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0640]")
_ARABIC_LETTERS = _Table(
    _ascii_digit,
    {
        "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا",
        "ى": "ي", "ی": "ي",  # alef maqsura, Persian ya
        "ک": "ك",
        "ة": "ه",
    },
)  # fmt: skip


def normalize_arabic(text: str) -> str:
    """Also strips diacritics and tatweel; unifies alef, ya and ta marbuta; digits become 0-9.

    The usual orthographic normalisation of Arabic retrieval (Larkey et al. 2002, light stemming):
    writers leave out hamza and the dots of ta marbuta freely.
    """

    def step(t: str) -> str:
        return _spaced(_ARABIC_MARKS.sub("", _common(t)).translate(_ARABIC_LETTERS))

    return _settled(step, text)


def normalize_korean(text: str) -> str:
    """As `normalize_text`: NFKC composes decomposed jamo into syllables."""
    return normalize_text(text)


def normalize_russian(text: str) -> str:
    """Also ё -> е, which print leaves out, and no stress accents."""
    return _settled(lambda t: _spaced(_common(t).replace("ё", "е").replace("\u0301", "")), text)


_SERBIAN_LATIN = str.maketrans(
    {
        "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "ђ": "dj", "е": "e", "ж": "ž", "з": "z", "и": "i",
        "ј": "j", "к": "k", "л": "l", "љ": "lj", "м": "m", "н": "n", "њ": "nj", "о": "o", "п": "p", "р": "r",
        "с": "s", "т": "t", "ћ": "ć", "у": "u", "ф": "f", "х": "h", "ц": "c", "ч": "č", "џ": "dž", "ш": "š",
        "đ": "dj",
    }
)  # fmt: skip


def normalize_serbian(text: str) -> str:
    """Also Cyrillic -> Latin (Gaj's alphabet) and đ -> dj, so that the script of an answer does not matter."""
    return _settled(lambda t: _spaced(_common(t).translate(_SERBIAN_LATIN)), text)


# Marks on a Thai consonant in the order in which they are written: vowels below and above, tone, silencer, nikhahit.
_THAI_MARKS = "\u0e3a\u0e38\u0e39\u0e31\u0e34\u0e35\u0e36\u0e37\u0e47\u0e48\u0e49\u0e4a\u0e4b\u0e4c\u0e4e\u0e4d"
_THAI_CLUSTER = re.compile(f"[{_THAI_MARKS}]{{2,}}")
_THAI_SARA_AM = re.compile("\u0e4d([\u0e48-\u0e4b]?)\u0e32")
_THAI_TONE_AFTER_AM = re.compile("\u0e33([\u0e48-\u0e4b])")


def _thai_cluster(match: re.Match[str]) -> str:
    return "".join(sorted(set(match.group()), key=_THAI_MARKS.index))


def normalize_thai(text: str) -> str:
    """Also recomposes sara am, which NFKC takes apart; เเ -> แ; Thai digits become 0-9.

    The marks of a consonant come in one order, each once: they look the same in another order, or typed twice.
    """

    def step(t: str) -> str:
        t = _common(t).translate(_ASCII_DIGITS).replace("\u0e40\u0e40", "\u0e41")
        t = _THAI_CLUSTER.sub(_thai_cluster, t)
        t = _THAI_TONE_AFTER_AM.sub("\\1\u0e33", _THAI_SARA_AM.sub("\\1\u0e33", t))
        return _spaced(t)

    # NFKC splits sara am at each pass, so the fixed point is of the whole step.
    return _settled(step, text)


# Two spellings of the same rime: the tone on the first vowel of oa, oe, uy (old style) or on the second (new).
_VIETNAMESE_RIME = re.compile("([òóỏõọ])([ae])|([ùúủũụ])(y)")


# Syllables that are written with i or y for the same sound: lí and lý, quí and quý.
_VIETNAMESE_Y = re.compile(r"\b(h|k|l|m|s|t|qu)([yỳýỷỹỵ])\b")
_VIETNAMESE_I = str.maketrans("yỳýỷỹỵ", "iìíỉĩị")
_VIETNAMESE_D = str.maketrans("ðɖ", "đđ")  # other letters whose capitals look like Đ


def _tone_to_second(match: re.Match[str]) -> str:
    first, second = match.group(1) or match.group(3), match.group(2) or match.group(4)
    base, tone = tuple(unicodedata.normalize("NFD", first))
    return base + unicodedata.normalize("NFC", second + tone)


def normalize_vietnamese(text: str) -> str:
    """Also one tone placement (hòa -> hoà), i for y (lý -> lí), đ for eth; diacritics stay: they tell words apart."""

    def step(t: str) -> str:
        t = _VIETNAMESE_RIME.sub(_tone_to_second, _common(t).translate(_VIETNAMESE_D))
        return _spaced(_VIETNAMESE_Y.sub(lambda m: m.group(1) + m.group(2).translate(_VIETNAMESE_I), t))

    return _settled(step, text)


def normalize_digits(text: str) -> str:
    """Also digits of any script as 0-9."""
    return _settled(lambda t: _spaced(_common(t).translate(_ASCII_DIGITS)), text)


_PERSIAN_LETTERS = _Table(_ascii_digit, {"ي": "ی", "ى": "ی", "ك": "ک", "ة": "ه", "ۀ": "ه", "أ": "ا", "ؤ": "و"})


def normalize_persian(text: str) -> str:
    """Also strips diacritics and tatweel; Arabic ya and kaf as Persian writes them; digits become 0-9."""

    def step(t: str) -> str:
        return _spaced(_ARABIC_MARKS.sub("", _common(t)).translate(_PERSIAN_LETTERS))

    return _settled(step, text)


def normalize_turkic(text: str) -> str:
    """Also the lower case of Turkish and Azerbaijani: I becomes ı, and İ becomes i."""
    return _settled(lambda t: _spaced(_common(t)), text.replace("I", "ı").replace("İ", "i"))


_HEBREW_POINTS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]")


def normalize_hebrew(text: str) -> str:
    """Also strips points and accents, which print leaves out."""
    return _settled(lambda t: _spaced(_HEBREW_POINTS.sub("", _common(t))), text)


_LAO_AM = re.compile("\u0ecd([\u0ec8-\u0ecb]?)\u0eb2")
_LAO_TONE_AFTER_AM = re.compile("\u0eb3([\u0ec8-\u0ecb])")


def normalize_lao(text: str) -> str:
    """Also recomposes sara am, ho no and ho mo, which NFKC takes apart; Lao digits become 0-9."""

    def step(t: str) -> str:
        t = _common(t).translate(_ASCII_DIGITS).replace("\u0eab\u0e99", "\u0edc").replace("\u0eab\u0ea1", "\u0edd")
        return _spaced(_LAO_TONE_AFTER_AM.sub("\\1\u0eb3", _LAO_AM.sub("\\1\u0eb3", t)))

    return _settled(step, text)
