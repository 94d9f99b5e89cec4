"""`load_dataset("mella", …)`: every way of reading gives the rows that pyarrow reads from the same shards."""

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_samples import picture, record
from datasets import load_dataset
from PIL import Image

import mella_hf  # noqa: F401  (registers "mella")
from mella_hf import languages
from mella_hf.dataset import builder
from mella_hf.dataset.card.card import write_card
from mella_hf.dataset.verify import verify_dataset
from mella_hf.dataset.write import shard_paths, write_split
from mella_hf.errors import MellaError
from mella_hf.images.opening import on_white, open_image
from mella_hf.sample import SCHEMA, SPLITS, features, utc

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(published: Path, tmp_path: Path):
    """`load_dataset("mella", …)` on the published folder, with a cache of the test's own."""

    def load(config: str | None, **options):
        options = {"data_dir": str(published), "cache_dir": str(tmp_path / "cache")} | options
        return load_dataset("mella", config, **options)

    return load


def ids(folder: Path, language: str, split: str) -> list[str]:
    return [i for path in shard_paths(folder, language, split) for i in pq.read_table(path)["id"].to_pylist()]


def test_all_splits(load, published: Path) -> None:
    dataset = load("ar")
    assert list(dataset) == list(SPLITS)
    assert dataset["know"]["id"][:] == ids(published, "ar", "know")
    assert dataset["know"].features == features()
    sample = dataset["ling"][2]
    assert sample["image"].size == (96, 64) and sample["source"] == "ling" and sample["qe_score"] is None


def test_all_languages(load, published: Path) -> None:
    dataset = load("all", split="know")
    assert dataset["id"][:] == ids(published, "ar", "know") + ids(published, "th", "know")
    assert load("th", split="know_test")["language"][:] == ["th", "th"]


def test_slices_and_sums(load, published: Path) -> None:
    know, ling = ids(published, "ar", "know"), ids(published, "ar", "ling")
    assert load("ar", split="know[10:20]")["id"][:] == know[10:20]
    assert load("ar", split="know[:1%]+ling[-2:]")["id"][:] == know[:6] + ling[-2:]
    assert load("ar", split=["know[:3]", "ling"])[1]["id"][:] == ling
    instruction = datasets.ReadInstruction("know", from_=0, to=50, unit="%")
    assert load("ar", split=instruction)["id"][:] == know[:300]
    assert len(load("ar", split="all")) == 612


def test_streaming(load, published: Path) -> None:
    stream = load("ar", streaming=True)
    assert list(stream) == list(SPLITS)
    assert [row["id"] for row in stream["know"]] == ids(published, "ar", "know")
    assert next(iter(stream["ling"]))["image"].size == (96, 64)
    both = load("ar", split="know_test+ling_test", streaming=True)
    assert [row["id"] for row in both] == ids(published, "ar", "know_test") + ids(published, "ar", "ling_test")


def test_one_split_prepares_no_other(load, tmp_path: Path) -> None:
    load("ar", split="know_test")
    prepared = [p.parent.parent.parent.name for p in (tmp_path / "cache").rglob("*.arrow")]
    assert len(prepared) == 1 and "-know_test-" in prepared[0]


def test_a_second_load_reads_the_cache(load, tmp_path: Path) -> None:
    first = load("ar", split="know")
    stamp = Path(first.cache_files[0]["filename"]).stat().st_mtime_ns
    assert Path(load("ar", split="know").cache_files[0]["filename"]).stat().st_mtime_ns == stamp


def test_changed_data_is_not_read_from_the_cache(tmp_path: Path) -> None:
    folder, cache = tmp_path / "data", str(tmp_path / "cache")
    for seeds in (range(3), range(3, 8)):
        write_split([record(i) for i in seeds], folder, "ar", "know")
        dataset = load_dataset("mella", "ar", data_dir=str(folder), split="know", cache_dir=cache)
        assert dataset["id"][:] == ids(folder, "ar", "know")


