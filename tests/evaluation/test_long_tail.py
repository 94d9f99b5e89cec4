"""Keyword accuracy by training frequency, worked by hand; intervals by hand."""

import pytest

from mella_hf.errors import MellaError
from mella_hf.evaluation.questions.long_tail import BINS, EntityCounts, accuracy_by_frequency
from mella_hf.metrics import keyword_hits

# Praha in six samples (in three forms, twice in one), Brno in two, Krtek in one, Ostrava in none.
TRAINING = [
    ["Praha", "Prahou"], ["Prahou"], ["Prahy"], ["Praha"], ["Praha", "Brno"], ["praha"], ["Brně"], ["Krtek"], [],
]  # fmt: skip
ANSWERS = ["Turisté před Prahou", "Pohled na Brno", "Krteček u řeky", "Praha v noci", ""]
KEYWORDS = [["Praha", "Ostrava"], ["Brno"], ["Krtek"], ["Praha", "Brno"], None]


@pytest.fixture(scope="module")
def counts() -> EntityCounts:
    return EntityCounts.count(TRAINING, "cs")


def test_an_entity_counts_once_a_sample_in_any_form(counts: EntityCounts) -> None:
    assert counts.samples == 9
    assert [counts[name] for name in ("Praha", "Prahu", "Brno", "Krtek", "Ostrava")] == [6, 6, 2, 1, 0]


@pytest.mark.parametrize(
    ("language", "seen", "asked"),
    [
        ("ar", "بالقاهرة", "القاهرة"),
        ("ko", "광화문 광장", "광화문광장"),
        ("sr", "Дунав", "Dunava"),
        ("vi", "Hòa Bình", "Hoà Bình"),
    ],
)
def test_forms_scripts_and_spacing_do_not_hide_an_entity(language: str, seen: str, asked: str) -> None:
    assert EntityCounts.count([[seen]], language)[asked] == 1


def test_bins_by_hand(counts: EntityCounts) -> None:
    rows = {row.bin: row for row in accuracy_by_frequency(ANSWERS, KEYWORDS, counts)}
    # 6+: Praha hit twice. 2-5: Brno hit in the second answer, missed in the fourth. 1: Krtek missed. 0: Ostrava missed.
    assert list(rows) == list(BINS) == ["0", "1", "2-5", "6+"]
    assert [(r.keywords, r.hits, r.accuracy) for r in rows.values()] == [(1, 0, 0), (1, 0, 0), (2, 1, 50), (2, 2, 100)]
    assert rows["0"].low == 0.0 and rows["0"].high == pytest.approx(97.5)  # one keyword says little
    assert [r.counts for r in rows.values()] == [
        [(0, 0, 1)],
        [(2, 0, 1)],
        [(1, 1, 1), (3, 0, 1)],
        [(0, 1, 1), (3, 1, 1)],
    ]
    assert rows["6+"].low == pytest.approx(100 * 0.025**0.5) and rows["6+"].high == 100.0


def test_the_bins_hold_every_keyword_of_the_metric(counts: EntityCounts) -> None:
    rows = accuracy_by_frequency(ANSWERS, KEYWORDS, counts)
    pairs = [keyword_hits(answer, names or [], "cs") for answer, names in zip(ANSWERS, KEYWORDS, strict=True)]
    assert sum(r.hits for r in rows) == sum(hits for hits, _ in pairs)
    assert sum(r.keywords for r in rows) == sum(total for _, total in pairs)


def test_an_empty_bin_has_no_accuracy() -> None:
    rows = accuracy_by_frequency(["Praha"], [["Praha"]], EntityCounts.count([], "cs"))
    assert [row.accuracy for row in rows] == [100.0, None, None, None]


def test_lists_that_do_not_pair_are_refused(counts: EntityCounts) -> None:
    with pytest.raises(MellaError, match="5 answers and 2 keyword lists"):
        accuracy_by_frequency(ANSWERS, KEYWORDS[:2], counts)
