"""What report.json and comparison.json hold: flat records that go through all parts of a page."""

from typing import Any, TypedDict

from mella_hf.evaluation.judging.records import CorrectedPreference, ReviewerAgreement
from mella_hf.evaluation.questions.records import EntitySummary, FrequencyScore
from mella_hf.evaluation.records import GroupRecord
from mella_hf.metrics.rates import RateDifference


class CardAnswer(TypedDict):
    """One system's answer on a card of the gallery.

    Attributes:
        text: the answer.
        truncated: whether it was cut off at the limit.
        scores: by metric, from 0 to 100; None where the metric does not exist.
        flags: keys of `titles.FLAGS`: what is degenerate about it.
        language: that it is in.
        unsupported: names that nothing supports.
        rank: among the system's answers of the split, from 0.0, the worst, to 1.0, the best.
        changed: whether it differs from the first system's.
    """

    text: str
    truncated: bool
    scores: dict[str, float | None]
    flags: list[str]
    language: str
    unsupported: list[str]
    rank: float
    changed: bool


class CardRecord(TypedDict):
    """A test image with its reference and the `answers` of all systems, by the system's name."""

    id: str
    language: str
    source: str
    entity: str | None
    category: list[str] | None
    keywords: list[str] | None
    seen: bool | None
    prompt: str
    reference: str
    answers: dict[str, CardAnswer]


class PlaceRecord(TypedDict):
    """What a record about a system is about. `against` is the base that it is compared with; None for a base."""

    system: str
    against: str | None
    language: str
    split: str


class PairedDifference(RateDifference):
    """The difference between two systems on the same images; `p_holm` is `p` after Holm's correction."""

    p_holm: float | None


class MetricDifference(PairedDifference, total=False):
    """An adapter's difference from its base in one metric, over `n` images.

    Attributes:
        subset: of the images; all of them without it.
        trained_on: the configs that the adapter was trained on; None if unknown.
        transfer: whether this language is none of them; None if unknown.
    """

    system: str
    language: str
    split: str
    subset: str
    trained_on: list[str] | None
    transfer: bool | None
    metric: str
    n: int


class MadeUpRecord(PlaceRecord, PairedDifference, EntitySummary):
    """Entity precision of a system in one language and split, and its difference from the base.

    Attributes:
        names: the names made up most often.
        foreign_rate: share of the answers in another script or language.
    """

    names: list[str]
    foreign_rate: float


class RareRecord(PlaceRecord, PairedDifference, FrequencyScore):
    """Keyword accuracy of a system on names of one frequency (`bin`) in training, and its difference from the base."""


class PeopleRecord(TypedDict):
    """What people chose.

    Attributes:
        choices: how many.
        reviewers: how many people made them.
        elsewhere: how many are about answers that are not on the page.
        agreement: of the reviewers.
    """

    choices: int
    reviewers: int
    elsewhere: int
    agreement: ReviewerAgreement


class ChoiceRecord(CorrectedPreference):
    """How often each of two systems was chosen, `by` "people" or by the judge of that name."""

    by: str


class JudgementFacts(TypedDict):
    """What people and judges said about the answers.

    Attributes:
        people: None where nobody chose.
        choices: between two systems.
        judged: a judge's scores of each system, with `judge`, `language` and `system`.
        judges: each with its prompts, its agreement with itself, with people and with entity precision, its position
            bias and its cost. `stale` where the answers have changed since, and then nothing else of it.
    """

    people: PeopleRecord | None
    choices: list[ChoiceRecord]
    judged: list[dict[str, Any]]
    judges: list[dict[str, Any]]


class SharedFacts(TypedDict):
    """What the page of a run and the comparison page share."""

    differences: list[MetricDifference]
    made_up_names: list[MadeUpRecord]
    rare_names: list[RareRecord]
    groups: list[GroupRecord]
    judgements: JudgementFacts
    answers: list[CardRecord]
