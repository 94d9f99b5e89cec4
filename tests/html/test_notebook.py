"""What results show of themselves in a terminal and in a notebook."""

from collections import Counter
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from mella_hf.dataset.building.build import BuildReport
from mella_hf.dataset.publish import PublishReport
from mella_hf.dataset.removal.remove import RemoveReport
from mella_hf.dataset.removal.requests import make_request
from mella_hf.dataset.verify import VerifyReport
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
    assert repr(report).splitlines()[0] == "BuildReport: out/mella, 3 files"
    assert repr(report).splitlines()[2].split() == ["ar", "know", "100", "80", "no_text", "15,", "duplicate", "5"]
    page = BeautifulSoup(report._repr_html_(), "html.parser")
    rows = [[cell.text for cell in row.find_all(["th", "td"])] for row in page.tbody.find_all("tr")]
    assert rows == [["ar know", "100", "80", "no_text 15, duplicate 5"], ["ar ling", "0", "0", ""]]


def cells(report: Any) -> list[list[str]]:
    """The cells of a result's table in a notebook, without the head."""
    page = BeautifulSoup(report._repr_html_(), "html.parser")
    return [[cell.text for cell in row.find_all(["th", "td"])] for row in page.tbody.find_all("tr")]


def test_what_was_published() -> None:
    report = PublishReport(
        "org/mella", {"ar/know-00000-of-00001.parquet": 2_500_000, "README.md": 900}, ["th/know.parquet"], ["yo/ling"],
        unchanged=4, url="https://hub.example/org/mella/commit/1",
    )  # fmt: skip
    assert repr(report).splitlines() == [
        "PublishReport: org/mella, 2 files (2.5 MB) new or changed, 4 unchanged on the Hub",
        "                                 MB",
        "ar/know-00000-of-00001.parquet  2.5  new or changed",
        "README.md                       0.0  new or changed",
        "th/know.parquet                   –  deleted",
        "yo/ling                           –  only on the Hub, stays",
        "https://hub.example/org/mella/commit/1",
    ]
    assert cells(report)[0] == ["ar/know-00000-of-00001.parquet", "2.5", "new or changed"]
    nothing = PublishReport("org/mella", unchanged=4)
    assert repr(nothing).splitlines()[1:] == ["Nothing was sent."] and cells(nothing) == []


def test_what_was_verified() -> None:
    rows = {"ar": {"know": 1234, "ling_test": 5}, "th": {"ling": 7}}
    sound = VerifyReport("out/mella", rows)
    assert repr(sound).splitlines() == [
        "VerifyReport: out/mella, sound",
        "     know  ling  ling_test",
        "ar  1,234     –          5",
        "th      –     7          –",
    ]
    assert cells(sound) == [["ar", "1,234", "–", "5"], ["th", "–", "7", "–"]]
    broken = VerifyReport("out/mella", rows, [f"README.md: <{n}>" for n in range(12)])
    assert repr(broken).splitlines()[0] == "VerifyReport: out/mella, 12 problems"
    assert repr(broken).splitlines()[-2:] == ["README.md: <9>", "and 2 more"]
    below = BeautifulSoup(broken._repr_html_(), "html.parser").small
    assert [line.strip() for line in below.strings][::10] == ["README.md: <0>", "and 2 more"]


def test_what_was_removed() -> None:
    report = RemoveReport(
        make_request(["a" * 64], [], "example.org"), Counter({"th/ling": 2, "ar/know": 1500}),
        Counter({"example.org": 1000, "www.example.org": 502}), [Path("ar/know-0"), Path("ar/know-1")], ["th/ling"],
        ["a" * 64],
    )  # fmt: skip
    assert repr(report).splitlines() == [
        "RemoveReport: 1,502 rows removed, 2 shards rewritten",
        "         rows removed",
        "ar/know         1,500",
        "th/ling             2  none left",
        "from example.org: 1,000",
        "from www.example.org: 502",
        f"not found: {'a' * 64}",
    ]
    assert cells(report) == [["ar/know", "1,500", ""], ["th/ling", "2", "none left"]]
