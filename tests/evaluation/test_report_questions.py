"""The open questions on the pages: made-up names, rare names, transfer; by hand, and what the pages say of them."""

import json
import re

import pytest
from playwright.sync_api import expect

from mella_hf.evaluation.questions.conclusions import (
    gain_outcome,
    made_up_conclusions,
    made_up_outcome,
    rare_outcome,
    transfer_conclusions,
)
from mella_hf.evaluation.reports.comparison import write_comparison
from mella_hf.evaluation.reports.questions import made_up_names, rare_names
from mella_hf.evaluation.reports.report import write_report
from mella_hf.evaluation.reports.systems import run_systems
from mella_hf.evaluation.run import load_run
from mella_hf.html.charts import frequency_plots


def change(folder, **changes):
    """Overwrite fields of every score of a run."""
    record = json.loads((folder / "scores.json").read_text("utf-8"))
    for score in record["scores"]:
        score |= changes
    (folder / "scores.json").write_text(json.dumps(record), "utf-8")


@pytest.fixture
def own_language_run(stand_in_run):
    """A stand-in run whose answers are all in the language asked."""
    change(stand_in_run, wrong_language_rate=0.0, wrong_script_rate=0.0)
    return stand_in_run


def records_of(folder):
    run = load_run(folder)
    return made_up_names(run_systems(run), [run.language])


def test_made_up_names_are_compared_over_the_same_images(own_language_run):
    """By hand: each of four images has three names, of which the base makes up two and the adapter none.

    Of the 16 ways to turn four equal differences, two are as large as what was seen: p is 1/8, and 1/4 by Holm. So
    four images show nothing, however large the difference.
    """
    base, adapter, *_ = records_of(own_language_run)
    assert (base["system"], base["entities"], base["unsupported"], base["delta"]) == ("base", 12, 8, None)
    assert base["entity_precision"] == pytest.approx(100 / 3) and adapter["entity_precision"] == 100
    assert adapter["delta"] == pytest.approx(200 / 3) and adapter["delta_low"] < 0 < 200 / 3 < adapter["delta_high"]
    assert adapter["against"] == "base" and adapter["p_holm"] == pytest.approx(2 / 8, abs=0.05)
    assert made_up_outcome(adapter, base) == "none"
    assert made_up_conclusions([base, shown(adapter)]) == [
        "Know: adapter says 12 names, 100.0% of them supported; base says 12 names, 33.3% of them supported. "
        "adapter makes up fewer names (+66.7 points, +20.0 to +90.0, p 0.010)."
    ]


def shown(record):
    """The record as more images would give it."""
    return record | {"delta_low": 20.0, "delta_high": 90.0, "p_holm": 0.01}


def test_no_conclusion_from_few_names_or_from_answers_in_another_language(own_language_run):
    base, adapter, *_ = records_of(own_language_run)
    adapter = shown(adapter)
    assert made_up_outcome(adapter | {"entities": 9}, base) == "few"
    assert made_up_outcome(adapter, base | {"foreign_rate": 0.11}) == "foreign"
    assert made_up_outcome(adapter | {"p_holm": 0.05}, base) == "none"
    assert made_up_outcome(adapter | {"delta": -1.0}, base) == "more"
    (sentence,) = made_up_conclusions([base | {"foreign_rate": 0.96}, adapter])
    assert sentence.endswith("No conclusion: 96% of base’s answers are in another language or script.")


def test_many_comparisons_are_counted_and_not_told_one_by_one(own_language_run):
    base, adapter, *_ = records_of(own_language_run)
    pairs = [{**r, "language": code} for code in ("ar", "cs", "hu", "ko", "th") for r in (base, shown(adapter))]
    assert made_up_conclusions(pairs) == ["Of 5 comparisons with a base: 5 makes up fewer names."]


def test_rare_names_stand_where_their_accuracy_is(stand_in_run):
    """By hand: 80 of an axis to 100 is a fifth from the top; of two systems, the first stands left of the middle."""
    run = load_run(stand_in_run)
    records = rare_names(run_systems(run), ["ar"])
    assert [(r["system"], r["bin"], r["hits"]) for r in records if r["keywords"] and r["bin"] != "1"] == [
        ("base", "0", 0), ("base", "6+", 0), ("adapter", "0", 1), ("adapter", "6+", 8),
    ]  # fmt: skip
    (plot,) = frequency_plots(records)
    assert [(b["label"], b["names"], b["at"]) for b in plot["bins"]] == [
        ("0", 10, 12.5), ("1", 5, 37.5), ("2-5", 0, 62.5), ("6+", 10, 87.5),
    ]  # fmt: skip
    base, adapter = (mark for mark in plot["marks"] if mark["at"] > 75)
    assert base["at"] == 85.0 and base["value"] == 100.0 and adapter["at"] == 90.0 and adapter["value"] == 20.0
    assert len(plot["marks"]) == 6, "an empty bin has none"


