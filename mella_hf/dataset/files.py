"""List and open the files of a dataset folder or a Hub repository, with their versions.

Cluster workers may run in another working directory, so every path is absolute.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mella_hf.caches import cache_dir
from mella_hf.errors import MellaError
from mella_hf.files import name_problems
from mella_hf.sample import SPLITS

SHARD = re.compile(r"(?P<language>[\w-]+)/(?P<split>[a-z_]+)-(?P<index>\d{5})-of-(?P<total>\d{5})\.parquet")
REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class NoDatasetError(MellaError):
    """A folder or repository in which no split was found."""

    def __init__(self, where: object):
        super().__init__(
            f"{where} holds no dataset: found no LANGUAGE/SPLIT-00000-of-0000N.parquet in it. "
            "Give the folder that `mella build` wrote, not one above or below it."
        )


def split_paths(files: Iterable[str]) -> dict[str, list[str]]:
    """The splits among the files of a dataset, such as "ar/know" -> the paths of their shards, in order."""
    found: dict[str, list[str]] = {}
    for path in sorted(files):
        match = SHARD.fullmatch(path)
        if match and match["split"] in SPLITS:
            found.setdefault(f"{match['language']}/{match['split']}", []).append(path)
    return found


def published_name_problems(files: Iterable[str]) -> list[str]:
    """What is wrong with the names of shards and thumbnails: published, they must be safe on every system."""
    return name_problems(path for path in sorted(files) if path.endswith((".parquet", ".jpg")))


@dataclass(frozen=True)
class LocalFiles:
    """The files of a dataset folder."""

    root: Path

    def files(self) -> dict[str, str]:
        """Relative path -> a version that changes with the content; hidden folders are the build's own.

        Links count as what they lead to. Raises MellaError on one that leads nowhere.
        """
        found, seen = {}, set[str]()
        for folder, names, files in os.walk(self.root, followlinks=True):
            seen.add(os.path.realpath(folder))
            names[:] = sorted(n for n in names if n[0] != "." and os.path.realpath(os.path.join(folder, n)) not in seen)
            for name in files:
                path = Path(folder, name)
                try:
                    stat = path.stat()
                except OSError as error:
                    raise MellaError(f"{path} cannot be read ({error.strerror}); mend or delete it.") from error
                found[path.relative_to(self.root).as_posix()] = f"{stat.st_size}-{stat.st_mtime_ns}"
        return found

    def open(self, path: str) -> Any:
        """A binary file."""
        return open(self.root / path, "rb")

    def reading(self) -> AbstractContextManager[None]:
        """What reading goes through: there is nothing to turn into other errors here."""
        return nullcontext()

    def read(self, path: str) -> bytes:
        """A small file."""
        return (self.root / path).read_bytes()

    def work(self) -> Path:
        """Where the verification keeps its results."""
        own = self.root / ".verify"
        with suppress(OSError):  # the folder may be read only
            own.mkdir(exist_ok=True)
        if os.access(own, os.W_OK):
            return own
        name = hashlib.sha256(os.fsencode(os.path.realpath(self.root))).hexdigest()[:16]
        return cache_dir().absolute() / "verify" / f"{self.root.name}-{name}"


@dataclass(frozen=True)
class HubFiles:
    """The files of a dataset repo, read in place."""

    repo: str
    revision: str | None = None
    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)

    def files(self) -> dict[str, str]:
        """Path -> blob id. Raises MellaError when the repo cannot be read."""
        from huggingface_hub import HfApi

        from mella_hf.hub_errors import hub_errors

        with hub_errors(self.repo, "read"):
            info = HfApi(endpoint=self.endpoint, token=self.token).dataset_info(
                self.repo, revision=self.revision, files_metadata=True, timeout=10
            )
        return {file.rfilename: str(file.blob_id) for file in info.siblings or []}

    def open(self, path: str) -> Any:
        """A binary file, read by ranges."""
        from huggingface_hub import HfFileSystem

        from mella_hf.hub_errors import no_endless_wait

        reference = f"@{self.revision.replace('/', '%2F')}" if self.revision else ""
        hub = HfFileSystem(endpoint=self.endpoint, token=self.token)
        with no_endless_wait():  # what is read later has a timeout of its own
            return hub.open(f"datasets/{self.repo}{reference}/{path}")

    def reading(self) -> AbstractContextManager[None]:
        """Turn what goes wrong on the way into a MellaError."""
        from mella_hf.hub_errors import reading_errors

        return reading_errors(self.repo)

    def read(self, path: str) -> bytes:
        """A small file."""
        with self.open(path) as file:
            return file.read()

    def work(self) -> Path:
        """Where the verification keeps its results."""
        return cache_dir().absolute() / "verify" / self.repo.replace("/", "--")
