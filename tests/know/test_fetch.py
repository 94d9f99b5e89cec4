"""Fetching from a server that does its worst: each fault becomes its reason, and costs no more than it may."""

import asyncio
import random
import socket
import sqlite3
import time
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hostile_server import (
    GZIPPED,
    ROBOTS,
    HostileServer,
    endless_body,
    faulty,
    gzip_bomb,
    hang,
    jpeg,
    reply,
    reset_in_the_middle,
    slow_body,
    slow_headers,
    stalled_body,
    with_etag,
)
from patient_loop import STEP
from patient_loop import run as patient_loop_run

from mella_hf.errors import MellaError, StageError
from mella_hf.know.fetching import addresses
from mella_hf.know.fetching.download import Limits, download
from mella_hf.know.fetching.fetch import fetch, fetch_shard
from mella_hf.know.fetching.log import FetchLog
from mella_hf.know.fetching.settings import PAGE_KINDS, FetchSettings
from mella_hf.know.records import FETCHED, REQUESTS, ROWS
from mella_hf.stage import Shard, ShardOutput, StageReport

LIMITS = Limits(connect=5.0, response=6.0, read=3.0, total=10.0, max_bytes=300_000)  # on a patient loop
PATIENT = Limits(connect=600.0, response=600.0, read=600.0, total=600.0, max_bytes=300_000)  # where no limit is meant
QUICK = FetchSettings(
    contact="tests@example.org", allow_private=True, delay=0.0, per_host=16, attempts=1, passes=1, backoff=0.01,
    host_failures=100, limits=LIMITS,
)  # fmt: skip


