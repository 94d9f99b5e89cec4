"""Real pages on a real server become a dataset that load_dataset opens; every step can be interrupted and counted."""

import html
import json
import random
import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from hostile_server import HostileServer, jpeg, with_etag
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.cluster import cluster_executor
from mella_hf.errors import MellaError
from mella_hf.funnel import dropped_examples, funnel_lines
from mella_hf.know.collect import CollectSettings, collect
from mella_hf.know.fetching.download import Limits
from mella_hf.know.fetching.settings import FetchSettings
from mella_hf.know.filter import FilterSettings
from mella_hf.know.funnel import funnel_steps
from mella_hf.know.images import ImageSettings
from mella_hf.know.pages.sources import folder_shards, read_url_list, warc_shards

LANGUAGES = ("ar", "cs", "hu", "ko", "ru", "sr", "th", "vi")
# Page -> what a reader sees to be its native pictures: the least number of pairs that must arrive.
PAGES = {
    "handbook/ar-MA/sect.release-lifecycle.html": ("ar", 2),
    "handbook/cs-CZ/sect.release-lifecycle.html": ("cs", 2),
    "libreoffice-help-hu/hu/text/sdraw/guide/combine_etc.html": ("hu", 3),
    "libreoffice-help-ko/ko/text/sdraw/guide/combine_etc.html": ("ko", 3),
    "libreoffice-help-ru/ru/text/sdraw/guide/combine_etc.html": ("ru", 3),
    "libreoffice-help-vi/vi/text/sdraw/guide/combine_etc.html": ("vi", 3),
    "wesnoth/manual.sr.html": ("sr", 3),
    "constructed-thai-page/page.html": ("th", 5),
}
THAI = ("ชิงช้าสวรรค์", "ปราสาทญี่ปุ่น", "ภูเขาไฟ", "ยีราฟ", "มัสยิด", "จักรยาน", "รถไฟฟ้าโมโนเรล", "หม้อหุงข้าวไฟฟ้า")
KEEP_SMALL = ImageSettings(min_side=100, nsfw_threshold=None, find_faces=False)  # the manuals' drawings are 125 px high


def constructed_thai_page(folder: Path) -> Path:
    """A page of drawings with Thai alt-texts, since no package has such pages. Names: CLDR 41, annotations/th.xml."""
    folder.mkdir()
    images = []
    for number, name in enumerate(THAI):
        rng = random.Random(number)
        image = Image.new("RGB", (200, 160), "white")
        pen = ImageDraw.Draw(image)
        for _ in range(8):
            x, y = rng.randrange(140), rng.randrange(100)
            box = (x, y, x + rng.randrange(20, 60), y + rng.randrange(20, 60))
            rng.choice((pen.ellipse, pen.rectangle))(box, fill=tuple(rng.randrange(256) for _ in range(3)))
        image.save(folder / f"{number}.png")
        images.append(f'<figure><img data-src="{number}.png" src="data:," alt="{html.escape(name)}"></figure>')
    page = f'<html lang="th"><title>Constructed Thai page of drawings</title><h1>ภาพวาด</h1>{"".join(images)}</html>'
    (folder / "page.html").write_bytes(page.encode("cp874"))
    return folder


@pytest.fixture
def web(serve, handbook, helps, wesnoth, tmp_path) -> str:
    folders = {name: [root, helps["libreoffice-help-common"]] for name, root in helps.items()}
    thai = constructed_thai_page(tmp_path / "thai")
    return serve({**folders, "handbook": [handbook], "wesnoth": [wesnoth], "constructed-thai-page": [thai]})


def settings(**changes) -> CollectSettings:
    patient = Limits(connect=600, response=600, read=600, total=600)
    polite = FetchSettings("test@example.org", delay=0, per_host=8, allow_private=True, limits=patient)
    return CollectSettings(FilterSettings(LANGUAGES), polite, KEEP_SMALL, test_size=2, **changes)


