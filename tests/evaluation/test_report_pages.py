"""What misled on pages: losses shown as gains, signed zeros, hidden columns, covered titles, missing languages."""

import json

import pytest
from playwright.sync_api import expect

from mella_hf.evaluation.paired import comparison_line
from mella_hf.evaluation.reports import report, volume
from mella_hf.evaluation.reports.comparison import write_comparison
from mella_hf.evaluation.reports.report import report_json, report_view, write_page, write_report
from mella_hf.evaluation.run import load_run
from mella_hf.html.charts import loss_curve, plane
from mella_hf.html.notebook import page_frame
from mella_hf.html.page import number, signed
from mella_hf.html.tables import Cell

PHONE = {"width": 390, "height": 844}


def rewrite(folder, model, split, change):
    """Change each answer of a model by its place."""
    path = folder / "predictions" / model / f"{split}.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for place, line in enumerate(lines):
        line |= change(place, line)
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")


def rescore(folder, change):
    record = json.loads((folder / "scores.json").read_text("utf-8"))
    for score in record["scores"] + record["groups"]:
        change(score)
    (folder / "scores.json").write_text(json.dumps(record, ensure_ascii=False), "utf-8")


@pytest.fixture
def losing_run(make_run, tmp_path):
    """Thirty Czech descriptions in which the base says the reference and the adapter something else."""
    folder = make_run(tmp_path / "losing", language="cs")
    for model in ("base", "adapter"):
        path = folder / "predictions" / model / "ling_test.jsonl"
        first = json.loads(path.read_text("utf-8").splitlines()[0])
        place = "Na obrázku {0} stojí u řeky starý kamenný dům a vedle něj {1} stromů."
        lines = []
        for i in range(30):
            text = place.format(f"číslo{i}", i)
            said = text if model == "base" else f"Vidím psa, který {i} běží po louce."
            lines.append({**first, "id": f"ling{i:02}".ljust(64, "0"), "reference": text, "prediction": said})
            lines[-1]["seen"] = i % 2 == 0
            thumbnail = folder / "thumbnails" / f"{lines[-1]['id']}.jpg"
            thumbnail.write_bytes((folder / "thumbnails" / f"{first['id']}.jpg").read_bytes())
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")

    def worse(score):
        if score["split"] == "ling_test":
            level = 90.0 if score["model"] == "base" else 12.0
            score.update({f"meteor{end}": level + more for end, more in (("", 0), ("_low", -3), ("_high", 3))})

    rescore(folder, worse)
    return folder


def test_a_loss_is_neither_bold_nor_green(losing_run, open_page):
    page = open_page(write_report(losing_run))
    lost = page.locator(".finding.lower .adapter")
    expect(lost).to_have_text("12.0")
    row = page.get_by_role("table", name="Differences").get_by_role("row", name="METEOR on ling loses")
    style = "e => [getComputedStyle(e).color, Number(getComputedStyle(e).fontWeight)]"
    green = page.locator("h3, .models .adapter").first.evaluate(style)[0]
    for element in (lost, row.locator(".delta"), page.locator("td.adapter.lower strong").first):
        color, weight = element.evaluate(style)
        assert color != green and weight <= 500
    assert page.locator(".models .adapter").evaluate(style)[0] == green


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-0.04, "-0.04"), (0.04, "+0.04"), (-0.0, "0.0"), (-0.0001, "0.0"), (3.25, "+3.2"), (-12.0, "-12.0"), (None, "–")],
)
def test_no_zero_has_a_sign(value, shown):
    assert signed(value) == shown
    assert Cell(value, -0.02, 0.02, signed=True).texts()[0] == shown
    assert number(-0.001) == "0.0" and number(-0.0) == "0.0" and number(-0.06) == "-0.1"


def test_a_significant_difference_that_is_small_is_not_minus_zero():
    record = {"language": "ar", "split": "ling_test", "first": "base", "second": "adapter"}
    from mella_hf.evaluation.titles import metric_titles

    for name in metric_titles():
        ends = {"delta": -0.03, "delta_low": -0.049, "delta_high": -0.0, "p_randomization_holm": 0.01}
        record |= {f"{name}_{end}": value for end, value in ends.items()}
    line = comparison_line(record)
    assert "-0.03* [-0.05, 0.0]" in line and "-0.0*" not in line and "-0.0]" not in line


