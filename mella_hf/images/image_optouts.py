"""Find what the metadata of an image says against its use for machine learning.

- `plus`: the property `plus:DataMining` of IPTC Photo Metadata 2023.1 and PLUS, in XMP, with a value that prohibits
  (https://ns.useplus.org/LDF/ldf-XMPSpecification#DataMining), in any case of letters.
- `c2pa`: an assertion `c2pa.training-mining` or `cawg.training-mining` of Content Credentials, in which training or
  data mining is "notAllowed" or "constrained" (C2PA 1.4, 18.12; CAWG Training and Data Mining 1.1). The signature is
  not checked: a claim is honoured whoever made it.

Nothing is decoded as XML, CBOR or JSON: the words stand in plain bytes, wherever a file has its metadata, also where
that is malformed. What a format cuts into pieces is joined first.
"""

import re
import struct
import zlib
from collections.abc import Iterator

# The word in UTF-8, UTF-16 and UTF-32. Zero bytes stand only between its letters, so big and little endian both match.
_PROHIBITED = tuple(("\0" * zeros).join("DMI-PROHIBITED").encode() for zeros in (0, 1, 3))
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"  # of XMP over 64 kB in a JPEG
_EXTENSION_HEAD = len(_EXTENSION) + 32 + 4 + 4  # its name, whole length and the place of the piece follow
_ASSERTION = re.compile(rb"(?:c2pa|cawg)\.training-mining")
_USE = re.compile(rb"(?:c2pa|cawg)\.(ai_generative_training|ai_training|data_mining|ai_inference)")
_NOT_ALLOWED = re.compile(rb"notAllowed|constrained")
_ENTRY_BYTES = 512  # of one entry, a constraint's text included
_MAX_TEXT = 1 << 20  # of a compressed chunk, inflated
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})*+")


def image_opt_outs(data: bytes) -> list[str]:
    """The opt-outs of an encoded image: "plus", "c2pa", both or none. Never fails; linear in the bytes."""
    found = ["plus"] if any(_prohibits(part) for part in (data, *_hidden(data))) else []
    boxes = _boxes(data)
    if _ASSERTION.search(boxes) and _forbids(boxes):
        found.append("c2pa")
    return found


def _prohibits(part: bytes) -> bool:
    upper = part.upper().replace(b"&#45;", b"-").replace(b"&#X2D;", b"-")  # XML may write the hyphen by its number
    return any(upper.find(value) >= 0 for value in _PROHIBITED)


def _hidden(data: bytes) -> Iterator[bytes]:
    """Metadata that does not stand in one piece, or is packed."""
    if data.startswith(b"\xff\xd8"):
        pieces = [piece for marker, piece in _segments(data) if marker == 0xE1 and piece.startswith(_EXTENSION)]
        yield b"".join(piece[_EXTENSION_HEAD:] for piece in sorted(pieces, key=lambda p: p[:_EXTENSION_HEAD]))
    elif data.startswith(b"GIF8"):
        yield _gif_extensions(data)
    else:
        yield from _png_texts(data)


def _forbids(data: bytes) -> bool:
    """Whether an entry on training or data mining says no."""
    entries = list(_USE.finditer(data))
    for number, entry in enumerate(entries):
        end = entries[number + 1].start() if number + 1 < len(entries) else len(data)
        said = _NOT_ALLOWED.search(data, entry.end(), min(end, entry.end() + _ENTRY_BYTES))
        if said and entry[1] != b"ai_inference":
            return True
    return False


def _boxes(data: bytes) -> bytes:
    """The boxes of Content Credentials without what cuts them: a JPEG's segments (ISO/IEC 19566-5, D.2) or a GIF's
    blocks. Elsewhere they stand in one piece, in the data."""
    if data.startswith(b"GIF8"):
        return _gif_extensions(data)
    if not data.startswith(b"\xff\xd8"):
        return data
    parts: list[bytes] = []
    for marker, piece in _segments(data):
        if marker == 0xEB:  # identifier, number, place in the sequence, then a copy of the box's header
            parts.append(piece[8 if not parts else 16 :])
    return b"".join(parts) or data


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, content) of a JPEG's segments before its picture."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield data[at + 1], data[at + 4 : at + 2 + length]
        at += 2 + max(2, length)


def _gif_extensions(data: bytes) -> bytes:
    """The content of a GIF's application and comment extensions, without the lengths of their blocks."""
    parts: list[bytes] = []
    at = 13 + (3 << (data[10] & 7) + 1 if data[10:11] and data[10] & 0x80 else 0)
    while at + 2 < len(data) and data[at] in (0x21, 0x2C):
        is_extension = data[at] == 0x21 and data[at + 1] in (0xFE, 0xFF)
        if data[at] == 0x21:
            at += 2
        elif at + 10 < len(data):  # the descriptor of a picture, its colours, the size of codes
            at += 11 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
        else:
            break
        while at < len(data) and data[at]:
            if is_extension:
                parts.append(data[at + 1 : at + 1 + data[at]])
            at += 1 + data[at]
        at += 1
    return b"".join(parts)


def _png_texts(data: bytes) -> Iterator[bytes]:
    """The texts of a PNG in which XMP may be packed: by zlib, or in hexadecimal digits, as ImageMagick writes them."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"iTXt", b"zTXt", b"tEXt"):
            chunk = data[at + 8 : at + 8 + length]
            text = _inflated(chunk) if kind != b"tEXt" else chunk.partition(b"\0")[2]
            yield text
            if chunk.startswith(b"Raw profile type "):
                digits = b"".join(text.split(b"\n", 3)[-1].split())  # behind an empty line, the type and the length
                yield bytes.fromhex(_HEX.match(digits)[0].decode())  # type: ignore[index]
        at += 12 + length


def _inflated(chunk: bytes) -> bytes:
    """The packed text of a chunk; it begins behind a keyword and two languages, none of which is packed."""
    start = chunk.find(b"\x78")
    while 0 <= start < 200:
        try:
            return zlib.decompressobj().decompress(chunk[start:], _MAX_TEXT)
        except zlib.error:
            start = chunk.find(b"\x78", start + 1)
    return b""
