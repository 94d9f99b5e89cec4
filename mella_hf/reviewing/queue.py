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
LEASE = 600.0  # seconds that a shown sample is reserved for its reviewer
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
    """Read the samples of a queue, without their images.

    Raises:
        MellaError: if there are no samples, a file is not Parquet with the record's columns, or a sample occurs twice.
    """
    items: dict[tuple[str, str], Item] = {}
    for path in queue_files(queue, splits):
        for item in _items_of(path):
            if item.key in items:
                raise MellaError(f"The sample {item.id} ({item.language}) is in {queue} twice; build the queue again.")
            items[item.key] = item
    if not items:
        raise MellaError(
            f"{queue} holds nothing to review: expected a Parquet file, or a folder with LANGUAGE/ling-*.parquet."
        )
    return list(items.values())


def queue_files(queue: Path | str, splits: Sequence[str] = ("ling", "ling_test")) -> list[Path]:
    """The Parquet files of a queue, in order."""
    path = Path(queue)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MellaError(f"The queue {queue} does not exist; give a Parquet file or a dataset folder.")
    return [file for code in languages_in(path) for split in splits for file in shard_paths(path, code, split)]


def _items_of(path: Path) -> Iterator[Item]:
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise MellaError(f"{path} is not a Parquet file: {error}") from error
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
    """Decides which sample a reviewer sees next.

    Args:
        items: the samples.
        decisions: earlier decisions.
        double: share of the samples, in [0, 1], that two reviewers judge, to measure agreement; chosen by the sample's
            hash, so they are the same at each start.
        shown: hash of what is shown, for samples that do not show their text; every reviewer sees all of these.
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
        self.stale = 0  # decisions about samples or texts that are not in this queue
        for decision in decisions:
            self.take(decision)

    def take(self, decision: Decision) -> None:
        """Add a decision. A decision about a text that is not the queue's is ignored and counted as stale."""
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
        """The hash that a decision about this sample must have in `shown`."""
        return text_hash(item.text) if self.shown is None else self.shown[item.key]

    def needed(self, item: Item) -> int:
        """How many reviewers must judge this sample: 1 or 2, and one more while they are split."""
        verdicts = self.verdicts(item.key)
        if len(verdicts) >= 2 and majority(verdicts) is None:
            return len(verdicts) + 1
        return 2 if _share(item.id) < self.double else 1

    def verdicts(self, key: tuple[str, str]) -> list[str]:
        """Each reviewer's accept, edit or reject; skips are left out."""
        return [decision.action for decision in self.given[key].values() if decision.action in VERDICTS]

    def next(self, reviewer: str, order: str = "worst") -> Item | None:
        """The next sample for a reviewer, reserved for ten minutes; None if there is none left.

        Args:
            order: `worst` (lowest score first), `random` (a different order for each reviewer) or `disagreement` (only
                samples on which two reviewers did not agree).

        Raises:
            MellaError: for an unknown order.
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
    """The verdict of more than half of the reviewers; None if they are split.

    Accept and edit both keep the sample. A kept sample counts as edited if at least one reviewer edited it.
    """
    kept = [verdict for verdict in verdicts if verdict != "reject"]
    if 2 * len(kept) > len(verdicts):
        return "edit" if "edit" in kept else "accept"
    return "reject" if 2 * len(kept) < len(verdicts) else None


def _share(sample: str) -> float:
    """A number in [0, 1) that depends on the sample alone."""
    return int(hashlib.sha256(f"double/{sample}".encode()).hexdigest()[:8], 16) / 2**32
