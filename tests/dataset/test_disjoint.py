"""Test images that training has seen are found: exact copies, recompressed and rescaled ones, and no others."""

import hashlib
import io
import random
from pathlib import Path

import numpy as np
import pytest
from dataset_samples import picture, record
from PIL import Image

from mella_hf.dataset.disjoint import Hashes, check_disjoint, find_leaks
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
        with pytest.raises(MellaError, match="language 'ar': 1 test images are in training"):
            check_disjoint(tmp_path, "ar")


def test_nothing_to_compare_is_fine(published: Path) -> None:
    check_disjoint(published, "th")
    check_disjoint(published, "nowhere")
