"""Kinds of pages, images, headers and rule files that attackers and broken sites serve, each with what must come of it.

`None` is "in the dataset"; anything else is part of the reason that names it, or several with a bar between them.
"""

import asyncio
import gzip
import io
import struct
import zlib
from functools import cache

import brotli
import numpy as np
from dataset_samples import picture
from hostile_server import Request, Route, hang, reply
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

SIZE = (320, 240)
METADATA = "http://169.254.169.254/"
COUNTED = "counted"  # in the report, and not named: there are too many such addresses
ALTS = "samaki soko mtoto mwanamke nyumba barabara mlima ziwa mti ndege gari kitabu shule chakula maji shamba".split()


def image(seed: int, kind: str = "JPEG", size: tuple[int, int] = SIZE, **options) -> bytes:
    return picture(seed, kind, size, **options)


def drawn(seed: int) -> Image.Image:
    return Image.open(io.BytesIO(image(seed, "PNG"))).convert("RGB")


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def alt_of(number: int) -> str:
    return f"Picha ya {ALTS[number % 16]} na {ALTS[(number * 7 + 3) % 16]} katika mji wa Mwanza {number}"


def page(number: int, source: str = "", before: str = "", alt: str = "", after: str = "", **more: str) -> bytes:
    """A Swahili page with one picture, `/i/NUMBER.jpg` unless another source is given."""
    attributes = "".join(f' {name}="{value}"' for name, value in more.items())
    return (
        f'<html lang="sw"><head><title>Picha {number}</title></head><body>{before}<p>Habari za leo kutoka Mwanza</p>'
        f'<img src="{source or f"/i/{number}.jpg"}"{attributes} alt="{alt or alt_of(number)}">{after}</body></html>'
    ).encode("utf-8", "surrogatepass")


def html(body: bytes, **headers: str) -> Route:
    return reply(body, **{"Content_Type": "text/html; charset=utf-8"} | headers)


