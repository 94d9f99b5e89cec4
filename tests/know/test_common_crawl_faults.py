"""Faults of Common Crawl's index and files, one by one: good pages are kept, bad ones are named and counted."""

import gzip
import json
import os
import signal
import socket
import struct
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from crawl_server import CrawledPage, CrawlServer, record_of, write_crawl
from test_common_crawl import NEW, OLD, kept_pages, rejects, run, settings, swahili
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.errors import MellaError
from mella_hf.know.common_crawl.estimate import estimate
from mella_hf.know.common_crawl.turnstile import Turnstile

Change = Callable[[pa.Table], pa.Table]


def parts_of(root: Path) -> list[Path]:
    return sorted((root / "cc-index").rglob("*.parquet"))


def rewrite(path: Path, change: Change, **how: object) -> None:
    """Write a part of the index anew."""
    pq.write_table(change(pq.read_table(path)), path, **({"compression": "gzip"} | how))


def retyped(name: str, kind: pa.DataType) -> Change:
    return lambda table: table.set_column(table.column_names.index(name), name, table[name].cast(kind))


def replaced(name: str, column: Callable[[pa.ChunkedArray], object]) -> Change:
    return lambda table: table.set_column(table.column_names.index(name), name, column(table[name]))


LISTS = replaced("content_languages", lambda column: pc.split_pattern(column, ","))

# What a part of the index may be all the same: every page is found.
READABLE = {
    "large strings": retyped("content_languages", pa.large_string()),
    "languages packed as a dictionary": replaced("content_languages", lambda column: column.dictionary_encode()),
    "languages as bytes": retyped("content_languages", pa.binary()),
    "addresses as large strings": retyped("url", pa.large_string()),
    "a status of 64 bits": retyped("fetch_status", pa.int64()),
    "a status that is a fraction": retyped("fetch_status", pa.float64()),
    "places of 64 bits": retyped("warc_record_offset", pa.int64()),
    "places that are texts": retyped("warc_record_offset", pa.string()),
    "times in seconds": retyped("fetch_time", pa.timestamp("s")),
    "times with a zone": retyped("fetch_time", pa.timestamp("ms", "Africa/Nairobi")),
    "no times": replaced("fetch_time", lambda column: pa.nulls(len(column), column.type)),
    "further columns in front": lambda table: table.add_column(
        0, "more", [pa.array([{"a": [1], "b": "x"}] * table.num_rows)]
    ),
    "no top-level domains": lambda table: table.drop_columns("url_host_tld"),
    "another order of columns": lambda table: table.select(table.column_names[::-1]),
}
# What cannot be read: the message that the reject has.
UNREADABLE = {
    "no languages": (lambda table: table.drop_columns("content_languages"), "no column content_languages"),
    "a renamed column": (
        lambda table: table.rename_columns([name.replace("warc_filename", "filename") for name in table.column_names]),
        "no column warc_filename",
    ),
    "lists of languages": (LISTS, "no column content_languages"),
    "a status in words": (replaced("fetch_status", lambda column: pa.array(["OK"] * len(column))), "row group 0"),
    "places in words": (replaced("warc_record_offset", lambda column: pa.array(["x"] * len(column))), "row group 0"),
    "times in words": (replaced("fetch_time", lambda column: pa.array(["today"] * len(column))), "row group 0"),
}


def of_part(path: Path) -> set[str]:
    return set(pq.read_table(path, columns=["url"])["url"].cast(pa.string()).to_pylist())


def in_parts(root: Path, parts: int) -> tuple[list[CrawledPage], list[Path], list[set[str]]]:
    """A crawl with three pages in each part of its index: (pages, parts, addresses of each part)."""
    pages = [swahili(number, f"s{number:02d}.co.ke", file=number % 2) for number in range(3 * parts)]
    write_crawl(root, NEW, pages, parts=parts)
    files = parts_of(root)
    return pages, files, [of_part(path) for path in files]


def details(out: Path) -> dict[str, str]:
    """The details of the rejects of the index, by the last part of the file's name."""
    lines = [line for path in out.glob(".collect/index/rejects/*") for line in path.open()]
    return {row["file"].rsplit("/", 1)[1]: row["detail"] for row in map(json.loads, lines)}


