"""The review page in every state, wide and narrow, light and dark: axe-core finds nothing, and nothing sticks out."""

import json
from pathlib import Path
from typing import Any

import pytest
from described_pictures import described
from playwright.sync_api import expect
from test_review_page import make_server

__all__ = ["make_server"]  # the fixture

MODES = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]


@pytest.fixture
def look(new_page: Any, accessibility: Any) -> Any:
    """Opens an address in every mode, does a step after another, and gathers what is found after each."""

    def gather(address: str, *steps: Any) -> list[str]:
        found = []
        for width, scheme in MODES:
            page = new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.goto(address)
            for number, step in enumerate(steps):
                step(page)
                found += [f"{width} {scheme} step {number}: {line}" for line in accessibility(page)]
                if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
                    found.append(f"{width} {scheme} step {number}: {wide} px wide")
            page.close()
        return found

    return gather


def press(key: str, shown: str) -> Any:
    """A step: a key, and what it brings up."""

    def step(page: Any) -> None:
        page.keyboard.press(key)
        expect(page.locator(shown)).to_be_visible()

    return step


def test_judging(queue_folder: Path, make_server: Any, look: Any) -> None:
    server = make_server(queue_folder)
    server.start("--reviewer", "layla")
    sample = lambda page: expect(page.locator("#text")).to_be_visible()  # noqa: E731
    steps = (sample, press("e", "#editor"), press("Escape", "#actions"), press("r", "#rejection"))
    assert look(server.links["layla"], *steps) == []
    assert look(server.url, lambda page: expect(page.locator("#done")).to_be_visible()) == [], "a stranger"
    server.stop()


def test_comparing(tmp_path: Path, make_server: Any, look: Any) -> None:
    from mella_hf.dataset.write import write_split

    rows = described("ar")[:1]
    write_split(rows, tmp_path / "mella", "ar", "ling_test")
    for name, answer in (("good", "دائرة كبيرة"), ("bad", "مربع صغير")):
        line = json.dumps({"id": rows[0]["id"], "prompt": "صف الصورة", "prediction": answer})
        (tmp_path / f"{name}.jsonl").write_text(line, "utf-8")
    flags = [part for name in ("good", "bad") for part in ("--answers", str(tmp_path / f"{name}.jsonl"))]
    server = make_server(tmp_path / "mella", *flags)
    server.start("--reviewer", "layla")
    assert look(server.links["layla"], lambda page: expect(page.locator("#compare")).to_be_visible()) == []

    def decide(page: Any) -> None:
        if page.locator("#compare").is_visible():  # in the first mode; later ones open with nothing left
            page.keyboard.press("3")
        expect(page.locator("#done")).to_be_visible()

    def settled(page: Any) -> None:
        expect(page.locator("#compare, #done").locator("visible=true")).to_have_count(1)
        decide(page)

    assert look(server.links["layla"], settled) == []
    server.stop()
