"""Find made-up names: which named entities of an answer are supported by the reference or its context.

An entity is supported if the reference or the page's context (alt-text, title, caption ...) names it. Texts are matched
in the same way as keywords, so a case ending or an article does not make a hallucination. Any other entity is
unsupported: the model made it up, or it knows something that the texts do not say. Entities are found by
`extract_keywords`, which is wrong for one name in ten (`benchmarks/keywords.py`), equally for every system. So use the
rate to compare systems, not as an absolute number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mella_hf.answers.records import Prediction
from mella_hf.errors import MellaError
from mella_hf.evaluation.questions.records import EntitySummary
from mella_hf.languages import get_language
from mella_hf.metrics import significance
from mella_hf.metrics.entities import named_and_unsupported
from mella_hf.metrics.names.frequencies import DocumentFrequencies
from mella_hf.metrics.rates import RateDifference, clustered_rate_interval, rate_difference
from mella_hf.progress import progress_bar


@dataclass(frozen=True)
class EntityPrecision:
    """How many of a system's named entities are supported.

    Attributes:
        entities: [n] named entities in each answer, in order, each once.
        unsupported: [n] entities that neither reference nor context names.
    """

    entities: list[list[str]]
    unsupported: list[list[str]]

    @property
    def counts(self) -> np.ndarray:
        """Number of supported entities and of all entities in each answer: [n, 2]."""
        pairs = zip(self.entities, self.unsupported, strict=True)
        return np.array([[len(e) - len(u), len(e)] for e, u in pairs], dtype=np.float64).reshape(-1, 2)

    def summary(self) -> EntitySummary:
        """Entity precision (micro) with its 95% interval over images, and counts."""
        counts = self.counts
        supported, total = counts.sum(axis=0)
        precision = low = high = None
        if total:
            precision = 100.0 * supported / total
            low, high = (100.0 * end for end in clustered_rate_interval(*counts.T))
        hallucinating = sum(map(bool, self.unsupported))
        return {
            "entity_precision": precision,
            "entity_precision_low": low,
            "entity_precision_high": high,
            "entities": int(total),
            "unsupported": int(total - supported),
            "hallucinating_rate": hallucinating / len(counts),
            "n": len(counts),
        }


def entity_precision(
    answers: Sequence[str],
    references: Sequence[str],
    language: str,
    contexts: Sequence[Sequence[str]] | None = None,
    frequencies: DocumentFrequencies | None = None,
) -> EntityPrecision:
    """Find the named entities of each answer and look them up in its reference and context.

    Args:
        answers, references: one text per image.
        contexts: other texts of each image's page; none by default.
        frequencies: word frequencies in the references' corpus; they improve the detection of names.

    Raises:
        MellaError: if the lists differ in length or are empty.
        UnknownLanguageError: for an unknown code.
        MissingExtraError: if the language's tokenizer or the gazetteer is not installed.
    """
    given = contexts if contexts is not None else [()] * len(answers)
    if not len(answers) == len(references) == len(given):
        raise MellaError(
            f"There are {len(answers)} answers, {len(references)} references and {len(given)} contexts; "
            "give one of each for every image."
        )
    if not len(answers):
        raise MellaError("The list of answers is empty; give at least one answer.")
    get_language(language)
    entities, unsupported = [], []
    texts_of = zip(answers, references, given, strict=True)
    for answer, reference, context in progress_bar(texts_of, total=len(answers), desc="names", unit="answer", delay=2):
        named, made_up = named_and_unsupported(answer, (reference, *context), language, frequencies)
        entities.append(named)
        unsupported.append(made_up)
    return EntityPrecision(entities, unsupported)


def predicted_entities(predictions: Sequence[Prediction], language: str) -> EntityPrecision:
    """`entity_precision` of predictions of a run.

    The context is the sample's keywords and entity; the text of the web page is not stored with the sample.
    """
    return entity_precision(
        [p["prediction"] for p in predictions],
        [p["reference"] for p in predictions],
        language,
        [[*(p["keywords"] or ()), *([p["entity"]] if p["entity"] else [])] for p in predictions],
    )


def compare_precision(
    first: EntityPrecision,
    second: EntityPrecision,
    *,
    resamples: int = significance.RESAMPLES,
    seed: int = significance.SEED,
) -> RateDifference:
    """Compare two systems on the same images: does the second one make up more names?

    Returns:
        The result of `mella_hf.metrics.rates.rate_difference` in points of entity precision; None if a system names
        nothing.

    Raises:
        MellaError: if the systems have different numbers of answers.
    """
    ours, theirs = first.counts, second.counts
    if len(ours) != len(theirs):
        raise MellaError(f"The systems have {len(ours)} and {len(theirs)} answers; give answers about the same images.")
    return rate_difference(ours, theirs, resamples, seed)
