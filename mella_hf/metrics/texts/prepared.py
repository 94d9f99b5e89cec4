"""Prepare each text once for all metrics: tokens, stems, their numbers and n-grams."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mella_hf.languages import Language
from mella_hf.metrics import degenerate
from mella_hf.metrics.matching import Mode
from mella_hf.metrics.texts.ngrams import NGrams, characters, repetition
from mella_hf.metrics.texts.vocabulary import Vocabulary
from mella_hf.text.tokens import TokenAnalysis, analyze

TOKEN_ORDER, CHARACTER_ORDER = 4, 6  # the longest n-grams that a metric asks for: BLEU's and chrF's


@dataclass(frozen=True)
class MetricSettings:
    """What the statistics depend on besides the texts."""

    language: Language
    keyword_mode: Mode = "stem"
    keyword_plain: bool = False
    meteor: str = "exact+stem"
    prompts: tuple[str, ...] = ()

    @cached_property
    def analyzed_prompts(self) -> list[TokenAnalysis]:
        """The user turns, analysed."""
        return [analyze(prompt, self.language) for prompt in self.prompts]


class Text:
    """What is counted once about a text.

    Attributes:
        raw: the text as it came.
        analysis: its normalised text, and its tokens, words and stems as strings.
        token_ngrams, character_ngrams: up to `TOKEN_ORDER` and `CHARACTER_ORDER`.
        words, stems: [n] numbers, equal ones for equal words and stems; comparable within one chunk of a corpus only.
        flags, label: what is wrong with it, and the language that it is in.
        prepared: what `Metric.prepare` made of it, by metric.
    """

    def __init__(self, raw: str, analysis: TokenAnalysis, vocabulary: Vocabulary, prompts: Sequence[np.ndarray]):
        self.raw, self.analysis = raw, analysis
        tokens = vocabulary.encode(analysis.tokens)
        self.token_ngrams = NGrams(tokens, TOKEN_ORDER)
        self.character_ngrams = NGrams(characters(analysis.normalized), CHARACTER_ORDER)
        self.words = vocabulary.words(tokens)
        self.stems = vocabulary.stems(self.words)
        self.word_numbers: list[int] = self.words.tolist()
        self.repetition = repetition(self.token_ngrams, degenerate.REPETITION_ORDER)
        self.flags, self.label = degenerate.inspect(raw, analysis.language, self.words, self.repetition, prompts)
        self.prepared: dict[str, Any] = {}
