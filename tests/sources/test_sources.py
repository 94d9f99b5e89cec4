"""Image folders and other datasets become candidates; what they name outside themselves is never opened."""

import io
import json
import shutil
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_samples import picture
from image_folders import rows, write_folder
from release_tree import make_release

from mella_hf import api
from mella_hf.dataset.building.build import build_dataset
from mella_hf.dataset.building.candidate import is_inside
from mella_hf.errors import MellaError
from mella_hf.sources.folder import FolderSource
from mella_hf.sources.hf import HfSource
from mella_hf.sources.release import ReleaseSource


def built(source, out: Path, **options):
    return build_dataset(source, out, workers=0, progress=False, test_size=0, **options)


def test_a_folder_a_language_and_source(tmp_path: Path) -> None:
    images = {f"a/{n}.jpg": picture(n) for n in range(3)}
    know = [
        {"file_name": f"a/{n}.jpg", "text": f"جمل {n}", "page_url": f"http://x.sa/{n}", "mood": 1} for n in range(3)
    ]
    write_folder(tmp_path / "in" / "ar" / "know", know, images)
    ling = [{"file_name": "b.png", "text": "جمل بني يقف", "qe_score": 0.8, "captioner": "Qwen", "category": ["حيوان"]}]
    write_folder(tmp_path / "in" / "ar" / "ling", ling, {"b.png": picture(9, "PNG")})
    report = built(FolderSource(tmp_path / "in", ("ar",)), tmp_path / "out")
    assert report.funnel == {"ar": {"know": {"kept": 3}, "ling": {"kept": 1}}}
    found = rows(tmp_path / "out", "ar", "know")
    assert [row["text"] for row in found] == ["جمل 0", "جمل 1", "جمل 2"]
    assert [row["image"]["bytes"] for row in found] == list(images.values())
    assert found[1]["page_url"] == "http://x.sa/1" and found[1]["width"] == 96
    (described,) = rows(tmp_path / "out", "ar", "ling")
    assert described["qe_score"] == pytest.approx(0.8) and described["category"] == ["حيوان"]


def test_a_folder_as_datasets_knows_it(tmp_path: Path) -> None:
    """The same folder loads as `imagefolder`, and gives the same texts."""
    lines = [{"file_name": f"{n}.jpg", "caption": f"Хлеб {n}"} for n in range(4)]
    write_folder(tmp_path / "in", lines, {f"{n}.jpg": picture(n) for n in range(4)})
    built(FolderSource(tmp_path / "in", ("ru",), "ling", text_column="caption"), tmp_path / "out")
    peer = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "in"), cache_dir=str(tmp_path), split="train")
    assert [row["text"] for row in rows(tmp_path / "out", "ru", "ling")] == peer["caption"][:]


