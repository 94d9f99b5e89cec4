"""Batches: every sample once an epoch on any number of ranks, one source a batch, like lengths, a seeded order."""

import random
from collections import Counter

import numpy as np
import pytest

from mella_hf.errors import MellaError
from mella_hf.training.batches.batching import (
    LengthBuckets,
    loss_denominators,
    loss_shares,
    padding_share,
)


def corpus(know: int = 700, ling: int = 300) -> tuple[list[int], list[str]]:
    """Lengths as in the paper: know about 14 tokens, ling about 258 (arXiv 2508.05502)."""
    rng = random.Random(0)
    lengths = [max(3, round(rng.gauss(14, 5))) for _ in range(know)] + [
        max(60, round(rng.gauss(258, 60))) for _ in range(ling)
    ]
    return lengths, ["know"] * know + ["ling"] * ling


def per_rank(buckets: LengthBuckets, ranks: int) -> list[list[list[int]]]:
    """The batches that accelerate's own data loaders give to each rank; a sample is its index."""
    from accelerate.data_loader import prepare_data_loader
    from torch.utils.data import DataLoader

    loaders = [
        prepare_data_loader(
            DataLoader(range(len(buckets.lengths)), batch_sampler=buckets, collate_fn=list),
            num_processes=ranks,
            process_index=rank,
            even_batches=False,
        )
        for rank in range(ranks)
    ]
    batches = [list(loader) for loader in loaders]
    assert [len(own) for own in batches] == [len(loader) for loader in loaders]
    return batches


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize(("know", "ling"), [(101, 53), (96, 48), (97, 50), (5, 3), (24, 25)])
def test_every_sample_once_an_epoch_over_all_ranks(ranks: int, know: int, ling: int) -> None:
    lengths, groups = corpus(know, ling)
    buckets = LengthBuckets(lengths, groups, 8, seed=1, ranks=ranks)
    for epoch in range(3):
        buckets.set_epoch(epoch)
        batches = per_rank(buckets, ranks)
        assert len({len(own) for own in batches}) == 1, "every rank takes the same number of steps"
        assert Counter(i for own in batches for batch in own for i in batch) == Counter(range(know + ling))
        assert all(batch for own in batches for batch in own)


def test_the_ranks_of_a_step_have_one_source_and_like_lengths() -> None:
    lengths, groups = corpus()
    ranks = per_rank(LengthBuckets(lengths, groups, 4, ranks=3), 3)
    longest = []
    for batches in zip(*ranks, strict=True):
        assert len({groups[i] for batch in batches for i in batch}) == 1
        longest.append([max(lengths[i] for i in batch) for batch in batches])
    waste = 1 - np.mean(longest) / np.mean([max(step) for step in longest])
    assert waste < 0.03  # what ranks wait for the one with the longest batch; 0.40 when each draws by itself


def test_few_samples_join_other_batches() -> None:
    # Five samples on two ranks at two a batch: a round of four, and one left over, which the shortest batch takes.
    batches = list(LengthBuckets([9, 3, 4, 8, 5], ["know"] * 5, 2, ranks=2))
    assert sorted(len(batch) for batch in batches) == [2, 3]
    assert sorted(i for batch in batches for i in batch) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(10))
def test_they_join_the_round_whose_longest_sample_is_shortest(seed: int) -> None:
    """100 rounds of nine, sorted in two windows, and two samples left over."""
    rng = random.Random(seed)
    lengths = [rng.randint(1, 60) ** 2 for _ in range(902)]
    batches = list(LengthBuckets(lengths, ["know"] * 902, 3, seed, ranks=3))
    rounds = [batches[i : i + 3] for i in range(0, len(batches), 3)]
    longest = [max(lengths[i] for batch in batches for i in batch[:3]) for batches in rounds]
    (joined,) = (at for at, batches in enumerate(rounds) if sum(map(len, batches)) > 9)
    assert [len(batch) for batch in rounds[joined]] == [4, 4, 3]
    assert longest[joined] == min(longest)


def test_a_batch_may_be_one_sample() -> None:
    assert sorted(LengthBuckets([4, 9], ["know", "know"], 1)) == [[0], [1]]


def test_a_batch_holds_one_source_and_like_lengths() -> None:
    lengths, groups = corpus()
    batches = list(LengthBuckets(lengths, groups, 4))
    assert all(len({groups[i] for i in batch}) == 1 for batch in batches)
    drawn = random.Random(1).sample(range(1000), 1000)
    # Measured when the project was designed: 24.6-38% padding at random against 0.8-2.6% in buckets.
    assert padding_share(lengths, [drawn[i : i + 4] for i in range(0, 1000, 4)]) > 0.3
    assert padding_share(lengths, batches) < 0.03


