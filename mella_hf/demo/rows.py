"""The demo's records in one language, in a fixed order.

`know` pairs a picture of one thing with its name. `ling` pairs a scene with the names of its things, joined as the
language joins a list. The test splits hold other views, new combinations of seen things, and things that training
never shows.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mella_hf.demo.cldr import join_names
from mella_hf.demo.pictures import LICENSE, PictureSource, Thing, keywords_in_name, things_of
from mella_hf.demo.scenes import SIDE, Scene, scenes, view
from mella_hf.images.opening import open_image
from mella_hf.images.phash import NEAR, nearest, phash
from mella_hf.sample import make_sample, utc
from mella_hf.stage import ShardOutput

VIEWS = 6  # of each seen thing, for training
TEST_TRIES = 24  # views drawn before a thing is dropped from the test as too similar to its training views
SCENES = 1200  # for training
BASE_SCENES = 4000  # for the English of the base
TEST_CAPS = (70, 30)  # test images of seen and of unseen things
COLLECTED = utc(2023, 6, 10)  # release of Debian 12, whose packages were measured


def training_scenes(seen: list[Thing]) -> list[Scene]:
    """The scenes that training shows."""
    return list(scenes(seen, "ling", SCENES))


def base_scenes(source: PictureSource) -> list[Scene]:
    """The scenes that the base is taught in English, before any language."""
    return list(scenes(things_of(source, "en")[0], "base", BASE_SCENES))


def rows(source: PictureSource, code: str, split: str, output: ShardOutput) -> Iterator[dict[str, Any]]:
    """The records of one language and split.

    Args:
        output: its `drop` receives what could not be used; the caller counts the kept rows.
    """
    seen, unseen = things_of(source, code)
    if split == "know":
        for thing in seen:
            for number in range(VIEWS):
                yield _named(thing, view(source.font, thing, number), code)
    elif split == "ling":
        for scene in training_scenes(seen):
            yield _described(scene, scene.things[0], source.font, code)
    elif split == "know_test":
        yield from _know_test(source.font, code, seen, unseen, output)
    else:
        yield from _ling_test(source, code, seen, unseen)


def _know_test(
    font: Path, code: str, seen: list[Thing], unseen: list[Thing], output: ShardOutput
) -> Iterator[dict[str, Any]]:
    train = np.array([_look(view(font, thing, number)) for thing in seen for number in range(VIEWS)], np.uint64)
    for things, cap in zip((seen, unseen), TEST_CAPS, strict=True):
        for thing in things[:cap]:
            found = (view(font, thing, number) for number in range(VIEWS, VIEWS + TEST_TRIES))
            image = next((one for one in found if nearest(_look(one), train) > NEAR), None)
            if image is None:
                output.drop("near_duplicate", entity=thing.entity, split="know_test")
            else:
                yield _named(thing, image, code)


def _ling_test(source: PictureSource, code: str, seen: list[Thing], unseen: list[Thing]) -> Iterator[dict[str, Any]]:
    font, shown = source.font, [*training_scenes(seen), *base_scenes(source)]
    for scene in scenes(seen, "ling_test", TEST_CAPS[0], other_than=shown):
        yield _described(scene, scene.things[0], font, code)
    for scene in scenes(seen, "ling_test/unseen", TEST_CAPS[1] if unseen else 0, unseen):
        yield _described(scene, next(thing for thing in scene.things if thing in unseen), font, code)


def _look(jpeg: bytes) -> int:
    return phash(open_image(jpeg))


def _named(thing: Thing, jpeg: bytes, code: str) -> dict[str, Any]:
    return _record(thing, jpeg, code, source="know", text=thing.name, keywords=keywords_in_name(thing))


def _described(scene: Scene, entity: Thing, font: Path, code: str) -> dict[str, Any]:
    """The record of a scene; its entity, by which unseen ones are known, is its first thing or its unseen one."""
    columns = {"caption_en": english_of(scene), "captioner": "Unicode CLDR", "translator": "Unicode CLDR"}
    text = join_names([thing.name for thing in scene.things], code)
    return _record(entity, scene.jpeg(font), code, source="ling", text=text, **columns)


def english_of(scene: Scene) -> str:
    """What a scene shows, in English."""
    return join_names([thing.entity for thing in scene.things], "en")


def _record(thing: Thing, jpeg: bytes, code: str, **columns: Any) -> dict[str, Any]:
    columns |= {"category": [thing.group, thing.kind], "entity": thing.entity}
    return make_sample(
        image=jpeg, language=code, width=SIDE, height=SIDE, license=LICENSE, collected_at=COLLECTED, **columns
    )
