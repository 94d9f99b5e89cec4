"""Scores stay the mapping that programs read, and show a person the numbers with intervals and floors."""

import json
import pickle
from collections.abc import Mapping

from bs4 import BeautifulSoup

from mella_hf import MellaMetric
from mella_hf.metrics.results import Scores

PREDICTIONS = ["Turisté stojí na mostě.", "Kostel", ""]
REFERENCES = ["Turisté stojí na mostě.", "Starý kostel ve městě", "Dům"]
HAND_MADE = Scores(
    {
        "meteor": 36.4, "meteor_low": 30.2, "meteor_high": 41.0, "meteor_floor": 1.3, "keyword_micro": None,
        "keyword_micro_low": None, "keyword_micro_high": None, "keyword_micro_floor": None,
        "empty_rate": 0.25, "loop_rate": 0.0, "n": 1234, "signature": "mella|v:1|<b>",
    }
)  # fmt: skip


def test_scores_are_the_dict_that_programs_read() -> None:
    found = MellaMetric("cs", resamples=50).compute(predictions=PREDICTIONS, references=REFERENCES)
    assert isinstance(found, Mapping) and isinstance(found, dict)
    assert json.loads(json.dumps(found)) == dict(found)
    assert pickle.loads(pickle.dumps(found)) == found
    assert {**found}["n"] == 3


def test_a_person_reads_score_interval_floor_rates_and_signature() -> None:
    title, header, *rows = repr(HAND_MADE).splitlines()
    assert title == "MELLA scores of 1,234 answers"
    assert header.split("  ")[-1] == "floor"
    table = {row.split("  ")[0]: row.split()[-5:] for row in rows}
    assert table["METEOR (exact + stem)"] == ["36.4", "30.2", "to", "41.0", "1.3"]
    assert table["Keyword accuracy (micro)"][-3:] == ["–", "–", "–"]
    assert rows[-2] == "answers: empty 25.0%"  # a rate of 0 is not news
    assert rows[-1] == "mella|v:1|<b>"
    assert "36.400" in HAND_MADE.format(digits=3)


def test_a_notebook_shows_the_same_as_a_table_and_nothing_in_it_is_markup() -> None:
    page = BeautifulSoup(HAND_MADE._repr_html_(), "html.parser")
    assert page.b is None and "mella|v:1|<b>" in page.small.text
    cells = [[cell.text for cell in row.find_all(["th", "td"])] for row in page.tbody.find_all("tr")]
    assert [row[0] for row in cells] == ["METEOR (exact + stem)", "Keyword accuracy (micro)"]
    assert cells[0][1] == "36.4" and cells[1][1:] == ["–", "–", "–"]


def test_a_metric_says_its_signature() -> None:
    metric = MellaMetric("th")
    assert repr(metric) == f"MellaMetric('th'): {metric.signature}"
    assert repr(MellaMetric("th", protocol="paper")) != repr(metric)
