"""The report: its page in a headless browser, its texts, its numbers."""

import json
import re

import pytest
from playwright.sync_api import expect

from mella_hf.errors import MellaError
from mella_hf.evaluation.reports.report import write_report
from mella_hf.html.charts import loss_curve, scale_end, ticks, watched_curves
from mella_hf.html.page import text_attributes
from mella_hf.languages import get_language


def headings(page):
    """Headings of the cards that are not filtered away."""
    return page.locator(".gallery article:visible h3")


def test_filters_and_search_narrow_the_gallery(stand_in_run, open_page):
    page = open_page(write_report(stand_in_run), viewport={"width": 1280, "height": 900})
    expect(headings(page)).to_have_count(8)
    expect(page.locator("output")).to_have_text("8 of 8")
    page.get_by_label("know", exact=True).check(force=True)
    expect(headings(page)).to_have_text([f"know entity {i}" for i in range(3)] + [re.compile("know3")])
    page.get_by_label("unseen").check(force=True)
    expect(headings(page)).to_have_text(["know entity 2"])
    page.get_by_label("any", exact=True).check(force=True)
    page.get_by_label("changed").check(force=True)
    expect(headings(page)).to_have_text(["know entity 1", "know entity 2"])
    page.get_by_label("Search").fill("المحوّل 1")
    expect(headings(page)).to_have_text(["know entity 1"])
    page.get_by_label("Search").fill("nothing has this")
    expect(page.get_by_text("No answer fits these filters.")).to_be_visible()
    expect(headings(page)).to_have_count(0)
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("output")).to_have_text("8 of 8")


def test_the_page_works_from_the_keyboard(stand_in_run, open_page):
    page = open_page(write_report(stand_in_run))

    def press(key, focused):
        page.keyboard.press(key)
        expect(focused).to_be_focused()

    press("Tab", page.locator(".skip"))
    press("Enter", page.locator("#answers"))
    press("Tab", page.locator("#answers .here"))
    press("Tab", page.get_by_label("all", exact=True))
    press("ArrowRight", page.get_by_label("know", exact=True))
    expect(headings(page)).to_have_count(4)
    press("Tab", page.get_by_label("any", exact=True))
    press("ArrowRight", page.get_by_label("seen", exact=True))
    press("Tab", page.get_by_label("as tested"))
    press("ArrowRight", page.get_by_label("worst first"))
    expect(page.get_by_label("worst first")).to_be_checked()
    press("Tab", page.get_by_label("changed"))
    page.keyboard.press("Space")
    expect(page.get_by_label("changed")).to_be_checked()
    press("Tab", page.get_by_label("degenerate"))
    press("Tab", page.get_by_label("makes up names"))
    press("Tab", page.get_by_label("Search"))
    page.keyboard.type("1")
    expect(headings(page)).to_have_text(["know entity 1"])


def test_axe_finds_nothing_and_nothing_sticks_out(stand_in_run, page_troubles):
    """WCAG 2.2 AA and axe's best practices: contrast, names, roles, landmarks, headings."""
    assert page_troubles(write_report(stand_in_run)) == []


def test_axe_would_find_a_text_without_contrast(stand_in_run, open_page, accessibility):
    page = open_page(write_report(stand_in_run))
    page.locator("h2").first.evaluate("element => element.style.color = '#bbb'")
    assert [finding.split(":")[0] for finding in accessibility(page)] == ["color-contrast"]


def test_arabic_runs_from_right_to_left_and_english_does_not(stand_in_run, open_page, lay_out):
    page = open_page(write_report(stand_in_run))
    lay_out(page)
    card = page.locator("article", has=page.get_by_role("heading", name="know entity 1"))
    reference, base, adapter = (card.locator(f".{part} dd").first for part in ("reference", "base", "adapter"))
    assert [reference.get_attribute(a) for a in ("dir", "lang")] == ["rtl", "ar"]
    assert [base.get_attribute(a) for a in ("dir", "lang")] == ["ltr", None]
    assert [adapter.get_attribute(a) for a in ("dir", "lang")] == ["rtl", "ar"]
    right = "e => { const r = document.createRange(); r.selectNodeContents(e); return r.getBoundingClientRect().right }"
    edge = "e => e.getBoundingClientRect().right"
    assert reference.evaluate(right) == pytest.approx(reference.evaluate(edge), abs=16)
    assert base.evaluate(right) < base.evaluate(edge) - 16