def test_the_outcome_is_on_the_screen_of_a_phone(losing_run, open_page):
    page = open_page(write_report(losing_run), viewport=PHONE)
    cells = page.get_by_role("table", name="Differences").locator("td.outcome")
    assert cells.count() == 2
    for cell in [*cells.all(), *page.get_by_role("table", name="Made-up names").locator(".outcome").all()]:
        box = cell.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] and box["height"] > 0
    expect(cells.last).to_have_text("loses")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_contents_lead_to_every_section(stand_in_run, open_page):
    page = open_page(write_report(stand_in_run))
    links = page.get_by_role("navigation", name="Contents").get_by_role("link")
    titles = [text.removesuffix("#").strip() for text in page.locator("h2").all_text_contents()]
    assert links.all_text_contents() == titles and "Rare names" in titles
    for link in links.all():
        expect(page.locator(link.get_attribute("href"))).to_have_count(1)
    anchors = [link.get_attribute("href") for link in page.locator("h2 .here").all()]
    assert anchors == [link.get_attribute("href") for link in links.all()]


def test_answers_are_paged_and_a_link_opens_the_page_of_its_answer(losing_run, open_page):
    path = write_report(losing_run)
    page = open_page(path, viewport={"width": 1280, "height": 800})
    shown = page.locator(".gallery article:visible")
    expect(shown).to_have_count(24)
    expect(page.locator("output")).to_have_text("34 of 34")
    expect(page.locator(".pages")).to_contain_text("page 1 of 2")
    page.get_by_role("button", name="Next").click()
    expect(shown).to_have_count(10)
    last = page.locator(".gallery article:visible").last.get_attribute("id")
    # The title of the first card lies below the filters, which stay at the top of the window.
    bottom = page.locator(".filters").evaluate("e => e.getBoundingClientRect().bottom")
    assert page.locator(".filters").evaluate("e => getComputedStyle(e).position") == "sticky"
    assert shown.first.locator("h3").evaluate("e => e.getBoundingClientRect().top") >= bottom
    page.get_by_role("button", name="Previous").click()
    page.get_by_label("know", exact=True).check(force=True)
    expect(page.locator(".pages")).to_be_hidden()
    page.evaluate(f"location.hash = '#{last}'")
    expect(page.locator(f"#{last}")).to_be_visible()
    expect(page.locator(".pages")).to_contain_text("page 2 of 2")
    page.wait_for_function(f"document.getElementById('{last}').getBoundingClientRect().top < innerHeight")
    heading = page.locator(f"#{last} h3").evaluate("e => e.getBoundingClientRect().top")
    assert heading >= page.locator(".filters").evaluate("e => e.getBoundingClientRect().bottom")


def test_a_long_gallery_is_a_short_page(losing_run, open_page):
    page = open_page(write_report(losing_run), viewport=PHONE)
    page.add_style_tag(content="article { content-visibility: visible !important; }")
    whole = page.locator(".gallery").bounding_box()["height"]
    assert whole < 24 * 500  # the cards of one page, folded


def test_points_at_the_origin_make_a_chart(make_run, tmp_path, open_page):
    folder = make_run(tmp_path / "zero")

    def zero(score):
        score.update({key: 0.0 for key, value in score.items() if isinstance(value, float) and "length" not in key})

    rescore(folder, zero)
    page = open_page(write_report(folder))
    points, box = page.locator(".plane .point"), page.locator(".plane svg").bounding_box()
    expect(points).to_have_count(2)
    for point in points.all():
        at = point.bounding_box()
        assert at["x"] + at["width"] / 2 == pytest.approx(box["x"], abs=1)
        assert at["y"] + at["height"] / 2 == pytest.approx(box["y"] + box["height"], abs=1)
    assert plane([]).points == []
    assert loss_curve([{"step": 0, "loss": 1.0}, {"step": 0, "loss": 2.0}]) is None
    assert loss_curve([{"step": 1, "loss": 0.0}, {"step": 2, "loss": 0.0}]).path == "M50.00 100.00L100.00 100.00"


