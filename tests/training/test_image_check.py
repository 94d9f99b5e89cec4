"""Broken images are found before the first step; what only decoding shows costs its own sample, and no progress."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sft_runs import flags, weights_in

from mella_hf.errors import SampleError
from mella_hf.images.opening import Rejected, open_image
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.batches.bad_samples import SKIPPED_FILE
from mella_hf.training.batches.image_check import broken_images, image_problem
from mella_hf.training.sft import check, train

SIZE = 48, 32
KINDS = {
    "jpeg": {"format": "JPEG"},
    "progressive": {"format": "JPEG", "progressive": True},
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP"},
    "lossless": {"format": "WEBP", "lossless": True},
    "gif": {"format": "GIF"},
    "avif": {"format": "AVIF"},
    "bmp": {"format": "BMP"},
}


def encoded(**how: Any) -> bytes:
    import numpy as np

    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **how)
    return file.getvalue()


def undecodable(data: bytes) -> bytes:
    """A JPEG of the right length whose first component has a quantization table that is not there (T.81, B.2.2)."""
    frame = data.index(b"\xff\xc0")  # marker 2, length 2, precision 1, sides 4, components 1; id 1, sampling 1, table 1
    return data[: frame + 12] + b"\x03" + data[frame + 13 :]


def problem(data: bytes | None, size: tuple[int, int] = SIZE) -> str | None:
    return image_problem({"bytes": data, "path": None}, size)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_image_is_found_wherever_it_is_cut(kind: str) -> None:
    """The opener of images, which decodes all of it, is the judge."""
    data = encoded(**KINDS[kind])
    assert problem(data) is None
    assert problem(data + b"something behind it") is None
    for share in range(1, 20):
        cut = data[: len(data) * share // 20]
        with pytest.raises(Rejected):
            open_image(cut)
        assert problem(cut) is not None, share


def test_what_is_no_image_or_not_the_row_s() -> None:
    whole = encoded(format="JPEG")
    assert image_problem(None, SIZE) == "image_empty"
    assert "image_broken" in str(problem(None))
    assert "image_format" in str(problem(b"no image"))
    assert "image_broken" in str(image_problem({"bytes": None, "path": "/nowhere/a.jpg"}, SIZE))
    assert problem(whole, (64, 64)) == "image_size: it has 48 x 32 px, its row says 64 x 64"
    assert problem(whole, SIZE[::-1]) is None, "a photograph that lies on its side"
    flipped = bytearray(encoded(format="PNG"))
    flipped[len(flipped) // 2] ^= 1
    assert "image_broken" in str(problem(bytes(flipped)))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_rows: Any) -> Any:
    """Writes 12 rows of know, 14 of ling; images are replaced by "<source><row>"."""
    from datasets import Dataset, Features
    from datasets import Image as ImageColumn

    from mella_hf.sample import features

    def write(name: str, **images: bytes) -> tuple[Path, list[str]]:
        folder = tmp_path_factory.mktemp(name)
        (folder / "ar").mkdir()
        ids = []
        for source, count, start in (("know", 12, 0), ("ling", 14, 50)):
            rows = [dict(row) for row in make_rows(count, source=source, start=start).cast_column(
                "image", ImageColumn(decode=False))]  # fmt: skip
            for at, row in enumerate(rows):
                if f"{source}{at}" in images:
                    row["image"] = {"bytes": images[f"{source}{at}"], "path": None}
                    row["width"], row["height"] = SIZE
                    ids.append(row["id"])
            made = Dataset.from_list(rows, features=Features({**features(), "image": ImageColumn(decode=False)}))
            made.cast_column("image", ImageColumn()).to_parquet(folder / f"ar/{source}-00000-of-00001.parquet")
        return folder, ids

    return write


def test_the_last_row_of_a_dataset_is_looked_at_before_the_first_step(
    tiny_qwen2vl: Path, data: Any, tmp_path: Path
) -> None:
    folder, (bad,) = data("cut", ling13=encoded(format="JPEG")[:-40])
    run = tmp_path / "run"
    for begin in (check, train):
        with pytest.raises(SampleError, match=f"The sample '{bad}' cannot be trained on: image_broken: .*truncated"):
            begin(parse_settings(flags(tiny_qwen2vl, folder, run)))
        assert not list(run.glob("checkpoint-*"))
    found = check(parse_settings(flags(tiny_qwen2vl, folder, run, skip_bad_samples=1, eval_strategy="steps",
                                       eval_samples=2)))  # fmt: skip
    assert (found.samples, found.left_out) == (25, 1)
    assert not (run / SKIPPED_FILE).exists(), "a check leaves nothing"


def test_check_images_false_reads_no_image_beforehand(
    tiny_qwen2vl: Path, data: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mella_hf.training.feeding.broken_images", None)
    settings = parse_settings(flags(tiny_qwen2vl, data("sound")[0], tmp_path / "run", check_images="false"))
    assert (
        check(settings).lines()[0] == "samples: 26 have sound texts and sizes (check_images is false), 0 are left out"
    )
    with pytest.raises(TypeError, match="not callable"):
        check(parse_settings(flags(tiny_qwen2vl, data("other")[0], tmp_path / "run")))


def test_images_are_looked_at_once(data: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from datasets import Image as ImageColumn
    from datasets import load_dataset

    from mella_hf.training.batches import image_check

    folder, _ = data("twice", know3=b"no image")
    rows = load_dataset("parquet", data_files=str(folder / "ar/know*.parquet"), cache_dir=str(tmp_path), split="train")
    rows = rows.cast_column("image", ImageColumn(decode=False))
    first = broken_images(rows)
    assert list(first) == [3]
    monkeypatch.setattr(image_check, "image_problem", None)
    assert broken_images(rows) == first


@pytest.mark.parametrize(("batch", "row"), [(1, 7), (3, 3)])  # rows that seed 42 meets after the first step
def test_what_only_decoding_shows_costs_its_sample_and_no_progress(
    tiny_qwen2vl: Path, data: Any, tmp_path: Path, batch: int, row: int
) -> None:
    """The run ends at it and goes on with skip_bad_samples; it equals one that had the setting from the start."""
    hidden = undecodable(encoded(format="JPEG"))
    assert problem(hidden) is None
    folder, (bad,) = data("hidden", **{f"know{row}": hidden})

    def settings(name: str, **more: Any) -> Any:
        given = {"sources": "know", "per_device_train_batch_size": batch, "save_steps": 1, "max_steps": 12 // batch}
        return parse_settings(flags(tiny_qwen2vl, folder, tmp_path / name, **given, **more))

    with pytest.raises(SampleError, match=f"'{bad}' .*A run that has begun goes on with the latter"):
        train(settings("run"))
    done = len(list((tmp_path / "run").glob("checkpoint-*")))
    train(settings("run", skip_bad_samples=1))
    train(settings("other", skip_bad_samples=1))
    assert weights_in(tmp_path / "run") == weights_in(tmp_path / "other")
    assert bad in (tmp_path / "run" / SKIPPED_FILE).read_text()
    assert done > 0


def test_a_stream_leaves_them_out_too(tiny_qwen2vl: Path, data: Any, tmp_path: Path) -> None:
    hidden = undecodable(encoded(format="JPEG"))
    folder, bad = data("stream", know0=hidden, know7=b"no image", ling3=encoded(format="PNG")[:-30])
    given = {"streaming": "true", "max_steps": 30, "per_device_train_batch_size": 1, "save_steps": 30}
    with pytest.raises(SampleError, match="cannot be trained on: image_"):
        train(parse_settings(flags(tiny_qwen2vl, folder, tmp_path / "strict", **given)))
    train(parse_settings(flags(tiny_qwen2vl, folder, tmp_path / "run", skip_bad_samples=3, **given)))
    said = (tmp_path / "run" / SKIPPED_FILE).read_text()
    assert all(name in said for name in bad) and said.count("\n") == 3
