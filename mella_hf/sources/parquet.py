"""Read the Parquet files of a dataset at an address, such as `s3://bucket/rows`, where they lie.

Row groups are read by ranges, one at a time, and only the columns that are needed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from mella_hf.dataset.building.candidate import Found, Lost, Unit
from mella_hf.errors import MellaError
from mella_hf.images.opening import Rejected
from mella_hf.places import Place, open_binary, state_of
from mella_hf.sources.hf import UNIT_ROWS, RowReading, bytes_or_path, cause_of, require_columns, require_known

SMALL = 1 << 16  # bytes of one request for the footer of a file
# The words by which datasets tells splits in names of files and folders (datasets.data_files.SPLIT_KEYWORDS).
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}


@dataclass(frozen=True)
class ParquetSource:
    """Parquet files at an address whose rows have one language and source.

    Attributes:
        root: their folder, or one file.
        split: files belong to it whose path has its name as a word; without any such names, all are `train`.
        language, kind, image_column, text_column, columns: as of `HfSource`.
    """

    root: Place
    language: str
    kind: str = "know"
    split: str = "train"
    image_column: str = "image"
    text_column: str = "text"
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Tells this dataset from others."""
        return f"hf {self.root} {self.split} {self.kind}"

    @property
    def title(self) -> str:
        """The name for the card."""
        return f"the dataset `{self.root.name}`, split `{self.split}`"

    def units(self, work: Path) -> list[Unit]:
        """Ranges of row groups. Raises MellaError if there is no such split, or a file or column is not right."""
        require_known(self.columns)
        units: list[Unit] = []
        for place in self._files():
            size, modified = state_of(place)
            common = {"file": place.path, "size": size, "modified": modified}
            common["columns"] = [self.image_column, self.text_column, sorted(self.columns.items())]
            for groups in self._ranges(place, modified):
                name = f"{self.language}-{self.kind}-hf-{len(units):05d}"
                units.append(Unit(name, self.language, self.kind, {**common, "groups": groups}))
        return units

    def scan(self, unit: Unit) -> Iterator[Found | Lost]:
        """The rows of a unit's row groups."""
        place = Place(self.root.protocol, unit.payload["file"])
        file, features = _open(place, unit.payload["modified"])
        reading = RowReading(self.text_column, self.columns, features)
        names = list(dict.fromkeys([self.text_column, *self.columns.values()]))
        first = sum(file.metadata.row_group(group).num_rows for group in range(unit.payload["groups"][0]))
        for group in range(*unit.payload["groups"]):
            rows = _read(place, unit.payload["modified"], group, tuple(names)).to_pylist()
            for number, row in enumerate(rows):
                yield reading(row, f"{place}[{first + number}]", f"{group}:{number}")
            first += len(rows)

    def image(self, unit: Unit, locator: str) -> bytes:
        """The encoded image of a row. Raises Rejected."""
        place = Place(self.root.protocol, unit.payload["file"])
        group, _, row = locator.partition(":")
        images = _images(place, unit.payload["modified"], int(group), self.image_column)
        data, path = bytes_or_path(images[int(row)].as_py())
        if data is None:
            raise Rejected("image_missing", f"no bytes, and a path that is not read: {path!r}")
        return data

    def _files(self) -> list[Place]:
        if self.root.is_file():
            return [self.root]
        found = [place for place in self.root.files() if place.suffix.lower() == ".parquet"]
        if not found:
            self.root.require_folder()
            raise MellaError(f"No .parquet file is below '{self.root}'; --source hf reads Parquet at an address.")
        chosen = [place for place in found if _names(place, self.root, _SPLITS.get(self.split, (self.split,)))]
        named = {name for name, words in _SPLITS.items() for one in found if _names(one, self.root, words)}
        if not chosen and not named and self.split == "train":
            chosen = found
        if not chosen:
            raise MellaError(
                f"'{self.root}' has no split {self.split!r}; the names of its files say {sorted(named) or ['train']}."
            )
        return chosen

    def _ranges(self, place: Place, modified: int) -> list[tuple[int, int]]:
        """(first, end) of row groups of about UNIT_ROWS rows."""
        file, features = _open(place, modified)
        require_columns(str(place), features, self.image_column, (self.text_column, *self.columns.values()))
        ranges, start, rows = [], 0, 0
        for group in range(file.num_row_groups):
            rows += file.metadata.row_group(group).num_rows
            if rows >= UNIT_ROWS or group + 1 == file.num_row_groups:
                ranges.append((start, group + 1))
                start, rows = group + 1, 0
        return ranges


def _names(place: Place, root: Place, words: tuple[str, ...]) -> bool:
    """Whether a path below the root has one of the words between marks."""
    return any(re.search(rf"(?:^|[^a-z]){re.escape(word)}(?:$|[^a-z])", _path(place, root)) for word in words)


def _path(place: Place, root: Place) -> str:
    return str(place.relative_to(root)).lower().removesuffix(".parquet")


@lru_cache(maxsize=4)
def _open(place: Place, modified: int) -> tuple[Any, Any]:
    """(the Parquet file, its features)."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features

    try:
        file = pq.ParquetFile(open_binary(place, SMALL), pre_buffer=True)
        return file, Features.from_arrow_schema(file.schema_arrow)
    except (pa.ArrowException, ValueError, TypeError, KeyError) as error:
        raise MellaError(f"'{place}' cannot be read as Parquet: {cause_of(error)}. Write the file again.") from error


def _read(place: Place, modified: int, group: int, columns: tuple[str, ...]) -> Any:
    import pyarrow as pa

    try:
        return _open(place, modified)[0].read_row_group(group, columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise MellaError(
            f"'{place}' is damaged in its row group {group}: {cause_of(error)}. Write the file again."
        ) from error


@lru_cache(maxsize=2)
def _images(place: Place, modified: int, group: int, column: str) -> Any:
    """The images of a row group: rows are asked for in order, so one group at a time is enough."""
    return _read(place, modified, group, (column,))[column].combine_chunks()
