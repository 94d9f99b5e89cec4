"""Analyse a system's answers beyond the headline score: groups, failures, made-up names, rare names."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mella_hf.answers.records import Prediction
from mella_hf.evaluation.questions.hallucination import predicted_entities
from mella_hf.evaluation.questions.long_tail import EntityCounts, accuracy_by_frequency
from mella_hf.evaluation.questions.records import Failures, FrequencyRecord
from mella_hf.evaluation.records import GroupRecord

if TYPE_CHECKING:
    from mella_hf.metrics import ItemStatistics, MellaMetric

FEWEST_IMAGES = 3  # in a smaller group one answer changes the score by more than a third
REST = "fewer images"
NONE = "none"
EXAMPLES = 5  # images or names shown for each failure
REPEATING = ("repetition", "loop")


@dataclass(frozen=True)
class TrainingFacts:
    """The names in the training split of a source.

    Attributes:
        entities: what its images show; None if the dataset does not say.
        counts: number of samples with each keyword; None if there are no keywords.
    """

    entities: frozenset[str] | None
    counts: EntityCounts | None

    @classmethod
    def of(
        cls, entities: Iterable[str | None], keywords: Iterable[Sequence[str] | None], language: str
    ) -> "TrainingFacts":
        """From the columns of the split."""
        named = [list(words or ()) for words in keywords]
        counts = EntityCounts.count(named, language) if any(named) else None
        return cls(frozenset(entity for entity in entities if entity is not None) or None, counts)


@dataclass(frozen=True)
class Analysis:
    """The findings about one system on one split.

    Attributes:
        groups: one score record per category and domain: `by`, `group`, and the result of `MellaMetric.score`.
        failures: what is wrong with the answers.
    """

    groups: list[GroupRecord]
    failures: Failures


def analyse(
    predictions: Sequence[Prediction],
    counted: "ItemStatistics",
    metric: "MellaMetric",
    training: TrainingFacts | None = None,
) -> Analysis:
    """Analyse the answers of one system to one split.

    Args:
        predictions: the result of `mella_hf.answers.answers.read_predictions`.
        counted: their item statistics.
        training: of the split's source; without it there is no long tail.

    Raises:
        MissingExtraError: when the gazetteer is not installed.
    """
    items = counted.table()
    groups = [
        {"by": by, "group": name, **metric.score(counted.subset(members))}
        for by in ("category", "domain")
        for name, members in _groups(predictions, by).items()
    ]
    named = predicted_entities(predictions, metric.language.code)
    made_up = Counter(name for names in named.unsupported for name in names)
    failures: Failures = {
        "wrong_languages": dict(Counter(i["language"] for i in items if i["wrong_language"]).most_common()),
        "repeating": _ids(predictions, [any(item[flag] for flag in REPEATING) for item in items]),
        "empty": _ids(predictions, [item["empty"] for item in items]),
        "hallucination": {
            **named.summary(),
            "names": [name for name, _ in made_up.most_common(EXAMPLES)],
            "by_image": {
                p["id"]: {"named": said, "unsupported": wrong}
                for p, said, wrong in zip(predictions, named.entities, named.unsupported, strict=True)
                if said
            },
        },
        "long_tail": _long_tail(predictions, training.counts) if training and training.counts else None,
    }
    return Analysis(groups, failures)


def _long_tail(predictions: Sequence[Prediction], counts: EntityCounts) -> list[FrequencyRecord]:
    answers, keywords = [p["prediction"] for p in predictions], [p["keywords"] for p in predictions]
    bins = accuracy_by_frequency(answers, keywords, counts)
    return [
        {
            "bin": one.bin,
            "keywords": one.keywords,
            "hits": one.hits,
            "accuracy": one.accuracy,
            "low": one.low,
            "high": one.high,
            "counts": one.counts,
        }
        for one in bins
    ]


def _groups(predictions: Sequence[Prediction], by: str) -> dict[str, list[int]]:
    """Indices of the answers by first category or domain, largest group first; small groups are joined at the end."""
    found: dict[str, list[int]] = defaultdict(list)
    for at, prediction in enumerate(predictions):
        found[_group(prediction, by)].append(at)
    if set(found) == {NONE}:
        return {}
    small = [name for name, members in found.items() if len(members) < FEWEST_IMAGES]
    rest = sorted(at for name in small for at in found.pop(name))
    ordered = sorted(found.items(), key=lambda group: (-len(group[1]), group[0]))
    return dict([*ordered, *([(REST, rest)] if rest else [])])


def _group(prediction: Prediction, by: str) -> str:
    if by == "category":
        categories = prediction["category"]
        return categories[0] if categories else NONE
    return prediction["domain"] or NONE


def _ids(predictions: Sequence[Prediction], flags: Sequence[bool]) -> list[str]:
    return [p["id"] for p, flag in zip(predictions, flags, strict=True) if flag][:EXAMPLES]
