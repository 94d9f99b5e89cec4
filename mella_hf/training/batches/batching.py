"""Order samples into batches of similar length and one source each, with the sources interleaved.

A batch of random samples of `know` (about 14 tokens) and `ling` (about 258) is mostly padding. Here each batch holds
samples of one source and similar length. The batches of the sources alternate in proportion to their numbers, so
every stretch of training sees both sources.

With several ranks, a *round* of one batch per rank is drawn together: all ranks work on the same source and similar
lengths, so none waits for another.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from torch.utils.data import Sampler

from mella_hf.errors import MellaError

Lengths = Sequence[int] | np.ndarray
ROUNDS_PER_BUCKET = 50  # samples are sorted by length within a window of this many rounds


class LengthBuckets(Sampler[list[int]]):
    """Batch sampler: batches of one group and similar length, `ranks` batches per round, each index once per epoch.

    Batch `i` is for rank `i % ranks`, which is how accelerate's `BatchSamplerShard` shares them out. The number of
    batches is a multiple of `ranks`, so no sample is repeated to fill up the last round. If the last samples of a group
    do not fill a round, they are divided evenly among the ranks; if they are fewer than the ranks, they join other
    batches, which then hold one more.

    Args:
        lengths: tokens of each sample.
        groups: a label for each sample (its source).
        batch_size: samples in a batch, per rank.
        seed: seed and epoch determine the order.
        ranks: processes that train together.

    Raises:
        MellaError: for lists of different lengths, no samples, or a group with fewer samples than ranks.
    """

    batch_size = None  # for accelerate: None means that batches differ in size

    def __init__(self, lengths: Lengths, groups: Sequence[str], batch_size: int, seed: int = 0, *, ranks: int = 1):
        if len(lengths) != len(groups):
            raise MellaError(f"{len(lengths)} lengths for {len(groups)} groups; give one of each for every sample.")
        if not len(lengths):
            raise MellaError("The training dataset is empty; check the split names and the languages.")
        if batch_size < 1:
            raise MellaError(f"batch_size is {batch_size}; it must be at least 1.")
        self.lengths = np.asarray(lengths, dtype=np.int32)
        self.per_rank, self.ranks, self.seed, self.epoch = batch_size, ranks, seed, 0
        names, labels = _labels(groups)
        self.members = {name: np.flatnonzero(labels == i) for i, name in enumerate(names)}
        for name, members in self.members.items():
            if len(members) < ranks:
                raise MellaError(
                    f"{name!r} has {len(members)} samples for {ranks} processes; add samples or use fewer processes."
                )

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration yields."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.ranks * sum(self._count(len(members)) for members in self.members.values())

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        placed: list[tuple[float, str, list[np.ndarray]]] = []
        for name in sorted(self.members):
            rounds = self._rounds(rng.permutation(self.members[name]))
            order = rng.permutation(len(rounds))
            placed += [((place + 0.5) / len(rounds), name, rounds[i]) for place, i in enumerate(order)]
        placed.sort(key=lambda item: item[:2])
        for _, _, batches in placed:
            yield from (batch.tolist() for batch in batches)

    def _count(self, samples: int) -> int:
        """Rounds of a group of this many samples."""
        whole, rest = divmod(samples, self.per_rank * self.ranks)
        return whole + (rest >= self.ranks or not whole)

    def _rounds(self, order: np.ndarray) -> list[list[np.ndarray]]:
        """Shuffled samples of one group as rounds of like length, each a batch for every rank."""
        per_round = self.per_rank * self.ranks
        whole = len(order) // per_round
        order, rest = np.split(order, [whole * per_round])
        bucket = np.arange(len(order)) // (per_round * ROUNDS_PER_BUCKET)
        # A stable sort: samples of equal length stay shuffled, or neighbours in the data would meet in a batch.
        order = order[np.lexsort((self.lengths[order], bucket))]
        rounds = [list(batches) for batches in order.reshape(whole, self.ranks, self.per_rank)]
        rest = rest[np.argsort(self.lengths[rest], kind="stable")]
        if len(rest) >= self.ranks:
            rounds.append(np.array_split(rest, self.ranks))
        elif len(rest):  # to the shortest round, where one sample more costs least
            shortest = min(rounds, key=lambda batches: self.lengths[batches[-1][-1]])
            for rank, sample in enumerate(rest):
                shortest[rank] = np.append(shortest[rank], sample)
        return rounds


def padding_share(lengths: Lengths, batches: Sequence[Sequence[int]]) -> float:
    """Share of the batches' positions that are padding, in [0, 1]."""
    sizes = np.array([len(batch) for batch in batches])
    tokens = np.asarray(lengths)[np.concatenate(batches)]
    longest = np.maximum.reduceat(tokens, np.cumsum(sizes) - sizes)
    return float(1 - tokens.sum() / (longest * sizes).sum())


def loss_shares(
    loss_tokens: Lengths, groups: Sequence[str], batches: Sequence[Sequence[int]], batches_per_step: int
) -> dict[str, float]:
    """Each group's share of the loss over an epoch, if the loss of a step is the mean over its tokens.

    Args:
        loss_tokens: number of tokens with a loss, for each sample.
        batches_per_step: ranks x accumulation steps.
    """
    names, labels = _labels(groups)
    order = np.concatenate(batches)
    step = np.repeat(np.arange(len(batches)) // batches_per_step, [len(batch) for batch in batches])
    cells = np.bincount(step * len(names) + labels[order], np.asarray(loss_tokens)[order], (step[-1] + 1) * len(names))
    tokens = cells.reshape(-1, len(names))  # [steps, groups]
    shares = (tokens / tokens.sum(1, keepdims=True)).mean(0)
    return {name: float(share) for name, share in zip(names, shares, strict=True)}


def _labels(groups: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The groups' names in order, and the number of each sample's group."""
    names = sorted(set(groups))
    number = {name: i for i, name in enumerate(names)}
    return names, np.fromiter((number[group] for group in groups), np.int32, len(groups))


def loss_denominators(weights: Mapping[str, float], tokens: Mapping[str, float], steps: float) -> dict[str, float]:
    """The number to divide a source's summed token losses by, so that it gets its share of the epoch's loss.

    With w the normalised weights, T_s the loss tokens of source s in an epoch and S the steps of an epoch, a step's
    loss is the sum over its tokens of w_s S / T_s times the token's loss. The mean of an epoch's steps is then the sum
    over sources of w_s times the mean token loss of s, however many batches or tokens a source has.

    Returns:
        T_s / (w_s S) for each source, in tokens; infinite where w_s is 0.

    Raises:
        MellaError: on a source without a weight or a weight without a source.
    """
    missing = sorted(set(tokens) - set(weights))
    if missing:
        raise MellaError(
            f"source_weights names no weight for {missing[0]!r}; give one for {', '.join(sorted(tokens))}."
        )
    unknown = sorted(set(weights) - set(tokens))
    if unknown:
        raise MellaError(f"source_weights names {unknown[0]!r}, which is not trained on; drop it or add the source.")
    total = sum(weights.values())
    return {
        source: tokens[source] * total / (weights[source] * steps) if weights[source] else float("inf")
        for source in tokens
    }
