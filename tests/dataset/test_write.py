"""The layout of the shards is what pyarrow's own footer reader says it is; bad records are refused by name."""

import hashlib
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_samples import picture, record

from mella_hf.dataset.checks import check_sample, text_problem
from mella_hf.dataset.write import languages_in, shard_paths, write_split
from mella_hf.errors import MellaError, SampleError
from mella_hf.sample import COLUMNS, SCHEMA


def test_layout(published: Path) -> None:
    paths = shard_paths(published, "ar", "know")
    assert [p.name for p in paths] == [f"know-0000{i}-of-00003.parquet" for i in range(3)]
    metadata = pq.ParquetFile(paths[0]).metadata
    assert metadata.row_group(0).num_rows == 256
    columns = {metadata.row_group(0).column(i).path_in_schema: metadata.row_group(0).column(i) for i in range(22)}
    image = columns["image.bytes"]
    assert image.compression == "UNCOMPRESSED"
    assert not image.has_dictionary_page
    assert "PLAIN" in image.encodings and "RLE_DICTIONARY" not in image.encodings
    assert all(column.has_offset_index for column in columns.values())  # the page index
    assert columns["text"].has_column_index


def test_image_bytes_lie_plain_in_the_file(tmp_path: Path) -> None:
    image = picture(1, size=(400, 300))
    written = write_split([record(1, image=image)], tmp_path, "ar", "know")
    assert image in written.paths[0].read_bytes()


def test_rows_come_back(tmp_path: Path) -> None:
    rows = [record(i, keywords=["كنافة"], category=["طعام", "حلوى"], qe_score=None) for i in range(5)]
    write_split(iter(rows), tmp_path, "ar", "know")
    assert pq.read_table(shard_paths(tmp_path, "ar", "know")[0]).to_pylist() == rows


def test_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [record(i) for i in range(300)]
    digests = set()
    for name in ("a", "b"):
        written = write_split(iter(rows), tmp_path / name, "ar", "know", shard_bytes=100_000)
        digests.add(tuple(hashlib.sha256(p.read_bytes()).hexdigest() for p in written.paths))
    assert len(digests) == 1


def test_rewriting_replaces_the_old_shards(tmp_path: Path) -> None:
    rows = [record(i) for i in range(600)]
    first = write_split(rows, tmp_path, "ar", "know", shard_bytes=1)
    assert len(first.paths) == 3
    write_split([record(9, "ar")], tmp_path, "ar", "know_test")
    second = write_split(rows[:10], tmp_path, "ar", "know")
    assert sorted(p.name for p in (tmp_path / "ar").iterdir()) == [
        "know-00000-of-00001.parquet",
        "know_test-00000-of-00001.parquet",
    ]
    assert second.rows == 10


def test_a_bad_row_leaves_the_old_split_alone(tmp_path: Path) -> None:
    write_split([record(1)], tmp_path, "ar", "know")
    before = shard_paths(tmp_path, "ar", "know")[0].read_bytes()
    with pytest.raises(SampleError):
        write_split([record(i) for i in range(300)] + [record(301) | {"id": "0" * 64}], tmp_path, "ar", "know")
    assert [p.name for p in (tmp_path / "ar").iterdir()] == ["know-00000-of-00001.parquet"]
    assert shard_paths(tmp_path, "ar", "know")[0].read_bytes() == before


def test_an_empty_split_is_no_file(tmp_path: Path) -> None:
    assert write_split([], tmp_path, "ar", "know").paths == ()
    assert languages_in(tmp_path) == []
    assert not (tmp_path / "ar").exists()


BAD = {
    "column 'image': has no bytes": {"image": {"bytes": None, "path": "/etc/passwd"}},
    "column 'image': has no": {"image": {"bytes": b"", "path": None}},
    "carries the path '/etc/passwd'": {"image": {"bytes": b"x", "path": "/etc/passwd"}},
    "carries the path 'http://127.0.0.1/x.png'": {"image": {"bytes": b"x", "path": "http://127.0.0.1/x.png"}},
    "column 'id': is not the sha256": {"id": "0" * 64},
    "column 'language': is 'th' in a shard of 'ar'": {"language": "th"},
    "column 'source': is 'ling' in the split 'know'": {"source": "ling"},
    "column 'review': is 'good'": {"review": "good"},
    "column 'qe_score': is 1.5": {"qe_score": 1.5},
    "column 'width': is 0; give pixels": {"width": 0},
    "text_missing": {"text": " \n"},
    "is unfit .text_missing": {"text": "\u200b\u2060\ufeff"},
    "text_nul": {"text": "a\0b"},
    "text_lone_surrogate": {"text": "a\ud800"},
    "text_too_long": {"text": "a" * (1 << 20) + "b"},
    "column 'height': is 'tall'; give pixels": {"height": "tall"},
    "column 'width': is not int32": {"width": 1 << 40},
    "column 'category': is 3: Input should be a valid list": {"category": 3},
    "column 'keywords': is .*Input should be a valid list": {"keywords": "كنافة"},
    r"column 'keywords.1': is 7: Input should be a valid string": {"keywords": ["كنافة", 7]},
    r"column 'caption_en': is not string": {"caption_en": "a\udfff"},
    "column 'page_url': is 'www.x.ar/p': not an http address": {"page_url": "www.x.ar/p"},
    "column 'image_url': is 'file:///etc/passwd': not an http": {"image_url": "file:///etc/passwd"},
    "column 'qe_score': is nan": {"qe_score": float("nan")},
    "text_control_token": {"text": "كنافة <|image_pad|>"},
    r"unknown \['colour'\]": {"colour": "red"},
}


