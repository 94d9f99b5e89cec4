"""Every signal against machine learning, in every place where it may stand: the table of docs/opt_outs.md."""

import io
import re
import struct
import zlib
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_server import HOSTS, HostileServer, jpeg, reply
from PIL import Image

from mella_hf.errors import MellaError
from mella_hf.images.image_optouts import image_opt_outs
from mella_hf.images.opening import Rejected
from mella_hf.know.fetching.download import Response
from mella_hf.know.fetching.fetch import fetch
from mella_hf.know.fetching.robots import Policy, Rules, rules_text
from mella_hf.know.fetching.robots_txt import our_group
from mella_hf.know.fetching.settings import FetchSettings
from mella_hf.know.image_check import ImageSettings, check_image
from mella_hf.know.images import license_flags
from mella_hf.know.optouts import SIGNALS, named_opt_outs, opt_outs, robots_directives, usage_opt_outs
from mella_hf.know.pages.extract import page_candidates
from mella_hf.know.pages.warc import Page, read_warc
from mella_hf.know.records import REQUESTS, ROWS

DOCS = Path(__file__).parents[2] / "docs/opt_outs.md"

# (header lines, the signals in them)
X_ROBOTS_TAG = [
    (["max-image-preview:none, max-snippet:0, nosnippet, noarchive, nocache, notranslate"], []),
    (["max-image-preview: none noimageai"], ["noimageai"]),
    (["all, noai"], ["noai"]),  # the stricter one
    (["index", "noindex", "index"], ["noindex"]),
    (["max-image-preview:none, none"], ["none"]),
    (["max-video-preview : -1 noai"], ["noai"]),
    (["max-image-preview:, noai"], ["noai"]),
    (["noai, noimageai"], ["noai", "noimageai"]),
    (["NoIndex"], ["noindex"]),
    (["noml"], ["noml"]),
    (["none"], ["none"]),
    (["googlebot: noindex, nofollow"], []),
    (["googlebot: nofollow", "noai"], ["noai"]),
    (["noai", "googlebot: nofollow"], ["noai"]),
    (["mella_hf: noindex"], ["noindex"]),
    (["mella_hf : noindex"], ["noindex"]),
    (["otherbot: noindex, mella_hf: noai"], ["noai"]),
    (["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], ["noai"]),
    (["unavailable_after: Wed, 25 Jun 2030 15:00:00 GMT, noimageai"], ["noimageai"]),
    (["unavailable_after: 2030-06-25T15:00:00+01:00; noai"], ["noai"]),
    (["max-image-preview: large, max-snippet:-1, noimageindex"], ["noimageindex"]),
    (["noai; noimageai"], ["noai", "noimageai"]),
    (["nofollow noai"], ["noai"]),
    (["nofollow,noai,"], ["noai"]),
    (["index, follow, all"], []),
    ([""], []),
    (["NOAI"], ["noai"]),
    (["\t noai \t,\t"], ["noai"]),
    (['"noai", "noimageai"'], ["noai", "noimageai"]),
    (["no-ai, no_image_ai, no-index"], ["noai", "noimageai", "noindex"]),
    (["robots: noai"], ["noai"]),
    (["googlebot: all", "bingbot: all", "*: noai"], ["noai"]),
    (["Mella_HF:noai"], ["noai"]),
    (["mella_hf_2: noai"], []),
    (["unavailable_after: 2030-06-25, max-snippet: 0, max-video-preview:-1, noml"], ["noml"]),
    (["noaim, xnoai, noai2"], []),
    (["noindex" + ", x" * 20_000 + ", noai"], ["noai", "noindex"]),
]


@pytest.mark.parametrize(("values", "expected"), X_ROBOTS_TAG)
def test_directives(values, expected):
    assert opt_outs(robots_directives(values)) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('<meta name="robots" content="noai">', ["noai"]),
        ('<META NAME=ROBOTS CONTENT="NOFOLLOW NOIMAGEAI">', ["noimageai"]),
        ('<meta name="mella_hf" content="noindex">', ["noindex"]),
        ('<meta name="otherbot" content="noindex">', []),
        ('<meta http-equiv="X-Robots-Tag" content="noai">', ["noai"]),
        ('<meta name="tdm-reservation" content="1">', ["tdm"]),
        ('<meta name="tdm-reservation" content="0">', []),
        ('<meta name=" Robots " content=" NoAI ">', ["noai"]),
        ('<meta name="robots, otherbot" content="noai">', ["noai"]),
        ('<meta property="robots" content="noimageai">', ["noimageai"]),
        ('<meta name=robots content="index"><meta name=ROBOTS content="noml">', ["noml"]),
        ("<meta name='TDM-Reservation' content=' 1 '>", ["tdm"]),
        ('<meta http-equiv="Content-Usage" content="train-ai=n">', ["content_usage"]),
        ('<meta name="content-signal" content="ai-train=no">', ["content_signal"]),
        ('</head><body><p>x<meta name="robots" content="noai">', ["noai"]),
        ('<!-- <meta name="robots" content="noai"> -->', []),
        ('<template><meta name="robots" content="noai"></template>', []),
    ],
)
def test_meta_tags(head, expected):
    page = Page("http://a.example/", f"<html><head>{head}<body><img src=a.jpg alt=Kůň>".encode())
    (row,) = page_candidates(page, Counter())
    assert opt_outs(row.robots) == expected


