"""Lengths and sources in, an order of samples out: batches of like length and one source, interleaved.

A batch of random samples of `know` (about 14 tokens) and `ling` (about 258) is mostly padding. Here
each batch holds samples of one source and similar length, and the batches of the sources alternate
in proportion to their numbers, so that every stretch of training sees both.

TRL's loss is a token mean per optimizer step. With one batch a step, a `know` batch therefore weighs
as much as a `ling` batch; with several batches a step (accumulation, ranks) it weighs by its tokens.
"""

import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from mella_hf.errors import MellaError

BATCHES_PER_BUCKET = 50  # samples are sorted by length within a window of this many batches


class LengthBucketSampler(Sampler[int]):
    """Yields every index once an epoch; each run of `batch_size` indices is one batch.

    Args:
        lengths: tokens of each sample.
        groups: a label for each sample (its source); a batch holds one label.
        batch_size: samples in a batch, per device.
        seed: with the epoch, decides the order entirely.

    What does not fill a batch of its group comes at the end of the epoch, in mixed batches, so that
    nothing is dropped and batch boundaries hold.
    """

    def __init__(self, lengths: Sequence[int], groups: Sequence[str], batch_size: int, seed: int = 0):
        if len(lengths) != len(groups):
            raise MellaError(f"{len(lengths)} lengths for {len(groups)} groups; give one of each for every sample.")
        if not lengths:
            raise MellaError("The training dataset is empty; check the split names and the languages.")
        if batch_size < 1:
            raise MellaError(f"batch_size is {batch_size}; it must be at least 1.")
        self.lengths, self.groups = lengths, groups
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration yields."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = random.Random(f"{self.seed}/{self.epoch}")
        members: dict[str, list[int]] = {}
        for index, group in enumerate(self.groups):
            members.setdefault(group, []).append(index)
        placed: list[tuple[float, str, list[int]]] = []
        rest: list[int] = []
        for group in sorted(members):
            batches, left = self._batches(members[group], rng)
            rest += left
            placed += [((i + 0.5) / len(batches), group, batch) for i, batch in enumerate(batches)]
        placed.sort(key=lambda item: item[:2])
        for _, _, batch in placed:
            yield from batch
        yield from sorted(rest, key=self.lengths.__getitem__)

    def _batches(self, indices: list[int], rng: random.Random) -> tuple[list[list[int]], list[int]]:
        """Full batches of like length in random order, and what is left over."""
        order = list(indices)
        rng.shuffle(order)
        whole = len(order) // self.batch_size * self.batch_size
        order, left = order[:whole], order[whole:]
        window = self.batch_size * BATCHES_PER_BUCKET
        batches = []
        for start in range(0, whole, window):
            # A stable sort: samples of equal length stay shuffled, or neighbours in the data would meet in a batch.
            bucket = sorted(order[start : start + window], key=self.lengths.__getitem__)
            batches += [bucket[i : i + self.batch_size] for i in range(0, len(bucket), self.batch_size)]
        rng.shuffle(batches)
        return batches, left


def padding_share(lengths: Sequence[int], order: Sequence[int], batch_size: int) -> float:
    """Share of a batch's positions that are padding, over an epoch in this order, in [0, 1]."""
    real = padded = 0
    for start in range(0, len(order), batch_size):
        batch = [lengths[i] for i in order[start : start + batch_size]]
        real += sum(batch)
        padded += max(batch) * len(batch)
    return 1 - real / padded
