"""The funnel of a collection: rows that were kept with a flag do not stand among those that went."""

from collections import Counter

from bs4 import BeautifulSoup

from mella_hf.funnel import Step
from mella_hf.html.page import environment
from mella_hf.know.report import TEMPLATES
from mella_hf.languages import get_language


def test_rows_kept_with_a_flag_do_not_stand_among_those_that_went():
    counts = Counter({"kept": 70, "dropped_image_small": 25, "flagged_face_found": 8, "overridden_opt_out": 3})
    step = Step.of("Images checked", "images", counts)
    view = {
        "languages": [get_language("th")], "steps": [step], "first": step, "last": step, "by_language": [],
        "columns": [], "reasons": [], "kept": [], "dropped": [], "sites": [], "set_aside": [], "relevance": None,
    }  # fmt: skip
    page = BeautifulSoup(environment(TEMPLATES).get_template("collect.html.j2").render(view), "html.parser")
    drawn = page.select_one(".step")
    assert [item.get_text(" ", strip=True) for item in drawn.select("li")] == ["25 image small"]
    assert drawn.select_one(".kept-with").get_text(" ", strip=True) == (
        "Kept, with a flag: 8 flagged face found, 3 overridden opt out"
    )
    assert len(drawn.select(".bar i")) == 2  # what stayed and what went: a flag is no part of the bar
    assert page.select_one("#sites-title").find_parent("section").get_text(" ", strip=True).endswith("No site has one.")
