"""CIDEr-D is pycocoevalcap's, on our words; the document frequencies are those of all references."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mella_hf.metrics import MellaMetric, compare

WORDS = st.lists(st.sampled_from("kočka pes most řeka hrad noc".split()), max_size=9)
PAIRS = st.lists(st.tuples(WORDS, WORDS.filter(bool)), min_size=2, max_size=8)


def oracle(predictions: list[str], references: list[str]) -> tuple[float, list[float]]:
    cider = pytest.importorskip("pycocoevalcap.cider.cider", reason="pycocoevalcap is not installed")
    ours = {number: [text] for number, text in enumerate(predictions)}
    theirs = {number: [text] for number, text in enumerate(references)}
    mean, items = cider.Cider().compute_score(theirs, ours)
    return 100 * float(mean), [100 * float(item) for item in items]


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_equals_pycocoevalcap(pairs: list[tuple[list[str], list[str]]]) -> None:
    predictions, references = [" ".join(p) for p, _ in pairs], [" ".join(r) for _, r in pairs]
    metric = MellaMetric("cs", progress=False, resamples=10)
    counted = metric.statistics(predictions=predictions, references=references, check_references=False)
    mean, items = oracle(predictions, references)
    assert metric.score(counted)["cider"] == pytest.approx(mean, abs=1e-3)
    assert [row["cider"] for row in counted.table()] == pytest.approx(items, abs=1e-3)


@pytest.mark.parametrize("language", ["ar", "th", "cs"])
def test_equals_pycocoevalcap_on_real_outputs(outputs, language: str) -> None:
    from mella_hf.text.tokens import analyze

    rows = outputs(language, "mella")
    columns = {f"{key}s": [row[key] for row in rows] for key in ("prediction", "reference")}
    words = [[" ".join(analyze(text, language).words) for text in column] for column in columns.values()]
    expected = oracle(*words)[0]
    assert expected > 0
    assert MellaMetric(language).compute(**columns)["cider"] == pytest.approx(expected, abs=1e-3)


def test_by_hand() -> None:
    # Of three references, "b" is in two: its weight is log(3/2), that of "a" and "c" log 3. The first answer has the
    # unigrams of its reference, "b" and "c", but not its bigram. Of four orders, two have no n-grams and count 0.
    result = MellaMetric("cs").compute(
        predictions=["c b", "x", "x"], references=["b c", "b a", "d"], check_references=False, return_items=True
    )
    assert result["items"][0]["cider"] == pytest.approx(1000 / 4, abs=1e-4)
    result = MellaMetric("cs").compute(
        predictions=["c", "x", "x"], references=["b c", "b a", "d"], check_references=False, return_items=True
    )
    cosine = math.log(3) / math.hypot(math.log(3), math.log(1.5))
    assert result["items"][0]["cider"] == pytest.approx(1000 / 4 * cosine * math.exp(-1 / 72), abs=1e-3)


def test_workers_and_parts_keep_the_frequencies_of_the_whole_corpus() -> None:
    references = [f"muž číslo {number} stojí na mostě {number % 7}" for number in range(150)]
    predictions = [f"muž {number} stojí u mostu {number % 5}" for number in range(150)]
    columns = {"predictions": predictions, "references": references, "check_references": False}
    alone = MellaMetric("cs", workers=1, progress=False).compute(**columns, return_items=True)
    together = MellaMetric("cs", workers=2, progress=False).compute(**columns, return_items=True)
    assert alone == together
    metric = MellaMetric("cs", progress=False)
    part = metric.statistics(**columns).subset(range(10))
    assert metric.score(part)["cider"] == pytest.approx(sum(row["cider"] for row in alone["items"][:10]) / 10, abs=1e-3)


def test_has_an_interval_a_floor_and_a_place_in_tests_and_signature() -> None:
    references = ["na mostě stojí muž", "v noci svítí hrad", "pes běží u řeky", "kočka spí na okně"]
    metric = MellaMetric("cs", progress=False)
    columns = {"references": references, "check_references": False}
    good = metric.statistics(predictions=references, **columns)
    bad = metric.statistics(predictions=["v noci spí pes"] * 4, **columns)
    result = metric.score(good)
    assert result["cider"] == 1000.0 and result["cider_low"] == result["cider_high"] == 1000.0
    assert result["cider_floor"] < 100
    assert "|cider:d,n4s6,df:refs|" in result["signature"]
    assert compare(bad, good)["cider_delta"] > 900
