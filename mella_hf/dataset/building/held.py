"""Find the image of a row in the shards that a dataset folder has already."""

from bisect import bisect_right
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mella_hf.dataset.write import shard_paths
from mella_hf.errors import MellaError
from mella_hf.sample import SPLITS


def held_image(out: Path, work: Path, language: str, image_id: str, build: str) -> bytes:
    """The encoded image of a row that was built before.

    Args:
        out: the dataset folder.
        work: the folder of what the stage of writing made; while a build replaces the shards, it has those before.
        build: a name of this run of the build, during which the shards do not change.

    Raises:
        MellaError: no shard has the image.
    """
    files, ids, places = _index(str(out), str(work), language, build)
    digest = np.bytes_(bytes.fromhex(image_id))
    at = int(np.searchsorted(ids, digest))
    if at == len(ids) or ids[at] != digest:
        raise MellaError(
            f"The image {image_id[:12]} of {language!r} is neither in its source nor in {out}: the build of that "
            "source did not finish. Run it again first."
        )
    file, row = (int(number) for number in places[at])
    starts = _group_starts(files[file], build)
    group = bisect_right(starts, row) - 1
    return bytes(_images(files[file], group, build)[row - starts[group]].as_py())


def is_held(language: str, image_id: str, *, out: str, build: str) -> bool:
    """Whether the shards of a dataset folder have an image. Arguments as of `held_image`."""
    _, ids, _ = _index(out, "", language, build)
    digest = np.bytes_(bytes.fromhex(image_id))
    at = int(np.searchsorted(ids, digest))
    return at < len(ids) and bool(ids[at] == digest)


@lru_cache(maxsize=1)
def _index(out: str, work: str, language: str, build: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """(files, ids [N] S32 in order, (file, row) of each [N, 2] uint32)."""
    files = [str(path) for split in SPLITS for path in shard_paths(out, language, split)]
    files += sorted(str(path) for path in Path(work).glob(f"{language}-*/*.parquet")) if work else []
    ids, places = [np.zeros(0, "S32")], [np.zeros((0, 2), np.uint32)]
    for number, path in enumerate(files):
        try:
            column = pq.read_table(path, columns=["id"])["id"]
        except (OSError, pa.ArrowException) as error:
            raise MellaError(f"{path} is not whole ({error}); restore it, or build with --replace.") from error
        ids.append(np.array([bytes.fromhex(name) for name in column.to_pylist()], "S32"))
        rows = np.arange(len(column), dtype=np.uint32)
        places.append(np.stack([np.full(len(rows), number, np.uint32), rows], axis=1))
    every = np.concatenate(ids)
    order = np.argsort(every, kind="stable")
    return files, every[order], np.concatenate(places)[order]


@lru_cache(maxsize=64)
def _group_starts(path: str, build: str) -> list[int]:
    metadata = pq.read_metadata(path)
    counts = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    return [sum(counts[:number]) for number in range(len(counts))]


@lru_cache(maxsize=2)
def _images(path: str, group: int, build: str) -> pa.Array:
    """The image bytes of a row group: rows are mostly asked for in order, so two groups are enough."""
    column = pq.ParquetFile(path).read_row_group(group, columns=["image.bytes"])["image"]
    return column.combine_chunks().field("bytes")
