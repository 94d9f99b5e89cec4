"""Candidates of pages: hand-worked pages for each habit of the web, and BeautifulSoup and urljoin as oracles."""

from collections import Counter
from pathlib import Path
from urllib.parse import urljoin

import pytest
from bs4 import BeautifulSoup

from mella_hf.know.pages.charset import page_text
from mella_hf.know.pages.extract import Candidate, language_tag, page_candidates
from mella_hf.know.pages.image_source import best_of_srcset, declared_size
from mella_hf.know.pages.warc import Page
from mella_hf.know.records import CANDIDATES

URL = "http://www.example.org/a/page.html"


def extract(html: str | bytes, **page) -> list[Candidate]:
    body = html if isinstance(html, bytes) else html.encode()
    return page_candidates(Page(URL, body, **page), Counter())


def test_a_whole_page():
    html = """<html lang="cs-CZ"><head><title> Hrady  a zámky </title><meta name="robots" content="noai, NoIndex">
    </head><body><h1>Hrady</h1><p><img src="/znak.png" alt="Znak" width="40" height="50px"></p>
    <h2>Karlštejn <small>od jihu</small></h2><div lang="de"><figure><img src="k.jpg?x=1#top" alt="Burg Karlstein"
    title="Böhmen" style="width: 640px; height:480.5px"><figcaption>Foto: <b>Jan</b></figcaption>
    <a href="https://creativecommons.org/licenses/by/4.0/">CC</a></figure></div>
    <footer><a rel="license" href="/lic">lic</a></footer></body></html>"""
    first, second = extract(html)
    assert first == Candidate(
        URL, "http://www.example.org/znak.png", "Znak", None, None, "Hrady", "Hrady a zámky", "cs-cz", 40, 50,
        "http://www.example.org/lic", ["noai", "noindex"], 0, "example.org", first.bucket,
    )  # fmt: skip
    assert second == Candidate(
        URL, "http://www.example.org/a/k.jpg?x=1", "Burg Karlstein", "Böhmen", "Foto: Jan", "Karlštejn od jihu",
        "Hrady a zámky", "de", 640, 480, "https://creativecommons.org/licenses/by/4.0/", ["noai", "noindex"],
        1, "example.org", first.bucket,
    )  # fmt: skip
    assert len(first) == len(CANDIDATES)


SOURCES = {
    '<img src="a.jpg" alt=x>': "a.jpg",
    '<img src="data:image/gif;base64,R0lGOD" data-src="real.jpg" alt=x>': "real.jpg",
    '<img src="placeholder.png" data-lazy-src="/real.jpg" alt=x>': "/real.jpg",
    '<img src="a.jpg" data-lazy="true" alt=x>': "a.jpg",
    '<img src="s.jpg" srcset="m.jpg 640w, l.jpg 1280w, s.jpg 320w" alt=x>': "l.jpg",
    '<img src="s.jpg" srcset="m.jpg 1.5x,l.jpg 2x" alt=x>': "l.jpg",
    '<img src="s.jpg" srcset="a,b.jpg 1x, c.jpg" alt=x>': "a,b.jpg",
    '<img src="s.jpg" data-srcset="big.jpg 2000w, data:image/gif;base64,AA 3000w" alt=x>': "big.jpg",
    '<picture><source type="image/avif" srcset="a.avif"><source srcset="w.webp 2x"><img alt=x></picture>': "w.webp",
    '<picture><source srcset="w.webp"><img src="a.jpg" alt=x></picture>': "a.jpg",
    '<video><source src="v.mp4"></video><picture></picture><img alt=x src=b.png>': "b.png",
    '<noscript><img src="n.jpg" alt=x></noscript>': "n.jpg",
    '<IMG SRC=c.jpg ALT=x>': "c.jpg",
    '<Image src=c.jpg alt=x>': "c.jpg",
    '<table><tr><image src=c.jpg alt=x>': "c.jpg",  # as html5lib has it
    '<base href="http://cdn.example/i/"><base href="http://no.example/"><img src="d.jpg" alt=x>': "http://cdn.example/i/d.jpg",
    '<img src="//cdn.example/e.jpg" alt=x>': "http://cdn.example/e.jpg",
    '<img src=" f g.jpg " alt=x>': "http://www.example.org/a/f%20g.jpg",
    '<img src="snímek.jpg?q=ž" alt=x>': "http://www.example.org/a/sn%C3%ADmek.jpg?q=%C5%BE",
}  # fmt: skip