def test_an_index_of_another_shape_is_read(tmp_path):
    pages, parts, _ = in_parts(tmp_path / "crawl", len(READABLE))
    for path, change in zip(parts, READABLE.values(), strict=True):
        rewrite(path, change)
    with CrawlServer(tmp_path / "crawl") as server:
        report = run(settings(server, tlds=("ke",)), tmp_path / "out")
    assert report.stages["index"].dropped == {} and details(tmp_path / "out") == {}
    assert kept_pages(tmp_path / "out") == {page.url for page in pages}


def test_parts_of_other_columns_are_named_and_the_others_are_read(tmp_path):
    _, parts, urls = in_parts(tmp_path / "crawl", len(UNREADABLE) + 1)
    for path, (change, _) in zip(parts, UNREADABLE.values(), strict=False):
        rewrite(path, change)
    with CrawlServer(tmp_path / "crawl") as server:
        report = run(settings(server), tmp_path / "out")
        costs = estimate(settings(server), sample=1000, progress=False)
    assert kept_pages(tmp_path / "out") == urls[-1]
    assert report.stages["index"].dropped == {"index_damaged": len(UNREADABLE)} and report.may_work_later == 0
    said = details(tmp_path / "out")
    for path, (name, (_, says)) in zip(parts, UNREADABLE.items(), strict=False):
        assert says in said[path.name], name
    assert costs.unread == sum("column" in says for _, says in UNREADABLE.values())
    assert "(3 more cannot be read)" in costs.lines()[0]


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "cut":
        data = data[: len(data) * 2 // 3]
    elif how == "empty":
        data = bytearray()
    elif how == "footer":
        begin = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0]
        data[begin : begin + 40] = b"\xff" * 40
    elif how == "length of the footer":
        data[-8:-4] = struct.pack("<I", 0x7FFFFFFF)
    elif how == "html":
        data = bytearray(b"<!doctype html><title>Sign in</title>" * 99)
    elif how == "a column":
        start = pq.read_metadata(path).row_group(0).column(16).dictionary_page_offset
        data[start + 20 : start + 60] = bytes(40)
    path.write_bytes(data)


DAMAGES = ("cut", "empty", "footer", "length of the footer", "html", "a column")


def test_damaged_parts_are_named_and_asked_for_again(tmp_path):
    pages, parts, urls = in_parts(tmp_path / "crawl", len(DAMAGES) + 1)
    good = [path.read_bytes() for path in parts]
    for path, how in zip(parts, DAMAGES, strict=False):
        damage(path, how)
    with CrawlServer(tmp_path / "crawl") as server:
        report = run(settings(server), tmp_path / "out")
        assert kept_pages(tmp_path / "out") == urls[-1]
        assert report.stages["index"].dropped == {"index_damaged": len(DAMAGES)}
        assert set(details(tmp_path / "out")) == {path.name for path in parts[:-1]}
        for path, data in zip(parts, good, strict=True):
            path.write_bytes(data)
        run(settings(server), tmp_path / "out", retry=True)
    assert kept_pages(tmp_path / "out") == {page.url for page in pages}


# Answers for a part of the index, and what its reject is called.
ANSWERS = {
    404: "index_missing", 410: "index_missing", 301: "index_missing", 403: "index_busy", 503: "index_busy",
    "whole": "index_incomplete", "cut": "index_incomplete", "wrong range": "index_incomplete",
    "no range": "index_incomplete", "reset": "index_unreachable", "reset in the body": "index_incomplete",
    "digits": "index_incomplete",
}  # fmt: skip


