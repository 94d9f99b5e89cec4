"""Find what the metadata of an image says against its use for machine learning.

- `plus`: the property `plus:DataMining` of IPTC Photo Metadata 2023.1 and PLUS, in XMP, with a value that prohibits
  (https://ns.useplus.org/LDF/ldf-XMPSpecification#DataMining).
- `c2pa`: an assertion `c2pa.training-mining` or `cawg.training-mining` of Content Credentials, in which training or
  data mining is "notAllowed" or "constrained" (C2PA 1.4, 18.12; CAWG Training and Data Mining 1.1). The signature is
  not checked: a claim is honoured whoever made it.

Nothing is decoded as XML, CBOR or JSON: the words stand in plain bytes, wherever a file has its metadata.
"""

import re
import struct
import zlib
from collections.abc import Iterator

_PROHIBITED = re.compile(rb"DMI-PROHIBITED")
_WIDE = re.compile(rb"D\0M\0I\0-\0P\0R\0O\0H\0I\0B\0I\0T\0E\0D\0")  # XMP may be UTF-16
_ASSERTION = re.compile(rb"(?:c2pa|cawg)\.training-mining")
_USE = re.compile(rb"(?:c2pa|cawg)\.(ai_generative_training|ai_training|data_mining|ai_inference)")
_NOT_ALLOWED = re.compile(rb"notAllowed|constrained")
_ENTRY_BYTES = 512  # of one entry, a constraint's text included
_MAX_TEXT = 1 << 20  # of a compressed chunk, inflated


def image_opt_outs(data: bytes) -> list[str]:
    """The opt-outs of an encoded image: "plus", "c2pa", both or none. Never fails; linear in the bytes."""
    parts = [data, *_inflated(data)]
    found = ["plus"] if any(_PROHIBITED.search(part) or _WIDE.search(part) for part in parts) else []
    if _ASSERTION.search(data) and _forbids(_joined(data)):
        found.append("c2pa")
    return found


def _forbids(data: bytes) -> bool:
    """Whether an entry on training or data mining says no."""
    entries = list(_USE.finditer(data))
    for number, entry in enumerate(entries):
        end = entries[number + 1].start() if number + 1 < len(entries) else len(data)
        said = _NOT_ALLOWED.search(data, entry.end(), min(end, entry.end() + _ENTRY_BYTES))
        if said and entry[1] != b"ai_inference":
            return True
    return False


def _joined(data: bytes) -> bytes:
    """A JPEG's boxes without the headers of the segments that cut them (ISO/IEC 19566-5, D.2); else the data."""
    if not data.startswith(b"\xff\xd8"):
        return data
    parts: list[bytes] = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        if data[at + 1] == 0xEB:  # APP11: identifier, number, place in the sequence, then a copy of the box's header
            parts.append(data[at + 12 : at + 2 + length] if not parts else data[at + 20 : at + 2 + length])
        at += 2 + max(2, length)
    return b"".join(parts) or data


def _inflated(data: bytes) -> Iterator[bytes]:
    """The compressed texts of a PNG, in which XMP may be hidden."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at + 8 : at + 8 + length]
        if kind in (b"iTXt", b"zTXt"):
            start = chunk.find(b"\x78")
            while 0 <= start < 200:  # behind a keyword and two languages, none of which is compressed
                try:
                    yield zlib.decompressobj().decompress(chunk[start:], _MAX_TEXT)
                    break
                except zlib.error:
                    start = chunk.find(b"\x78", start + 1)
        at += 12 + length
