"""Remove metadata from an encoded image without decoding or recompressing it.

Cameras and editors write names, places, serial numbers and comments into files. The pixels, and what is needed to show
them (ICC profile, Adobe's colour transform, gamma, transparency), are kept. Everything else is removed, also what
follows the end of the picture, such as the further frames of a camera's MPO file with GPS positions of their own.
"""

import re
import struct
from collections.abc import Iterator

from mella_hf.images.opening import Rejected

_JPEG_KEEP_APP = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}  # by marker, how they must begin
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")  # one with a length; within a scan only restarts occur
# Besides the critical ones: chunks of the PNG specification, third edition, that define how to show the picture.
_PNG_KEEP = frozenset(
    b"tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT".split()
)  # fmt: skip
_WEBP_KEEP = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP"})
_WEBP_FLAGS = 0b0000_1100  # flags of VP8X for EXIF and XMP
_GIF_GRAPHIC_CONTROL = 0xF9


def strip_metadata(data: bytes, image_format: str) -> bytes:
    """Remove the metadata of an image with one frame; without metadata, the bytes are unchanged.

    Args:
        image_format: as Pillow names it: "JPEG", "PNG", "WEBP", "GIF" or "BMP"; an AVIF must be encoded anew.

    Raises:
        Rejected: `image_broken`, if the file's segments are not consistent.
    """
    formats = {"JPEG": _jpeg_segments, "PNG": _png_chunks, "WEBP": _webp_chunks, "GIF": _gif_blocks, "BMP": _bmp_file}
    strip = formats[image_format]
    try:
        return b"".join(strip(data))
    except (struct.error, IndexError) as error:
        raise Rejected("image_broken", f"{image_format} segments: {error}") from error


def _jpeg_segments(data: bytes) -> Iterator[bytes]:
    """The segments to keep, up to the picture's end. What stands between segments goes: decoders pass over it."""
    yield data[:2]
    at = 2
    while True:
        found = _JPEG_MARKER.search(data, at)
        if found is None:
            raise IndexError(f"no marker behind byte {at}")
        at = found.start()
        marker = data[at + 1]
        if marker == 0xD9:
            yield data[at : at + 2]
            return
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            end = at + 2 + length
            if marker == 0xDA:
                found = _JPEG_MARKER.search(data, end)
                if found is None:  # cut off; decoding shows whether that matters
                    yield data[at:]
                    return
                end = found.start()
            if marker in _JPEG_KEEP_APP:
                is_kept = data.startswith(_JPEG_KEEP_APP[marker], at + 4)
            else:
                is_kept = not 0xE0 <= marker <= 0xEF and marker != 0xFE  # a comment
            if is_kept:
                yield data[at:end]
            at = end


def _png_chunks(data: bytes) -> Iterator[bytes]:
    """The critical chunks (first letter is a capital) and the other chunks to keep, up to IEND."""
    yield data[:8]
    at = 8
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind[:1].isupper() or kind in _PNG_KEEP:
            yield data[at:end]
        at = end


def _webp_chunks(data: bytes) -> Iterator[bytes]:
    """The header with the new size, and the chunks to keep, up to the end given in the header."""
    kept = []
    at = 12
    last = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    while at + 8 <= last:
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        chunk = data[at:end]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_FLAGS]) + chunk[9:]
        if kind in _WEBP_KEEP:
            kept.append(chunk)
        at = end
    body = b"".join(kept)
    yield data[:4] + struct.pack("<I", 4 + len(body)) + data[8:12] + body


def _gif_blocks(data: bytes) -> Iterator[bytes]:
    """All blocks up to the trailer, except extensions other than graphic control (which has the transparency)."""
    at = 13 + _gif_colours(data[10])
    yield data[:at]
    while at < len(data) and data[at] != 0x3B:
        start = at
        if data[at] == 0x21:
            is_kept = data[at + 1] == _GIF_GRAPHIC_CONTROL
            at += 2
        elif data[at] == 0x2C:
            is_kept = True
            at += 11 + _gif_colours(data[at + 9])  # the descriptor, its colours, the size of codes
        else:
            raise IndexError(f"no block at byte {at}")
        while size := data[at]:
            at += 1 + size
        at += 1
        if is_kept:
            yield data[start:at]
    yield b";"


def _gif_colours(packed: int) -> int:
    """Size of the colour table in bytes, from a packed field."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def _bmp_file(data: bytes) -> Iterator[bytes]:
    """The file up to the length that its header tells; a BMP has no place for metadata but behind that."""
    (length,) = struct.unpack_from("<I", data, 2)
    (pixels,) = struct.unpack_from("<I", data, 10)
    yield data[:length] if pixels < length < len(data) else data  # some writers leave the length 0
