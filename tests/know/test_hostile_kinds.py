"""The kinds of `hostile_kinds`, all at once: every good one is kept, and every bad one has its reason."""

import re
from collections import Counter
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hostile_kinds import COUNTED, image, images, page, pages, rule_files
from hostile_server import HOSTS, HostileServer, Route, reply
from test_hostile_collection import rejects
from test_opt_outs import fetched
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.images.opening import Rejected
from mella_hf.know.fetching import settings
from mella_hf.know.fetching.download import Limits
from mella_hf.know.fetching.settings import IMAGE_KINDS
from mella_hf.know.fetching.sniff import kind_of
from mella_hf.know.image_check import ImageSettings, check_image
from mella_hf.know.pages.extract import page_candidates
from mella_hf.know.pages.warc import Page
from mella_hf.know.rows import RowFailed, in_memory, one_row

QUICK = Limits(connect=60, response=5, read=4, total=8)  # of a good page on a busy machine too


def is_as_expected(expected: str | None, told: list[str], is_kept: bool) -> bool:
    """Whether a row went where it belongs; `a|` is "kept, or a"."""
    if expected is None or expected == COUNTED:
        return is_kept is (expected is None)
    reasons = expected.split("|")
    return any(one in reason for one in reasons if one for reason in told) or ("" in reasons and is_kept)


