"""Fill the column `keywords` of alt-texts with the names that are found in them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mella_hf.dataset.building.candidate import Unit
from mella_hf.errors import MissingExtraError
from mella_hf.languages import all_codes, get_language

# Counted beside the rows: alt-texts in which names were found; those of languages in which none are looked for; those
# in which none could be, because the packages of the extra `metrics` are not installed.
FOUND, NO_EXTRACTOR, NO_PACKAGES = "keywords_found", "keywords_without_extractor", "keywords_without_packages"


def fill_keywords(rows: Sequence[dict[str, Any]], unit: Unit, counts: Counter[str]) -> None:
    """Find the names in the alt-texts of a unit where its source gave no keywords; count what became of them.

    A language without a name extractor keeps null: its reports lead with METEOR.
    """
    missing = [row for row in rows if row.get("keywords") is None]
    if unit.source != "know" or not missing:
        return
    language = get_language(unit.language) if unit.language in all_codes() else None
    if language is None or language.names == "none":
        counts[NO_EXTRACTOR] += len(missing)
        return
    from mella_hf.metrics.names.keywords import extract_keywords

    try:
        for row in missing:
            row["keywords"] = extract_keywords(row["text"], language)
            counts[FOUND] += bool(row["keywords"])
    except MissingExtraError:
        for row in missing:
            row["keywords"] = None
        counts[NO_PACKAGES] += len(missing)
