"""Resolve the addresses of a page to URLs as the WHATWG URL Standard does, with the parser of Node.js (ada)."""

import re
from functools import lru_cache

import ada_url

MAX_URL = 2000  # characters; longer ones are generated, and servers refuse them
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_NO_PORT = re.compile(r"https?://[^/]*:0/")
# The query of a page in one of these is in UTF-8 all the same (URL Standard, "get an output encoding").
_WRITTEN_AS_UTF8 = frozenset(("utf-8", "utf-16le", "utf-16be", "replacement"))


def absolute_url(base: str, address: str, encoding: str = "utf-8") -> tuple[str | None, str | None]:
    """(absolute URL, None), or (None, reason): `source_not_http` or `url_invalid`.

    The URL has no fragment. What was percent-encoded stays as it was sent: signed addresses hold for their bytes.

    Args:
        encoding: of the page, by its WHATWG name: what its queries are written in.
    """
    if encoding not in _WRITTEN_AS_UTF8 and "?" in address and not address.isascii():
        address = _with_query_in(address, encoding)
    try:
        url: str = ada_url.join_url(base, address) if base else ada_url.normalize_url(address)
    except ValueError:
        return None, "url_invalid"
    if not url.startswith(("http://", "https://")):
        return None, "source_not_http"
    url = url.partition("#")[0] if "#" in url else url
    if len(url) > MAX_URL or _NO_PORT.match(url):
        return None, "url_invalid"
    return url, None


def _with_query_in(address: str, encoding: str) -> str:
    """An address whose query is percent-encoded in the encoding of its page; the URL parser would take UTF-8.

    https://url.spec.whatwg.org/#string-percent-encode-after-encoding
    """
    path, mark, query = address.partition("?")
    codec = _encoder(encoding)
    if codec is None:
        return address
    return path + mark + _BEYOND_ASCII.sub(lambda found: _percent(found[0], codec), query)


@lru_cache(maxsize=64)
def _encoder(encoding: str) -> str | None:
    """Python's codec for an encoding of the Standard."""
    import webencodings

    found = webencodings.lookup(encoding)
    if found is None or encoding == "x-user-defined":
        return None
    return {"shift_jis": "cp932", "big5": "big5hkscs", "gbk": "gb18030"}.get(encoding, str(found.codec_info.name))


def _percent(text: str, codec: str) -> str:
    """A text as percent-encoded bytes; a character that the encoding lacks as a numeric reference, as forms send it."""
    written = text.encode(codec, "xmlcharrefreplace")
    return "".join(chr(byte) if 0x30 <= byte <= 0x39 or 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A else f"%{byte:02X}"
                   for byte in written)  # fmt: skip
