"""The sources that a dataset folder is built from: recorded by a build, kept by the next one.

`OUT/.build/sources.json` lists them in the order in which they came. The rows of earlier sources stay as they were
scanned; their images are read from the folder's own shards (`mella_hf.dataset.building.held`), so nothing of an earlier
source need be there any more.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mella_hf.dataset.building.candidate import Unit
from mella_hf.dataset.building.samples import SampleSource
from mella_hf.dataset.write import shard_paths
from mella_hf.files import link_file, write_atomic
from mella_hf.sample import SPLITS

RECORD = "sources.json"
ADOPTED = "rows that were in the folder before"


@dataclass(frozen=True)
class Holding:
    """What one source gave to one language.

    Attributes:
        name: of the source; the same source has the same name when it is built again.
        title: of the source, for the card; names no local path.
        origin: Markdown for the card.
        verify: whether its images were decoded and hashed.
        units: what was scanned.
    """

    name: str
    title: str
    origin: str
    language: str
    verify: bool
    units: tuple[Unit, ...]

    @property
    def key(self) -> str:
        """Eight hex digits that tell its units from those of other sources."""
        return source_key(self.name)


def source_key(name: str) -> str:
    """Eight hex digits of a source's name."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def name_units(units: Sequence[Unit], source: str) -> list[Unit]:
    """The units of a source under names that no other source's units have."""
    return [replace(unit, name=f"{unit.name}-{source_key(source)}") for unit in units]


def read_holdings(work: Path) -> list[Holding]:
    """The recorded sources, in the order in which they came."""
    path = work / RECORD
    if not path.exists():
        return []
    entries = json.loads(path.read_text("utf-8"))
    return [Holding(**{**entry, "units": tuple(Unit(**unit) for unit in entry["units"])}) for entry in entries]


def write_holdings(work: Path, holdings: Sequence[Holding]) -> None:
    """Record the sources."""
    write_atomic(work / RECORD, json.dumps([asdict(one) for one in holdings], ensure_ascii=False))


def merge(before: Sequence[Holding], new: Sequence[Holding], *, replacing: Collection[str]) -> list[Holding]:
    """The sources after a build: what the same source gave before is replaced in its place, others stay.

    Args:
        replacing: the languages whose other sources go.
    """
    built = {one.language: one for one in new}
    merged = []
    for one in before:
        if one.language not in built or (one.name != built[one.language].name and one.language not in replacing):
            merged.append(one)
        elif one.name == built[one.language].name:
            merged.append(built.pop(one.language))
    return [*merged, *built.values()]


def adopted(out: Path, work: Path, languages: Sequence[str], known: Sequence[Holding]) -> SampleSource | None:
    """The rows of a folder whose sources nobody recorded, such as a copy of a published dataset, as a source."""
    unknown = [code for code in languages if code not in {one.language for one in known}]
    files = []
    for language in unknown:
        for path in (path for split in SPLITS for path in shard_paths(out, language, split)):
            files.append(work / "adopted" / language / path.name)
            link_file(path, files[-1])
    return SampleSource(tuple(files), ADOPTED) if files else None


def describe(holdings: Sequence[Holding], kept: dict[str, dict[str, Any]]) -> str:
    """Markdown for the card: the origin of each source, or its title, and how many rows it gave.

    Args:
        kept: language -> source name -> kind -> counts.
    """
    texts: dict[str, list[str]] = {}
    for one in holdings:
        counts = kept.get(one.language, {}).get(one.name, {})
        rows = [f"{one.language} {kind} {of['kept']:,}" for kind, of in counts.items()]
        texts.setdefault(one.origin or f"From {one.title}", []).extend(rows)
    if len(texts) == 1 and holdings[0].origin:
        return holdings[0].origin
    return "\n".join(f"- {text.rstrip('.')}: {', '.join(rows)} rows." for text, rows in texts.items())