def test_bad_lines_are_counted(tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(picture(77))
    lines = [
        {"file_name": "ok.jpg", "text": "сыр"},
        {"file_name": "../../../secret.jpg", "text": "сыр"},
        {"file_name": str(secret), "text": "сыр"},
        {"text": "сыр"},
        {"file_name": "no.jpg", "text": "сыр"},
        {"file_name": "ok.jpg", "text": 3},
        {"file_name": "b.jpg", "text": "сыр", "qe_score": 7},
        {"file_name": "c.jpg", "text": "сыр", "category": "food"},
        {"file_name": "d.jpg", "text": "сыр", "domain": "x\ud800"},
        {"file_name": ".", "text": "сыр"},
        "{not json",
        "[]",
    ]
    images = {f"{name}.jpg": picture(ord(name[0])) for name in ("ok", "b", "c", "d")}
    write_folder(
        tmp_path / "in" / "ru" / "know", [line if isinstance(line, str) else json.dumps(line) for line in lines], images
    )
    report = built(FolderSource(tmp_path / "in", ("ru",)), tmp_path / "out")
    assert report.funnel["ru"]["know"] == {
        "kept": 1,
        "dropped_caption_missing": 1,
        "dropped_column_invalid": 3,
        "dropped_file_name_missing": 1,
        "dropped_file_name_outside": 2,
        "dropped_image_missing": 1,
        "dropped_image_not_a_file": 1,
        "dropped_line_unreadable": 2,
    }
    assert len((tmp_path / "out" / "rejects" / "ru-know.jsonl").read_text("utf-8").splitlines()) == 11


@pytest.mark.parametrize(
    ("name", "inside"),
    [("a.jpg", True), ("a/b.jpg", True), ("a..b/c", True), ("../a", False), ("a/../../b", False), ("/a", False),
     ("", False), ("a\0b", False), ("..\\a", False)],
)  # fmt: skip
def test_is_inside(name: str, inside: bool) -> None:
    assert is_inside(name) is inside


def test_no_metadata(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match=r"holds nothing of 'ru': expected ru/know/metadata\.jsonl or"):
        built(FolderSource(tmp_path, ("ru",)), tmp_path / "out")


def write_hf(folder: Path, images: list, **columns: list) -> str:
    folder.mkdir()
    features = datasets.Features({"image": datasets.Image(), **{name: datasets.Value("string") for name in columns}})
    table = datasets.Dataset.from_dict({"image": images, **columns}, features=features)
    table.to_parquet(folder / "train.parquet")
    return str(folder)


def as_image(data: bytes | None, path: str | None = None) -> dict:
    return {"bytes": data, "path": path}


def test_another_dataset(tmp_path: Path) -> None:
    images = [as_image(picture(n), f"{n}.jpg") for n in range(5)] + [as_image(picture(2)), as_image(b"<svg/>")]
    path = write_hf(
        tmp_path / "in", images, alt=[f"chùa {n}" for n in range(7)], link=[f"http://v.vn/{n}" for n in range(7)]
    )
    source = HfSource(path, "vi", text_column="alt", columns={"page_url": "link"})
    report = built(source, tmp_path / "out")
    assert report.funnel["vi"]["know"] == {"kept": 5, "dropped_duplicate_bytes": 1, "dropped_image_format": 1}
    found = rows(tmp_path / "out", "vi", "know")
    assert [(row["text"], row["page_url"]) for row in found] == [(f"chùa {n}", f"http://v.vn/{n}") for n in range(5)]
    assert all(row["image"]["path"] is None for row in found)


@pytest.mark.parametrize("place", ["/etc/passwd", "http://127.0.0.1:9/x.png", "{secret}"])
def test_paths_of_a_dataset_open_nothing_outside(tmp_path: Path, place: str) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(picture(77))
    (tmp_path / "in").mkdir()
    row = {"image": as_image(None, place.format(secret=secret)), "text": "chùa"}
    schema = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")}).arrow_schema
    pq.write_table(pa.Table.from_pylist([row], schema=schema), tmp_path / "in" / "train.parquet")
    report = built(HfSource(str(tmp_path / "in"), "vi"), tmp_path / "out")
    assert report.funnel["vi"]["know"] == {"kept": 0, "dropped_image_missing": 1}
    assert not (tmp_path / "out" / "README.md").exists()


def test_an_imagefolder_brings_its_own_files(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", [{"file_name": "0.jpg", "text": "chùa"}], {"0.jpg": picture(0)})
    built(HfSource(str(tmp_path / "in"), "vi"), tmp_path / "out")
    (row,) = rows(tmp_path / "out", "vi", "know")
    assert row["image"] == {"bytes": picture(0), "path": None}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text_column": "title"}, "has no column 'title'; it has image, text. Name yours with"),
        ({"text_column": "Text"}, "has no column 'Text'; it has image, text. 'text' is written otherwise. Name yours"),
        ({"image_column": "text"}, "The column 'text' of .* holds no images: .* and use --source folder"),
        ({"split": "test"}, "Cannot load the split 'test'"),
        ({"columns": {"colour": "text"}}, "The record has no column 'colour' to fill; choose among page_url"),
    ],
)
def test_bad_hf_requests(tmp_path: Path, options: dict, message: str) -> None:
    path = write_hf(tmp_path / "in", [as_image(picture(1))], text=["chùa"])
    with pytest.raises(MellaError, match=message):
        built(HfSource(path, "vi", **options), tmp_path / "out")


@pytest.mark.parametrize("name", ["a#b", "what?", "50%20", "two words", "ชื่อไทย", "quote'\"&"])
def test_a_build_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    """The translations are a database in OUT, which SQLite opens by a URI."""
    make_release(tmp_path / name / "release", ("ar",), 4, flaws=False)
    source = ReleaseSource(tmp_path / name / "release", ("ar",))
    report = build_dataset(source, tmp_path / name / "out", workers=0, progress=False, test_size=0)
    assert {kind: counts["kept"] for kind, counts in report.funnel["ar"].items()} == {"know": 4, "ling": 4}


def write_table(folder: Path, features: datasets.Features, columns: dict) -> str:
    folder.mkdir()
    datasets.Dataset.from_dict(columns, features=features).to_parquet(folder / "train.parquet")
    return str(folder)


TEXT = datasets.Value("string")
IMAGE_COLUMNS = {
    "images": (datasets.Image(), lambda data: as_image(data)),
    "bytes": (datasets.Value("binary"), lambda data: data),
    "large bytes": (datasets.Value("large_binary"), lambda data: data),
    "bytes and path": ({"bytes": datasets.Value("binary"), "path": TEXT}, lambda data: as_image(data, "/etc/passwd")),
    "a list of one image": (datasets.List(datasets.Image()), lambda data: [as_image(data)]),
    "a list of one binary": (datasets.List(datasets.Value("binary")), lambda data: [data]),
}


@pytest.mark.parametrize("kind", IMAGE_COLUMNS)
def test_images_in_every_form(tmp_path: Path, kind: str) -> None:
    feature, wrap = IMAGE_COLUMNS[kind]
    columns = {"image": [wrap(picture(n)) for n in range(3)], "text": ["chùa"] * 3}
    path = write_table(tmp_path / "in", datasets.Features({"image": feature, "text": TEXT}), columns)
    built(HfSource(path, "vi"), tmp_path / "out")
    assert [row["image"] for row in rows(tmp_path / "out", "vi", "know")] == [as_image(picture(n)) for n in range(3)]


