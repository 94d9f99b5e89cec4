"""Check the inputs of the metric: each fault raises one clear error, and nothing is skipped."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.languages import Language
from mella_hf.text.lid import LONG, UNKNOWN, identify, is_language, letter_count

MAX_WRONG_REFERENCES = 0.2  # with a larger share of references in another language, scoring makes no sense
ENOUGH_TOLD = 10  # references whose language can be told, or half of them, before they are judged
_JOINED = 2000  # characters of short references, joined, that are enough to tell their language


def as_list(values: Any, kind: str) -> list[Any]:
    """The values of a column by position: any sequence, a pandas Series, a NumPy array or an Arrow column.

    A Series is read in the order of its rows, whatever its index says.

    Raises:
        MellaError: for what has no order, such as a set, or is no column at all.
    """
    if isinstance(values, str | bytes | Mapping | Set) or not isinstance(values, Iterable):
        raise MellaError(f"The {kind} are a {type(values).__name__}; give lists with one text per item, in order.")
    if hasattr(values, "to_pylist"):  # Arrow arrays iterate over scalars of their own
        return list(values.to_pylist())
    return list(values)


def keyword_lists(values: Any) -> list[list[Any]] | None:
    """The keywords of each item; no keywords where a column has None or NaN. Raises MellaError as `as_list` does."""
    if values is None:
        return None
    lists: list[list[Any]] = []
    for number, words in enumerate(as_list(values, "keywords")):
        if words is None or (isinstance(words, float) and math.isnan(words)):
            lists.append([])
        elif isinstance(words, str):
            raise MellaError(f"The keywords of item {number} are the text {words!r}; give a list of keywords.")
        else:
            lists.append(as_list(words, f"keywords of item {number}"))
    return lists


def check_texts(predictions: list[Any], references: list[Any], keywords: list[list[Any]] | None) -> None:
    """Raise MellaError unless there is one text of each kind for every item, and a reference to score against."""
    if len(predictions) != len(references):
        raise MellaError(
            f"There are {len(predictions)} predictions and {len(references)} references; "
            "give one of each for every item."
        )
    if keywords is not None and len(keywords) != len(predictions):
        raise MellaError(
            f"There are {len(predictions)} predictions and {len(keywords)} keyword lists; "
            "give one for every item, an empty list where there are none."
        )
    if not len(predictions):
        raise MellaError("The list of predictions is empty; give at least one.")
    for kind, texts in (("prediction", predictions), ("reference", references)):
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise MellaError(f"The {kind} of item {i} is {text!r}; it must be a text (an empty one scores 0).")
    for i, text in enumerate(references):
        if not any(map(str.isalnum, text)):
            what = f"{text!r}, which has no word" if text.strip() else "empty"
            raise MellaError(
                f"The reference of item {i} is {what}, so nothing can be scored against it; leave the item out."
            )
    for i, words in enumerate(keywords or ()):
        for word in words:
            if not isinstance(word, str):
                raise MellaError(f"A keyword of item {i} is {word!r}; it must be a text.")


def check_reference_language(
    references: Sequence[str], labels: Sequence[str], wrong: np.ndarray, language: Language
) -> None:
    """Raise MellaError if more than a fifth of the references, or the short ones together, are in another language.

    Args:
        references: [n] texts.
        labels: [n] language of each; "und" for those too short to tell.
        wrong: [n] whether it is another than `language`.
    """
    told = [label for label in labels if label != UNKNOWN]
    short = " ".join(text for text, label in zip(references, labels, strict=True) if label == UNKNOWN)
    short = short[:_JOINED]
    enough = len(told) >= min(ENOUGH_TOLD, len(references) / 2)  # three odd texts say nothing about forty
    if enough and int(wrong.sum()) > MAX_WRONG_REFERENCES * len(told):
        counts = Counter(label for label, is_wrong in zip(labels, wrong, strict=True) if is_wrong)
        found = ", ".join(f"{label}: {count}" for label, count in counts.most_common(3))
        fault = f"{int(wrong.sum())} of {len(told)} references are not in {language.name} ({language.code}); "
        fault += f"they look like {found}"
    elif letter_count(short) >= LONG and not is_language(short, language.code):
        fault = f"The short references together are not in {language.name} ({language.code}); "
        fault += f"they look like {identify(short)[0]}"
    else:
        return
    raise MellaError(
        f"{fault}. Score them with the metric of their language, "
        "or pass check_references=False if they are right after all."
    )