def test_hostile_answers_are_only_text(stand_in_run, open_page):
    page = open_page(write_report(stand_in_run))
    expect(page).to_have_title("Arabic: base and adapter on MELLA")
    expect(page.locator("article dd", has_text='document.title = "stolen"')).to_have_count(4)
    expect(page.locator("article dd img, article dd script")).to_have_count(0)


def test_the_numbers_on_the_page_are_those_of_the_run(stand_in_run, open_page):
    page = open_page(write_report(stand_in_run))
    finding = page.locator(".finding").first
    for text in ("4.0", "41.0", "on the same images"):
        expect(finding).to_contain_text(text)
    row = page.locator(".scores").first.get_by_role("row", name="Keyword accuracy").first
    expect(row.locator("td.adapter")).to_have_text("41.0= 39.0–43.0 floor 20.5")
    for text in (
        "The base is a miniature.", "3.4 M parameters", "know: 90 of 100 kept", "wrong language", "2 corrected size",
        "mella|v:1|lang:ar|norm:stand-in|tok:stand-in|bs:1000|seed:12345",
    ):  # fmt: skip
        expect(page.locator("body")).to_contain_text(text)
    expect(page.get_by_text("no answer", exact=True)).to_have_count(2)  # the base on unseen entities


def test_the_paired_difference_decides_what_the_page_says(stand_in_run, open_page):
    """The stored intervals lie far apart, but four answers are too few to show a difference."""
    page = open_page(write_report(stand_in_run))
    facts = json.loads((stand_in_run / "report.json").read_text("utf-8"))
    assert {d["p_holm"] < 0.05 for d in facts["differences"]} == {False}
    expect(page.locator(".finding").first).to_contain_text("No difference shown on the same images")
    expect(page.locator(".differences tbody tr").first).to_contain_text("no difference shown")
    marked = {(d["split"], d["subset"], d["metric"]) for d in facts["other_differences"]}
    assert {split for split, _, _ in marked} == {"know_test", "ling_test"}
    assert ("know_test", "all", "keyword_micro") not in marked, "the main metrics are a family of their own"
    assert ("know_test", "unseen", "keyword_micro") in marked and ("ling_test", "all", "bleu") in marked


def test_a_score_that_reaches_down_to_its_floor_is_called_so(stand_in_run, open_page):
    record = json.loads((stand_in_run / "scores.json").read_text("utf-8"))
    for score in record["scores"]:
        if (score["model"], score["split"]) == ("adapter", "ling_test"):
            score |= {"meteor_floor": 39.5, "meteor_over_floor_low": -0.5}
    (stand_in_run / "scores.json").write_text(json.dumps(record))
    findings = open_page(write_report(stand_in_run)).locator(".finding")
    expect(findings).to_have_count(2)
    expect(findings.nth(0)).not_to_contain_text("floor")
    expect(findings.nth(1)).to_contain_text("not shown to be above the floor, 39.5")


def test_long_answers_fold_and_unfold(stand_in_run, open_page, lay_out):
    path = stand_in_run / "predictions" / "base" / "know_test.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    lines[0]["prediction"] = "كلمة " * 400
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    page = open_page(write_report(stand_in_run))
    lay_out(page)
    card = page.locator("article.long")
    folded = card.bounding_box()["height"]
    card.get_by_role("button", name="Whole answers").click()
    expect(card.get_by_role("button", name="Fold answers")).to_have_attribute("aria-expanded", "true")
    assert card.bounding_box()["height"] > 1.5 * folded


def test_a_run_without_adapter_and_with_a_large_base(make_run, tmp_path, open_page):
    page = open_page(write_report(make_run(tmp_path / "r", language="th", adapter=False, parameters=8_290_000_000)))
    body = page.locator("body")
    expect(body).to_contain_text("8.29 B parameters")
    for absent in ("miniature", "adapter"):
        expect(body).not_to_contain_text(absent, ignore_case=True)


