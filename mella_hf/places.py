"""Folders and files at an address, such as `s3://bucket/release`, read where they lie.

A `Place` has the few parts of `pathlib.Path` that sources use. pyarrow reads `s3://` and `gs://`; the file systems of
fsspec read every other protocol, such as `hf://`, `memory://` and `https://`. Large files are read by ranges.
"""

import errno
import hashlib
import io
import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from mella_hf.compat import path_of
from mella_hf.errors import MellaError

BUFFER = 1 << 20  # bytes of one request, when a file is read in order
GCS_PATIENCE = timedelta(seconds=30)  # pyarrow's own is 15 minutes, also when there are no credentials
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)  # not C:/; a Path has lost one slash
_LOCAL = ("file", "local")
_HINTS = {
    "s3": "Credentials are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, another server is AWS_ENDPOINT_URL.",
    "gs": "Credentials are those of 'gcloud auth application-default login' or GOOGLE_APPLICATION_CREDENTIALS.",
    "hf": "Log in with 'hf auth login' if the repository is private or gated.",
}
_SAME = {"s3a": "s3", "gcs": "gs"}
# What file systems call the identity of a file's content, and its time of change.
_NAMED = ("blob_id", "ETag", "etag", "md5Hash")
_DATED = ("LastModified", "last_modified", "updated", "modified", "created")


