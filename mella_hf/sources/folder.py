"""Read image folders with a `metadata.jsonl`, the `imagefolder` layout of `datasets`.

Expected under ROOT, one folder per language and source:
    LANG/know/metadata.jsonl, LANG/ling/metadata.jsonl   or, for one language, ROOT/metadata.jsonl
Each line: {"file_name": "a/b.jpg", "text": "…", any other column of the record}; unknown keys are ignored.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mella_hf.dataset.building.candidate import COMPUTED, METADATA, Found, Lost, Unit, is_inside
from mella_hf.errors import MellaError
from mella_hf.places import Place
from mella_hf.sample import COLUMNS, SOURCES
from mella_hf.sources.listings import byte_ranges, find_listings, flat_name, lines_of, parse_line

EXTRA = tuple(name for name in COLUMNS if name not in COMPUTED)  # what a source may say beside image and text
_KEYS_SHOWN = 5


@dataclass(frozen=True)
class FolderSource:
    """Image folders on disk or at an address.

    Attributes:
        root: the folder.
        languages: the codes to read.
        kind: `know` or `ling`, for a `metadata.jsonl` in the root itself.
        text_column: the key of the text.
    """

    root: Path | Place
    languages: tuple[str, ...]
    kind: str = "know"
    text_column: str = "text"

    @property
    def name(self) -> str:
        """Tells this folder from others, and its `know` rows from its `ling` rows."""
        return f"folder {self.root}" if self.kind == "know" else f"folder {self.root} {self.kind}"

    @property
    def title(self) -> str:
        """The name for the card."""
        return f"the image folder `{self.root.name}`"

    def units(self, work: Path) -> list[Unit]:
        """Byte ranges of the metadata files. Raises MellaError if a language has none."""
        units = []
        for language in self.languages:
            found = [(s, path) for s in SOURCES for path in find_listings(self.root / language / s, "metadata")]
            if not found and len(self.languages) == 1:
                found = [(self.kind, path) for path in find_listings(self.root, "metadata")]
            if not found:
                raise MellaError(
                    f"{self.root} holds nothing of {language!r}: expected {language}/know/{METADATA} or "
                    f"{language}/ling/{METADATA}, or, for one language, {METADATA} in the folder itself."
                )
            for source, path in found:
                for number, payload in enumerate(byte_ranges(path, self.root, work)):
                    if self.text_column != "text":  # another column gives other rows
                        payload["text_column"] = self.text_column
                    name = f"{language}-{source}-{flat_name(path, self.root)}-{number:05d}"
                    units.append(Unit(name, language, source, payload))
        return units

    def scan(self, unit: Unit) -> Iterator[Found | Lost]:
        """The lines of one byte range. Those that begin in it belong to it."""
        for offset, line in lines_of(unit.payload, self.root):
            where = f"{unit.payload['file']}@{offset}"
            record = parse_line(line)
            yield self._candidate(record, where) if isinstance(record, dict) else Lost(where, "line_unreadable")

    def image(self, unit: Unit, locator: str) -> str | Place:
        """The image file of a candidate."""
        name = f"{os.path.dirname(unit.payload['file'])}/{locator}".lstrip("/")
        return self.root / name if isinstance(self.root, Place) else f"{self.root}/{name}"

    def _candidate(self, record: dict[str, Any], where: str) -> Found | Lost:
        name = record.get("file_name")
        if not isinstance(name, str) or not is_inside(name):
            return Lost(where, "file_name_outside" if isinstance(name, str) else "file_name_missing")
        text = record.get(self.text_column)
        if not isinstance(text, str) or not text.strip():
            keys = ", ".join(sorted(record)[:_KEYS_SHOWN])
            return Lost(where, "caption_missing", "" if self.text_column in record else f"the line has only {keys}")
        return Found(where, name, text.strip(), {key: record[key] for key in EXTRA if key in record})
