"""Keywords are found in the forms that grammars make of some 300 city names a language, and other cities are not."""

import random

import pytest
from city_forms import TEXTS, forms

from mella_hf.metrics.matching import keyword_hits

FOUND = 0.95  # of the forms, in every language
FALSE = 0.01  # of other names that begin alike
TRIED = 300


@pytest.mark.parametrize("language", list(TEXTS))
def test_forms_of_city_names_are_found_in_running_text(language: str) -> None:
    made = list(forms(language))
    random.Random(7).shuffle(made)
    by_name = dict(made)  # one form a name
    tried = (list(by_name.items()) + [pair for pair in made if by_name[pair[0]] != pair[1]])[:TRIED]
    assert len(tried) == TRIED
    missed = [pair for pair in tried if not keyword_hits(TEXTS[language].format(pair[1]), [pair[0]], language)[0]]
    assert len(missed) <= (1 - FOUND) * TRIED, missed
    names = sorted(by_name)
    others = [(name, form) for own, form in tried[:100] for name in _alike(own, names)]
    false = [(name, form) for name, form in others if keyword_hits(TEXTS[language].format(form), [name], language)[0]]
    assert others and len(false) <= FALSE * len(others), false


def _alike(own: str, names: list[str]) -> list[str]:
    """Up to five other names with the same first two letters, none of which is part of the other."""
    return [name for name in names if name[:2] == own[:2] and name not in own and own not in name][:5]