@dataclass(frozen=True, order=True)
class Place:
    """A folder or file at an address.

    Attributes:
        protocol: such as "s3".
        path: as the file system names it, without a slash at the end. Nothing in it is quoted.
    """

    protocol: str
    path: str

    def __str__(self) -> str:
        return self.path if "://" in self.path else f"{self.protocol}://{self.path}"

    def __truediv__(self, name: str) -> "Place":
        return Place(self.protocol, f"{self.path}/{posixpath.normpath(name)}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> "Place":
        """The folder that it is in."""
        return Place(self.protocol, self.path.rpartition("/")[0])

    @property
    def suffix(self) -> str:
        """The end of the name, from its last dot."""
        return PurePosixPath(self.name).suffix

    def relative_to(self, root: "Place") -> PurePosixPath:
        """The path below a folder."""
        return PurePosixPath(self.path.removeprefix(f"{root.path}/"))

    def is_dir(self) -> bool:
        """Whether it is a folder. Raises MellaError when nobody answers."""
        with _asking(self):
            return self._system().isdir(self.path)

    def is_file(self) -> bool:
        """Whether it is a file. Raises MellaError when nobody answers."""
        with _asking(self):
            return self._system().isfile(self.path)

    def iterdir(self) -> list["Place"]:
        """What is in the folder, in order. Raises FileNotFoundError, or MellaError."""
        return sorted(Place(self.protocol, path) for path in self._entries())

    def files(self) -> list["Place"]:
        """The files below, in order."""
        with _asking(self):
            system = self._system()
            paths = _files_below(system.fs, self.path) if hasattr(system, "fs") else system.find(self.path)
        return sorted(Place(self.protocol, path.rstrip("/")) for path in paths)

    def states(self) -> dict[str, tuple[int, int]]:
        """(bytes, stamp) of the files in the folder by name, as far as its listing says them."""
        entries = self._entries().items()
        states = {path.rpartition("/")[2]: _state(info) for path, info in entries}
        return {name: state for name, state in states.items() if state is not None}

    def state(self) -> tuple[int, int]:
        """Bytes, and a number that changes when the file does. Raises FileNotFoundError, or MellaError."""
        with _asking(self):
            state = _state(self._system().info(self.path))
        if state is None:
            raise FileNotFoundError(f"{self} is not a file")
        return state

    def read(self, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of the file, or of a range. Raises FileNotFoundError, or MellaError."""
        with _asking(self):
            data = self._read(start, end)
        if end is not None and len(data) != end - (start or 0):
            raise MellaError(f"{self} gave {len(data)} bytes for the range {start}-{end}; its server must read ranges.")
        return bytes(data)

    def _read(self, start: int | None, end: int | None) -> bytes:
        system = self._system()
        if hasattr(system, "fs"):  # pyarrow's; cat_file of fsspec 2026.2 reads the whole file
            with system.open(self.path, "rb", seekable=start is not None) as file:
                if start:
                    file.seek(start)
                return file.read() if end is None else file.read(end - (start or 0))  # type: ignore[no-any-return]
        options = {"cache_type": "none"} if self.protocol == "hf" else {}  # or it reads 5 MB more
        return system.cat_file(self.path, start, end, **options)  # type: ignore[no-any-return]

    def require_folder(self) -> None:
        """Raise MellaError, with the cause, when nothing is there."""
        try:
            found = self.iterdir()
        except (FileNotFoundError, NotADirectoryError):
            found = []
        # A listing of gs:// has no folders.
        if [one.path for one in found] == [self.path] or (not found and not self.is_dir()):
            raise MellaError(f"DATA '{self}' is not a folder: nothing is below it. Check its spelling.")

    def _entries(self) -> dict[str, dict[str, Any]]:
        with _asking(self):
            found = self._system().ls(self.path, detail=True)
        entries = {info["name"].rstrip("/"): info for info in found}
        return {path: info for path, info in entries.items() if path != self.path}

    def _system(self) -> Any:
        return _system(self.protocol, self.path.lstrip("/").partition("/")[0])


def place_of(text: str | os.PathLike[str]) -> Place | None:
    """The place that an address names; None for a path of this machine.

    Raises:
        MellaError: when no package here reads the protocol.
    """
    match = _ADDRESS.fullmatch(os.fspath(text))
    if match is None or match[1].lower() in _LOCAL:
        return None
    protocol, rest = match[1].lower(), match[2].rstrip("/")
    if _SAME.get(protocol, protocol) in ("s3", "gs"):
        return Place(protocol, rest)
    with _asking(Place(protocol, rest)):
        return Place(protocol, path_of(_system(protocol, ""), f"{protocol}://{rest}").rstrip("/"))


def root_of(data: str | os.PathLike[str]) -> "Path | Place":
    """A path of this machine, resolved, or the place that an address names, with nothing remembered of it.

    Raises:
        MellaError: when no package here reads the protocol.
    """
    _system.cache_clear()  # credentials may be others than the last time
    text = os.fspath(data)
    if os.path.isdir(text):
        return Path(text).resolve()
    local = _ADDRESS.fullmatch(text)
    if local and local[1].lower() in _LOCAL:
        return Path(f"/{local[2]}").resolve()
    place = place_of(text)
    if place is None:
        return Path(text).resolve()
    with _asking(place):
        place._system().invalidate_cache()
    return place


def state_of(path: "Path | Place") -> tuple[int, int]:
    """The bytes of a file, and a number that changes when it does. Raises MellaError when it is gone."""
    try:
        if isinstance(path, Place):
            return path.state()
        stat = path.stat()
    except FileNotFoundError as error:
        raise MellaError(f"{str(path)!r} is gone; run the build again.") from error
    return stat.st_size, stat.st_mtime_ns


def open_binary(path: "Path | Place", buffer: int = BUFFER) -> BinaryIO:
    """A file, open for reading from any place in it. Raises MellaError when it is gone.

    Args:
        buffer: bytes that one request asks for at least, of a file at an address.
    """
    if not isinstance(path, Place):
        return open(path, "rb")
    return io.BufferedReader(_Ranges(path, state_of(path)[0]), buffer)


class _Ranges(io.RawIOBase):
    """A file at an address; each reading is one request."""

    def __init__(self, place: Place, size: int):
        self._place, self._size, self._at = place, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, space: Any) -> int:
        end = min(self._at + len(space), self._size)
        if end <= self._at:
            return 0
        try:
            data = self._place.read(self._at, end)
        except FileNotFoundError as error:
            raise MellaError(f"'{self._place}' is gone; run the build again.") from error
        space[: len(data)] = data
        self._at += len(data)
        return len(data)


def _state(info: dict[str, Any]) -> tuple[int, int] | None:
    if info.get("type") == "directory" or info.get("size") is None:
        return None
    named = next((info[name] for name in _NAMED if info.get(name)), None)
    if named:
        return int(info["size"]), int.from_bytes(hashlib.sha256(str(named).encode()).digest()[:7])
    if info.get("mtime") is not None:  # pyarrow's: S3 lists milliseconds, and says seconds of a single file
        return int(info["size"]), int(_seconds(info["mtime"]))
    dated = next((info[name] for name in _DATED if info.get(name)), 0)
    return int(info["size"]), int(_seconds(dated) * 1_000_000)


def _seconds(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        return int.from_bytes(hashlib.sha256(value.encode()).digest()[:4])
    return float(value)


def _files_below(system: Any, path: str) -> list[str]:
    """List all files below a folder with one request to pyarrow. A listing of gs:// by folders would miss files."""
    from pyarrow.fs import FileSelector

    entries = system.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
    return [entry.path for entry in entries if entry.is_file]


@lru_cache(maxsize=16)
def _system(protocol: str, bucket: str) -> Any:
    """The file system of a protocol, or of one bucket, which lies in one region."""
    import fsspec

    name = _SAME.get(protocol, protocol)
    if name not in ("s3", "gs"):
        return fsspec.filesystem(protocol)
    from fsspec.implementations.arrow import ArrowFSWrapper

    return ArrowFSWrapper(_s3(bucket) if name == "s3" else _gcs())


def _s3(bucket: str) -> Any:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = None if endpoint else resolve_s3_region(bucket)
    return S3FileSystem(endpoint_override=endpoint, region=region, retry_strategy=AwsStandardS3RetryStrategy(5))


def _gcs() -> Any:
    from pyarrow.fs import GcsFileSystem

    server = os.environ.get("STORAGE_EMULATOR_HOST")
    if server is None:
        return GcsFileSystem(retry_time_limit=GCS_PATIENCE)
    scheme, _, host = server.rpartition("://")
    return GcsFileSystem(
        anonymous=True, scheme=scheme or "http", endpoint_override=host.rstrip("/"), retry_time_limit=GCS_PATIENCE
    )


@contextmanager
def _asking(place: Place) -> Iterator[None]:
    """Turn whatever a file system raises into one line, but for what says that something is not there."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, MellaError):
        raise
    except Exception as error:  # each file system has errors of its own
        said = " ".join(str(error).split())[:300] or type(error).__name__
        if isinstance(error, OSError) and said.startswith(os.strerror(errno.ENOENT)):  # pyarrow, of gs://
            raise FileNotFoundError(errno.ENOENT, said) from error
        if isinstance(error, ImportError):
            hint = "Install that package beside mella_hf."
        else:
            hint = _HINTS.get(_SAME.get(place.protocol, place.protocol), "")
        raise MellaError(f"Cannot read {str(place)!r}: {said.rstrip('.')}. {hint}".rstrip()) from error
