"""Fill the column `keywords` of alt-texts with the names that are found in them."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from mella_hf.dataset.building.candidate import Unit
from mella_hf.errors import MissingExtraError
from mella_hf.languages import all_codes, get_language
from mella_hf.metrics.names.finders import RULES, Finder, finder_title, names_finder

# Counted beside the rows: alt-texts in which names were found; those of languages in which none are looked for; those
# in which none could be, because the packages of the extra `metrics` are not installed.
FOUND, NO_EXTRACTOR, NO_PACKAGES = "keywords_found", "keywords_without_extractor", "keywords_without_packages"


def fill_keywords(rows: Sequence[dict[str, Any]], unit: Unit, counts: Counter[str], ner: str = RULES) -> None:
    """Find the names in the alt-texts of a unit where its source gave no keywords; count what became of them.

    The rules know some languages; in the others keywords stay null, and reports lead with METEOR. A model is asked
    about every language. The column `keywords_by` says what looked.

    Args:
        ner: "rules", or a token-classification model (`names_finder`).
    """
    missing = [row for row in rows if row.get("keywords") is None]
    if unit.source != "know" or not missing:
        return
    if ner == RULES and (unit.language not in all_codes() or get_language(unit.language).names == "none"):
        counts[NO_EXTRACTOR] += len(missing)
        return
    try:
        found = _finder(ner, unit.language)([row["text"] for row in missing])
    except MissingExtraError:
        if ner != RULES:  # who names a model wants it
            raise
        counts[NO_PACKAGES] += len(missing)
        return
    for row, names in zip(missing, found, strict=True):
        row |= {"keywords": names, "keywords_by": finder_title(ner)}
        counts[FOUND] += bool(names)


@cache
def _finder(ner: str, language: str) -> Finder:
    """The finder, loaded once a process."""
    return names_finder(ner, language)
