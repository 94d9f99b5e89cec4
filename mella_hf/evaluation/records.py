"""What scores.json says about a run: its scores, models, data and training."""

from typing import Any, TypedDict

from mella_hf.answers.records import SystemRecord

# One model's scores on one split: `model`, `split`, `subset` ("all", "seen", "unseen") and the result of
# `MellaMetric.score`. A plain dict, because every installed metric adds keys of its own.
ScoreRecord = dict[str, Any]

# The same for the images of one category or site: `by` ("category", "domain") and `group` instead of `subset`.
GroupRecord = dict[str, Any]


class ModelRecord(SystemRecord, total=False):
    """The model that answered; `adapter` is None for a base.

    Attributes:
        base_hash, adapter_hash: hashes of the content.
        parameters: how many; None if unknown.
        max_new_tokens: the longest answer, by split.
    """

    base_hash: str
    adapter_hash: str | None
    parameters: int | None
    batch_size: int
    decoding: str
    device: str
    dtype: str
    max_new_tokens: dict[str, int]


class DataRecord(TypedDict):
    """The test data.

    Attributes:
        name: of the folder, or the Hub id.
        local: whether it is a folder.
        rows: of each split.
        funnel: how many rows the build kept and dropped, by source and reason; empty if it is unknown.
    """

    name: str
    local: bool
    rows: dict[str, int]
    funnel: dict[str, dict[str, int]]
