"""Count the rows, words, licences and domains of a dataset for its card, without reading the images."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import nsmallest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mella_hf.dataset.card.lengths import token_lengths
from mella_hf.dataset.files import NoDatasetError
from mella_hf.dataset.write import languages_in, shard_paths
from mella_hf.sample import SPLITS, as_record

SAMPLE = 500  # texts a split whose tokens are counted; Korean and Thai take up to a millisecond each
MOST = 1000  # keywords kept of a split, the most frequent
_READ = ["id", "text", "license", "domain", "captioner", "translator", "qe_model", "review", "keywords", "collected_at"]
_READ += ["relevance_model", "keywords_by"]


@dataclass
class SplitFacts:
    """What the rows of one split of one language say.

    Attributes:
        shards: file name -> bytes.
        image_bytes: size of the images in them.
        characters: how many texts have each length.
        sample: (id, text) of the rows with the least ids; those are hashes, so it is a random draw that stays.
        licenses, domains, makers, keywords: how many rows name each; a maker is a captioner or translator,
            or what found the keywords.
        collected: first and last day on which rows were collected, as YYYY-MM-DD; "" where none says.
        tokenizer: what counted the tokens, or why nothing was counted.
        tokens: median, 90th percentile and mean of the tokens of the sampled texts; empty when not counted.
    """

    language: str
    split: str
    rows: int = 0
    shards: dict[str, int] = field(default_factory=dict)
    image_bytes: int = 0
    characters: Counter[int] = field(default_factory=Counter)
    sample: list[tuple[str, str]] = field(default_factory=list)
    licenses: Counter[str] = field(default_factory=Counter)
    domains: Counter[str] = field(default_factory=Counter)
    makers: Counter[str] = field(default_factory=Counter)
    keywords: Counter[str] = field(default_factory=Counter)
    collected: tuple[str, str] = ("", "")
    tokenizer: str = ""
    tokens: tuple[float, ...] = ()

    @property
    def place(self) -> str:
        """Such as "ar/know"."""
        return f"{self.language}/{self.split}"

    @property
    def files_bytes(self) -> int:
        """Size of the shards."""
        return sum(self.shards.values())

    @property
    def median_characters(self) -> int:
        """Median length of a text, in characters."""
        middle, seen = self.rows // 2, 0
        for length, count in sorted(self.characters.items()):
            seen += count
            if seen > middle:
                return length
        return 0

    def as_json(self) -> dict[str, Any]:
        """What `of_json` reads; the sampled texts stay in the shards."""
        counters = {name: dict(value.most_common()) for name, value in vars(self).items() if isinstance(value, Counter)}
        return {name: value for name, value in (vars(self) | counters).items() if name != "sample"}

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> "SplitFacts":
        """The facts that `as_json` gave."""
        facts = cls(**content)
        facts.characters = Counter({int(length): count for length, count in facts.characters.items()})
        for name in ("licenses", "domains", "makers", "keywords"):
            setattr(facts, name, Counter(getattr(facts, name)))
        facts.collected = (facts.collected[0], facts.collected[1])
        facts.tokens = tuple(facts.tokens)
        return facts


def split_facts(folder: Path | str, language: str, split: str) -> SplitFacts:
    """Read the facts of a split from its shards, without touching the images."""
    paths = shard_paths(folder, language, split)
    return read_facts(language, split, ((path.name, path.stat().st_size, path) for path in paths))


def read_facts(language: str, split: str, shards: Iterable[tuple[str, int, Any]]) -> SplitFacts:
    """Read the facts of a split.

    Args:
        shards: file name, bytes, and a path or an open binary file, in order.
    """
    facts = SplitFacts(language, split)
    for name, size, file in shards:
        parquet = pq.ParquetFile(file)
        facts.shards[name] = size
        facts.rows += parquet.metadata.num_rows
        facts.image_bytes += sum(_image_bytes(parquet.metadata.row_group(i)) for i in range(parquet.num_row_groups))
        for batch in parquet.iter_batches(4096, columns=_READ):
            _add(facts, as_record(batch))
    facts.keywords = Counter(dict(facts.keywords.most_common(MOST)))
    lengths = token_lengths(language, {split: [text for _, text in facts.sample]})
    facts.tokenizer = lengths.tokenizer
    if split in lengths.splits:
        facts.tokens = (*lengths.splits[split], lengths.means[split])
    return facts


def _add(facts: SplitFacts, batch: pa.RecordBatch) -> None:
    facts.characters.update(_count(pc.utf8_length(batch["text"])))
    least = batch.take(pc.select_k_unstable(batch["id"], SAMPLE, [("id", "ascending")]))
    pairs = zip(least["id"].to_pylist(), least["text"].to_pylist(), strict=True)
    facts.sample = nsmallest(SAMPLE, [*facts.sample, *pairs])
    for name, rows in _count(batch["license"]).items():
        facts.licenses[name or "not stated"] += rows
    facts.domains.update({name: rows for name, rows in _count(batch["domain"]).items() if name})
    facts.keywords.update({name: rows for name, rows in _count(pc.list_flatten(batch["keywords"])).items() if name})
    for kind in ("captioner", "translator", "qe_model", "review", "relevance_model", "keywords_by"):
        facts.makers.update({f"{kind}: {name}": rows for name, rows in _count(batch[kind]).items() if name})
    ends = pc.min_max(batch["collected_at"]).as_py()
    if ends["min"] is not None:
        first, last = (ends[end][:10] for end in ("min", "max"))
        facts.collected = (min(facts.collected[0] or first, first), max(facts.collected[1], last))


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
        raise NoDatasetError(folder)
    return found


def _image_bytes(row_group: Any) -> int:
    columns = (row_group.column(i) for i in range(row_group.num_columns))
    return sum(column.total_uncompressed_size for column in columns if column.path_in_schema == "image.bytes")