@pytest.mark.parametrize("html", SOURCES)
def test_the_source_is_the_real_and_largest_image(html):
    (found,) = extract(html)
    assert found.image_url == urljoin(URL, SOURCES[html])


LEFT_OUT = {
    "<img src=a.jpg>": "alt_missing",
    '<img src=a.jpg alt=" ">': "alt_blank",
    "<img src=a.jpg alt>": "alt_blank",
    "<img alt=x>": "source_missing",
    '<img src="data:image/png;base64,AA==" alt=x>': "source_not_http",
    '<img src="javascript:x()" alt=x>': "source_not_http",
    '<img src="http://[::1/a.jpg" alt=x>': "url_invalid",
    '<img src="http://a b/c.jpg" alt=x>': "url_invalid",
    '<img src="http://a:99999/c.jpg" alt=x>': "url_invalid",
    f'<img src="{"a" * 3000}" alt=x>': "url_invalid",
}


@pytest.mark.parametrize("html", LEFT_OUT)
def test_what_is_no_candidate_is_counted_by_reason(html):
    counts: Counter[str] = Counter()
    assert page_candidates(Page(URL, html.encode()), counts) == []
    assert counts == {"images": 1, f"dropped_{LEFT_OUT[html]}": 1}


def test_an_image_said_twice_counts_once():
    counts: Counter[str] = Counter()
    html = b"<img src=a.jpg alt=x><noscript><img src=a.jpg alt=x></noscript><img src=a.jpg alt=y>"
    assert [c.alt for c in page_candidates(Page(URL, html), counts)] == ["x", "y"]
    assert counts["dropped_repeated_in_page"] == 1


def test_the_title_of_a_drawing_is_not_that_of_the_page():
    page = "<body><svg><title>Lupa</title></svg><img src=a.jpg alt=x>"
    assert extract(page)[0].page_title is None
    assert extract(page + "<title>Hrady</title>")[0].page_title == "Hrady"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "iso-2022-jp"])
def test_images_are_seen_in_encodings_that_are_not_ascii(encoding):
    (found,) = extract(
        "<title>城</title><img src=a.jpg alt='姫路城'>".encode(encoding),
        content_type=f"text/html; charset={encoding.removesuffix('-le')}",
    )
    assert found.alt == "姫路城"


def test_comments_templates_and_scripts_show_nothing():
    html = "<!-- <img src=a alt=x> --><template><img src=b alt=x></template><script>'<img src=c alt=x>'</script>"
    assert extract(html) == []


ONE = '<img src="a.jpg" alt="Karlštejn">'


@pytest.mark.parametrize(
    ("html", "found"),
    [
        (f"{ONE}<p>text</p>", {}),
        (f'{ONE}<a rel="license" href="/lic">lic</a>', {"license_url": "http://www.example.org/lic"}),
        (f"{ONE}<META name=robots content=noai>", {"robots": ["noai"]}),
        (f"{ONE}<base href=/b/>", {"image_url": "http://www.example.org/b/a.jpg"}),
        (f"{ONE}<Title>Hrad</title>", {"page_title": "Hrad"}),
        (f"{ONE}<p>text</p><html lang=cs>", {"page_language": "cs"}),
        (f"{ONE}<p>text</p><body lang=cs>", {"page_language": "cs"}),
        (f"<h1>Hrad {ONE} v Čechách</h1>", {"heading": "Hrad v Čechách"}),
        (f"<figure>{ONE}<figcaption>Hrad</figcaption></figure>", {"figcaption": "Hrad"}),
        (f"<figure>{'<p>text</p>' * 200}{ONE}<figcaption>Hrad</figcaption></figure>", {"figcaption": "Hrad"}),
        (f"<figure><figure>{ONE}</figure><figcaption>Hrad</figcaption></figure>", {"figcaption": None}),
        (f"{ONE}<!-- <img src=b.jpg alt=b> -->", {}),
        (f"{ONE}<script>'<img src=b.jpg alt=b>'</script>", {}),
        (f"{ONE}<p title='<img src=b.jpg alt=b>'>text</p>", {}),
        ("<img alt='Karlštejn' title='<img src=b.jpg>' src=a.jpg>", {"title": "<img src=b.jpg>"}),
        ("<img alt='Karlštejn' title='a>b' src=a.jpg>", {"title": "a>b"}),
        ("""<img a"b='x"y>z' alt='Karlštejn' src=a.jpg>""", {}),
        ("<IMAGE alt='Karlštejn' src=a.jpg><!--<img src=b.jpg>-->", {}),
        (f"<svg><title>{ONE}Hrad", {}),
        (f"<svg><template><title>Lupa</title><p>{ONE}</template>", {}),
        (f"<p lang=de>{ONE}</p>", {"page_language": "de"}),
        (f"<p lang = de><b lang=''>{ONE}</p>", {"page_language": "de"}),
    ],
)  # fmt: skip
def test_what_stands_around_an_image_counts_where_it_says_something(html, found):
    (only,) = extract(html)
    nothing = [None] * 8
    plain = Candidate(URL, "http://www.example.org/a/a.jpg", "Karlštejn", *nothing, [], 0, "example.org", only.bucket)
    assert only == plain._replace(**found)


