"""The review queue: choose the next sample for a reviewer.

A queue is the output of `mella describe`, a dataset folder with `{language}/ling-*.parquet`, or a single Parquet file
with the columns of `mella_hf.sample`.
"""

import hashlib
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from mella_hf.dataset.write import all_shards
from mella_hf.errors import MellaError, UnknownLanguageError
from mella_hf.languages import get_language
from mella_hf.reviewing.store import UNDO, VERDICTS, Decision, ReviewStore, text_hash

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


def read_items(
    queue: Path | str, splits: Sequence[str] = ("ling", "ling_test"), set_aside: list[str] | None = None
) -> list[Item]:
    """The samples of a queue, images left on disk.

    Args:
        set_aside: receives one line for each row that nobody can judge, with its reason; an error without a list.

    Raises:
        MellaError: if there are no samples, a file is not Parquet with the record's columns, or a sample occurs twice.
    """
    items: dict[tuple[str, str], Item] = {}
    for path in queue_files(queue, splits):
        for item in _items_of(path):
            reason = _unfit(item)
            if reason is not None:
                where = f"{item.place[0]}, row {item.place[2]} of row group {item.place[1]} (id {item.id!r}): {reason}"
                if set_aside is None:
                    raise MellaError(f"{where}. Mend the queue, or leave the row out.")
                set_aside.append(where)
                continue
            if item.key in items:
                raise MellaError(f"The sample {item.id} ({item.language}) is in {queue} twice; build the queue again.")
            items[item.key] = item
    if not items:
        raise MellaError(
            f"{queue} holds nothing to review: expected a Parquet file, or a folder with LANGUAGE/ling-*.parquet."
            + (f" {len(set_aside)} rows were set aside; the first: {set_aside[0]}" if set_aside else "")
        )
    return list(items.values())


def _unfit(item: Item) -> str | None:
    """Why a row cannot be judged, or None."""
    if not isinstance(item.id, str) or not item.id:
        return "it has no id"
    if not isinstance(item.text, str) or not item.text.strip():
        return "it has no text"
    try:
        get_language(item.language)
    except UnknownLanguageError:
        return f"its language {item.language!r} is not known"
    return None


def queue_files(queue: Path | str, splits: Sequence[str] = ("ling", "ling_test")) -> list[Path]:
    """The Parquet files of a queue, in order."""
    path = Path(queue)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MellaError(f"The queue {queue} does not exist; give a Parquet file or a dataset folder.")
    return all_shards(path, splits)


