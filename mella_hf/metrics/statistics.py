"""Compute one row of statistics per item; scores, intervals and tests all use these rows.

Each text is normalised, tokenised and stemmed once. Every item is also scored against another image's reference (the
floor): what an answer scores there comes from its template, not from the picture.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_all_start_methods, get_context
from typing import Any, TypeVar

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.metrics.base import Metric
from mella_hf.metrics.installed import all_metrics
from mella_hf.metrics.texts import MetricSettings, Text
from mella_hf.metrics.vocabulary import Vocabulary
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
        counted = metric.count(prediction.prepared[name], reference.prepared[name], keywords, settings)
        if len(counted) != metric.width:
            raise MellaError(
                f"The metric {name!r} counted {len(counted)} statistics of an item; its width says {metric.width}."
            )
        row += counted
    return row


@dataclass
class Chunk:
    """The statistics of some items, in the order they were asked for."""

    rows: np.ndarray  # [n, k] against the item's own reference
    floors: np.ndarray  # [n, k] against another image's reference
    flags: np.ndarray  # [n, 6] of the predictions, as FLAGS
    repetition: np.ndarray  # [n] 1 - distinct-4 of the predictions
    lengths: np.ndarray  # [n, 2] words in prediction and reference
    labels: list[str]  # [n] language of each prediction
    reference_labels: list[str]  # [n]
    reference_wrong: np.ndarray  # [n] whether the reference is surely in another language

    def reordered(self, order: np.ndarray) -> "Chunk":
        """The same items in another order: item order[i] comes to place i."""
        return Chunk(
            self.rows[order],
            self.floors[order],
            self.flags[order],
            self.repetition[order],
            self.lengths[order],
            [self.labels[i] for i in order],
            [self.reference_labels[i] for i in order],
            self.reference_wrong[order],
        )


@dataclass
class Corpus:
    """The items to count, in canonical order. `partners[i]` is the item whose reference is i's floor, or -1.

    Attributes:
        surveys: what each metric found in all references (`Metric.survey`).
        analyses: of references that were analysed for a survey, and are needed again.
    """

    predictions: Sequence[str]
    references: Sequence[str]
    keywords: Sequence[Sequence[str]]
    partners: Sequence[int]
    settings: MetricSettings
    surveys: dict[str, Any] = field(default_factory=dict)
    analyses: dict[str, TokenAnalysis] = field(default_factory=dict)

    def reference_words(self, span: Span) -> list[list[str]]:
        """The words of the references of a span."""
        return [analyze(raw, self.settings.language).words for raw in self.references[slice(*span)]]

    def count(self, span: Span) -> Chunk:
        """The statistics of the items of a span."""
        texts = _Texts(self)
        predictions = [texts[raw] for raw in self.predictions[slice(*span)]]
        references = [texts[raw] for raw in self.references[slice(*span)]]
        width = sum(metric.width for metric in all_metrics())
        rows, floors = [], []
        for at, prediction, reference in zip(range(*span), predictions, references, strict=True):
            rows.append(item_row(prediction, reference, self.keywords[at], self.settings))
            other = self.partners[at]
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
            text.prepared[metric.name] = metric.prepare(text, self.corpus.surveys.get(metric.name))
        return text


_corpus: Corpus | None = None  # of a worker process, inherited when it was forked


def _adopt(corpus: Corpus) -> None:
    global _corpus
    end_with_parent()
    _corpus = corpus


def _run(work: Callable[[Corpus, Span], Result], span: Span) -> Result:
    assert _corpus is not None
    return work(_corpus, span)


def count_items(corpus: Corpus, workers: int | None = None, progress: bool = True) -> Chunk:
    """Compute the statistics of all items, on all cores if there is enough work.

    Workers are forked, so texts and registered languages are shared, not copied. If the platform cannot fork, or
    `workers` is 1, everything runs in this process.
    """
    n = len(corpus.predictions)
    spans = [(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]
    size = sum(map(len, corpus.predictions)) + sum(map(len, corpus.references))
    if workers is None:
        workers = (os.cpu_count() or 1) if size >= _PARALLEL_FROM else 1
    if workers < 1 or len(spans) == 1 or "fork" not in get_all_start_methods():
        workers = 1
    _survey(corpus, spans, workers, keep=workers == 1 and size < _PARALLEL_FROM)
    chunks = []
    with progress_bar(total=n, desc="Scoring", unit="item", delay=2, shown=progress) as bar:
        for span, chunk in zip(spans, _each(Corpus.count, corpus, spans, workers), strict=True):
            chunks.append(chunk)
            bar.update(span[1] - span[0])
    return _joined(chunks)


def _survey(corpus: Corpus, spans: Sequence[Span], workers: int, keep: bool) -> None:
    """Let the metrics that want it look at all references; with `keep`, their analyses serve again in the counting."""
    curious = [metric for metric in all_metrics() if type(metric).survey is not Metric.survey]
    if not curious:
        return
    if keep:
        corpus.analyses = {raw: analyze(raw, corpus.settings.language) for raw in dict.fromkeys(corpus.references)}
        words = [corpus.analyses[raw].words for raw in corpus.references]
    else:
        counted = _each(Corpus.reference_words, corpus, spans, workers)
        words = [[sys.intern(word) for word in text] for texts in counted for text in texts]
    corpus.surveys = {metric.name: metric.survey(words) for metric in curious}


def _each(
    work: Callable[[Corpus, Span], Result], corpus: Corpus, spans: Sequence[Span], workers: int
) -> Iterator[Result]:
    """What `work` gives for each span, in order."""
    if workers == 1:
        yield from (work(corpus, span) for span in spans)
        return
    with ProcessPoolExecutor(workers, get_context("fork"), initializer=_adopt, initargs=(corpus,)) as pool:
        yield from pool.map(partial(_run, work), spans)


def _joined(chunks: Sequence[Chunk]) -> Chunk:
    return Chunk(
        rows=np.concatenate([c.rows for c in chunks]),
        floors=np.concatenate([c.floors for c in chunks]),
        flags=np.concatenate([c.flags for c in chunks]),
        repetition=np.concatenate([c.repetition for c in chunks]),
        lengths=np.concatenate([c.lengths for c in chunks]),
        labels=[label for c in chunks for label in c.labels],
        reference_labels=[label for c in chunks for label in c.reference_labels],
        reference_wrong=np.concatenate([c.reference_wrong for c in chunks]),
    )
