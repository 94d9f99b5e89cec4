"""Check the inputs of the metric: each fault raises one clear error, and nothing is skipped."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.languages import Language
from mella_hf.metrics.degenerate import other_language
from mella_hf.metrics.rates import rate_interval
from mella_hf.metrics.texts.sequences import Lazy
from mella_hf.text.lid import (
    ENGLISH,
    LONG,
    SCRIPT_SHARE,
    UNKNOWN,
    excerpt,
    identify,
    is_foreign,
    is_language,
    is_names_alone,
    letter_count,
    script_share,
)

MAX_WRONG_REFERENCES = 0.2  # with surely a larger share of references in another language, scoring makes no sense
ENOUGH_TOLD = 10  # references whose language can be told, or half of them, before they are judged
_JOINED = 2000  # characters of short references, joined, that are enough to tell their language


def as_list(values: Any, kind: str) -> Sequence[Any]:
    """The values of a column by position: any sequence, a pandas Series, a NumPy array or an Arrow column.

    A Series is read in the order of its rows, whatever its index says. A column that makes its values when they are
    asked for stays one.

    Raises:
        MellaError: for what has no order, such as a set, or is not a column.
    """
    if isinstance(values, str | bytes | Mapping | Set) or not isinstance(values, Iterable):
        raise MellaError(f"The {kind} are a {type(values).__name__}; give lists with one text per item, in order.")
    dimensions = getattr(values, "ndim", 1)
    if dimensions != 1:  # a pandas frame iterates over the names of its columns
        raise MellaError(f"The {kind} are a {type(values).__name__} of {dimensions} dimensions; give one column of it.")
    if isinstance(values, Lazy):
        return values
    if hasattr(values, "to_pylist"):  # Arrow arrays iterate over scalars of their own
        return list(values.to_pylist())
    return list(values)


def keyword_lists(values: Any) -> Sequence[Sequence[Any]] | None:
    """The keywords of each item; no keywords where a column has None or NaN. Raises MellaError as `as_list` does."""
    if values is None or isinstance(values, Lazy):
        return values
    lists: list[Sequence[Any]] = []
    for number, words in enumerate(as_list(values, "keywords")):
        if words is None or (isinstance(words, float) and math.isnan(words)):
            lists.append([])
        elif isinstance(words, str):
            raise MellaError(f"The keywords of item {number} are the text {words!r}; give a list of keywords.")
        else:
            lists.append(as_list(words, f"keywords of item {number}"))
    return lists


def check_texts(
    predictions: Sequence[Any], references: Sequence[Any], keywords: Sequence[Sequence[Any]] | None
) -> None:
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
            if isinstance(text, list | tuple):
                raise MellaError(f"The {kind} of item {i} is {text!r:.80}; give one text, not a list of {len(text)}.")
            if not isinstance(text, str):
                raise MellaError(f"The {kind} of item {i} is {text!r}; it must be a text (an empty one scores 0).")
    check_words(references)
    for i, words in enumerate(keywords or ()):
        for word in words:
            if not isinstance(word, str):
                raise MellaError(f"A keyword of item {i} is {word!r}; it must be a text.")


def check_words(references: Sequence[str]) -> None:
    """Raise MellaError for a reference without a word, which nothing can be scored against."""
    for i, text in enumerate(references):
        if not any(map(str.isalnum, text)):
            what = f"{text!r}, which has no word" if text.strip() else "empty"
            raise MellaError(
                f"The reference of item {i} is {what}, so nothing can be scored against it; leave the item out."
            )


def check_references(
    references: Sequence[Any],
    language: Language,
    keywords: Sequence[Sequence[str] | None] | None = None,
    labels: Iterable[tuple[str, bool]] | None = None,
) -> None:
    """Raise MellaError for references that are in another language, or have no word to score against.

    A share of more than a fifth is refused, if it is not by chance: the 95% interval of the share must lie above a
    fifth. So one odd text in a few says nothing. Short references are judged together. What collecting accepts is
    accepted here too, and names alone are not evidence of another language.

    Args:
        references: [n] texts.
        keywords: names in each, if known.
        labels: [n] the language of each, and whether it is another one, if that was asked before; "und" for
            texts that are too short to tell.
    """
    check_words(references)
    names = keywords if keywords is not None else [()] * len(references)
    if labels is None:
        labels = (other_language(excerpt(text), language) for text in references)
    told = joined = 0
    wrong: Counter[str] = Counter()
    short: list[str] = []
    for text, own, (label, is_other) in zip(references, names, labels, strict=True):
        if (label == UNKNOWN or is_other) and is_names_alone(text, own or ()):
            continue
        if label == UNKNOWN:
            if joined < _JOINED:
                short.append(text)
                joined += len(text) + 1
            continue
        told += 1
        if is_other and _is_surely_other(text, language):
            wrong[label] += 1
    together = " ".join(short)[:_JOINED]
    others = wrong.total()
    enough = told >= min(ENOUGH_TOLD, len(references) / 2)  # three odd texts say nothing about forty
    if enough and others and rate_interval(others, told)[0] > MAX_WRONG_REFERENCES:
        found = ", ".join(f"{label}: {count}" for label, count in wrong.most_common(3))
        fault = f"{others} of {told} references are not in {language.name} ({language.code}); "
        fault += f"they look like {found}"
    elif letter_count(together) >= LONG and not is_language(together, language.code):
        fault = f"The short references together are not in {language.name} ({language.code}); "
        fault += f"they look like {identify(together)[0]}"
    else:
        return
    raise MellaError(
        f"{fault}. Score them with the metric of their language, or do not check them if they are right after all: "
        "--no-check-references, in Python check_references=False."
    )


def _is_surely_other(text: str, language: Language) -> bool:
    """Whether collecting would not have accepted the text either."""
    if script_share(text, language.scripts) < SCRIPT_SHARE or language.code == ENGLISH:
        return True
    return is_foreign(text, language.code)
