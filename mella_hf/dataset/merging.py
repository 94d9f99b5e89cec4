"""Decide which splits of a published dataset stay when a folder without them is published."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mella_hf.dataset.card.card import (
    CARD,
    FACTS,
    FUNNEL,
    THUMBNAILS,
    CardText,
    card_files,
    read_card_text,
    read_funnel,
)
from mella_hf.dataset.card.facts import SplitFacts, dataset_facts, read_facts
from mella_hf.dataset.disjoint import TEST, TRAIN
from mella_hf.dataset.files import HubFiles, split_paths
from mella_hf.dataset.removal.requests import REMOVALS, merge_records, parse_records, read_records, records_text
from mella_hf.dataset.thumbnails import thumbnails
from mella_hf.dataset.write import languages_in, shard_paths
from mella_hf.errors import MellaError
from mella_hf.sample import SPLITS

Remote = Mapping[str, tuple[str, int]]  # path in the repo -> (sha256 or git blob id, bytes)


def places_in(folder: Path) -> set[str]:
    """The splits of a folder, such as "ar/know"."""
    return {f"{code}/{split}" for code in languages_in(folder) for split in SPLITS if shard_paths(folder, code, split)}


def kept_places(folder: Path, remote: Iterable[str], remove: Sequence[str]) -> tuple[list[str], list[str]]:
    """The splits that only the repo has: those that stay, and those that go.

    A split goes when `remove` names it or its language, or when a removal took its last row out of the folder.

    Raises:
        MellaError: when a name in `remove` names nothing, or something that the folder has.
    """
    own, there = places_in(folder), split_paths(remote)
    only = [place for place in there if place not in own]
    for name in remove:
        if any(_names(name, place) for place in own):
            raise MellaError(
                f"--remove {name!r} is in {folder} too and would come back; take it out of the folder first."
            )
        if not any(_names(name, place) for place in only):
            raise MellaError(f"--remove {name!r} names nothing on the Hub that {folder} lacks; choose among {only}.")
    emptied = {place for record in read_records(folder) for place in record.get("emptied", ())}
    gone = [place for place in only if place in emptied or any(_names(name, place) for name in remove)]
    return [place for place in only if place not in gone], gone


def _names(name: str, place: str) -> bool:
    return name in (place, place.partition("/")[0])


def merged_files(folder: Path, repo: str, hub: HubFiles, remote: Remote, kept: Sequence[str]) -> dict[str, bytes]:
    """The card of a folder and of the splits that a repo keeps, and all that belongs to it, by name."""
    ours = dataset_facts(folder) if places_in(folder) else []
    facts = sorted([*ours, *_kept_facts(hub, remote, kept)], key=lambda one: (one.language, SPLITS.index(one.split)))
    pictures = thumbnails(folder)
    codes = sorted({place.partition("/")[0] for place in kept})
    pictured = {*(Path(name).stem for name in pictures), *(c for c in codes if f"{THUMBNAILS}/{c}.jpg" in remote)}
    read = {name: hub.read(name).decode("utf-8") for name in (CARD, FUNNEL, REMOVALS) if name in remote}
    text = replace(read_card_text(folder), repo=repo)
    if CARD in read:
        text = _merged_text(text, CardText(**json.loads(read[CARD])), kept)
    funnel = _merged_funnel(read_funnel(folder), json.loads(read.get(FUNNEL, "{}")), kept)
    records = merge_records(read_records(folder), parse_records(read.get(REMOVALS, "")))
    found = dict(pictures)
    if facts:
        found |= {name: content.encode() for name, content in card_files(facts, funnel, text, sorted(pictured)).items()}
    if funnel:
        found[FUNNEL] = (json.dumps(funnel, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
    if records:
        found[REMOVALS] = records_text(records).encode()
    return found


def check_disjoint(folder: Path, hub: HubFiles, remote: Remote, kept: Sequence[str]) -> None:
    """Raise MellaError when a test split of the folder shares an image with training on the Hub, or the other way."""
    for place in kept:
        language, _, split = place.partition("/")
        others = TEST if split in TRAIN else TRAIN
        own = {i for other in others for path in shard_paths(folder, language, other) for i in _ids(path)}
        shared = own & _ids_of(hub, split_paths(remote)[place]) if own else own
        if shared:
            raise MellaError(
                f"{len(shared)} images of {language} in {' and '.join(others)} of {folder} are in {place} on the Hub "
                f"as well. Build both into one folder, which keeps tests apart, or publish with --remove {place}."
            )


def _ids(file: Any) -> list[str]:
    return pq.read_table(file, columns=["id"])["id"].to_pylist()


def _ids_of(hub: HubFiles, paths: Iterable[str]) -> set[str]:
    found = set[str]()
    for path in paths:
        with hub.open(path) as file:
            found.update(_ids(file))
    return found


def _kept_facts(hub: HubFiles, remote: Remote, kept: Sequence[str]) -> list[SplitFacts]:
    """The facts of splits on the Hub: as the repo states them, or, where it does not, from the rows."""
    stated: dict[str, SplitFacts] = {}
    if kept and FACTS in remote:
        stated = {one.place: one for one in map(SplitFacts.of_json, json.loads(hub.read(FACTS))["splits"])}
    return [_facts_of(hub, remote, place, stated.get(place)) for place in kept]


def _facts_of(hub: HubFiles, remote: Remote, place: str, stated: SplitFacts | None) -> SplitFacts:
    paths = split_paths(remote)[place]
    if stated is not None and stated.shards == {path.rpartition("/")[2]: remote[path][1] for path in paths}:
        return stated
    language, _, split = place.partition("/")
    return read_facts(language, split, ((p.rpartition("/")[2], remote[p][1], hub.open(p)) for p in paths))


def _merged_text(ours: CardText, theirs: CardText, kept: Sequence[str]) -> CardText:
    """Our words, the earlier of both days, and what they say of the splits that stay."""
    text = replace(ours, published=min(filter(None, [ours.published, theirs.published]), default=""))
    if not kept:
        return text
    origins = [theirs.origin] + ([ours.origin] if ours.origin not in theirs.origin else [])
    compared = ours.pictures_compared and theirs.pictures_compared
    return replace(text, origin="\n\n".join(filter(None, origins)), pictures_compared=compared)


def _merged_funnel(ours: dict[str, Any], theirs: dict[str, Any], kept: Sequence[str]) -> dict[str, Any]:
    """The folder's counts, and those of the sources whose splits the repo keeps."""
    merged = {language: dict(sources) for language, sources in ours.items()}
    for place in kept:
        language, source = place.removesuffix("_test").split("/")
        if source in theirs.get(language, {}):
            merged.setdefault(language, {}).setdefault(source, theirs[language][source])
    return merged
