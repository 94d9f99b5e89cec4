"""Compute one row of statistics per item; scores, intervals and tests all use these rows.

Each text is normalised, tokenised and stemmed once. Every item is also scored against another image's reference (the
floor): what an answer scores there comes from its template, not from the picture.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_all_start_methods, get_context
from typing import Any, TypeVar

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.metrics.base import Metric
from mella_hf.metrics.installed import all_metrics
from mella_hf.metrics.texts.prepared import MetricSettings, Text
from mella_hf.metrics.texts.tables import Compact
from mella_hf.metrics.texts.vocabulary import Vocabulary
from mella_hf.plugins import blame
from mella_hf.progress import progress_bar
from mella_hf.text.tokens import TokenAnalysis, analyze
from mella_hf.workers import end_with_parent

_CHUNK = 64  # items per chunk: large enough to share references with the floors, small enough for constant memory
_PARALLEL_FROM = 1_000_000  # characters; for less, starting processes costs more than it saves

Span = tuple[int, int]  # items from the first to before the last
Result = TypeVar("Result")

FLAGS = ("empty", "repetition", "loop", "wrong_language", "wrong_script", "prompt_copy")


def item_row(prediction: Text, reference: Text, keywords: Sequence[str], settings: MetricSettings) -> list[float]:
    """[k] statistics of an answer against a reference, laid out as `installed.columns` says."""
    row: list[float] = []
    for metric in all_metrics():
        name = metric.name
        try:
            counted = metric.count(prediction.prepared[name], reference.prepared[name], keywords, settings)
        except Exception as error:
            raise blame(metric, f"metric {name!r}", error) from error
        if len(counted) != metric.width:
            raise MellaError(
                f"The metric {name!r} counted {len(counted)} statistics of an item, but its `width` is {metric.width}; "
                "make the two agree."
            )
        row += counted
    return row


@dataclass
class Chunk:
    """The statistics of the items of a span, in canonical order."""

    rows: np.ndarray  # [n, k] against the item's own reference
    floors: np.ndarray  # [n, k] against another image's reference
    flags: np.ndarray  # [n, 6] of the predictions, as FLAGS
    repetition: np.ndarray  # [n] 1 - distinct-4 of the predictions
    lengths: np.ndarray  # [n, 2] words in prediction and reference
    labels: list[str]  # [n] language of each prediction
    reference_labels: list[str]  # [n]
    reference_wrong: np.ndarray  # [n] whether the reference is surely in another language


class ItemCounts:
    """The statistics of all items, in the caller's order, in as few bytes as they fit in.

    Attributes:
        rows, floors: [n, k] statistics, as in `Chunk`.
        flags, repetition, lengths, reference_wrong: as in `Chunk`.
        labels, reference_labels: [n] languages.
    """

    def __init__(self, items: int, width: int):
        self.rows, self.floors = Compact(items, width), Compact(items, width)
        self.flags = np.zeros((items, len(FLAGS)), dtype=bool)
        self.repetition = np.zeros(items)
        self.lengths = np.zeros((items, 2), dtype=np.uint32)
        self.reference_wrong = np.zeros(items, dtype=bool)
        self.labels, self.reference_labels = LanguageLabels(items), LanguageLabels(items)

    def write(self, places: np.ndarray, chunk: Chunk) -> None:
        """Write the statistics of a chunk to the places of its items."""
        self.rows.write(places, chunk.rows)
        self.floors.write(places, chunk.floors)
        for name in ("flags", "repetition", "lengths", "reference_wrong"):
            getattr(self, name)[places] = getattr(chunk, name)
        self.labels.write(places, chunk.labels)
        self.reference_labels.write(places, chunk.reference_labels)

    def take(self, members: np.ndarray) -> "ItemCounts":
        """The items at these places, in this order."""
        taken = ItemCounts(0, 0)
        for name, values in vars(self).items():
            setattr(taken, name, values[members] if isinstance(values, np.ndarray) else values.take(members))
        return taken


class LanguageLabels:
    """[n] names of languages, of which there are few: two bytes each."""

    def __init__(self, items: int):
        self._codes, self._names = np.zeros(items, dtype=np.uint16), [""]

    def __getitem__(self, at: int) -> str:
        return self._names[self._codes[at]]

    def write(self, places: np.ndarray, names: Sequence[str]) -> None:
        """Write the names to the places."""
        self._names += [name for name in dict.fromkeys(names) if name not in self._names]
        self._codes[places] = [self._names.index(name) for name in names]

    def take(self, members: np.ndarray) -> "LanguageLabels":
        """The names at these places, in this order."""
        taken = LanguageLabels(0)
        taken._codes, taken._names = self._codes[members], self._names
        return taken


@dataclass
class Corpus:
    """The items to count.

    Attributes:
        order: [n] the items in canonical order, in which they are counted: spans are of this order.
        partners: [n] the item whose reference is the floor of the item at a place of this order, or -1.
        surveys: what each metric found in all references (`Metric.survey`).
        analyses: of references that were analysed for a survey, and are needed again.
    """

    predictions: Sequence[str]
    references: Sequence[str]
    keywords: Sequence[Sequence[str]]
    order: np.ndarray
    partners: np.ndarray
    settings: MetricSettings
    surveys: dict[str, Any] = field(default_factory=dict)
    analyses: dict[str, TokenAnalysis] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.order)

    def reference_words(self, span: Span) -> list[list[str]]:
        """The words of the references of a span."""
        return [analyze(self.references[at], self.settings.language).words for at in self.order[slice(*span)]]

    def count(self, span: Span) -> Chunk:
        """The statistics of the items of a span."""
        texts = _Texts(self)
        members = self.order[slice(*span)]
        predictions = [texts[self.predictions[at]] for at in members]
        references = [texts[self.references[at]] for at in members]
        width = sum(metric.width for metric in all_metrics())
        rows, floors = [], []
        for at, other, prediction, reference in zip(
            members, self.partners[slice(*span)], predictions, references, strict=True
        ):
            rows.append(item_row(prediction, reference, self.keywords[at], self.settings))
            if other < 0:
                floors.append([0.0] * width)
            else:
                floors.append(item_row(prediction, texts[self.references[other]], self.keywords[other], self.settings))
        lengths = [[len(p.words), len(r.words)] for p, r in zip(predictions, references, strict=True)]
        return Chunk(
            np.array(rows, dtype=np.float64).reshape(-1, width),
            np.array(floors, dtype=np.float64).reshape(-1, width),
            np.array([[getattr(p.flags, flag) for flag in FLAGS] for p in predictions], dtype=bool).reshape(
                -1, len(FLAGS)
            ),
            np.array([p.repetition for p in predictions], dtype=np.float64),
            np.array(lengths, dtype=np.int64).reshape(-1, 2),
            [p.label for p in predictions],
            [r.label for r in references],
            np.array([r.flags.wrong_language for r in references], dtype=bool),
        )


class _Texts(dict[str, Text]):
    """The texts of one chunk by what they say, made when they are first asked for.

    A vocabulary of its own for each chunk keeps numbers small, which METEOR's tables are as long as.
    """

    def __init__(self, corpus: Corpus):
        super().__init__()
        self.corpus, self.vocabulary = corpus, Vocabulary(corpus.settings.language.stemmer)
        encoded = [self.vocabulary.encode(prompt.tokens) for prompt in corpus.settings.analyzed_prompts]
        self.prompts = [self.vocabulary.words(tokens) for tokens in encoded]

    def __missing__(self, raw: str) -> Text:
        analysis = self.corpus.analyses.get(raw) or analyze(raw, self.corpus.settings.language)
        self[raw] = text = Text(raw, analysis, self.vocabulary, self.prompts)
        for metric in all_metrics():
            try:
                text.prepared[metric.name] = metric.prepare(text, self.corpus.surveys.get(metric.name))
            except Exception as error:
                raise blame(metric, f"metric {metric.name!r}", error) from error
        return text


_corpus: Corpus | None = None  # of a worker process, inherited when it was forked


def _adopt(corpus: Corpus) -> None:
    global _corpus
    end_with_parent()
    _corpus = corpus


def _run(work: Callable[[Corpus, Span], Result], span: Span) -> Result:
    assert _corpus is not None
    return work(_corpus, span)


def count_items(corpus: Corpus, workers: int | None = None, progress: bool = True) -> ItemCounts:
    """Compute the statistics of all items, on all cores if there is enough work.

    Workers are forked, so texts and registered languages are shared, not copied. If the platform cannot fork, or
    `workers` is 1, everything runs in this process.
    """
    n = len(corpus)
    spans = [(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]
    much = _is_much(corpus)
    if workers is None:
        workers = (os.cpu_count() or 1) if much else 1
    if workers < 1 or len(spans) == 1 or "fork" not in get_all_start_methods():
        workers = 1
    for metric in all_metrics():
        if type(metric).survey is not Metric.survey:
            corpus.surveys[metric.name] = metric.survey(_Words(corpus, spans, workers, keep=workers == 1 and not much))
    counts = ItemCounts(n, sum(metric.width for metric in all_metrics()))
    with progress_bar(total=n, desc="Scoring", unit="item", delay=2, shown=progress) as bar:
        for span, chunk in zip(spans, _each(Corpus.count, corpus, spans, workers), strict=True):
            counts.write(corpus.order[slice(*span)], chunk)
            bar.update(span[1] - span[0])
    return counts


def _is_much(corpus: Corpus) -> bool:
    """Whether the texts have enough characters for several processes to pay."""
    left = _PARALLEL_FROM
    for texts in (corpus.predictions, corpus.references):
        for text in texts:
            left -= len(text)
            if left <= 0:
                return True
    return False


class _Words(Collection[list[str]]):
    """The words of all references, analysed anew each time they are walked through, so that they are never held.

    With `keep`, their analyses serve again in the counting.
    """

    def __init__(self, corpus: Corpus, spans: Sequence[Span], workers: int, keep: bool):
        self._corpus, self._spans, self._workers, self._keep = corpus, spans, workers, keep

    def __len__(self) -> int:
        return len(self._corpus)

    def __contains__(self, words: object) -> bool:
        return any(words == text for text in self)

    def __iter__(self) -> Iterator[list[str]]:
        corpus = self._corpus
        if not self._keep:
            for texts in _each(Corpus.reference_words, corpus, self._spans, self._workers):
                yield from texts
            return
        for at in corpus.order:
            raw = corpus.references[at]
            if raw not in corpus.analyses:
                corpus.analyses[raw] = analyze(raw, corpus.settings.language)
            yield corpus.analyses[raw].words


def _each(
    work: Callable[[Corpus, Span], Result], corpus: Corpus, spans: Sequence[Span], workers: int
) -> Iterator[Result]:
    """What `work` gives for each span, in order."""
    if workers == 1:
        yield from (work(corpus, span) for span in spans)
        return
    with ProcessPoolExecutor(workers, get_context("fork"), initializer=_adopt, initargs=(corpus,)) as pool:
        yield from pool.map(partial(_run, work), spans)
