"""Cases written from the standards: srcset and base (HTML), URLs, encodings and MIME sniffing (WHATWG), WARC."""

import gzip
import time
import zlib
from collections import Counter

import pytest

from mella_hf.know.fetching.sniff import kind_of, sniff
from mella_hf.know.links import absolute_url
from mella_hf.know.pages.bodies import decode_body
from mella_hf.know.pages.charset import decode_page
from mella_hf.know.pages.extract import page_candidates
from mella_hf.know.pages.image_source import best_of_srcset, declared_size
from mella_hf.know.pages.prescan import meta_labels
from mella_hf.know.pages.srcset import parse_srcset
from mella_hf.know.pages.warc import LostPage, Page, read_warc
from mella_hf.know.rows import RowFailed

# https://html.spec.whatwg.org/multipage/images.html#parsing-a-srcset-attribute: (srcset, the URLs that stay)
SRCSET = [
    ("", ""), (",", ""), (" , ,", ""), ("a", "a"), ("a,", "a"), ("a,,,", "a"), (",a", "a"), ("a,b", "a,b"),
    ("a, b", "a b"), ("a 1x,b 2x", "a b"), ("\ta\n1x\f", "a"), ("\xa0a", "\xa0a"), ("a 1x 2x", ""), ("a 1w 1x", ""),
    ("a 1w 1h", "a"), ("a 1h 1w", "a"), ("a 1h", ""), ("a 1h 1x", ""), ("a 0w", ""), ("a 1w 0h", ""), ("a -1w", ""),
    ("a 1.0w", ""), ("a 1e1w", ""), ("a +1w", ""), ("a 1W", ""), ("a 1X", ""), ("a 0x", "a"), ("a -0x", "a"),
    ("a -1x", ""), ("a +1x", ""), ("a .5x", "a"), ("a 1.x", ""), ("a 1e1x", "a"), ("a 1E-1x", "a"), ("a NaNx", ""),
    ("a Infinityx", ""), ("a foo", ""), ("a foo 1x", ""), ("a 1.jpg 1x", ""), ("a (,b 1x), c", "c"), ("a (,b", ""),
    ("a ((),b), c", "b) c"), ("a 1x (b,c) , d", "d"), ("a /*,b*/", "b*/"), ("a 1٢x", ""), ("a 99999999999999w", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "urls"), SRCSET)
def test_srcset(value, urls):
    assert [candidate.url for candidate in parse_srcset(value)] == urls.split(" ")[: None if urls else 0]


def test_the_best_of_a_srcset():
    assert best_of_srcset("a.jpg 100w, b.jpg 300w, c.jpg 200w") == "b.jpg"
    assert best_of_srcset("a.jpg, b.jpg 2x") == "b.jpg"
    assert best_of_srcset("small.jpg 0.5x", "whole.jpg") == "whole.jpg"  # src is 1x
    assert best_of_srcset("small.jpg 50w", "whole.jpg") == "small.jpg"
    assert best_of_srcset("/blank.gif 2x, data:image/gif;base64,x 3x") is None
    assert best_of_srcset(" " * 200_000) is None and best_of_srcset("a (" * 60_000) is None


def images(html: str, url: str = "http://a.example/dir/page.html", content_type: str = "text/html") -> list[str]:
    page = Page(url, html.encode(), content_type)
    return [row.image_url for row in page_candidates(page, Counter())]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<img srcset="/foto 1.jpg 1x" src="/kun.jpg" alt=x>', "/kun.jpg"),
        ("<picture><source srcset=/a.jpg></picture><img alt=x src=/blank.gif>", "/blank.gif"),
        ("<picture><source srcset=/a.jpg></picture><picture><img alt=x src=data:,></picture>", None),
        ("<picture><source srcset=/a.jpg><img alt=x src=/blank.gif></picture>", "/a.jpg"),
        ("<picture><source srcset=/a.jpg><img alt=x src=about:blank></picture>", "/a.jpg"),
        ("<svg><base href=http://b.example/></svg><img alt=x src=k.jpg>", "/dir/k.jpg"),
        ("<base href=page.html><base href=http://b.example/><img alt=x src=k.jpg>", "/dir/k.jpg"),
        ("<base target=_top><base href=/other/><img alt=x src=k.jpg>", "/other/k.jpg"),
        ("<base href='http://['><base href=/other/><img alt=x src=k.jpg>", "/dir/k.jpg"),
    ],
)
def test_pictures_and_bases(html, expected):
    found = images(html)
    assert found == ([] if expected is None else [f"http://a.example{expected}"])


