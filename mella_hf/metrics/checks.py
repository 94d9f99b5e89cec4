"""Check the inputs of the metric: each fault raises one clear error, and nothing is skipped."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.languages import Language
from mella_hf.text.lid import LONG, UNKNOWN, identify, is_language, letter_count

MAX_WRONG_REFERENCES = 0.2  # with a larger share of references in another language, scoring makes no sense
_JOINED = 2000  # characters of short references, joined, that are enough to tell their language


def check_texts(predictions: Sequence[str], references: Sequence[str], keywords: Any) -> None:
    """Raise MellaError unless there is one text of each kind for every item, and a reference to score against."""
    if isinstance(predictions, str) or isinstance(references, str):
        raise MellaError("Predictions or references are a single text; give lists with one text per item.")
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
        if not text.strip():
            raise MellaError(
                f"The reference of item {i} is empty, so nothing can be scored against it; leave the item out."
            )
    for i, words in enumerate(keywords or ()):
        if isinstance(words, str):
            raise MellaError(f"The keywords of item {i} are the text {words!r}; give a list of keywords.")
        for word in words or ():
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
    if int(wrong.sum()) > MAX_WRONG_REFERENCES * len(told):
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
