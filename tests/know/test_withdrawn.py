"""What sites have withdrawn since a collection is found before publishing, and leaves the dataset."""

import io
import json
from pathlib import Path

from dataset_samples import record
from hostile_server import HOSTS, HostileServer, jpeg, reply
from PIL import Image
from test_opt_outs import fetched
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.dataset.card.card import write_card
from mella_hf.dataset.verify import verify_dataset
from mella_hf.dataset.write import write_split

IMAGES, PAGES, BROKEN, QUIET = HOSTS[:4]
ROUTES = {
    f"{IMAGES} /robots.txt": reply(
        b"User-agent: *\nDisallow: /gone/\nContent-Usage: /used/ train-ai=n\nLicense: /l.xml"
    ),
    f"{IMAGES} /l.xml": reply(
        b'<rsl xmlns="https://rslstandard.org/rsl"><content url="/licensed/"><license>'
        b'<prohibits type="usage">ai-all</prohibits></license></content></rsl>'
    ),
    f"{IMAGES} /.well-known/tdmrep.json": reply(b'[{"location": "/tdm/*.jpg", "tdm-reservation": 1}]'),
    f"{IMAGES} /ai.txt": reply(b"User-Agent: *\nDisallow: /ai/\n"),
    f"{PAGES} /robots.txt": reply(b"User-agent: *\nContent-Signal: search=yes, ai-train=no\n"),
    f"{BROKEN} /robots.txt": reply(status=503),
}


def made(folder: Path, server: HostileServer) -> dict[str, str]:
    """A dataset of which each row is of another kind: kind -> id."""
    quiet = server.url("/page.html", QUIET)
    places = {
        "gone": (server.url("/gone/a%20b.jpg", IMAGES), quiet),
        "used": (server.url("/used/1.jpg", IMAGES), quiet),
        "tdm": (server.url("/tdm/1.jpg", IMAGES), None),
        "ai": (server.url("/ai/1.jpg", IMAGES), quiet),
        "licensed": (server.url("/licensed/1.jpg", IMAGES), quiet),
        "page": (server.url("/open/1.jpg", IMAGES), server.url("/p", PAGES)),
        "unknown": (server.url("/1.jpg", BROKEN), quiet),
        "page_unknown": (server.url("/open/2.jpg", IMAGES), server.url("/p", BROKEN)),
        "open": (server.url("/open/3.jpg", IMAGES), quiet),
        "page_only": (None, server.url("/p2", PAGES)),
        "nowhere": (None, None),
    }
    rows = {}
    for number, (kind, (image, page)) in enumerate(places.items()):
        rows[kind] = record(number, image_url=image, page_url=page)
    write_split(list(rows.values()), folder, "ar", "know")
    write_card(folder)
    return {kind: row["id"] for kind, row in rows.items()}


def test_what_is_withdrawn_is_listed_and_removed(tmp_path: Path) -> None:
    folder, listed = tmp_path / "d", tmp_path / "gone.csv"
    with HostileServer(ROUTES) as server:
        ids = made(folder, server)
        words = [str(folder), "--workers", "0", "--opt-outs", "--contact", "t@example.org", "--withdrawn", str(listed)]
        private = [word for host in (IMAGES, PAGES, BROKEN, QUIET) for word in ("--allow-private", host)]
        done = CliRunner().invoke(app, ["verify", *words, *private, "--json"])
        assert done.exit_code == 1, done.output
        result = json.loads(done.stdout)
        assert result["problems"] == [] and result["withdrawn"] == {
            "robots_disallow": 1, "reserved_content_usage": 1, "reserved_tdm": 1, "reserved_ai_txt": 1,
            "reserved_content_signal": 2, "reserved_rsl": 1,
        }  # fmt: skip
        assert sum(result["unknown"].values()) == 2
        rule_files = {"/robots.txt", "/.well-known/tdmrep.json", "/ai.txt", "/l.xml"}
        assert {request.path for request in server.requests} == rule_files
        lines = listed.read_text("utf-8").splitlines()
        assert lines[0] == "id,reason,url"
        gone = {"gone", "used", "tdm", "ai", "licensed", "page", "page_only"}
        assert {line.split(",")[0] for line in lines[1:]} == {ids[kind] for kind in gone}
        removed = CliRunner().invoke(app, ["remove", str(folder), "--ids", str(listed)])
        assert removed.exit_code == 0 and "7 rows removed" in removed.output
        again = CliRunner().invoke(app, ["verify", *words, *private])
        assert again.exit_code == 0 and "Sound." in again.output and "unknown: " in again.output
        ignored = CliRunner().invoke(app, ["verify", *words, *private, "--ignore-opt-outs", "nonsense"])
        assert "There is no opt-out 'nonsense'" in str(ignored.exception) and not ignored.output
    assert verify_dataset(folder, workers=0, progress=False).problems == []


def test_a_contact_is_needed(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["verify", str(tmp_path), "--opt-outs"])
    assert done.exit_code == 1 and "give --contact" in str(done.exception)


def test_rules_of_a_page_that_cannot_be_read_forbid(tmp_path: Path) -> None:
    """What the page's site says is unknown: its image is not fetched, and is asked for again later."""
    routes = {f"/{n}.jpg": reply(jpeg(n)) for n in range(3)} | {f"{BROKEN} /robots.txt": reply(status=503)}
    with HostileServer(routes) as server:
        pages = [server.url("/p", BROKEN), server.url("/p", QUIET), None]
        urls = {server.url(f"/{n}.jpg", IMAGES): page for n, page in enumerate(pages)}
        rows = fetched(tmp_path, urls)
        assert [rows[url]["reason"] for url in urls] == ["page_robots_unavailable", None, None]
        assert f"{IMAGES} /0.jpg" not in {f"{request.host} {request.path}" for request in server.requests}
        assert Image.open(io.BytesIO(rows[list(urls)[1]]["body"])).size == (320, 240)
