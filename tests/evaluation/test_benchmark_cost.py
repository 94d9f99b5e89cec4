"""What an adapter costs elsewhere is in the report, beside what it learned."""

import json
import shutil

import pytest

from mella_hf.evaluation.benchmarks.cost import benchmark_costs
from mella_hf.evaluation.reports.report import write_report


def result(folder, system, name, scores, language="en"):
    (folder / "benchmarks" / system).mkdir(parents=True, exist_ok=True)
    record = {"benchmark": {"name": name, "language": language}, "model": {}, "scores": scores}
    (folder / "benchmarks" / system / f"{name}.json").write_text(json.dumps(record))
    (folder / "benchmarks" / system / f"{name}.jsonl.meta.json").write_text("{}")
    (folder / "benchmarks" / system / f"{name}.meta.json").write_text("{}")


def accuracy(value):
    return {"accuracy": value, "accuracy_low": value - 3, "accuracy_high": value + 3, "chance": 25.0, "n": 200}


def meteor(value):
    return {"meteor": value, "meteor_low": value - 1, "meteor_high": value + 1, "meteor_floor": 2.0, "n": 50}


@pytest.fixture
def folder(tmp_path):
    result(tmp_path, "base", "aokvqa", accuracy(71.5))
    result(tmp_path, "adapter", "aokvqa", accuracy(68.0))
    result(tmp_path, "base", "xm3600-ar", meteor(12.0), "ar")
    result(tmp_path, "adapter", "xm3600-ar", meteor(20.25), "ar")
    result(tmp_path, "base", "scienceqa", accuracy(60.0))  # the adapter has not answered it
    return tmp_path


def test_base_and_adapter_stand_side_by_side(folder):
    first, second = benchmark_costs(folder)
    assert (first["benchmark"], first["system"], first["metric"], first["n"]) == ("aokvqa", "adapter", "accuracy", 200)
    assert (first["base"], first["value"], first["change"]) == (71.5, 68.0, -3.5)
    assert (second["metric"], second["interval"], second["change"]) == ("METEOR", [19.25, 21.25], 8.25)
    (folder / "ar").mkdir()
    assert benchmark_costs(folder / "ar") == [first, second], "several languages have their runs one level below"
    assert benchmark_costs(folder / "ar" / "deeper") == []


def test_the_report_has_a_row_for_each(stand_in_run, folder, open_page):
    run = shutil.copytree(stand_in_run, folder / "page")
    shutil.copytree(folder / "benchmarks", run / "benchmarks")
    page = open_page(write_report(run))
    rows = page.locator("section[aria-labelledby=costs-title] tbody tr").all_inner_texts()
    assert [" ".join(row.split()) for row in rows] == [
        "aokvqa (en) adapter 200 accuracy 71.5 68.5–74.5 68.0 65.0–71.0 −3.5",
        "xm3600-ar (ar) adapter 50 METEOR 12.0 11.0–13.0 20.2 19.2–21.2 +8.2",
    ]