def test_a_real_loader_keeps_the_batches_apart() -> None:
    """Where batches are cut anew from their flat order, the first short one shifts all later ones."""
    from torch.utils.data import DataLoader

    lengths, groups = corpus(101, 53)  # neither is a multiple of eight
    buckets = LengthBuckets(lengths, groups, 8, seed=1)
    loader = DataLoader(range(len(lengths)), batch_sampler=buckets, collate_fn=list)
    batches = list(loader)
    assert batches == list(buckets) and len(loader) == len(batches)
    assert {len(batch) for batch in batches} == {5, 8}
    assert all(len({groups[i] for i in batch}) == 1 for batch in batches)
    assert padding_share(lengths, batches) < 0.12
    flat = [i for batch in batches for i in batch]
    cut = [flat[i : i + 8] for i in range(0, len(flat), 8)]
    assert sum(len({groups[i] for i in batch}) > 1 for batch in cut) > len(cut) / 3


def test_sources_alternate_in_proportion() -> None:
    lengths, groups = corpus(800, 400)
    kinds = [groups[batch[0]] for batch in LengthBuckets(lengths, groups, 8)]
    for start in range(0, len(kinds) - 12, 12):
        assert 7 <= kinds[start : start + 12].count("know") <= 9  # two thirds of the batches
    # A source's batches stand in the middles of equal parts of the epoch: four at 1/8, 3/8, 5/8, 7/8, and one at 1/2.
    kinds = ["know" if batch[0] < 8 else "ling" for batch in LengthBuckets([5] * 10, ["know"] * 8 + ["ling"] * 2, 2)]
    assert kinds == ["know", "know", "ling", "know", "know"]


def test_order_follows_from_seed_and_epoch_alone() -> None:
    lengths, groups = corpus(60, 40)
    one, two = (LengthBuckets(lengths, groups, 4, seed=7) for _ in range(2))
    first = list(one)
    one.set_epoch(1)
    assert list(one) != first
    assert list(two) == first
    assert list(LengthBuckets(lengths, groups, 4, seed=8)) != first
    assert list(LengthBuckets(lengths, groups, 4)) == list(LengthBuckets(lengths, groups, 4, seed=0))


def test_neighbours_of_equal_length_do_not_meet() -> None:
    """Views of one picture stand side by side in the data; sorted by index they would fill whole batches."""
    batches = LengthBuckets([5] * 1600, ["know"] * 1600, 16)
    together = sum(abs(a - b) == 1 for batch in batches for a, b in zip(batch, batch[1:], strict=False))
    assert together < 20  # about 2 are expected by chance


def test_padding_share_by_hand() -> None:
    # Batches (2, 4) and (6, 6): 18 real tokens in 8 + 12 positions.
    assert padding_share([2, 4, 6, 6], [[0, 1], [2, 3]]) == pytest.approx(1 - 18 / 20)


def test_loss_shares_by_hand() -> None:
    # Steps {know 2 + 2}, {ling 6 + 6}: half each. Both in one step: 4 of 16 tokens.
    tokens, groups, batches = [2, 2, 6, 6], ["know", "know", "ling", "ling"], [[0, 1], [2, 3]]
    assert loss_shares(tokens, groups, batches, 1) == {"know": 0.5, "ling": 0.5}
    assert loss_shares(tokens, groups, batches, 2) == {"know": 0.25, "ling": 0.75}
    # Three steps of {know 6, ling 2}, {ling 4}, {know 2}: 3/4, nothing and all are of know.
    three = loss_shares([2, 4, 6, 2], ["know", "ling", "know", "ling"], [[2, 3], [1], [0]], 1)
    assert three == pytest.approx({"know": 1.75 / 3, "ling": 1.25 / 3})


def test_loss_denominators_by_hand() -> None:
    # 4 steps; know has 20 tokens and weight 1/4: each token counts 1/4 x 4 / 20 = 1/20. ling: 3/4 x 4 / 60 = 1/20.
    assert loss_denominators({"know": 1, "ling": 3}, {"know": 20, "ling": 60}, 4) == {"know": 20, "ling": 20}
    assert loss_denominators({"know": 0, "ling": 1}, {"know": 20, "ling": 60}, 4) == {"know": float("inf"), "ling": 15}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"know": 1}, "source_weights names no weight for 'ling'; give one for know, ling"),
        ({"know": 1, "ling": 1, "other": 1}, "source_weights names 'other', which is not trained on"),
    ],
)
def test_weights_fit_the_sources(weights: dict[str, float], message: str) -> None:
    with pytest.raises(MellaError, match=message):
        loss_denominators(weights, {"know": 1, "ling": 1}, 1)


@pytest.mark.parametrize(
    ("lengths", "groups", "size", "ranks", "message"),
    [
        ([1], [], 1, 1, "1 lengths for 0 groups"),
        ([], [], 1, 1, "^The training dataset is empty; check the split names and the languages.$"),
        ([1], ["know"], 0, 1, "batch_size is 0"),
        ([1, 1], ["know"] * 2, 4, 3, "'know' has 2 samples for 3 processes; add samples or use fewer processes"),
    ],
)
def test_errors(lengths: list[int], groups: list[str], size: int, ranks: int, message: str) -> None:
    with pytest.raises(MellaError, match=message):
        LengthBuckets(lengths, groups, size, ranks=ranks)
