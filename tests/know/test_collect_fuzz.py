"""Whatever stands in a page or an alt-text: what is found in it, and that nothing breaks.

    MELLA_FUZZ_EXAMPLES=20000 pytest tests/know/test_collect_fuzz.py

runs each for longer; what was found so far stands below as `@example`, and in the tests of each module.
"""

import codecs
import os
import re
from collections import Counter
from urllib.parse import urljoin

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from mella_hf.know.alt_text import REASONS, Dropped, Kept, check_alt_text, clean_alt_text
from mella_hf.know.filter import judge
from mella_hf.know.links import absolute_url
from mella_hf.know.pages.charset import page_text
from mella_hf.know.pages.extract import MAX_TEXT, page_candidates
from mella_hf.know.pages.warc import Page
from mella_hf.know.records import CANDIDATES
from mella_hf.languages import language_codes

URL = "http://www.example.org/a/page.html"
LONG = int(os.environ.get("MELLA_FUZZ_EXAMPLES", "0"))
FUZZ = (
    settings(max_examples=LONG, derandomize=False, suppress_health_check=list(HealthCheck)) if LONG
    else settings(max_examples=100)
)  # fmt: skip

ADDRESS = st.one_of(
    st.text(max_size=40),
    st.from_regex(
        r"(/|\./|\.\./|http://[a-z]{1,5}\.org)?[a-zA-Z0-9_.%~/-]{0,20}(\?[a-z=&]{0,8})?(#[a-z]{0,4})?", fullmatch=True
    ),
)


@FUZZ
@example(";", URL)  # found by fuzzing: an empty path with parameters
@example("//", URL)  # an empty host
@example(" ?x", URL)
@example("HTTP://", URL)  # a scheme alone says nothing
@given(
    ADDRESS, st.sampled_from([URL, "https://a.example", "http://a.example/b/c/?q=/x", "http://a.example:8080/x/../y/z"])
)
def test_addresses_are_joined_as_everybody_joins_them(address, base):
    url, reason = absolute_url(base, address)
    assert (url is None) != (reason is None)
    if url is not None:
        assert absolute_url("", url) == (url, None) and "#" not in url and url.isascii()
    if re.fullmatch(r"(?:\.\./)?[\w-]+(?:/[\w-]+)*(?:\.\w+)?(?:\?[\w=&]+)?", address, re.ASCII):
        assert url == urljoin(base, address)


@FUZZ
@given(st.text(max_size=120))
def test_any_markup_gives_rows_of_the_schema(text):
    html = f'<h2>{text}</h2><figure lang="{text}"><img src="{text}" srcset="{text}" alt="{text}" style="{text}">{text}'
    for row in page_candidates(Page(URL, html.encode("utf-8", "replace")), Counter()):
        assert row.image_url.startswith(("http://", "https://")) and len(row) == len(CANDIDATES)
        row.alt.encode()


@FUZZ
@given(st.binary(max_size=300), st.one_of(st.none(), st.text(max_size=30)))
def test_any_bytes_are_a_page(body, content_type):
    page_text(body, content_type).encode()
    page_candidates(Page(URL, b"<img src=a alt=x>" + body, content_type), Counter())


# What changes how an HTML parser reads on, or what a page says of its images, whole and broken.
TAGS = [
    f"<{slash}{name}>"
    for name in "p div b a table tr td caption select option svg math title style script template noscript "
    "textarea iframe plaintext frameset head body html figure figcaption picture h1 h2 li form button desc mi ruby "
    "p/ br/".split()
    for slash in ("", "/")
]
PIECES = [
    *TAGS, '<img src=a.jpg alt=A>', "<img alt='B' src='b.jpg'>", '<img src="c.jpg" alt="C" title="t>t">', "<img",
    "<IMG SRC=d ALT=D>", "<image src=e alt=E>", "<img alt=x", ' src="', " alt='", '"', "'", ">", "<", "/>", "<!--",
    "-->", "--!>", "<!", "<?", "<![CDATA[", "]]>", "&lt;", "&#0;", "&amp", "=", " ", "\n", "\0", "\f", "lang=cs",
    '<p lang="de">', "<html lang=vi>", "<body xml:lang=ko>", "<base href=/b/>", "<base href=http://c.example/>",
    "<a rel=license href=/l>", "<a href=https://creativecommons.org/licenses/by/4.0/>",
    "<meta name=robots content=noai>", "<source srcset='s 2x'>", "<meta http-equiv=content-language content=th>",
    "<svg><title>", "<svg><desc>", "<math><mi>", "<annotation-xml>", "<foreignObject>", "word", "Hrad",
    "<h1>Kůň</h1>", "<title>T</title>", "<figcaption>F</figcaption>", "</", "<title/>", "<script/>",
    "<img src=a.jpg alt=A/>", "<img/src=f alt=F>", "<img src=g alt=G><img src=h alt=H>", "<input type=hidden>",
    "<col>", "<hr>", "<keygen>", "<nobr>", "<font color=red>", "<rt>", "<dd>",
]  # fmt: skip
SOUP = st.lists(st.one_of(st.sampled_from(PIECES), st.sampled_from(PIECES), st.text(max_size=3)), max_size=40)