def test_xhtml_with_self_closed_elements_and_an_xml_declaration():
    html = """<?xml version="1.0" encoding="windows-1250"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"
    xml:lang="cs"><head><title/><script src="a.js" /></head><body><img src="a.jpg" alt="Kůň" /></body></html>"""
    (found,) = extract(html.encode("cp1250"), content_type="application/xhtml+xml")
    assert (found.alt, found.page_language, found.page_title) == ("Kůň", "cs", None)


@pytest.mark.parametrize(
    "html, header, language",
    [
        ('<html lang="ar-EG"><img src=a alt=x>', "en", "ar-eg"),
        ('<meta http-equiv="Content-Language" content="vi"><img src=a alt=x>', "en", "vi"),
        ("<img src=a alt=x>", "ko", "ko"),
        ("<img src=a alt=x>", "ko, en", None),
        ('<html lang="x-none"><p lang="sr_Latn"><img src=a alt=x>', None, "sr-latn"),
        ('<HTML LANG="cs"><P LANG="de"><IMG SRC=a ALT=x>', None, "de"),
        ('<html lang=""><img src=a alt=x>', None, None),
    ],
)
def test_the_language_is_what_the_page_declares_nearest(html, header, language):
    (found,) = extract(html, content_language=header)
    assert found.page_language == language


def test_small_readers():
    assert [declared_size({"width": w}, "width") for w in ("40", "40px", "50%", "auto", "12.5", "")] == [
        40, 40, None, None, 12, None,
    ]  # fmt: skip
    assert [language_tag(t) for t in ("sr_Latn", "EN", "english", "", None, "cs, sk")] == [
        "sr-latn", "en", None, None, None, None,
    ]  # fmt: skip
    assert best_of_srcset(" , ") is None and best_of_srcset("a.jpg bogus, b.jpg 2x") == "b.jpg"


@pytest.mark.parametrize("opened", ["<div>", "<b><p>", "<table>", "<svg><desc>", "<form><div>", "<font size=1>"])
def test_a_page_that_never_closes_its_elements_does_not_stop_the_reader(opened):
    """A parser that looks back over all that is open, at every step, would need many minutes for the second page."""
    figure = "<figure><img src=a.jpg alt=x><figcaption>c</figcaption></figure>"
    assert extract(opened * 200 + figure)[0].figcaption == "c"
    assert extract(opened * 300_000 + figure)[0].alt == "x"  # as deep as this, browsers too make a flat tree of it


def oracle(path: Path, url: str) -> list[tuple[str, str]]:
    """(image URL, alt) by BeautifulSoup's lxml builder and the standard library."""
    soup = BeautifulSoup(page_text(path.read_bytes()), "lxml")
    base = soup.find("base", href=True)
    root = urljoin(url, base["href"]) if base else url
    # urljoin drops empty segments, such as in "images//left.png"; the URL Standard keeps them.
    found = [
        (urljoin(root, img["src"].replace("//", "/!/")).replace("/!/", "//"), img["alt"])
        for img in soup.find_all("img", src=True, alt=True)
    ]
    return list(dict.fromkeys((target, alt) for target, alt in found if alt.strip()))


@pytest.mark.filterwarnings("ignore::bs4.XMLParsedAsHTMLWarning")
def test_real_pages_give_what_beautifulsoup_finds(handbook, helps):
    pages = sorted((handbook / "ar-MA").glob("*.html"))[::4] + sorted((handbook / "vi-VN").glob("*.html"))[::6]
    pages += sorted((helps["libreoffice-help-ko"] / "ko/text").rglob("*.html"))[::25]
    compared = 0
    for path in pages:
        url = "http://docs.example/manual/" + path.name
        found = page_candidates(Page(url, path.read_bytes(), "text/html"), Counter())
        assert [(c.image_url, c.alt) for c in found] == oracle(path, url), path
        compared += len(found)
    assert compared > 200
