"""Shared fixtures: a tiny real Qwen2-VL with its real processor, and records with images, built on the spot."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from rows import build_rows
from tiny_qwen2vl import build_tiny_qwen2vl

# Shared with no other process, and with no earlier run.
CACHE = tempfile.TemporaryDirectory(prefix="mella-tests-", ignore_cleanup_errors=True)
os.environ["HF_HOME"] = CACHE.name
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test reaches the Hub; a stub Hub unsets it for its own process
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models are slower on several threads
for wait in ("CONNECT", "TCP"):  # Dask's own 30 s are few when everything starts at once on a busy machine
    os.environ.setdefault(f"DASK_DISTRIBUTED__COMM__TIMEOUTS__{wait}", "600s")
settings.load_profile("ci")  # the same examples in every run, and no deadline for one


def pytest_unconfigure() -> None:
    CACHE.cleanup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what opens Chromium."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("pages")


@pytest.fixture(scope="session")
def tiny_qwen2vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random Qwen2-VL with its processor; loads with the Auto classes, offline. Do not write in it."""
    return build_tiny_qwen2vl(tmp_path_factory.mktemp("tiny-qwen2vl"))


@pytest.fixture(scope="session")
def make_rows() -> Any:
    """`build_rows`, for tests that need a split of their own."""
    return build_rows


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory, make_rows: Any) -> Path:
    """Folder of 13 know and 9 ling samples in Arabic, in the published layout. Do not write in it."""
    from datasets import Image

    from mella_hf.dataset.write import write_split

    folder = tmp_path_factory.mktemp("mella")
    for source, count in (("know", 13), ("ling", 9)):
        rows = make_rows(count, source=source, start=0 if source == "know" else 50)
        write_split(rows.cast_column("image", Image(decode=False)), folder, "ar", source)
    return folder


PATIENCE = 60_000  # milliseconds; no test of a page may depend on how busy the machine is


@pytest.fixture
def probabilities(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets the probabilities of languages, as `probabilities(cs=0.6, en=0.4)`; the identifier knows no others."""
    from given_identifier import GivenIdentifier

    from mella_hf.text import lid

    def give(**shares: float) -> None:
        lid._identify.cache_clear()
        monkeypatch.setattr(lid, "identifier", lambda: GivenIdentifier(shares))

    yield give
    lid._identify.cache_clear()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; without it the tests skip, and fail where CI=true promises that it is there."""
    from playwright.sync_api import expect, sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        message = "Chromium is not installed; pages are not tested. Install it: apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """`browser.new_page`, with patience; pages close with the test."""
    pages = []

    def open_one(**settings: Any) -> Any:
        pages.append(browser.new_page(**settings))
        pages[-1].set_default_timeout(PATIENCE)
        return pages[-1]

    yield open_one
    for page in pages:
        page.close()


@pytest.fixture
def open_page(new_page: Any) -> Iterator[Callable[..., Any]]:
    """Opens a report; in the end nothing may have been logged and nothing asked for but the page."""
    opened, trouble = list[Any](), list[str]()

    def open_report(path: Path, **settings: Any) -> Any:
        page = new_page(**settings)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: trouble.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        opened.append(page)
        return page

    yield open_report
    for page in opened:
        page.close()
    assert [entry for entry in trouble if not entry.startswith("data:")] == []


@pytest.fixture
def accessibility() -> Callable[[Any], list[str]]:
    """Runs axe-core on an open page: what it finds, one line a finding."""
    from axe_playwright_python.sync_playwright import Axe

    def check(page: Any) -> list[str]:
        found = Axe().run(page).response["violations"]
        return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]

    return check


@pytest.fixture
def page_troubles(open_page: Any, accessibility: Any) -> Callable[[Path], list[str]]:
    """Opens a page wide and narrow, light and dark: what axe finds, and whether something sticks out sideways."""

    def troubles(path: Path) -> list[str]:
        found = []
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                page = open_page(path, color_scheme=scheme, viewport={"width": width, "height": 900})
                page.add_style_tag(content="article { content-visibility: visible !important; }")
                page.locator("details").evaluate_all("all => all.forEach((details) => (details.open = true))")
                wide = page.evaluate("document.documentElement.scrollWidth")
                found += [f"{width} {scheme}: {line}" for line in accessibility(page)]
                found += [f"{width} {scheme}: {wide} px wide"] if wide > width else []
        return found

    return troubles


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name gzip data without its bytes: they hold the time, and every process must collect the same names."""
    return "gzip" if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None