def by_lexbor(html: str) -> list[tuple[str | None, str | None]]:
    """(alt, heading before it) of each image, as another parser of the HTML Standard finds them."""
    found: list[tuple[str | None, str | None]] = []
    heading = None
    for node in LexborHTMLParser(html).css("img, h1, h2, h3, h4, h5, h6"):
        if node.tag == "img":
            found.append((node.attributes.get("alt"), heading))
        else:
            heading = " ".join(node.text().split())[:MAX_TEXT] or None
    return found


@FUZZ
@given(SOUP)
def test_tag_soup_has_the_images_that_another_parser_finds(parts):
    html = "".join(parts).encode("utf-8", "replace").decode()
    assume("<image" not in html or "<table>" not in html)  # lexbor loses it there, unlike html5lib
    assume("&#0;" not in html or "<frameset>" not in html)  # to lexbor, that character in a drawing is no text
    counts: Counter[str] = Counter()
    rows = page_candidates(Page(URL, html.encode()), counts)
    expected = by_lexbor(html)
    assert counts["images"] == len(expected)
    assert [(row.alt, row.heading) for row in rows] == [expected[row.position] for row in rows]


CODECS = {
    "windows-1250": "cp1250", "windows-1251": "cp1251", "windows-1256": "cp1256", "windows-874": "cp874",
    "koi8-r": "koi8_r", "euc-kr": "cp949", "tis-620": "cp874", "iso-8859-2": "iso8859-2",
}  # fmt: skip


def _could_be_utf8(body: bytes) -> bool:
    """Whether bytes are UTF-8 with more than ASCII in them, but for a character that their end may cut."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return not decoder.decode(body).isascii()
    except UnicodeDecodeError:
        return False


@FUZZ
@given(st.sampled_from(sorted(CODECS)), st.text(max_size=200), st.booleans())
def test_a_page_in_the_encoding_that_it_declares_comes_back(label, text, in_header):
    page = f"<meta charset={label}>" + text.encode(CODECS[label], "ignore").decode(CODECS[label])
    body = page.encode(CODECS[label])
    found = page_text(body, f"text/html; charset={label}" if in_header else "text/html")
    assert found == page or _could_be_utf8(body)


ALT_PIECES = [
    "Karlův most", "القاهرة", "경복궁", "วัดพระแก้ว", "Калемегданска тврђава", "Hồ Gươm", "Kůň", "IMG_0042", ".jpg",
    "logo", "A ", "The ", "...", " . ", "http://", "www.", ".com", "\u200b", "\u202e", "\u0301", "\u0e33", "1234",
    "|", "–", "\ufffd", "click here", "image", "obrázek", "صورة", "사진", "рисунок", "ảnh", "kép", "$", "%", "!!!",
    "a@b.cz", "+420 601 123 456",
]  # fmt: skip
ALT = st.lists(st.one_of(st.sampled_from(ALT_PIECES), st.text(max_size=12)), max_size=8).map("".join)


@FUZZ
@example("A _A القاهرة")  # an article behind an article
@given(ALT)
def test_cleaning_an_alt_text_twice_changes_nothing(text):
    cleaned = clean_alt_text(text)
    assert cleaned == clean_alt_text(cleaned)
    assert cleaned == cleaned.strip() and "\n" not in cleaned


@FUZZ
@given(ALT, st.sampled_from(language_codes()))
def test_any_alt_text_has_a_verdict(text, language):
    result = check_alt_text(text, language)
    assert result.text if isinstance(result, Kept) else result.reason in REASONS


@FUZZ
@given(ALT, ALT, st.sampled_from([None, "cs", "sr-latn", "xx"]), st.sampled_from(["a.example", "a.rs", ""]))
def test_any_candidate_has_a_verdict(alt, title, page_language, site):
    row = dict.fromkeys(CANDIDATES.names) | {"alt": alt, "page_title": title, "page_language": page_language}
    code, verdict = judge(row | {"site": site}, language_codes())
    if isinstance(verdict, Dropped):
        assert verdict.reason in REASONS and (code is None or code == (page_language or "sr")[:2])
    else:
        assert code in language_codes() and verdict.text.strip()
