"""Which characters become pictures, and the scenes that they are put into."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cldr_folder import ENGLISH, LETTERS, NATIVE, make_source, write_annotations
from PIL import Image

from mella_hf.demo.pictures import (
    FONT,
    PICTURES,
    PictureSource,
    candidates,
    draw,
    find_source,
    keywords_in_name,
    things_of,
)
from mella_hf.demo.pictures import Thing as PicturedThing
from mella_hf.demo.rows import rows
from mella_hf.demo.scenes import CELL, GRID, SIDE, draw_scene, scenes, view
from mella_hf.errors import MellaError
from mella_hf.sample import SPLITS
from mella_hf.stage import ShardOutput


def test_faces_long_names_twins_and_other_groups_are_out(tmp_path: Path) -> None:
    root = make_source(tmp_path, {})
    common = find_source(root).common
    names = {"A": "fox", "B": "tiger face", "C": "two hump camel", "D": "red apple", "E": "clock", "F": "arrow"}
    write_annotations(common, "en", {**names, "W": "ring", "w": "hoop", "ა": "no glyph"})  # the first two look alike
    (common / "properties" / "labels.txt").write_text(
        "[A-DWwა] ; Objects ; letters\n[E] ; Travel & Places ; time\n[F] ; Symbols ; arrow\n[G] ; Objects ; unnamed\n"
    )
    kept = {name for _, name, _, _ in candidates(find_source(root))}
    assert kept - {"ring", "hoop"} == {"fox", "red apple"} and len(kept) == 3


def test_a_language_has_each_name_once(tmp_path: Path) -> None:
    names = [f"اسم {name}" for name in ENGLISH]
    names[1] = names[0]
    source = find_source(make_source(tmp_path, {"ar": names[:-2]}))
    counts = Counter[str]()
    seen, unseen = things_of(source, "ar", counts)
    assert counts == {"same_name": 1, "missing_text": 2}
    assert len(seen) + len(unseen) == len(LETTERS) - 3 <= PICTURES
    kept_out = {thing.character for thing in things_of(source, "en")[1]}  # the same in every language
    assert {thing.character for thing in unseen} <= kept_out and not {thing.character for thing in seen} & kept_out
    assert not {thing.name for thing in seen} & {thing.name for thing in unseen}
    with pytest.raises(MellaError, match="CLDR names no pictures in 'ru'"):
        things_of(source, "ru")


def test_keywords_are_what_the_name_says() -> None:
    """CLDR 41, yo.xml, 🛒: the name "Àtẹ Iraja", the keywords "àtẹ | ìraja | ọmọlanke"."""
    thing = PicturedThing("🛒", "shopping cart", "Objects", "household", "Àtẹ Iraja", ("àtẹ", "ìraja", "ọmọlanke"))
    assert keywords_in_name(thing) == ["Àtẹ Iraja", "àtẹ"]


def test_an_unfit_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match=r"There is no .*en\.xml\. Unpack the Debian packages unicode-cldr-core and"):
        find_source(tmp_path)
    (make_source(tmp_path) / FONT).write_bytes(b"no font")
    with pytest.raises(MellaError, match="NotoColorEmoji.ttf is not a font that Pillow can draw"):
        candidates(find_source(tmp_path))
    (tmp_path / FONT).unlink()
    with pytest.raises(MellaError, match=r"There is no .*NotoColorEmoji\.ttf\. .*or leave out --source"):
        find_source(tmp_path)


def test_a_font_without_the_character_draws_nothing(source: PictureSource) -> None:
    assert draw(source.font, " ") is None


def test_things_stand_in_their_cells_and_are_named_in_reading_order(source: PictureSource) -> None:
    seen, unseen = things_of(source, "ar")
    for number in range(20):
        scene = draw_scene(seen, f"scene {number}", unseen)
        assert 2 <= len(scene.things) <= 6 and list(scene.cells) == sorted(set(scene.cells))
        assert sum(thing in unseen for thing in scene.things) == 1
        pixels = np.asarray(Image.open(io.BytesIO(scene.jpeg(source.font))).convert("L"))
        inked = pixels.reshape(GRID, CELL, GRID, CELL).min(axis=(1, 3)) < 100
        assert np.flatnonzero(inked).tolist() == list(scene.cells)
        assert scene.jpeg(source.font) == draw_scene(seen, f"scene {number}", unseen).jpeg(source.font)


def test_no_combination_comes_twice(source: PictureSource) -> None:
    seen, _ = things_of(source, "ar")
    train = list(scenes(seen, "train", 100))
    test = list(scenes(seen, "test", 50, other_than=train))
    assert len({frozenset(scene.things) for scene in [*train, *test]}) == 150
    few = list(scenes(seen[:2], "few", 10))
    assert len(few) == 1  # two things have one combination


def test_views_differ(source: PictureSource) -> None:
    thing = things_of(source, "ar")[0][0]
    assert len({view(source.font, thing, number) for number in range(6)}) == 6
    assert Image.open(io.BytesIO(view(source.font, thing, 0))).size == (SIDE, SIDE)


@pytest.fixture(scope="module")
def records(source: PictureSource, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    output = ShardOutput(tmp_path_factory.mktemp("rows"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mella_hf.demo.rows.SCENES", 200)
        patch.setattr("mella_hf.demo.rows.BASE_SCENES", 200)
        return {split: list(rows(source, "th", split, output)) for split in SPLITS}


def test_the_test_splits_hold_new_pictures_and_unseen_things(records: dict[str, list[dict[str, Any]]]) -> None:
    train, test = ({row["id"] for kind in names for row in records[kind]} for names in (SPLITS[:2], SPLITS[2:]))
    assert not train & test
    for source in ("know", "ling"):
        known = {row["entity"] for row in records[source]}
        marks = [row["entity"] in known for row in records[f"{source}_test"]]
        assert any(marks) and not all(marks)
    assert {row["entity"] for row in records["know"]} == {row["entity"] for row in records["ling"]}


def test_texts_are_names_and_lists_of_names(records: dict[str, list[dict[str, Any]]]) -> None:
    native = dict(zip(ENGLISH, NATIVE["th"].split(), strict=True))
    assert all(row["text"] == native[row["entity"]] == row["keywords"][0] for row in records["know"])
    row = next(row for row in records["ling"] if row["caption_en"].count(",") == 3)  # of four things
    a, b, c, d = (native[name] for name in row["caption_en"].replace("and ", "").split(", "))
    assert row["text"] == f"{a} {b} {c} และ{d}"
    assert row["license"] == "Unicode-DFS-2016 AND OFL-1.1"
