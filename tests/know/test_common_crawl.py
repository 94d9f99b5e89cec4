"""Pages of Common Crawl by its index: a server on loopback plays index and WARC files, with what goes wrong there."""

import json
import random
import shutil
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from time import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from crawl_server import CrawledPage, CrawlServer, write_crawl
from hostile_server import jpeg
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.errors import MellaError
from mella_hf.know.collect import CollectSettings, collect
from mella_hf.know.common_crawl.estimate import estimate, extrapolate
from mella_hf.know.common_crawl.settings import CrawlSettings, language_of
from mella_hf.know.common_crawl.turnstile import Turnstile
from mella_hf.know.common_crawl.warc_records import GAP, merge
from mella_hf.know.filter import FilterSettings

OLD, NEW = "CC-MAIN-2026-38", "CC-MAIN-2026-43"
SWAHILI = "Wanawake wakiuza samaki katika soko la Mwanza asubuhi"
YORUBA = "Àwọn obìnrin ń ta ẹja ní ọjà Ìbàdàn ní òwúrọ̀"


def page(
    url: str, alt: str, language: str, languages: str, image: str = "http://images.invalid/a.jpg", **more
) -> CrawledPage:
    html = f'<html lang="{language}"><title>{alt}</title><p>{alt}<img src="{image}" alt="{alt}"></html>'
    return CrawledPage(url, html, languages, **more)


def swahili(number: int, site: str = "habari.co.ke", **more) -> CrawledPage:
    return page(f"http://{site}/{number}", f"{SWAHILI} {number}", "sw", "swa,eng", **more)


def settings(server: CrawlServer, **changes) -> CrawlSettings:
    polite = CrawlSettings(
        (NEW,),
        ("sw", "yo"),
        "mella_hf-test (+test@example.org)",
        base=server.base,
        rate=5000.0,
        backoff=0.01,
        attempts=3,
    )
    return replace(polite, **changes)


def run(crawl: CrawlSettings, out: Path, **changes):
    texts = CollectSettings(FilterSettings(("sw", "yo")), texts_only=True, **changes)
    return collect(crawl, out, texts, workers=0, progress=False)


def kept_pages(out: Path) -> set[str]:
    return {
        url for path in out.glob(".collect/pages/*/rows.parquet")
        for url in pq.read_table(path, columns=["page_url"])["page_url"].to_pylist()
    }  # fmt: skip


def rejects(out: Path, stage: str) -> dict[str, str]:
    lines = [line for path in sorted(out.glob(f".collect/{stage}/rejects/*")) for line in path.read_text().splitlines()]
    return {row.get("url") or row.get("file"): row["reason"] for row in map(json.loads, lines)}


def test_from_a_language_code_to_a_dataset_by_the_command(tmp_path, serve):
    """A hundred thousand rows, of which nine are asked for; the images lie on another server."""
    (tmp_path / "images").mkdir()
    for number in range(3):
        (tmp_path / f"images/{number}.jpg").write_bytes(jpeg(40 * number))
    pictures = serve({"i": [tmp_path / "images"]})
    wanted = [
        swahili(1, pictures[7:], image=f"{pictures}/i/0.jpg"), swahili(2), swahili(3, file=1),
        page(f"{pictures}/iroyin/1", YORUBA, "yo", "yor", image=f"{pictures}/i/1.jpg"),
        page(f"{pictures}/iroyin/2", YORUBA + " kan", "yo", "eng,fra,yor", image=f"{pictures}/i/2.jpg"),
    ]  # fmt: skip
    wanted[4].mime = "application/xhtml+xml"
    others = [
        swahili(10, status=404), swahili(11, mime="application/pdf"), page("http://a.example/", "Fish", "en", "eng"),
        page("http://b.example/", "Fish", "en", "swe"),
    ]  # fmt: skip
    write_crawl(tmp_path / "crawl", NEW, wanted + others, filler=100_000, parts=2, row_group=10_000)
    with CrawlServer(tmp_path / "crawl") as server:
        command = [
            "collect", "--common-crawl", NEW, "--languages", "sw,yo", "--contact", "test@example.org",
            "--crawl-base", server.base, "--requests-per-second", "2000", "--out", str(tmp_path / "out"),
            "--min-side", "100", "--delay", "0", "--allow-private", "127.0.0.0/8",
            "--workers", "0", "--nsfw-threshold", "1", "--test-size", "0",
        ]  # fmt: skip
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        assert kept_pages(tmp_path / "out") == {page.url for page in wanted}
        found = {
            row["page_url"] for code in ("sw", "yo") for row in pq.read_table(tmp_path / f"out/{code}").to_pylist()
        }
        assert found == {wanted[0].url, wanted[3].url, wanted[4].url}
        index = list((tmp_path / "crawl/cc-index").rglob("*.parquet"))
        counts = Counter()
        for path in (tmp_path / "out/.collect/index/done").glob("*"):
            counts.update(json.loads(path.read_text())["counts"])
        assert counts["index_rows"] == 100_009 and counts["kept"] == 5
        assert counts["index_bytes"] < sum(path.stat().st_size for path in index) / 2
        # 2 tails, 2 x 20 of row groups at the most; the records of the first WARC file are neighbours.
        assert len(server.log) <= 1 + 2 + 40 + 2
        assert sum("/segments/" in path for path, _ in server.log) == 2
        before = len(server.log)
        assert CliRunner().invoke(app, command).exit_code == 0
        assert server.log[before:] == [(f"crawl-data/{NEW}/cc-index-table.paths.gz", None)]
    text = (tmp_path / "out/report.html").read_text("utf-8")
    assert "Pages in the index" in text and "Records fetched" in text


