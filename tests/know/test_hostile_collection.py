"""All hostile inputs in one collection, by the command: every good page is kept, and every bad one is named."""

import gzip
import json
import zlib
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dataset_samples import picture
from hostile_server import (
    HOSTS,
    HostileServer,
    Route,
    endless_body,
    gzip_bomb,
    hang,
    reply,
    reset_in_the_middle,
    slow_body,
    slow_headers,
    stalled_body,
)
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.know.fetching import settings
from mella_hf.know.fetching.download import Limits

PATIENT = Limits(connect=60, response=8, read=6, total=10)  # of a good page on a busy machine too
SIZE = (320, 240)
ALTS = "samaki soko mtoto mwanamke nyumba barabara mlima ziwa mti ndege gari kitabu shule chakula maji shamba".split()


def image(seed: int, kind: str = "JPEG", **options) -> bytes:
    return picture(seed, kind, SIZE, **options)


def inflating(megabytes: int) -> bytes:
    """A small gzip page that becomes this many megabytes of text when it is unpacked."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(b"<p>maji" * 150_000) for _ in range(megabytes)) + packer.flush()


def page(number: int, source: str = "", before: str = "", **more: str) -> bytes:
    """A Swahili page with one picture."""
    alt = f"Picha ya {ALTS[number % 16]} na {ALTS[(number * 7 + 3) % 16]} katika mji wa Mwanza {number}"
    attributes = "".join(f' {name}="{value}"' for name, value in more.items())
    return (
        f'<html lang="sw"><head><title>Picha {number}</title></head><body>{before}<p>Habari za leo kutoka Mwanza</p>'
        f'<img src="{source or f"/i/{number}.jpg"}"{attributes} alt="{alt}"></body></html>'
    ).encode()


def html(body: bytes, **headers: str) -> Route:
    return reply(body, **{"Content_Type": "text/html; charset=utf-8"} | headers)


# Pages whose picture is to be in the dataset, for all that is in them.
GOOD: dict[str, Route] = {
    "plain": html(page(0)),
    "empty srcset": html(page(1, srcset=" " * 50_000)),
    "commas in srcset": html(page(2, srcset="," * 50_000)),
    "many comments": html(b"<!---->" * 8_000 + page(3)),
    "a comment without end before": html(page(4, before="<!-- <img src=x> -->" + "<!-" * 20_000)),
    "deep": html(page(5, before="<div>" * 100_000)),
    "many attributes": html(page(6, before="<p " + " ".join(f"a{n}=1" for n in range(20_000)) + ">")),
    "zero bytes": html(page(7).replace(b"<p>", b"\0<p>\0")),
    "wrong addresses beside": html(page(8, before='<img src="http://[::1" alt="Picha ya mtu"><a href="http://xn--/">')),
    "cloud's metadata beside": html(
        page(9, before='<img src="http://169.254.169.254/latest/meta-data/x.jpg" alt="Picha ya siri ya mashine hii">')
    ),
    "script that ends nowhere in a string": html(page(10, before='<script>var a = "</scr" + "ipt>";</script>')),
    "one undefined byte": html(page(11).replace(b"leo", b"leo \x81")),
    "begins with text": html(b"Karibu " + page(12)),
    "gzip": html(gzip.compress(page(13)), Content_Encoding="gzip"),
    "unknown coding": html(page(14), Content_Encoding="none"),
    "a megabyte of spaces": html(page(15, before=" " * 1_000_000)),
    "two codings, of which one is none": html(gzip.compress(page(20)), Content_Encoding="UTF-8, gzip"),
    "bare deflate": html(zlib.compress(page(21))[2:-4], Content_Encoding="deflate"),
    "x-user-defined": html(page(22), Content_Type="text/html; charset=x-user-defined"),  # ASCII all the same
    "latin-1 header lines": html(page(16), X_Powered_By="caf\u00e9"),
    "a million entities": html(page(17, before="&amp" * 250_000)),
    "data URL beside": html(page(18, before=f'<img src="data:image/png;base64,{"A" * 100_000}" alt="Picha ya data">')),
    "robots for another": html(page(19), X_Robots_Tag="googlebot: noai"),
}
ORDER = [*range(15), 15, 20, 21, 22, 16, 17, 18, 19]  # the numbers of their pictures
NUMBERED = {name: (number, route) for number, (name, route) in zip(ORDER, GOOD.items(), strict=True)}
# Pages that go, and the reason that names them.
BAD_PAGES: dict[str, tuple[Route, str]] = {
    "iso-2022-kr": (html(page(41), Content_Type="text/html; charset=iso-2022-kr"), "page_encoding"),
    "hz-gb-2312": (html(page(42), Content_Type="text/html; charset=hz-gb-2312"), "page_encoding"),
    "bomb": (html(inflating(80), Content_Encoding="gzip"), "too_large"),
    "to nowhere": (reply(status=302, Location="http://xn--/"), "bad_redirect|dns_error"),
    "to metadata": (reply(status=302, Location="http://169.254.169.254/"), "blocked_address"),
    "loop": (reply(status=302, Location="/p/loop"), "too_many_redirects"),
    "far future": (reply(status=503, Retry_After="Mon, 01 Jan 99999999999999999999 00:00:00 GMT"), "http_503"),
    "slow headers": (slow_headers, "timeout"),
    "slow body": (slow_body, "timeout"),
    "stalled": (stalled_body, "timeout"),
    "reset": (reset_in_the_middle, "incomplete"),
    "hang": (hang, "timeout"),
    "picture": (reply(image(60), Content_Type="text/html"), "wrong_kind"),
    "empty": (html(b""), "empty"),
}
# Good pages with a picture that goes.
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" '
    b'plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"/></rdf:RDF></x:xmpmeta>'
)
BAD_IMAGES: dict[str, tuple[Route, str]] = {
    "gone": (reply(status=404), "http_404"),
    "html": (html(b"<html>"), "wrong_kind"),
    "half": (reply(image(71)[:3000]), "image_broken"),
    "small": (reply(picture(72, size=(40, 40))), "image_too_small"),
    "bomb": (reply(gzip_bomb(), Content_Encoding="gzip"), "too_large"),
    "endless": (endless_body, "too_large|timeout"),
    "noai": (reply(image(73), X_Robots_Tag="noai"), "reserved_noai"),
    "prohibited": (reply(image(74, xmp=XMP)), "reserved_plus"),
    "lies": (reply(image(75)[:2000], length=900_000), "incomplete"),
    "disallowed": (reply(image(76)), "robots_disallow"),
}
BAD_PAGE_OPT_OUTS = {"meta": html(page(90, before='<meta name="robots" content="noai">'))}


def routes() -> tuple[dict[str, Route], list[str]]:
    """The site's routes, and the pages' paths in a row over several hosts."""
    found: dict[str, Route] = {"/robots.txt": reply(b"User-agent: *\nDisallow: /i/disallowed\n")}
    paths = []
    for number, route in NUMBERED.values():
        found[f"/g/{number}"] = route
        found[f"/i/{number}.jpg"] = reply(image(number), Content_Type="image/jpeg")
        paths.append(f"/g/{number}")
    for name, (route, _) in BAD_PAGES.items():
        found[f"/p/{name.replace(' ', '-')}"] = route
        paths.append(f"/p/{name.replace(' ', '-')}")
    for number, (name, (route, _)) in enumerate(BAD_IMAGES.items(), 100):
        found[f"/i/{name}"] = route
        found[f"/b/{name}"] = html(page(number, f"/i/{name}"))
        paths.append(f"/b/{name}")
    for name, route in BAD_PAGE_OPT_OUTS.items():
        found[f"/o/{name}"] = route
        paths.append(f"/o/{name}")
    return found, paths


def rejects(out: Path) -> dict[str, list[str]]:
    """Path of a page or image -> the reasons with which it is named."""
    found: dict[str, list[str]] = {}
    for path in out.glob(".collect/*/rejects/*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            for name in ("url", "where", "image_url", "page_url"):
                if row.get(name):
                    found.setdefault(row[name].partition("//")[2].partition("/")[2], []).append(row["reason"])
    return found


def test_every_good_page_is_kept_and_every_bad_one_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = partial(settings.FetchSettings, limits=PATIENT, attempts=1, passes=1, backoff=0.01)
    monkeypatch.setattr(settings, "FetchSettings", impatient)
    found, paths = routes()
    with HostileServer(found) as server:
        # Who never answers is on a host of its own, so that all are waited for at the same time.
        slow = {f"/p/{name.replace(' ', '-')}" for name, (_, reason) in BAD_PAGES.items() if reason == "timeout"}
        urls = [server.url(path, HOSTS[6 if path in slow else number % 6]) for number, path in enumerate(paths)]
        lines = [*urls, "http://127.0.0.1:1/"]  # where nobody listens
        (tmp_path / "urls.txt").write_text("\n".join(lines) + "\n", "utf-8")
        command = [
            "collect", "--urls", str(tmp_path / "urls.txt"), "--languages", "sw", "--contact", "test@example.org",
            "--out", str(tmp_path / "out"), "--min-side", "100", "--delay", "0", "--per-host", "8",
            "--allow-private", "127.0.0.0/8", "--workers", "0", "--nsfw-threshold", "1", "--test-size", "0",
        ]  # fmt: skip
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        asked = {request.path for request in server.requests}
    rows = [row for path in (tmp_path / "out/sw").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    kept = {row["image_url"].rpartition("/")[2] for row in rows}
    lost = {name for name, (number, _) in NUMBERED.items() if f"{number}.jpg" not in kept}
    named = rejects(tmp_path / "out")
    assert lost == set() and len(kept) == len(GOOD), (lost, kept, named)
    wrong = {}
    for kind, table in (("p", BAD_PAGES), ("i", BAD_IMAGES)):
        for name, (_, reasons) in table.items():
            told = named.get(f"{kind}/{name.replace(' ', '-')}", [])
            if not any(one in reason for reason in told for one in reasons.split("|")):
                wrong[name] = told
    assert wrong == {}, json.dumps(wrong)
    assert named["o/meta"] == ["page_opt_out"]
    assert "/i/disallowed" not in asked and "/i/90.jpg" not in asked