def test_rare_outcomes_follow_the_paired_difference():
    """The accuracies' own intervals say nothing: they may overlap where the difference is certain."""
    at = {"accuracy": 50.0, "low": 20.0, "high": 80.0}
    assert rare_outcome(at | {"delta": 8.0, "p_holm": 0.01}, at) == "higher"
    assert rare_outcome(at | {"delta": -8.0, "p_holm": 0.01}, at) == "lower"
    assert rare_outcome(at | {"delta": 40.0, "p_holm": 0.2, "low": 81.0}, at) == "none"
    assert rare_outcome(at | {"delta": None, "p_holm": None}, at) == "unmeasured"
    assert rare_outcome({"accuracy": None}, at) == "unknown"


def test_transfer_is_told_where_the_adapter_did_not_see_the_language(make_run, tmp_path, open_page):
    path = write_report(make_run(tmp_path / "run", language="th", trained_on="ar"))
    differences = json.loads(path.with_suffix(".json").read_text("utf-8"))["differences"]
    assert [(d["trained_on"], d["transfer"]) for d in differences] == [(["ar"], True)] * 2
    page = open_page(path)
    section = page.locator("section", has=page.locator("#transfer-title"))
    expect(section).to_contain_text("adapter, trained on Arabic only, in Thai: Keyword accuracy on know")
    gained = differences[0] | {"delta": 3.25, "delta_low": 1.0, "delta_high": 5.0, "p_holm": 0.01}
    told = (
        "adapter, trained on Arabic only, in Thai: Keyword accuracy on know gains (+3.2 points, +1.0 to +5.0, p 0.010)."
    )
    assert transfer_conclusions([gained, gained | {"transfer": False}], []) == [told]
    place = {key: gained[key] for key in ("system", "language", "split")}
    assert transfer_conclusions([gained], [place | {"foreign_rate": 0.4}]) == [
        f"{told} 40% of the answers are in another language or script."
    ]
    assert [gain_outcome(gained | {"p_holm": 0.2}), gain_outcome(gained | {"delta": None})] == ["none", "unmeasured"]


def test_gains_stand_by_adapter_and_language(make_run, tmp_path, open_page):
    """Two adapters in two languages, each at home in one: four cells a split, two of them framed."""
    runs = [
        (f"{trained} adapter", make_run(tmp_path / f"{trained}-{language}", language=language, trained_on=trained))
        for trained in ("ar", "th")
        for language in ("ar", "th")
    ]
    page = open_page(write_comparison(runs, tmp_path / "c.html"))
    gains = page.get_by_role("region", name="Gains by adapter and language on ling")
    expect(gains.locator("tbody td")).to_have_count(4)
    expect(gains.locator("tbody tr")).to_have_text([re.compile("^ar adaptertrained on ar"), re.compile("^th adapter")])
    home = [cell.evaluate("e => e.classList.contains('home')") for cell in gains.locator("tbody td").all()]
    assert home == [True, False, False, True]


def test_the_page_asks_and_answers(own_language_run, open_page):
    page = open_page(write_report(own_language_run))
    made_up = page.locator("section", has=page.locator("#made-up-title"))
    expect(made_up.locator(".conclusion").first).to_contain_text("adapter shows no difference (+66.7 points")
    expect(made_up.locator("tbody tr")).to_have_count(4)
    expect(made_up.locator(".said li").first).to_have_text("base on know: دجلة, الفرات")
    rare = page.locator("section", has=page.locator("#rare-title"))
    expect(rare.get_by_role("row", name="adapter").locator("td").last).to_have_text("80.0 44.4–97.5, 8 of 10")
    expect(rare.locator(".frequency .point")).to_have_count(6)
    expect(page.locator("#category-title")).to_have_count(1)
    site = page.get_by_role("region", name="Keyword accuracy on know, by site")
    expect(site.get_by_role("row", name="a.example").locator("td")).to_have_text(["4.02.0–6.0", "41.039.0–43.0", "4"])
    expect(page.locator("#transfer-title")).to_have_count(0)
    failures = page.get_by_role("region", name="Table of signs of failure")
    expect(failures.get_by_role("row", name="base know").locator("td small")).to_have_text("en 2")


def test_answers_that_make_up_names_are_found(own_language_run, open_page):
    run = json.loads((own_language_run / "scores.json").read_text("utf-8"))
    finding = next(f for f in run["findings"] if (f["model"], f["split"]) == ("adapter", "know_test"))
    image = load_run(own_language_run).predictions["adapter", "know_test"][2]["id"]
    finding["hallucination"]["by_image"][image]["unsupported"] = ["دجلة"]
    (own_language_run / "scores.json").write_text(json.dumps(run), "utf-8")
    page = open_page(write_report(own_language_run))
    example = page.locator(".examples figure")
    expect(example.locator(".said-text")).to_have_text(["جواب بديل من المحوّل 2"])
    expect(example.locator(".said-text")).to_have_attribute("dir", "rtl")
    expect(example.locator("small")).to_have_text("nothing supports دجلة; reference: نص المرجع البديل know 2")
    page.get_by_label("makes up names").check(force=True)
    expect(page.locator("output")).to_have_text("1 of 8")
    trouble = page.locator("article:visible .adapter .trouble")
    expect(trouble).to_have_text("names that nothing supports: دجلة")


