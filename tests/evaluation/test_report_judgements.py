"""What people and a judge said, on the page: in a headless browser, with a scripted stand-in for the judge."""

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from caption_server import CaptionServer
from judged_run import biased_judge, build_judged_run, stand_in_judge
from playwright.sync_api import expect
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.evaluation.judging.human import keep_choices
from mella_hf.evaluation.judging.prompts import PROMPT_VERSION, prompt_hash
from mella_hf.evaluation.reports.comparison import write_comparison
from mella_hf.evaluation.reports.report import write_report
from mella_hf.evaluation.run import load_run
from mella_hf.reviewing.compare import shown_hash
from mella_hf.reviewing.store import Decision


def judge(run: Path, data: Path, script: Any, *options: str) -> None:
    with CaptionServer(script) as server:
        command = ["judge", str(run), "--base-url", server.url, "--model", "stand-in-judge", "--data-dir", str(data)]
        done = CliRunner().invoke(app, [*command, *options])
    assert done.exit_code == 0, done.output


def choose(run: Path, action: str) -> None:
    """Two stand-in reviewers choose on the know_test images; the second one takes the base every time."""
    loaded = load_run(run)
    base, adapter = ({p["id"]: p for p in loaded.predictions[model, "know_test"]} for model in ("base", "adapter"))
    pairs = {key: (base[key]["prediction"], adapter[key]["prediction"]) for key in base}
    keep_choices(
        loaded,
        [
            Decision(key, "ar", name, said, shown=shown_hash(*pair), at="2026")
            for key, pair in pairs.items()
            for name, said in (("layla", action), ("omar", "first"))
            if pair[0] != pair[1]
        ],
    )


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, make_run: Any, make_rows: Any) -> Path:
    """A run that people chose on and a biased stand-in judged. Do not write in it."""
    run, data = build_judged_run(tmp_path_factory.mktemp("judged"), make_run, make_rows)
    judge(run, data, stand_in_judge, "--price-in", "1000", "--price-out", "1000")
    judge(run, data, biased_judge, "--against", "base", "--price-in", "1000", "--price-out", "1000")
    choose(run, "tie")
    return run


def test_the_page_says_what_was_chosen_and_judged(judged: Path, open_page: Any, tmp_path: Path) -> None:
    page = open_page(write_report(judged, tmp_path / "report.html"))
    chosen = page.locator("section[aria-labelledby=choices-title]")
    rows = chosen.get_by_role("region", name="Table of choices").locator("tbody tr")
    expect(rows).to_have_count(3)  # people on know, the judge on know and on ling
    expect(rows.nth(0)).to_contain_text("adapter against base")
    expect(rows.nth(0)).to_contain_text("0, 0, 5")  # layla's ties leave omar's choice
    expect(rows.nth(1)).to_contain_text("3, 2, 0")  # stands first when neither is right: a tie
    expect(chosen).to_contain_text("10 choices of 2 reviewers")
    # Five images, all split, ten choices of which half are ties: 1 - 9 * 10 / 50.
    expect(chosen).to_contain_text("Krippendorff’s alpha is -0.80")
    judged_part = page.locator("section[aria-labelledby=judged-title]")
    expect(judged_part.locator("tbody tr").nth(2)).to_contain_text("50.0 11.8–88.2")
    expect(judged_part).to_contain_text("what stood first both times")
    expect(judged_part).to_contain_text("It chooses as people do in 0.0% of 5")
    expect(judged_part).to_contain_text("“Atlantis 1”")
    expect(judged_part).to_contain_text("USD")
    expect(judged_part.locator("summary")).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sections_are_accessible(
    judged: Path, open_page: Any, accessibility: Any, tmp_path: Path, scheme: str
) -> None:
    page = open_page(write_report(judged, tmp_path / "report.html"), color_scheme=scheme)
    assert accessibility(page) == []


def test_the_json_is_what_its_schema_says_with_judgements(judged: Path, tmp_path: Path) -> None:
    facts = json.loads(write_report(judged, tmp_path / "report.html").with_suffix(".json").read_text("utf-8"))
    schema = json.loads((tmp_path / facts["$schema"]).read_text("utf-8"))
    jsonschema.validate(facts, schema)
    assert len(facts["judgements"]["judged"]) == 4
    facts["judgements"]["choices"][0]["second_rate"] = 2
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(facts, schema)