def test_several_images_or_texts_in_a_row_are_rejects(tmp_path: Path) -> None:
    columns = {
        "image": [[as_image(picture(0))], [as_image(picture(1)), as_image(picture(2))], [], [as_image(picture(3))]],
        "text": [["chùa"], ["chùa"], ["chùa"], ["chùa", "đền"]],
    }
    features = datasets.Features({"image": datasets.List(datasets.Image()), "text": datasets.List(TEXT)})
    report = built(HfSource(write_table(tmp_path / "in", features, columns), "vi"), tmp_path / "out")
    assert report.funnel["vi"]["know"] == {
        "kept": 1, "dropped_image_several": 1, "dropped_image_missing": 1, "dropped_caption_several": 1,
    }  # fmt: skip


def test_class_labels_are_their_names(tmp_path: Path) -> None:
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "dish": datasets.ClassLabel(names=["phở", "bánh mì"]),
            "kind": datasets.ClassLabel(names=["súp"]),
        }
    )
    columns = {"image": [as_image(picture(n)) for n in range(3)], "dish": [1, 0, -1], "kind": [0, 0, 0]}
    source = HfSource(
        write_table(tmp_path / "in", features, columns), "vi", text_column="dish", columns={"category": "kind"}
    )
    funnel = built(source, tmp_path / "out").funnel["vi"]["know"]
    assert (funnel["kept"], funnel["dropped_caption_missing"]) == (2, 1)
    found = [(row["text"], row["category"]) for row in rows(tmp_path / "out", "vi", "know")]
    assert found == [("bánh mì", ["súp"]), ("phở", ["súp"])]


@pytest.mark.parametrize("fault", ["mixed", "corrupt", "cut", "lfs", "no rows"])
def test_files_that_datasets_cannot_read_are_one_line(tmp_path: Path, fault: str, capfd) -> None:
    """And it names the file that is damaged."""
    path = Path(write_hf(tmp_path / "in", [as_image(picture(n)) for n in range(3)], text=["chùa"] * 3))
    whole = (path / "train.parquet").read_bytes()
    second = {
        "mixed": None,
        "corrupt": b"PAR1 is not all that a file needs PAR1",
        "cut": whole[: len(whole) // 2],
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
        "no rows": without_rows(path / "train.parquet"),
    }[fault]
    if second is None:
        pq.write_table(pa.table({"image": ["a.jpg"], "other": [1]}), path / "train-2.parquet")
    else:
        (path / "train-2.parquet").write_bytes(second)
    with pytest.raises(MellaError, match="Cannot load the split 'train' of") as caught:
        built(HfSource(str(path), "vi"), tmp_path / "out")
    said = str(caught.value)
    assert "\n" not in said and len(said) < 600
    assert fault == "mixed" or str(path / "train-2.parquet") in said
    assert ("git lfs pull" in said) == (fault == "lfs") and ("has no rows" in said) == (fault == "no rows")
    assert "Failed to read" not in capfd.readouterr().err


def without_rows(path: Path) -> bytes:
    """A Parquet file of the same columns."""
    out = io.BytesIO()
    pq.write_table(pq.read_table(path).slice(0, 0), out)
    return out.getvalue()


def test_a_row_never_gets_the_image_of_another(tmp_path: Path) -> None:
    """Rows are found by their numbers: when they move, and one has no image, it must not get the one that was there."""
    path = write_hf(tmp_path / "in", [as_image(picture(n)) for n in range(3)], text=["một", "hai", "ba"])
    built(HfSource(str(path), "vi"), tmp_path / "out")
    shutil.rmtree(path)
    write_hf(tmp_path / "in", [as_image(b""), as_image(picture(1))], text=["bốn", "hai"])
    report = built(HfSource(str(path), "vi"), tmp_path / "out")
    assert report.kept == 1 and [row["text"] for row in rows(tmp_path / "out", "vi", "know")] == ["hai"]


def test_a_line_with_other_keys_says_which(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", [{"file_name": "0.jpg", "Text": "chùa"}], {"0.jpg": picture(0)})
    source = FolderSource(tmp_path / "in", ("vi",), "know")
    (lost,) = [found for unit in source.units(tmp_path) for found in source.scan(unit)]
    assert (lost.reason, lost.detail) == ("caption_missing", "the line has only Text, file_name")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (datasets.Dataset.from_dict({"text": ["chùa"]}), "DATA is a Dataset, and not a folder, .* its to_parquet"),
        ([{"text": "chùa"}], "DATA is a list, and not a folder"),
        ("https://huggingface.co/datasets/org/photos", "is a page of the Hub; give the repo's name, 'org/photos'."),
        ("https://huggingface.co/datasets/org/photos/tree/main/data", "give the repo's name, 'org/photos'."),
    ],
)
def test_data_that_no_source_reads_is_refused_with_what_to_give(tmp_path: Path, data: object, message: str) -> None:
    with pytest.raises(MellaError, match=message):
        api.build_dataset(data, tmp_path / "out", "vi", source="hf", workers=0, progress=False)  # type: ignore[arg-type]