def test_a_run_that_was_scored_before_has_its_page_without_them(stand_in_run, open_page):
    record = json.loads((stand_in_run / "scores.json").read_text("utf-8"))
    del record["groups"], record["findings"]
    (stand_in_run / "scores.json").write_text(json.dumps(record), "utf-8")
    page = open_page(write_report(stand_in_run))
    expect(page.locator("#scores-title")).to_have_count(1)
    for anchor in ("made-up-title", "rare-title", "category-title", "domain-title"):
        section = page.locator("section", has=page.locator(f"#{anchor}"))
        expect(section.locator(".none")).to_contain_text("Nothing to show")
        expect(section.locator("table")).to_have_count(0)


def test_the_tables_carry_the_questions_and_their_signatures(own_language_run):
    write_report(own_language_run)
    markdown = (own_language_run / "report.md").read_text("utf-8")
    # All names of an image count as one where few images have any: 4 of 4 is 39.8 to 100 by SciPy's binomtest.
    assert re.search(r"\| adapter \| Arabic \| know \| 12 \| 100\.0 \(39\.8–100\.0\) \| \+66\.7 \(-", markdown)
    assert "| System | Language | Split | 0 | n | 1 | n | 2-5 | n | 6+ | n |" in markdown
    assert "| 10.0 (0.3–44.5) | 10 | 40.0 (5.3–85.3) | 5 | – | 0 | 80.0 (44.4–97.5) | 10 |" in markdown
    assert "|seed:12345|ep:micro,stem`" in markdown and "|seed:12345|lt:exact`" in markdown
    latex = (own_language_run / "report.tex").read_text("utf-8")
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == 4
    assert r"$+66.7$ {\scriptsize ($" in latex


def test_a_run_of_three_systems_is_a_comparison(make_run, tmp_path, open_page):
    folder = make_run(tmp_path / "run")
    record = json.loads((folder / "scores.json").read_text("utf-8"))
    record["models"]["sdrrl"] = record["models"]["adapter"]
    for part in ("scores", "findings", "groups"):
        record[part] += [entry | {"model": "sdrrl"} for entry in record[part] if entry["model"] == "adapter"]
    (folder / "scores.json").write_text(json.dumps(record), "utf-8")
    (folder / "predictions/sdrrl").mkdir()
    for path in (folder / "predictions/adapter").iterdir():
        text = path.read_text("utf-8").replace("جواب بديل من المحوّل 1", "جواب ثالث")
        (folder / "predictions/sdrrl" / path.name).write_text(text, "utf-8")
    page = open_page(write_comparison([folder], tmp_path / "c.html"))
    card = page.locator("article", has=page.get_by_role("heading", name="know entity 1"))
    expect(card.locator("dl > div")).to_have_count(4)
    expect(card.locator("dl > div").last.locator("dd").first).to_have_text("جواب ثالث")
    expect(card.locator("dl > div").last.locator("dd").first).to_have_attribute("dir", "rtl")


def test_the_gallery_of_a_comparison_is_narrowed_by_language_and_system(make_run, tmp_path, open_page):
    runs = [make_run(tmp_path / name, language=code) for name, code in (("ar", "ar"), ("th", "th"))]
    other = make_run(tmp_path / "other")
    path = other / "predictions/adapter/know_test.jsonl"
    path.write_text(path.read_text("utf-8").replace("جواب بديل من المحوّل 2", ""), "utf-8")
    out = tmp_path / "c.html"
    write_comparison([*runs, ("other", other)], out)
    page = open_page(out)
    output = page.locator("output")
    expect(output).to_have_text("16 of 16")
    page.get_by_label("System to judge by").select_option("stand-in-adapter")
    page.get_by_label("changed").check(force=True)
    expect(output).to_have_text("8 of 16")  # two of each split: the first is unchanged, the last hostile
    page.get_by_label("System to judge by").select_option("other")  # measured in Arabic only
    expect(output).to_have_text("3 of 16")  # with no answer, as the base gave none
    page.get_by_label("changed").uncheck(force=True)
    page.get_by_label("degenerate").check(force=True)
    page.get_by_label("worst first").check(force=True)
    headings = page.locator(".gallery article:visible h3")
    expect(headings.first).to_have_text("know entity 2")
    page.get_by_label("Language").select_option("Thai")
    expect(output).to_have_text("0 of 16")
    page.get_by_role("button", name="Show all").click()
    expect(output).to_have_text("16 of 16")
    expect(page.get_by_label("Language")).to_be_focused()