@pytest.fixture(autouse=True)
def patient_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits are of the time that the crawler waits, not of what a busy machine takes from it."""
    monkeypatch.setattr("asyncio.run", patient_loop_run)


def write_requests(urls: list[str], path: Path) -> Path:
    pq.write_table(pa.table({"url": urls, "referrer": [None] * len(urls)}, schema=REQUESTS), path)
    return path


def run(urls: list[str], tmp_path: Path, settings: FetchSettings = QUICK, **options: Any) -> StageReport:
    requests = write_requests(urls, tmp_path / "requests.parquet")
    return fetch([requests], tmp_path / "out", settings, workers=0, progress=False, **options)


def rows(report: StageReport) -> dict[str, dict[str, Any]]:
    tables = [pq.read_table(folder / ROWS) for folder in report.outputs]
    assert all(table.schema.equals(FETCHED) for table in tables)
    return {row["url"]: row for table in tables for row in table.to_pylist()}


def attempts(tmp_path: Path, url: str) -> list[str | None]:
    with sqlite3.connect(tmp_path / "out/log/000.sqlite") as database:
        return [reason for (reason,) in database.execute("SELECT reason FROM attempts WHERE url = ?", (url,))]


FAULTS = {
    "/slow_headers": (slow_headers, "timeout_response"),
    "/hang": (hang, "timeout_response"),
    "/slow_body": (slow_body, "timeout_total"),
    "/stalled_body": (stalled_body, "timeout_read"),
    "/endless": (endless_body, "too_large"),
    "/reset": (reset_in_the_middle, "incomplete"),
    "/short": (reply(jpeg(), length=len(jpeg()) + 500), "incomplete"),
    "/claims_much": (reply(jpeg(), length=1 << 40), "too_large"),
    "/gzip_bomb": (reply(gzip_bomb(), Content_Encoding="gzip"), "too_large"),
    "/broken_gzip": (reply(jpeg(), Content_Encoding="gzip"), "broken_encoding"),
    "/unknown_encoding": (reply(jpeg(), Content_Encoding="compress"), "unknown_encoding"),
    "/page.jpg": (reply(b"<!DOCTYPE html><title>x</title>" + b" " * 600, Content_Type="image/jpeg"), "wrong_kind"),
    "/short_page.jpg": (reply(b"<html>", Content_Type="image/jpeg"), "wrong_kind"),
    "/empty": (reply(b""), "empty"),
    "/not_http": (None, "bad_response"),
    "/gone": (reply(status=410), "http_410"),
    "/teapot": (reply(b"x", status=418), "http_418"),
    "/unasked_304": (reply(status=304), "http_304"),
    "/down": (reply(status=503), "http_503"),
    "/loop": (reply(status=302, Location="/loop"), "too_many_redirects"),
    "/to_ftp": (reply(status=301, Location="ftp://example.org/x.jpg"), "bad_redirect"),
    "/to_nowhere": (reply(status=301), "bad_redirect"),
    "/noai": (reply(jpeg(), X_Robots_Tag="noai, nofollow"), "reserved_noai"),
    "/noindex": (reply(jpeg(), X_Robots_Tag="mella_hf: noindex"), "reserved_noindex"),
    "/tdm": (reply(jpeg(), TDM_Reservation="1"), "reserved_tdm"),
    "/private/crow.jpg": (reply(jpeg()), "robots_disallow"),
}  # fmt: skip
GOOD = {
    "/good.jpg": reply(jpeg(1), Content_Type="text/plain"),
    "/gzipped.jpg": GZIPPED,
    "/other_bot.jpg": reply(jpeg(2), X_Robots_Tag="otherbot: noai"),
    "/there.jpg": reply(status=302, Location="/good.jpg?x=1#fragment"),
    "/good.jpg?x=1": reply(jpeg(1)),
}


async def not_http(request: Any, writer: Any) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


def test_every_fault_becomes_its_reason(tmp_path: Path) -> None:
    routes = {path: route or not_http for path, (route, _) in FAULTS.items()} | GOOD | {"/robots.txt": ROBOTS}
    with HostileServer(routes) as server:
        report = run([server.url(path) for path in (*FAULTS, *GOOD)], tmp_path)
        found = {url: row["reason"] for url, row in rows(report).items()}
        assert found == {server.url(path): reason for path, (_, reason) in FAULTS.items()} | {
            server.url(path): None for path in GOOD
        }
        assert report.counts["kept"] == len(GOOD)
        assert sum(report.counts.values()) == len(FAULTS) + len(GOOD)
        assert server.asked("/private/crow.jpg") == []
        good = rows(report)[server.url("/good.jpg")]
        assert (good["body"], good["kind"], good["content_type"]) == (jpeg(1), "jpeg", "text/plain")
        assert rows(report)[server.url("/gzipped.jpg")]["body"] == jpeg()
        assert rows(report)[server.url("/there.jpg")]["final_url"] == server.url("/good.jpg?x=1")
        agents = {request.headers["user-agent"] for request in server.requests}
    assert len(agents) == 1 and "mella_hf/" in agents.copy().pop() and "tests@example.org" in agents.pop()


def test_a_body_longer_than_it_said(tmp_path: Path) -> None:
    """What comes with the body makes the response a bad one; what comes after the body was read is never seen."""
    asked = asyncio.Event()

    async def later(request: Any, writer: Any) -> None:
        await reply(jpeg(3))(request, writer)
        await asked.wait()
        writer.write(b"trailing")

    async def next_page(request: Any, writer: Any) -> None:
        asked.set()
        await reply(jpeg(4))(request, writer)

    routes = {"/with.jpg": reply(jpeg(3) + b"trailing", length=len(jpeg(3))), "/later.jpg": later, "/x.jpg": next_page}
    with HostileServer(routes) as server:
        urls = [server.url(path) for path in routes]
        found = rows(run(urls, tmp_path, replace(QUICK, per_host=1)))
        got = {urlsplit(url).path: (row["reason"], row["body"]) for url, row in found.items()}
        assert got == {"/with.jpg": ("bad_response", None), "/later.jpg": (None, jpeg(3)), "/x.jpg": (None, jpeg(4))}


async def not_utf8(request: Any, writer: Any) -> None:
    head = b'Content-Type: image/jpeg\xff\r\nETag: "\xe9"\r\nX-Robots-Tag: \xffall\r\nLast-Modified: \xff\r\n'
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(jpeg()), head, jpeg()))
    await writer.drain()


def test_headers_that_are_no_utf8_cost_the_shard_nothing(tmp_path: Path) -> None:
    """Neither SQLite nor Parquet takes them as aiohttp gives them: one such server ended the whole collection."""
    with HostileServer({"/x.jpg": not_utf8, "/y.jpg": reply(jpeg(1))}) as server:
        report = run([server.url("/x.jpg"), server.url("/y.jpg")], tmp_path)
        assert report.counts == {"kept": 2}
        row = rows(report)[server.url("/x.jpg")]
        assert (row["content_type"], row["etag"], row["x_robots_tag"]) == ("image/jpeg?", '"?"', "?all")


# Of what no server should send; in any order, before, between and after headers.
PIECES = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 X\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 999 \r\n", b"HTTP/2 200\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate\r\n",
    b"Location: /\xff\r\n", b"Location: http://[::1\r\n", b"Location: //\r\n", b"Location: http://a..b/\r\n",
    b"Location: http://%00/\r\n", b"Location: " + b"/a" * 5000 + b"\r\n", b"Retry-After: \xb2\r\n", b"ETag: \xff\r\n",
    b"Set-Cookie: \xff=;;;\r\n", b"X-Robots-Tag: \xff:noai\r\n", b"TDM-Reservation: \xff\r\n", b"Content-Type: ;;\r\n",
    b" folded\r\n", b"no colon\r\n", b"\0\0\r\n", b"\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\n", jpeg(),
    b"<html>", b"\x1f\x8b\x08", b"\xff" * 50,
]  # fmt: skip


def test_no_answer_whatever_ends_a_shard(tmp_path: Path) -> None:
    draw = random.Random(1)

    async def anything(request: Any, writer: Any) -> None:
        head = draw.choice(PIECES[:2]) + b"".join(draw.choices(PIECES[5:27], k=draw.randint(0, 3)))
        writer.write(head + b"\r\n" + b"".join(draw.choices(PIECES, k=draw.randint(0, 3))))
        await writer.drain()

    with HostileServer({f"/{i}.jpg": anything for i in range(200)}) as server:
        report = run([server.url(path) for path in server.routes], tmp_path)
    assert sum(report.counts.values()) == 200 and {"dropped_bad_response", "dropped_bad_redirect"} <= {*report.counts}


def test_connection_refused_and_bad_names(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/x.jpg"
        report = run([closed, "http://[::1/x.jpg", "http://a..b/x.jpg"], tmp_path)
    found = [row["reason"] for row in rows(report).values()]
    assert found == ["connect_error", "bad_url", "bad_url"]


@pytest.mark.parametrize(
    ("robots", "reason"),
    [
        (reply(status=500), "robots_unavailable"),
        (reply(status=429), "robots_unavailable"),
        (hang, "robots_unavailable"),
        (reset_in_the_middle, "robots_unavailable"),
        (reply(b"User-agent: mella_hf\nDisallow: /\n\nUser-agent: *\nAllow: /"), "robots_disallow"),
        (reply(b"User-agent: *\nCrawl-delay: 1000"), "crawl_delay_too_long"),
        (reply(status=302, Location="/robots2.txt"), "robots_disallow"),
        (reply(status=404), None),
        (reply(status=403), None),
        (reply(status=302, Location="/robots.txt"), None),  # RFC 9309: an endless redirect is no robots.txt
        (reply(b""), None),
        (reply(b"User-agent: *\nDisallow: /\nAllow: /x.jpg"), None),
    ],
)
def test_robots_txt_is_obeyed_and_closed_on_error(robots: Any, reason: str | None, tmp_path: Path) -> None:
    second = reply(b"User-agent: *\nDisallow: /")
    with HostileServer({"/robots.txt": robots, "/robots2.txt": second, "/x.jpg": reply(jpeg())}) as server:
        patience = replace(LIMITS, response=0.5) if robots is hang else LIMITS
        report = run([server.url("/x.jpg")], tmp_path, replace(QUICK, limits=patience))
        assert [row["reason"] for row in rows(report).values()] == [reason]
        assert len(server.asked("/x.jpg")) == (reason is None)


RESERVED = reply(b'[{"location": "/free/*", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}]')


def test_the_tdm_file_reserves_and_a_header_overrides_it(tmp_path: Path) -> None:
    routes = {
        "/.well-known/tdmrep.json": RESERVED,
        "/x.jpg": reply(jpeg()),
        "/free/x.jpg": reply(jpeg()),
        "/header.jpg": reply(jpeg(), TDM_Reservation="0"),
    }
    with HostileServer(routes) as server:
        urls = [server.url(path) for path in ("/x.jpg", "/free/x.jpg", "/header.jpg")]
        found = rows(run(urls, tmp_path))
        assert [found[url]["reason"] for url in urls] == ["reserved_tdm", None, None]


def test_a_tdm_file_that_fails_closes_the_site(tmp_path: Path) -> None:
    with HostileServer({"/.well-known/tdmrep.json": reply(status=500), "/x.jpg": reply(jpeg())}) as server:
        assert run([server.url("/x.jpg")], tmp_path).dropped == {"robots_unavailable": 1}


def test_reservations_that_are_overridden_are_counted_and_can_be_honoured_again(tmp_path: Path) -> None:
    with HostileServer({"/x.jpg": reply(jpeg(), X_Robots_Tag="noai"), "/y.jpg": reply(jpeg(1))}) as server:
        urls = [server.url("/x.jpg"), server.url("/y.jpg")]
        report = run(urls, tmp_path, replace(QUICK, honour_reservations=False))
        assert report.counts == {"kept": 2, "overridden_reserved_noai": 1}
        assert [row["overridden"] for row in rows(report).values()] == ["reserved_noai", None]
        again = run(urls, tmp_path)
        assert again.counts == {"kept": 1, "dropped_reserved_noai": 1}
        assert len(server.asked("/y.jpg")) == 1  # what has not changed is not asked for twice


def test_pages_are_fetched_with_their_headers(tmp_path: Path) -> None:
    page = reply(b"<!doctype html><p>x", Content_Type="text/html; charset=windows-874", X_Robots_Tag="noai")
    with HostileServer({"/p": page, "/x.jpg": reply(jpeg())}) as server:
        found = rows(run([server.url("/p"), server.url("/x.jpg")], tmp_path, replace(QUICK, kinds=PAGE_KINDS)))
        row = found[server.url("/p")]
        assert (row["kind"], row["content_type"]) == ("html", "text/html; charset=windows-874")
        assert row["x_robots_tag"] == "noai"  # a page's opt-outs are for its reader
        assert found[server.url("/x.jpg")]["reason"] == "wrong_kind"


def test_failures_are_retried_with_backoff_and_then_in_a_second_pass(tmp_path: Path) -> None:
    routes = {
        "/twice.jpg": faulty(2, reply(status=503), reply(jpeg(1))),
        "/thrice.jpg": faulty(3, reset_in_the_middle, reply(jpeg(2))),
        "/gone.jpg": reply(status=404),
    }
    with HostileServer(routes) as server:
        report = run([server.url(p) for p in routes], tmp_path, replace(QUICK, attempts=3, passes=2))
        assert report.counts == {"kept": 2, "dropped_http_404": 1}
        assert attempts(tmp_path, server.url("/twice.jpg")) == ["http_503", "http_503", None]
        assert attempts(tmp_path, server.url("/thrice.jpg")) == ["incomplete"] * 3 + [None]
        assert len(server.asked("/gone.jpg")) == 1


def test_a_later_retry_asks_only_for_what_may_work_now(tmp_path: Path) -> None:
    paths = ("/x.jpg", "/gone.jpg", "/late.jpg")
    routes = {"/x.jpg": reply(jpeg()), "/late.jpg": faulty(1, reply(status=502), reply(jpeg(1)))}
    with HostileServer(routes) as server:
        urls = [server.url(path) for path in paths]
        first = run(urls, tmp_path)
        assert first.counts == {"kept": 1, "dropped_http_404": 1, "dropped_http_502": 1}
        rerun = run(urls, tmp_path)
        assert (rerun.ran, rerun.counts) == (0, first.counts)
        second = run(urls, tmp_path, retry=True)
        assert second.counts == {"kept": 2, "dropped_http_404": 1}
        assert rows(second)[urls[0]]["body"] == jpeg()
        assert [len(server.asked(path)) for path in paths] == [1, 1, 2]
        assert run(urls, tmp_path, retry=True).ran == 0


def test_a_429_storm_ends_with_the_host_given_up(tmp_path: Path) -> None:
    routes = {f"/{i}.jpg": reply(status=429) for i in range(50)}
    with HostileServer(routes) as server:
        settings = replace(QUICK, attempts=3, per_host=2, host_failures=6)
        report = run([server.url(path) for path in routes], tmp_path, settings)
        assert sum(report.dropped.values()) == 50
        assert report.dropped["host_gave_up"] >= 44
        asked = [request for request in server.requests if request.path.endswith(".jpg")]
        assert 6 <= len(asked) <= 7  # one was under way


def busy_in_seconds(request: Any, writer: Any) -> Any:
    return reply(status=429, Retry_After="1")(request, writer)


def busy_until_a_date(request: Any, writer: Any) -> Any:
    # A date has no fractions: two seconds from now are more than one away.
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
    return reply(status=503, Retry_After=date)(request, writer)


@pytest.mark.parametrize("busy", [busy_in_seconds, busy_until_a_date])
def test_retry_after_holds_the_whole_host_back(busy: Any, tmp_path: Path) -> None:
    routes = {"/busy.jpg": faulty(1, busy, reply(jpeg())), "/next.jpg": reply(jpeg(1))}
    with HostileServer(routes) as server:
        report = run([server.url(path) for path in routes], tmp_path, replace(QUICK, attempts=2, per_host=1))
        assert report.counts == {"kept": 2}
        refused = server.asked("/busy.jpg")[0].at
        later = [r.at for r in server.requests if r.at > refused]
        assert len(later) == 2 and min(later) - refused >= 0.99


def test_a_host_that_asks_for_too_much_patience_is_left_for_another_day(tmp_path: Path) -> None:
    routes = {"/busy.jpg": reply(status=503, Retry_After="7200")} | {f"/{i}.jpg": reply(jpeg()) for i in range(5)}
    with HostileServer(routes) as server:
        urls = [server.url(path) for path in routes]
        report = run(urls, tmp_path, replace(QUICK, per_host=1, passes=2))
        assert report.dropped == {"http_503": 1, "host_gave_up": 5}
        asked = len(server.requests)
        assert run(urls, tmp_path, retry=True).dropped == {"http_503": 1, "host_gave_up": 5}
        assert len(server.requests) == asked  # the next run remembers


def test_starts_are_apart_by_the_delay_and_by_crawl_delay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole crawler on the patient clock, by which a request starts at most a step after its turn has come."""
    import asyncio

    from mella_hf.know.fetching import crawl, visitor

    def now() -> float:
        return asyncio.get_running_loop().time()

    starts = defaultdict[str, list[float]](list)

    async def noted(session: Any, url: str, *arguments: Any, **options: Any) -> Any:
        starts[urlsplit(url).hostname or ""].append(now())
        return await download(session, url, *arguments, **options)

    for module in (crawl, visitor):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=now, time=time.time))
    monkeypatch.setattr(visitor, "download", noted)
    routes = {f"/{i}.jpg": reply(jpeg(i)) for i in range(6)}
    routes["127.0.0.2 /robots.txt"] = reply(b"User-agent: *\nCrawl-delay: 0.4")
    with HostileServer(routes) as server:
        urls = [server.url(f"/{i}.jpg", host) for host in ("127.0.0.1", "127.0.0.2") for i in range(6)]
        assert run(urls, tmp_path, replace(QUICK, delay=0.2, per_host=4)).counts == {"kept": 12}
    for host, delay in (("127.0.0.1", 0.2), ("127.0.0.2", 0.4)):
        _, _, _, *images = starts[host]  # after three files of rules
        assert len(images) == 6 and min(b - a for a, b in pairwise(images)) >= delay - STEP


