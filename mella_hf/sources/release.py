"""Read the raw MELLA release: `image_text_pair` becomes know, translated `image_pure` becomes ling.

Expected under ROOT, each file in ROOT or ROOT/LANG:
    *_LANG_image_text_pair_*.jsonl, *_LANG_image_pure_*.jsonl   one JSON object a line
    trans_LANG.json                                             [{"img_id": …, "caption": …}, …]
    LANG/image_text_pair/ID, LANG/image_pure/ID                 images named by the sha256 of their bytes
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mella_hf.dataset.building.candidate import Found, Lost, Unit
from mella_hf.errors import MellaError
from mella_hf.stage import Shard, ShardOutput, run_stage

KINDS = {"know": "image_text_pair", "ling": "image_pure"}
UNIT_BYTES = 1 << 20  # of JSON lines: about 2,000 rows
TRANSLATIONS = "translations.sqlite"
INDEX_VERSION = 2  # of how it holds them; a change makes it anew
_SURROGATES = "surrogatepass"
_HOST = re.compile(r"https?://(?:[^/?#@]*@)?([^/?#@:\s]+)", re.IGNORECASE)
_ID = re.compile(r"[0-9a-f]{64}")  # nothing else may name a file: a listing from outside could say ../../etc/passwd


@dataclass(frozen=True)
class ReleaseSource:
    """A raw release on disk.

    Attributes:
        root: its folder.
        languages: the codes to read.
    """

    root: Path
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
                    for number, payload in enumerate(byte_ranges(path, self.root)):
                        name = f"{language}-{source}-{path.stem}-{number:05d}"
                        units.append(Unit(name, language, source, {**payload, "translations": database}))
        return units

    def scan(self, unit: Unit) -> Iterator[Found | Lost]:
        """Yield the lines that begin in one byte range."""
        path = self.root / unit.payload["file"]
        translate = _Translations(unit.payload["translations"]) if unit.source == "ling" else None
        for offset, line in lines_between(path, unit.payload["start"], unit.payload["end"]):
            where = f"{path.name}@{offset}"
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):  # ValueError: bad JSON, and bytes that are not UTF-8
                yield Lost(where, "line_unreadable")
                continue
            yield self._candidate(record, where, unit, translate)

    def image(self, unit: Unit, locator: str) -> str:
        """The image file of a candidate."""
        return f"{self.root}/{unit.language}/{KINDS[unit.source]}/{locator}"

    def _candidate(self, record: Any, where: str, unit: Unit, translate: "_Translations | None") -> Found | Lost:
        img_id = record.get("img_id") if isinstance(record, dict) else None
        if not isinstance(img_id, str) or not _ID.fullmatch(img_id):
            return Lost(where, "id_invalid")
        where = f"{where}#{img_id[:12]}"
        captions = _dict(record.get("captions"))
        content, language = captions.get("content"), captions.get("lang")
        columns = _columns(record)
        if translate is None:
            if language not in (None, unit.language):
                return Lost(where, "caption_other_language")
            text = content
        else:
            text = translate(img_id)
            columns["caption_en"] = content if language == "en" else None
        if not isinstance(text, str) or not text.strip():
            return Lost(where, "caption_missing" if translate is None else "translation_missing")
        size = _dict(record.get("image")).get("resolution")
        return Found(where, img_id, text.strip(), columns, claimed_id=img_id, claimed_size=_size(size))

    def _listings(self, language: str, kind: str) -> list[Path]:
        pattern = f"*_{language}_{kind}_*.jsonl"
        return sorted({*self.root.glob(pattern), *(self.root / language).glob(pattern)})

    def _translations(self, language: str, work: Path) -> dict[str, Any]:
        """The translations of a language as a database on disk: they are too many for every worker's memory."""
        found = [p for p in (self.root / f"trans_{language}.json", self.root / language / f"trans_{language}.json")
                 if p.exists()]  # fmt: skip
        if not found:
            raise MellaError(
                f"{self.root} lists image_pure images of {language!r} but has no trans_{language}.json with their "
                f"translated captions; put it in {self.root} or {self.root / language}."
            )
        stat = found[0].stat()
        payload = {"file": str(found[0]), "size": stat.st_size, "mtime": stat.st_mtime_ns}
        shard = Shard(f"translations-{language}", payload)
        settings = {"version": INDEX_VERSION}
        report = run_stage(
            "translations", _index_translations, [shard], work, settings=settings, workers=0, progress=False
        )
        return {"path": str(report.outputs[0] / TRANSLATIONS), "size": stat.st_size, "mtime": stat.st_mtime_ns}


def byte_ranges(path: Path, root: Path) -> list[dict[str, Any]]:
    """Divide a listing into ranges of about `UNIT_BYTES`, each with data that changes when the file does."""
    stat = path.stat()
    common = {"file": str(path.relative_to(root)), "size": stat.st_size, "mtime": stat.st_mtime_ns}
    starts = range(0, max(stat.st_size, 1), UNIT_BYTES)
    return [{**common, "start": start, "end": min(start + UNIT_BYTES, stat.st_size)} for start in starts]


def _columns(record: dict[str, Any]) -> dict[str, Any]:
    """The columns that a line fills beside image and text."""
    url = record.get("url")
    url = url if isinstance(url, str) and url.startswith(("http://", "https://")) else None
    levels = _dict(_dict(record.get("labels")).get("pjwk_cates"))
    category = [name for level in sorted(levels) for name in levels[level] or [] if isinstance(name, str)]
    return {"image_url": url, "domain": _host(url), "category": category or None}


def _host(url: str | None) -> str | None:
    found = _HOST.match(url) if url else None
    return found[1].lower() if found else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _size(value: Any) -> tuple[int, int] | None:
    sound = isinstance(value, list) and len(value) == 2 and all(type(side) is int and side > 0 for side in value)
    return (value[0], value[1]) if sound else None


def lines_between(path: Path, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of the lines that begin in [start, end)."""
    with open(path, "rb") as file:
        if start:
            file.seek(start - 1)
            file.readline()  # the rest of a line that began before, or just its line break
        offset = file.tell()
        while offset < end and (line := file.readline()):
            if not line.isspace():
                yield offset, line
            offset += len(line)


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
        captions = _captions(Path(shard.payload["file"]), output)
        database.executemany("INSERT OR IGNORE INTO caption VALUES (?, ?)", captions)
        database.commit()


def _captions(path: Path, output: ShardOutput) -> Iterator[tuple[str, bytes]]:
    """(img_id, caption) of each entry, lone surrogates and all, which SQLite's text could not hold."""
    for entry in _array(path):
        img_id, caption = _dict(entry).get("img_id"), _dict(entry).get("caption")
        if isinstance(img_id, str) and _ID.fullmatch(img_id) and isinstance(caption, str):
            yield img_id, caption.encode("utf-8", _SURROGATES)
        else:
            output.drop("translation_unreadable", where=ascii(entry)[:80])


def _array(path: Path, chunk: int = 1 << 20) -> Iterator[Any]:
    """The elements of a JSON array, one at a time. Raises MellaError if it does not parse."""
    decoder = json.JSONDecoder()
    with open(path, encoding="utf-8", errors="surrogateescape") as file:  # bad bytes spoil one caption, not all
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
                    raise MellaError(f"{path} stops parsing near character {error.pos}: {error.msg}.") from error
                text, place = text[place:] + more, 0
