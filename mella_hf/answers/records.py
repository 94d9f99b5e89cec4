"""What a system said, as it stands in the files of a run."""

from typing import Any, TypedDict


class ModelIdentity(TypedDict):
    """What a model is. Predictions of another `base_hash` or `adapter_hash` are not reused.

    Attributes:
        base, adapter: Hub id, folder, or the name at an endpoint; `adapter` is None for a base.
        base_hash, adapter_hash: the sha256 of a folder, the commit of a Hub id, or "served:NAME".
    """

    base: str
    base_hash: str
    adapter: str | None
    adapter_hash: str | None


class AnswersMeta(ModelIdentity, total=False):
    """What a file of answers was made from. A benchmark's has keys of its own, too.

    Attributes:
        prompt: the question; a benchmark has one a row, and none here.
        batch_size: answers per batch.
        max_new_tokens: the longest answer, in tokens.
        decoding: how tokens were chosen, such as "greedy".
        device, dtype: where the model ran, and in which precision.
        torch, transformers: their versions; an endpoint does not say them.
        parameters: how many the model has; None if unknown.
        rows: how many questions.
        fingerprint: of everything that the answers depend on.
        notes: what happened while asking, and how often.
        sha256: of the file of answers.
    """

    prompt: str
    batch_size: int
    max_new_tokens: int
    decoding: str
    device: str
    dtype: str
    torch: str
    transformers: str
    parameters: int | None
    rows: int
    fingerprint: str
    notes: dict[str, int]
    sha256: str


class TrainingRecord(TypedDict, total=False):
    """An adapter's training, as reports show it.

    Attributes:
        samples: how many, by source.
        tokens: how many it saw.
        parameters: how many are trained, by part of the model.
        log_history: the Trainer's log, with `step` and `loss`.
    """

    samples: dict[str, int]
    tokens: int
    parameters: dict[str, int]
    log_history: list[dict[str, Any]]


class TrainingFile(TrainingRecord, total=False):
    """The whole of training.json, which training writes beside the adapter.

    Attributes:
        settings: every setting of the run.
        identity: those that its result depends on.
    """

    settings: dict[str, Any]
    identity: dict[str, Any]


class SystemRecord(TypedDict, total=False):
    """What a report says about a system before it has answered.

    Attributes:
        base, adapter: public names; there is no adapter for a base.
        base_is_local: whether the base is a folder.
        adapter_kind: such as "LoRA, rank 16", "merged model" or "served".
        trained_on: the configs that the adapter was trained on; None if unknown.
    """

    base: str
    base_is_local: bool
    adapter: str | None
    adapter_kind: str
    trained_on: list[str] | None


class Answer(TypedDict):
    """The answer to one question. `truncated` says whether it was cut off at the limit."""

    prediction: str
    truncated: bool


class Prediction(Answer):
    """The answer about one test image, with the sample that it is scored against.

    Attributes:
        id: of the image.
        language, source: of the sample, such as "th" and "know".
        prompt: the question as it was asked.
        reference: the sample's text.
        keywords: names that the answer should say; None if the sample has none.
        keywords_by: how the keywords were found; None if the dataset does not say.
        category, entity, domain: what the dataset knows about the image.
        seen: whether training shows the entity; None if that is unknown.
    """

    id: str
    language: str
    source: str
    prompt: str
    reference: str
    keywords: list[str] | None
    keywords_by: str | None
    category: list[str] | None
    entity: str | None
    domain: str | None
    seen: bool | None
