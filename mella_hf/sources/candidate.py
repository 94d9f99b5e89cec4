"""What a source hands to the build: candidates for records, in units that can be read independently.

A source is read twice: `scan` lists what it claims to hold, and `image` fetches the bytes of one candidate,
first to check it, then, if it is kept, to write it. So a build needs no second copy of the images.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mella_hf.dataset.images import Rejected

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


@dataclass(frozen=True)
class Found:
    """A candidate: where its image is, and what the source says about it.

    Attributes:
        where: the row's place, for people who look a rejected row up.
        locator: what `Source.image` needs to fetch the bytes.
        text: what the model must say.
        columns: other columns of the record.
        claimed_id: sha256 hex that the image must have, or None.
        claimed_size: (width, height) in pixels as the source states them, or None.
    """

    where: str
    locator: str
    text: str
    columns: dict[str, Any] = field(default_factory=dict)
    claimed_id: str | None = None
    claimed_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Lost:
    """A row that cannot become a candidate, with the reason that is counted."""

    where: str
    reason: str


class Source(Protocol):
    """Data that users hold already. Implementations are picklable; workers get a copy."""

    def units(self, work: Path) -> list[Unit]:
        """The units, in an order that does not depend on the machine. `work` keeps what was prepared for `scan`."""

    def scan(self, unit: Unit) -> Iterator[Found | Lost]:
        """The rows of a unit, each as a candidate or as lost, in order."""

    def image(self, unit: Unit, locator: str) -> bytes:
        """The encoded image of a candidate. Raises Rejected (`image_missing`, `image_file_too_large`)."""

    def image_bytes(self, unit: Unit, locator: str) -> int:
        """The size of that image, without reading it. Raises Rejected (`image_missing`)."""


def read_image(path: str) -> bytes:
    """The bytes of an image file. Raises Rejected (`image_missing`, `image_file_too_large`)."""
    try:
        with open(path, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size > MAX_IMAGE_BYTES:
                raise Rejected("image_file_too_large", f"{path} has more than {MAX_IMAGE_BYTES} bytes")
            return file.readall()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise Rejected("image_missing", str(error)) from error


def size_of(path: str) -> int:
    """The size of an image file, in bytes. Raises Rejected (`image_missing`)."""
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise Rejected("image_missing", str(error)) from error
