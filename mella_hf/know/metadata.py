"""Encoded image bytes enter; the same picture without its metadata leaves, not decoded and not recompressed.

Cameras and editors write names, places, serial numbers and comments into files. Pixels and what their display needs
(ICC profile, Adobe's colour transform, gamma, transparency) stay.
"""

import struct
from collections.abc import Iterator

from mella_hf.dataset.images import Rejected

_JPEG_KEEP_APP = frozenset({0xE0, 0xE2, 0xEE})  # JFIF, ICC profile, Adobe
_PNG_DROP = frozenset({b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"})
_WEBP_DROP = frozenset({b"EXIF", b"XMP "})
_WEBP_FLAGS = 0b0000_1100  # of VP8X: EXIF and XMP are there


def strip_metadata(data: bytes, image_format: str) -> bytes:
    """An image without metadata; the very bytes when there is none. Other formats than these three stay as they are.

    Args:
        image_format: as Pillow names it: "JPEG", "PNG", "WEBP".

    Raises:
        Rejected: `image_broken`, when the file's segments do not add up.
    """
    try:
        if image_format == "JPEG":
            return b"".join(_jpeg_segments(data))
        if image_format == "PNG":
            return data[:8] + b"".join(chunk for kind, chunk in _png_chunks(data) if kind not in _PNG_DROP)
        if image_format == "WEBP":
            return _strip_webp(data)
    except (struct.error, IndexError) as error:
        raise Rejected("image_broken", f"{image_format} segments: {error}") from error
    return data


def _jpeg_segments(data: bytes) -> Iterator[bytes]:
    """The segments to keep. From the first scan on, everything: what follows is pixels."""
    yield data[:2]
    at = 2
    while True:
        marker = data[at + 1]
        if data[at] != 0xFF:
            raise IndexError(f"no marker at byte {at}")
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0xDA:
            yield data[at:]
            return
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            end = at + 2 + length
            is_app = 0xE0 <= marker <= 0xEF
            if marker != 0xFE and (not is_app or marker in _JPEG_KEEP_APP):  # 0xFE: comment
                yield data[at:end]
            at = end


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, whole chunk), up to IEND."""
    at = 8
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at : at + 12 + length]
        at += 12 + length


def _strip_webp(data: bytes) -> bytes:
    kept = []
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        chunk = data[at:end]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_FLAGS]) + chunk[9:]
        if kind not in _WEBP_DROP:
            kept.append(chunk)
        at = end
    body = b"".join(kept)
    return data[:4] + struct.pack("<I", 4 + len(body)) + data[8:12] + body