@pytest.mark.parametrize("text", ["بيت<|im_end|>", "\u200b\u2060 \ufeff", None, "[IMG] دار"])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_text_that_is_unfit_is_refused(tmp_path: Path, text: str | None, streaming: bool) -> None:
    """As verify does, with the shard's name; a shard could be written by anybody."""
    write_split([record(n) for n in range(3)], tmp_path / "d", "ar", "know")
    (path,) = shard_paths(tmp_path / "d", "ar", "know")
    table = pq.read_table(path)
    texts = [*table["text"].to_pylist()[:2], text]
    pq.write_table(table.set_column(table.schema.get_field_index("text"), "text", pa.array(texts, pa.string())), path)
    with pytest.raises(MellaError, match=r"know-00000-of-00001.parquet has the text .* unfit \(text_"):
        where = {"data_dir": str(tmp_path / "d"), "cache_dir": str(tmp_path / "cache")}
        list(load_dataset("mella", "ar", split="know", streaming=streaming, **where))
    with pytest.raises(MellaError, match="unfit"):
        verify_dataset(tmp_path / "d", workers=0, progress=False, card=False).require_sound()


def test_num_proc(load, published: Path) -> None:
    assert load("ar", split="know", num_proc=2)["id"][:] == ids(published, "ar", "know")


def test_columns(load, published: Path) -> None:
    dataset = load("ar", split="know", columns=["text", "id"])
    assert dataset.column_names == ["text", "id"]
    assert dataset["id"][:] == ids(published, "ar", "know")
    assert next(iter(load("ar", split="ling", columns=["image"], streaming=True))).keys() == {"image"}
    with pytest.raises(MellaError, match="Unknown column 'caption'; the dataset has id, image, text"):
        load("ar", split="know", columns=["caption"])


@pytest.mark.parametrize("kind", ["torch", "numpy"])
@pytest.mark.parametrize("plain", [False, True])
def test_every_row_becomes_tensors(tmp_path: Path, kind: str, plain: bool) -> None:
    """Times and missing values too; what no tensor can hold stays text."""
    rows = [record(n, collected_at=utc(2026, 1, 2) if n else None, qe_score=n / 2 if n else None) for n in range(3)]
    write_split(rows, tmp_path / "d", "ar", "know")
    write_card(tmp_path / "d")
    where = {"path": str(tmp_path / "d")} if plain else {"path": "mella", "data_dir": str(tmp_path / "d")}
    dataset = load_dataset(name="ar", split="know", cache_dir=str(tmp_path / "cache"), **where).with_format(kind)
    found = [dataset[n] for n in range(3)]
    assert [row["collected_at"] for row in found] == [None, *["2026-01-02T00:00:00Z"] * 2]
    assert [tuple(row["image"].shape) for row in found] == [(3, 64, 96) if kind == "torch" else (64, 96, 3)] * 3
    assert float(found[1]["qe_score"]) == 0.5 and len(dataset[:3]["text"]) == 3


def test_rows_read_with_datasets_can_be_written_again(tmp_path: Path) -> None:
    write_split([record(1, collected_at=utc(2026, 1, 2))], tmp_path / "a", "ar", "know")
    rows = load_dataset("mella", "ar", data_dir=str(tmp_path / "a"), split="know", cache_dir=str(tmp_path / "cache"))
    write_split(rows.cast_column("image", datasets.Image(decode=False)), tmp_path / "b", "ar", "know")
    (a,), (b,) = (shard_paths(tmp_path / name, "ar", "know") for name in "ab")
    assert a.read_bytes() == b.read_bytes()
    with pytest.raises(MellaError, match="column 'collected_at': is 'yesterday': Input should be a valid datetime"):
        write_split([record(1) | {"collected_at": "yesterday"}], tmp_path / "c", "ar", "know")


def test_features_choose_columns_and_types(load, published: Path) -> None:
    asked = datasets.Features(
        {
            "language": datasets.ClassLabel(names=["th", "ar"]),
            "image": datasets.Image(decode=False),
            "id": datasets.Value("large_string"),
        }
    )
    for streaming in (False, True):
        dataset = load("ar", split="ling", features=asked, streaming=streaming)
        assert dataset.features == asked
        row = next(iter(dataset))
        assert row["language"] == 1 and row["image"]["bytes"] and row["id"] == ids(published, "ar", "ling")[0]
    with pytest.raises(MellaError, match="Unknown column 'caption'; the dataset has id, image, text"):
        load("ar", split="ling", features=datasets.Features({"caption": datasets.Value("string")}))


def test_configs_are_those_of_the_folder(published: Path, tmp_path: Path) -> None:
    assert datasets.get_dataset_config_names("mella", data_dir=str(published)) == ["ar", "th", "all"]
    assert datasets.get_dataset_split_names("mella", "th", data_dir=str(published)) == ["know", "know_test"]
    with pytest.raises(MellaError, match="holds no dataset"):
        datasets.get_dataset_config_names("mella", data_dir=str(tmp_path))


