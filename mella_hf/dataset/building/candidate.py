"""The interface between a source and the build: candidates, in units that can be read independently.

The build reads a source twice. `scan` lists the candidates; `image` fetches the bytes of one candidate, first to check
it and later, if it is kept, to write it. So a build needs no second copy of the images.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any, NamedTuple, Protocol

from mella_hf.errors import MellaError
from mella_hf.images.opening import Rejected
from mella_hf.places import Place

METADATA = "metadata.jsonl"  # the listing of an image folder, as `datasets` calls it
COMPUTED = ("id", "image", "text", "language", "source", "width", "height")  # columns that the build fills
# What says nothing about an image: a file that may not be read, too many open files, a disk or file server that fails.
_REFUSALS = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE)
MAX_IMAGE_BYTES = 50 << 20  # a larger file is not a photograph of a web page


@dataclass(frozen=True)
class Unit:
    """A part of a source that one worker reads: its rows are of one language and one source.

    Attributes:
        name: unique within the build, usable as a file name.
        source: `know` or `ling`.
        payload: where the rows are and how to tell that they changed; JSON values only.
    """

    name: str
    language: str
    source: str
    payload: dict[str, Any]


class Found(NamedTuple):
    """A candidate: where its image is, and what the source says about it.

    Attributes:
        where: the row's place, for people who look a rejected row up.
        locator: what `Source.image` needs to fetch the bytes.
        text: what the model must say.
        columns: other columns of the record.
        claimed_id: sha256 hex that the image must have, or None.
        claimed_size: (width, height) in pixels as the source states them, or None.
        corrected: what the source said wrongly and the row does not repeat; counted as "corrected_<name>".
    """

    where: str
    locator: str
    text: str
    columns: dict[str, Any]
    claimed_id: str | None = None
    claimed_size: tuple[int, int] | None = None
    corrected: tuple[str, ...] = ()


class Lost(NamedTuple):
    """A row that cannot become a candidate, with the reason that is counted, and what is wrong in words."""

    where: str
    reason: str
    detail: str = ""


class Source(Protocol):
    """Data that users hold already. Implementations are picklable; workers get a copy.

    Attributes:
        name: tells this source from others; the same when the same source is built again.
        title: the name for the card, without a local path.
    """

    @property
    def name(self) -> str:
        """The name."""

    @property
    def title(self) -> str:
        """The name for the card."""

    def units(self, work: Path) -> list[Unit]:
        """The units, in an order that does not depend on the machine. `work` keeps what was prepared for `scan`."""

    def scan(self, unit: Unit) -> Iterator[Found | Lost]:
        """The rows of a unit, each as a candidate or as lost, in order."""

    def image(self, unit: Unit, locator: str) -> str | bytes | Place:
        """A candidate's encoded image: its file, or its bytes. Raises Rejected (`image_missing`)."""


class FileState(NamedTuple):
    """A file as it was when a unit was scanned: its path or address, bytes and time of change; None for no file."""

    path: str
    size: int | None
    modified: int | None

    @classmethod
    def of(cls, path: str) -> "FileState":
        """How a file is now."""
        try:
            stat = os.stat(path)
        except (OSError, ValueError):  # ValueError: no name that this file system could have
            return cls(path, None, None)
        return cls(path, stat.st_size, stat.st_mtime_ns)


def read_image(image: str | bytes | Place, seen: list[FileState]) -> bytes:
    """An encoded image. Raises Rejected as `image_size` does."""
    if isinstance(image, bytes):
        return image
    image_size(image, seen)
    try:
        if isinstance(image, Place):
            return image.read()
        with open(image, "rb", buffering=0) as file:
            return file.readall()
    except OSError as error:
        raise _missing(error) from error


def image_size(image: str | bytes | Place, seen: list[FileState]) -> int:
    """How many bytes an encoded image has; a file is not read.

    Args:
        seen: the state of the file is put there.

    Raises:
        Rejected: `image_missing`, `image_not_a_file` (a folder, pipe or device) or `image_file_too_large`.
    """
    if isinstance(image, bytes):
        return len(image)
    try:
        if isinstance(image, Place):
            size, modified, is_regular = *image.state(), True
        else:
            stat = os.stat(image)
            size, modified, is_regular = stat.st_size, stat.st_mtime_ns, S_ISREG(stat.st_mode)
    except MellaError:  # a server that does not answer says nothing about an image
        raise
    except (OSError, ValueError) as error:
        seen.append(FileState(str(image), None, None))
        raise _missing(error) from error
    seen.append(FileState(str(image), size, modified))
    if not is_regular:  # reading a pipe would wait, a device would not end
        raise Rejected("image_not_a_file", ascii(image))
    if size > MAX_IMAGE_BYTES:
        raise Rejected("image_file_too_large", f"{image} has more than {MAX_IMAGE_BYTES} bytes")
    return size


def read_into(image: str | bytes | Place, space: memoryview) -> int:
    """Put an encoded image at the beginning of `space`, as much of it as there is room for.

    Returns:
        How many bytes were put there.

    Raises:
        Rejected: `image_missing`.
    """
    try:
        data = image.read() if isinstance(image, Place) else image
        if isinstance(data, bytes):
            count = min(len(data), len(space))
            space[:count] = data[:count]
            return count
        count = 0
        with open(data, "rb", buffering=0) as file:
            while more := file.readinto(space[count:]):
                count += more
    except OSError as error:
        raise _missing(error) from error
    return count


def _missing(error: OSError | ValueError) -> Rejected:
    """A file that cannot be read is missing, unless it is the machine that refuses: that is raised as it is."""
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        raise error
    return Rejected("image_missing", str(error))


def is_inside(name: str) -> bool:
    """Whether a relative file name stays in its folder: a listing from outside could say ../../etc/passwd."""
    path = PurePosixPath(name)
    return bool(name) and "\0" not in name and "\\" not in name and not path.is_absolute() and ".." not in path.parts
