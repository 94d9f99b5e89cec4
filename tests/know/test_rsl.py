"""Really Simple Licensing 1.0 (https://rslstandard.org/rsl): what a licence says, and each place where it may stand."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hostile_server import HOSTS, HostileServer, jpeg, reply
from test_opt_outs import fetched

from mella_hf.know.fetching.download import is_retryable
from mella_hf.know.fetching.robots import Policy, Rules
from mella_hf.know.fetching.robots_txt import licences_of, our_group
from mella_hf.know.optouts import opt_outs, robots_directives
from mella_hf.know.pages.extract import page_candidates
from mella_hf.know.pages.warc import Page, read_warc
from mella_hf.know.rsl import links_to_rsl, parse_rsl, reserves

URL = "https://a.example/photos/1.jpg"
NAMESPACE = 'xmlns="https://rslstandard.org/rsl"'
NO_TRAINING = '<prohibits type="usage">ai-train</prohibits>'
FREE = '<permits type="usage">all</permits>'


def rsl(*licences: str, url: str = "/", server: str = "") -> str:
    offers = "".join(f"<license>{licence}</license>" for licence in licences)
    return f'<rsl {NAMESPACE}><content url="{url}"{server}>{offers}</content></rsl>'


def scopes(**licences: str) -> str:
    """Scopes of the paths /, /free/ and so on, by the names of their arguments."""
    places = {"site": "/", "free": "/photos/", "other": "/other/"}
    inner = "".join(
        f'<content url="{places[name]}"><license>{licence}</license></content>' for name, licence in licences.items()
    )
    return f"<rsl {NAMESPACE}>{inner}</rsl>"


@pytest.mark.parametrize(
    ("file", "is_reserved"),
    [
        # 3.4.1.1 and 3.6: the tokens that include training
        (rsl(NO_TRAINING), True),
        (rsl('<prohibits type="usage">ai-all</prohibits>'), True),
        (rsl('<prohibits type="usage">all</prohibits>'), True),
        (rsl('<prohibits type="usage">ai-input  ai-train</prohibits>'), True),  # separated by one or more spaces
        (rsl('<prohibits type="usage">\n ai-input\n AI-Train\n</prohibits>'), True),
        (rsl('<prohibits type="usage">train-ai</prohibits>'), True),  # as the drafts had it
        (rsl('<prohibits type="usage">ai-input ai-index search</prohibits>'), False),
        (rsl("<prohibits>ai-train</prohibits>"), True),
        # 3.5: permitted is what is listed; everything, where nothing is
        (rsl('<permits type="usage">search</permits>'), True),
        (rsl('<permits type="usage">ai-train search</permits>'), False),
        (rsl('<permits type="usage">ai-all</permits>'), False),
        (rsl(FREE), False),
        (rsl(""), False),
        (rsl(f"{FREE}{NO_TRAINING}"), True),  # 3.1.1: the prohibition takes precedence
        (rsl(f'{FREE}<permits type="user">non-commercial</permits>'), True),  # a dataset is for every user
        (rsl(f'{FREE}<prohibits type="geo">EU</prohibits>'), True),
        # 3.7: without <payment> it is free
        (rsl(f'{FREE}<payment type="free"/>'), False),
        (rsl(f'{FREE}<payment type="attribution"/>'), False),
        (rsl('<permits type="usage">train-ai</permits><payment type="subscription"/>'), True),
        (rsl(f'{FREE}<payment type="crawl"><amount currency="USD">0.015</amount></payment>'), True),
        (rsl(f"{FREE}<payment><standard>https://c.example/</standard></payment>"), True),
        (rsl(f'{FREE}<payment type="training"/>', f'{FREE}<payment type="free"/>'), False),  # one of two offers
        (rsl('<permits type="usage">search</permits>', f'{FREE}<payment type="purchase"/>'), True),
        (rsl(f'{FREE}<payment type="free"/>', NO_TRAINING), True),
        # 3.3: a server must give a licence first, even if it is free; url follows RFC 9309
        (rsl(FREE, server=' server="https://s.example/olp"'), True),
        (rsl(NO_TRAINING, url="/photos/*.jpg$"), True),
        (rsl(NO_TRAINING, url="/photos/*.png$"), False),
        (rsl(NO_TRAINING, url="*.jpg"), True),
        (rsl(NO_TRAINING, url="photos/"), True),
        (rsl(NO_TRAINING, url="/%70hotos/"), True),
        (rsl(NO_TRAINING, url="https://A.example/photos/"), True),
        (rsl(NO_TRAINING, url="https://a.example"), True),
        (rsl(NO_TRAINING, url="https://b.example/"), False),
        (rsl(NO_TRAINING, url=""), True),
        (scopes(site=NO_TRAINING, free=FREE), True),  # 3.1.1: no narrower scope permits what a wider one prohibits
        (scopes(site=f'{FREE}<payment type="crawl"/>', free=FREE), False),
        (scopes(site=FREE, free=f'{FREE}<payment type="crawl"/>'), True),
        (scopes(site=FREE, other=NO_TRAINING), False),
        (f'<rsl {NAMESPACE}><content url="/"/></rsl>', False),
        # other dresses
        (f"<rsl><content url='/'><license>{NO_TRAINING}</license></content></rsl>", True),
        (rsl(NO_TRAINING).replace("<rsl", '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE rsl>\n<rsl'), True),
        (
            '<r:rsl xmlns:r="https://rslstandard.org/rsl"><r:content url="/"><r:license>'
            '<r:prohibits type="usage">ai-train</r:prohibits></r:license></r:content></r:rsl>',
            True,
        ),
        (
            '<rss version="2.0" xmlns:rsl="https://rslstandard.org/rsl"><channel><item><rsl:content url="/photos/">'
            '<rsl:license><rsl:prohibits type="usage">all</rsl:prohibits></rsl:license></rsl:content></item>'
            "</channel></rss>",
            True,
        ),
        ("<rss xmlns:media='http://search.yahoo.com/mrss/'><media:content url='/'/></rss>", False),
        # what is no licence says nothing; one that cannot be read reserves
        ("", False),
        ("<html><p>All rights reserved.<br></html>", False),
        ("{}", False),
        (rsl(NO_TRAINING)[:-20], True),
        (f'<!DOCTYPE rsl [<!ENTITY a "x">]><rsl {NAMESPACE}><content url="&a;"/></rsl>', True),
        (f"<rsl {NAMESPACE}>{'<content/>' * 1001}</rsl>", True),
    ],
)  # fmt: skip
def test_what_a_licence_says(file, is_reserved):
    assert reserves(parse_rsl(file), URL) is is_reserved
    named = Policy("License: https://a.example/license.xml", "", "", json.dumps([file]))
    assert Rules(named).opt_outs(URL) == (["rsl"] if is_reserved else [])


@pytest.mark.parametrize(
    ("robots", "found"),
    [
        ("License: https://a.example/license.xml\nUser-agent: Googlebot\nAllow: /", ["https://a.example/license.xml"]),
        ("User-agent: otherbot\nDisallow: /\nlicense :https://b.example/x # terms", ["https://b.example/x"]),
        ("License: a\nLicense: b\nLicense: a\nLicense:", ["a", "b"]),
        ("Licenses: a\n# License: b", []),
    ],
)
def test_lines_of_robots_txt(robots, found):
    assert licences_of(robots) == found


def test_such_a_line_ends_no_group_of_robots_txt():
    group = our_group("User-agent: mella_hf\nLicense: https://a.example/x\nUser-agent: *\nDisallow: /x")
    assert group.rules == [("disallow", "/x")]


@pytest.mark.parametrize(
    ("lines", "is_named"),
    [
        (['<https://a.example/l.xml>; rel="license"; type="application/rsl+xml"'], True),
        (["<l>;type=application/rsl+xml;REL=license"], True),
        (['<a>; rel=next, <b>; rel="nofollow license"; type="Application/RSL+XML; charset=utf-8"'], True),
        (["<a>; rel=next", '<b>; rel=license; type="application/rsl+xml"'], True),
        (['<a>; rel="license"; type="text/html", <b>; rel=alternate; type="application/rsl+xml"'], False),
        (['<a>; title="; rel=license; type=application/rsl+xml"'], False),
        (['<a>; rel=license; rel=next; type="application/rsl+xml"'], True),  # RFC 8288, 3.3: the first rel counts
        (["rel=license; type=application/rsl+xml"], False),
        ([], False),
    ],
)
def test_link_headers(lines, is_named):
    assert links_to_rsl(lines) is is_named


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('<link rel="license" type="application/rsl+xml" href="https://a.example/license.xml">', ["rsl"]),
        ("<LINK TYPE=APPLICATION/RSL+XML REL='nofollow LICENSE' HREF=l.xml>", ["rsl"]),
        ('<link rel="license" href="https://creativecommons.org/licenses/by/4.0/">', []),
        ('<link rel="alternate" type="application/rsl+xml" href="l.xml">', []),
        (f'<script type="application/rsl+xml">{rsl(NO_TRAINING, url="")}</script>', ["rsl"]),
        (f'<script type="application/rsl+xml">\n<?xml version="1.0"?>{rsl(NO_TRAINING)}</script>', ["rsl"]),
        (f'<script type="application/rsl+xml">{rsl(FREE)}</script>', []),
        (f"<script>var a = '{rsl(NO_TRAINING)}' // application/rsl+xml</script>", []),
        (f"<!-- <script type='application/rsl+xml'>{rsl(NO_TRAINING)}</script> -->", []),
    ],
)
def test_pages(head, expected):
    page = Page("http://a.example/", f"<html><head>{head}<body><img src=a.jpg alt=Kůň>".encode())
    (row,) = page_candidates(page, Counter())
    assert opt_outs(row.robots) == expected


def test_a_page_in_utf_16_holds_one():
    text = f"<html><script type=application/rsl+xml>{rsl(NO_TRAINING)}</script><img src=a.jpg alt=Kůň>"
    (row,) = page_candidates(Page("http://a.example/", b"\xff\xfe" + text.encode("utf-16-le")), Counter())
    assert opt_outs(row.robots) == ["rsl"]


def test_the_header_of_a_page_in_an_archive(tmp_path: Path):
    from test_warc import record

    line = b'Link: </l.xml>; rel="license"; type="application/rsl+xml"\r\n'
    (tmp_path / "a.warc").write_bytes(record(0, headers=line))
    (page,) = read_warc(tmp_path / "a.warc")
    assert opt_outs(robots_directives(page.robots)) == ["rsl"]


def test_licences_of_sites_while_images_are_fetched(tmp_path: Path):
    """The licence of the image's site, of its page's, of another host, one that is gone, one not answered."""
    own, page_host, elsewhere, gone, silent, free, linked = HOSTS[:7]
    with HostileServer({f"/{n}.jpg": reply(jpeg(n)) for n in range(7)}) as server:

        def names(host: str) -> bytes:
            return f"License: {server.url('/license.xml', host)}\nUser-agent: *\nAllow: /\n".encode()

        licence = reply(rsl(NO_TRAINING).encode(), Content_Type="application/rsl+xml")
        server.routes |= {
            f"{own} /robots.txt": reply(names(elsewhere)),
            f"{page_host} /robots.txt": reply(names(elsewhere)),
            f"{elsewhere} /license.xml": licence,
            f"{gone} /robots.txt": reply(names(gone)),
            f"{silent} /robots.txt": reply(names(silent)),
            f"{silent} /license.xml": reply(status=500),
            f"{free} /robots.txt": reply(b"License: /license.xml"),
            f"{free} /license.xml": reply(rsl(FREE).encode()),
            f"{linked} /6.jpg": reply(jpeg(6), Link='</l>; rel="license"; type="application/rsl+xml"'),
        }
        urls = {
            server.url("/0.jpg", own): None,
            server.url("/1.jpg", elsewhere): server.url("/page", page_host),
            server.url("/2.jpg", gone): None,
            server.url("/3.jpg", silent): None,
            server.url("/4.jpg", free): None,
            server.url("/6.jpg", linked): None,
        }
        rows = fetched(tmp_path, urls)
        expected = ["reserved_rsl", "reserved_rsl", None, "rsl_unavailable", None, "reserved_rsl"]
        assert [rows[url]["reason"] for url in urls] == expected
        assert is_retryable("rsl_unavailable") and is_retryable("page_rsl_unavailable")
        (tmp_path / "again").mkdir()
        rows = fetched(tmp_path / "again", urls, ignored_opt_outs=("rsl",))
        assert [rows[url]["reason"] for url in urls] == [None] * 6


@pytest.mark.parametrize(
    ("text", "is_licence"),
    [("<a " * 200_000, False), ("<rsl>" * 100_000, True), ("<rsl " + "a" * 500_000, True), (";" * 500_000, False)],
)
def test_hostile_files_and_headers(text, is_licence):
    assert parse_rsl(text) == (None if is_licence else [])
    assert not links_to_rsl([text])