def _items_of(path: Path) -> Iterator[Item]:
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise MellaError(
            f"{path} cannot be read as Parquet: {error}. Give a dataset folder or a Parquet file."
        ) from error
    with file:
        missing = [name for name in ["image", *_COLUMNS] if name not in file.schema_arrow.names]
        if missing:
            raise MellaError(f"{path} has no column {missing[0]!r}; give a file with the columns of mella_hf.sample.")
        for group in range(file.num_row_groups):
            for row, values in enumerate(file.read_row_group(group, columns=_COLUMNS).to_pylist()):
                score = values["qe_score"]
                if not isinstance(score, int | float) or not math.isfinite(score):
                    values["qe_score"] = None  # shown as not scored
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
        self.shown = shown
        self.given: dict[tuple[str, str], dict[str, Decision]] = {}  # sample -> reviewer -> standing decision
        self.progress = Counter({"open": len(self.items)})  # samples by outcome
        self.stale = 0  # decisions on samples or texts that are not in this queue
        self._ranked = sorted(self.items.values(), key=lambda i: (i.qe_score is not None, i.qe_score or 0.0, i.id))
        self._place = {item.key: place for place, item in enumerate(self._ranked)}
        self._doubled = {item.key for item in self._ranked if _share(item.id) < double}
        # By place: whether a sample waits for a verdict, and whether its reviewers are split. A request for the next
        # sample looks through these arrays, so that it takes the same short time however much is decided.
        self._waits = np.ones(len(self._ranked), dtype=bool)
        self._split = np.zeros(len(self._ranked), dtype=bool)
        self._scored = any(item.qe_score is not None for item in self._ranked)
        self._reviewers: dict[str, _Reviewer] = {}
        self._leases: dict[tuple[str, str], dict[str, float]] = {}
        self._seen = 0  # number of the last decision of the store that was taken
        for decision in decisions:
            self.take(decision)

    def follow(self, store: ReviewStore) -> None:
        """Take the decisions that came into the store since the last call, from any process."""
        for number, decision in store.since(self._seen):
            self.take(decision)
            self._seen = number

    def take(self, decision: Decision) -> None:
        """Add a decision. A decision about a text that is not the queue's is ignored and counted as stale."""
        key = (decision.sample, decision.language)
        item = self.items.get(key)
        if item is None or decision.shown != self.shown_hash(item):
            self.stale += 1
            return
        self.progress[self.outcome(key)] -= 1
        place, reviewer = self._place[key], self._reviewer(decision.reviewer)
        given = self.given.setdefault(key, {})
        if decision.action == UNDO:
            given.pop(decision.reviewer, None)
            reviewer.forget(key, place)
        else:
            given[decision.reviewer] = decision
            reviewer.remember(key, place)
        if not given:
            del self.given[key]
        outcome = self.outcome(key)
        self.progress[outcome] += 1
        self._waits[place] = len(self.verdicts(key)) < self.needed(item)
        self._split[place] = outcome == "disagreement"
        self._leases.get(key, {}).pop(decision.reviewer, None)

    def shown_hash(self, item: Item) -> str:
        """The hash that a decision about this sample must have in `shown`."""
        return text_hash(item.text) if self.shown is None else self.shown[item.key]

    def needed(self, item: Item) -> int:
        """How many reviewers must judge this sample: 1 or 2, and one more while they are split."""
        verdicts = self.verdicts(item.key)
        if len(verdicts) >= 2 and majority(verdicts) is None:
            return len(verdicts) + 1
        return 2 if item.key in self._doubled else 1

    def verdicts(self, key: tuple[str, str]) -> list[str]:
        """accept, edit or reject of each reviewer, skips left out."""
        return [decision.action for decision in self.given.get(key, {}).values() if decision.action in VERDICTS]

    def decided_by(self, reviewer: str) -> int:
        """How many samples have a standing decision of a reviewer, skips included."""
        return int(self._reviewer(reviewer).decided.sum())

    def decided_before(self, key: tuple[str, str] | None, reviewer: str) -> Item | None:
        """The reviewer's last decision before a sample; their last one of all if they did not decide on it."""
        found = self._reviewer(reviewer).before(key)
        return None if found is None else self.items[found]

    def left(self, reviewer: str) -> dict[str, int]:
        """How many samples each order has for a reviewer; an order that has nothing to sort by is left out."""
        undecided = ~self._reviewer(reviewer).decided
        waiting = int(np.count_nonzero(undecided if self.shown is not None else undecided & self._waits))
        orders = {"worst": waiting} if self._scored and self.shown is None else {}
        orders["random"] = waiting
        split = int(np.count_nonzero(undecided & self._split))
        if self.shown is None and split:
            orders["disagreement"] = split
        return orders

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
        now, who = time.monotonic(), self._reviewer(reviewer)
        free = ~who.decided
        if order == "disagreement":
            free &= self._split
        elif self.shown is None:
            free &= self._waits
        for place in who.shuffled[free[who.shuffled]] if order == "random" else np.flatnonzero(free):
            item = self._ranked[place]
            if self.shown is not None or self._unheld(item, reviewer, now):
                self._lease(item.key, reviewer, now)
                return item
        return None

    def _unheld(self, item: Item, reviewer: str, now: float) -> bool:
        """Whether this sample needs more verdicts than other reviewers are at work on."""
        leases = self._leases.get(item.key, {})
        held = [who for who, until in leases.items() if until > now and who != reviewer]
        return len(self.verdicts(item.key)) + len(held) < self.needed(item)

    def _lease(self, key: tuple[str, str], reviewer: str, now: float) -> None:
        """Keep a sample for a reviewer, and no other: so at most as many samples are kept as there are reviewers."""
        who = self._reviewer(reviewer)
        if who.lease is not None:
            self._leases.get(who.lease, {}).pop(reviewer, None)
        who.lease = key
        self._leases.setdefault(key, {})[reviewer] = now + LEASE

    def _reviewer(self, name: str) -> "_Reviewer":
        if name not in self._reviewers:
            by_hash = [hashlib.sha256(f"{name}/{item.id}".encode()).digest() for item in self._ranked]
            shuffled = np.array(sorted(range(len(by_hash)), key=by_hash.__getitem__), dtype=np.int64)
            self._reviewers[name] = _Reviewer(np.zeros(len(by_hash), dtype=bool), shuffled)
        return self._reviewers[name]

    def outcome(self, key: tuple[str, str]) -> str:
        """`accept`, `edit`, `reject`, `disagreement` or `open`."""
        verdicts = self.verdicts(key)
        if len(verdicts) < self.needed(self.items[key]):
            return "disagreement" if len(verdicts) >= 2 else "open"
        return majority(verdicts) or "disagreement"


@dataclass
class _Reviewer:
    """What the queue knows of a reviewer.

    Attributes:
        decided: by place, whether they decided.
        shuffled: places, in the random order of this reviewer.
        lease: the sample that is kept for them.
        log: what they decided, in time; an entry counts only where `newest` has its position.
    """

    decided: np.ndarray
    shuffled: np.ndarray
    lease: tuple[str, str] | None = None
    log: list[tuple[str, str]] = field(default_factory=list)
    newest: dict[tuple[str, str], int] = field(default_factory=dict)

    def remember(self, key: tuple[str, str], place: int) -> None:
        self.decided[place] = True
        self.newest[key] = len(self.log)
        self.log.append(key)

    def forget(self, key: tuple[str, str], place: int) -> None:
        self.decided[place] = False
        self.newest.pop(key, None)

    def before(self, key: tuple[str, str] | None) -> tuple[str, str] | None:
        position = self.newest.get(key, len(self.log)) if key is not None else len(self.log)
        while position > 0:
            position -= 1
            if self.newest.get(self.log[position]) == position:
                return self.log[position]
        return None


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