# What an image's server says beside it -> why it is not kept; None where it is.
IMAGES = {
    "/noai.jpg": ({"X_Robots_Tag": "noai"}, "reserved_noai"),
    "/noml.jpg": ({"X_Robots_Tag": "googlebot: all, *: noml"}, "reserved_noml"),
    "/tdm.jpg": ({"TDM_Reservation": "1"}, "reserved_tdm"),
    "/usage.jpg": ({"Content_Usage": "train-ai=n"}, "reserved_content_usage"),
    "/bots.jpg": ({"Content_Usage": "bots=n, search=y"}, "reserved_content_usage"),
    "/exception.jpg": ({"Content_Usage": "bots=n, train-ai=y"}, None),
    "/search.jpg": ({"Content_Usage": "search=n"}, None),
    "/signal.jpg": ({"Content_Signal": "search=yes, ai-train=no"}, "reserved_content_signal"),
    "/quoted.jpg": ({"Content_Usage": 'note="a, train-ai=y;b", Train-AI = "N" ; q=1'}, "reserved_content_usage"),
    "/quoted2.jpg": ({"Content_Usage": 'train-ai=n, note="train-ai=y, train-ai=y'}, "reserved_content_usage"),
    "/last.jpg": ({"Content_Usage": "train-ai=n, train-ai=y"}, None),  # RFC 9651, 3.2
    "/older.jpg": ({"Content_Usage": "search=y, all=n"}, "reserved_content_usage"),
    "/oldest.jpg": ({"Content_Usage": "genai=n"}, "reserved_content_usage"),
    "/use.jpg": ({"Content_Usage": "ai-use=n"}, None),
    "/parameter.jpg": ({"Content_Usage": "search=y;train-ai=n"}, None),
    "/no.jpg": ({"Content_Signal": "AI-Train = No"}, "reserved_content_signal"),
    "/input.jpg": ({"Content_Signal": "ai-input=no, search=no"}, None),
    "/tdm_list.jpg": ({"TDM_Reservation": '0, "1"'}, "reserved_tdm"),
    "/tdm_no.jpg": ({"TDM_Reservation": "0"}, None),
    "/tdm_eleven.jpg": ({"TDM_Reservation": "11"}, None),
    "/signal_yes.jpg": ({"Content_Signal": "search=no, ai-train=yes"}, None),
}


def fetched(tmp_path: Path, urls: dict[str, str | None], **options) -> dict[str, dict]:
    """The rows of URLs, each with the page that shows it."""
    folder = tmp_path / "run"
    folder.mkdir()
    table = pa.table({"url": list(urls), "referrer": list(urls.values())}, schema=REQUESTS)
    pq.write_table(table, folder / "requests.parquet")
    polite = FetchSettings(
        "t@example.org", allow_private=("127.0.0.0/8",), delay=0, per_host=8, attempts=1, passes=1, **options
    )
    report = fetch([folder / "requests.parquet"], folder / "out", polite, workers=0, progress=False)
    rows = [row for out in report.outputs for row in pq.read_table(out / ROWS).to_pylist()]
    return {row["url"]: row for row in rows} | {"counts": report.counts}


def test_headers_of_an_image(tmp_path):
    routes = {path: reply(jpeg(3), **headers) for path, (headers, _) in IMAGES.items()}
    with HostileServer(routes) as server:
        rows = fetched(tmp_path, {server.url(path): None for path in IMAGES})
        assert {path: rows[server.url(path)]["reason"] for path in IMAGES} == {p: why for p, (_, why) in IMAGES.items()}


def several(body: bytes, *lines: bytes):
    """A route with several header lines of one name."""

    async def answer(request, writer):
        head = b"\r\n".join((b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), b"Connection: close", *lines))
        writer.write(head + b"\r\n\r\n" + body)
        await writer.drain()

    return answer


