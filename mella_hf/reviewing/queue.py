"""The review queue: choose the next sample for a reviewer.

A queue is the output of `mella describe`, a dataset folder with `{language}/ling-*.parquet`, or a single Parquet file
with the columns of `mella_hf.sample`.
"""

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from mella_hf.dataset.write import languages_in, shard_paths
from mella_hf.errors import MellaError
from mella_hf.reviewing.store import VERDICTS, Decision, text_hash

ORDERS = ("worst", "random", "disagreement")
LEASE = 600.0  # s that a shown sample is kept for its reviewer, so that two do not do the same work
_COLUMNS = ["id", "language", "text", "caption_en", "qe_score", "translator", "page_url"]


@dataclass(frozen=True)
class Item:
    """A sample to judge, without its image. `place` is (file, row group, row in it)."""

    id: str
    language: str
    text: str
    caption_en: str | None
    qe_score: float | None
    translator: str | None
    page_url: str | None
    place: tuple[Path, int, int]

    @property
    def key(self) -> tuple[str, str]:
        """Id and language: one image can have a text in each language."""
        return self.id, self.language


def read_items(queue: Path | str, splits: Sequence[str] = ("ling", "ling_test")) -> list[Item]:
    """The samples of a queue, images left on disk.

    Raises:
        MellaError: when there is none, a file is no Parquet with the record's columns, or a sample is there twice.
    """
    items: dict[tuple[str, str], Item] = {}
    for path in queue_files(queue, splits):
        for item in _items_of(path):
            if item.key in items:
                raise MellaError(f"The sample {item.id} ({item.language}) is in {queue} twice; build the queue anew.")
            items[item.key] = item
    if not items:
        raise MellaError(
            f"{queue} holds nothing to review: expected a Parquet file, or a folder with LANGUAGE/ling-*.parquet."
        )
    return list(items.values())


def queue_files(queue: Path | str, splits: Sequence[str] = ("ling", "ling_test")) -> list[Path]:
    """The Parquet files of a queue, in their order."""
    path = Path(queue)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MellaError(f"The queue {queue} does not exist; name a Parquet file or a dataset folder.")
    return [file for code in languages_in(path) for split in splits for file in shard_paths(path, code, split)]


def _items_of(path: Path) -> Iterator[Item]:
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise MellaError(f"{path} is no Parquet file: {error}") from error
    with file:
        if missing := [name for name in ["image", *_COLUMNS] if name not in file.schema_arrow.names]:
            raise MellaError(f"{path} has no column {missing[0]!r}; a queue has the columns of mella_hf.sample.")
        for group in range(file.num_row_groups):
            for row, values in enumerate(file.read_row_group(group, columns=_COLUMNS).to_pylist()):
                yield Item(**values, place=(path, group, row))


def image_bytes(item: Item) -> bytes:
    """The encoded image of a sample."""
    path, group, row = item.place
    with pq.ParquetFile(path) as file:
        return file.read_row_group(group, columns=["image"])["image"][row].as_py()["bytes"]


