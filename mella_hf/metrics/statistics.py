"""Compute one row of statistics per item; scores, intervals and tests all use these rows.

Each text is normalised, tokenised and stemmed once. Every item is also scored against another image's reference (the
floor): what an answer scores there comes from its template, not from the picture.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import get_all_start_methods, get_context
from typing import Any

import numpy as np

from mella_hf.languages import Language
from mella_hf.metrics import degenerate, overlap
from mella_hf.metrics.matching import Mode, keyword_hits
from mella_hf.metrics.meteor import meteor
from mella_hf.metrics.ngrams import NGrams, characters, repetition
from mella_hf.metrics.vocabulary import Vocabulary
from mella_hf.progress import progress_bar
from mella_hf.text.tokens import TokenAnalysis, analyze

_CHUNK = 64  # items: enough to share a floor's references, little enough to keep memory flat
_PARALLEL_FROM = 1_000_000  # characters: below it, starting processes costs more than it saves

OVERLAP = {  # columns of the statistics that depend on a reference
    "bleu": slice(0, 10),
    "chrf": slice(10, 34),
    "rouge_l": slice(34, 35),
    "meteor": slice(35, 36),
    "keywords": slice(36, 40),  # hits, keywords, hits / keywords, 1 if there are keywords
}
WIDTH = 40
FLAGS = ("empty", "repetition", "loop", "wrong_language", "wrong_script", "prompt_copy")

Meteor = Callable[["TextStatistics", "TextStatistics"], float]


def own_meteor(prediction: "TextStatistics", reference: "TextStatistics") -> float:
    """METEOR 1.5, exact + stem."""
    return meteor(prediction.words, reference.words, prediction.stems, reference.stems)


def nltk_meteor(prediction: "TextStatistics", reference: "TextStatistics") -> float:
    """nltk's METEOR on the same words and stems, without WordNet: for comparison with published numbers."""
    from nltk.translate.meteor_score import single_meteor_score

    ours, theirs = prediction.analysis, reference.analysis
    if not ours.words or not theirs.words:
        return 0.0
    stems = dict(zip(ours.words + theirs.words, ours.stems + theirs.stems, strict=True))
    return float(
        single_meteor_score(
            theirs.words,
            ours.words,
            preprocess=str,
            stemmer=StemTable(stems),
            wordnet=NoWordNet(),
        )
    )


class StemTable:
    """nltk's stemmer interface over stems that are known already."""

    def __init__(self, stems: dict[str, str]):
        self.stem = stems.__getitem__


class NoWordNet:
    """nltk's WordNet interface with no synonyms."""

    def synsets(self, word: str) -> list[Any]:
        """No synonyms, for any word."""
        return []


METEORS: dict[str, Meteor] = {"exact+stem": own_meteor, "nltk": nltk_meteor}


@dataclass(frozen=True)
class MetricSettings:
    """What the statistics depend on besides the texts."""

    language: Language
    keyword_mode: Mode = "stem"
    meteor: str = "exact+stem"
    prompts: tuple[str, ...] = ()

    @cached_property
    def analyzed_prompts(self) -> list[TokenAnalysis]:
        """The user turns, analysed."""
        return [analyze(prompt, self.language) for prompt in self.prompts]


class TextStatistics:
    """What is counted once about a text: its n-grams, words, stems and flags."""

    def __init__(self, raw: str, settings: MetricSettings, vocabulary: Vocabulary, prompts: Sequence[np.ndarray]):
        self.analysis = analyze(raw, settings.language)
        tokens = vocabulary.encode(self.analysis.tokens)
        self.token_ngrams = NGrams(tokens, overlap.BLEU_ORDER)
        self.character_ngrams = NGrams(characters(self.analysis.normalized), overlap.CHAR_ORDER)
        self.words = vocabulary.words(tokens)
        self.stems = vocabulary.stems(self.words)
        self.word_numbers = self.words.tolist()
        self.repetition = repetition(self.token_ngrams, degenerate.REPETITION_ORDER)
        self.flags, self.label = degenerate.inspect(raw, settings.language, self.words, self.repetition, prompts)


def item_row(
    prediction: TextStatistics, reference: TextStatistics, keywords: Sequence[str], settings: MetricSettings
) -> list[float]:
    """[40] statistics of an answer against a reference, laid out as `OVERLAP` says."""
    hits, total = keyword_hits(prediction.analysis, keywords, settings.language, settings.keyword_mode)
    return [
        *overlap.bleu_statistics(prediction.token_ngrams, reference.token_ngrams),
        *overlap.chrf_statistics(
            prediction.character_ngrams, reference.character_ngrams, prediction.token_ngrams, reference.token_ngrams
        ),
        overlap.rouge_l(prediction.word_numbers, reference.word_numbers),
        METEORS[settings.meteor](prediction, reference),
        hits,
        total,
        hits / total if total else 0.0,
        float(total > 0),
    ]