LINES = {  # two lines of one header, of which the second reserves
    "reserved_content_usage": (b"Content-Usage: search=y", b"content-usage: train-ai=n"),
    "reserved_content_signal": (b"Content-Signal: search=yes", b"CONTENT-SIGNAL: ai-train=no"),
    "reserved_tdm": (b"TDM-Reservation: 0", b"tdm-reservation: 1"),
    "reserved_noimageai": (b"X-Robots-Tag: googlebot: all", b"x-robots-tag: noimageai"),
}


def test_several_lines_of_one_header(tmp_path):
    with HostileServer({f"/{reason}": several(jpeg(3), *lines) for reason, lines in LINES.items()}) as server:
        rows = fetched(tmp_path, {server.url(f"/{reason}"): None for reason in LINES})
        assert [rows[server.url(f"/{reason}")]["reason"] for reason in LINES] == list(LINES)


def test_several_lines_of_one_header_in_an_archive(tmp_path):
    from test_warc import record

    pages = [record(n, headers=b"\r\n".join(lines) + b"\r\n") for n, lines in enumerate(LINES.values())]
    (tmp_path / "a.warc").write_bytes(b"".join(pages))
    found = [opt_outs(robots_directives(page.robots)) for page in read_warc(tmp_path / "a.warc")]
    assert [[f"reserved_{name}" for name in names] for names in found] == [[reason] for reason in LINES]


def test_one_signal_is_ignored_and_counted_and_the_others_hold(tmp_path):
    routes = {path: reply(jpeg(3), **headers) for path, (headers, _) in IMAGES.items()}
    with HostileServer(routes) as server:
        rows = fetched(tmp_path, {server.url(path): None for path in IMAGES}, ignored_opt_outs=("tdm",))
        assert rows[server.url("/tdm.jpg")]["reason"] is None and rows["counts"]["overridden_reserved_tdm"] == 2
        assert rows[server.url("/noai.jpg")]["reason"] == "reserved_noai"


TDMREP = b'[{"location": "/p%68otos/", "tdm-reservation": 1}]'


def test_files_of_the_images_site_and_of_the_pages(tmp_path):
    images, page_host, quiet = HOSTS[:3]
    routes = {f"/photos/{n}.jpg": reply(jpeg(n)) for n in range(4)} | {
        f"{page_host} /.well-known/tdmrep.json": reply(TDMREP),
        f"{images} /ai.txt": reply(b"User-Agent: *\nDisallow: *.png\nDisallow: /photos/1.jpg\n"),
        f"{images} /robots.txt": reply(b"User-agent: *\nContent-Usage: /photos/2 train-ai=n\nAllow: /\n"),
    }
    with HostileServer(routes) as server:
        urls = {server.url(f"/photos/{n}.jpg", images): server.url("/page", quiet) for n in range(3)}
        urls[server.url("/photos/3.jpg", images)] = server.url("/photos/page.html", page_host)
        rows = fetched(tmp_path, urls)
        assert [rows[url]["reason"] for url in urls] == [
            None,
            "reserved_ai_txt",
            "reserved_content_usage",
            "reserved_tdm",
        ]


@pytest.mark.parametrize(
    ("robots", "path", "expected"),
    [
        ("User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /", "/a", ["content_signal"]),
        ("User-agent: *\nContent-Signal: search=yes, ai-train=yes\nAllow: /", "/a", []),
        ("User-agent: otherbot\nContent-Signal: ai-train=no\nDisallow: /x", "/a", []),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /open/ train-ai=y", "/open/a", []),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /open/ train-ai=y", "/a", ["content_usage"]),
        ("User-agent: *\nContent-Usage: search=y\nContent-Usage: train-ai=n", "/a", ["content_usage"]),
        ("User-agent: *\nContent-Usage: /a search=y\nContent-Usage: /a\ttrain-ai=n", "/a", ["content_usage"]),
        ("User-agent: *\nContent-Signal: /a ai-train=no", "/a", ["content_signal"]),
        ("User-agent: *\nContent-Signal: /b ai-train=no", "/a", []),
        ("USER-AGENT:*\nCONTENT-SIGNAL:SEARCH=YES,AI-TRAIN=NO", "/a", ["content_signal"]),
        ("User-agent: x\nUser-agent: mella_hf\nAllow: /\ncontent-usage : train-ai = n # no", "/a", ["content_usage"]),
    ],
)
def test_lines_of_robots_txt(robots, path, expected):
    assert Rules(Policy(robots, "")).opt_outs(f"https://a.example{path}") == expected


