"""A small corpus of our own, in the eight languages of the paper, against pinned scores of other programs.

`corpus/pin.py` made `corpus/expected.json` with sacrebleu, rouge_score, nltk and the Java program of METEOR 1.5. Which
names an answer says was read by a person (`said`).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from mella_hf.metrics import MellaMetric
from mella_hf.metrics.scores.meteor import meteor
from mella_hf.metrics.texts.vocabulary import Vocabulary
from mella_hf.text.tokens import analyze

CORPUS = Path(__file__).parent / "corpus"
EXPECTED = json.loads((CORPUS / "expected.json").read_text("utf-8"))["scores"]
LANGUAGES = sorted(EXPECTED)
# METEOR is stated with exact matches here: the Java program has no stemmer for most of these languages.
ROUNDED = 1e-4


def rows(language: str) -> list[dict[str, Any]]:
    with (CORPUS / f"{language}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def columns(language: str) -> dict[str, list[Any]]:
    found = rows(language)
    return {
        "predictions": [row["prediction"] for row in found],
        "references": [row["reference"] for row in found],
        "keywords": [row["keywords"] for row in found],
    }


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return {
        code: MellaMetric(code, progress=False).compute(**columns(code), return_items=True, check_references=False)
        for code in LANGUAGES
    }


def test_the_corpus_is_the_eight_languages_with_twenty_answers_each() -> None:
    assert LANGUAGES == ["ar", "cs", "hu", "ko", "ru", "sr", "th", "vi"]
    for code in LANGUAGES:
        found = rows(code)
        assert len(found) == 20 and len({row["reference"] for row in found}) == 20
        assert any(not row["prediction"] for row in found) and any(row["keywords"] for row in found)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("score", ["bleu", "chrf", "chrf_tokens", "rouge_l"])
def test_scores_are_those_of_the_other_programs(results, language: str, score: str) -> None:
    assert results[language][score] == pytest.approx(EXPECTED[language][score], abs=ROUNDED)


@pytest.mark.parametrize("language", LANGUAGES)
def test_meteor_is_nltks_where_nltks_is_asked_for(language: str) -> None:
    metric = MellaMetric(language, meteor="nltk", resamples=10, progress=False)
    found = metric.compute(**columns(language), check_references=False)["meteor"]
    assert found == pytest.approx(EXPECTED[language]["meteor_nltk"], abs=ROUNDED)


@pytest.mark.parametrize("language", LANGUAGES)
def test_meteor_of_each_answer_is_that_of_the_java_program(language: str) -> None:
    for row, expected in zip(rows(language), EXPECTED[language]["meteor_java_exact"], strict=True):
        vocabulary = Vocabulary()
        ours, theirs = (vocabulary.encode(analyze(row[key], language).words) for key in ("prediction", "reference"))
        assert 100 * meteor(ours, theirs, ours, theirs) == pytest.approx(expected, abs=ROUNDED), row


@pytest.mark.parametrize("language", LANGUAGES)
def test_keyword_hits_are_what_a_person_read(results, language: str) -> None:
    found = rows(language)
    for row, item in zip(found, results[language]["items"], strict=True):
        assert (item["keyword_hits"], item["keywords"]) == (len(row["said"]), len(row["keywords"])), row
    said, asked = (sum(len(row[key]) for row in found) for key in ("said", "keywords"))
    assert results[language]["keyword_micro"] == pytest.approx(100 * said / asked, abs=ROUNDED)


@pytest.mark.parametrize("language", LANGUAGES)
def test_cider_is_that_of_pycocoevalcap(results, language: str) -> None:
    cider = pytest.importorskip("pycocoevalcap.cider.cider", reason="pycocoevalcap is not installed")
    texts = {
        key: [" ".join(analyze(row[key], language).words) for row in rows(language)]
        for key in ("prediction", "reference")
    }
    theirs = {number: [text] for number, text in enumerate(texts["reference"])}
    ours = {number: [text] for number, text in enumerate(texts["prediction"])}
    assert results[language]["cider"] == pytest.approx(100 * cider.Cider().compute_score(theirs, ours)[0], abs=1e-3)
    assert results[language]["cider"] > 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_loops_and_empty_answers_are_found(results, language: str) -> None:
    items = results[language]["items"]
    empty = [number for number, row in enumerate(rows(language)) if not row["prediction"]]
    assert [number for number, item in enumerate(items) if item["empty"]] == empty
    repeated = [item["loop"] or item["repetition"] for item in items]
    assert sum(repeated) == 1  # each language has one answer that says one word or phrase five times or more