# https://url.spec.whatwg.org/: (address, URL from http://a.example/dir/page.html?q)
URLS = [
    ("b.jpg", "http://a.example/dir/b.jpg"), ("\\x\\y.jpg", "http://a.example/x/y.jpg"),
    ("https:x.jpg", "https://x.jpg/"), ("http:x.jpg", "http://a.example/dir/x.jpg"),
    ("/a\tb\nc", "http://a.example/abc"),
    ("//B.example:80/x", "http://b.example/x"), ("http://[::1]:8080/x", "http://[::1]:8080/x"),
    ("http://0x7f.1/", "http://127.0.0.1/"), ("/a%2Fb%2cc", "http://a.example/a%2Fb%2cc"),
    ("/a ? b # c ", "http://a.example/a%20?%20b%20"), ("#", "http://a.example/dir/page.html?q"),
    ("//xn--a.example/x", "http://xn--a.example/x"),  # ASCII names pass, whatever they decode to (Standard of 2026)
    ("/a b|ž", "http://a.example/a%20b|%C5%BE"),
    ("/x?a=%2F&b=/ '", "http://a.example/x?a=%2F&b=/%20%27"), ("/./a/../b", "http://a.example/b"),
    ("//kůň.cz/", "http://xn--k-qla0j.cz/"),
    ("?n", "http://a.example/dir/page.html?n"), ("", "http://a.example/dir/page.html?q"), ("/x#y?z", "http://a.example/x"),
    ("http://a b/", None), ("http://[::1", None), ("http://a:99999/", None), ("http://a.b:0/", None),
    ("ftp://a/x", None),
    ("javascript:alert(1)", None), ("data:,x", None), ("/" + "x" * 3000, None),
]  # fmt: skip


@pytest.mark.parametrize(("address", "expected"), URLS)
def test_urls(address, expected):
    assert absolute_url("http://a.example/dir/page.html?q", address)[0] == expected


@pytest.mark.parametrize(
    ("encoding", "address", "expected"),
    [
        ("windows-1251", "/?n=вова", "/?n=%E2%EE%E2%E0"),
        ("windows-1251", "/вова", "/%D0%B2%D0%BE%D0%B2%D0%B0"),  # a path is UTF-8 in any page
        ("windows-1251", "/?n=ก", "/?n=%26%233585%3B"),
        ("windows-874", "/?n=ก", "/?n=%A1"),
        ("utf-8", "/?n=ก", "/?n=%E0%B8%81"),
        ("utf-16le", "/?n=ก", "/?n=%E0%B8%81"),
        ("x-user-defined", "/?n=a", "/?n=a"),
    ],
)
def test_queries_of_legacy_pages(encoding, address, expected):
    assert absolute_url("http://a.example/", address, encoding)[0] == "http://a.example" + expected