@pytest.mark.parametrize(("said", "path"), [("/%7Eann/", "/~ann/a"), ("/~ann/", "/%7Eann/a"), ("/a%2fb", "/a%2Fb")])
def test_paths_are_compared_decoded(said, path):
    assert Rules(Policy("", f'[{{"location": "{said}", "tdm-reservation": 1}}]')).is_reserved(
        f"https://a.example{path}"
    )


@pytest.mark.parametrize(
    ("file", "is_reserved"),
    [
        ('[{"location": "/", "tdm-reservation": 1}]', True),
        ('{"location": "/", "tdm-reservation": 1}', True),
        ('[{"location": "/", "tdm-reservation": "1"}]', True),
        ('[{"location": "/", "tdm-reservation": true}]', True),
        ('[{"location": "/", "tdm-reservation": 1.0}]', True),
        ('[{"Location": "/", "TDM-Reservation": 1}]', True),
        ('[{"location": ["/x", "/a"], "tdm-reservation": 1}]', True),
        ('[{"location": "a", "tdm-reservation": 1}]', True),
        ('[{"location": " /* ", "tdm-reservation": 1, "tdm-policy": "https://p.example/"}]', True),
        ('[{"location": "https://a.example/a", "tdm-reservation": 1}]', True),
        ('[{"location": "https://a.example", "tdm-reservation": 1}]', True),
        ('[{"location": "/a", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}]', False),  # 6.3.3
        ('[{"location": "/A", "tdm-reservation": 1}]', False),
        ('[{"location": "/", "tdm-reservation": 10}]', False),
        ('[{"location": "/", "tdm-reservation": null}]', False),
        ('[{"tdm-reservation": 1}]', False),
    ],
)
def test_files_of_tdmrep(file, is_reserved):
    assert Rules(Policy("", file)).is_reserved("https://a.example/a/1.jpg") is is_reserved


@pytest.mark.parametrize(
    ("file", "is_reserved"),
    [
        ('\ufeff[{"location": "/", "tdm-reservation": 1}]', True),
        ('[{"location": "/", "tdm-reservation": 1},]', True),  # no JSON, by a comma
        ("[{'location': '/', 'tdm-reservation': '1'}]", True),
        ('// ours\n[{"location": "/a", "tdm-reservation" : 1}', True),
        ('[{"location": "/", "tdm-reservation": 0},]', False),
        ("<html>tdm-reservation: 1</html>", True),  # of what cannot be read the stricter reading
        ("<html>Not found</html>", False),
        ('[{"location": "/a/*.jpg$", "tdm-reservation": 1}]', True),
        ('[{"location": "/*/1.png", "tdm-reservation": 1}]', False),
        ('[{"location": "", "tdm-reservation": 1}]', True),  # RFC 9309: an empty path; here the whole site
        (
            '[{"location": "/", "tdm-policy": "https://a.example/policy.json"}]',
            False,
        ),  # a policy alone reserves nothing
        ('[{"location": "/%61/", "tdm-reservation": 1}]', True),
        ("[" * 100_000, False),
    ],
)
def test_files_of_tdmrep_as_people_write_them(file, is_reserved):
    text = rules_text(Response(status=200, body=file.encode()))
    assert Rules(Policy("", text)).is_reserved("https://a.example/a/1.jpg") is is_reserved


@pytest.mark.parametrize(
    ("file", "path", "is_reserved"),
    [
        ("# Spawning AI\n\nUser-Agent: *\nDisallow: *.jpg\nDisallow: *.png\nAllow: *.txt\n", "/a/1.jpg", True),
        ("User-Agent: *\nDisallow: *.jpg", "/a/1.JPG", True),  # a kind of file, in whatever letters
        ("User-Agent: *\nDisallow: *.jpg", "/a.jpg?w=300", True),
        ("User-Agent: *\nDisallow: *.jpg", "/a.jpeg", False),
        ("User-Agent: *\nDisallow: /\nDisallow: *", "/a", True),
        ("User-Agent: *\nDisallow:", "/a.jpg", False),
        ("User-Agent: *\nDisallow: /\nAllow: /open/", "/open/a.jpg", False),
        ("User-Agent: otherbot\nDisallow: /", "/a.jpg", False),
        ("User-Agent: *\nAllow: /\nUser-Agent: mella_hf\nDisallow: *.jpg", "/a.jpg", True),
        ("Disallow: *.jpg", "/a.jpg", True),  # for nobody in particular
        ("<html><p>User-Agent: none. Disallow: /</html>", "/a.jpg", False),
    ],
)
def test_files_of_spawning(file, path, is_reserved):
    assert Rules(Policy("", "", file)).opt_outs(f"https://a.example{path}") == (["ai_txt"] if is_reserved else [])


