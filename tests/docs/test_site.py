"""The documentation site builds without a warning, and its pages ask no other host for anything."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import mella_hf

ROOT = Path(__file__).parents[2]


class Quiet(SimpleHTTPRequestHandler):
    """Serves the site without a line per request."""

    def log_message(self, *args: object) -> None: ...


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


def test_the_pages_load_from_their_own_server_only(site: Path, new_page: Callable[..., Any]) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ours = f"127.0.0.1:{server.server_port}"
    asked, missing = set(), set()
    page = new_page()
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page.on("response", lambda answer: missing.add(answer.url) if answer.status >= 400 else None)
    try:
        for name in ("index.html", "guides/train.html", "reference/metric.html", "architecture.html"):
            page.goto(f"http://{ours}/{name}")
            page.wait_for_load_state("networkidle")
        page.locator(".md-search__input").focus()
        page.locator(".md-search__input").press_sequentially("MellaMetric")
        page.locator(".md-search-result__item").first.wait_for()
    finally:
        server.shutdown()
        server.server_close()
    assert asked - {ours, ""} == set()  # "": data: addresses
    assert missing == set()


def test_the_reference_shows_public_names_with_their_docstrings(site: Path) -> None:
    page = (site / "reference/metric.html").read_text("utf-8")
    assert "mella_hf.metrics.metric.MellaMetric" in page and "Caption scores for one language" in page


def test_make_docs_fails_on_a_dead_link(tmp_path: Path) -> None:
    recipe = re.search(r"^docs:.*\n\t.*mkdocs (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert recipe is not None and "strict: true" in (ROOT / "mkdocs.yml").read_text("utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("[a page](nowhere.md)", "utf-8")
    (tmp_path / "mkdocs.yml").write_text("site_name: a site\nstrict: true\n", "utf-8")
    command = [sys.executable, "-m", "mkdocs", *recipe[1].split()]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 1 and "nowhere.md" in built.stderr, built.stderr


def test_a_dead_link_into_the_repository_fails(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "docs/site"))
    try:
        import hooks
    finally:
        sys.path.pop(0)
    from mkdocs.exceptions import PluginError

    class Config:
        docs_dir = str(ROOT / "docs")

    class Page:
        class file:
            src_uri = "guides/train.md"

    assert hooks.on_page_markdown("[code](../../recipes/sft.py)", Page, Config, None) == "code"
    with pytest.raises(PluginError, match="nothing.py"):
        hooks.on_page_markdown("[code](../../recipes/nothing.py)", Page, Config, None)


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    pages = "".join(page.read_text("utf-8") for page in (site / "reference").glob("*.html"))
    for name in set(mella_hf.__all__) - {"__version__"}:
        public = getattr(mella_hf, name)
        assert f'id="{public.__module__}.{public.__qualname__}"' in pages, name
