"""Several runs on one page: what is compared, what is refused, and the page in a browser."""

import json
import shutil

import jsonschema
import pytest
from playwright.sync_api import expect
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.errors import MellaError
from mella_hf.evaluation.reports.comparison import write_comparison
from mella_hf.html.charts import plane


@pytest.fixture
def two_languages(make_run, tmp_path):
    """Stand-in runs in Arabic and Thai with one base and one adapter."""
    return [make_run(tmp_path / code, language=code) for code in ("ar", "th")]


@pytest.fixture
def two_methods(make_run, tmp_path):
    """Two stand-in runs in Arabic whose adapters have one name."""
    return [make_run(tmp_path / name) for name in ("joint", "sdrrl")]


def change_scores(folder, **changes):
    """Overwrite fields of every score of a run."""
    record = json.loads((folder / "scores.json").read_text("utf-8"))
    for score in record["scores"]:
        score |= changes
    (folder / "scores.json").write_text(json.dumps(record), "utf-8")


def change_answers(folder, model, split, **changes):
    """Overwrite fields of every answer of a run, by the answer's place where a list is given."""
    path = folder / "predictions" / model / f"{split}.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for place, line in enumerate(lines):
        line |= {key: value[place] for key, value in changes.items()}
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")


def facts_of(page):
    return json.loads(page.with_suffix(".json").read_text("utf-8"))


def test_runs_of_several_languages_share_base_and_adapter(two_languages, tmp_path):
    facts = facts_of(write_comparison(two_languages, tmp_path / "c.html"))
    assert facts["languages"] == ["ar", "th"]
    assert [(s["name"], s["is_base"]) for s in facts["systems"]] == [
        ("stand-in-base", True),
        ("stand-in-adapter", False),
    ]
    assert len(facts["scores"]) == 2 * 12
    assert len(facts["differences"]) == 2 * 2


