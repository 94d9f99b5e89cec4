"""Read Parquet files that have the columns of `mella_hf.sample` (and maybe more) as a source for a build.

Use this to turn complete records from your own pipeline into a dataset: they are checked again, duplicates are removed,
and test splits and a card are made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mella_hf.dataset.building.candidate import COMPUTED, Found, Lost, Unit
from mella_hf.images.opening import Rejected
from mella_hf.sample import COLUMNS

_EXTRA = [name for name in COLUMNS if name not in COMPUTED]


@dataclass(frozen=True)
class SampleSource:
    """Records on disk.

    Attributes:
        paths: Parquet files; a row group should hold no more image bytes than fit into memory.
        name: of the source; one for all that the same command collects into a folder.
    """

    paths: tuple[Path, ...]
    name: str = "collected pages"

    @property
    def title(self) -> str:
        """The name for the card."""
        return self.name

    def units(self, work: Path) -> list[Unit]:
        """One unit for each language and source of each file."""
        units = []
        for number, path in enumerate(self.paths):
            table = pq.read_table(path, columns=["language", "source"])
            stat = path.stat()
            payload = {"file": str(path), "size": stat.st_size, "mtime": stat.st_mtime_ns}
            pairs = set(zip(table["language"].to_pylist(), table["source"].to_pylist(), strict=True))
            for language, source in sorted(pairs):
                units.append(Unit(f"{language}-{source}-{number:05d}", language, source, payload))
        return units

    def scan(self, unit: Unit) -> Iterator[Found | Lost]:
        """The unit's rows, without their images."""
        file = pq.ParquetFile(unit.payload["file"])
        for group in range(file.num_row_groups):
            columns = ["id", "text", "language", "source", "width", "height", *_EXTRA]
            for number, row in enumerate(file.read_row_group(group, columns).to_pylist()):
                if (row["language"], row["source"]) == (unit.language, unit.source):
                    extra = {name: row.get(name) for name in _EXTRA}  # an earlier version had fewer columns
                    where = row["image_url"] or f"{unit.payload['file']}#{group}:{number}"
                    size = (row["width"], row["height"])
                    yield Found(where, f"{group}:{number}", row["text"], extra, row["id"], size)

    def image(self, unit: Unit, locator: str) -> bytes:
        """The image bytes of a row."""
        data = self._images(unit, locator)[int(locator.partition(":")[2])].as_py()
        if data is None:
            raise Rejected("image_missing", f"{unit.payload['file']}#{locator}")
        return bytes(data)

    def _images(self, unit: Unit, locator: str) -> Any:
        return _read_group(unit.payload["file"], unit.payload["mtime"], int(locator.partition(":")[0]))


@lru_cache(maxsize=2)
def _read_group(path: str, mtime: int, group: int) -> pa.Array:
    """The image bytes of a row group: rows are asked for in order, so one group at a time is enough."""
    return pq.ParquetFile(path).read_row_group(group, columns=["image.bytes"])["image"].combine_chunks().field("bytes")