def test_the_tables_to_paste_hold_choices_and_verdicts(judged: Path, tmp_path: Path) -> None:
    table = write_report(judged, tmp_path / "report.html").with_suffix(".md").read_text("utf-8")
    # Three of three: Clopper and Pearson's interval begins at .025 ** (1 / 3); p is .25, of the judge's two tests .5.
    # Five of five: it ends at 1 - .025 ** (1 / 5); p is .0625, the only test of people's.
    assert "| adapter | base | Arabic | know | stand-in-judge | 3 | 2 | 0 | 100.0 (29.2–100.0) | 0.500 |" in table
    assert "| adapter | base | Arabic | know | people | 0 | 0 | 5 | 0.0 (0.0–52.2) | 0.062 |" in table
    assert "| adapter | Arabic | know | stand-in-judge | 6 of 6 | 50.0 (11.8–88.2) | 3.0 (" in table
    assert f"`stand-in-judge|prompt:pointwise,v{PROMPT_VERSION},{prompt_hash('pointwise')[:16]}`" in table


def test_verdicts_on_other_answers_are_not_shown(judged: Path, tmp_path: Path, open_page: Any) -> None:
    run = tmp_path / "run"
    shutil.copytree(judged, run)
    path = run / "predictions/adapter/know_test.jsonl"
    path.write_text(path.read_text("utf-8").replace("Atlantis", "Avalon"), "utf-8")
    page = open_page(write_report(run))
    section = page.locator("section[aria-labelledby=judged-title]")
    expect(section).to_contain_text("The verdicts of stand-in-judge are on answers that have changed since")
    expect(section.get_by_role("region")).to_have_count(0)


def test_a_run_that_was_judged_in_pairs_alone_has_no_scores(judged: Path, tmp_path: Path, open_page: Any) -> None:
    run = tmp_path / "run"
    shutil.copytree(judged, run)
    record = json.loads((run / "judge.json").read_text("utf-8"))
    (run / "judge.json").write_text(json.dumps({**record, "pointwise": None}), "utf-8")
    page = open_page(write_report(run))
    section = page.locator("section[aria-labelledby=judged-title]")
    expect(section).to_contain_text("what stood first both times")
    expect(section.get_by_role("region")).to_have_count(0)


def test_a_run_that_nobody_judged_has_no_such_section(stand_in_run: Path, open_page: Any) -> None:
    page = open_page(write_report(stand_in_run))
    expect(page.locator("#choices-title, #judged-title")).to_have_count(0)


def test_a_comparison_shows_the_judgements_of_its_runs(
    judged: Path, make_run: Any, tmp_path: Path, open_page: Any
) -> None:
    other = make_run(tmp_path / "th", language="th")
    page = open_page(write_comparison([judged, other], tmp_path / "comparison.html"))
    expect(page.locator("section[aria-labelledby=choices-title]")).to_contain_text(
        "stand-in-adapter against stand-in-base"
    )
    expect(page.locator("section[aria-labelledby=judged-title] tbody tr")).to_have_count(4)


def test_all_tests_of_a_judge_on_a_page_are_one_family(judged: Path, tmp_path: Path) -> None:
    """Two runs with the same two tests, p .25 and 1: Holm's smallest is four times .25."""
    shutil.copytree(judged, tmp_path / "copy")
    record = json.loads((tmp_path / "copy/scores.json").read_text("utf-8"))
    record["models"]["adapter"]["adapter"] = "another"
    (tmp_path / "copy/scores.json").write_text(json.dumps(record), "utf-8")
    path = write_comparison([judged, tmp_path / "copy"], tmp_path / "comparison.html").with_suffix(".json")
    facts = json.loads(path.read_text("utf-8"))["judgements"]
    assert [s["system"] for s in facts["judged"] if s["split"] == "know_test"] == [
        "stand-in-base", "stand-in-adapter", "another"
    ]  # fmt: skip
    choices = [c for c in facts["choices"] if c["by"] == "stand-in-judge"]
    assert sorted((c["second"], c["p_value"], c["p_holm"]) for c in choices) == [
        ("another", 0.25, 1.0), ("another", 1.0, 1.0),
        ("stand-in-adapter", 0.25, 1.0), ("stand-in-adapter", 1.0, 1.0),
    ]  # fmt: skip