def test_the_newest_copy_of_several_crawls_wins(tmp_path):
    early, late = datetime(2026, 9, 9, 1), datetime(2026, 10, 9)
    write_crawl(tmp_path, OLD, [swahili(1, time=early), swahili(2, time=late), swahili(3, time=early)])
    write_crawl(tmp_path, NEW, [swahili(1, time=late), swahili(2, time=early)])
    with CrawlServer(tmp_path) as server:
        report = run(settings(server, crawls=(OLD, NEW)), tmp_path / "out")
        taken = [path for path, _ in server.log if "/segments/" in path]
    assert report.stages["picked"].counts["dropped_older_copy"] == 2
    assert report.stages["records"].counts["kept"] == 3
    assert Counter(path.split("/")[1] for path in taken) == {OLD: 1, NEW: 1}  # 2 and 3 are neighbours in the old one
    whens = {row["url"]: row["fetch_time"].month for path in (tmp_path / "out").glob(".collect/picked/*/rows.parquet")
             for row in pq.read_table(path).to_pylist()}  # fmt: skip
    assert list(whens[f"http://habari.co.ke/{n}"] for n in (1, 2, 3)) == [10, 10, 9]


def test_sites_top_level_domains_and_the_limit_of_a_site(tmp_path):
    pages = [
        *(swahili(n) for n in range(6)), *(swahili(n, "blogu.habari.co.ke") for n in range(2)),
        swahili(1, "nothabari.co.ke"),
        swahili(1, "habari.co.tz"), page("http://habari.co.ke/eng", SWAHILI, "sw", "eng,swa"),
    ]  # fmt: skip
    write_crawl(tmp_path, NEW, pages, filler=20_000, row_group=1000)
    with CrawlServer(tmp_path) as server:
        run(settings(server, sites=("habari.co.ke",), pages_per_site=3), tmp_path / "site")
        hosts = Counter(url.split("/")[2] for url in kept_pages(tmp_path / "site"))
        assert hosts == {"habari.co.ke": 3, "blogu.habari.co.ke": 2}
        assert "http://habari.co.ke/eng" not in kept_pages(tmp_path / "site")  # mainly Swahili comes first
        read = server.sent
        whole = sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))
        assert read < whole / 4  # the row groups of com, de, ru are passed over
        run(settings(server, tlds=("tz",)), tmp_path / "tld")
        assert kept_pages(tmp_path / "tld") == {"http://habari.co.tz/1"}


