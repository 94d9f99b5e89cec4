"""Stream samples into batches of similar length and one source, without preparing the dataset first.

The order is that of `batching`, within windows of the stream that fit into memory. Every rank forms the same windows
and takes its own batches from them, so no sample is repeated or missed and all ranks work on the same source. The price
is that every rank reads the bytes of all samples; it decodes only its own. The order of shards in an epoch follows from
seed and epoch. A run can resume at any batch; it reads at most one window again.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import IterableDataset

from mella_hf.errors import MellaError, SampleError
from mella_hf.training.arguments.data import DataArguments
from mella_hf.training.arguments.settings import Settings
from mella_hf.training.batches.bad_samples import SKIPPED_FILE, BadSamples, bad_sample
from mella_hf.training.batches.batching import ROUNDS_PER_BUCKET, LengthBuckets, loss_denominators
from mella_hf.training.batches.chat import COUNTED_COLUMNS, Conversation, TokenCounter, sound_conversations
from mella_hf.training.feeding import DataFacts, Feed, bad_samples, unchecked
from mella_hf.training.splits import load_source

if TYPE_CHECKING:
    import datasets
    from transformers import ProcessorMixin

Row = dict[str, Any]
COUNTS = ("sequence", "completion")


@dataclass(frozen=True)
class StreamPlace:
    """A point between two batches of a stream.

    Attributes:
        epoch: number of completed passes over the data.
        window: number of completed windows, over all epochs.
        rounds: number of completed rounds of this window; a round is a batch for every rank.
        starts: where the window starts, by source: shard and row, in the epoch's order; None at the end.
    """

    epoch: int = 0
    window: int = 0
    rounds: int = 0
    starts: dict[str, list[int] | None] = field(default_factory=dict)


class SourceRows:
    """The rows of one source, in an order that seed and epoch determine; reading can start at any row.

    Args:
        streams: one stream per language.
        seed: seed and epoch determine the order of the shards.
        ahead: `take` leaves at least this many rows or none, so that the last window is never smaller than one round.
    """

    def __init__(self, streams: Sequence["datasets.IterableDataset"], seed: int, ahead: int):
        # A row group is a shard if the format allows it: this shuffles better, and a resumed run skips less.
        self.shards = [(s, i) for s in (stream.reshard() for stream in streams) for i in range(s.num_shards)]
        self.seed, self.ahead = seed, ahead

    def __getstate__(self) -> dict[str, Any]:
        """The state without open readers, so that a loader's worker can be started with it."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_buffer", "_rows")}

    def open(self, epoch: int, start: list[int] | None) -> None:
        """Start reading an epoch at a row; None is its end."""
        self._buffer: deque[tuple[list[int], Row]] = deque()
        self._rows = iter(()) if start is None else self._read(epoch, *start)

    def _read(self, epoch: int, first: int, offset: int) -> Iterator[tuple[list[int], Row]]:
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.shards))
        for place in range(first, len(order)):
            stream, index = self.shards[order[place]]
            start = offset if place == first else 0
            shard = stream.shard(stream.num_shards, index).skip(start)
            for number, row in enumerate(shard, start):
                yield [place, number], row

    def position(self) -> list[int] | None:
        """Where the next row is; None at the end."""
        self._fill(1)
        return self._buffer[0][0] if self._buffer else None

    def take(self, count: int) -> list[Row]:
        """The next `count` rows; also the rows after them, if those are fewer than `ahead`."""
        self._fill(count + self.ahead)
        whole = len(self._buffer) < count + self.ahead
        return [self._buffer.popleft()[1] for _ in range(len(self._buffer) if whole else count)]

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count and (row := next(self._rows, None)) is not None:
            self._buffer.append(row)


