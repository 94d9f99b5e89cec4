"""What judging and comparing give, as it stands in judge.json and on the pages."""

from collections.abc import Mapping
from typing import Literal, TypedDict

Vote = Literal["first", "second", "tie"]


class VerdictAgreement(TypedDict):
    """How often two judges agree.

    Attributes:
        n: samples that both judged.
        share: of equal verdicts, in [0, 1]; None without samples.
        kappa: Cohen's, with its 95% interval; None where it is not defined.
    """

    n: int
    share: float | None
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None


class ReviewerAgreement(TypedDict):
    """How often reviewers agree.

    Attributes:
        samples: that two or more reviewers judged.
        alpha: Krippendorff's over them, with its 95% interval; None where it is not defined.
    """

    samples: int
    alpha: float | None
    alpha_low: float | None
    alpha_high: float | None


class MetricAgreement(TypedDict):
    """Whether a metric's differences per image agree with the choices. Intervals: 95%, bootstrap over images.

    Attributes:
        n: images.
        tau: Kendall's tau-b over pairs of images; None when one side is all ties.
        accuracy: share of images where the metric's sign is the choice, ties included. This is acc_eq of Deutsch et al.
            (2023), "Ties Matter", arXiv 2305.14324, with one pair of systems an image.
        calibrated: the same when differences up to `epsilon` count as ties.
        epsilon: fitted to these very images, as there, so that `calibrated` is an upper bound.
    """

    n: int
    tau: float | None
    tau_low: float | None
    tau_high: float | None
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    calibrated: float | None
    calibrated_low: float | None
    calibrated_high: float | None
    epsilon: float


class MetricPreference(MetricAgreement):
    """The same of a named metric, with its difference (second - first, in points)."""

    metric: str
    delta: float
    delta_low: float
    delta_high: float


class PreferenceRecord(TypedDict):
    """How often each of two systems was chosen, and each metric's difference on the same images.

    Attributes:
        n: images.
        second_rate: share of the second system among the decided, with its exact 95% interval; None when nothing is
            decided.
        p_value: of the two-sided sign test.
        majority: share of the most frequent outcome: the accuracy of always predicting it.
        metrics: of each metric that exists there.
    """

    language: str
    split: str
    first: str
    second: str
    n: int
    first_wins: int
    second_wins: int
    ties: int
    second_rate: float | None
    second_rate_low: float | None
    second_rate_high: float | None
    p_value: float
    majority: float
    metrics: list[MetricPreference]
    signature: str


class CorrectedPreference(PreferenceRecord):
    """The same with `p_holm`: the sign tests of one call, corrected as one family."""

    p_holm: float | None


class VoteRecord(TypedDict):
    """Which of two systems' answers was chosen, by image id; `Choices` says more."""

    language: str
    split: str
    first: str
    second: str
    votes: Mapping[str, Vote]


class PairwiseRecord(TypedDict):
    """What a judge's choices between two systems give.

    Attributes:
        comparisons: of each language and split.
        votes: the choices themselves.
        equal: images whose answers are the same and were not asked about.
        problems: of questions, by reason; their images count for neither.
        order: what the two orders of an image gave: `same` choice, `first_place` (the answer that stood first, both
            times), `second_place`, `half_tied` (a tie in one order), and `p_value` of the sign test of first against
            second place.
        itself: agreement of the two orders on the system.
    """

    comparisons: list[CorrectedPreference]
    votes: list[VoteRecord]
    equal: int
    problems: dict[str, int]
    order: dict[str, float]
    itself: VerdictAgreement


class JudgedMeasures(TypedDict):
    """What a judge's verdicts on the answers of one system to one split come to.

    Attributes:
        n: answers.
        judged: of them.
        problems: of the others, by reason.
        hallucinated: share of the answers with something made up, in [0, 1], with its exact 95% interval.
        adequacy, fluency: means in [1, 5] with 95% intervals, bootstrap over images. All are None without verdicts.
    """

    split: str
    n: int
    judged: int
    problems: dict[str, int]
    hallucinated: float | None
    hallucinated_low: float | None
    hallucinated_high: float | None
    adequacy: float | None
    adequacy_low: float | None
    adequacy_high: float | None
    fluency: float | None
    fluency_low: float | None
    fluency_high: float | None


class JudgedScore(JudgedMeasures):
    """The same of a model of a run."""

    model: str


class JudgedDifference(TypedDict):
    """The measures of the system `second` less those of `first`, on the `n` images that were judged of both."""

    split: str
    first: str
    second: str
    n: int
    hallucinated_delta: float | None
    hallucinated_delta_low: float | None
    hallucinated_delta_high: float | None
    adequacy_delta: float | None
    adequacy_delta_low: float | None
    adequacy_delta_high: float | None
    fluency_delta: float | None
    fluency_delta_low: float | None
    fluency_delta_high: float | None


class UnsupportedExample(TypedDict):
    """What the judge found unsupported in the tuned system's answer about an image."""

    split: str
    id: str
    unsupported: list[str]


class PointwiseRecord(TypedDict):
    """What a judge's verdicts on single answers give.

    Attributes:
        scores: of each model and split.
        differences: the tuned system less each other one.
        itself: agreement of the judge with its own second reply, by measure.
        entities: agreement of `hallucinated` with our entity precision finding an unsupported name.
        examples: of the tuned system's answers.
    """

    scores: list[JudgedScore]
    differences: list[JudgedDifference]
    itself: dict[str, VerdictAgreement]
    entities: VerdictAgreement
    examples: list[UnsupportedExample]


class JudgingCost(TypedDict):
    """What replies cost.

    Attributes:
        prompt_tokens, completion_tokens: as the server counted them.
        uncounted: replies without a count; their tokens are missing from the sums.
        usd: None where the prices are not known.
    """

    requests: int
    prompt_tokens: int
    completion_tokens: int
    uncounted: int
    usd: float | None


class PromptRecord(TypedDict):
    """The prompt that a judge got: "pointwise" or "pairwise", its version, its hash and its words."""

    kind: str
    version: str
    sha256: str
    text: str


class Judging(TypedDict):
    """How verdicts were made.

    Attributes:
        sample: number of images per split; None for all.
    """

    sample: int | None
    prompt: PromptRecord
    cost: JudgingCost


class JudgedAlone(PointwiseRecord, Judging):
    """Verdicts on single answers, as judge.json keeps them."""


class JudgedPair(PairwiseRecord, Judging):
    """Choices between the systems `first` and `second`, as judge.json keeps them."""

    first: str
    second: str


class JudgedRun(TypedDict):
    """The content of judge.json.

    Attributes:
        model: the judge.
        answers: a fingerprint of the answers that were judged.
        settings: of the questions.
        pointwise: None where no single answer was judged.
        pairwise: one record for each other system.
    """

    model: str
    answers: str
    settings: dict[str, int]
    pointwise: JudgedAlone | None
    pairwise: list[JudgedPair]