def test_faults_lose_nothing_but_what_is_not_there(tmp_path):
    pages = [swahili(n, f"s{n}.co.ke", file=n % 6) for n in range(60)]
    pages[7].recorded_as = "https://elsewhere.co.ke/"
    pages[8].damaged = True
    write_crawl(tmp_path, NEW, pages, filler=2000, parts=3)
    (gone,) = tmp_path.glob("crawl-data/*/segments/*/warc/*-00005.warc.gz")
    gone.unlink()
    part = next(tmp_path.glob("cc-index/**/part-00002*"))  # org, ru: none of ours
    part.unlink()
    storm = iter(range(6))

    def fault(path, wanted, before):
        if next(storm, None) is not None:  # whatever comes first
            return random.choice((503, (403, 0), (429, "0"), 500))
        draw = random.Random(f"{path} {wanted}").choice((None, "cut", "whole", (503, "Thu, 01 Jan 1970 00:00:00 GMT")))
        return draw if before == 0 and wanted else None

    with CrawlServer(tmp_path, fault) as server:
        report = run(settings(server, attempts=9), tmp_path / "out")
    bad = {page.url: "record_missing" for page in pages if page.file == 5}
    bad |= {pages[7].url: "record_mismatch", pages[8].url: "record_mismatch"}
    assert rejects(tmp_path / "out", "records") == bad
    assert kept_pages(tmp_path / "out") == {page.url for page in pages} - set(bad)
    assert report.stages["index"].counts["dropped_index_missing"] == 1
    assert rejects(tmp_path / "out", "index") == {str(part.relative_to(tmp_path)): "index_missing"}


def test_what_the_server_refuses_is_asked_for_again_and_nothing_else(tmp_path):
    pages = [swahili(n, file=n) for n in range(8)]
    write_crawl(tmp_path, NEW, pages)

    def refuse(path, wanted, before):
        return 503 if path.endswith(("-00003.warc.gz", "-00006.warc.gz")) else None

    with CrawlServer(tmp_path, refuse) as server:
        report = run(settings(server), tmp_path / "out")
        assert rejects(tmp_path / "out", "records") == {pages[3].url: "record_busy", pages[6].url: "record_busy"}
        assert report.may_work_later == 2
        server.fault, before = lambda *request: None, len(server.log)
        assert run(settings(server), tmp_path / "out").may_work_later == 2
        assert not any("/segments/" in path for path, _ in server.log[before:])
        report = run(settings(server), tmp_path / "out", retry=True)
        asked = [path for path, _ in server.log[before:] if "/segments/" in path]
        assert len(asked) == 2 and report.may_work_later == 0
    assert kept_pages(tmp_path / "out") == {page.url for page in pages}
    paths = (tmp_path / "out").glob(".collect/pages/*/rows.parquet")
    assert sum(pq.read_metadata(path).num_rows for path in paths) == len(pages)  # none twice


