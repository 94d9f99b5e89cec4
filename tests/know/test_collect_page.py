"""The page of a collection of real pages, wide and narrow, light and dark: axe-core finds nothing."""

import pytest
from test_collect import PAGES, settings, web

from mella_hf.know.collect import collect

__all__ = ["web"]  # the fixture


def test_axe_finds_nothing_and_nothing_sticks_out(web, tmp_path, request: pytest.FixtureRequest):
    urls = [f"{web}/{page}" for page, (language, _) in PAGES.items() if language in ("ar", "ru", "th")]
    collect(urls, tmp_path / "out", settings(), workers=0, progress=False)
    # The browser comes last: its event loop would stand in the way of the fetcher's.
    page_troubles = request.getfixturevalue("page_troubles")
    assert page_troubles(tmp_path / "out/report.html") == []
