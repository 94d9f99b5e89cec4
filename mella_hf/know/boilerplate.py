"""Detect alt-texts that only name a kind of file or advertise something.

The words are those of every language's file (`boilerplate` and `advertising`). A text is boilerplate only if nothing
else is in it: "logo" is rejected, "logo of the Prague Zoo" is kept.
"""

import re
import unicodedata
from functools import lru_cache

from mella_hf.languages import known_languages, languages_state

_SPAM = re.compile(
    r"""(?<![\w.+-])[\w.+-]++@[\w-]++\.[a-z]{2,}\b           # an e-mail address
    | (?:https?://|www\.)\S                                    # a link inside a text
    | (?<![\d.])\+?\d{1,4}(?:[ .()-]{1,2}\d{2,4}){3,}(?!\d)    # a telephone number; years and sizes have fewer groups
    | (?:\#\w++\s*+){3,}                                       # hashtags
    | (.)\1{5,}                                                # !!!!!!""",
    re.IGNORECASE | re.VERBOSE,
)
# "[Caution]" in any language: what DocBook's stylesheets write beside a paragraph's icon.
_BRACKETED = re.compile(r"\[[^\[\]\s]{1,30}+(?: [^\[\]\s]{1,30}+){0,2}\]")
MAX_REPEATED_WORDS = 0.5  # of the words beyond their first occurrence, from SPAM_WORDS on: Gopher's 0.3 is for lines
MAX_COMMAS = 0.5  # of the words end in a separator: a list of search words; ours, of 400 judged texts it costs none
SPAM_WORDS = 8  # words below which repetition says nothing; ours


def is_boilerplate(text: str) -> bool:
    """Whether a text only says what kind of file or button this is, whatever number it carries, or is at most three
    words in square brackets."""
    return _BRACKETED.fullmatch(text.strip()) is not None or _bare(text) in _phrases(languages_state())


def _bare(text: str) -> str:
    """A text from its first to its last letter: phrases are compared in this form."""
    text = unicodedata.normalize("NFC", text.casefold())
    first, last = 0, len(text)
    while first < last and not _is_letter(text[first]):
        first += 1
    while first < last and not _is_letter(text[last - 1]):
        last -= 1
    return text[first:last]


def _is_letter(character: str) -> bool:
    """Whether a character is a letter or a mark on one."""
    return unicodedata.category(character)[0] in "LM"


@lru_cache(maxsize=1)
def _phrases(state: object) -> frozenset[str]:
    return frozenset(_bare(phrase) for language in known_languages() for phrase in language.boilerplate)


@lru_cache(maxsize=1)
def _advertising(state: object) -> re.Pattern[str]:
    patterns = [pattern for language in known_languages() for pattern in language.advertising]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


def is_spam(text: str, *, max_repeated: float = MAX_REPEATED_WORDS, max_commas: float = MAX_COMMAS) -> bool:
    """Whether a text sells or stuffs: addresses, telephone numbers, betting, one word again and again.

    Args:
        max_repeated: largest share of the words that came before.
        max_commas: largest share of the words that a comma or bar follows.
    """
    if _SPAM.search(text) or _advertising(languages_state()).search(text):
        return True
    words = text.casefold().split()
    if len(words) < SPAM_WORDS:
        return False
    separated = sum(word[-1] in ",،|;、" for word in words)
    return 1 - len(set(words)) / len(words) > max_repeated or separated > max_commas * len(words)
