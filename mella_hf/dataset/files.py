"""List and open the files of a dataset folder or a Hub repository, with their versions.

Cluster workers may run in another working directory, so every path is absolute.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mella_hf.files import cache_dir


@dataclass(frozen=True)
class LocalFiles:
    """The files of a dataset folder."""

    root: Path

    def files(self) -> dict[str, str]:
        """Relative path -> a version that changes with the content; hidden folders are the build's own."""
        found = {}
        for folder, names, files in os.walk(self.root):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for name in files:
                path = Path(folder, name)
                stat = path.stat()
                found[path.relative_to(self.root).as_posix()] = f"{stat.st_size}-{stat.st_mtime_ns}"
        return found

    def open(self, path: str) -> Any:
        """A binary file."""
        return open(self.root / path, "rb")

    def read(self, path: str) -> bytes:
        """A small file."""
        return (self.root / path).read_bytes()

    def work(self) -> Path:
        """Where the verification keeps its results."""
        return self.root / ".verify"


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
                self.repo, revision=self.revision, files_metadata=True
            )
        return {file.rfilename: str(file.blob_id) for file in info.siblings or []}

    def open(self, path: str) -> Any:
        """A binary file, read by ranges."""
        from huggingface_hub import HfFileSystem

        reference = f"@{self.revision.replace('/', '%2F')}" if self.revision else ""
        return HfFileSystem(endpoint=self.endpoint, token=self.token).open(f"datasets/{self.repo}{reference}/{path}")

    def read(self, path: str) -> bytes:
        """A small file."""
        with self.open(path) as file:
            return file.read()

    def work(self) -> Path:
        """Where the verification keeps its results."""
        return cache_dir().absolute() / "verify" / self.repo.replace("/", "--")
