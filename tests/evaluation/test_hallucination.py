"""Entity precision, worked by hand: what the reference or the page names is no hallucination."""

import pytest

from mella_hf.errors import MellaError
from mella_hf.evaluation.questions.hallucination import EntityPrecision, compare_precision, entity_precision

ANSWERS = ["Turisté v Praze a v Brně", "Hračka na stole", "Pohled na Vltavu z Hradčan"]
REFERENCES = ["Lidé na mostě v Praze", "Dětská hračka s Krtkem", "Řeka pod hradem"]
CONTEXTS = [["Výlet do Ostravy"], [], ["Praha", "Vltava v zimě"]]


def test_names_are_looked_up_in_reference_and_context() -> None:
    found = entity_precision(ANSWERS, REFERENCES, "cs", CONTEXTS)
    # Praha is in the reference, Vltava (another case) in the context; Brno and Hradčany are nowhere.
    assert found.entities == [["Praze", "Brně"], [], ["Vltavu", "Hradčan"]]
    assert found.unsupported == [["Brně"], [], ["Hradčan"]]
    assert found.counts.tolist() == [[1, 2], [0, 0], [1, 2]]
    summary = found.summary()
    assert summary["entity_precision"] == 50.0 and summary["entities"] == 4 and summary["unsupported"] == 2
    assert summary["hallucinating_rate"] == pytest.approx(2 / 3) and summary["n"] == 3
    # Two images name two each, as many supported as not; two observations say next to nothing.
    assert summary["entity_precision_low"] == pytest.approx(1.26, abs=0.01)
    assert summary["entity_precision_high"] == pytest.approx(98.74, abs=0.01)


def test_without_context_what_only_the_page_says_is_unsupported() -> None:
    assert entity_precision(ANSWERS, REFERENCES, "cs").unsupported == [["Brně"], [], ["Vltavu", "Hradčan"]]


@pytest.mark.parametrize(
    ("language", "answer", "reference", "unsupported"),
    [
        ("ar", "منظر ليلي بالقاهرة", "صورة من القاهرة", []),
        ("ar", "منظر ليلي ببغداد", "صورة من القاهرة", ["بغداد"]),
        ("ko", "경복궁의 단풍", "경복궁에서", []),
        ("sr", "Поглед на Београд", "Panorama Beograda", []),
    ],
)
def test_forms_and_scripts_are_no_hallucinations(language: str, answer: str, reference: str, unsupported: list) -> None:
    found = entity_precision([answer], [reference], language)
    assert found.entities[0] and found.unsupported == [unsupported]


def test_answers_without_names_have_no_precision() -> None:
    summary = entity_precision(["hračka", ""], ["auto", "dům"], "cs").summary()
    assert summary["entity_precision"] is None is summary["entity_precision_low"]
    assert summary["entities"] == 0 and summary["hallucinating_rate"] == 0.0


def counted(pairs: list[tuple[int, int]]) -> EntityPrecision:
    """Answers with so many supported entities of so many."""
    return EntityPrecision([["x"] * n for _, n in pairs], [["x"] * (n - k) for k, n in pairs])


def test_two_systems_are_compared_on_the_same_images() -> None:
    base, tuned = counted([(1, 2)] * 40), counted([(2, 2)] * 40)
    result = compare_precision(base, tuned)
    assert result["delta"] == 50.0 and 0 < result["delta_low"] < 50.0 < result["delta_high"] < 100.0
    assert result["p"] == pytest.approx(1 / 1001)
    mixed = compare_precision(counted([(0, 1), (1, 1)] * 20), counted([(1, 1), (0, 1)] * 20))
    assert mixed["delta"] == 0.0 and mixed["delta_low"] < 0.0 < mixed["delta_high"] and mixed["p"] > 0.9
    assert compare_precision(counted([(0, 0)]), counted([(1, 1)]))["delta"] is None


def test_lists_that_do_not_pair_are_refused() -> None:
    with pytest.raises(MellaError, match="3 answers, 2 references and 3 contexts"):
        entity_precision(ANSWERS, REFERENCES[:2], "cs", CONTEXTS)
    with pytest.raises(MellaError, match="list of answers is empty"):
        entity_precision([], [], "cs")
    with pytest.raises(MellaError, match="have 1 and 2 answers"):
        compare_precision(counted([(1, 1)]), counted([(1, 1)] * 2))