def test_real_pages_become_a_dataset(web, tmp_path):
    from datasets import load_dataset

    urls = [f"{web}/{page}" for page in PAGES]
    report = collect(urls, tmp_path / "out", settings(), workers=0, progress=False)
    lines = "\n".join(funnel_lines(funnel_steps(report.stages, report.build)))
    for page, (language, least) in PAGES.items():
        splits = load_dataset("mella", language, data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
        rows = [row for split in splits.values() for row in split]
        assert len(rows) >= least, f"{language}: {len(rows)}\n{lines}"
        assert all(row["page_url"] == f"{web}/{page}" for row in rows)
        assert all(row["image"].size == (row["width"], row["height"]) for row in rows)
        assert {row["source"] for row in rows} == {"know"} and {row["domain"] for row in rows} == {"127.0.0.1"}
    texts = {row["text"] for split in splits.values() for row in split}  # of the last, which is Thai
    assert all("\u0e00" <= text[0] <= "\u0e7f" for text in texts)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Images fetched" in page and "data:image/jpeg" in page and "<script" not in page
    again = collect(urls, tmp_path / "out", settings(), workers=0, progress=False)
    assert not sum(stage.ran for stage in again.stages.values()) and again.build.ran == 0


def test_what_went_is_counted_at_every_step(handbook, tmp_path):
    shutil.copytree(handbook / "ar-MA", tmp_path / "pages", ignore=shutil.ignore_patterns("*.png", "*.svg", "Common*"))
    shards = folder_shards(tmp_path / "pages", "http://handbook.example/ar")
    only_texts = CollectSettings(FilterSettings(("ar",)))
    report = collect(shards, tmp_path / "out", only_texts, workers=0, progress=False)
    pages, images, texts = funnel_steps(report.stages, report.build)
    assert pages.kept == len(list((tmp_path / "pages").rglob("*.html")))
    assert images.entered == report.stages["pages"].counts["images"] and texts.entered == images.kept
    native = set()  # BeautifulSoup and the Arabic block of Unicode know nothing of the filter
    for path in (tmp_path / "pages").rglob("*.html"):
        for image in BeautifulSoup(path.read_bytes(), "xml").find_all("img", alt=re.compile("[\u0600-\u06ff]")):
            native.add((image["src"], image["alt"]))
    assert texts.kept == texts.languages["ar"]["kept"] == len(native)
    rejects = [
        json.loads(line) for path in (tmp_path / "out/.collect/alt_texts/rejects").glob("*") for line in open(path)
    ]
    assert len(rejects) == sum(texts.dropped.values())
    sheet = next(group for group in dropped_examples(report.stages) if group["reason"] == "boilerplate")
    shown = [example["text"] for example in sheet["examples"]]
    assert sheet["total"] == texts.dropped["boilerplate"] and len(set(shown)) == len(shown) > 1
    assert {"The Cinnamon desktop", "Documentation Site", "1"} <= {reject["alt"] for reject in rejects}


def test_neither_the_number_of_workers_nor_a_cluster_changes_anything(handbook, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="needs mella_hf[cluster]")
    monkeypatch.setattr("mella_hf.know.pages.sources.FOLDER_PAGES", 50)
    shards = folder_shards(handbook / "cs-CZ", "http://handbook.example/cs")
    only_texts = CollectSettings(FilterSettings(("cs",)))
    found = []
    for name in ("one", "two", "cluster"):
        with ExitStack() as stack:
            executor = None
            if name == "cluster":
                options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
                cluster = stack.enter_context(distributed.LocalCluster(**options))
                executor = stack.enter_context(cluster_executor(cluster.scheduler_address))
            workers = {"one": 0, "two": 2, "cluster": None}[name]
            out = tmp_path / name
            report = collect(shards, out, only_texts, workers=workers, executor=executor, progress=False)
        files = sorted([*out.glob(".collect/*/*/rows.parquet"), out / "report.json"])
        found.append([(path.relative_to(out), path.read_bytes()) for path in files])
        assert len(report.stages["pages"].outputs) > 2 and report.set_aside == []
    assert found[0] == found[1] == found[2]


def test_the_command_names_what_is_missing(tmp_path):
    (tmp_path / "urls.txt").write_text("https://example.org/\n")
    (tmp_path / "p.html").write_text("<img src=a.jpg alt=x>")
    run = CliRunner().invoke
    base = ["collect", "--languages", "ar", "--out", str(tmp_path / "out")]
    for arguments, message in [
        ([], "Give one source"),
        (["a.warc", "--urls", "b"], "Give one source"),
        (["--urls", str(tmp_path / "urls.txt")], "--contact"),
        (["--urls", str(tmp_path / "urls.txt"), "--texts-only"], "--contact"),
        (["--pages", str(tmp_path), "--texts-only"], "--base-url"),
        (["--pages", str(tmp_path / "no"), "--base-url", "http://x", "--texts-only"], "There is no folder"),
        (["a.warc", "--texts-only", "--languages", ""], "No language is named"),
        (["--pages", str(tmp_path), "--base-url", "http://x", "--texts-only", "--out", __file__], "is a file"),
        (["--pages", str(tmp_path), "--base-url", "ftp://x", "--texts-only"], "not an http or https URL"),
        (["none.warc", "--texts-only"], "no WARC file"),
        (["a.warc", "--contact", "nobody"], "neither an e-mail address nor a URL"),
    ]:
        result = run(app, [*base, *arguments])
        assert isinstance(result.exception, MellaError) and message in str(result.exception), arguments


def test_the_command_refreshes_by_etag_and_says_when_nothing_is_kept(tmp_path):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.html").write_text('<html lang="cs"><img src="a.jpg" alt="Karlův most">')
    with HostileServer({"/a.jpg": with_etag(jpeg(1), '"one"')}) as server:
        base = ["collect", "--pages", str(tmp_path / "pages"), "--base-url", server.url("/"), "--languages", "cs"]
        base += [
            "--contact",
            "test@example.org",
            "--allow-private",
            "127.0.0.1",
            "--workers",
            "0",
            "--out",
            str(tmp_path / "out"),
        ]
        first = CliRunner().invoke(app, base)
        again = CliRunner().invoke(app, [*base, "--refresh", "2999-01-01"])
        for result in (first, again):
            assert result.exit_code == 0 and "In the dataset: 1 of 1 pairs" in result.output, result.output
        asked = server.asked("/a.jpg")
        assert [request.headers.get("if-none-match") for request in asked] == [None, '"one"']
        nothing = CliRunner().invoke(app, [*base, "--min-side", "300"])  # it has 240
        assert isinstance(nothing.exception, MellaError) and "no dataset was written" in str(nothing.exception)
        assert "image_too_small 1" in nothing.output and len(server.asked("/a.jpg")) == 2


def test_lists_of_urls_are_read_strictly(tmp_path):
    path = tmp_path / "urls.txt"
    path.write_text("# pages\nhttps://a.example/x\n\n https://a.example/x#part \nhttps://b.example\n")
    assert read_url_list(path) == ["https://a.example/x", "https://b.example/"]
    path.write_text("https://a.example/\nb.example/page\n")
    with pytest.raises(MellaError, match="line 2: 'b.example/page' is not an http"):
        read_url_list(path)
    path.write_text("\n")
    with pytest.raises(MellaError, match="holds no URL"):
        read_url_list(path)
    (tmp_path / "a.warc").write_bytes(b"x")
    with pytest.raises(MellaError, match="given twice"):
        warc_shards([tmp_path / "a.warc", tmp_path / "a.warc"])