def test_folders_that_look_alike_are_not_confused(tmp_path: Path) -> None:
    """Equal names, sizes and times; and a folder in which a file was replaced so."""
    cache, found = str(tmp_path / "cache"), []

    def first_id(folder: Path) -> str:
        return load_dataset("mella", "ar", data_dir=str(folder), split="know", cache_dir=cache)[0]["id"]

    image = [picture(n, "BMP") for n in range(3)]  # of one size
    for n in range(3):
        write_split([record(n, image=image[n], text="x")], tmp_path / f"{n}", "ar", "know")
        (path,) = shard_paths(tmp_path / f"{n}", "ar", "know")
        os.utime(path, ns=(10**18, 10**18))
        found.append(path)
    assert len({path.stat().st_size for path in found}) == 1
    assert first_id(tmp_path / "0") != first_id(tmp_path / "1")
    os.replace(found[2], found[1])
    assert first_id(tmp_path / "1") == pq.read_table(found[1])["id"][0].as_py()


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data[: len(data) // 2], "is damaged or not whole"),
        (lambda data: data[:100] + bytes(500) + data[600:], "is damaged or not whole"),
        (lambda data: b"", "is damaged or not whole"),
        (
            lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "is a pointer of Git LFS, not the file; run 'git lfs pull'",
        ),
    ],
    ids=["cut", "overwritten", "empty", "pointer"],
)
def test_a_bad_shard_is_named(tmp_path: Path, spoil, message: str, streaming: bool) -> None:
    write_split([record(i) for i in range(600)], tmp_path / "d", "ar", "know", shard_bytes=1)
    bad = shard_paths(tmp_path / "d", "ar", "know")[1]
    bad.write_bytes(spoil(bad.read_bytes()))
    with pytest.raises(MellaError, match=f"The shard {bad} {message}"):
        options = {"data_dir": str(tmp_path / "d"), "cache_dir": str(tmp_path / "cache"), "streaming": streaming}
        list(load_dataset("mella", "ar", split="know", **options))


def test_a_pipe_is_no_shard(tmp_path: Path) -> None:
    write_split([record(1)], tmp_path, "ar", "know")
    os.mkfifo(tmp_path / "ar" / "ling-00000-of-00001.parquet")
    assert list(load_dataset("mella", "ar", data_dir=str(tmp_path), cache_dir=str(tmp_path / "cache"))) == ["know"]


def test_pickling(load, published: Path) -> None:
    stream = pickle.loads(pickle.dumps(load("ar", split="know", streaming=True)))
    assert [row["id"] for row in stream] == ids(published, "ar", "know")
    dataset = pickle.loads(pickle.dumps(load("ar", split="ling")))
    assert dataset["id"][:] == ids(published, "ar", "ling")


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("streaming", [False, True])
def test_data_loader_workers(load, published: Path, method: str, streaming: bool) -> None:
    from torch.utils.data import DataLoader

    dataset = load("ar", split="know", streaming=streaming, columns=["id"])
    loader = DataLoader(dataset, batch_size=50, num_workers=2, multiprocessing_context=method)
    assert sorted(i for batch in loader for i in batch["id"]) == sorted(ids(published, "ar", "know"))


def test_ranks_share_the_rows(load, published: Path) -> None:
    from datasets.distributed import split_dataset_by_node

    for world in (2, 3):  # three shards: by shard for 3, by row for 2
        stream = load("ar", split="know", streaming=True, columns=["id"])
        parts = [[r["id"] for r in split_dataset_by_node(stream, rank, world)] for rank in range(world)]
        assert sorted(sum(parts, [])) == sorted(ids(published, "ar", "know"))


def test_resharding_goes_by_row_group(load, published: Path) -> None:
    stream = load("ar", split="know", streaming=True, columns=["id"])
    assert stream.num_shards == 3
    groups = sum(pq.ParquetFile(p).num_row_groups for p in shard_paths(published, "ar", "know"))
    many = stream.reshard()
    assert many.num_shards == groups >= 3
    assert [row["id"] for row in many] == ids(published, "ar", "know")