@pytest.mark.parametrize(
    ("said", "is_reserved"),
    [
        ("train-ai=n;q=1, search=y", True),
        ("search=y, train-ai=?0", True),
        ("train-ai", False),  # true, as a dictionary of RFC 9651 has it
        ("train-ai=y, bots=n", False),
        ("bots=n, search=y", True),
        ("train-ai=(n)", False),  # a list: no preference
        ("train-ai=n,, search=y", True),
        ("\ttrain-ai=n\t", True),
        ("train-genai=n, train-ai=y", True),  # a part of it
        ("x-train-ai=n", False),
        ('a="\\", train-ai=n"', False),  # within quotes
        ('a="\\"", train-ai=n', True),
    ],
)
def test_preferences_of_aipref(said, is_reserved):
    assert usage_opt_outs([said], ()) == (["content_usage"] if is_reserved else [])


# RFC 9309, 2.2.1 and 2.2.3, and what Google documents beyond it: (robots.txt, path, whether it may be fetched)
ROBOTS = [
    ("User-agent: mella_hf\nContent-Signal: search=yes\nUser-agent: *\nDisallow: /x", "/x", False),
    ("User-agent: mella_hf\nCrawl-delay: 3\nSitemap: http://a/s\nUser-agent: b\nDisallow: /x", "/x", False),
    ("User-agent: mella_hf/1.0\nDisallow: /x", "/x", False),
    ("User-agent: MELLA_HF\nDisallow: /x", "/x", False),
    ("User-agent: mella_hf2\nDisallow: /x", "/x", False),  # a product token has no digits
    ("User-agent: mella\nDisallow: /x", "/x", True),
    ("User-agent: *\nDisallow: /\nUser-agent: mella_hf\nDisallow:", "/x", True),
    (
        "User-agent: mella_hf\nDisallow: /a\n\nUser-agent: b\nDisallow: /\n\nUser-agent: mella_hf\nDisallow: /x",
        "/x",
        False,
    ),
    ("user-agent: *\rdisallow: /x\r", "/x", False),
    ("\ufeffUser-agent: *\nDisallow: /x", "/x", False),
    ("User-agent: *\nDisalow: /x", "/x", False),
    ("User-agent *\nDisallow /x", "/x", False),
    ("User-agent\t*\ndisallow \t /x", "/x", False),
    ("Disallow: /x", "/x", True),
    ("User-agent: *\nDisallow: /x\nAllow: /x/open", "/x/open", True),
    ("User-agent: * # all\nDisallow: /x # not this", "/x", False),
]


@pytest.mark.parametrize(("robots", "path", "allowed"), ROBOTS)
def test_groups_of_robots_txt(robots, path, allowed):
    assert (Rules(Policy(robots, "")).refusal(f"https://a.example{path}") is None) is allowed


def test_a_long_robots_txt_is_read_as_far_as_it_must_be(tmp_path):
    long = b"User-agent: *\nDisallow: /photos/\n" + b"# filler\n" * 100_000
    routes = {"/photos/1.jpg": reply(jpeg(1)), "/open/1.jpg": reply(jpeg(1)), "/robots.txt": reply(long)}
    with HostileServer(routes | {f"{HOSTS[1]} /robots.txt": reply(b"", status=204)}) as server:
        urls = [server.url("/photos/1.jpg"), server.url("/open/1.jpg"), server.url("/photos/1.jpg", HOSTS[1])]
        rows = fetched(tmp_path, dict.fromkeys(urls))
        assert [rows[url]["reason"] for url in urls] == ["robots_disallow", None, None]


def test_a_list_of_groups_is_read_in_one_pass():
    group = our_group("User-agent: *\n" * 100_000 + "Disallow: /x\n" + "x" * 1_000_000)
    assert {path for _, path in group.rules} == {"/x"}


XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" '
    'plus:DataMining="http://ns.useplus.org/ldf/vocab/{}"/></rdf:RDF></x:xmpmeta>'
)