def test_no_more_requests_at_a_time_than_allowed(tmp_path: Path) -> None:
    import asyncio

    active, most = Counter[str](), Counter[str]()
    pairs = defaultdict(asyncio.Event)  # by host: set when two requests were under way at once

    async def count(request: Any, writer: Any) -> None:
        active[request.host] += 1
        most[request.host] = max(most[request.host], active[request.host])
        if active[request.host] == 2:
            pairs[request.host].set()
        await pairs[request.host].wait()
        await asyncio.sleep(0.03)  # time for a third one to come
        await reply(jpeg())(request, writer)
        active[request.host] -= 1

    with HostileServer({f"/{i}.jpg": count for i in range(8)}) as server:
        urls = [server.url(f"/{i}.jpg", host) for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3") for i in range(8)]
        assert run(urls, tmp_path, replace(QUICK, per_host=2)).counts == {"kept": 24}
    assert most == {"127.0.0.1": 2, "127.0.0.2": 2, "127.0.0.3": 2}


def test_an_interrupted_shard_goes_on_where_it_was(tmp_path: Path) -> None:
    """The first run is cut off by an error after some URLs; the second asks for the others only."""
    routes = {f"/{i}.jpg": reply(jpeg(i)) for i in range(6)}
    with HostileServer(routes) as server:
        urls = [server.url(f"/{i}.jpg") for i in range(6)]
        shard = Shard("000", [[str(write_requests(urls, tmp_path / "requests.parquet")), ""]])
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        half = Shard("000", [[str(write_requests(urls[:3], tmp_path / "half.parquet")), ""]])
        fetch_shard(half, ShardOutput(tmp_path / "a"), out=str(tmp_path), settings=QUICK)
        # Whole, but never published: its bodies are gone from the log, so they are fetched again, and nothing is lost.
        output = ShardOutput(tmp_path / "b")
        fetch_shard(shard, output, out=str(tmp_path), settings=QUICK)
        assert output.counts == {"kept": 6}
        assert pq.read_table(tmp_path / "b" / ROWS)["body"].to_pylist() == [jpeg(i) for i in range(6)]


def test_killed_in_the_middle_it_asks_only_for_the_rest(tmp_path: Path) -> None:
    import os
    import signal
    import subprocess
    import sys

    async def kill_the_crawler(request: Any, writer: Any) -> None:
        os.kill(process.pid, signal.SIGKILL)

    routes = {f"/{i}.jpg": reply(jpeg(i)) for i in range(4)} | {"/4.jpg": faulty(1, kill_the_crawler, reply(jpeg(4)))}
    script = (
        "import sys\nfrom dataclasses import replace\nfrom pathlib import Path\n"
        "from mella_hf.know.fetching import log\nlog.COMMIT_SECONDS = 0.0\n"
        "from mella_hf.know.fetching.fetch import fetch\n"
        "sys.path.insert(0, sys.argv[1])\nfrom test_fetch import PATIENT, QUICK\n"
        "folder = Path(sys.argv[2])\nsettings = replace(QUICK, per_host=1, limits=PATIENT)\n"
        "fetch([folder / 'requests.parquet'], folder / 'out', settings, workers=0, progress=False)\n"
    )
    with HostileServer(routes) as server:
        urls = [server.url(f"/{i}.jpg") for i in range(5)]
        write_requests(urls, tmp_path / "requests.parquet")
        process = subprocess.Popen([sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)])
        assert process.wait() == -signal.SIGKILL
        report = run(urls, tmp_path, replace(QUICK, per_host=1))
        assert report.counts == {"kept": 5}
        assert [rows(report)[url]["body"] for url in urls] == [jpeg(i) for i in range(5)]
        assert [len(server.asked(f"/{i}.jpg")) for i in range(5)] == [1, 1, 1, 2, 2]  # 3 was not yet committed
        assert len(server.asked("/robots.txt")) == 1