@pytest.mark.parametrize("seen", [1, 255, 256, 300, 599])
def test_mid_epoch_resume(load, published: Path, seen: int) -> None:
    stream = load("ar", split="know", streaming=True, columns=["id"])
    iterator = iter(stream)
    for _ in range(seen):
        next(iterator)
    state = stream.state_dict()
    fresh = load("ar", split="know", streaming=True, columns=["id"])
    fresh.load_state_dict(state)
    assert [row["id"] for row in fresh] == ids(published, "ar", "know")[seen:]


def test_a_language_of_its_own(tmp_path: Path) -> None:
    """The data may hold a language that has no entry anywhere."""
    write_split([record(1, "qu")], tmp_path / "data", "qu", "know")
    dataset = load_dataset("mella", "qu", data_dir=str(tmp_path / "data"), cache_dir=str(tmp_path / "cache"))
    assert dataset["know"]["language"][:] == ["qu"]


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ("xx", {}, r"Unknown language 'xx'; data_dir='.*' has ar, th and 'all'\."),
        (None, {}, r"Name a language, as in load_dataset\('mella', 'ar'\); data_dir='.*' has ar, th and 'all'\."),
        ("ar", {"data_dir": "/nowhere"}, r"data_dir='/nowhere' is not a folder; give the folder that holds ar/"),
        ("ar", {"split": "train"}, "Unknown split 'train'; the config 'ar' has know, ling, know_test, ling_test"),
        ("th", {"split": "ling"}, "Unknown split 'ling'; the config 'th' has know, know_test"),
        ("th", {"split": "know+ling[:3]", "streaming": True}, "Unknown split 'ling'; the config 'th' has"),
        ("ar", {"data_files": "x.parquet"}, "takes no data_files; give its folder as data_dir"),
        ("ar", {"revision": "v1"}, "revision='v1' is for a Hub repo; a data_dir has none"),
    ],
)
def test_bad_requests(load, config: str | None, options: dict, message: str) -> None:
    with pytest.raises(MellaError, match=message):
        load(config, **options)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match=r"holds no dataset: found no LANGUAGE/SPLIT-00000-of-0000N\.parquet"):
        load_dataset("mella", "ar", data_dir=str(tmp_path))


def test_one_folder_too_deep(published: Path) -> None:
    with pytest.raises(MellaError, match="not one above or below it"):
        load_dataset("mella", "ar", data_dir=str(published / "ar"))


def test_a_missing_shard(tmp_path: Path) -> None:
    write_split([record(i) for i in range(600)], tmp_path, "ar", "know", shard_bytes=1)
    (tmp_path / "ar" / "know-00002-of-00003.parquet").unlink()
    with pytest.raises(MellaError, match="holds 2 of 3 shards of ar/know; fetch or build the missing ones"):
        load_dataset("mella", "ar", data_dir=str(tmp_path))


def _write_hostile(folder: Path, image: dict) -> None:
    row = record(1) | {"image": image}
    (folder / "ar").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row], schema=SCHEMA), folder / "ar" / "know-00000-of-00001.parquet")


@pytest.mark.parametrize("path", ["/etc/passwd", "http://127.0.0.1:9/x.png"])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_path_without_bytes_opens_nothing(tmp_path: Path, path: str, streaming: bool) -> None:
    _write_hostile(tmp_path / "data", {"bytes": None, "path": path})
    with pytest.raises((MellaError, datasets.exceptions.DatasetGenerationError)) as caught:
        dataset = load_dataset(
            "mella", "ar", data_dir=str(tmp_path / "data"), cache_dir=str(tmp_path), streaming=streaming, split="know"
        )
        next(iter(dataset))
    error = caught.value if isinstance(caught.value, MellaError) else caught.value.__cause__
    assert isinstance(error, MellaError) and "An image has no bytes" in str(error)


def test_a_path_beside_bytes_is_left_out(tmp_path: Path) -> None:
    image = record(1)["image"]["bytes"]
    _write_hostile(tmp_path / "data", {"bytes": image, "path": "/etc/passwd"})
    dataset = load_dataset("mella", "ar", data_dir=str(tmp_path / "data"), cache_dir=str(tmp_path), split="know")
    assert dataset.cast_column("image", datasets.Image(decode=False))[0]["image"] == {"bytes": image, "path": None}


def test_abandoned_iterators_let_the_interpreter_exit(published: Path) -> None:
    code = (
        "import mella_hf\nfrom datasets import load_dataset\n"
        f"ds = load_dataset('mella', 'ar', data_dir={str(published)!r}, split='know', streaming=True)\n"
        "it = iter(ds); print(next(it)['language']); print(len(list(ds.take(3))))"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "ar\n3\n"), done.stderr


