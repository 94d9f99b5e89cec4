"""The metric as a Hugging Face `evaluate` module: `evaluate.load("mella_hf/metrics/mella.py")`.

`evaluate` copies this file into its cache and reads its import lines, so each import stands on a line
of its own and everything else lives in `mella_hf.metrics`.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from mella_hf.errors import MellaError
from mella_hf.metrics import MellaMetric
from mella_hf.metrics.checks import as_list, check_texts, keyword_lists

Texts = Sequence[str] | None
Lists = Sequence[Sequence[str] | None] | None

_CITATION = """\
@article{mella2025,
  title = {MELLA: Bridging Linguistic Capability and Cultural Groundedness for Low-Resource Language MLLMs},
  journal = {arXiv preprint arXiv:2508.05502},
  year = {2025}
}
"""

_DESCRIPTION = """\
Caption metrics for Arabic, Czech, Hungarian, Korean, Russian, Serbian, Thai and Vietnamese: BLEU, chrF++,
ROUGE-L and METEOR on language-aware tokens, keyword accuracy, and rates of degenerate answers. Every score
comes with a 95% bootstrap interval, a floor (the same answers against another image's reference) and a signature.
"""

_INPUTS = """
Args:
    predictions (list of str): one answer an image; an empty one counts and scores 0.
    references (list of str): one reference an image.
    keywords (list of list of str, optional): what each answer should name.
    language (str): language code, one of ar, cs, hu, ko, ru, sr, th, vi or a registered one; by default the one that
        was given to load: evaluate.load("mella_hf/metrics/mella.py", "cs").
    keyword_mode (str): "exact", "stem" (default) or "fuzzy".
    meteor (str): "exact+stem" (default) or "nltk".
    keyword_plain (bool): keywords match without the diacritics of Latin letters, too.
    answer_cleaning (bool): score answers without <think> blocks, "Answer:" and Markdown.
    resamples (int): of the bootstrap, 1,000 by default; with 0 only scores that count hits have intervals.
    return_items (bool): also return one dict of scores an item.
    check_references (bool): refuse references that are in another language (default).
Returns:
    dict: scores in [0, 100] with `_low`, `_high` and `_floor`, rates in [0, 1], `n` and `signature`.
With `evaluate.combine`, give the language to load, since `compute` hands its settings to all metrics. Its `add` and
`add_batch` hand on only what they are given, so give `keywords` there, empty lists where there are none.
Examples:
    >>> metric = evaluate.load("mella_hf/metrics/mella.py")
    >>> result = metric.compute(
    ...     predictions=["Turisté stojí na Karlově mostě."],
    ...     references=["Turisté stojí na Karlově mostě."],
    ...     keywords=[["Karlův most"]],
    ...     language="cs",
    ... )
    >>> result["keyword_micro"]
    100.0
"""


class _Keywords(str):
    """The name of the input, which says how to give it where `evaluate.combine` misses it (KeyError shows the repr)."""

    def __repr__(self) -> str:
        return (
            "'keywords': evaluate.combine hands on only what it is given; give keywords, an empty list for each item "
            "that has none"
        )


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _INPUTS)
class Mella(evaluate.Metric):
    """`MellaMetric` behind the interface of `evaluate.Metric`: compute, add, add_batch."""

    def _info(self) -> evaluate.MetricInfo:
        texts = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {"predictions": texts, "references": texts, "keywords": datasets.Sequence(datasets.Value("string"))}
            ),
        )

    def compute(
        self, *, predictions: Texts = None, references: Texts = None, keywords: Lists = None, **settings: Any
    ) -> dict[str, Any] | None:
        """Score what was added, or the lists given here; see the module's description."""
        if predictions is not None:
            predictions, references = as_list(predictions, "predictions"), as_list(references, "references")
            keywords = self._keywords(keywords, predictions)
            check_texts(predictions, references, keywords)
        return super().compute(predictions=predictions, references=references, keywords=keywords, **settings)

    def add_batch(
        self, *, predictions: Texts = None, references: Texts = None, keywords: Lists = None, **inputs: Any
    ) -> None:
        """Add items; keywords may be left out."""
        predictions = [] if predictions is None else as_list(predictions, "predictions")
        references = [] if references is None else as_list(references, "references")
        keywords = self._keywords(keywords, predictions)
        check_texts(predictions, references, keywords)
        return super().add_batch(predictions=predictions, references=references, keywords=keywords, **inputs)

    def add(
        self,
        *,
        prediction: str | None = None,
        reference: str | None = None,
        keywords: Sequence[str] | None = None,
        **inputs: Any,
    ) -> None:
        """Add one item; keywords may be left out."""
        (words,) = self._keywords([keywords], [""])
        # evaluate.combine calls one prediction "predictions".
        check_texts([inputs.get("predictions", prediction)], [inputs.get("references", reference)], [words])
        return super().add(prediction=prediction, reference=reference, keywords=words, **inputs)

    def _feature_names(self) -> list[str]:
        return ["predictions", "references", _Keywords("keywords")]

    def _keywords(self, keywords: Lists, predictions: Sequence[str]) -> Sequence[Sequence[str]]:
        lists = keyword_lists(keywords)
        return [[] for _ in predictions] if lists is None else lists

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        keywords: Sequence[Sequence[str]],
        language: str | None = None,
        return_items: bool = False,
        check_references: bool = True,
        **settings: Any,
    ) -> dict[str, Any]:
        language = language or self.config_name
        if language in (None, "default"):
            raise MellaError('No language is given; say compute(..., language="cs") or evaluate.load(..., "cs").')
        metric = MellaMetric(language, **settings)
        return metric.compute(
            predictions=predictions,
            references=references,
            keywords=keywords,
            return_items=return_items,
            check_references=check_references,
        )