def test_a_language_without_keywords_stands_in_every_table_and_chart(make_run, tmp_path, open_page):
    """Thai has keywords here, Arabic none: its know is measured by METEOR, and the page says so."""
    runs = [make_run(tmp_path / code, language=code) for code in ("th", "ar")]
    for model in ("base", "adapter"):
        rewrite(runs[1], model, "know_test", lambda place, line: {"keywords": None})
    rescore(runs[1], lambda s: s.update({key: None for key in s if key.startswith("keyword")}))
    record = json.loads((runs[1] / "scores.json").read_text("utf-8"))
    for finding in record["findings"]:
        finding["long_tail"] = None
    (runs[1] / "scores.json").write_text(json.dumps(record, ensure_ascii=False), "utf-8")
    path = write_comparison(runs, tmp_path / "c.html")
    page = open_page(path)
    know = page.locator("table.bars").first
    rows = know.locator("tbody", has=page.get_by_role("rowheader", name="Arabic")).get_by_role("row")
    expect(rows).to_have_count(2)
    expect(rows.last.locator(".value")).to_have_text("41.0METEOR")
    expect(page.locator(".plane .point")).to_have_count(4)
    expect(page.locator("section", has=page.locator("#plane-title"))).to_contain_text(
        "No sample in Arabic has keywords"
    )
    gained = page.get_by_role("table", name="Differences").get_by_role("row", name="METEOR on know")
    expect(gained).to_have_count(1)
    category = page.get_by_role("region", name="Keyword accuracy on know, by category")
    expect(category.get_by_role("row", name="stand-in").locator("td")).to_have_text(["41.039.0–43.0"] * 2 + ["4"])
    expect(page.get_by_role("region", name="Table of rare names")).to_contain_text("Arabicno sample has keywords")
    assert "41.0 (39.0–43.0) METEOR |" in path.with_suffix(".md").read_text("utf-8")
    card = page.locator("article[data-language=ar][data-source=know]").first
    expect(card.locator(".adapter dt small")).to_have_count(1)


def test_arabic_that_begins_with_a_latin_name_runs_from_the_right(stand_in_run, open_page, lay_out):
    text = "MacBook Air على طاولة خشبية"
    for model in ("base", "adapter"):
        rewrite(stand_in_run, model, "know_test", lambda place, line: {"prediction": text, "reference": text})
    page = open_page(write_report(stand_in_run))
    lay_out(page)
    answer = page.locator("article[data-source=know] .adapter dd").first
    assert [answer.get_attribute(name) for name in ("dir", "lang")] == ["rtl", "ar"]
    ends = "e => { const r = document.createRange(); r.selectNodeContents(e); const [a, b] = [r, e].map("
    ends += "x => x.getBoundingClientRect().right); return b - a }"
    assert answer.evaluate(ends) < 16


@pytest.fixture(scope="module")
def large_page(make_run, tmp_path_factory):
    """The page of 8,000 made-up images, 16,000 answers: every 40th fails, one alone says "hapax"."""
    folder = make_run(tmp_path_factory.mktemp("large") / "run")
    run = load_run(folder)
    facts = report_json(run)
    view = report_view(run, facts)
    gallery = []
    for at in range(8_000):
        card = dict(view["gallery"][at % 2])
        signs = {"degenerate": "1" if at % 40 == 0 else "", "made-up": "", "rank": f"0 {at / 8000}"}
        card |= {"anchor": f"answer-{at}", "entity": f"image {at}", "filters": card["filters"] | signs}
        card |= {"reference": "hapax" if at == 7_777 else f"مرجع {at}", "id": f"{at}".zfill(64)}
        gallery.append(card)
    path = folder / "report.html"
    write_page(path, "report", view | {"gallery": gallery}, facts, [])
    return path


