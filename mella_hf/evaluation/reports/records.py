"""What report.json and comparison.json hold: flat records that go through all parts of a page."""

from typing import TypedDict

from mella_hf.answers.records import TrainingRecord
from mella_hf.evaluation.judging.records import (
    CorrectedPreference,
    JudgedDifference,
    JudgedMeasures,
    JudgingCost,
    PromptRecord,
    ReviewerAgreement,
    UnsupportedExample,
    VerdictAgreement,
)
from mella_hf.evaluation.questions.records import EntitySummary, FrequencyScore
from mella_hf.evaluation.records import DataRecord, GroupRecord, ModelRecord, ScoreRecord
from mella_hf.evaluation.reports.systems import MeasuredSystem
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


class CardSample(TypedDict):
    """A test image with its reference."""

    id: str
    language: str
    source: str
    entity: str | None
    category: list[str] | None
    keywords: list[str] | None
    seen: bool | None
    prompt: str
    reference: str


class CardRecord(CardSample):
    """A test image with the answers of all systems, by the system's name."""

    answers: dict[str, CardAnswer]


class ShownAnswer(CardAnswer):
    """An answer as the page shows it.

    Attributes:
        attributes: of the HTML element, such as its text direction.
        score: in the main metric of the split.
        troubles: what is wrong with it, in words.
    """

    system: MeasuredSystem
    attributes: dict[str, str]
    score: float | None
    troubles: list[str]


class ShownCard(CardSample):
    """A card as the page shows it.

    Attributes:
        anchor: its id on the page.
        attributes: of the reference's HTML element.
        long: whether its texts are folded.
        image: as a data URL.
        filters: the data attributes by which the page sorts and filters. If they depend on the system, they hold the
            indices of the systems for which they are true, or a rank for each.
    """

    anchor: str
    answers: list[ShownAnswer]
    attributes: dict[str, str]
    long: bool
    image: str
    filters: dict[str, str]


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


class JudgedSystem(JudgedMeasures):
    """A judge's scores of a system."""

    judge: str
    language: str
    system: str


class AloneFacts(TypedDict):
    """How a judge did on single answers, of a `sample` of the images; the rest as in `PointwiseRecord`."""

    itself: dict[str, VerdictAgreement]
    entities: VerdictAgreement
    differences: list[JudgedDifference]
    sample: int | None


class OrderFacts(TypedDict):
    """How a judge did on pairs of answers, of a `sample` of the images; the rest as in `PairwiseRecord`."""

    first: str
    second: str
    order: dict[str, float]
    itself: VerdictAgreement
    equal: int
    problems: dict[str, int]
    sample: int | None


class UnsupportedAnswer(UnsupportedExample):
    """The same with the entity that the image shows."""

    entity: str | None


class JudgeFacts(TypedDict, total=False):
    """How reliable a judge is, and what it cost.

    Attributes:
        stale: whether the answers have changed since; then there is nothing but the first three.
        prompts: by their hash.
        people: agreement with people on the same pairs.
    """

    judge: str
    language: str
    stale: bool
    prompts: dict[str, PromptRecord]
    alone: AloneFacts | None
    examples: list[UnsupportedAnswer]
    orders: list[OrderFacts]
    people: VerdictAgreement
    cost: JudgingCost


class JudgementFacts(TypedDict):
    """What people and judges said about the answers.

    Attributes:
        people: None where nobody chose.
        choices: between two systems.
        judged: each judge's scores of each system.
        judges: what is known of each judge in each language.
    """

    people: PeopleRecord | None
    choices: list[ChoiceRecord]
    judged: list[JudgedSystem]
    judges: list[JudgeFacts]


class SharedFacts(TypedDict):
    """What the page of a run and the comparison page share."""

    differences: list[MetricDifference]
    made_up_names: list[MadeUpRecord]
    rare_names: list[RareRecord]
    groups: list[GroupRecord]
    judgements: JudgementFacts
    answers: list[CardRecord]


class ReportFacts(SharedFacts):
    """What report.json holds: one run."""

    language: str
    models: dict[str, ModelRecord]
    data: DataRecord
    scores: list[ScoreRecord]
    other_differences: list[MetricDifference]
    training: TrainingRecord | None
    versions: dict[str, str]


class SystemFacts(TypedDict):
    """A system of a comparison, by its name on the page."""

    name: str
    is_base: bool
    model: ModelRecord


class ComparisonFacts(SharedFacts):
    """What comparison.json holds: several runs. `scores` are records with `system` and `language`."""

    languages: list[str]
    systems: list[SystemFacts]
    scores: list[ScoreRecord]
    versions: dict[str, str]
