"""Read the raw MELLA release: `image_text_pair` becomes know, translated `image_pure` becomes ling.

Expected under ROOT, each file in ROOT or ROOT/LANG:
    *_LANG_image_text_pair_*.jsonl, *_LANG_image_pure_*.jsonl   one JSON object a line
    trans_LANG.json                                             [{"img_id": …, "caption": …}, …]
    LANG/image_text_pair/ID, LANG/image_pure/ID                 images named by the sha256 of their bytes
"""

import io
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mella_hf.dataset.building.candidate import Found, Lost, Unit
from mella_hf.dataset.checks import first_problem, is_address
from mella_hf.errors import MellaError
from mella_hf.places import Place, open_binary, place_of, state_of
from mella_hf.sources.listings import (
    byte_ranges,
    find_listings,
    flat_name,
    lines_of,
    parse_line,
    require_file,
    unpacked,
)
from mella_hf.stage import Shard, ShardOutput, run_stage

KINDS = {"know": "image_text_pair", "ling": "image_pure"}
TRANSLATIONS = "translations.sqlite"
INDEX_VERSION = 2  # of how it holds them; a change makes it anew
_SURROGATES = "surrogatepass"
_ID = re.compile(r"[0-9a-f]{64}")  # nothing else may name a file: a listing from outside could say ../../etc/passwd


class _Part(BaseModel):
    """A part of a line; keys that are not named here are left out."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Captions(_Part):
    """The text of a line and its language."""

    content: str | None = None
    lang: str | None = None


class Picture(_Part):
    """Width and height of an image, px, as the release states them."""

    resolution: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None


class Labels(_Part):
    """Categories by level, such as {"level1": ["文化类"]}."""

    pjwk_cates: dict[str, list[str] | None] | None = None


class Record(_Part):
    """One line of a listing."""

    img_id: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    url: str | None = None
    captions: Captions | None = None
    image: Picture | None = None
    labels: Labels | None = None


@dataclass(frozen=True)
class ReleaseSource:
    """A raw release on disk or at an address.

    Attributes:
        root: its folder.
        languages: the codes to read.
    """

    root: Path | Place
    languages: tuple[str, ...]

    @property
    def name(self) -> str:
        """Tells this release from others."""
        return f"release {self.root}"

    @property
    def title(self) -> str:
        """The name for the card."""
        return f"the release `{self.root.name}`"

    def units(self, work: Path) -> list[Unit]:
        """Byte ranges of the listings. Raises MellaError when a language has no listing, or ling no translations."""
        units = []
        for language in self.languages:
            listings = {source: self._listings(language, kind) for source, kind in KINDS.items()}
            if not any(listings.values()):
                raise MellaError(
                    f"{self.root} holds no listing of {language!r}: expected "
                    f"*_{language}_image_text_pair_*.jsonl or *_{language}_image_pure_*.jsonl there or in {language}/."
                )
            database = self._translations(language, work) if listings["ling"] else None
            for source, paths in listings.items():
                for path in paths:
                    for number, payload in enumerate(byte_ranges(path, self.root, work)):
                        name = f"{language}-{source}-{flat_name(path, self.root)}-{number:05d}"
                        units.append(Unit(name, language, source, {**payload, "translations": database}))
        return units

    def scan(self, unit: Unit) -> Iterator[Found | Lost]:
        """The lines of one byte range. Those that begin in it belong to it."""
        name = unit.payload["file"].rpartition("/")[2]
        translate = _Translations(unit.payload["translations"]) if unit.source == "ling" else None
        for offset, line in lines_of(unit.payload, self.root):
            where = f"{name}@{offset}"
            record = parse_line(line)
            yield Lost(where, "line_unreadable") if record is None else self._candidate(record, where, unit, translate)

    def image(self, unit: Unit, locator: str) -> str | Place:
        """The image file of a candidate."""
        name = f"{unit.language}/{KINDS[unit.source]}/{locator}"
        return self.root / name if isinstance(self.root, Place) else f"{self.root}/{name}"

    def _candidate(self, line: Any, where: str, unit: Unit, translate: "_Translations | None") -> Found | Lost:
        try:
            record = Record.model_validate(line)
        except ValidationError as error:
            place, problem = first_problem(error)
            return Lost(where, "id_invalid" if place in ("", "img_id") else "line_invalid", f"{place} {problem}")
        where = f"{where}#{record.img_id[:12]}"
        captions = record.captions or Captions()
        columns, is_corrected = _columns(record)
        if translate is None:
            if captions.lang not in (None, unit.language):
                return Lost(where, "caption_other_language", f"captions.lang is {captions.lang!r}")
            text = captions.content
        else:
            text = translate(record.img_id)
            columns["caption_en"] = captions.content if captions.lang == "en" else None
        if text is None or not text.strip():
            return Lost(where, "caption_missing" if translate is None else "translation_missing")
        size = record.image.resolution if record.image else None
        claimed = (size[0], size[1]) if size and min(size) > 0 else None
        notes = ("url",) if is_corrected else ()
        return Found(where, record.img_id, text.strip(), columns, record.img_id, claimed, notes)

    def _listings(self, language: str, kind: str) -> list[Path | Place]:
        stem = rf".*_{re.escape(language)}_{kind}_.*"
        return [path for folder in (self.root, self.root / language) for path in find_listings(folder, stem)]

    def _translations(self, language: str, work: Path) -> dict[str, Any]:
        """The translations of a language as a database on disk: they are too many for every worker's memory."""
        name = re.compile(rf"trans_{re.escape(language)}\.json(?:\.(?:gz|bz2|xz|zst))?", re.IGNORECASE)
        folders = [folder for folder in (self.root, self.root / language) if folder.is_dir()]
        found: list[Path | Place] = []
        for folder in folders:
            found += sorted(path for path in folder.iterdir() if name.fullmatch(path.name))
        if not found:
            raise MellaError(
                f"{self.root} lists image_pure images of {language!r} but has no trans_{language}.json with their "
                f"translated captions; put it in {self.root} or {self.root / language}."
            )
        plain = unpacked(require_file(found[0]), work)
        size, modified = state_of(plain)
        payload = {"file": str(plain), "size": size, "mtime": modified}
        shard = Shard(f"translations-{language}", payload)
        settings = {"version": INDEX_VERSION}
        report = run_stage(
            "translations", _index_translations, [shard], work, settings=settings, workers=0, progress=False
        )
        return {"path": str(report.outputs[0] / TRANSLATIONS), "size": size, "mtime": modified}


