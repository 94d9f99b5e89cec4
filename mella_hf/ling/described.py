"""Read the output of the ling stages as a source for a build, together with the rows that were dropped.

Every row that a stage rejected is reported to the build, so the dataset's funnel counts it.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mella_hf.dataset.building.candidate import COMPUTED, METADATA, Found, Lost, Unit, is_inside
from mella_hf.errors import MellaError
from mella_hf.files import json_lines
from mella_hf.images.opening import SUFFIXES
from mella_hf.ling.thick.claims import FIELDS
from mella_hf.sample import COLUMNS

ROWS = "rows.jsonl"
CARRIED = ("page_url", "image_url", "domain", "category", "entity", "license")  # columns of the record


@dataclass(frozen=True)
class ImageFile:
    """An image to describe: its path in the folder, size and time, and its entry in `metadata.jsonl`.

    Attributes:
        columns: columns of the record.
        context: what its page says of it, the fields of `mella_hf.ling.thick.claims`.
    """

    path: str
    size: int
    modified: int
    columns: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)


def find_images(root: Path) -> list[ImageFile]:
    """Find the images in a folder; a `metadata.jsonl` may give columns such as `page_url`, and what
    the page says of an image, by `file_name`.

    Raises:
        MellaError: if the folder does not exist or has no images, or the metadata is not JSON lines.
    """
    if not root.is_dir():
        raise MellaError(f"{str(root)!r} is not a folder; give one with images ({', '.join(SUFFIXES)}).")
    about = _read_metadata(root / METADATA)
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if name.lower().endswith(SUFFIXES):
                path = os.path.join(folder, name)
                relative = os.path.relpath(path, root).replace(os.sep, "/")
                stat = os.stat(path)
                columns, context = about.get(relative, ({}, {}))
                found.append(ImageFile(relative, stat.st_size, stat.st_mtime_ns, columns, context))
    if not found:
        raise MellaError(f"No images under {str(root)!r}: expected files that end in {', '.join(SUFFIXES)}.")
    return sorted(found, key=lambda file: file.path)


def _read_metadata(path: Path) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """The columns and the context of each file."""
    if not path.exists():
        return {}
    about = {}
    for number, record in json_lines(path):
        try:
            columns, context = ({n: record[n] for n in names if n in record} for names in (CARRIED, FIELDS))
            about[str(record["file_name"])] = columns, context
        except (KeyError, TypeError) as error:
            raise MellaError(
                f'{path}, line {number} is not of the form {{"file_name": "a/b.jpg", "page_url": …}}: {error!r}.'
            ) from error
    return about


def write_rows(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of a shard."""
    lines = (json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)
    (folder / ROWS).write_text("".join(lines), "utf-8")


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of a shard."""
    return [row for _, row in json_lines(folder / ROWS)]


@dataclass(frozen=True)
class DescribedSource:
    """Described images as a source for `build_dataset`.

    Attributes:
        root: the folder of the images.
        rows: language -> folders of the last stage's shards.
        rejects: language -> files of rejects of all stages.
    """

    root: Path
    rows: dict[str, list[str]]
    rejects: dict[str, list[str]]

    @property
    def name(self) -> str:
        """Tells these images from others."""
        return f"described {self.root.resolve()}"

    @property
    def title(self) -> str:
        """The name for the card."""
        return f"the described images `{self.root.resolve().name}`"

    def units(self, work: Path) -> list[Unit]:
        """One unit per language: rows are short, and describing the images took much longer than this."""
        return [
            Unit(
                f"{code}-ling-described",
                code,
                "ling",
                {
                    "rows": [_state(Path(folder) / ROWS) for folder in folders],
                    "rejects": [_state(Path(file)) for file in self.rejects[code]],
                },
            )
            for code, folders in self.rows.items()
        ]

    def scan(self, unit: Unit) -> Iterator[Found | Lost]:
        """Yield the described rows as candidates, then the rows that the stages rejected."""
        for path, _ in unit.payload["rows"]:
            for row in read_rows(Path(path).parent):
                columns = {name: row[name] for name in COLUMNS if name in row and name not in COMPUTED}
                columns["collected_at"] = datetime.fromisoformat(row["collected_at"])
                yield Found(row["path"], row["path"], row["text"], columns, claimed_id=row["id"])
        for path, _ in unit.payload["rejects"]:
            for _, reject in json_lines(path):
                yield Lost(reject["where"], reject["reason"])

    def image(self, unit: Unit, locator: str) -> str:
        """The image file of a candidate."""
        assert is_inside(locator), locator
        return str(self.root / locator)


def _state(path: Path) -> list[Any]:
    """A file and its modification time; if it changes, the build scans again."""
    return [str(path), path.stat().st_mtime_ns]
