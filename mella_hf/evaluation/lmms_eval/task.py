"""The functions that the task files of lmms-eval name: prompt, image and reference of a row, and the scores.

Nothing here imports lmms-eval.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from mella_hf.images.opening import on_white
from mella_hf.languages import get_language
from mella_hf.metrics import MellaMetric

if TYPE_CHECKING:
    from PIL.Image import Image

# A folder that `mella build` wrote. Without it, the dataset comes from the Hub (MELLA_REPO names another repository).
DATA_DIR = os.environ.get("MELLA_DATA_DIR") or None

SCORES = ("keyword_micro", "meteor", "bleu", "rouge_l", "chrf", "wrong_language_rate", "repetition_rate")


class TaskAnswer(NamedTuple):
    """Everything needed to score an answer; hashable, and can be sent between processes."""

    language: str
    prediction: str
    reference: str
    keywords: tuple[str, ...]


def doc_to_visual(doc: Mapping[str, Any]) -> "list[Image]":
    """The image of a row, in RGB on white."""
    return [on_white(doc["image"])]


def doc_to_text(doc: Mapping[str, Any]) -> str:
    """The test prompt of the row's language and source, the same as in `mella evaluate`."""
    return get_language(doc["language"]).test_prompt(doc["source"])


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, TaskAnswer]:
    """The answer under the name of every score. Corpus scores need all answers, so scoring comes later."""
    answer = TaskAnswer(doc["language"], results[0], doc["text"], tuple(doc["keywords"] or ()))
    return dict.fromkeys(SCORES, answer)


@lru_cache(maxsize=1)
def score(answers: tuple[TaskAnswer, ...]) -> dict[str, Any]:
    """`MellaMetric.compute` of the answers to a task; scores in [0, 100], rates in [0, 1].

    The language of the references is not checked: with `--limit` only a few remain, which can look like a related
    language, and an error here would lose the answers.
    """
    # No worker processes: this one may hold a model, CUDA and threads, which do not survive a fork.
    metric = MellaMetric(answers[0].language, workers=1)
    keywords = [answer.keywords for answer in answers]
    return metric.compute(
        predictions=[answer.prediction for answer in answers],
        references=[answer.reference for answer in answers],
        keywords=keywords if any(keywords) else None,
        check_references=False,
    )


def _corpus_score(name: str) -> Callable[[Sequence[TaskAnswer]], Any]:
    """An aggregation for lmms-eval: from the values of `process_results` to a score."""

    def aggregate(answers: Sequence[TaskAnswer]) -> Any:
        return score(tuple(answers))[name]

    aggregate.__name__ = name
    return aggregate


keyword_micro = _corpus_score("keyword_micro")
meteor = _corpus_score("meteor")
bleu = _corpus_score("bleu")
rouge_l = _corpus_score("rouge_l")
chrf = _corpus_score("chrf")
wrong_language_rate = _corpus_score("wrong_language_rate")
repetition_rate = _corpus_score("repetition_rate")