def test_a_refresh_asks_with_the_etag_and_keeps_what_is_unchanged(tmp_path: Path) -> None:
    routes = {
        "/same.jpg": with_etag(jpeg(1), '"one"'),
        "/new.jpg": faulty(1, reply(jpeg(2), ETag='"two"'), reply(jpeg(3), ETag='"three"')),
        "/gone.jpg": faulty(1, reply(jpeg(4)), reply(status=410)),
        "/busy.jpg": faulty(1, reply(jpeg(5)), reply(status=503)),
    }
    with HostileServer(routes) as server:
        urls = [server.url(path) for path in routes]
        assert run(urls, tmp_path).counts == {"kept": 4}
        report = run(urls, tmp_path, replace(QUICK, refresh_before=time.time()))
        found = rows(report)
        assert [found[url]["body"] for url in urls] == [jpeg(1), jpeg(3), None, jpeg(5)]
        assert found[urls[2]]["reason"] == "http_410"  # what was taken down is not kept
        assert server.asked("/new.jpg")[1].headers["if-none-match"] == '"two"'
        assert "if-none-match" not in server.asked("/busy.jpg")[1].headers


class FakeRebindingResolver(AbstractResolver):
    """Stands in for a name server that gives another address each time it is asked."""

    def __init__(self, *answers: list[str]):
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(hostname=host, host=a, port=port, family=socket.AF_INET, proto=0, flags=0) for a in addresses
        ]

    async def close(self) -> None:
        pass