# https://html.spec.whatwg.org/multipage/parsing.html#prescan-a-byte-stream-to-determine-its-encoding
PRESCAN = [
    (b"<meta charset=koi8-r>", b"koi8-r"), (b"<META\nCHARSET = 'koi8-r'>", b"koi8-r"),
    (b"<meta charset=koi8-r/>", b"koi8-r/"),
    (b"<!-- <meta charset=x> --><meta charset=koi8-r>", b"koi8-r"), (b"<!--><meta charset=koi8-r>", b"koi8-r"),
    (b"<script>'<meta charset=x>'</script><meta charset=koi8-r>", b"koi8-r"),
    (b"<a b='<meta charset=x>'><meta charset=koi8-r>", b"koi8-r"),
    (b"<metab charset=x><meta charset=koi8-r>", b"koi8-r"), (b"</meta charset=x><meta charset=koi8-r>", b"koi8-r"),
    (b"<? <meta charset=koi8-r>", None), (b"<meta charset='koi8-r>", None), (b"<meta charset=koi8-r", None),
    (b"<meta http-equiv=content-type content='text/html; charset=koi8-r'>", b"koi8-r"),
    (b"<meta content='text/html; charset=koi8-r'>", None),
    (b"<meta http-equiv=refresh content='charset=koi8-r'>", None),
    (b"<meta http-equiv=Content-Type content='charset; charset = \"koi8-r\"'>", b"koi8-r"),
    (b"<meta content='charset=koi8-r' http-equiv='CONTENT-TYPE'>", b"koi8-r"),
    (b"<title><meta charset=x></title>", None),
    (b"<" * 50_000, None), (b"<meta a='" * 9_000, None), (b"<!--" * 20_000, None),
]  # fmt: skip


@pytest.mark.parametrize(("head", "label"), PRESCAN)
def test_prescan(head, label):
    assert next(meta_labels(head), None) == label


@pytest.mark.parametrize("label", ["iso-2022-kr", "hz-gb-2312", "replacement", "csiso2022kr", "iso-2022-cn-ext"])
def test_encodings_that_browsers_do_not_read_are_a_reason(label):
    with pytest.raises(RowFailed) as failed:
        decode_page(b"<img alt=x>\xc0", f"text/html; charset={label}")
    assert failed.value.reason == "page_encoding"


@pytest.mark.parametrize(
    ("page", "encoding"),
    [
        (b"<meta charset=bogus><meta charset=koi8-r>\xc1", "koi8-r"),  # browsers obey the first that they know
        (b"<meta charset=koi8-r/><meta http-equiv=content-type content='text/html; charset=big5'>\xa4\xa4", "big5"),
        (b"<meta charset=''><meta charset=utf-16le>\xc3\xa9", "utf-8"),
        (b"<?xml version='1.0' encoding='koi8-r'?><meta charset=bogus>\xc1", "koi8-r"),
    ],
)
def test_a_label_that_nobody_knows_is_passed_over(page, encoding):
    assert decode_page(page).encoding == encoding


@pytest.mark.parametrize(
    ("body", "label", "expected"),
    [
        (b"\x80\x81\xe9", "iso-8859-1", "€\x81é"),
        (b"\xe1\xd8\xdb", "windows-874", "แุ\ufffd"),  # one undefined byte is no reason to guess
        (b"a\x80", "x-user-defined", "a\uf780"),
        (b"\xb0\xa1", "KS_C_5601-1987", "가"),
        (b"\xf0\xe9", " WINDOWS-1251\t", "рй"),
    ],
)
def test_labels(body, label, expected):
    assert decode_page(b"<p>" + body, f'text/html; charset="{label}"').text == f"<p>{expected}"


def test_a_label_that_does_not_exist_is_no_label() -> None:
    body = b"<p>" + "Příliš žluťoučký kůň".encode("cp1250")
    assert decode_page(body, "text/html; charset=nonsense") == decode_page(body, "text/html")


@pytest.mark.parametrize(
    "head", [b"Just text", b"<h2>Ahoj</h2>", b"<svg></svg><p>", b"<?xml version='1.0'?><svg/>", b""]
)
def test_a_declared_page_is_one(head):
    assert kind_of(head, "text/html; charset=utf-8") == "html" and kind_of(head, "Application/XHTML+XML") == "html"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b" \n<!DOCTYPE html>", "html"), (b"<P>", "html"), (b"<pre>", "unknown"), (b"<!-- x -->", "html"),
        (b"<br/>", "html"),
        (b"<div><svg></svg>", "html"), (b"<svg xmlns=x>", "svg"), (b"\x0b<html>", "unknown"), (b"<html", "unknown"),
    ],
)  # fmt: skip
def test_sniffing(head, kind):
    assert sniff(head) == kind
    assert kind_of(b"\x89PNG\r\n\x1a\n", "text/html") == "png"