class Answers(CrawlServer):
    """Answers that no server should give; "kill" ends the process that asks."""

    client = 0

    def _send(self, request, status, body, patience=(), headers=()):
        path, wanted = request.path.lstrip("/"), request.headers.get("Range")
        fault = self.fault(path, wanted, self._asked[path, wanted] - 1)
        if fault == "kill":
            os.kill(self.client, signal.SIGKILL)
        if fault in ("reset", "reset in the body", "kill"):
            if fault == "reset in the body":
                request.send_response(status)
                request.send_header("Content-Length", str(len(body)))
                for header in headers:
                    request.send_header(*header)
                request.end_headers()
                request.wfile.write(body[: len(body) // 2])
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.close()
            request.close_connection = True
            return
        if status in (301, 302):
            headers = [("Location", "/" + path)]  # to itself
        elif fault == "wrong range":
            headers = [("Content-Range", "bytes 5-9/1000000")]
        elif fault == "no range":
            headers = []
        elif fault == "digits":
            headers = [("Content-Range", f"bytes {'9' * 5000}-{'9' * 5000}/{'9' * 5000}")]
        super()._send(request, status, body, patience, headers)


def test_parts_that_are_not_given_are_named_and_the_others_are_read(tmp_path):
    pages, parts, urls = in_parts(tmp_path / "crawl", len(ANSWERS) + 1)
    answers = dict(zip((path.name for path in parts), ANSWERS, strict=False))
    with Answers(tmp_path / "crawl", lambda path, *_: answers.get(path.rsplit("/", 1)[1])) as server:
        report = run(settings(server, attempts=2), tmp_path / "out")
        assert kept_pages(tmp_path / "out") == urls[-1]
        named = {path.rsplit("/", 1)[1]: reason for path, reason in rejects(tmp_path / "out", "index").items()}
        assert named == {name: ANSWERS[answer] for name, answer in answers.items()}
        assert report.may_work_later == sum(reason != "index_missing" for reason in ANSWERS.values())
        server.fault = lambda *request: None
        run(settings(server), tmp_path / "out", retry=True)
    assert kept_pages(tmp_path / "out") == {page.url for page in pages}


def set_rows(path: Path, name: str, values: dict[str, object]) -> None:
    """Change a column of the rows of some addresses."""
    table = pq.read_table(path)
    column = [
        values.get(url, value) for url, value in zip(table["url"].to_pylist(), table[name].to_pylist(), strict=True)
    ]
    kind = pa.int64() if name.startswith("warc_record") else table[name].type
    pq.write_table(table.set_column(table.column_names.index(name), name, pa.array(column, kind)), path)


# What a row of the index may say of its record, and what becomes of its page. The neighbours of all are kept.
PLACES = {
    "length 0": ("warc_record_length", 0, "index_row_invalid"),
    "a negative length": ("warc_record_length", -900, "index_row_invalid"),
    "a length of 2 GB": ("warc_record_length", 2**31 - 1, "index_row_invalid"),
    "a length of 63 bits": ("warc_record_length", 2**62, "index_row_invalid"),
    "no length": ("warc_record_length", None, "index_row_invalid"),
    "a length of 60 MB": ("warc_record_length", 60_000_000, "record_mismatch"),
    "a length that is too small": ("warc_record_length", 90, "record_mismatch"),
    "a negative offset": ("warc_record_offset", -1, "index_row_invalid"),
    "no offset": ("warc_record_offset", None, "index_row_invalid"),
    "an offset behind the end": ("warc_record_offset", 2**40, "record_mismatch"),
    "an offset within the record": ("warc_record_offset", 99, "record_mismatch"),
    "no file": ("warc_filename", None, "index_row_invalid"),
    "a file without a name": ("warc_filename", "", "index_row_invalid"),
    "a file that is not there": ("warc_filename", "../../etc/passwd", "record_missing"),
    "a file with an odd name": ("warc_filename", "crawl-data/\n ?x=%zz#\u2603", "record_missing"),
    "a page that was not there": ("fetch_status", 404, None),
    "no status": ("fetch_status", None, None),
    "no languages": ("content_languages", None, None),
    "no type": ("content_mime_detected", None, None),
}


def test_rows_that_say_nonsense_cost_their_page_alone(tmp_path):
    pages = [swahili(number, f"s{number // 2:02d}.co.ke", file=number // 2) for number in range(2 * len(PLACES))]
    write_crawl(tmp_path / "crawl", NEW, pages, parts=1)
    (part,) = parts_of(tmp_path / "crawl")
    bad = pages[::2]
    for page, (column, value, _) in zip(bad, PLACES.values(), strict=True):
        set_rows(part, column, {page.url: value})
    with CrawlServer(tmp_path / "crawl") as server:
        report = run(settings(server), tmp_path / "out")
    assert kept_pages(tmp_path / "out") == {page.url for page in pages[1::2]}
    lost = rejects(tmp_path / "out", "index") | rejects(tmp_path / "out", "records")
    reasons = [reason for _, _, reason in PLACES.values()]
    assert lost == {page.url: reason for page, reason in zip(bad, reasons, strict=True) if reason}
    assert report.stages["index"].dropped == {"index_row_invalid": reasons.count("index_row_invalid")}


def test_records_of_another_page_moved_records_and_a_file_that_was_cut(tmp_path):
    pages = [swahili(number, f"s{number}.co.ke") for number in range(8)]
    pages[1].recorded_as = pages[2].url
    write_crawl(tmp_path / "crawl", NEW, pages, parts=1)
    (part,) = parts_of(tmp_path / "crawl")
    places = dict(zip(*pq.read_table(part, columns=["url", "warc_record_offset"]).to_pydict().values(), strict=True))
    set_rows(part, "warc_record_offset", {pages[3].url: places[pages[4].url], pages[4].url: places[pages[3].url]})
    (warc,) = (tmp_path / "crawl").rglob("*.warc.gz")
    warc.write_bytes(warc.read_bytes()[: -len(record_of(pages[7])) // 2])
    with CrawlServer(tmp_path / "crawl") as server:
        report = run(settings(server), tmp_path / "out")
    bad = {pages[number].url for number in (1, 3, 4, 7)}
    assert rejects(tmp_path / "out", "records") == dict.fromkeys(bad, "record_mismatch")
    assert kept_pages(tmp_path / "out") == {page.url for page in pages} - bad and report.may_work_later == 0


# Answers for the records of one file of three, and what their pages are called.
RECORD_ANSWERS = {
    404: "record_missing", 302: "record_missing", 416: "record_mismatch", 403: "record_busy",
    "wrong range": "record_incomplete", "no range": "record_incomplete", "digits": "record_incomplete",
    "whole": "record_incomplete", "reset": "record_unreachable", "reset in the body": "record_incomplete",
}  # fmt: skip


def test_files_that_are_not_given_are_given_up_and_the_others_are_read(tmp_path):
    """Their pages lie too far apart for one request: after three of a file, its others are not asked for."""
    pages, bad = [], {}
    for number, answer in enumerate(RECORD_ANSWERS):
        for n in range(9):
            page = swahili(n, f"s{number}.co.ke", file=number)
            bad[page.url] = RECORD_ANSWERS[answer]
            pages += [page, CrawledPage(f"http://x.ke/{number}/{n}", os.urandom(60_000).hex(), file=number)]
    good = [swahili(n, "s.co.ke", file=99) for n in range(6)]
    write_crawl(tmp_path / "crawl", NEW, [*pages, *good], parts=1)
    answers = {f"-{number:05d}.warc.gz": answer for number, answer in enumerate(RECORD_ANSWERS)}
    with Answers(tmp_path / "crawl", lambda path, *_: answers.get(path[-14:])) as server:
        report = run(settings(server, attempts=2), tmp_path / "out")
        asked = {end: len({wanted for path, wanted in server.log if path.endswith(end)}) for end in answers}
    assert kept_pages(tmp_path / "out") == {page.url for page in good}
    assert rejects(tmp_path / "out", "records") == bad
    lasting = [reason in ("record_missing", "record_mismatch") for reason in RECORD_ANSWERS.values()]
    assert report.may_work_later == 9 * lasting.count(False)
    for is_lasting, requests in zip(lasting, asked.values(), strict=True):
        assert requests == 9 if is_lasting else requests < 9


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html>Sign in</html>", "is not a list of files packed by gzip"),
        (gzip.compress(b"a\nb\n")[:-9], "is not a list of files packed by gzip .it is cut off"),
        (gzip.compress(b"a\n" * 999)[:10] + b"\xff" * 40, "is not a list of files packed by gzip"),
        (gzip.compress(bytes(65 << 20), 1), "more than 67,108,864 bytes"),
        (gzip.compress(b"\xff\xfe"), "is not a list"),
        (gzip.compress(b""), "names no file of the index .* among its 0 lines"),
        (gzip.compress(b"crawl-data/x.parquet\n"), "names no file of the index .* among its 1 lines"),
        (301, "There is no crawl .*HTTP 301, moved to /crawl-data"),
        ("wrong range", None),
        ("reset", "does not answer .unreachable"),
    ],
)
def test_a_list_of_files_that_is_none_is_an_error(tmp_path, content, says):
    crawl = tmp_path / "crawl"
    write_crawl(crawl, NEW, [swahili(1)], parts=1)
    path = crawl / f"crawl-data/{NEW}/cc-index-table.paths.gz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    with Answers(crawl, lambda name, *_: content if name.endswith("paths.gz") else None) as server:
        if says is None:  # nobody asked for a range
            run(settings(server, attempts=1), tmp_path / "out")
            return
        for work in (lambda: run(settings(server, attempts=1), tmp_path / "out"), lambda: estimate(settings(server))):
            with pytest.raises(MellaError, match=says) as raised:
                work()
            assert "\n" not in str(raised.value)


def test_of_copies_of_one_moment_the_later_crawl_gives_one(tmp_path):
    when = datetime(2026, 9, 9)
    for crawl in (OLD, NEW):
        write_crawl(tmp_path / "crawl", crawl, [swahili(number, time=when) for number in range(5)] * 2)
    for crawls in ((OLD, NEW), (NEW, OLD), (NEW, NEW)):
        out = tmp_path / "-".join(crawls)
        with CrawlServer(tmp_path / "crawl") as server:
            report = run(settings(server, crawls=crawls), out)
            assert {path.split("/")[1] for path, _ in server.log if "/segments/" in path} == {NEW}
        assert report.stages["records"].counts["kept"] == 5 == len(kept_pages(out))


def collected_and_killed(base: str, out: Path) -> None:
    done = CliRunner().invoke(app, [
        "collect", "--common-crawl", NEW, "--languages", "sw", "--contact", "test@example.org", "--texts-only",
        "--crawl-base", base, "--requests-per-second", "2000", "--workers", "0", "--out", str(out),
    ])  # fmt: skip
    raise SystemExit(done.exit_code)


def test_a_collection_that_is_killed_at_any_request_goes_on(tmp_path):
    """The server kills the process at the first, the second, ... request; the one after the last ends as if never."""
    pages = [swahili(number, f"s{number}.co.ke", file=number % 2) for number in range(4)]
    write_crawl(tmp_path / "crawl", NEW, pages, parts=1)
    context = get_context("forkserver")
    context.set_forkserver_preload(["mella_hf.cli", "mella_hf.know.collect", "mella_hf.know.common_crawl.stages"])
    codes = []
    with Answers(tmp_path / "crawl") as server:
        while not codes or codes[-1]:
            seen = Counter(server.log)
            server.fault = lambda path, wanted, before, seen=seen: None if (path, wanted) in seen else "kill"
            process = context.Process(target=collected_and_killed, args=(server.base, tmp_path / "out"))
            process.start()
            server.client = process.pid
            process.join()
            codes.append(process.exitcode)
            assert len(codes) < 20
    assert set(codes[:-1]) == {-signal.SIGKILL} and len(codes) >= 1 + 1 + 1 + 2
    assert kept_pages(tmp_path / "out") == {page.url for page in pages}
    assert not list((tmp_path / "out").rglob(".partial/*"))


@pytest.mark.parametrize("said", ["", "x", "nan", "-inf", "1e400", "\0\0\0"])
def test_the_rate_is_kept_whatever_its_file_says(tmp_path, monkeypatch, said):
    (tmp_path / "turnstile").write_text(said)
    waits = []
    monkeypatch.setattr("mella_hf.know.common_crawl.turnstile.time.sleep", waits.append)
    Turnstile(tmp_path / "turnstile", 10.0).take()
    assert sum(waits) <= 600


def test_a_clock_that_jumps_holds_up_for_ten_minutes_at_the_most(tmp_path, monkeypatch):
    now = [1_000_000.0]
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("mella_hf.know.common_crawl.turnstile.time.time", lambda: now[0])
    monkeypatch.setattr("mella_hf.know.common_crawl.turnstile.time.sleep", sleep)
    turnstile = Turnstile(tmp_path / "turnstile", 10.0)
    for jump in (0.0, 86_400.0, -86_400.0, 0.0, -3600.0, 0.0):
        now[0] += jump
        turnstile.take()
        turnstile.take()
    assert max(waits) <= 600 and sum(waits) <= 2 * 600 + 12 * 0.1 + 0.01