def test_a_server_that_is_gone_ends_the_command_and_the_next_goes_on(tmp_path):
    between = [CrawledPage(f"http://x.ke/{n}", random.Random(n).randbytes(60_000).hex()) for n in range(8)]
    pages = [crawled for n in range(8) for crawled in (swahili(n), between[n])]  # no neighbours
    write_crawl(tmp_path, NEW, pages, filler=3000)

    def fault(path, wanted, before):  # it goes when the index has been read
        return 503 if "/segments/" in path or ("paths.gz" in path and before) else None

    with CrawlServer(tmp_path, fault) as server:
        with pytest.raises(MellaError, match=r"does not answer \(busy: .*503"):
            run(settings(server), tmp_path / "out")
        server.fault, before = lambda *request: None, len(server.log)
        run(settings(server), tmp_path / "out")
        assert not any("cc-index/" in path for path, _ in server.log[before:])  # the selection is kept
        assert len(kept_pages(tmp_path / "out")) == 8
        server.fault = lambda path, *_: 503 if "part-" in path else None
        with pytest.raises(MellaError, match="None of the 2 files .*part-0.*503.*status.commoncrawl.org"):
            run(settings(server, languages=("sw",)), tmp_path / "other")
        with pytest.raises(MellaError, match="no crawl CC-MAIN-2031-01"):
            run(settings(server, crawls=("CC-MAIN-2031-01",)), tmp_path / "none")
    shutil.rmtree(tmp_path / "cc-index")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"crawls": ("CC-MAIN-2026",)}, "not a crawl"), ({"tlds": ("k e",)}, "top-level domain"),
        ({"rate": 0}, "above 0"),
        ({"sites": ("https://example.org/",)}, "host name"), ({"base": "/mnt/crawl"}, "does not begin"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(changes, says):
    good = CrawlSettings((NEW,), ("sw",), "agent")
    with pytest.raises(MellaError, match=says):
        replace(good, **changes)


def test_the_dry_run_counts_or_estimates(tmp_path):
    pages = [swahili(n, f"s{n % 37}.{('ke', 'com', 'org', 'de')[n % 4]}") for n in range(400)]
    write_crawl(tmp_path, NEW, pages, filler=5_600, parts=3, row_group=200)
    sizes = sum(path.stat().st_size for path in tmp_path.rglob("*.warc.gz"))
    with CrawlServer(tmp_path) as server:
        exact = estimate(settings(server), sample=1000, progress=False)
        assert exact.pages == exact.pages_low == exact.pages_high == 400 and exact.groups == exact.sampled
        assert 0.98 * sizes < exact.page_bytes < sizes and exact.rows == 6_000 and exact.files == 3
        asked = len(server.log)
        rough = estimate(settings(server), sample=16, progress=False)
        assert rough.sampled == 16 and rough.pages_low <= 400 <= rough.pages_high
        assert len(server.log) - asked < asked
        report = run(settings(server), tmp_path / "out")
        counts = report.stages["index"].counts
        assert counts["kept"] == 400 and counts["index_requests"] <= exact.index_requests
        assert counts["index_bytes"] <= exact.index_bytes + 3 * (1 << 16)
        done = CliRunner().invoke(app, [
            "collect", "--common-crawl", NEW, "--languages", "sw", "--contact", "test@example.org",
            "--crawl-base", server.base,
            "--requests-per-second", "5000", "--out", str(tmp_path / "none"), "--dry-run", "--tlds", "ke",
        ])  # fmt: skip
        assert done.exit_code == 0 and "100, counted" in done.output and "hours" in done.output, done.output
    assert not (tmp_path / "none").exists()


def test_the_interval_of_an_estimate_holds_its_share():
    """Simulated: 32 of 400 row groups, with few pages each; the total is within 95 times in a hundred."""
    draw = np.random.default_rng(7)
    hits = 0
    for counts in draw.poisson(1.2, (1000, 400)):
        _, low, high = extrapolate(draw.choice(counts, 32, replace=False).tolist(), 400)
        hits += low <= counts.sum() <= high
    assert 925 <= hits <= 975


def test_no_crawl_without_a_contact(tmp_path):
    command = ["collect", "--common-crawl", NEW, "--languages", "sw", "--out", str(tmp_path / "out"), "--texts-only"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1 and "--contact" in str(done.exception)
    done = CliRunner().invoke(app, [*command, "--dry-run"])
    assert done.exit_code == 1 and "--contact" in str(done.exception)


@pytest.mark.parametrize(
    ("label", "code"),
    [("swa", "sw"), ("yor", "yo"), ("ces", "cs"), ("srp", "sr"), ("tha", "th"), ("nob", "no"), ("nor", "no"),
     ("nno", "nn"), ("tgl", "fil"), ("zho", "zh"), ("eng", "en"), ("chr", "chr"), ("", None)],
)  # fmt: skip
def test_labels_of_the_index_are_our_languages(label, code):
    """By ISO 639-3; written Norwegian is Bokmål unless it says Nynorsk."""
    assert language_of(label) == code


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 200_000), st.integers(1, 90_000)), max_size=60))
def test_merged_ranges_hold_every_record_once(places):
    rows = [
        {"warc_filename": str(file), "warc_record_offset": at, "warc_record_length": length}
        for file, at, length in sorted({(file, at): (file, at, length) for file, at, length in places}.values())
    ]
    ranges = list(merge(rows))
    assert [row for wanted in ranges for row in wanted.rows] == rows
    for wanted in ranges:
        ends = [row["warc_record_offset"] + row["warc_record_length"] for row in wanted.rows]
        assert {row["warc_filename"] for row in wanted.rows} == {wanted.file}
        assert wanted.start == wanted.rows[0]["warc_record_offset"] and wanted.start + wanted.length == max(ends)
    for one, other in pairwise(ranges):
        apart = other.file != one.file or other.start - (one.start + one.length) > GAP
        assert apart or other.start + other.length - one.start > 8 << 20


def _pass(arguments: tuple[str, int]) -> list[float]:
    turnstile, moments = Turnstile(arguments[0], 200.0), []
    for _ in range(arguments[1]):
        turnstile.take()
        moments.append(time())
    return moments


def test_processes_share_one_rate(tmp_path):
    place = str(tmp_path / "turnstile")
    with ProcessPoolExecutor(2) as pool:
        moments = sorted(sum(pool.map(_pass, [(place, 20), (place, 20)]), []))
    assert moments[-1] - moments[0] >= 39 / 200 - 0.02  # never faster than the rate; a busy machine may be slower
    Turnstile(place, 200.0).pause(0.3)
    before = time()
    Turnstile(place, 200.0).take()
    assert time() - before >= 0.28