PUBLIC_STAND_IN = "127.0.0.9"  # taken for a public address in the tests below, since no test leaves this machine


@pytest.fixture
def one_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    check = addresses.is_public
    monkeypatch.setattr(addresses, "is_public", lambda address: address == PUBLIC_STAND_IN or check(address))


GUARDED = replace(QUICK, allow_private=False)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/secret.jpg",
        "http://localhost:{port}/secret.jpg",
        "http://2130706433:{port}/secret.jpg",
        "http://0x7f.1:{port}/secret.jpg",
        "http://[::ffff:127.0.0.1]:{port}/secret.jpg",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
    ],
)
def test_redirects_to_private_addresses_are_not_followed(target: str, tmp_path: Path, one_public_address: None) -> None:
    with HostileServer({"/secret.jpg": reply(jpeg())}) as server:
        server.routes["/x.jpg"] = reply(status=302, Location=target.format(port=server.port))
        server.routes["/y.jpg"] = reply(jpeg())
        urls = [server.url(path, PUBLIC_STAND_IN) for path in ("/x.jpg", "/y.jpg")]
        found = rows(run(urls, tmp_path, GUARDED))
        refused, fetched = (found[url]["reason"] for url in urls)
        assert (refused, fetched) == ("blocked_address", None)
        assert {request.host for request in server.requests} == {PUBLIC_STAND_IN}
        assert server.asked("/secret.jpg") == []