def picture(kind: str, xmp: str) -> bytes:
    image = Image.radial_gradient("L").resize((320, 240)).convert("RGB")
    out = io.BytesIO()
    if kind == "PNG, compressed":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp, zip=True)
        image.save(out, "PNG", pnginfo=info)
    else:
        image.save(out, kind, xmp=xmp.encode("utf-16-le" if kind == "WEBP" else "utf-8"))
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG, compressed", "WEBP"])
@pytest.mark.parametrize(
    ("value", "is_reserved"),
    [
        ("DMI-PROHIBITED", True),
        ("DMI-PROHIBITED-AIMLTRAINING", True),
        ("DMI-PROHIBITED-GENAIMLTRAINING", True),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", True),
        ("DMI-ALLOWED", False),
        ("DMI-UNSPECIFIED", False),
    ],
)
def test_data_mining_in_the_metadata_of_an_image(kind, value, is_reserved):
    data = picture(kind, XMP.format(value))
    assert image_opt_outs(data) == (["plus"] if is_reserved else [])
    if is_reserved:
        with pytest.raises(Rejected, match="reserved_plus"):
            check_image(data, ImageSettings())
        ignoring = check_image(data, ImageSettings(ignored_opt_outs=("plus",)))
        assert "reserved_plus" in ignoring.flags and not image_opt_outs(ignoring.data)


XMP_HEAD, PNG_HEAD = b"http://ns.adobe.com/xap/1.0/\0", b"XML:com.adobe.xmp\0"


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    data = jpeg(5)
    parts = [b"\xff%c" % marker + struct.pack(">H", len(body) + 2) + body for marker, body in segments]
    return data[:2] + b"".join(parts) + data[2:]


def extended(xmp: bytes, cut: int, order: int = 1) -> bytes:
    """A JPEG with extended XMP (Adobe XMP Specification 3, 1.1.3.1), its two pieces cut at a byte."""
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"0123456789ABCDEF" * 2 + struct.pack(">I", len(xmp))
    pieces = [(0xE1, head + struct.pack(">I", at) + part) for at, part in ((0, xmp[:cut]), (cut, xmp[cut:]))]
    return jpeg_with((0xE1, XMP_HEAD + b'<x:xmpmeta xmpNote:HasExtendedXMP="0"/>'), *pieces[::order])


def png_with(kind: bytes, body: bytes) -> bytes:
    data = picture("PNG", "")
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:33] + chunk + data[33:]


def gif_with(name: bytes, content: bytes, sub_blocks: bool) -> bytes:
    """A GIF with an application extension: in blocks of 255 bytes, or as XMP does, bare with a trailer that ends it."""
    out = io.BytesIO()
    Image.radial_gradient("L").resize((320, 240)).save(out, "GIF")
    data = out.getvalue()
    at = 13 + (3 << (data[10] & 7) + 1)
    parts = [content[n : n + 255] for n in range(0, len(content), 255)]
    body = b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
    bare = content + b"\1" + bytes(range(255, -1, -1)) + b"\0"
    return data[:at] + b"\x21\xff\x0b" + name + (body if sub_blocks else bare) + data[at:]


def hexadecimal(xmp: bytes) -> bytes:
    """A profile as ImageMagick writes it into a PNG's text."""
    digits = xmp.hex()
    lines = "\n".join(digits[n : n + 72] for n in range(0, len(digits), 72))
    return f"\nxmp\n{len(xmp):8}\n{lines}\n".encode()


