"""Test images that training has seen are found: exact copies, recompressed and rescaled ones, and no others."""

import hashlib
import io
import random
from pathlib import Path

import numpy as np
import pytest
from dataset_samples import picture, record
from PIL import Image

from mella_hf.dataset.disjoint import Hashes, Leak, check_disjoint, describe_leaks, find_leaks
from mella_hf.dataset.write import write_split
from mella_hf.errors import MellaError


def hashes(values: list[int]) -> Hashes:
    ids = [hashlib.sha256(str(n).encode()).digest() for n in range(len(values))]
    return Hashes(np.array(ids, dtype="S32"), np.array(values, dtype=np.uint64))


def test_leaks_are_exactly_what_brute_force_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mella_hf.dataset.disjoint._BLOCK", 1000)  # several blocks
    rng = random.Random(5)
    train = [rng.getrandbits(64) for _ in range(300)]
    test = []
    for value in train[:80]:  # 0 to 7 flipped bits: some within 4, some just beyond
        for bit in rng.sample(range(64), rng.randrange(8)):
            value ^= 1 << bit
        test.append(value)
    found = {(leak.test_id, leak.train_id, leak.distance) for leak in find_leaks(hashes(train), hashes(test))}
    expected = {
        (hashlib.sha256(str(j).encode()).hexdigest(), hashlib.sha256(str(i).encode()).hexdigest(), bits)
        for i, a in enumerate(train)
        for j, b in enumerate(test)
        if (bits := bin(a ^ b).count("1")) <= 4
    }
    assert found == expected and 20 < len(found) < 80


def test_four_bits_are_near_and_five_are_not() -> None:
    four, five = 0b1111, 0b11111
    assert [leak.distance for leak in find_leaks(hashes([0]), hashes([four]))] == [4]
    assert find_leaks(hashes([0]), hashes([five])) == []


def test_digests_that_end_in_zero_bytes_stay_whole() -> None:
    # NumPy cuts zero bytes from the end of a bytes value; the id in the report must still have 64 digits.
    digest = b"\x01" * 30 + b"\0\0"
    one = Hashes(np.array([digest], dtype="S32"), np.array([7], dtype=np.uint64))
    (leak,) = find_leaks(one, one)
    assert leak.test_id == leak.train_id == "01" * 30 + "0000"


def test_leaks_come_by_test_image_and_then_the_nearest_first() -> None:
    train, test = hashes([0b111, 0b1, 0b11]), hashes([0, 1 << 40])
    near = [leak for leak in find_leaks(train, test) if leak.test_id == hashlib.sha256(b"0").hexdigest()]
    assert [leak.distance for leak in near] == [1, 2, 3]
    both = find_leaks(hashes([0]), hashes([1, 0, 2]))
    assert [leak.test_id for leak in both] == sorted(hashlib.sha256(str(n).encode()).hexdigest() for n in range(3))


def test_the_report_names_the_first_three() -> None:
    leaks = [Leak(f"{n}" * 64, "a" * 64, n) for n in range(5)] + [Leak("0" * 64, "b" * 64, 4)]
    assert describe_leaks(leaks, "ar") == (
        "language 'ar': 5 test images are in training as well, by sha256 or perceptual hash: "
        "000000000000 is aaaaaaaaaaaa (distance 0); 111111111111 is aaaaaaaaaaaa (distance 1); "
        "222222222222 is aaaaaaaaaaaa (distance 2)"
    )


def _recompressed(data: bytes, scale: float = 1.0) -> bytes:
    image = Image.open(io.BytesIO(data))
    out = io.BytesIO()
    image.resize((round(image.width * scale), round(image.height * scale))).save(out, "JPEG", quality=60)
    return out.getvalue()


@pytest.mark.parametrize("test_split", ["know_test", "ling_test"])
def test_a_copy_of_a_training_image_is_found(tmp_path: Path, test_split: str) -> None:
    image = picture(1, size=(256, 192))
    write_split([record(i, image=picture(i, size=(256, 192))) for i in range(20)], tmp_path, "ar", "know")
    source = test_split.removesuffix("_test")
    clean = [record(i, source=source) for i in range(50, 60)]
    write_split(clean, tmp_path, "ar", test_split)
    check_disjoint(tmp_path, "ar")
    for copied in (image, _recompressed(image), _recompressed(image, 0.5)):
        write_split([*clean, record(99, source=source, image=copied)], tmp_path, "ar", test_split)
        ids = f"{hashlib.sha256(copied).hexdigest()[:12]} is {hashlib.sha256(image).hexdigest()[:12]}"
        with pytest.raises(MellaError, match=f"language 'ar': 1 test images are in training.* {ids} .*build again"):
            check_disjoint(tmp_path, "ar")


def test_nothing_to_compare_is_fine(published: Path) -> None:
    check_disjoint(published, "th")
    check_disjoint(published, "nowhere")
