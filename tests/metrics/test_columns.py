"""Columns as people hold them are paired by position: pandas frames, NumPy, Arrow; and through `evaluate`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mella_hf.errors import MellaError
from mella_hf.metrics import MellaMetric

TEXTS = ["Starý most přes řeku.", "Dvě kočky na okně.", "Červené auto před domem.", "Hora pod sněhem."]
NAMES = [["Karlův most"], None, ["Škoda"], []]
COLUMNS: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "generator": iter,
    "numpy": lambda values: np.array(values, dtype=object),
    "arrow": pa.array,
    "chunked": lambda values: pa.chunked_array([pa.array(values)]),
    "series": pd.Series,
    # As after `frame.sample(frac=1)` or `dropna`: rows in one order, labels in another.
    "shuffled index": lambda values: pd.Series(values, index=[3, 1, 0, 2]),
    "duplicate index": lambda values: pd.Series(values, index=[7, 7, 7, 7]),
    "text index": lambda values: pd.Series(values, index=list("dcba")),
}


@pytest.fixture(scope="module")
def metric() -> MellaMetric:
    return MellaMetric("cs", resamples=50, workers=0)


@pytest.mark.parametrize("form", COLUMNS)
@pytest.mark.parametrize("given", ["predictions", "references"])
def test_columns_are_paired_by_position(metric: MellaMetric, form: str, given: str) -> None:
    texts = {"predictions": TEXTS, "references": TEXTS} | {given: COLUMNS[form](TEXTS)}
    found = metric.compute(**texts, keywords=NAMES)
    assert found["bleu"] == found["rouge_l"] == 100.0


@pytest.mark.parametrize("form", sorted(set(COLUMNS) - {"generator", "numpy"}))
def test_keywords_in_columns(metric: MellaMetric, form: str) -> None:
    plain = metric.compute(predictions=TEXTS, references=TEXTS, keywords=NAMES)
    found = metric.compute(predictions=TEXTS, references=TEXTS, keywords=COLUMNS[form](NAMES))
    assert found == plain and found["keyword_micro"] == 0.0


def test_a_joined_frame_has_nan_where_there_are_no_keywords(metric: MellaMetric) -> None:
    answers = pd.DataFrame({"id": [1, 2, 3, 4], "answer": TEXTS})
    names = pd.DataFrame({"id": [1, 3], "names": [["most"], ["auto"]]})
    frame = answers.merge(names, how="left").sample(frac=1, random_state=3)
    assert frame["names"].isna().sum() == 2
    found = metric.compute(predictions=frame["answer"], references=frame["answer"], keywords=frame["names"])
    assert found["keyword_micro"] == 100.0 and found["bleu"] == 100.0


@pytest.mark.parametrize("values", [set(TEXTS), dict.fromkeys(TEXTS), "text", b"bytes", 7, None])
def test_what_has_no_order_is_refused(metric: MellaMetric, values: Any) -> None:
    with pytest.raises(MellaError, match="predictions are a .*; give lists with one text per item, in order"):
        metric.compute(predictions=values, references=TEXTS)


@pytest.mark.parametrize(
    "values", [pd.DataFrame({"answer": TEXTS}), np.array(TEXTS)[:, None], np.array("text")], ids=["frame", "2d", "0d"]
)
def test_a_table_is_no_column(metric: MellaMetric, values: Any) -> None:
    """A frame iterates over the names of its columns: a text of six letters, equal in both frames."""
    with pytest.raises(MellaError, match=r"are a \w+ of [02] dimensions; give one column of it"):
        metric.compute(predictions=values, references=values)


def test_the_evaluate_module_takes_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    module = str(Path(__file__).parents[2] / "mella_hf" / "metrics" / "mella.py")
    loaded = evaluate.load(module, cache_dir=str(tmp_path))
    shuffled = COLUMNS["shuffled index"](TEXTS)
    found = loaded.compute(predictions=shuffled, references=TEXTS, keywords=pd.Series(NAMES), language="cs", workers=0)
    assert found["bleu"] == 100.0
    loaded.add_batch(predictions=shuffled, references=pa.array(TEXTS))
    assert loaded.compute(language="cs", workers=0)["rouge_l"] == 100.0


@pytest.mark.parametrize("reference", ["\u200b", "…", " \u2060 . ", "🐱", "—"])
def test_a_reference_without_a_word_is_refused(metric: MellaMetric, reference: str) -> None:
    with pytest.raises(MellaError, match="reference of item 1 is .*has no word"):
        metric.compute(predictions=TEXTS[:2], references=[TEXTS[0], reference])


def test_three_texts_that_look_foreign_do_not_refuse_forty(metric: MellaMetric) -> None:
    foreign = "This sentence was left in English by the people who made the dataset."
    short = [f"žlutý květ {n}" for n in range(37)]
    references = [*short, foreign, TEXTS[0] + " " + TEXTS[1], TEXTS[2] + " " + TEXTS[3]]
    assert metric.compute(predictions=references, references=references)["n"] == 40
    with pytest.raises(MellaError, match="references are not in Czech"):
        metric.compute(predictions=[foreign] * 12, references=[foreign] * 12)
