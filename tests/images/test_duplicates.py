"""The arrays' verdicts are those of the plain definition, applied row by row."""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mella_hf.images.duplicates import KEPT, SAME_BYTES, SAME_PICTURE, find_duplicates


def by_definition(ids: list[int], hashes: list[int]) -> list[int]:
    """Keep a row unless its bytes came before, or a kept row's picture is at most four bits away."""
    seen: set[int] = set()
    kept: list[int] = []
    verdicts = []
    for name, value in zip(ids, hashes, strict=True):
        if name in seen:
            verdicts.append(SAME_BYTES)
        elif any(bin(value ^ other).count("1") <= 4 for other in kept):
            verdicts.append(SAME_PICTURE)
        else:
            kept.append(value)
            verdicts.append(KEPT)
        seen.add(name)
    return verdicts


def verdicts(ids: list[int], hashes: list[int] | None) -> list[int]:
    digests = np.array([name.to_bytes(32, "big") for name in ids], dtype="S32")
    return find_duplicates(digests, None if hashes is None else np.array(hashes, dtype=np.uint64)).tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 80))
def test_against_the_definition(seed: int, count: int) -> None:
    rng = random.Random(seed)
    family = [rng.getrandbits(64) for _ in range(4)] + [0, 2**64 - 1]
    picture_of: dict[int, int] = {}
    ids = [rng.randrange(50) for _ in range(count)]
    for name in ids:  # walk in the family by up to six bits, so that chains of near pictures arise
        value = rng.choice(family)
        for bit in rng.sample(range(64), rng.randrange(7)):
            value ^= 1 << bit
        family.append(picture_of.setdefault(name, value))
    hashes = [picture_of[name] for name in ids]
    assert verdicts(ids, hashes) == by_definition(ids, hashes)


def test_bytes_only() -> None:
    assert verdicts([1, 2, 1, 3], None) == [KEPT, KEPT, SAME_BYTES, KEPT]


def test_a_digest_may_end_in_zero_bytes() -> None:
    """NumPy strips trailing zero bytes from S32; they must still be told apart."""
    assert verdicts([256, 1, 256, 65536], None) == [KEPT, KEPT, SAME_BYTES, KEPT]


def test_later_rows_change_nothing() -> None:
    rng = random.Random(3)
    hashes = [rng.getrandbits(64) >> 40 for _ in range(300)]  # crowded: many near pairs
    whole = verdicts(list(range(300)), hashes)
    assert verdicts(list(range(200)), hashes[:200]) == whole[:200]
    assert 0 < sum(v == KEPT for v in whole) < 300