def test_pages_and_answers_of_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the command. It ends with the alt-texts: images have a test of their own."""
    impatient = partial(settings.FetchSettings, limits=QUICK, attempts=1, passes=1, backoff=0.01, host_failures=1_000)
    monkeypatch.setattr(settings, "FetchSettings", impatient)
    kinds = pages()
    with HostileServer() as server:
        for number, (name, (route, _)) in enumerate(kinds.items()):
            server.routes[f"/p/{number}"] = route
            if name == "a redirect with a body":
                moved = f"//{HOSTS[1]}:{server.port}/moved"
                server.routes[f"/p/{number}"] = reply(b"x" * 100_000, status=307, Location=moved)
                server.routes["/moved"] = reply(page(number), Content_Type="text/html")
            if name == "a redirect to a place in words":
                server.routes["/moved%20page/%zz%C3%A9"] = reply(page(number), Content_Type="text/html")
        # Who never ends an answer is on a host of its own, so that all are waited for at the same time.
        slow = ["timeout" in (expected or "") for _, expected in kinds.values()]
        urls = [server.url(f"/p/{number}", HOSTS[8 if is_slow else number % 8]) for number, is_slow in enumerate(slow)]
        (tmp_path / "urls.txt").write_text("\n".join(urls), "utf-8")
        command = [
            "collect", "--urls", str(tmp_path / "urls.txt"), "--languages", "sw", "--contact", "test@example.org",
            "--out", str(tmp_path / "out"), "--delay", "0", "--per-host", "8", "--allow-private", "127.0.0.0/8",
            "--workers", "0", "--texts-only",
        ]  # fmt: skip
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    kept = {
        int(re.findall(r"[0-9]+", row["text"])[-1])
        for path in (tmp_path / "out").glob(".collect/alt_texts/*/rows.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    named = rejects(tmp_path / "out")
    wrong = {}
    for number, (name, (_, expected)) in enumerate(kinds.items()):
        told = named.get(f"p/{number}", [])
        if ("dns_error" in (expected or "") or expected == "blocked_address") and not name.startswith("to "):
            expected = None  # the address of an image, which is refused when it is fetched
        if not is_as_expected(expected, told, number in kept):
            wrong[name] = (told, expected)
    assert wrong == {}
    assert len(kinds) > 130


def test_images() -> None:
    wrong = {}
    for name, (route, expected) in images().items():
        if expected in ("timeout", "bad_redirect"):
            continue  # tested with the pages
        body, headers = body_of(route)
        told, is_kept = [], False
        if "gzip" in headers.get("Content-Encoding", ""):
            continue
        if kind_of(body[:1445], headers.get("Content-Type")) not in IMAGE_KINDS:
            told.append("wrong_kind")
        else:
            try:
                with one_row("image", 20):
                    check_image(body, ImageSettings(min_side=100))
                    is_kept = True
            except (RowFailed, Rejected) as error:
                told.append(error.reason)
        if not is_as_expected(expected, told, is_kept):
            wrong[name] = (told, expected)
    assert wrong == {}


def body_of(route: Route) -> tuple[bytes, dict[str, str]]:
    """The body and headers that a route sends."""
    import asyncio

    parts: list[bytes] = []

    class Writer:
        def write(self, data: bytes) -> None:
            parts.append(data)

        async def drain(self) -> None:
            pass

    asyncio.run(route(None, Writer()))  # type: ignore[arg-type]
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    lines = head.decode("utf-8").split("\r\n")[1:]
    return body, dict(line.split(": ", 1) for line in lines if ": " in line)


def test_rule_files(tmp_path: Path) -> None:
    kinds = rule_files()
    hosts = tuple(f"127.0.1.{number}" for number in range(1, len(kinds) + 1))
    with HostileServer(hosts=hosts) as server:
        urls = {}
        for number, (host, (name, (files, _))) in enumerate(zip(hosts, kinds.items(), strict=True)):
            server.routes |= {f"{host} {path}": route for path, route in files.items()}
            server.routes[f"{host} /i/{number}.jpg"] = reply(image(number))
            urls[name] = server.url(f"/i/{number}.jpg", host)
        rows = fetched(tmp_path, dict.fromkeys(urls.values()), limits=QUICK, backoff=0.01)
    reasons = {name: rows[url]["reason"] for name, url in urls.items()}
    wrong = {
        name: (reasons[name], expected)
        for name, (_, expected) in kinds.items()
        if not is_as_expected(expected, [reasons[name] or ""], reasons[name] is None)
    }
    assert wrong == {}


# Markup whose reading took time that grows with the square of its length: how often -> page.
SQUARES = {
    "figures in figures": lambda n: "".join(f"<figure><img src={i} alt=x>" for i in range(n)),
    "images of a figure": lambda n: "<figure>" + "<p>" * n + "".join(f"<img src={i} alt=x>" for i in range(n)),
    "licences in figures": lambda n: "".join(f"<figure><img src={i} alt=x><a rel=license href=b>" for i in range(n)),
    "no licences": lambda n: "".join(f"<figure><img src={i} alt=x><a rel=license href=//[>" for i in range(n)),
    "in a caption": lambda n: "<figure><figcaption>" + "x" * n + "".join(f"<img src={i} alt=x>" for i in range(n)),
    "sources of a picture": lambda n: "<picture>" + "<source srcset=data:x>" * n + "<img alt=x>" * n,
    "body tags": lambda n: "".join(f"<body a{i}=1>" for i in range(10 * n)) + "<img src=a alt=x>",
}  # fmt: skip


@pytest.mark.parametrize("kind", SQUARES)
def test_markup_is_read_in_linear_time(kind: str) -> None:
    """Within six seconds of CPU, of which it takes less than one; it took eight to 170."""
    body = SQUARES[kind](16_000).encode()
    with one_row("page", 6):
        page_candidates(Page("http://a.example/", body, "text/html; charset=utf-8"), Counter())


def test_captions_and_licences_of_nested_figures() -> None:
    body = (
        b"<figure><img src=1 alt=a><figure><img src=2 alt=b><figcaption>inner</figcaption>"
        b"<a rel=license href=/l1>x</a></figure><figcaption>outer</figcaption></figure>"
        b"<figure><img src=3 alt=c><a href=https://creativecommons.org/licenses/by/4.0/>x</a>"
        b"<a rel=license href=/l2>y</a></figure><img src=4 alt=d>"
    )
    rows = page_candidates(Page("http://a.example/", body, "text/html"), Counter())
    # The first caption within a figure is taken, however deep it stands.
    assert [row.figcaption for row in rows] == ["inner", "inner", None, None]
    licenses = [row.license_url for row in rows]
    assert licenses == [f"http://a.example/{name}" for name in ("l1", "l1", "l2", "l1")]


def test_a_row_that_takes_too_much_memory_is_named() -> None:
    with pytest.raises(RowFailed) as found, in_memory("page", 100 << 20):
        bytearray(300 << 20)
    assert found.value.reason == "page_too_large"
    bytearray(300 << 20)  # the limit is gone
