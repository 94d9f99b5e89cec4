"""The images of training and test splits enter; the test images that training has seen leave."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq

from mella_hf.dataset.images import open_image
from mella_hf.dataset.write import shard_paths
from mella_hf.errors import MellaError
from mella_hf.phash import NEAR, hamming, phash

_BITS = 64
_BANDS = NEAR + 1  # hashes at most NEAR bits apart agree in at least one of NEAR + 1 bands (pigeonhole)
_TRAIN, _TEST = ("know", "ling"), ("know_test", "ling_test")


@dataclass(frozen=True)
class Leak:
    """A test image that is in training, by sha256 (distance 0, same id) or by perceptual hash."""

    test_id: str
    train_id: str
    distance: int


class HashIndex:
    """64-bit perceptual hashes with their ids; finds those at most `NEAR` bits away, all of them.

    Five bands of 12 or 13 bits: two hashes within four bits of each other share one band, so only
    the hashes of five buckets are compared.
    """

    def __init__(self, hashes: Iterable[tuple[str, int]] = ()):
        self._bands: list[dict[int, list[tuple[str, int]]]] = [{} for _ in range(_BANDS)]
        for name, value in hashes:
            self.add(name, value)

    def add(self, name: str, value: int) -> None:
        """Put a hash in."""
        for band, key in zip(self._bands, _keys(value), strict=True):
            band.setdefault(key, []).append((name, value))

    def near(self, value: int) -> list[tuple[str, int]]:
        """(name, distance) of every hash within `NEAR` bits, nearest first, then by name."""
        found = {}
        for band, key in zip(self._bands, _keys(value), strict=True):
            for name, other in band.get(key, ()):
                if (distance := hamming(value, other)) <= NEAR:
                    found[name] = distance
        return sorted(found.items(), key=lambda pair: (pair[1], pair[0]))


def find_leaks(train: Iterable[tuple[str, int]], test: Iterable[tuple[str, int]]) -> list[Leak]:
    """Every test image that is in training or looks like one there; both sides as (id, phash).

    The index holds the test side, which is small; training streams past it.
    """
    index = HashIndex(test)
    leaks = (Leak(test_id, train_id, d) for train_id, value in train for test_id, d in index.near(value))
    return sorted(leaks, key=lambda leak: (leak.test_id, leak.distance, leak.train_id))


def check_disjoint(folder: Path | str, language: str, *, workers: int = 0, progress: bool = False) -> None:
    """Raise MellaError unless training and test splits of a language share no image.

    Every image is decoded and hashed, about 200 a CPU-second.

    Args:
        workers: processes; 0 hashes in this one.
    """
    tests = [path for split in _TEST for path in shard_paths(folder, language, split)]
    trains = [path for split in _TRAIN for path in shard_paths(folder, language, split)]
    if not tests or not trains:
        return
    test = list(hash_shards(tests, workers=workers, progress=progress))
    leaks = find_leaks(hash_shards(trains, workers=workers, progress=progress), test)
    if leaks:
        first = "; ".join(f"{k.test_id[:12]} is {k.train_id[:12]} (distance {k.distance})" for k in leaks[:3])
        raise MellaError(
            f"{folder}, language {language!r}: {len({k.test_id for k in leaks})} test images are in training as "
            f"well, by sha256 or perceptual hash: {first}. Take them out of one side and build again."
        )


def hash_shards(paths: list[Path], *, workers: int = 0, progress: bool = False) -> Iterator[tuple[str, int]]:
    """(id, phash) of every image in the shards, in order. Raises Rejected on one that does not decode."""
    from tqdm import tqdm

    jobs = [(str(path), group) for path in paths for group in range(pq.ParquetFile(path).num_row_groups)]
    with tqdm(total=len(jobs), desc="hashing images", unit="group", disable=not progress) as bar:
        if workers == 0 or len(jobs) == 1:
            for job in jobs:
                yield from _hash_group(*job)
                bar.update()
            return
        with ProcessPoolExecutor(min(workers, os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
            for hashes in pool.map(_hash_group, *zip(*jobs, strict=True)):
                yield from hashes
                bar.update()


def _hash_group(path: str, group: int) -> list[tuple[str, int]]:
    table = pq.ParquetFile(path).read_row_group(group, columns=["id", "image"])
    return [(row["id"], phash(open_image(row["image"]["bytes"]))) for row in table.to_pylist()]


def _keys(value: int) -> list[int]:
    """The bands of a hash: each the bits between two cuts."""
    cuts = [_BITS * i // _BANDS for i in range(_BANDS + 1)]
    return [(value >> low) & ((1 << (high - low)) - 1) for low, high in zip(cuts, cuts[1:], strict=False)]