PLACES = {
    "JPEG": lambda xmp: jpeg_with((0xE1, XMP_HEAD + xmp)),
    "JPEG, Photoshop's block": lambda xmp: jpeg_with((0xED, b"Photoshop 3.0\x008BIM\4\x24" + xmp)),
    "JPEG, extended": lambda xmp: extended(xmp, len(xmp)),
    "JPEG, extended and cut within the value": lambda xmp: extended(xmp, xmp.upper().find(b"P") + 5 + len(xmp) // 2),
    "PNG": lambda xmp: png_with(b"iTXt", PNG_HEAD + b"\0\0\0\0" + xmp),
    "PNG, compressed": lambda xmp: png_with(b"iTXt", PNG_HEAD + b"\1\0en\0x\0" + zlib.compress(xmp)),
    "PNG, tEXt": lambda xmp: png_with(b"tEXt", PNG_HEAD + xmp),
    "PNG, hexadecimal": lambda xmp: png_with(b"tEXt", b"Raw profile type xmp\0" + hexadecimal(xmp)),
    "PNG, hexadecimal and compressed": lambda xmp: png_with(
        b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(hexadecimal(xmp))
    ),
    "GIF": lambda xmp: gif_with(b"XMP DataXMP", xmp, False),
    "GIF, in blocks": lambda xmp: gif_with(b"XMP DataXMP", xmp, True),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_data_mining_in_every_place_and_encoding(place, encoding):
    """Padded, so that the value crosses the border of two blocks of a GIF."""
    for padding in (0, 30, 60, 90):
        for value, is_reserved in (("DMI-PROHIBITED", True), ("DMI-UNSPECIFIED", False)):
            data = PLACES[place]((" " * padding + XMP.format(value)).encode(encoding))
            assert image_opt_outs(data) == (["plus"] if is_reserved else [])


@pytest.mark.parametrize(
    "kind", ["WEBP", "AVIF", "TIFF tag of a JPEG", "TIFF tag of a PNG", "TIFF tag of a WebP", "HEIC"]
)
@pytest.mark.parametrize(
    "value", ["DMI-PROHIBITED", "dmi-prohibited-AIMLTRAINING", "DMI&#45;PROHIBITED", "DMI&#x2d;PROHIBITED"]
)
def test_data_mining_in_other_places(kind, value):
    xmp = XMP.format(value).encode()
    if kind == "HEIC":  # ISO/IEC 23008-12: an item of the type "mime", whose bytes stand in an mdat
        data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + struct.pack(">I", 8 + len(xmp)) + b"mdat" + xmp
        assert image_opt_outs(data) == ["plus"]
        return
    image = Image.radial_gradient("L").resize((320, 240)).convert("RGB")
    out = io.BytesIO()
    if kind.startswith("TIFF"):
        exif = Image.Exif()
        exif[700] = xmp  # XMLPacket
        image.save(out, {"JPEG": "JPEG", "PNG": "PNG", "WebP": "WEBP"}[kind.rpartition(" ")[2]], exif=exif)
    elif kind in Image.SAVE or (Image.init(), kind in Image.SAVE)[1]:
        image.save(out, kind, xmp=xmp)
    else:
        pytest.skip(f"This Pillow writes no {kind}.")
    with pytest.raises(Rejected, match="reserved_plus"):
        check_image(out.getvalue(), ImageSettings())


def test_extended_xmp_is_joined_wherever_it_is_cut():
    xmp = XMP.format("DMI-PROHIBITED-AIMLTRAINING").encode()
    for cut in range(1, len(xmp), 3):
        assert image_opt_outs(extended(xmp, cut)) == image_opt_outs(extended(xmp, cut, -1)) == ["plus"]


ELEMENT = "<plus:DataMining>{}</plus:DataMining>"
VOCABULARY = "http://ns.useplus.org/ldf/vocab/"


@pytest.mark.parametrize(
    ("xmp", "is_reserved"),
    [
        (ELEMENT.format(VOCABULARY + "DMI-PROHIBITED-SEECONSTRAINT"), True),
        (ELEMENT.format(VOCABULARY + "DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR"), True),
        (ELEMENT.format(VOCABULARY + "DMI-PROHIBITED-SEELINKEDRIGHTSEXPR"), True),
        (ELEMENT.format("DMI-PROHIBITED"), True),
        (ELEMENT.format(" dmi-prohibited\n"), True),
        ('<plus:DataMining rdf:resource="' + VOCABULARY + 'DMI-Prohibited"/>', True),
        ('<p:DataMining xmlns:p="http://ns.useplus.org/ldf/xmp/1.0/">DMI-PROHIBITED', True),  # not closed
        (ELEMENT.format(VOCABULARY + "DMI-ALLOWED") + ELEMENT.format(VOCABULARY + "DMI-PROHIBITED"), True),
        (ELEMENT.format(VOCABULARY + "DMI-ALLOWED"), False),
        (ELEMENT.format(VOCABULARY + "DMI-UNSPECIFIED"), False),
        (ELEMENT.format(""), False),
        ("<xmpRights:Marked>True</xmpRights:Marked>", False),
    ],
)
def test_values_and_forms_of_data_mining(xmp, is_reserved):
    """IPTC Photo Metadata 2023.1 lists the values; where two stand, the stricter one counts."""
    assert image_opt_outs(PLACES["JPEG"](xmp.encode())) == (["plus"] if is_reserved else [])


def test_content_credentials_of_other_formats_and_cut_within_their_name():
    box = b"\0\0\0\xffjumb\0\0\0\x40jumdjson" + bytes(12) + b"\x03cawg.training-mining\0"
    for use, found in (("notAllowed", ["c2pa"]), ("constrained", ["c2pa"]), ("allowed", [])):
        for padding in (0, 180, 200, 220, 240):
            content = bytes(padding) + box + cbor({"entries": {"cawg.ai_training": {"use": use}}})
            assert image_opt_outs(gif_with(b"C2PA_GIF\1\0\0", content, True)) == found
            assert image_opt_outs(png_with(b"caBX", content)) == found
    for cut in range(20, 100):
        assert image_opt_outs(with_credentials(cbor(entries(ai_training="notAllowed")), cut)) == ["c2pa"]


@pytest.mark.parametrize("number", range(4))
def test_files_that_are_cut_off_anywhere_do_not_fail(number):
    xmp = XMP.format("DMI-PROHIBITED").encode()
    whole = [extended(xmp, 200), PLACES["PNG, hexadecimal"](xmp), gif_with(b"XMP DataXMP", xmp, True), b"GIF89a"][
        number
    ]
    for end in range(min(len(whole), 1500)):
        image_opt_outs(whole[:end])


def cbor(value) -> bytes:
    """A small value as CBOR (RFC 8949), enough for a map of maps of short texts."""
    if isinstance(value, dict):
        return bytes([0xA0 + len(value)]) + b"".join(cbor(k) + cbor(v) for k, v in value.items())
    text = value.encode()
    return (bytes([0x60 + len(text)]) if len(text) < 24 else bytes([0x78, len(text)])) + text


def with_credentials(assertion: bytes, cut: int = 0) -> bytes:
    """A JPEG whose APP11 segments, two where `cut` says so, hold a box with a label and content (ISO/IEC 19566-5)."""
    content = b"\0\0\0\x40jumd" + b"json" + bytes(12) + b"\x03c2pa.training-mining\0" + assertion
    header = struct.pack(">I4s", len(content) + 8, b"jumb")
    parts = [content[:cut], content[cut:]] if cut else [content]
    segments = b""
    for number, part in enumerate(parts, 1):
        body = b"JP" + struct.pack(">HI", 1, number) + header + part
        segments += b"\xff\xeb" + struct.pack(">H", len(body) + 2) + body
    data = jpeg(5)
    return data[:2] + segments + data[2:]


def entries(**uses: str) -> dict:
    return {"entries": {f"c2pa.{name}": {"use": use} for name, use in uses.items()}}


@pytest.mark.parametrize("cut", [0, 70, 90])
@pytest.mark.parametrize(
    ("said", "is_reserved"),
    [
        (entries(ai_training="notAllowed", data_mining="allowed"), True),
        (entries(ai_training="allowed", ai_generative_training="notAllowed"), True),
        (entries(data_mining="constrained"), True),
        (entries(ai_training="allowed", ai_generative_training="allowed", data_mining="allowed"), False),
        (entries(ai_inference="notAllowed", ai_training="allowed"), False),
    ],
)
def test_content_credentials(said, is_reserved, cut):
    import json

    for assertion in (cbor(said), json.dumps(said).encode()):
        assert image_opt_outs(with_credentials(assertion, cut)) == (["c2pa"] if is_reserved else [])
    with pytest.raises(Rejected, match="reserved_c2pa"):
        check_image(with_credentials(cbor(entries(ai_training="notAllowed"))), ImageSettings())


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n" + b"\xff" * 50, b"\xff\xd8\xff\xeb", b"\xff\xd8" + b"\xff\xeb\0\0" * 9]
)
def test_damaged_files_have_no_opt_outs(data):
    assert image_opt_outs(data) == [] and image_opt_outs(data + zlib.compress(b"x")) == []


def test_names():
    assert named_opt_outs("noindex, tdm") == ("noindex", "tdm") and named_opt_outs("") == ()
    with pytest.raises(MellaError, match="no opt-out 'robots'"):
        named_opt_outs("robots")


def test_the_documents_table_names_every_signal():
    named = set(re.findall(r"^\| `([a-z0-9_]+)`", DOCS.read_text("utf-8"), re.MULTILINE))
    assert named == {*SIGNALS, "robots_disallow"}


@pytest.mark.parametrize(
    ("url", "flags"),
    [
        ("https://creativecommons.org/licenses/by-nc-nd/3.0/cz/", ["license_no_derivatives", "license_non_commercial"]),
        ("http://www.CreativeCommons.org/licenses/BY-ND/4.0", ["license_no_derivatives"]),
        ("https://creativecommons.org/licenses/by-nc-sa/2.5/deed.sr", ["license_non_commercial"]),
        ("https://creativecommons.org/licenses/by-sa/4.0/?ref=nd-nc", []),
        ("https://creativecommons.org/publicdomain/zero/1.0/", []),
        ("https://creativecommons.org.example/licenses/by-nd/4.0/", []),
        ("https://a.example/nd", []),
        (None, []),
    ],
)
def test_what_a_creative_commons_licence_withholds(url: str | None, flags: list[str]) -> None:
    assert license_flags(url) == flags
