"""Precision and recall of the filter on 400 alt-texts of real pages, judged by a reader."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from mella_hf.know.alt_text import Kept
from mella_hf.know.filter import is_icon, judge
from mella_hf.languages import language_codes

JUDGED = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "judged.jsonl").read_text("utf-8").splitlines()
]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Counter[tuple[bool, bool]]]:
    """language -> Counter of (judged good, kept in that language)."""
    found: dict[str, Counter[tuple[bool, bool]]] = defaultdict(Counter)
    for row in JUDGED:
        language, verdict = judge(row, language_codes())
        kept = isinstance(verdict, Kept) and language == row["language"] and not is_icon(row)
        found[row["language"]][row["judged_good"], kept] += 1
    return found


def test_the_sample_is_what_its_readme_says():
    assert Counter(row["was_kept"] for row in JUDGED) == {True: 200, False: 200}
    assert {row["language"] for row in JUDGED} == {"ar", "cs", "hu", "ko", "ru", "sr", "vi"}


def test_precision_and_recall_by_language(outcomes, record_property):
    lines = []
    for language, count in sorted(outcomes.items()):
        good, kept = count[True, True] + count[True, False], count[True, True] + count[False, True]
        precision, recall = count[True, True] / kept, count[True, True] / good
        lines.append(f"{language}: precision {precision:.3f} of {kept}, recall {recall:.3f} of {good}")
        record_property(language, lines[-1])
    print(*lines, sep="\n")  # shown with -s
    for language, count in outcomes.items():
        assert count[True, True] >= 0.95 * (count[True, True] + count[False, True]), f"precision: {language}: {lines}"
        assert count[True, True] >= 0.95 * (count[True, True] + count[True, False]), f"recall: {language}: {lines}"