def _columns(record: "Record") -> tuple[dict[str, Any], bool]:
    """The columns that a line fills beside image and text, and whether its address was none and is left out."""
    levels = record.labels.pjwk_cates if record.labels and record.labels.pjwk_cates else {}
    category = [name for level in sorted(levels) for name in levels[level] or []]
    url = record.url if is_address(record.url) else None
    return {"image_url": url, "category": category or None}, bool(record.url) and url is None


class _Translations:
    """img_id -> caption, from the database of one language."""

    def __init__(self, database: dict[str, Any]):
        self._connection = _connect(database["path"], database["mtime"])

    def __call__(self, img_id: str) -> str | None:
        found = self._connection.execute("SELECT caption FROM caption WHERE id = ?", (img_id,)).fetchone()
        return found[0].decode("utf-8", _SURROGATES) if found else None


@lru_cache(maxsize=2)
def _connect(path: str, mtime: int) -> sqlite3.Connection:
    # Read only, so the threads of one worker may share it.
    return sqlite3.connect(f"{Path(path).as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _index_translations(shard: Shard, output: ShardOutput) -> None:
    """A translation file as a database; the first caption of an image counts."""
    with closing(sqlite3.connect(output.folder / TRANSLATIONS)) as database:
        # The stage throws a half-written file away, so SQLite need not be able to mend one.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("CREATE TABLE caption (id TEXT PRIMARY KEY, caption BLOB) WITHOUT ROWID")
        captions = _captions(place_of(shard.payload["file"]) or Path(shard.payload["file"]), output)
        database.executemany("INSERT OR IGNORE INTO caption VALUES (?, ?)", captions)
        database.commit()


def _captions(path: Path | Place, output: ShardOutput) -> Iterator[tuple[str, bytes]]:
    """(img_id, caption) of each entry, lone surrogates and all, which SQLite's text could not hold."""
    for entry in _array(path):
        img_id, caption = (entry.get("img_id"), entry.get("caption")) if isinstance(entry, dict) else (None, None)
        if isinstance(img_id, str) and _ID.fullmatch(img_id) and isinstance(caption, str):
            yield img_id, caption.encode("utf-8", _SURROGATES)
        else:
            output.drop("translation_unreadable", where=ascii(entry)[:80])


def _array(path: Path | Place, chunk: int = 1 << 20) -> Iterator[Any]:
    """The elements of a JSON array, one at a time. Raises MellaError if it does not parse."""
    decoder = json.JSONDecoder()
    # Bad bytes spoil one caption, not all.
    with io.TextIOWrapper(open_binary(path), encoding="utf-8", errors="surrogateescape") as file:
        text, place = file.read(chunk).lstrip("\ufeff \t\r\n"), 1
        if not text.startswith("["):
            raise MellaError(f"{path} is not a JSON array of {{'img_id': …, 'caption': …}}.")
        while True:
            while place < len(text) and text[place] in " \t\r\n,":
                place += 1
            try:
                if place < len(text) and text[place] == "]":
                    return
                element, after = decoder.raw_decode(text, place)
                if after == len(text):  # a number could go on in the next chunk; objects cannot, but ask again
                    raise json.JSONDecodeError("more", text, after)
                yield element
                place = after
            except json.JSONDecodeError as error:
                more = file.read(chunk)
                if not more:
                    raise MellaError(
                        f"{path} is not JSON from about character {error.pos}: {error.msg}. Fetch the file again."
                    ) from error
                text, place = text[place:] + more, 0