def test_the_json_is_what_its_schema_says(two_languages, tmp_path):
    facts = facts_of(write_comparison(two_languages, tmp_path / "c.html"))
    schema = json.loads((tmp_path / facts["$schema"]).read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(facts, schema)
    facts["differences"][0]["p_holm"] = 2
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(facts, schema)


def test_a_difference_is_over_the_same_images_and_corrected(two_methods, tmp_path):
    """By hand: 2 of 4 names hit against none is +50. Two adapters on two splits are four tests; without a keyword
    there is none to make."""
    names = [["القاهرة"], ["دجلة"], ["بغداد"], ["النيل"]]
    for folder in two_methods:
        for model in ("base", "adapter"):
            change_answers(folder, model, "know_test", keywords=names)
        change_answers(folder, "base", "know_test", prediction=["لا شيء"] * 4)
        change_answers(folder, "adapter", "know_test", prediction=["مدينة القاهرة", "لا شيء", "مدينة بغداد", ""])
    page = write_comparison([("joint", two_methods[0]), ("sdrrl", two_methods[1])], tmp_path / "c.html")
    know = [d for d in facts_of(page)["differences"] if d["split"] == "know_test"]
    assert [(d["system"], d["metric"], d["delta"], d["n"]) for d in know] == [
        ("joint", "keyword_micro", 50.0, 4),
        ("sdrrl", "keyword_micro", 50.0, 4),
    ]
    assert all(d["p"] <= d["p_holm"] <= 4 * d["p"] for d in know)


def test_two_systems_of_one_name_are_refused(two_methods, tmp_path):
    with pytest.raises(MellaError, match=r"Two runs of 'ar' have the name 'stand-in-adapter': .*joint and .*sdrrl"):
        write_comparison(two_methods, tmp_path / "c.html")
    assert not (tmp_path / "c.html").exists()


def test_one_run_is_no_comparison(stand_in_run, tmp_path):
    with pytest.raises(MellaError, match="two runs, or one run with three systems"):
        write_comparison([("a", stand_in_run), ("b", stand_in_run)], tmp_path / "c.html")


def test_scores_of_another_signature_are_refused(two_methods, tmp_path):
    change_scores(two_methods[1], signature="mella|v:2|lang:ar|n:4")
    with pytest.raises(MellaError, match=r"scored differently on know_test of 'ar': mella\|v:1.* and mella\|v:2"):
        write_comparison([("a", two_methods[0]), ("b", two_methods[1])], tmp_path / "c.html")


def test_other_images_are_refused(two_methods, tmp_path):
    for model in ("base", "adapter"):
        change_answers(two_methods[1], model, "ling_test", id=[f"{i}".zfill(64) for i in range(4)])
    with pytest.raises(MellaError, match="have answers about different images of ling_test of 'ar'"):
        write_comparison([("a", two_methods[0]), ("b", two_methods[1])], tmp_path / "c.html")


def test_bases_of_one_name_and_other_weights_are_told_apart(two_languages, tmp_path):
    record = json.loads((two_languages[1] / "scores.json").read_text("utf-8"))
    record["models"]["base"]["base_hash"] = "c" * 64
    (two_languages[1] / "scores.json").write_text(json.dumps(record), "utf-8")
    systems = facts_of(write_comparison(two_languages, tmp_path / "c.html"))["systems"]
    assert [s["name"] for s in systems] == ["stand-in-base bbbbbbbb", "stand-in-base cccccccc", "stand-in-adapter"]


def test_a_third_model_of_a_run_is_a_system_of_its_own(two_languages, tmp_path):
    folder = two_languages[0]
    record = json.loads((folder / "scores.json").read_text("utf-8"))
    record["models"]["sdrrl"] = record["models"]["adapter"]
    record["scores"] += [s | {"model": "sdrrl"} for s in record["scores"] if s["model"] == "adapter"]
    (folder / "scores.json").write_text(json.dumps(record), "utf-8")
    shutil.copytree(folder / "predictions" / "adapter", folder / "predictions" / "sdrrl")
    facts = facts_of(write_comparison(two_languages, tmp_path / "c.html"))
    assert [s["name"] for s in facts["systems"]] == ["stand-in-base", "stand-in-adapter", "sdrrl"]
    assert sorted(d["system"] + d["language"] for d in facts["differences"] if d["split"] == "ling_test") == [
        "sdrrlar", "stand-in-adapterar", "stand-in-adapterth",
    ]  # fmt: skip


def test_the_main_table(two_languages, tmp_path):
    write_comparison(two_languages, tmp_path / "c.html")
    markdown = (tmp_path / "c.md").read_text("utf-8")
    assert "| System | Split | Metric | Arabic | Thai |\n| --- | --- | --- | ---: | ---: |" in markdown
    assert "| stand-in-adapter | know | Keyword accuracy | 41.0 (39.0–43.0) | 41.0 (39.0–43.0) |" in markdown
    assert r"stand-in-base & ling & METEOR & 4.0 {\scriptsize (2.0--6.0)}" in (tmp_path / "c.tex").read_text("utf-8")


def test_the_page_shows_the_numbers(two_languages, tmp_path, open_page):
    page = open_page(write_comparison(two_languages, tmp_path / "c.html"))
    know = page.locator("table.bars").first
    cells = know.get_by_role("row", name="stand-in-adapter").last.locator("td:not(.plot)")
    expect(cells).to_have_text(["stand-in-adapter", "41.0", "39.0–43.0", "20.5"])
    # The axis ends at 60, the first round number above 43; both bars keep their length on it.
    axis = know.locator(".bar-of").first.bounding_box()["width"]
    widths = [bar.bounding_box()["width"] / axis for bar in know.locator(".fill").all()]
    assert widths == pytest.approx([4 / 60, 41 / 60] * 2, abs=0.01)
    expect(page.locator(".plane .point.adapter")).to_have_count(2)
    expect(page.locator("body")).to_contain_text("The models are miniatures.")


def test_axe_finds_nothing_and_nothing_sticks_out(make_run, tmp_path, page_troubles):
    """With every section that there is: the adapter saw one of the languages."""
    runs = [make_run(tmp_path / code, language=code, trained_on="ar") for code in ("ar", "th")]
    assert page_troubles(write_comparison(runs, tmp_path / "c.html")) == []


def test_the_command_takes_names(two_methods, tmp_path, seal):
    joint, sdrrl = map(seal, two_methods)
    out = tmp_path / "methods.html"
    result = CliRunner().invoke(app, ["report", f"first={joint}", f"second={sdrrl}", "--out", str(out), "--rescore"])
    assert result.exit_code == 0, result.output
    assert [s["name"] for s in facts_of(out)["systems"]] == ["stand-in-base", "first", "second"]


def test_points_and_labels_are_placed_by_hand():
    """Axes to 40 and 60. Two points meet at the same place: the second label goes 4.5% up."""
    drawn = plane(
        [
            {"x": (20.0, 10.0, 30.0), "y": (30.0, 15.0, 60.0)},
            {"x": (20.0, 10.0, 40.0), "y": (30.0, 15.0, 45.0)},
            {"x": (0.0, 0.0, 0.0), "y": (0.0, 0.0, 0.0)},
        ]
    )
    first, second, origin = drawn.points
    assert (first["x_value"], first["x_low"], first["x_high"]) == (50, 25, 75)
    assert (first["y_value"], first["y_low"], first["y_high"]) == (50, 75, 0)
    assert (first["label_y"], second["label_y"], origin["label_y"]) == (50, 45.5, 100)
    assert drawn.x_ticks == [(0, "0"), (25, "10"), (50, "20"), (75, "30"), (100, "40")]
