"""What the analysis of a system's answers to one split finds, as scores.json holds it."""

from typing import TypedDict


class EntitySummary(TypedDict):
    """How many of the names that a system says are made up.

    Attributes:
        entity_precision: share of the names that are supported, in [0, 100], with its 95% interval over images; None
            where no name is said.
        entities, unsupported: names said, and those of them that are made up.
        hallucinating_rate: share of the answers with an unsupported name, in [0, 1].
        n: answers.
    """

    entity_precision: float | None
    entity_precision_low: float | None
    entity_precision_high: float | None
    entities: int
    unsupported: int
    hallucinating_rate: float
    n: int


class NamesOfAnswer(TypedDict):
    """The names that one answer says, and those of them that are unsupported."""

    named: list[str]
    unsupported: list[str]


class MadeUpNames(EntitySummary):
    """The same with the made-up `names` said most often and, by image, the names of each answer that says any."""

    names: list[str]
    by_image: dict[str, NamesOfAnswer]


class FrequencyScore(TypedDict):
    """Keyword accuracy on entities of one frequency, with the fields that `long_tail.BinAccuracy` explains."""

    bin: str
    keywords: int
    hits: int
    accuracy: float | None
    low: float | None
    high: float | None


class FrequencyRecord(FrequencyScore):
    """The same with its `counts` by answer: all fields of `long_tail.BinAccuracy`."""

    counts: list[tuple[int, int, int]]


class Failures(TypedDict, total=False):
    """What is wrong with a system's answers to one split.

    Attributes:
        wrong_languages: how many answers are in which language instead.
        repeating, empty: ids of such answers.
        long_tail: keyword accuracy by how often training names the entity; None without keywords.
    """

    wrong_languages: dict[str, int]
    repeating: list[str]
    empty: list[str]
    hallucination: MadeUpNames
    long_tail: list[FrequencyRecord] | None


class Finding(Failures, total=False):
    """The same with the system and the split."""

    model: str
    split: str