@pytest.fixture
def page_of_files(new_page):
    """Opens a large page; it may ask for the files beside it and nothing else."""
    asked, trouble = list[str](), list[str]()

    def open_it(path, **settings):
        page = new_page(**settings)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(path.as_uri())
        return page

    open_it.asked = asked
    yield open_it
    assert trouble == []
    assert [url for url in asked if not url.startswith(("file://", "data:"))] == []


def test_a_large_run_shows_failures_and_a_sample_and_says_so(large_page, page_of_files):
    assert large_page.stat().st_size < 6_000_000
    page = page_of_files(large_page)
    expect(page.locator("output")).to_have_text("800 of 800")
    section = page.locator("section", has=page.locator("#answers"))
    expect(section.locator(".margin")).to_contain_text("800 of 8,000 test images: 200 of the 200 with a failure")
    page.get_by_label("degenerate").check(force=True)
    expect(page.locator("output")).to_have_text("200 of 800")
    assert page_of_files.asked == [large_page.as_uri()], "nothing else is read before it is needed"


def test_the_rest_of_a_large_run_is_searched_in_files_beside_it(large_page, page_of_files):
    page = page_of_files(large_page)
    page.get_by_label("Search").fill("hapax")
    expect(page.locator("output")).to_have_text("1 of 8000")
    card = page.locator(".gallery article:visible")
    expect(card).to_have_count(1)  # the count of matches is told before the answer is read from its file
    expect(card.locator("h3")).to_have_text("image 7777")
    expect(card.locator(".reference dd")).to_have_text("hapax")
    assert sorted(url.rpartition("/")[2] for url in page_of_files.asked[1:]) == ["0077.js", "index.js"]
    page.get_by_label("Search").fill("")
    page.get_by_label("best first").check(force=True)
    expect(page.locator(".gallery article:visible h3").first).to_have_text("image 7999")
    expect(page.locator(".pages")).to_contain_text("page 1 of 334")


def test_a_link_to_an_answer_that_is_not_on_the_page(large_page, page_of_files):
    page = page_of_files(large_page)
    page.evaluate("location.hash = '#answer-7777'")
    expect(page.locator("#answer-7777")).to_be_visible()


def test_a_large_page_without_its_files_says_what_is_missing(large_page, page_of_files, tmp_path):
    alone = tmp_path / "mailed.html"
    alone.write_bytes(large_page.read_bytes())
    page = page_of_files(alone)
    page.get_by_label("Search").fill("hapax")
    expect(page.get_by_role("alert").filter(has_text="is not beside this page")).to_be_visible()
    expect(page.locator("output")).to_have_text("0 of 800")


def test_a_page_that_became_small_leaves_no_files(stand_in_run, monkeypatch):
    monkeypatch.setattr(volume, "LARGEST", 5)
    monkeypatch.setattr(volume, "FAILURES", 2)
    monkeypatch.setattr(volume, "SHOWN", 3)
    page = report.write_report(stand_in_run)
    assert sorted(path.name for path in page.with_suffix(".answers").iterdir()) == ["0000.js", "index.js"]
    monkeypatch.setattr(volume, "LARGEST", 50)
    report.write_report(stand_in_run)
    assert not page.with_suffix(".answers").exists()


def test_a_notebook_shows_the_page_itself(stand_in_run, new_page, tmp_path, monkeypatch):
    frame = page_frame(write_report(stand_in_run))
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html><meta charset=utf-8>{frame}", "utf-8")
    page = new_page()
    page.goto(notebook.as_uri())
    inside = page.frame_locator("iframe")
    expect(inside.locator("h1")).to_have_text("العربية")
    inside.get_by_role("navigation", name="Contents").get_by_role("link", name="Answers").click()
    inside.get_by_label("unseen").check(force=True)
    expect(inside.locator("output")).to_have_text("2 of 8")
    assert page.url == notebook.as_uri() and inside.locator("h1").count() == 1
    monkeypatch.setattr("mella_hf.html.notebook.LARGEST_FRAME", 1_000)
    assert page_frame(stand_in_run / "report.html") == ""
