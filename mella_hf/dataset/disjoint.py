"""Find test images that also occur in a training split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from mella_hf.dataset.write import shard_paths
from mella_hf.errors import MellaError
from mella_hf.images.opening import open_image
from mella_hf.images.phash import NEAR, phash

TRAIN, TEST = ("know", "ling"), ("know_test", "ling_test")
_BLOCK = 1 << 22  # comparisons at a time: 32 MB


@dataclass(frozen=True)
class Hashes:
    """The images of one or more splits: sha256 digests [N] of dtype S32, and perceptual hashes [N] uint64."""

    ids: np.ndarray
    pictures: np.ndarray


@dataclass(frozen=True)
class Leak:
    """A test image that is in training. `distance` is that of the perceptual hashes, 0 to 4 bits."""

    test_id: str
    train_id: str
    distance: int


def find_leaks(train: Hashes, test: Hashes) -> list[Leak]:
    """Every test image that is in training, or looks like one there, by test id, then distance.

    Equal bytes have equal perceptual hashes, so one comparison finds both: every test image with every
    training image, a second for 800,000 and 400 of them.
    """
    leaks = []
    step = max(1, _BLOCK // max(1, len(test.pictures)))
    for start in range(0, len(train.pictures), step):
        block = train.pictures[start : start + step]
        distance = np.bitwise_count(block[:, None] ^ test.pictures[None, :])  # [B, len(test)]
        for row, column in zip(*np.nonzero(distance <= NEAR), strict=True):
            bits = int(distance[row, column])
            leaks.append(Leak(_hex(test.ids[column]), _hex(train.ids[start + row]), bits))
    return sorted(leaks, key=lambda leak: (leak.test_id, leak.distance, leak.train_id))


def describe_leaks(leaks: list[Leak], language: str) -> str:
    """One line for people: how many, and the first three."""
    first = "; ".join(f"{k.test_id[:12]} is {k.train_id[:12]} (distance {k.distance})" for k in leaks[:3])
    count = len({leak.test_id for leak in leaks})
    return f"language {language!r}: {count} test images are in training as well, by sha256 or perceptual hash: {first}"


def check_disjoint(folder: Path | str, language: str) -> None:
    """Raise MellaError unless training and test splits of a language share no image.

    Decodes and hashes every image, about 200 a CPU-second. `mella_hf.dataset.verify` does the same for
    large folders, in processes and resumably.
    """
    train, test = (_hash_splits(folder, language, splits) for splits in (TRAIN, TEST))
    leaks = find_leaks(train, test)
    if leaks:
        raise MellaError(f"{folder}, {describe_leaks(leaks, language)}. Take them out of one side and build again.")


def _hash_splits(folder: Path | str, language: str, splits: tuple[str, ...]) -> Hashes:
    ids, pictures = [], []
    for path in (path for split in splits for path in shard_paths(folder, language, split)):
        for batch in pq.ParquetFile(path).iter_batches(64, columns=["id", "image"]):
            for row in batch.to_pylist():
                ids.append(bytes.fromhex(row["id"]))
                pictures.append(phash(open_image(row["image"]["bytes"])))
    return Hashes(np.array(ids, dtype="S32"), np.array(pictures, dtype=np.uint64))


def _hex(digest: bytes) -> str:
    return bytes(digest).ljust(32, b"\0").hex()  # NumPy strips trailing zero bytes
