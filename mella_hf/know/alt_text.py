"""Clean an alt-text, or reject it with a reason.

Every source of native texts uses these checks: web pages and your own folders. `know` is about names of one or two
words, so no check may reject those.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from mella_hf.know.boilerplate import is_boilerplate, is_spam
from mella_hf.languages import get_language
from mella_hf.languages.scripts import letters_of
from mella_hf.text.lid import is_foreign

_IMAGE_SUFFIX = r"(?:jpe?g|png|gif|webp|svg|bmp|tiff?|ico|avif|heic)"
_FILE_NAME = re.compile(
    rf"""[^/\\]{{0,200}}\.{_IMAGE_SUFFIX}                # crow.png, my crow.png
    | (?:img|dsc[fn]?|dcim|pict?|image|photo|screenshot)[-_ ]?\d[\w\- ]*   # IMG_0042, DSC-7
    | (?=\S*\d)[0-9a-f]{{8,}} | [0-9a-f-]{{36}}           # a hash, a UUID
    | (?=\S*\d)[a-z0-9]+(?:_[a-z0-9-]+)+                 # crow_2_small; Voyager-2 is a name
    | (?=\S*\d)(?=\S*[a-z])[a-z0-9]+(?:-[a-z0-9]+){{2,}}  # great-crow-300x200
    """,
    re.IGNORECASE | re.VERBOSE,
)
_URL = re.compile(r"(?=\S++\Z)(?:(?:https?://|www\.)\S+|\S+\.(?:com|org|net|info|html?|php)(?:/\S*)?)", re.IGNORECASE)
# What a careless machine translation leaves of "A crow." before text in another script.
# The run of marks and spaces before it is taken in any case, so that no run is looked at twice.
_STRAY_ARTICLE = re.compile(r"(^|[.!?])[\s.]*+((?:An?|The)\s++(?=[^\W\dA-Za-z\u00c0-\u024f]))?")
_JUNK = " \t\n.,;:!?*_|/\\–—-·•،؛؟"

MIN_LETTERS = 2  # DataComp and LAION ask for 5 characters or more, which would cost Kůň, ม้า and 닭
MAX_CHARACTERS = 1500  # CC12M keeps at most 256 words, of some six characters; holds for Thai too, which has no spaces
MIN_LETTER_SHARE = 0.5  # of the characters other than spaces; C4 and Gopher use 0.8 of words for whole pages
MIN_SCRIPT_SHARE = 0.5  # of the letters, ours: a name in Latin inside a longer native text stays


@dataclass(frozen=True)
class Kept:
    """An alt-text that passes, cleaned."""

    text: str


@dataclass(frozen=True)
class Dropped:
    """An alt-text that goes. `reason` is one of REASONS."""

    reason: str


REASONS = (
    "empty", "url", "file_name", "boilerplate", "no_letters", "too_short", "too_long", "spam",
    "wrong_script", "wrong_language",
)  # fmt: skip


def _is_control(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) in ("Cc", "Cf")


def _say_once(text: str) -> str:
    """ "A gull.A gull." -> "A gull."; "Bora Bora" stays."""
    sentence, stop, rest = text.partition(".")
    return sentence + stop if rest.strip().removesuffix(".") == sentence else text


def _weigh(letters: Iterable[str]) -> int:
    """How many letters there are, where a Hangul syllable or an ideograph says as much as two."""
    dense = letters_of(("Kore",))
    return sum(2 if letter >= "\u1100" and dense.match(letter) else 1 for letter in letters)


def clean_alt_text(text: str) -> str:
    """An alt-text without what is not text: NFC, one line, no control characters, no punctuation at its edges
    but a full stop, no stray Latin article before another script, no sentence said twice."""
    text = "".join(c for c in text if not _is_control(c))
    text = " ".join(unicodedata.normalize("NFC", text).split())
    before = None
    while text != before:  # what goes may bare more of it: an article, punctuation, a sentence said twice
        before, text = text, _say_once(_trim(_without_articles(text)))
    return text


def _without_articles(text: str) -> str:
    return _STRAY_ARTICLE.sub(lambda found: found[1] if found[2] else found[0], text)


def _trim(text: str) -> str:
    """A text without punctuation at its edges, but for the first mark that may end a sentence."""
    text = text.lstrip(_JUNK)
    bare = text.rstrip(_JUNK)
    end = next((c for c in text[len(bare) :] if c in ".!?؟"), "")
    return bare + end


def check_alt_text(
    text: str,
    language: str,
    *,
    min_letters: int = MIN_LETTERS,
    max_characters: int = MAX_CHARACTERS,
    min_letter_share: float = MIN_LETTER_SHARE,
    min_script_share: float = MIN_SCRIPT_SHARE,
) -> Kept | Dropped:
    """Clean an alt-text and decide whether it may teach a language.

    Args:
        text: as found.
        language: a registered code, or "en".
        min_letters: letters and vowel signs a text must have; a Hangul syllable or an ideograph counts as two.
        max_characters: longest text, after cleaning.
        min_letter_share: least share of letters among the characters other than spaces.
        min_script_share: least share of the language's scripts among the letters.

    Raises:
        UnknownLanguageError: the code is not registered.
    """
    entry = get_language(language)
    text = clean_alt_text(text)
    if not text:
        return Dropped("empty")
    bare = text.rstrip(".!?؟").casefold()
    if _URL.fullmatch(bare):
        return Dropped("url")
    if _FILE_NAME.fullmatch(bare):
        return Dropped("file_name")
    if is_boilerplate(bare):
        return Dropped("boilerplate")
    letters = [c for c in text if unicodedata.category(c)[0] in "LM"]
    others = sum(not c.isspace() for c in text) - len(letters)
    if _weigh(letters) < min_letter_share * (_weigh(letters) + others):
        return Dropped("no_letters")
    if _weigh(letters) < min_letters:
        return Dropped("too_short")
    if len(text) > max_characters:
        return Dropped("too_long")
    if is_spam(text):
        return Dropped("spam")
    ours = _weigh(c for run in letters_of(entry.scripts).findall(text) for c in run)
    if ours < min_script_share * _weigh(c for c in letters if c.isalpha()):
        return Dropped("wrong_script")
    return Dropped("wrong_language") if is_foreign(text, language) else Kept(text)