def raw(*parts: bytes, pause: float = 0) -> Route:
    """A route that sends these bytes as they are, and closes the connection."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


def endless(head: bytes, block: bytes) -> Route:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(block)
            await writer.drain()
            await asyncio.sleep(0.01)

    return answer


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
GZIP_BOMB = zlib.compressobj(9, wbits=31)
GZIP_BOMB = GZIP_BOMB.compress(b"<p>maji" * 4_000_000) + GZIP_BOMB.flush()


def chunked(body: bytes, size: int = 50, ending: bytes = b"0\r\n\r\n", extension: bytes = b"") -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts) + ending


def chunks(body: bytes) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + body


def pages() -> dict[str, tuple[Route | None, str | None]]:
    """name -> (route, what must come of its picture). Numbers are the places in this table."""
    made: dict[str, tuple[Route, str | None]] = {}

    def number() -> int:
        return len(made)

    def good(name: str, body: bytes = b"", route: Route | None = None, **headers: str) -> None:
        made[name] = (route or html(body, **headers), None)

    def bad(name: str, route: Route, reason: str) -> None:
        made[name] = (route, reason)

    n = number
    # --- HTML
    good("nested figures", page(n(), before="<figure>" * 20_000))
    good("a caption without end", page(n(), before="<figure><figcaption>" + "maji " * 100_000))
    good("body tags with new attributes", page(n(), before="".join(f"<body a{i}=1>" for i in range(60_000))))
    opened = "".join(f"<b a{i}><p>" for i in range(600)) + "<p>x" * 30_000  # each paragraph has all <b> anew
    bad("formatting left open", html(page(n(), before=opened)), "page_too_large")
    good("tables in tables", page(n(), before="<table><tr><td>" * 5_000))
    good("in a table, not in a cell", page(n(), before="<table><tr>"))
    good("templates in templates", page(n(), before="<template>" * 20_000 + "</template>" * 20_000))
    good("languages that are none", page(n(), before='<div lang="!!">' * 5_000 + '<div lang="sw">'))
    good("image for img", page(n()).replace(b"<img", b"<image"))
    good("attributes without quotes", page(n()).replace(b'src="/i/', b"src=/i/").replace(b'.jpg"', b".jpg "))
    good("attributes twice", page(n(), src="/i/none.jpg", alt2="x"))
    good("a slash for a space", page(n()).replace(b"<img src", b"<img/src"))
    good("in noscript", page(n(), before="<noscript>", after="</noscript>"))
    good("in a select", page(n(), before="<div><select><option>a</select>"))
    good("in a drawing's foreignObject", page(n(), before="<svg><foreignObject>"))
    good("a drawing that a paragraph ends", page(n(), before="<svg><g><path>"))
    good("a frameset too late", page(n(), before="<frameset><frame>"))
    good("a meta refresh to itself", page(n(), before='<meta http-equiv="refresh" content="0; url=?">'))
    good("a title of a megabyte", page(n()).replace(b"<title>", b"<title>" + b"maji " * 200_000))
    good("a doctype in the middle", page(n(), before="<!DOCTYPE html [<!ENTITY a 'b'>]>"))
    good("billion laughs", b"<!DOCTYPE h [<!ENTITY a '&b;&b;'><!ENTITY b '&a;&a;'>]>" + page(n(), before="&a;"))
    good("a conditional comment", page(n(), before="<!--[if IE]><img src=x alt=y><![endif]--><![if !IE]>"))
    good("a comment that ends at once", page(n(), before="<!-->"))
    good("a script left open in a comment", page(n(), before="<script><!--<script></script>--></script>"))
    good("an abrupt end of the file", page(n()).partition(b"</body>")[0] + b"<!-- ")
    good("an XHTML title that is empty", b'<?xml version="1.0"?>' + page(n()).replace(b"<head>", b"<head><script/>"),
         Content_Type="application/xhtml+xml")  # fmt: skip
    # --- alt-texts
    good("numeric entities", page(n(), alt=alt_of(n()).replace("a", "&#97;").replace("i", "&#x69")))
    good("entities that are no characters", page(n(), alt=alt_of(n()) + "&#0;&#xD800;&#x110000;&#x80;&#99999999999;"))
    good("control characters", page(n(), alt="\x01\x1b" + alt_of(n()).replace(" ", "\x7f \u200b\u2060\ufeff")))
    good("soft hyphens", page(n(), alt=alt_of(n()).replace("katika", "ka\u00adti\u00adka")))
    good("no-break spaces and new lines", page(n(), alt=alt_of(n()).replace(" ", "\u00a0\n\t")))
    good("right-to-left marks", page(n(), alt="\u202e\u2066" + alt_of(n()) + "\u2069\u202c"))
    good("half a surrogate pair", page(n(), alt=alt_of(n()) + "\ud83d"))
    good("a combining mark first", page(n(), alt="\u0301" + alt_of(n())))
    bad("an alt-text of a megabyte", html(page(n(), alt="samaki mtoto nyumba " * 50_000)), "too_long|spam")
    bad(
        "a thousand combining marks", html(page(n(), alt="m" + "\u0301" * 5_000)), "too_long|too_short|no_letters|wrong"
    )
    good("a title of a megabyte on the image", page(n(), title="maji " * 200_000))
    # --- addresses of the picture
    good("srcset, spaces in the address", page(n(), srcset=f"/i/none 1.jpg 1x, /i/{n()}.jpg 2x"))
    good("srcset, negative and infinite", page(n(), srcset=f"/i/no.jpg -1x, /i/no.jpg 1e999x, /i/{n()}.jpg 9w".replace(
        "/i/no.jpg 1e999x, ", "")))  # fmt: skip
    good("srcset, digits without end", page(n(), srcset=f"/i/{n()}.jpg {'9' * 5_000}w, /i/no.jpg 100w"))
    good("srcset, parentheses left open", page(n(), srcset=f"/i/{n()}.jpg 2x, /i/no.jpg " + "(" * 50_000))
    good("srcset of data", page(n(), srcset="data:image/gif;base64,R0lGODlhAQABAAAAACw= 1x"))
    good("sizes without end", page(n(), srcset=f"/i/{n()}.jpg 900w", sizes="(min-width:" * 20_000))
    good("sources of another type", page(n(), before='<picture><source type="image/jxl" srcset="/i/none.jxl">'))
    good("fifty thousand sources", page(n(), before="<picture>" + '<source srcset="data:,x">' * 50_000))
    good("a base that is data", page(n(), before="<base href='data:,x'>"))
    good("a base that is a script", page(n(), before="<base href='javascript:alert(1)'>"))
    good("a base that is nothing, and another", page(n(), before="<base href=''><base href='/elsewhere/'>"))
    good("a base in a drawing", page(n(), before="<svg><base href='/elsewhere/'/></svg>"))
    good("tabs and new lines in the address", page(n(), f"/i/\n\t{n()}\n.jpg"))
    good("backslashes", page(n(), f"\\i\\{n()}.jpg"))
    good("dots", page(n(), f"/a/./b/../%2e%2e/i/{n()}.jpg"))
    good("a fragment of a megabyte", page(n(), f"/i/{n()}.jpg#" + "a" * 1_000_000))
    bad("an address of a megabyte", html(page(n(), f"/i/{n()}.jpg?" + "a" * 1_000_000)), COUNTED)
    bad("a file of this machine", html(page(n(), "file:///etc/passwd")), COUNTED)
    bad("a port beyond all", html(page(n(), f"http://127.0.0.1:65536/x{n()}.jpg")), COUNTED)
    bad("a zone of IPv6", html(page(n(), f"http://[fe80::1%25eth0]/x{n()}.jpg")), COUNTED)
    bad("link-local", html(page(n(), f"http://[fe80::1]/x{n()}.jpg")), "blocked_address")
    bad("metadata in IPv6", html(page(n(), f"http://[::ffff:169.254.169.254]/x{n()}.jpg")), "blocked_address")
    bad("metadata as one number", html(page(n(), f"http://2852039166/latest/x{n()}.jpg")), "blocked_address")
    bad("another network", html(page(n(), f"http://10.0.0.1/x{n()}.jpg")), "blocked_address")
    bad("a host that is too long", html(page(n(), f"http://{'a' * 64}.example/x{n()}.jpg")), "dns_error|bad_url")
    bad("a punycode that is none", html(page(n(), f"http://xn--a-ecp.ru/x{n()}.jpg")), "dns_error|url_invalid|bad_url")
    bad("a soft hyphen for a host", html(page(n(), f"http://\u00ad/x{n()}.jpg")), COUNTED)
    bad("a data picture", html(page(n(), "data:image/png;base64,iVBORw0KGgo=")), COUNTED)
    # --- encodings
    good("UTF-8's mark against a header", b"\xef\xbb\xbf" + page(n(), alt=alt_of(n()) + " ñandú"),
         Content_Type="text/html; charset=windows-1251")  # fmt: skip
    good("UTF-16 with its mark", page(n()).decode().encode("utf-16"), Content_Type="text/html; charset=iso-8859-1")
    good(
        "UTF-16 by the header alone", page(n()).decode().encode("utf-16-be"), Content_Type="text/html;charset=utf-16be"
    )
    good("a meta that lies", page(n(), before='<meta charset="utf-16le">'), Content_Type="text/html")
    good("a charset that is none", page(n()), Content_Type="text/html; charset=x-none; charset=utf-8")
    good("a charset of a megabyte", page(n(), before=f'<meta charset="{"x" * 1_000_000}">'))
    good("a charset in quotes", page(n()), Content_Type='text/html; charset="utf-8"')
    good("overlong UTF-8", page(n(), before="_").replace(b"_", b"\xc0\xaf\xed\xa0\x80\xf8\x88\x80\x80\x80"))
    good("escapes of ISO-2022-JP", page(n(), before="_").replace(b"_", b"\x1b$B\x1b(J" * 1_000))
    # --- bodies
    good("gzip of two members", gzip.compress(page(n())[:90]) + gzip.compress(page(n())[90:]), Content_Encoding="gzip")
    good("gzip with junk behind it", gzip.compress(page(n())) + b"junk", Content_Encoding="gzip")
    good("gzip without its last bytes", gzip.compress(page(n()))[:-6], Content_Encoding="gzip")
    bad("gzip that is none", html(page(n()), Content_Encoding="gzip"), "broken_encoding")
    good("x-gzip", gzip.compress(page(n())), Content_Encoding="X-GZip")
    good("deflate with a zlib header", zlib.compress(page(n())), Content_Encoding="deflate")
    twice = gzip.compress(gzip.compress(page(n())))
    bad("gzip twice", html(twice, Content_Encoding="gzip, gzip"), "unknown_encoding")
    bad("brotli that nobody asked for", html(brotli.compress(page(n())), Content_Encoding="br"), "unknown_encoding")
    bomb = brotli.compress(b"<p>maji" * 4_000_000, quality=1)
    bad("a brotli bomb", html(bomb, Content_Encoding="br"), "encoding")
    bad("a bomb of gzip in gzip", html(gzip.compress(GZIP_BOMB), Content_Encoding="gzip, gzip"), "too_large|encoding")
    bad("gzip broken in the middle", html(gzip.compress(page(n(), before="x" * 9_000))[:40] + b"\xff" * 90,
        Content_Encoding="gzip"), "encoding")  # fmt: skip
    good("chunks with extensions", route=raw(chunks(chunked(page(n()), extension=b';a="b"'))))
    good("chunks of one byte", route=raw(chunks(chunked(page(n()), size=1))))
    good("chunks with trailers", route=raw(chunks(chunked(page(n()), ending=b"0\r\nX: y\r\n\r\n"))))
    good("no length, closed", route=raw(HEAD + b"Connection: close\r\n\r\n" + page(n())))
    good("HTTP/1.0", route=raw(HEAD.replace(b"1.1", b"1.0") + b"\r\n" + page(n())))
    good("status without words", route=raw(HEAD.replace(b" OK", b"") + b"Connection: close\r\n\r\n" + page(n())))
    good("an early hint before", route=raw(b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n" + HEAD +
         b"Connection: close\r\n\r\n" + page(n())))  # fmt: skip
    bad("early hints without end", endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n"), "timeout")
    bad("chunks that end early", raw(chunks(chunked(page(n()), ending=b""))), "incomplete")
    bad("a chunk of a negative size", raw(chunks(b"-5\r\nhello\r\n0\r\n\r\n")), "incomplete|bad_response")
    bad("a chunk of all sizes", raw(chunks(b"f" * 40 + b"\r\nhello")), "incomplete|bad_response")
    bad("a chunk's extension without end", endless(chunks(b"5;"), b"a" * 4_000), "incomplete|bad_response|timeout")
    bad("less than its length", reply(page(n()), length=90_000, Content_Type="text/html"), "incomplete")
    bad("a negative length", raw(HEAD + b"Content-Length: -1\r\n\r\n" + page(n())), "bad_response")
    bad("a length of words", raw(HEAD + b"Content-Length: many\r\n\r\n" + page(n())), "bad_response")
    bad(
        "a length of 5,000 digits",
        raw(HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n" + page(n())),
        "bad_response|too_large|error",
    )
    bad(
        "two lengths",
        raw(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + page(n())),
        "bad_response|incomplete|wrong_kind",
    )
    # --- headers
    good("a cookie of a kilobyte, ten times", route=raw(HEAD + b"Set-Cookie: a=" + b"b" * 700 + b"\r\n" +
         b"Set-Cookie: =\r\n" * 9 + b"Connection: close\r\n\r\n" + page(n())))  # fmt: skip
    good("dates that are none", page(n()), Last_Modified="31 Feb 0000 25:61:61 X", Date="99999999999", Expires="-1",
         ETag="'" * 900, Retry_After="1e309", Age="-1")  # fmt: skip
    good("languages without end", page(n()), Content_Language="sw, " * 500)
    good("a type of another case", page(n()), Content_Type="TEXT/HTML;CHARSET=UTF-8")
    good("no type", route=reply(page(n())))
    good("a type that is none", route=reply(page(n()), Content_Type="html"))
    good("plain text that is a page", route=reply(page(n()), Content_Type="text/plain"))
    good("types twice", route=raw(HEAD + b"Content-Type: text/html\r\nConnection: close\r\n\r\n" + page(n())))
    bad("a header with a null byte", raw(HEAD + b"X: a\0b\r\nConnection: close\r\n\r\n" + page(n())), "bad_response")
    bad("a header line of a megabyte", raw(HEAD + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n" + page(n())), "bad_response")
    bad("headers without end", endless(HEAD, b"X: y\r\n" * 100), "timeout|bad_response")
    bad("a name of a header without end", endless(HEAD, b"a" * 1_000), "timeout|bad_response")
    bad("no HTTP", raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "bad_response|incomplete")
    bad("TLS on a plain port", raw(b"\x15\x03\x01\x00\x02\x02\x46"), "bad_response|incomplete")
    bad("a status of four digits", raw(b"HTTP/1.1 2000 OK\r\n\r\n" + page(n())), "bad_response|http_")
    bad("a status of 999", raw(b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n"), "http_999")
    bad("206 that nobody asked for", raw(b"HTTP/1.1 206 OK\r\nContent-Length: 0\r\n\r\n"), "http_206")
    bad("304 that nobody asked for", raw(b"HTTP/1.1 304 OK\r\n\r\n"), "http_304")
    bad(
        "101",
        raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        "http_101|bad_response|incomplete|timeout",
    )
    bad("nothing, closed", raw(b""), "incomplete")
    # --- redirects
    for place, reason in (
        ("javascript:alert(1)", "bad_redirect"),
        ("data:text/html,<img src=x alt=y>", "bad_redirect"),
        ("file:///etc/passwd", "bad_redirect"),
        ("ftp://127.0.0.1/", "bad_redirect"),
        ("", "bad_redirect"),
        ("http://", "bad_redirect"),
        ("http://[::1", "bad_redirect"),
        ("http://127.0.0.1:99999/", "bad_redirect"),
        ("http://127.1:0/", "bad_redirect"),
        ("http://[::ffff:a9fe:a9fe]/", "blocked_address"),
        ("http://[64:ff9b::a9fe:a9fe]/", "blocked_address"),
        ("//0xa9fea9fe/", "blocked_address"),
        ("http://100.100.100.200/", "blocked_address"),
        ("http://192.168.0.1/admin", "blocked_address"),
        ("/a?" + "a" * 3_000, "bad_redirect"),
        ("https://127.0.0.1:1/", "connect_error|robots"),
    ):
        bad(f"to {place[:40]}", reply(status=302, Location=place), reason)
    bad("a redirect without a place", reply(status=301), "bad_redirect")
    bad("300", reply(status=300, Location="/"), "http_300")
    good("a redirect to a place in words", route=reply(status=302, Location=" /moved page/%zz\u00e9 "))
    good("a redirect with a body", route=reply(b"x" * 100_000, status=307, Location="//127.0.0.2:{port}/moved/2"))
    return made


@cache
def png_with(*chunks_before_data: tuple[bytes, bytes], seed: int, mend: bool = True) -> bytes:
    data = image(seed, "PNG")
    extra = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) if mend else 1)
        for kind, body in chunks_before_data
    )
    return data[:33] + extra + data[33:]


def png_header(width: int, height: int) -> bytes:
    body = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", body) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def many_scans(megabytes: float, side: int = 2000) -> bytes:
    """A progressive JPEG whose last scan comes again and again: minutes of work a megabyte."""
    data = saved(Image.radial_gradient("L").resize((side, side)), "JPEG", progressive=True, quality=10)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    return data[:-2] + scan * int(megabytes * 1_000_000 / len(scan)) + data[-2:]


def images() -> dict[str, tuple[Route, str | None]]:
    """name -> (route of the picture, what must come of it)."""
    made: dict[str, tuple[Route, str | None]] = {}

    def add(name: str, body: bytes, reason: str | None = None, **headers: str) -> None:
        made[name] = (reply(body, **headers), reason)

    def seed() -> int:
        return 1_000 + len(made)

    s = seed
    add("JPEG called a page", image(s()), Content_Type="text/html")
    add("PNG called JPEG", image(s(), "PNG"), Content_Type="image/jpeg")
    add("a picture called words", image(s(), "WEBP"), Content_Type="\u00ff\u00fe")
    add("a page called JPEG", b"<!DOCTYPE html><html><p>403", "wrong_kind", Content_Type="image/jpeg")
    add("JSON called PNG", b'{"error": "no"}' * 200, "wrong_kind", Content_Type="image/png")
    add("CMYK", saved(drawn(s()).convert("CMYK"), "JPEG"))
    add("16 bits", saved(Image.fromarray(np.asarray(drawn(s()).convert("L")).astype("uint16") * 257), "PNG"))
    add("1 bit", saved(drawn(s()).convert("1"), "PNG"))
    add("palette and transparency", saved(drawn(s()).convert("P"), "PNG", transparency=3))
    add("on its side", image(s(), exif=exif(6)))
    add("an orientation that is none", image(s(), exif=exif(77)))
    add("EXIF that is none", image(s(), exif=b"Exif\0\0" + b"\xff" * 5_000))
    add(
        "EXIF that points to itself",
        image(s(), exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"),
    )
    add("progressive", image(s(), progressive=True))
    add("GIF", image(s(), "GIF"))
    add("AVIF", image(s(), "AVIF"))
    add("BMP", image(s(), "BMP"))
    add(
        "a bomb of a comment",
        png_with((b"zTXt", b"Comment\0\0" + zlib.compress(bytes(70_000_000), 9)), seed=s()),
        "image_broken",
    )
    add(
        "a bomb of a profile",
        png_with((b"iCCP", b"p\0\0" + zlib.compress(bytes(70_000_000), 9)), seed=s()),
        "image_broken|",
    )
    add("a private chunk", png_with((b"prVt", bytes(1_000)), seed=s()))
    add("junk behind the end", image(s()) + b"<html>" * 10_000)
    add(
        "a chunk with a wrong sum",
        png_with((b"gAMA", b"\0\0\xb1\x8f"), seed=s(), mend=False),
        "image_broken|image_format",
    )
    add("a chunk longer than the file", image(s(), "PNG")[:60] + b"\x7f\xff\xff\xffIDAT", "image_broken")
    add("PNG of all sizes", png_header(2**31 - 1, 2**31 - 1), "image_too_large")
    add("PNG of 7,900 a side without pixels", png_header(7_900, 7_900), "image_broken")
    add("PNG of no size", png_header(0, 0), "image_broken|image_format|image_too_small")
    add("a screen of 65,535", image(s(), "GIF")[:6] + b"\xff\xff\xff\xff" + image(s(), "GIF")[10:], "image_too_large")
    add("JPEG of 65,500", resized(image(s())), "image_too_large|image_broken")
    add("animated GIF", saved(drawn(s()), "GIF", save_all=True, append_images=[drawn(s() + 500)]), "image_animated")
    add("animated WebP", saved(drawn(s()), "WEBP", save_all=True, append_images=[drawn(s() + 500)]), "image_animated")
    add("animated PNG", saved(drawn(s()), "PNG", save_all=True, append_images=[drawn(s() + 500)]), "image_animated")
    add("animated AVIF", saved(drawn(s()), "AVIF", save_all=True, append_images=[drawn(s() + 500)]), "image_animated")
    add("AVIF cut off", image(s(), "AVIF")[:900], "image_broken|image_format")
    add("AVIF of nothing", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\xff" * 500, "image_broken|image_format")
    add("WebP cut off", image(s(), "WEBP")[:900], "image_broken")
    add("WebP whose length lies", b"RIFF\xff\xff\xff\xffWEBP" + image(s(), "WEBP")[12:], "image_broken|")
    add("half a JPEG", image(s())[:9_000], "image_broken")
    add(
        "JPEG without tables",
        b"\xff\xd8\xff\xc0\0\x11\x08\x01\0\x01\0\x03\x01\x22\0\x02\x11\0\x03\x11\0\xff\xd9" + bytes(900),
        "image_broken" if features.version("pil") >= "12" else "image_format",  # what it opens at all
    )
    add(
        "SVG",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='999999999'/>",
        "wrong_kind",
        Content_Type="image/svg+xml",
    )
    add("an SVG of laughs", b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a '&b;&b;'>]><svg>&a;</svg>", "wrong_kind")
    add("ICO", saved(drawn(s()), "ICO"), "wrong_kind")
    add("TIFF", saved(drawn(s()), "TIFF"), "wrong_kind")
    add("JPEG XL", b"\xff\x0a" + bytes(900), "wrong_kind")
    add("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(900), "wrong_kind")
    add("PDF", b"%PDF-1.4\n" + bytes(900), "wrong_kind")
    add("a film", b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2" + bytes(900), "wrong_kind")
    add("gzip without a word", gzip.compress(image(s())), "wrong_kind")
    add("gzip and said", gzip.compress(image(s())), Content_Encoding="gzip")
    add("one byte", b"\xff", "wrong_kind")
    add("magic alone", b"\xff\xd8\xff", "image_broken|image_format")
    add("one colour", saved(Image.new("RGB", SIZE, "red"), "PNG"), "image_one_colour")
    add("a strip", image(s(), "PNG", (900, 210)), "image_aspect")
    add("scans without end", many_scans(0.1), "image_too_slow")
    add("words in a chunk", saved(drawn(s()), "PNG", pnginfo=words()))
    made["hangs"] = (hang, "timeout")
    made["cut as it says"] = (reply(image(seed())[:4_000]), "image_broken")
    made["a redirect to a picture of this machine"] = (
        reply(status=302, Location="file:///etc/hostname"),
        "bad_redirect",
    )
    return made


def words() -> PngInfo:
    info = PngInfo()
    info.add_itxt("Comment", "maji " * 100_000, zip=True)
    return info


def exif(orientation: int) -> bytes:
    found = Image.Exif()
    found[0x0112] = orientation
    return found.tobytes()


def resized(data: bytes) -> bytes:
    """A JPEG whose header says 65,500 x 65,500."""
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", 65_500, 65_500) + data[at + 9 :]


RULES = b"User-agent: *\nDisallow: /i/\n"
AI_RULES = b"User-agent: *\nContent-Usage: train-ai=n\n"


def rule_files() -> dict[str, tuple[dict[str, Route], str | None]]:
    """name -> (rule files of a host, what must come of the picture on it)."""
    robots = lambda body, **more: {"/robots.txt": reply(body, **more)}  # noqa: E731
    tdm = lambda body, **more: {"/.well-known/tdmrep.json": reply(body, **more)}  # noqa: E731
    no = "robots_disallow"
    return {
        "ten megabytes, forbidden at once": (robots(RULES + b"# x\n" * 2_500_000), no),
        "a line of ten megabytes": (robots(b"x" * 400_000 + b"\n" + RULES), no),
        "a mark of UTF-8": (robots(b"\xef\xbb\xbf" + RULES), no),
        "UTF-16 with a mark": (robots(RULES.decode().encode("utf-16")), no),
        "UTF-16BE with a mark": (robots(b"\xfe\xff" + RULES.decode().encode("utf-16-be")), no),
        "null bytes": (robots(b"\0\0" + RULES), no),
        "gzip": (robots(gzip.compress(RULES), Content_Encoding="gzip"), no),
        "a bomb": (robots(gzip.compress(RULES + bytes(50_000_000)), Content_Encoding="gzip"), no),
        "brotli": (robots(brotli.compress(RULES), Content_Encoding="br"), "robots_disallow|robots_unavailable"),
        "called a page": (robots(RULES, Content_Type="text/html"), no),
        "a page": (robots(b"<html><body>Disallow: /</body></html>", Content_Type="text/html"), None),
        "a picture": (robots(image(5), Content_Type="image/png"), None),
        "moved": ({"/robots.txt": reply(status=301, Location="/r.txt"), "/r.txt": reply(RULES)}, no),
        "moved in a circle": ({"/robots.txt": reply(status=301, Location="/robots.txt")}, None),
        "moved to metadata": ({"/robots.txt": reply(status=301, Location=METADATA)}, "blocked_address"),
        "moved to a file": ({"/robots.txt": reply(status=301, Location="file:///etc/passwd")}, None),
        "500": ({"/robots.txt": reply(status=500)}, "robots_unavailable"),
        "403": ({"/robots.txt": reply(status=403)}, None),
        "401 and 451": ({"/robots.txt": reply(status=451)}, None),
        "429": ({"/robots.txt": reply(status=429)}, "robots_unavailable"),
        "503, later": ({"/robots.txt": reply(status=503, Retry_After="9" * 20)}, "robots_unavailable|gave_up"),
        "hangs": ({"/robots.txt": hang}, "robots_unavailable"),
        "without end": ({"/robots.txt": endless(b"HTTP/1.1 200 OK\r\n\r\n", RULES * 500)}, no),
        "closed": ({"/robots.txt": raw(b"")}, "robots_unavailable"),
        "a crawl delay of a year": (robots(b"User-agent: *\nCrawl-delay: 31536000\n"), "crawl_delay_too_long"),
        "a crawl delay that is none": (robots(b"User-agent: *\nCrawl-delay: -1e999\nCrawl-delay: nan"), None),
        "stars": (robots(b"User-agent: *\nDisallow: /" + b"*a" * 5_000 + b"$\n"), None),
        "a thousand rules with stars": (robots(b"User-agent: *\n" + b"Disallow: /*i*j*k*l*m*n*o*p*q$\n" * 5_000), None),
        "ten thousand groups": (robots(b"User-agent: x\nDisallow: /\n" * 10_000 + RULES), no),
        "AIPREF": (robots(AI_RULES), "reserved_content_usage"),
        "TDMRep": (tdm(b'[{"location": "/*", "tdm-reservation": 1}]'), "reserved_tdm"),
        "TDMRep with a mark": (tdm(b'\xef\xbb\xbf[{"location": "/", "tdm-reservation": "1"}]'), "reserved_tdm"),
        "TDMRep in UTF-16": (tdm('[{"location": "/", "tdm-reservation": 1}]'.encode("utf-16")), "reserved_tdm"),
        "TDMRep, deep": (tdm(b"[" * 100_000), None),
        "TDMRep, one object": (tdm(b'{"location": "/", "tdm-reservation": 1}'), "reserved_tdm"),
        "TDMRep, numbers": (tdm(b'[{"location": 5, "tdm-reservation": 1e999}, 7, null, {"location": "/x"}]'), None),
        "TDMRep, digits without end": (tdm(b'[{"location": "/", "tdm-reservation": ' + b"9" * 10_000 + b"}]"), None),
        "TDMRep, stars": (tdm(b'[{"location": "/' + b"*a" * 50_000 + b'", "tdm-reservation": 1}]'), None),
        "TDMRep, 5xx": ({"/.well-known/tdmrep.json": reply(status=500)}, "robots_unavailable"),
        "ai.txt": ({"/ai.txt": reply(b"User-Agent: *\nDisallow: *.jpg\n")}, "reserved_ai_txt"),
        "ai.txt is a page": ({"/ai.txt": html(b"<html>Disallow: /")}, None),
    }  # fmt: skip