PAGE = "<html><img src=a.jpg alt='Kůň'></html>".encode()


def record(http: bytes, eol: bytes = b"\r\n", version: bytes = b"WARC/1.0") -> bytes:
    lines = [version, b"WARC-Type: response", b"WARC-Target-URI: http://a.example/", b"WARC-Date: 2026-01-01T00:00:00Z"]
    lines += [b"WARC-Record-ID: <urn:uuid:0>", b"Content-Type: application/http; msgtype=response"]
    return eol.join([*lines, b"Content-Length: %d" % len(http), b"", b""]) + http + b"\r\n\r\n"


def response(body: bytes = PAGE, eol: bytes = b"\r\n", **headers: str) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Type: text/html"]
    lines += [f"{name.replace('_', '-')}: {value}".encode() for name, value in headers.items()]
    return eol.join([*lines, b"", b""]) + body


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


SHAPES = {
    "plain": record(response()),
    "HTTP lines end with LF": record(response(eol=b"\n")),
    "WARC lines end with LF": record(response(), eol=b"\n"),
    "all lines end with LF": record(response(eol=b"\n"), eol=b"\n"),
    "WARC/0.18": record(response(), version=b"WARC/0.18"),
    "HTTP/2": record(response().replace(b"HTTP/1.1 200 OK", b"HTTP/2 200")),
    "a folded header": record(response(X_Long="a\r\n b")),
    "no HTTP header at all": record(PAGE),
    "encoding none": record(response(Content_Encoding="none")),
    "encoding UTF-8": record(response(Content_Encoding="UTF-8")),
    "raw deflate": record(response(raw_deflate(PAGE), Content_Encoding="deflate")),
    "zlib deflate": record(response(zlib.compress(PAGE), Content_Encoding="deflate")),
    "gzip called deflate": record(response(gzip.compress(PAGE), Content_Encoding="deflate")),
    "two gzip members": record(response(gzip.compress(PAGE[:9]) + gzip.compress(PAGE[9:]), Content_Encoding="gzip")),
    "gzip with rubbish behind it": record(response(gzip.compress(PAGE) + b"\0\0x", Content_Encoding="x-gzip")),
    "decoded already": record(response(Content_Encoding="gzip", Transfer_Encoding="chunked")),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_shapes_of_records(shape, pack, tmp_path):
    (tmp_path / "x.warc").write_bytes(pack(SHAPES[shape]))
    (page,) = read_warc(tmp_path / "x.warc")
    assert isinstance(page, Page) and page.body == PAGE


def test_a_record_that_inflates_without_end_is_too_large(tmp_path):
    packer = zlib.compressobj(9, wbits=31)
    http = response(b"")
    head = (
        record(http).partition(b"Content-Length")[0] + b"Content-Length: %d\r\n\r\n" % (len(http) + (100 << 20)) + http
    )
    bomb = packer.compress(head) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    (tmp_path / "x.warc.gz").write_bytes(gzip.compress(record(response())) + bomb + gzip.compress(record(response())))
    start = time.thread_time()
    found = list(read_warc(tmp_path / "x.warc.gz"))
    assert [isinstance(page, LostPage) and page.reason for page in found] == [False, "page_too_large", False]
    assert time.thread_time() - start < 60


def test_sizes():
    sizes = ["320", " 320px", "320.7", "+320", "50%", "", "x", "9" * 5000, "320 " + " \n" * 50_000]
    assert [declared_size({"width": size}, "width") for size in sizes] == [
        320,
        320,
        320,
        None,
        None,
        None,
        None,
        None,
        320,
    ]
    assert decode_body(b"", None, "gzip") == b""
