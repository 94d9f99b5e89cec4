"""Compute what the card says about each split, without reading the images."""

from collections import Counter
from dataclasses import dataclass, field
from heapq import nsmallest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mella_hf.dataset.write import languages_in, shard_paths
from mella_hf.errors import MellaError
from mella_hf.sample import SPLITS

SAMPLE = 500  # texts a split whose tokens are counted; Korean and Thai take up to a millisecond each
_READ = ["id", "text", "license", "domain", "captioner", "translator", "qe_model", "review"]


@dataclass
class SplitFacts:
    """What the rows of one split of one language say.

    Attributes:
        files_bytes, image_bytes: size of the shards, and of the images in them.
        characters: how many texts have each length.
        sample: (id, text) of the rows with the least ids; those are hashes, so it is a random draw that stays.
        licenses, domains, makers: how many rows name each; a maker is a captioner or translator.
    """

    language: str
    split: str
    rows: int = 0
    files_bytes: int = 0
    image_bytes: int = 0
    characters: Counter[int] = field(default_factory=Counter)
    sample: list[tuple[str, str]] = field(default_factory=list)
    licenses: Counter[str] = field(default_factory=Counter)
    domains: Counter[str] = field(default_factory=Counter)
    makers: Counter[str] = field(default_factory=Counter)

    @property
    def median_characters(self) -> int:
        """Median length of a text, in characters."""
        middle, seen = self.rows // 2, 0
        for length, count in sorted(self.characters.items()):
            seen += count
            if seen > middle:
                return length
        return 0


def split_facts(folder: Path | str, language: str, split: str) -> SplitFacts:
    """Read the facts of a split from its shards, without touching the images."""
    facts = SplitFacts(language, split)
    for path in shard_paths(folder, language, split):
        facts.files_bytes += path.stat().st_size
        parquet = pq.ParquetFile(path)
        facts.rows += parquet.metadata.num_rows
        facts.image_bytes += sum(_image_bytes(parquet.metadata.row_group(i)) for i in range(parquet.num_row_groups))
        for batch in parquet.iter_batches(4096, columns=_READ):
            facts.characters.update(_count(pc.utf8_length(batch["text"])))
            least = batch.take(pc.select_k_unstable(batch["id"], SAMPLE, [("id", "ascending")]))
            pairs = zip(least["id"].to_pylist(), least["text"].to_pylist(), strict=True)
            facts.sample = nsmallest(SAMPLE, [*facts.sample, *pairs])
            for name, rows in _count(batch["license"]).items():
                facts.licenses[name or "not stated"] += rows
            facts.domains.update({name: rows for name, rows in _count(batch["domain"]).items() if name})
            for kind in ("captioner", "translator", "qe_model", "review"):
                facts.makers.update({f"{kind}: {name}": rows for name, rows in _count(batch[kind]).items() if name})
    return facts


def _count(column: pa.Array) -> dict[Any, int]:
    """How many rows have each value of a column."""
    return {found["values"]: found["counts"] for found in column.value_counts().to_pylist()}


def dataset_facts(folder: Path | str) -> list[SplitFacts]:
    """The facts of every split that is there, by language. Raises MellaError when none is."""
    found = [
        split_facts(folder, language, split)
        for language in languages_in(folder)
        for split in SPLITS
        if shard_paths(folder, language, split)
    ]
    if not found:
        raise MellaError(f"{folder} holds no dataset: found no LANGUAGE/SPLIT-00000-of-0000N.parquet in it.")
    return found


def _image_bytes(row_group: Any) -> int:
    columns = (row_group.column(i) for i in range(row_group.num_columns))
    return sum(column.total_uncompressed_size for column in columns if column.path_in_schema == "image.bytes")