@pytest.mark.parametrize(("message", "change"), BAD.items(), ids=[m[:40] for m in BAD])
def test_bad_records_are_refused_by_name(tmp_path: Path, message: str, change: dict) -> None:
    with pytest.raises(SampleError, match=message):
        write_split([record(1) | change], tmp_path, "ar", "know")
    assert not (tmp_path / "ar").exists()


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    row = record(1)
    del row["license"]
    with pytest.raises(SampleError, match=r"missing \['license'\]"):
        write_split([row], tmp_path, "ar", "know")


@pytest.mark.parametrize(
    "text",
    [
        "\u200b",
        "\x01\x1b",
        "\u3164",
        "\u2800 \u2800",
        "\u00ad\u200d",
        "\u180b\ufe0f",
        "\U000e0041",
        "\ufffc",
        "\x85\u2028",
    ],
)
def test_a_text_that_nobody_sees_is_none(text: str) -> None:
    assert text_problem(text) == "text_missing"
    assert text_problem(f"{text}ก") is None


SPECIAL = [
    "<|im_end|>", "<|endoftext|>", "<|vision_start|>", "<s>", "</s>", "<image>", "<IMG_CONTEXT>", "<end_of_turn>",
    "[INST]",
    "<｜end▁of▁sentence｜>", "<pad>", "[MASK]", "<|reserved_special_token_3|>", "<unused12>",
]  # fmt: skip


@pytest.mark.parametrize("token", SPECIAL)
def test_a_control_token_is_no_text(token: str) -> None:
    assert text_problem(f"ตลาด{token}น้ำ") == "text_control_token"


@pytest.mark.parametrize(
    "text", ["a < b | c > d", "<3", "Cena [Kč]", "<Příběh>", "|im_end|", "<S>", "[image: kočka]", "x<|y", "<||>"]
)
def test_brackets_in_a_text_are_right(text: str) -> None:
    assert text_problem(text) is None


@pytest.mark.parametrize(
    "url", ["HTTP://WWW.X.AR/P", "https://ar.wikipedia.org/wiki/كنافة نابلسية", "http://[::1]:80/"]
)
def test_addresses_as_people_write_them_are_right(url: str) -> None:
    check_sample(record(1, page_url=url), "ar", "know")


def test_bidi_text_is_right(tmp_path: Path) -> None:
    text = "\u202bمسجد\u202c \u200fالأقصى"
    assert text_problem(text) is None
    write_split([record(1, text=text)], tmp_path, "ar", "know")
    assert pq.read_table(shard_paths(tmp_path, "ar", "know")[0])["text"].to_pylist() == [text]


def test_unknown_split(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="Unknown split 'train'; choose one of know, ling, know_test, ling_test"):
        write_split([], tmp_path, "ar", "train")


def test_an_incomplete_set_of_shards_is_an_error(tmp_path: Path) -> None:
    write_split([record(i) for i in range(600)], tmp_path, "ar", "know", shard_bytes=1)
    (tmp_path / "ar" / "know-00001-of-00003.parquet").unlink()
    with pytest.raises(MellaError, match="incomplete set of 'know' shards"):
        shard_paths(tmp_path, "ar", "know")


def test_removing_rows_keeps_most_bytes(tmp_path: Path) -> None:
    """What content-addressed storage sees: chunks of the new file that the old one has as well."""
    rng = random.Random(0)
    rows = [record(i, image=picture(i, size=(160, 120))) for i in range(512)]
    old = write_split(rows, tmp_path / "old", "ar", "know").paths[0].read_bytes()
    kept = [row for row in rows if rng.random() > 0.01]
    new = write_split(kept, tmp_path / "new", "ar", "know").paths[0].read_bytes()
    images = sum(len(row["image"]["bytes"]) for row in kept if row["image"]["bytes"] in old)
    assert len(kept) < 512 and images > 0.9 * len(new)


def test_schema_is_arrow_readable() -> None:
    assert tuple(SCHEMA.names) == COLUMNS
    assert SCHEMA.field("image").type == pa.struct({"bytes": pa.binary(), "path": pa.string()})


@pytest.mark.parametrize("language", ["con", "COM7", "a:b", "ar.", "../ar", "AR", "ar/x", ""])
def test_a_language_that_cannot_name_a_folder_everywhere(tmp_path: Path, language: str) -> None:
    write_split([record(1)], tmp_path, "ar", "know")
    with pytest.raises(MellaError, match="name"):
        write_split([record(2, language=language)], tmp_path, language, "know")
    assert [path.name for path in tmp_path.iterdir()] == ["ar"]
