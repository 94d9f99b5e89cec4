"""METEOR 1.5 against values worked by hand, real scores of the Java program, and nltk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mella_hf.metrics.paper import clean_prediction, penn_tokens
from mella_hf.metrics.scores.meteor import longest_runs_first, meteor
from mella_hf.metrics.vocabulary import Vocabulary


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


@pytest.mark.parametrize(("prediction", "reference"), [([], ["a"]), (["a"], []), ([], []), (["a"], ["b"])])
def test_nothing_in_common_is_zero(prediction: list[str], reference: list[str]) -> None:
    assert exact(prediction, reference) == 0.0


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=14), st.lists(st.integers(0, 3), max_size=14))
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
