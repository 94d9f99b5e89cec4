"""METEOR 1.5 against values worked by hand, real scores of the Java program, and nltk."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mella_hf.languages import get_language
from mella_hf.metrics.paper import clean_prediction, penn_tokens
from mella_hf.metrics.scores.meteor import Meteor, longest_runs_first, meteor, score_by_nltk
from mella_hf.metrics.texts.prepared import MetricSettings
from mella_hf.metrics.texts.vocabulary import Vocabulary


def exact(prediction: list[str], reference: list[str]) -> float:
    vocabulary = Vocabulary()
    ours, theirs = vocabulary.encode(prediction), vocabulary.encode(reference)
    return meteor(ours, theirs, ours, theirs)


def test_identical_texts_have_no_penalty() -> None:
    assert exact("the cat sat".split(), "the cat sat".split()) == 1.0


def test_one_text_twice_over_has_a_penalty() -> None:
    # Precision 1/2, recall 1: Fmean = 1 / (.25/.5 + .75/1) = .8; one chunk of three matches: 1 - .7 (1/3)^1.4.
    assert exact("a b c a b c".split(), "a b c".split()) == pytest.approx(0.8 * (1 - 0.7 * (1 / 3) ** 1.4))


def test_swapped_halves_are_two_chunks() -> None:
    assert exact("c d a b".split(), "a b c d".split()) == pytest.approx(1 - 0.7 * 0.5**1.4)


def test_stem_matches_weigh_half() -> None:
    # Two words of three match, one exactly, one by stem: P = R = 1.5/3, one chunk of two matches.
    words = np.array([0, 1, 2]), np.array([0, 3, 4])
    stems = np.array([0, 1, 2]), np.array([0, 1, 5])
    assert meteor(*words, *stems) == pytest.approx(0.5 * (1 - 0.7 * 0.5**1.4))


def test_runs_and_single_words_match_exactly_or_by_stem() -> None:
    # By stem, 0 1 is a run and 2 and 3 are single: four matches, three chunks. 0 and 2 are exact, 1 and 3 are not.
    words = np.array([2, 9, 0, 1, 3]), np.array([13, 8, 0, 11, 5, 2])
    stems = np.array([2, 9, 0, 1, 3]), np.array([3, 8, 0, 1, 5, 2])
    f_mean = 1 / (0.25 / (3 / 5) + 0.75 / (3 / 6))
    assert meteor(*words, *stems) == pytest.approx(f_mean * (1 - 0.7 * (3 / 4) ** 1.4))
    assert meteor(*words[::-1], *stems[::-1]) == pytest.approx(
        1 / (0.25 / (3 / 6) + 0.75 / (3 / 5)) * (1 - 0.7 * (3 / 4) ** 1.4)
    )


def test_numbers_of_words_may_be_larger_than_those_of_stems() -> None:
    a, b = np.array([70, 1]), np.array([1, 2])
    assert meteor(a, b, np.array([0, 1]), np.array([1, 2])) == pytest.approx(0.5 * (1 - 0.7))
    assert meteor(b, a, np.array([1, 2]), np.array([0, 1])) == pytest.approx(0.5 * (1 - 0.7))
    c, d = np.array([0, 1]), np.array([2, 3])
    assert meteor(c, d, np.array([95, 91]), np.array([91, 5])) == pytest.approx(0.25 * (1 - 0.7))


@pytest.mark.parametrize(("prediction", "reference"), [([], ["a"]), (["a"], []), ([], []), (["a"], ["b"])])
def test_nothing_in_common_is_zero(prediction: list[str], reference: list[str]) -> None:
    assert exact(prediction, reference) == 0.0


def runs_by_definition(prediction: list[int], reference: list[int]) -> list[tuple[int, int, int]]:
    """Take the longest run of two or more free words, of equal ones that which moves least, until there is none."""
    used, taken = [False] * len(prediction), [False] * len(reference)
    runs = []
    while True:
        found = []
        for i in range(len(prediction)):
            for j in range(len(reference)):
                length = 0
                while (
                    i + length < len(prediction)
                    and j + length < len(reference)
                    and prediction[i + length] == reference[j + length]
                    and not used[i + length]
                    and not taken[j + length]
                ):
                    length += 1
                if length > 1:
                    found.append((-length, abs(i - j), i, j))
        if not found:
            return runs
        length, _, i, j = min(found)
        runs.append((-length, i, j))
        used[i : i - length] = [True] * -length
        taken[j : j - length] = [True] * -length


@pytest.mark.parametrize(
    ("prediction", "reference", "runs"),
    [
        ("abcdef", "cdef-abcd", [(4, 2, 0), (2, 0, 5)]),  # of abcd, what is left of cdef
        ("abcdef", "abcd-cdef", [(4, 0, 0), (2, 4, 7)]),  # of cdef, the end
        ("abcdefg", "abcd-cdefg", [(5, 2, 5), (2, 0, 0)]),
        ("abcdef", "abcde-bcdef", [(5, 0, 0)]),  # a single word is no run
        ("12345abcdef67890", "12345ab-ef67890+abcdef", [(7, 0, 0), (7, 9, 8), (2, 7, 18)]),  # of abcdef, the middle
        ("ab", "ab", [(2, 0, 0)]),
        ("xab", "abab", [(2, 1, 0)]),
    ],
)
def test_what_is_left_of_a_run(prediction: str, reference: str, runs: list[tuple[int, int, int]]) -> None:
    letters = [np.array([ord(c) for c in text], dtype=np.int64) for text in (prediction, reference)]
    assert longest_runs_first(*letters, 128)[0] == runs
    assert runs_by_definition(*(text.tolist() for text in letters)) == runs


WORDS = st.lists(st.integers(0, 3), max_size=14)


@settings(max_examples=300, deadline=None)
@given(WORDS, WORDS)
def test_runs_are_those_of_the_definition(prediction: list[int], reference: list[int]) -> None:
    ours, theirs = np.array(prediction, dtype=np.int64), np.array(reference, dtype=np.int64)
    expected = runs_by_definition(prediction, reference)
    assert longest_runs_first(ours, theirs, 4)[0] == expected
    # With many different words, pairs of them need 64 bits.
    assert longest_runs_first(ours * 99_991, theirs * 99_991, 300_000)[0] == expected


@settings(max_examples=300, deadline=None)
@given(WORDS, WORDS)
def test_runs_are_equal_and_disjoint(prediction: list[int], reference: list[int]) -> None:
    ours, theirs = np.array(prediction, dtype=np.int64), np.array(reference, dtype=np.int64)
    runs, marked, other_marked = longest_runs_first(ours, theirs, 4)
    used = [i + k for length, i, _ in runs for k in range(length)]
    taken = [j + k for length, _, j in runs for k in range(length)]
    assert [prediction[i] for i in used] == [reference[j] for j in taken]
    assert sum(marked) == len(used) and sum(other_marked) == len(taken)
    assert len(set(used)) == len(used) and len(set(taken)) == len(taken)
    if len(ours) and len(theirs):
        assert 0.0 <= meteor(ours, theirs, ours, theirs) <= 1.0


def test_agrees_with_the_java_program(outputs, item_scores) -> None:
    # 600 real scores of METEOR 1.5, `-l other -lower`, on cleaned texts cut at 1,300 characters.
    ours, java = [], []
    for language in ("ar", "cs", "th"):
        for system in ("base", "mella"):
            for row in outputs(language, system):
                prediction = penn_tokens(clean_prediction(row["prediction"])[:1300])
                ours.append(exact(prediction, penn_tokens(row["reference"][:1300])))
                java.append(item_scores[language, system, row["id"]]["meteor15_l_other_lower"])
    assert np.corrcoef(ours, java)[0, 1] >= 0.995
    assert abs(np.mean(ours) - np.mean(java)) <= 0.01


def test_nltk_is_there_for_comparison() -> None:
    from nltk.translate.meteor_score import single_meteor_score

    from mella_hf.metrics import MellaMetric
    from mella_hf.metrics.scores.meteor import NoWordNet, StemTable
    from mella_hf.text.tokens import stem

    prediction, reference = "muž stojí na mostě v noci", "na starém mostě stojí muž"
    words = prediction.split() + reference.split()
    metric = MellaMetric("cs", meteor="nltk")
    result = metric.compute(predictions=[prediction], references=[reference], check_references=False)
    stems = StemTable(dict(zip(words, stem(words, "cs"), strict=True)))
    expected = single_meteor_score(
        reference.split(), prediction.split(), preprocess=str, stemmer=stems, wordnet=NoWordNet()
    )
    assert result["meteor"] == round(100 * expected, 4) > 0
    assert "meteor:nltk" in result["signature"]


def analysed(words: str, stems: str) -> Any:
    """The words of a text and their stems, as `TokenAnalysis` has them."""
    return SimpleNamespace(words=words.split(), stems=stems.split())


def test_nltk_gets_our_words_and_stems() -> None:
    # One match by our stem, which Porter's would not find: P = R = 1, and one chunk of one match halves it.
    assert score_by_nltk(analysed("psi", "ps"), analysed("psa", "ps")) == 0.5
    assert score_by_nltk(analysed("psi", "ps"), analysed("psa", "ps"), gamma=0.0) == 1.0
    assert score_by_nltk(analysed("Pes", "Pes"), analysed("pes", "pes")) == 0.0  # case is our tokenizer's matter
    assert score_by_nltk(analysed("", ""), analysed("psa", "ps")) == 0.0
    assert score_by_nltk(analysed("psi", "ps"), analysed("", "")) == 0.0


def test_the_metric_is_the_mean_of_its_items_and_names_its_parameters() -> None:
    from mella_hf.metrics import MellaMetric

    metric = MellaMetric("cs")
    result = metric.compute(
        predictions=["pes kočka dům pes kočka dům", "strom"], references=["pes kočka dům", "řeka"],
        check_references=False,
    )  # fmt: skip
    assert result["meteor"] == pytest.approx(50 * 0.8 * (1 - 0.7 * (1 / 3) ** 1.4), abs=1e-4)
    assert Meteor().score(np.array([1.5, 9.0]), 3) == {"meteor": 50.0}
    assert Meteor().signature(MetricSettings(get_language("cs"))) == "meteor:exact+stem,a.75b1.4g.7s.5"
    assert Meteor().signature(MetricSettings(get_language("cs"), meteor="nltk")) == "meteor:nltk"
