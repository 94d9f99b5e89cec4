"""From a stamps folder to records: views rendered, train and test kept apart, every loss with its reason."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from stamp_folder import draw_stamp, write_text

from mella_hf.demo.stamps.reading import english_pictures, reading_texts
from mella_hf.demo.stamps.rendered import TEST_VIEWS, TRAIN_VIEWS, read_views, render_stage
from mella_hf.demo.stamps.rows import keywords_of, rows
from mella_hf.demo.stamps.stamps import Role, entity_of, read_stamps, role
from mella_hf.errors import MellaError
from mella_hf.images.phash import hamming, phash
from mella_hf.sample import SCHEMA, sha256_hex
from mella_hf.stage import ShardOutput


@pytest.fixture(scope="module")
def rendered(stamps_root, tmp_path_factory):
    """The folder of views, and the two reports."""
    out = tmp_path_factory.mktemp("views")
    return out, *render_stage(stamps_root, out, workers=0, progress=False)


def collect(rendered: Path, stamps, language: str, split: str, folder: Path):
    """The records, and what was told of those that are none."""
    output = ShardOutput(folder)
    return list(rows(rendered, stamps, language, split, output)), output


def test_every_readable_stamp_has_its_views(rendered, stamps_root):
    out, trained, tested = rendered
    stamps = [s for s in read_stamps(stamps_root) if s.has_image and s.path != "town/broken"]
    seen = [s for s in stamps if not role(s.entity).unseen]
    assert trained.counts["kept"] == sum(TRAIN_VIEWS[role(s.entity).source] for s in seen) and trained.dropped == {
        "corrupt_image": 1
    }
    assert tested.counts["kept"] == TEST_VIEWS * len(stamps) and tested.dropped == {"corrupt_image": 1}
    views = read_views(out / "train").to_pylist()
    assert {v["stamp"] for v in views} == {s.path for s in seen}
    assert all(v["sha256"] == sha256_hex(v["jpeg"]) for v in views)
    with Image.open(io.BytesIO(views[0]["jpeg"])) as image:
        assert hamming(phash(image), views[0]["phash"]) <= 4  # of the picture before JPEG


def test_train_and_test_share_no_picture(rendered):
    out = rendered[0]
    train, test = (read_views(out / kind) for kind in ("train", "test"))
    assert not set(train["sha256"].to_pylist()) & set(test["sha256"].to_pylist())
    distances = np.bitwise_count(train["phash"].to_numpy()[:, None] ^ test["phash"].to_numpy()[None, :])
    assert distances.min() > 4
    assert not any(train["unseen"].to_pylist()) and any(test["unseen"].to_pylist())


def test_one_worker_and_two_write_the_same_bytes_and_a_rerun_nothing(rendered, stamps_root, tmp_path):
    out = rendered[0]
    render_stage(stamps_root, tmp_path, workers=2, progress=False)
    files = sorted(path.relative_to(out) for path in out.rglob("*.parquet"))
    assert files and files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.parquet"))
    assert all((out / file).read_bytes() == (tmp_path / file).read_bytes() for file in files)
    assert [report.ran for report in render_stage(stamps_root, tmp_path, workers=0, progress=False)] == [0, 0]


def test_the_same_picture_under_two_names_is_not_tested_on(tmp_path):
    names = [f"entity {number}" for number in range(200)]
    taught = next(name for name in names if role(name) == Role("know", unseen=False))
    unseen = next(name for name in names if role(name) == Role("know", unseen=True))
    for stamp, name, seed in (("one", taught, 5), ("two", unseen, 5), ("three", unseen, 6)):
        write_text(tmp_path / f"a/{stamp}.txt", name)
        draw_stamp(tmp_path / f"a/{stamp}.png", seed)
    _, tested = render_stage(tmp_path, tmp_path / "out", workers=0, progress=False)
    assert tested.dropped == {"near_duplicate": 1}
    assert set(read_views(tmp_path / "out/test")["stamp"].to_pylist()) == {"a/one", "a/three"}


@pytest.mark.parametrize("split", ["know", "ling", "know_test", "ling_test"])
def test_records_fit_the_schema_and_belong_to_their_split(rendered, stamps_root, split, tmp_path):
    stamps = read_stamps(stamps_root)
    records, output = collect(rendered[0], stamps, "ru", split, tmp_path)
    assert records and pa.Table.from_pylist(records, SCHEMA).num_rows == len(records)
    source = split.removesuffix("_test")
    by_entity = {s.entity: s for s in stamps}
    for record in records:
        stamp = by_entity[record["entity"]]
        assert role(record["entity"]).source == source == record["source"]
        assert record["category"] == list(stamp.category) and record["license"] == "GPL-2"
        assert record["id"] == sha256_hex(record["image"]["bytes"]) and (record["width"], record["height"]) == (
            224,
            224,
        )
        if source == "know":
            assert record["text"] == stamp.texts["ru"] and record["keywords"] == [stamp.texts["ru"].rstrip(".")]
            assert record["captioner"] is None
        else:
            assert record["captioner"] == record["translator"] == "template" and record["keywords"] is None
            assert "thing" not in record["caption_en"]
    assert any(role(r["entity"]).unseen for r in records) == split.endswith("_test")
    views = read_views(rendered[0] / ("test" if "_test" in split else "train"), ["source"])
    assert len(records) + sum(output.counts.values()) == views["source"].to_pylist().count(source)


def test_losses_have_reasons(rendered, stamps_root, tmp_path):
    stamps = read_stamps(stamps_root)
    know = [
        s for s in stamps if s.has_image and role(s.entity) == Role("know", unseen=False) and "broken" not in s.path
    ]
    know[0].texts.pop("cs")
    know[1].texts["cs"] = know[1].english
    know[2].texts["cs"] = "image_0042.png"
    know[3].texts["cs"] = "Это лошадь в поле"
    records, output = collect(rendered[0], stamps, "cs", "know", tmp_path)
    assert output.counts == {
        f"dropped_{reason}": TRAIN_VIEWS["know"]
        for reason in ("missing_text", "untranslated", "file_name", "wrong_script")
    }
    assert {r["stamp"] for r in output.rejects} == {s.path for s in know[:4]}
    assert len(records) == TRAIN_VIEWS["know"] * (len(know) - 4)


def test_an_unseen_entity_with_a_taught_name_is_not_unseen(rendered, stamps_root, tmp_path):
    stamps = read_stamps(stamps_root)
    taught = next(s for s in stamps if s.has_image and role(s.entity) == Role("know", unseen=False))
    unseen = next(s for s in stamps if s.has_image and role(s.entity) == Role("know", unseen=True))
    unseen.texts["ru"] = taught.texts["ru"].lower().rstrip(".")
    records, output = collect(rendered[0], stamps, "ru", "know_test", tmp_path)
    assert output.counts["dropped_text_in_train"] == TEST_VIEWS
    assert unseen.entity not in {r["entity"] for r in records}


def test_test_splits_are_capped_and_take_every_stamp_before_a_second_view(rendered, stamps_root, tmp_path, monkeypatch):
    monkeypatch.setattr("mella_hf.demo.stamps.rows.TEST_CAPS", {"know": (10, 1), "ling": (3, 1)})
    records, output = collect(rendered[0], read_stamps(stamps_root), "ru", "know_test", tmp_path)
    unseen = [role(r["entity"]).unseen for r in records]
    assert (unseen.count(False), unseen.count(True)) == (10, 1)
    assert len({r["entity"] for r in records}) == 11
    assert output.counts.keys() == {"dropped_over_cap"}


def test_the_base_sees_no_unseen_entity_and_reads_no_taught_name(rendered, stamps_root):
    stamps = read_stamps(stamps_root)
    pictures = english_pictures(rendered[0], stamps)
    assert len(pictures) == read_views(rendered[0] / "train", ["view"]).num_rows
    unseen = {entity_of(s.english) for s in stamps if s.has_image and role(s.entity).unseen}
    assert pictures and unseen.isdisjoint(entity_of(p.name) for p in pictures)
    read = {entity_of(text) for text in reading_texts(rendered[0], stamps, ["ar", "cs"])}
    taught = [s for s in stamps if s.has_image and (role(s.entity).source == "know" or role(s.entity).unseen)]
    assert taught and read
    assert read.isdisjoint(entity_of(s.texts[code]) for s in taught for code in ("ar", "cs") if s.texts.get(code))


@pytest.mark.parametrize(
    "text, language, keywords",
    [
        ("Tučňák magellanský.", "cs", ["Tučňák magellanský"]),
        ("Merkur - planeta, která je nejblíž ke Slunci.", "cs", ["Merkur"]),
        ("Плутон — до недавних пор считался 9-ой планетой нашей Солнечной системы.", "ru", ["Плутон"]),
        ("제부 (소의 종류)", "ko", ["제부"]),
        ("Föld. A mi bolygónk!", "hu", ["Föld"]),
        ("Lều vải của người da đỏ.", "vi", ["Lều vải của người da đỏ"]),  # six syllables, three words
        ("نحام وردي", "ar", ["نحام وردي"]),
    ],
)
def test_keywords_of_names_and_explained_names(text, language, keywords):
    assert keywords_of(text, language) == keywords


def test_a_sentence_is_not_its_own_keyword():
    sentence = "Páv a slavík sedí spolu na stromě v Karlových Varech."
    assert sentence.rstrip(".") not in keywords_of(sentence, "cs")


def test_bad_requests_are_errors(rendered, stamps_root, tmp_path):
    stamps = read_stamps(stamps_root)
    with pytest.raises(MellaError, match="Unknown split 'train'; choose one of know, ling"):
        list(rows(rendered[0], stamps, "ru", "train"))
    with pytest.raises(MellaError, match="Unknown language 'xx'"):
        list(rows(rendered[0], stamps, "xx", "know"))
    with pytest.raises(MellaError, match="No rendered views under .*; run render_stage first"):
        list(rows(tmp_path, stamps, "ru", "know"))


def test_views_are_stored_once_and_plain(rendered):
    file = next((rendered[0] / "train").glob("shard-*/views.parquet"))
    column = pq.ParquetFile(file).metadata.row_group(0).column(6)
    assert column.path_in_schema == "jpeg" and column.compression == "UNCOMPRESSED"
