"""Archives of every kind and all opt-outs in one collection, by the command: what is good stays, the rest is named."""

import gzip
import json
import re
import zlib
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hostile_server import HOSTS, HostileServer, Route, reply
from test_arc import header as arc_header
from test_arc import record as arc_record
from test_hostile_collection import PATIENT, image, inflating, page, rejects
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.know.fetching import settings
from mella_hf.know.optouts import SIGNALS

RSL = (
    b'<rsl xmlns="https://rslstandard.org/rsl"><content url="/"><license><prohibits>ai-all</prohibits></license>'
    b"</content></rsl>"
)
WIDE = {"Content-Type": "text/html; charset=utf-8"}

# name -> (host of the picture, markup before it, its attributes, headers of the page, the reason; None where it stays)
Case = tuple[str, str, dict[str, str], dict[str, str], str | None]
MARKUP: dict[str, Case] = {
    # srcset, picture and base of the HTML Standard
    "an invalid candidate": ("", "", {"srcset": "/no 1.jpg 1x"}, {}, None),
    "a source of an earlier picture": ("", "<picture><source srcset=/no.jpg></picture>", {}, {}, None),
    "a blank placeholder beside": ("", '<img src="data:image/gif;base64,R0lGODlhAQAB" alt="Picha">', {}, {}, None),
    "base within a drawing": ("", '<svg><base href="http://no.example/"></base></svg>', {}, {}, None),
    # robots directives
    "an agent's own line": ("", "", {}, {"X-Robots-Tag": "googlebot: noindex, nofollow"}, None),
    "an agent's line, then ours": ("", "", {}, {"X-Robots-Tag": "googlebot: nofollow", "x-robots-tag": "noai"}, "noai"),
    "a date with a comma": (
        "", "", {}, {"X-Robots-Tag": "unavailable_after: Wed, 25 Jun 2030 15:00:00 GMT, noimageai"}, "noimageai",
    ),
    "semicolons": ("", '<meta name=robots content="nofollow; noml">', {}, {}, "noml"),
    "spaces": ("", '<meta name=robots content="nofollow noindex">', {}, {}, "noindex"),
    "noimageindex": ("", '<meta name=robots content="noimageindex">', {}, {}, "noimageindex"),
    # the other signals of a page
    "TDM header": ("", "", {}, {"TDM-Reservation": "1"}, "tdm"),
    "TDM tag": ("", '<meta name="tdm-reservation" content="1">', {}, {}, "tdm"),
    "AIPREF header": ("", "", {}, {"Content-Usage": "train-ai=n"}, "content_usage"),
    "content signal header": ("", "", {}, {"Content-Signal": "ai-train=no"}, "content_signal"),
    "RSL header": ("", "", {}, {"Link": '</l.xml>; rel="license"; type="application/rsl+xml"'}, "rsl"),
    "RSL in the page": ("", f"<script type=application/rsl+xml>{RSL.decode()}</script>", {}, {}, "rsl"),
    # what the picture's site says: the rules of RULES
    "a group with content signals": (HOSTS[1], "", {}, {}, "robots_disallow"),
    "a version in the name": (HOSTS[2], "", {}, {}, "robots_disallow"),
    "an AIPREF line": (HOSTS[3], "", {}, {}, "reserved_content_usage"),
    "a content signal's line": (HOSTS[4], "", {}, {}, "reserved_content_signal"),
    "tdmrep.json": (HOSTS[5], "", {}, {}, "reserved_tdm"),
    "ai.txt": (HOSTS[6], "", {}, {}, "reserved_ai_txt"),
    "an RSL licence": (HOSTS[7], "", {}, {}, "reserved_rsl"),
    "204 for robots.txt": (HOSTS[8], "", {}, {}, None),
}  # fmt: skip
RULES: dict[str, Route] = {
    f"{HOSTS[1]} /robots.txt": reply(
        b"User-agent: mella_hf\nContent-Signal: search=yes\nUser-agent: *\nDisallow: /i/\n"
    ),
    f"{HOSTS[2]} /robots.txt": reply(b"User-agent: mella_hf/1.0\nDisallow: /i/\n"),
    f"{HOSTS[3]} /robots.txt": reply(b"User-agent: *\nContent-Usage: train-ai=n\n"),
    f"{HOSTS[4]} /robots.txt": reply(b"User-agent: *\nContent-Signal: ai-train=no\n"),
    f"{HOSTS[5]} /.well-known/tdmrep.json": reply(b'[{"location": "/%69/", "tdm-reservation": 1}]'),
    f"{HOSTS[6]} /ai.txt": reply(b"User-Agent: *\nDisallow: *.jpg\n"),
    f"{HOSTS[7]} /robots.txt": reply(b"License: /l.xml\nUser-agent: *\nAllow: /\n"),
    f"{HOSTS[7]} /l.xml": reply(RSL),
    f"{HOSTS[8]} /robots.txt": reply(b"", status=204),
}
# How a page stands in its archive: name -> (headers, what is done to its body, the reason; None where it stays)
CODINGS = {
    "gzip": ({"Content-Encoding": "gzip"}, gzip.compress, None),
    "bare deflate": ({"Content-Encoding": "deflate"}, lambda body: zlib.compress(body)[2:-4], None),
    "deflate": ({"Content-Encoding": "deflate"}, zlib.compress, None),
    "no coding": ({"Content-Encoding": "none"}, bytes, None),
    "a charset for a coding": ({"Content-Encoding": "UTF-8"}, bytes, None),
    "not coded at all": ({"Content-Encoding": "gzip"}, bytes, None),
    "begins with text": ({}, lambda body: b"Karibu " + body, None),
    "begins with a heading": ({}, lambda body: b"<h2>Karibu</h2>" + body, None),
    "begins with a drawing": ({}, lambda body: b"<svg><path d='M0 0'/></svg>" + body, None),
    "one undefined byte": ({}, lambda body: body.replace(b"leo", b"leo \x81"), None),
    "a prescan past comments": (
        {"Content-Type": "text/html"}, lambda body: b"<!-- <meta charset=utf-16> --><meta charset=utf-8>" + body, None,
    ),
    "x-user-defined": ({"Content-Type": "text/html; charset=x-user-defined"}, bytes, None),
    "iso-2022-kr": ({"Content-Type": "text/html; charset=iso-2022-kr"}, bytes, "page_encoding"),
    "hz-gb-2312": ({"Content-Type": "text/html; charset=hz-gb-2312"}, bytes, "page_encoding"),
    "a bomb": ({"Content-Encoding": "gzip"}, lambda body: inflating(20), "too_large"),
}  # fmt: skip