@pytest.mark.parametrize(
    "answers",
    [
        [["127.0.0.1"]],  # plainly private
        [[PUBLIC_STAND_IN, "127.0.0.1"]],  # one of each
        [[PUBLIC_STAND_IN], ["127.0.0.1"]],  # public for the rules, private for the image
    ],
)
def test_dns_rebinding_gains_nothing(
    answers: list[list[str]], tmp_path: Path, one_public_address: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = addresses.TCPConnector
    monkeypatch.setattr(addresses, "TCPConnector", lambda **k: make(**k | {"use_dns_cache": False}))
    with HostileServer({"/x.jpg": reply(jpeg())}) as server:
        url = server.url("/x.jpg", "rebinding.example")
        shard = Shard("000", [[str(write_requests([url], tmp_path / "requests.parquet")), ""]])
        output = ShardOutput(tmp_path)
        fetch_shard(
            shard, output, out=str(tmp_path), settings=GUARDED, resolver=FakeRebindingResolver(*answers)
        )  # fmt: skip
        assert output.counts == {"dropped_blocked_address": 1}
        assert {request.host for request in server.requests} <= {PUBLIC_STAND_IN}


def test_many_hosts_on_two_processes_and_any_number_of_shards(tmp_path: Path) -> None:
    routes = {f"/{i}.jpg": reply(jpeg(i)) for i in range(5)}
    with HostileServer(routes) as server:
        paths = [
            write_requests([server.url(f"/{i}.jpg", f"127.0.0.{h}") for i in range(5)], tmp_path / f"{h}.parquet")
            for h in range(1, 6)
        ]
        results = []
        for name, shards, workers in (("one", 1, 0), ("many", 3, 2)):
            settings = replace(QUICK, limits=PATIENT)
            report = fetch(paths, tmp_path / name, settings, shards=shards, workers=workers, progress=False)
            assert report.counts == {"kept": 25}
            results.append({url: row["body"] for url, row in rows(report).items()})
        assert results[0] == results[1]


def test_two_runs_do_not_share_a_log(tmp_path: Path) -> None:
    log = FetchLog(tmp_path / "000.sqlite")
    with pytest.raises(StageError, match="another run may be working on it"):
        FetchLog(tmp_path / "000.sqlite")
    log.close()
    FetchLog(tmp_path / "000.sqlite").close()


@pytest.mark.parametrize("contact", ["", "me", "mé@example.org", "a@b.c\nX: y"])
def test_a_contact_is_required(contact: str) -> None:
    with pytest.raises(MellaError, match="contact"):
        FetchSettings(contact=contact)