class Queue:
    """Who judges what next.

    Args:
        items: the samples.
        decisions: what was decided before.
        double: share of the samples, in [0, 1], that two reviewers judge, so that agreement can be measured; drawn by
            the sample's hash, so the same ones at each start.
        shown: for samples that show something else than their text, the hash of it; every reviewer sees all of these.
    """

    def __init__(
        self,
        items: Sequence[Item],
        decisions: Iterable[Decision] = (),
        double: float = 0.1,
        shown: Mapping[tuple[str, str], str] | None = None,
    ):
        if not 0 <= double <= 1:
            raise MellaError(f"double is {double}; give a share in [0, 1].")
        self.items = {item.key: item for item in items}
        self.double, self.shown = double, shown
        self.given: dict[tuple[str, str], dict[str, Decision]] = defaultdict(dict)  # sample -> reviewer -> decision
        self._leases: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        self._worst = sorted(items, key=lambda i: (i.qe_score is not None, i.qe_score or 0.0, i.id))
        self._orders: dict[str, list[Item]] = {}
        self.progress = Counter({"open": len(self.items)})  # samples by outcome
        self.stale = 0  # decisions on samples or texts that are not in this queue
        for decision in decisions:
            self.take(decision)

    def take(self, decision: Decision) -> None:
        """Count a decision. One on a text that is not the queue's own is left out, and counted as stale."""
        key = (decision.sample, decision.language)
        item = self.items.get(key)
        if item is None or decision.shown != self.shown_hash(item):
            self.stale += 1
            return
        self.progress[self.outcome(key)] -= 1
        self.given[key][decision.reviewer] = decision
        self.progress[self.outcome(key)] += 1
        self._leases[key].pop(decision.reviewer, None)

    def shown_hash(self, item: Item) -> str:
        """What a decision on this sample must have been shown."""
        return text_hash(item.text) if self.shown is None else self.shown[item.key]

    def needed(self, item: Item) -> int:
        """How many reviewers judge this sample: 1 or 2, and one more as long as they are split."""
        verdicts = self.verdicts(item.key)
        if len(verdicts) >= 2 and majority(verdicts) is None:
            return len(verdicts) + 1
        return 2 if _share(item.id) < self.double else 1

    def verdicts(self, key: tuple[str, str]) -> list[str]:
        """accept, edit or reject of each reviewer, skips left out."""
        return [decision.action for decision in self.given[key].values() if decision.action in VERDICTS]

    def next(self, reviewer: str, order: str = "worst") -> Item | None:
        """The next sample for a reviewer, kept for them for ten minutes; None when there is none left.

        Args:
            order: `worst` (lowest score first), `random` (another order for each reviewer) or `disagreement` (only
                samples on which two reviewers did not agree).

        Raises:
            MellaError: on an unknown order.
        """
        if order not in ORDERS:
            raise MellaError(f"Unknown order {order!r}; choose among {', '.join(ORDERS)}.")
        now = time.monotonic()
        for item in self._shuffled(reviewer) if order == "random" else self._worst:
            if reviewer in self.given[item.key]:
                continue
            verdicts = self.verdicts(item.key)
            if order == "disagreement" and (len(verdicts) < 2 or majority(verdicts) is not None):
                continue
            held = [who for who, until in self._leases[item.key].items() if until > now and who != reviewer]
            if self.shown is not None or len(verdicts) + len(held) < self.needed(item):
                self._leases[item.key][reviewer] = now + LEASE
                return item
        return None

    def _shuffled(self, reviewer: str) -> list[Item]:
        if reviewer not in self._orders:
            by_hash = {item.key: hashlib.sha256(f"{reviewer}/{item.id}".encode()).digest() for item in self._worst}
            self._orders[reviewer] = sorted(self._worst, key=lambda item: by_hash[item.key])
        return self._orders[reviewer]

    def outcome(self, key: tuple[str, str]) -> str:
        """`accept`, `edit`, `reject`, `disagreement` or `open`."""
        verdicts = self.verdicts(key)
        if len(verdicts) < self.needed(self.items[key]):
            return "disagreement" if len(verdicts) >= 2 else "open"
        return majority(verdicts) or "disagreement"


def majority(verdicts: Sequence[str]) -> str | None:
    """What more than half of the reviewers say of keeping the text, and how; None when they are split.

    Accepting and editing both keep the sample. Where it is kept, it counts as edited as soon as one of them edited.
    """
    kept = [verdict for verdict in verdicts if verdict != "reject"]
    if 2 * len(kept) > len(verdicts):
        return "edit" if "edit" in kept else "accept"
    return "reject" if 2 * len(kept) < len(verdicts) else None


def _share(sample: str) -> float:
    """A number in [0, 1) that depends on the sample alone."""
    return int(hashlib.sha256(f"double/{sample}".encode()).hexdigest()[:8], 16) / 2**32