@dataclass
class Chunk:
    """The statistics of some items, in the order they were asked for."""

    rows: np.ndarray  # [n, 40] against the item's own reference
    floors: np.ndarray  # [n, 40] against another image's reference
    flags: np.ndarray  # [n, 6] of the predictions, as FLAGS
    repetition: np.ndarray  # [n] 1 - distinct-4 of the predictions
    lengths: np.ndarray  # [n, 2] words in prediction and reference
    labels: list[str]  # [n] language of each prediction
    reference_labels: list[str]  # [n]
    reference_wrong: np.ndarray  # [n] whether the reference is surely in another language

    def reordered(self, order: np.ndarray) -> "Chunk":
        """The same items, the one at order[i] at place i."""
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
    """The items to count, in canonical order. `partners[i]` is the item whose reference is i's floor, or -1."""

    predictions: Sequence[str]
    references: Sequence[str]
    keywords: Sequence[Sequence[str]]
    partners: Sequence[int]
    settings: MetricSettings
    known: dict[str, TextStatistics] = field(default_factory=dict)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    prompts: list[np.ndarray] = field(default_factory=list)

    def _text(self, raw: str) -> TextStatistics:
        if raw not in self.known:
            self.known[raw] = TextStatistics(raw, self.settings, self.vocabulary, self.prompts)
        return self.known[raw]

    def count(self, start: int, stop: int) -> Chunk:
        """The statistics of items start to stop - 1."""
        self.known.clear()
        # A vocabulary of its own for each chunk keeps numbers small, which METEOR's tables are as long as.
        self.vocabulary = Vocabulary(self.settings.language.stemmer)
        encoded = (self.vocabulary.encode(prompt.tokens) for prompt in self.settings.analyzed_prompts)
        self.prompts = [self.vocabulary.words(tokens) for tokens in encoded]
        rows, floors, predictions, references = [], [], [], []
        for i in range(start, stop):
            prediction, reference = self._text(self.predictions[i]), self._text(self.references[i])
            predictions.append(prediction)
            references.append(reference)
            rows.append(item_row(prediction, reference, self.keywords[i], self.settings))
            other = self.partners[i]
            if other >= 0:
                floor = item_row(prediction, self._text(self.references[other]), self.keywords[other], self.settings)
            floors.append(floor if other >= 0 else [0.0] * WIDTH)
        return Chunk(
            np.array(rows, dtype=np.float64).reshape(-1, WIDTH),
            np.array(floors, dtype=np.float64).reshape(-1, WIDTH),
            np.array([[getattr(p.flags, flag) for flag in FLAGS] for p in predictions], dtype=bool).reshape(
                -1, len(FLAGS)
            ),
            np.array([p.repetition for p in predictions], dtype=np.float64),
            np.array(
                [[len(p.words), len(r.words)] for p, r in zip(predictions, references, strict=True)], dtype=np.int64
            ).reshape(-1, 2),
            [p.label for p in predictions],
            [r.label for r in references],
            np.array([r.flags.wrong_language for r in references], dtype=bool),
        )


_corpus: Corpus | None = None  # of a worker process, inherited when it was forked


def _adopt(corpus: Corpus) -> None:
    global _corpus
    _corpus = corpus


def _count(span: tuple[int, int]) -> Chunk:
    assert _corpus is not None
    return _corpus.count(*span)


def count_items(corpus: Corpus, workers: int | None = None, progress: bool = True) -> Chunk:
    """The statistics of all items, on all cores when there is enough to do.

    Workers are forked, so that texts and registered languages are shared, not copied; where the
    platform cannot fork, or `workers` is 1, everything runs here.
    """
    n = len(corpus.predictions)
    spans = [(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]
    if workers is None:
        size = sum(map(len, corpus.predictions)) + sum(map(len, corpus.references))
        workers = (os.cpu_count() or 1) if size >= _PARALLEL_FROM else 1
    bar = progress_bar(total=n, desc="Scoring", unit="item", delay=2, shown=progress)
    chunks = []
    with bar:
        if workers <= 1 or len(spans) == 1 or "fork" not in get_all_start_methods():
            for span in spans:
                chunks.append(corpus.count(*span))
                bar.update(span[1] - span[0])
        else:
            pool = ProcessPoolExecutor(workers, get_context("fork"), initializer=_adopt, initargs=(corpus,))
            with pool:
                for span, chunk in zip(spans, pool.map(_count, spans), strict=True):
                    chunks.append(chunk)
                    bar.update(span[1] - span[0])
    return _joined(chunks)


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
