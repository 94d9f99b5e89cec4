"""The page of described images, wide and narrow, light and dark: axe-core finds nothing."""

from pathlib import Path

import pytest
from caption_server import CaptionServer
from interpreter import LANGUAGES
from test_describe import servers, settings
from translation_servers import TranslationServer

from mella_hf.ling.describe import describe_images

__all__ = ["servers"]  # the fixture


def test_axe_finds_nothing_and_nothing_sticks_out(
    pictures: Path,
    servers: tuple[CaptionServer, TranslationServer],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    describe_images(pictures, tmp_path / "out", LANGUAGES, settings(*servers, None), progress=False)
    # The browser comes last: its event loop would stand in the way of the captioner's.
    page_troubles = request.getfixturevalue("page_troubles")
    assert page_troubles(tmp_path / "out/report.html") == []