def slug(name: str) -> str:
    return re.sub("[^a-zA-Z0-9]+", "-", name)


def http(body: bytes, headers: dict[str, str], newline: str = "\r\n", status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in (WIDE | headers).items()), "", ""]
    return newline.join(lines).encode() + body


def record(home: str, name: str, block: bytes, version: str = "1.0", newline: str = "\r\n", **more: str) -> bytes:
    lines = [
        f"WARC/{version}", "WARC-Type: response", f"WARC-Target-URI: {home}{slug(name)}",
        "WARC-Date: 2026-01-01T00:00:00Z", f"WARC-Record-ID: <urn:uuid:{name}>",
        "Content-Type: application/http; msgtype=response",
        *(f"{key.replace('_', '-')}: {value}" for key, value in more.items()), f"Content-Length: {len(block)}", "", "",
    ]  # fmt: skip
    return newline.join(lines).encode() + block + b"\r\n\r\n"


def test_all_archives_and_opt_outs_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        settings, "FetchSettings", partial(settings.FetchSettings, limits=PATIENT, attempts=1, passes=1)
    )
    expected: dict[str, str | None] = {}
    numbers: dict[str, int] = {}
    server = HostileServer(dict(RULES))

    def body(name: str, reason: str | None, host: str = "", before: str = "", source: str = "", **more: str) -> bytes:
        number = numbers[name] = 200 + len(numbers)
        expected[name] = reason
        path = f"/i/{number}.jpg"
        server.routes[path] = reply(image(number), Content_Type="image/jpeg")
        return page(number, source or server.url(path, host or HOSTS[0]), before, **more)

    with server:
        home = server.url("/p/")
        files: dict[str, bytes] = {"markup.warc": b"", "codings.warc.gz": b""}
        for name, (host, before, attributes, headers, reason) in MARKUP.items():
            files["markup.warc"] += record(home, name, http(body(name, reason, host, before, **attributes), headers))
        for name, (headers, change, reason) in CODINGS.items():
            files["codings.warc.gz"] += gzip.compress(record(home, name, http(change(body(name, reason)), headers)))
        files["lf.warc"] = b"".join(
            record(home, f"lines end with LF {n}", http(body(f"lines end with LF {n}", None), {}, "\n"), newline="\n")
            for n in range(3)
        )
        files["old.warc.gz"] = gzip.compress(record(home, "WARC 0.18", http(body("WARC 0.18", None), {}), "0.18"))
        files["a.arc"] = arc_header() + arc_record(0, http(body("ARC", None), {}), url=f"{home}ARC".encode())
        gone = http(body("a page of 404", "page_status"), {}, status="404 Not Found")
        cut = record(home, "cut off", http(body("cut off", "page_truncated"), {}))[:-200]
        files["rest.warc"] = record(home, "a page of 404", gone) + cut
        # Addresses as the URL Standard has them: each picture is at one place alone.
        places = {
            "backslashes": ("\\i\\a b.jpg", "/i/a%20b.jpg"),
            "a tab within": ("/i/c\td.jpg", "/i/cd.jpg"),
            "signed": ("/i/e%2Ff.jpg?s=a%2Cb,c", "/i/e%2Ff.jpg?s=a%2Cb,c"),
        }
        for name, (source, path) in places.items():
            address = f"http://{HOSTS[0]}:{server.port}{source}"
            text = body(name, None, source=address)
            server.routes[path] = reply(image(numbers[name]), Content_Type="image/jpeg")
            files["markup.warc"] += record(home, name, http(text, {}))
        legacy = body("a query in cp1251", None, source=f"http://{HOSTS[0]}:{server.port}/i/g.jpg?n=вова")
        server.routes["/i/g.jpg?n=%E2%EE%E2%E0"] = reply(image(numbers["a query in cp1251"]))
        files["markup.warc"] += record(
            home,
            "a query in cp1251",
            http(legacy.decode().encode("cp1251"), {"Content-Type": "text/html; charset=windows-1251"}),
        )
        # Pictures that Chromium shows, and one that forbids.
        pictures = {
            "junk between segments": (lambda data: data[:2] + b"\xff\xff\xff" + data[2:], None),
            "junk behind the end": (lambda data: data + b"junk" * 500, None),
            "prohibited": (lambda data: data[:2] + b"\xff\xe1\x00\x14DMI-PROHIBITED-AI\0" + data[2:], "reserved_plus"),
        }
        for name, (change, reason) in pictures.items():
            text = body(name, reason)
            server.routes[f"/i/{numbers[name]}.jpg"] = reply(change(image(numbers[name])), Content_Type="image/jpeg")
            files["markup.warc"] += record(home, name, http(text, {}))
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        command = [
            "collect", *(str(tmp_path / name) for name in files), "--languages", "sw", "--contact", "test@example.org",
            "--out", str(tmp_path / "out"), "--min-side", "100", "--delay", "0", "--per-host", "8",
            "--allow-private", "127.0.0.0/8", "--workers", "0", "--nsfw-threshold", "1", "--test-size", "0",
        ]  # fmt: skip
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    rows = [row for path in (tmp_path / "out/sw").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    kept = {row["page_url"].rpartition("/")[2] for row in rows}
    told = rejects(tmp_path / "out")
    for path in (tmp_path / "out").glob(".collect/*/rejects/*.jsonl"):  # a page of an archive: "file@place address"
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            told.setdefault((row.get("where") or "").rpartition("//")[2].partition("/")[2], []).append(row["reason"])
    report = (tmp_path / "out/report.json").read_text("utf-8")
    wrong = {}
    for name, reason in expected.items():
        named = told.get(f"p/{slug(name)}", []) + told.get(f"i/{numbers[name]}.jpg", [])
        is_kept = slug(name) in kept
        if reason is None:
            is_right = is_kept and not named
        elif reason in SIGNALS:
            is_right = not is_kept and "page_opt_out" in named and f'"opt_out_{reason}"' in report
        else:
            is_right = not is_kept and any(reason in one for one in named)
        if not is_right:
            wrong[name] = (is_kept, named, reason)
    assert wrong == {}, json.dumps(wrong, indent=1)
