"""BLEU and chrF++ are sacrebleu's, ROUGE-L is rouge_score's, on our tokens."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from mella_hf.languages import get_language
from mella_hf.metrics.scores.bleu import BLEU_ORDER, bleu_score, bleu_statistics
from mella_hf.metrics.scores.chrf import CHAR_ORDER, Chrf, chrf_score, chrf_statistics
from mella_hf.metrics.scores.rouge_l import rouge_l
from mella_hf.metrics.texts.ngrams import NGrams, characters, repetition
from mella_hf.metrics.texts.vocabulary import Vocabulary

WORDS = st.lists(st.sampled_from("a b c d e".split()), max_size=12)
PAIRS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6)


class Joined:
    """rouge_score's tokenizer interface on finished tokens."""

    def tokenize(self, text: str) -> list[str]:
        return text.split()


def statistics(pairs: list[tuple[list[str], list[str]]]) -> tuple[np.ndarray, np.ndarray]:
    vocabulary = Vocabulary()
    bleu, chrf = [], []
    for pair in pairs:
        words = [NGrams(vocabulary.encode(tokens), BLEU_ORDER) for tokens in pair]
        letters = [NGrams(characters(" ".join(tokens)), CHAR_ORDER) for tokens in pair]
        bleu.append(bleu_statistics(*words))
        chrf.append(chrf_statistics(*letters, *words))
    return np.array(bleu), np.array(chrf)


@settings(max_examples=200, deadline=None)
@given(PAIRS)
def test_bleu_and_chrf_equal_sacrebleu(pairs: list[tuple[list[str], list[str]]]) -> None:
    bleu, chrf = statistics(pairs)
    predictions, references = [" ".join(p) for p, _ in pairs], [" ".join(r) for _, r in pairs]
    expected = BLEU(tokenize="none", force=True).corpus_score(predictions, [references]).score
    assert bleu_score(bleu.sum(axis=0)) == pytest.approx(expected, abs=1e-9)
    expected = CHRF(word_order=2).corpus_score(predictions, [references]).score
    assert chrf_score(chrf.sum(axis=0)) == pytest.approx(expected, abs=1e-9)
    for row, prediction, reference in zip(bleu, predictions, references, strict=True):
        expected = BLEU(tokenize="none", force=True, effective_order=True).sentence_score(prediction, [reference]).score
        assert bleu_score(row, effective_order=True) == pytest.approx(expected, abs=1e-9)


def test_real_outputs_score_as_sacrebleu_says(outputs) -> None:
    from mella_hf.metrics import MellaMetric
    from mella_hf.text.tokens import tokenize

    rows = outputs("th", "mella")
    columns = {"predictions": [r["prediction"] for r in rows], "references": [r["reference"] for r in rows]}
    texts = [[" ".join(tokenize(text, "th")) for text in column] for column in columns.values()]
    result = MellaMetric("th").compute(**columns)
    assert result["bleu"] == round(BLEU(tokenize="none", force=True).corpus_score(texts[0], [texts[1]]).score, 4)
    assert 10 < result["bleu"] < 12


# Letters of several scripts, capitals, ASCII and other punctuation at the ends of words, spaces that are not U+0020.
ODD_TEXTS = st.text(st.sampled_from(list("aAbé Ωя.,!?'\"()-«»…ก็한ا \u00a0\u3000\t\n\u200b\U0001f600")), max_size=30)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ODD_TEXTS, ODD_TEXTS), min_size=1, max_size=5))
def test_plain_chrf_equals_sacrebleu_on_texts_as_they_come(pairs: list[tuple[str, str]]) -> None:
    from mella_hf.metrics.texts.prepared import MetricSettings, Text
    from mella_hf.text.tokens import analyze

    metric, vocabulary, language = Chrf(), Vocabulary(), get_language("en")
    rows = []
    for pair in pairs:
        ready = [metric.prepare(Text(raw, analyze(raw, language), vocabulary, ()), None) for raw in pair]
        rows.append(metric.count(*ready, (), MetricSettings(language)))
    expected = CHRF(word_order=2).corpus_score([p for p, _ in pairs], [[r for _, r in pairs]]).score
    assert metric.score(np.array(rows).sum(axis=0), len(rows))["chrf"] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS)
def test_rouge_l_equals_rouge_score(prediction: list[str], reference: list[str]) -> None:
    scorer = RougeScorer(["rougeL"], tokenizer=Joined())
    expected = scorer.score(" ".join(reference), " ".join(prediction))["rougeL"].fmeasure
    vocabulary = Vocabulary()
    coded = [vocabulary.encode(tokens).tolist() for tokens in (prediction, reference)]
    assert rouge_l(*coded) == expected


def test_rouge_l_equals_rouge_score_on_real_outputs(outputs) -> None:
    from mella_hf.text.tokens import analyze

    scorer = RougeScorer(["rougeL"], tokenizer=Joined())
    for row in outputs("ar", "mella")[:10]:
        words = [analyze(row[key], "ar").words for key in ("prediction", "reference")]
        vocabulary = Vocabulary()
        mine = rouge_l(*(vocabulary.encode(tokens).tolist() for tokens in words))
        assert mine == scorer.score(" ".join(words[1]), " ".join(words[0]))["rougeL"].fmeasure


def test_many_corpora_at_once_score_as_one_by_one() -> None:
    bleu, chrf = statistics([(list("abcd"), list("abcc")), (list("aabb"), list("abab")), ([], list("ab"))])
    assert bleu_score(bleu).tolist() == [float(bleu_score(row)) for row in bleu]
    assert chrf_score(chrf).tolist() == [float(chrf_score(row)) for row in chrf]


def test_repetition_is_one_minus_distinct_4() -> None:
    # a b a b a b: 4-grams abab, baba, abab: two of three are different.
    ngrams = NGrams(Vocabulary().encode(list("ababab")), 4)
    assert repetition(ngrams, 4) == pytest.approx(1 / 3)
    assert repetition(NGrams(Vocabulary().encode(list("abc")), 4), 4) == 0.0