def test_the_loading_script_is_this_builder() -> None:
    """In step by `cp mella_hf/dataset/builder.py dataset_scripts/mella.py`."""
    assert (ROOT / "dataset_scripts" / "mella.py").read_bytes() == Path(builder.__file__).read_bytes()


def test_constants_agree_with_the_library() -> None:
    from mella_hf.sample import SPLITS as RECORD_SPLITS

    assert set(builder.LANGUAGES) <= set(languages.language_codes())
    assert builder.SPLITS == RECORD_SPLITS


@pytest.mark.parametrize("streaming", [False, True])
def test_resize(load, streaming: bool) -> None:
    dataset = load("ar", split="know_test", resize=48, streaming=streaming)
    whole = load("ar", split="know_test", streaming=streaming)
    for small, large in zip(dataset, whole, strict=True):
        assert small["image"].size == (48, 32)
        assert {k: v for k, v in small.items() if k != "image"} == {k: v for k, v in large.items() if k != "image"}
        expected = large["image"].resize((48, 32), 3)  # bicubic from the whole image
        difference = np.abs(np.asarray(small["image"], float) - np.asarray(expected, float)).mean()
        assert difference < 12, difference  # levels of 255: draft decoding averages blocks
    assert next(iter(load("ar", split="know_test", resize=500, streaming=streaming)))["image"].size == (96, 64)
    assert load("ar", split="know_test", resize=48, columns=["text"])["text"][:]


@pytest.mark.parametrize(
    ("kind", "modes"),
    [("JPEG", "RGB L CMYK 1"), ("PNG", "RGB L P 1 RGBA LA"), ("GIF", "RGB L P 1 RGBA"), ("WEBP", "RGB RGBA L")],
)
def test_resize_of_every_kind(kind: str, modes: str) -> None:
    for mode in modes.split():
        out = io.BytesIO()
        Image.open(io.BytesIO(picture(1, size=(320, 200)))).convert(mode).save(out, kind)
        small = builder.decode_to_fit(out.getvalue(), 100)
        assert small.size == (100, 62) and small.convert("RGB").getextrema() != ((0, 0), (0, 0), (0, 0))


@pytest.mark.parametrize("side", [40, 400])
@pytest.mark.parametrize("junk", [b"garbage garbage", b"", b"II*\0\xff\xff\xff\xff"])
def test_resize_with_an_exif_segment_that_is_none(junk: bytes, side: int) -> None:
    data, segment = picture(1, size=(320, 200)), b"Exif\0\0" + junk
    data = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
    assert open_image(data).size == (320, 200)
    assert max(builder.decode_to_fit(data, side).size) == min(side, 320)


def test_resize_keeps_what_is_transparent() -> None:
    """As the one opener shows it: a black square on a colour that tRNS declares transparent."""
    image = Image.new("RGB", (80, 60), (7, 8, 9))
    image.paste((0, 0, 0), (20, 15, 60, 45))
    out = io.BytesIO()
    image.save(out, "PNG", transparency=(7, 8, 9))
    small = np.asarray(on_white(builder.decode_to_fit(out.getvalue(), 40)))
    assert small[2, 2].tolist() == [255, 255, 255] and small[15, 20].tolist() == [0, 0, 0]


def test_resize_turns_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert builder.decode_to_fit(picture(1, size=(320, 200), exif=exif), 100).size == (62, 100)
    assert builder.decode_to_fit(picture(1, size=(320, 200), exif=exif), 400).size == (200, 320)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_an_image_that_fits_is_what_datasets_decodes(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.open(io.BytesIO(picture(1, size=(320, 200)))).save(out, kind, exif=exif)
    whole = datasets.Image().decode_example({"bytes": out.getvalue(), "path": None})
    fitted = builder.decode_to_fit(out.getvalue(), 400)
    assert fitted.size == whole.size and fitted.tobytes() == whole.tobytes()
    assert pickle.loads(pickle.dumps(fitted)).tobytes() == whole.tobytes()  # as a DataLoader's worker sends it


@pytest.mark.parametrize("resize", [0, -1, "224", 1.5, True])
def test_resize_to_nothing(load, resize) -> None:
    with pytest.raises(MellaError, match="is not a size; give pixels, such as resize=448"):
        load("ar", split="know", resize=resize)
