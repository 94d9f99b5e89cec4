"""The dictionary with which a Zstandard-packed WARC file may begin, as wget-at and the Archive Team write it.

https://iipc.github.io/warc-specifications/specifications/warc-zstd/. FastWARC reads such a file from its beginning.
What this module gives is needed to go on behind damage, and to say what is wrong with the dictionary.
"""

import io
import struct
from mmap import mmap
from pathlib import Path

from mella_hf.errors import MellaError

FRAME = b"\x28\xb5\x2f\xfd"  # how a frame begins
_DICTIONARY_FRAME, _DICTIONARY = b"\x5d\x2a\x4d\x18", b"\x37\xa4\x30\xec"
_MOST = 8 << 20  # bytes of a dictionary, packed or not; the specification asks for no more
_HEAD = 8  # bytes before the content of a skippable frame


def dictionary_frame(data: mmap, path: Path) -> bytes:
    """The dictionary frame with which a file begins; nothing where it begins with something else.

    Raises:
        MellaError: the dictionary cannot be used, or is not in the file although its records need one.
    """
    if data[:4] == FRAME and data[4:5] and data[4] & 3:  # Dictionary_ID_flag (RFC 8878, 3.1.1.1.1)
        raise MellaError(
            f"{path} is packed with a Zstandard dictionary that is not in the file. Unpack it with the dictionary "
            f"(zstd -d -D DICTIONARY {path.name}), and give the .warc file."
        )
    if data[:4] != _DICTIONARY_FRAME:
        return b""
    (length,) = struct.unpack("<I", data[4:_HEAD].ljust(4, b"\0"))
    content = data[_HEAD : _HEAD + min(length, _MOST)]
    if len(content) < length:
        problem = "is cut off" if length <= _MOST else f"has {length:,} bytes, more than {_MOST:,}"
    elif content.startswith(FRAME):
        problem = _packing_problem(content)
    else:
        problem = "" if content.startswith(_DICTIONARY) else "is no dictionary"
    if problem:
        raise MellaError(
            f"{path} begins with a Zstandard dictionary that {problem}. Get the file again, or unpack it with the "
            "program that wrote it."
        )
    return data[: _HEAD + length]


def _packing_problem(packed: bytes) -> str:
    """What is wrong with a dictionary that is packed itself."""
    from fastwarc.stream_io import ZstdReader

    reader, head, size = ZstdReader(io.BytesIO(packed)), b"", 0
    try:
        while piece := reader.read(1 << 16):
            head, size = head or piece, size + len(piece)
            if size > _MOST:
                return f"unpacks to more than {_MOST:,} bytes"
    except OSError as error:
        return f"cannot be unpacked ({error})"
    return "" if head.startswith(_DICTIONARY) else "is no dictionary"
