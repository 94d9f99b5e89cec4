"""The arrays' verdicts are those of the plain definition, applied row by row."""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mella_hf.images.duplicates import KEPT, SAME_BYTES, SAME_PICTURE, find_duplicates, near_pairs


def by_definition(ids: list[int], hashes: list[int], *, pictures: bool = True) -> list[int]:
    """Keep a row unless its bytes came before, or a kept row's picture is at most four bits away."""
    seen: set[int] = set()
    kept: list[int] = []
    verdicts = []
    for name, value in zip(ids, hashes, strict=True):
        if name in seen:
            verdicts.append(SAME_BYTES)
        elif pictures and any(bin(value ^ other).count("1") <= 4 for other in kept):
            verdicts.append(SAME_PICTURE)
        else:
            kept.append(value)
            verdicts.append(KEPT)
        seen.add(name)
    return verdicts


def verdicts(ids: list[int], hashes: list[int] | None) -> list[int]:
    digests = np.array([name.to_bytes(32, "big") for name in ids], dtype="S32")
    found = find_duplicates(digests, None if hashes is None else np.array(hashes, dtype=np.uint64))
    assert found.dtype == np.uint8  # a byte for each of a hundred million rows
    return found.tolist()


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


def test_near_pairs_are_all_pairs_and_few_others_are_compared(monkeypatch) -> None:
    """Every pair at most four bits apart, by brute force; buckets of 12 and 13 bits leave most others alone."""
    compared = 0
    count = np.bitwise_count

    def counted(bits: np.ndarray) -> np.ndarray:
        nonlocal compared
        compared += bits.size
        return count(bits)

    monkeypatch.setattr("mella_hf.images.duplicates.np.bitwise_count", counted)
    rng = random.Random(9)
    hashes = [rng.getrandbits(64) for _ in range(400)]
    for bits in range(6):  # ten near copies at each distance
        for value in hashes[10 * bits : 10 * bits + 10]:
            for bit in rng.sample(range(64), bits):
                value ^= 1 << bit
            hashes.append(value)
    values = np.array(sorted(set(hashes)), dtype=np.uint64)
    found = {(int(i), int(j)) for a, b in near_pairs(values) for i, j in zip(a, b, strict=True)}
    plain = values.tolist()
    expected = {
        (i, j) for i in range(len(plain)) for j in range(i + 1, len(plain)) if (plain[i] ^ plain[j]).bit_count() <= 4
    }
    assert found == expected and len(found) >= 40
    # In five bands each of 450 rows meets itself (2,250), others by chance (450 x 449 in one band of 4,096 buckets and
    # four of 8,192: 148), and 50 near copies their originals, both ways (500 at most).
    assert len(plain) == 450 and compared < 2250 + 148 + 500


def test_digests_that_share_their_first_eight_bytes_are_told_apart() -> None:
    start = 5 << 192  # the first of four words; only the last one differs
    assert verdicts([start + 1, start + 2, start + 1, start + 3, start + 2], None) == [
        KEPT, KEPT, SAME_BYTES, KEPT, SAME_BYTES,
    ]  # fmt: skip


def test_digests_that_share_any_other_word() -> None:
    one, other = (1 << 192) + 7, (2 << 192) + 7
    assert verdicts([one, other, one, other, one], None) == [KEPT, KEPT, SAME_BYTES, SAME_BYTES, SAME_BYTES]


def test_the_first_of_many_equal_rows_is_kept() -> None:
    """Digests that share their first eight bytes, a thousand rows of fifty: their order must survive the sorting."""
    rng = random.Random(5)
    ids = [(9 << 192) + rng.randrange(50) for _ in range(1000)]
    assert verdicts(ids, None) == by_definition(ids, [1 << 40] * 1000, pictures=False)


def test_digests_are_bytes_and_no_numbers() -> None:
    """Eight bytes of ones would be no number as a float, and not equal to themselves; 0 and -0 would be equal."""
    ones, minus_zero = 2**256 - 1, 1 << 255
    assert verdicts([ones, 0, ones, minus_zero], None) == [KEPT, KEPT, SAME_BYTES, KEPT]
