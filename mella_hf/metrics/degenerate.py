"""Detect degenerate answers: empty, repeating, in the wrong language, or an echo of the prompt.

Overlap metrics partly reward such text (a loop of frequent words earns precision), so it is counted separately. The
same checks run on the references, where they should find nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mella_hf.languages import Language
from mella_hf.text import lid

REPETITION_ORDER = 4
# 1 - distinct-4 above this: separates untuned from tuned answers best (AUC .86 to .99 on 600 real ones).
REPETITION_LIMIT = 0.2
LOOP_TOKENS = 8  # an immediate loop is at least this long
LOOP_TIMES = 4  # and says its unit at least this often in a row
LOOP_UNIT = 16  # tokens: longer units show up in the repetition rate
MIN_LETTERS = 20  # a shorter text's language is not certain


@dataclass(frozen=True)
class Flags:
    """The problems of a text; if all are False, its scores can be taken at face value."""

    empty: bool = False
    repetition: bool = False
    loop: bool = False
    wrong_language: bool = False
    wrong_script: bool = False
    prompt_copy: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is wrong."""
        return any((self.empty, self.repetition, self.loop, self.wrong_language, self.wrong_script, self.prompt_copy))


def inspect(
    raw: str, language: Language, words: np.ndarray, repeated_share: float, prompts: Iterable[np.ndarray] = ()
) -> tuple[Flags, str]:
    """Flags of one text, and the label of the language it is in ("und" when too short to tell).

    Args:
        raw: the text as it was, which language identification reads.
        words: [n] its words as integers, equal words as equal numbers.
        repeated_share: 1 - distinct-4 of its tokens, in [0, 1].
        prompts: user turns as such integers; an answer that begins with one is an echo.
    """
    if not len(words):
        return Flags(empty=True), lid.UNKNOWN
    excerpt = lid.excerpt(raw)
    label, wrong_language = other_language(excerpt, language)
    return (
        Flags(
            repetition=repeated_share > REPETITION_LIMIT,
            loop=repeated_share > 0.0 and has_loop(words),
            wrong_language=wrong_language,
            wrong_script=lid.script_share(excerpt, language.scripts) < lid.SCRIPT_SHARE,
            prompt_copy=any(begins_with(words, prompt) for prompt in prompts),
        ),
        label,
    )


def begins_with(words: np.ndarray, prompt: np.ndarray) -> bool:
    """Whether the first words are those of the prompt; a prompt without words begins nothing."""
    return 0 < len(prompt) <= len(words) and words[0] == prompt[0] and np.array_equal(words[: len(prompt)], prompt)


def other_language(text: str, language: Language) -> tuple[str, bool]:
    """The label, and whether the text is in another language; texts under 20 letters and names alone never are."""
    if lid.letter_count(text) < MIN_LETTERS:
        return lid.UNKNOWN, False
    if lid.is_language(text, language.code):
        return lid.identify(text)[0], False
    if lid.is_names_alone(text) and lid.script_share(text, (*language.scripts, "Latn")) >= lid.SCRIPT_SHARE:
        return lid.UNKNOWN, False
    return lid.identify(text)[0], True


def has_loop(words: np.ndarray) -> bool:
    """Whether some unit of up to 16 words is said four times in a row or more, over eight words or more.

    Args:
        words: [n] integers, equal words as equal numbers.
    """
    for unit in range(1, min(LOOP_UNIT, len(words) // LOOP_TIMES) + 1):
        needed = max(unit * LOOP_TIMES, LOOP_TOKENS) - unit
        if len(words) < needed + unit:
            continue
        same = words[unit:] == words[:-unit]
        if np.count_nonzero(same) < needed:  # as at most distances in most texts
            continue
        breaks = np.flatnonzero(~same)
        if not len(breaks):
            return True
        # Words that equal the one a unit before, between breaks and at both ends.
        longest = max(int(breaks[0]), len(words) - unit - 1 - int(breaks[-1]), int(np.diff(breaks).max(initial=1)) - 1)
        if longest >= needed:
            return True
    return False
