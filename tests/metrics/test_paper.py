"""The author's published averages, from the author's outputs, through the author's faults."""

import pytest

from mella_hf.metrics import MellaMetric
from mella_hf.metrics.paper import (
    clean_prediction,
    item_bleu,
    item_rouge_l,
    java_meteor,
    meteor_jar,
    paper_scores,
    penn_tokens,
)

# First author's repository: BLEU-1, BLEU-4, METEOR, ROUGE-L of InternVL2-8B, untuned and tuned, and where the
# texts were cut. (The published Thai tuned row, .0317 .0000 .3510 .0338, does not follow from the outputs.)
PUBLISHED = [
    ("ar", "base", None, 0.0575, 0.0003, 0.2607, 0.0523),
    ("ar", "mella", None, 0.3535, 0.0999, 0.3790, 0.2423),
    ("cs", "base", None, 0.0384, 0.0007, 0.0337, 0.0625),
    ("cs", "mella", 1300, 0.3238, 0.0898, 0.1559, 0.2273),
    ("th", "base", None, 0.0035, 0.0000, 0.1995, 0.0050),
]


@pytest.mark.parametrize(("language", "system", "cut", "bleu_1", "bleu_4", "meteor", "rouge_l"), PUBLISHED)
def test_published_averages(language, system, cut, bleu_1, bleu_4, meteor, rouge_l, outputs, monkeypatch) -> None:
    monkeypatch.setattr("mella_hf.metrics.paper.meteor_jar", lambda: None)  # without Java
    rows = outputs(language, system)
    result = paper_scores([r["prediction"] for r in rows], [r["reference"] for r in rows], cut)
    got = [result[name] / 100 for name in ("bleu_1", "bleu_4", "rouge_l")]
    assert got == pytest.approx([bleu_1, bleu_4, rouge_l], abs=5.1e-5)
    assert result["meteor"] is None


@pytest.fixture
def java() -> None:
    if meteor_jar() is None:
        pytest.skip("METEOR 1.5 needs Java and: pip install --no-deps pycocoevalcap==1.2")


def test_published_meteor(outputs, java) -> None:
    # Czech alone: the program takes two minutes for the two Arabic systems, whose averages come out the same way.
    language, system, cut, _, _, meteor, _ = PUBLISHED[2]
    rows = outputs(language, system)
    result = paper_scores([r["prediction"] for r in rows], [r["reference"] for r in rows], cut)
    assert result["meteor"] / 100 == pytest.approx(meteor, abs=5.1e-5)


def test_english_settings_take_each_arabic_letter_for_a_word(java) -> None:
    # Two different words of the same four letters: nothing in common, but all letters of one are in the other.
    ours, theirs = [["كتاب"]], [["بتاك"]]
    assert java_meteor(ours, theirs, ("-l", "other")) == [0.0]
    assert java_meteor(ours, theirs)[0] > 0.3


@pytest.mark.parametrize("language", ["ar", "cs", "th"])
def test_items_score_as_aac_metrics_says(language: str, outputs, item_scores) -> None:
    differing = 0
    for system in ("base", "mella"):
        for row in outputs(language, system):
            prediction = penn_tokens(clean_prediction(row["prediction"])[:1300])
            reference = penn_tokens(row["reference"][:1300])
            bleus = item_bleu(prediction, reference)
            expected = item_scores[language, system, row["id"]]
            got = [bleus[0], bleus[3], item_rouge_l(prediction, reference)]
            wanted = [expected[k] for k in ("aac_bleu1", "aac_bleu4", "aac_rouge_l")]
            differing += got != pytest.approx(wanted, abs=1e-5)
    # One Czech answer has a stray combining dot, which the Java tokenizer takes for a word of its own.
    assert differing <= (1 if language == "cs" else 0)


def test_cleaning_is_the_english_answer_processors() -> None:
    assert clean_prediction("A dog, the (two) cats?\nand a fox.") == "dog 2 cats and fox"
    assert clean_prediction("Pes a kočka") == "pes kočka"  # Czech "and" goes as an English article


def test_the_protocol_says_that_it_does_not_compare(monkeypatch) -> None:
    monkeypatch.setattr("mella_hf.metrics.paper.meteor_jar", lambda: None)  # without Java
    result = MellaMetric("cs", protocol="paper").compute(predictions=["Pes."], references=["Pes."])
    assert "NOT COMPARABLE" in result["signature"] and result["bleu_1"] == 100.0
