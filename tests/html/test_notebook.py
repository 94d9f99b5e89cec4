"""What results show of themselves in a terminal and in a notebook."""

from pathlib import Path

from bs4 import BeautifulSoup

from mella_hf.dataset.building.build import BuildReport
from mella_hf.html.notebook import html_table, text_table

ROWS = [["ar know", "1,234", "7", "no_text 5, <script> 2"], ["cs", "8", "–", ""]]
HEADER = ["", "came", "kept", "left out"]


def test_numbers_are_aligned_to_the_right_and_words_to_the_left() -> None:
    assert text_table(HEADER, ROWS).splitlines() == [
        "          came  kept  left out",
        "ar know  1,234     7  no_text 5, <script> 2",
        "cs           8     –",
    ]


def test_cells_are_no_markup() -> None:
    page = BeautifulSoup(html_table("<i>t</i>", HEADER, ROWS, note="<b>"), "html.parser")
    assert page.script is None and page.i is None and page.b is None
    assert page.caption.text == "<i>t</i>" and page.small.text == "<b>"
    assert [cell.text for cell in page.tbody.tr.find_all(["th", "td"])] == ROWS[0]


def test_a_build_shows_its_funnel() -> None:
    funnel = {"ar": {"know": {"kept": 80, "dropped_no_text": 15, "dropped_duplicate": 5}, "ling": {"kept": 0}}}
    report = BuildReport(
        out=Path("out/mella"), funnel=funnel, given=funnel, left_out=[], replaced=[], shards=3, ran=1, skipped=0
    )
    assert repr(report).splitlines()[0] == "BuildReport('out/mella'): 3 files"
    assert repr(report).splitlines()[2].split() == ["ar", "know", "100", "80", "no_text", "15,", "duplicate", "5"]
    page = BeautifulSoup(report._repr_html_(), "html.parser")
    rows = [[cell.text for cell in row.find_all(["th", "td"])] for row in page.tbody.find_all("tr")]
    assert rows == [["ar know", "100", "80", "no_text 15, duplicate 5"], ["ar ling", "0", "0", ""]]