def test_the_json_holds_the_scores_and_the_joined_answers(stand_in_run):
    write_report(stand_in_run)
    report = json.loads((stand_in_run / "report.json").read_text("utf-8"))
    assert len(report["scores"]) == 12 and len(report["answers"]) == 8
    base, adapter = (report["answers"][1]["answers"][model] for model in ("base", "adapter"))
    assert (base["text"], base["truncated"], base["changed"]) == ("stand-in answer of the base 1", True, False)
    assert adapter["changed"] and base["unsupported"] == ["دجلة", "الفرات"]
    assert "image" not in report["answers"][1]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{}", "the key 'scores' is missing"), ('{"scores": []}', "missing"), ("[]", "must be integers or slices"),
        ('{"scores": [], "sco', "Unterminated string"), ("\udcff", "can't decode"),
    ],
)  # fmt: skip
def test_scores_that_are_none_are_one_clear_error(text, what, tmp_path):
    (tmp_path / "scores.json").write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(MellaError, match=f"is not what this version's `mella evaluate` writes .*{what}"):
        write_report(tmp_path)


def test_an_unfinished_run_is_one_clear_error(tmp_path):
    with pytest.raises(MellaError, match=r"holds no finished evaluation: scores.json is missing. Run `mella evaluate"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("ضفدع", "ar", {"dir": "rtl", "lang": "ar"}),
        ("A frog.", "ar", {"dir": "ltr", "lang": ""}),
        ("2 ضفادع", "ar", {"dir": "rtl", "lang": "ar"}),  # digits have no direction of their own
        ("Wi-Fi مجاني في المقهى", "ar", {"dir": "rtl", "lang": "ar"}),  # a Latin name comes first
        ("NASA Hubble Deep Field صورة", "ar", {"dir": "rtl", "lang": "ar"}),  # most of it is Latin
        ("أ ภาพถ่าย", "th", {"dir": "ltr", "lang": "th"}),
        ("…", "ar", {"dir": "rtl", "lang": "ar"}),
        ("กบ", "th", {"dir": "ltr", "lang": "th"}),
        ("ضفدع", "th", {"dir": "rtl", "lang": ""}),
        ("", "ar", {"dir": "rtl", "lang": "ar"}),
    ],
)
def test_a_text_in_a_language_has_its_direction_whatever_its_first_letter_is(text, language, expected):
    assert text_attributes(text, get_language(language)) == expected


@pytest.mark.parametrize(
    ("high", "expected"),
    [(6.4, [0, 2, 4, 6, 8]), (100, [0, 25, 50, 75, 100]), (0.31, [0, 0.1, 0.2, 0.3, 0.4]), (0, [0, 1])],
)
def test_ticks_are_round_and_reach_the_top(high, expected):
    assert ticks(high) == expected


def test_the_axis_holds_every_interval_and_floor():
    score = {"m": 10.0, "m_high": 21.0, "m_floor": 39.0}
    assert scale_end([score, None], ["m"]) == 40
    assert scale_end([{"m": 99.0, "m_high": 100.0, "m_floor": None}], ["m"]) == 100


def test_the_loss_curve_is_drawn_to_scale():
    log = [{"step": 10, "loss": 4.0}, {"step": 20, "loss": 1.0}, {"step": 20, "eval_loss": 3.0}, {"train_runtime": 1}]
    curve = loss_curve(log)
    assert curve.path == "M50.00 0.00L100.00 75.00"
    assert (curve.first, curve.last, curve.steps) == (4.0, 1.0, 20)
    assert loss_curve(log[:1]) is None


def test_what_was_watched_is_drawn_as_the_mean_over_languages():
    """10 and 30 at step 5, 20 and 40 at step 10: 20 and 30, on an axis to 30. A rate of 0.5 is 50 percent."""
    looks = [
        {"step": 5, "watch/ar/ling_meteor": 10.0, "watch/th/ling_meteor": 30.0, "watch/ar/ling_repetition_rate": 0.5},
        {"step": 7, "loss": 1.0},
        {"step": 10, "watch/ar/ling_meteor": 20.0, "watch/th/ling_meteor": 40.0, "watch/ar/ling_repetition_rate": 0.0},
    ]
    meteor, looping = watched_curves(looks)
    assert (meteor.title, meteor.first, meteor.last) == ("METEOR on ling", 20.0, 30.0)
    assert meteor.path == "M50.00 33.33L100.00 0.00"
    assert (looping.title, looping.first, looping.last) == ("looping on ling", 50.0, 0.0)
    assert watched_curves([{"step": 1, "loss": 1.0}]) == []