class BatchStream(IterableDataset):
    """Endless batches of one rank: (place after the batch as JSON, conversations).

    Args:
        sources: rows by source.
        rounds: number of rounds in a full window, by source.
        counter: counts the tokens of rows.
        per_rank: samples in a batch.
        jpeg: whether images lose quality, as in `to_conversation`.
        bad: samples that cannot be trained on are left out and put on this list; without one, they are an error.
    """

    def __init__(
        self,
        sources: Mapping[str, SourceRows],
        rounds: Mapping[str, int],
        counter: TokenCounter,
        per_rank: int,
        seed: int,
        *,
        rank: int = 0,
        ranks: int = 1,
        jpeg: bool = False,
        bad: BadSamples | None = None,
    ):
        self.jpeg, self.bad = jpeg, bad
        self.sources, self.rounds, self.counter = dict(sources), dict(rounds), counter
        self.per_rank, self.seed, self.rank, self.ranks = per_rank, seed, rank, ranks
        self.start = StreamPlace(starts={source: [0, 0] for source in self.sources})
        self._sound = False  # whether there was a sample that can be trained on

    def go_on(self, place: str) -> None:
        """Start the next iteration after the batch that came with this place."""
        self.start = StreamPlace(**json.loads(place))
        self._sound = True

    def __iter__(self) -> Iterator[tuple[str, list[Conversation]]]:
        place = self.start
        self._open(place.epoch, place.starts)
        while True:
            starts = {source: rows.position() for source, rows in self.sources.items()}
            if all(start is None for start in starts.values()):
                if not self._sound:
                    raise SampleError("No sample of the stream can be trained on; look at them with `mella verify`.")
                place = replace(place, epoch=place.epoch + 1)
                self._open(place.epoch, {source: [0, 0] for source in self.sources})
                continue
            place = replace(place, starts=starts)
            yield from self._window(place)
            place = replace(place, window=place.window + 1, rounds=0)

    def _open(self, epoch: int, starts: Mapping[str, list[int] | None]) -> None:
        for source, rows in self.sources.items():
            rows.open(epoch, starts[source])

    def _window(self, place: StreamPlace) -> Iterator[tuple[str, list[Conversation]]]:
        rows, counts = self.read_window()
        if not rows:
            return
        self._sound = True
        buckets = LengthBuckets(
            counts["sequence"], [row["source"] for row in rows], self.per_rank, self.seed, ranks=self.ranks
        )
        buckets.set_epoch(place.window)
        for number, batch in enumerate(buckets):
            done, rank = divmod(number, self.ranks)
            if rank == self.rank and done >= place.rounds:
                after = json.dumps(asdict(replace(place, rounds=done + 1)))
                yield after, self.conversations([rows[i] for i in batch], rows)

    def read_window(self) -> tuple[list[Row], dict[str, list[int]]]:
        """The next window: rows of all sources, without those that cannot be trained on, and the tokens of each row."""
        size = self.per_rank * self.ranks
        rows = [row for source, own in self.sources.items() for row in own.take(self.rounds[source] * size)]
        counted = self.counter(columns(rows))
        good = []
        for at, problem in enumerate(counted["problem"]):
            if problem is None:
                good.append(at)
            elif self.bad is None:
                raise bad_sample(rows[at]["id"], problem)
            else:
                self.bad.leave_out({rows[at]["id"]: problem})
        for source in self.sources:  # each rank needs a batch
            own = [at for at in good if rows[at]["source"] == source]
            good += own[:1] * (self.ranks - len(own))
        return [rows[at] for at in good], {name: [counted[name][at] for at in good] for name in COUNTS}

    def conversations(self, batch: list[Row], window: list[Row]) -> list[Conversation]:
        """The rows as conversations, their images decoded; `window` has a row to stand for a batch of broken ones."""
        return sound_conversations(
            batch,
            self.counter.seed,
            jpeg=self.jpeg,
            bad=self.bad,
            others=lambda source: (row for row in window if row["source"] == source),
        )


def columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """What a TokenCounter reads of the rows, column by column."""
    return {name: [row[name] for row in rows] for name in COUNTED_COLUMNS if name in rows[0]}


def open_sources(data: DataArguments, seed: int, ranks: int) -> dict[str, SourceRows]:
    """Open the run's streams by source, without decoding images. Raises MellaError for a source without samples."""
    from datasets import Image

    sources = {}
    for source in data.sources:
        streams = [
            load_source(data.dataset, data.data_dir, code, source, streaming=True, **unchecked(data)).cast_column(
                "image", Image(decode=False)
            )
            for code in data.languages
        ]
        sources[source] = SourceRows(streams, seed, ahead=ranks)
        sources[source].open(0, [0, 0])
        if sources[source].position() is None:
            raise MellaError(f"The split {source!r} is empty; build it or leave the source out.")
    return sources


def build_stream_feed(settings: Settings, processor: "ProcessorMixin") -> Feed:
    """Prepare the samples of the run as a stream.

    `source_weights` needs each source's share of an epoch and the length of its answers. Both are estimated: the share
    from the number of shards, the length from the first window.
    """
    from datasets import Dataset

    data, training = settings.data, settings.training
    sources = open_sources(data, training.seed, training.world_size)
    shards = {source: len(rows.shards) for source, rows in sources.items()}
    rounds = {s: max(1, round(ROUNDS_PER_BUCKET * count / max(shards.values()))) for s, count in shards.items()}
    counter = TokenCounter(processor, data.prompt_seed)
    batches = BatchStream(
        sources,
        rounds,
        counter,
        training.per_device_train_batch_size,
        training.seed,
        rank=training.process_index,
        ranks=training.world_size,
        jpeg=data.jpeg_augment,
        bad=bad_samples(settings),
    )
    first, counts = batches.read_window()
    answers: dict[str, list[int]] = {source: [] for source in sources}
    for row, count in zip(first, counts["completion"], strict=True):
        answers[row["source"]].append(count)
    lacking = [source for source, found in answers.items() if not found]
    if lacking:
        raise SampleError(f"None of the first samples of {lacking[0]!r} can be trained on: see {SKIPPED_FILE}.")
    mean = {source: float(np.mean(counts)) for source, counts in answers.items()}
    denominators = None
    if data.weights is not None:
        size = training.per_device_train_batch_size * training.world_size
        window = {source: rounds[source] * size * mean[source] for source in sources}  # answer tokens
        denominators = loss_denominators(
            data.weights, window, sum(rounds.values()) / training.gradient_accumulation_steps
        )
    facts: DataFacts = {
        "streamed": True,
        "answer_tokens_estimated": {source: round(value, 1) for source, value in mean.items()},
        "loss_share": data.weights,
    }
    # TRL reads one conversation to see that there are images; the batches come from the stream.
    shown = {key: [value] for key, value in batches.conversations(first[:1], first)[0].items()}
    return Feed(Dataset.from_dict({"row": [0]}).with_transform(lambda batch: shown), batches, denominators, facts)
