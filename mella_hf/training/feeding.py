"""Prepare what the trainer needs: samples, their order in batches, each source's share of the loss."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError
from mella_hf.training.batching import LengthBuckets, loss_denominators, loss_shares, padding_share
from mella_hf.training.chat import TURN_COLUMNS, TokenCounts, conversations, count_tokens
from mella_hf.training.data_arguments import DataArguments
from mella_hf.training.distill import ask_about
from mella_hf.training.forgetting import draw_replay, replayed_sources
from mella_hf.training.settings import Settings

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import ProcessorMixin


@dataclass(frozen=True)
class Feed:
    """The input of a trainer.

    Attributes:
        dataset: conversations; images are decoded on access.
        batches: their order in an epoch.
        denominators: divisor of each source's summed loss in a step; None divides by the step's tokens.
        facts: about the data, as JSON.
    """

    dataset: Any
    batches: Any
    denominators: dict[str, float] | None
    facts: dict[str, Any]


def load_training_data(data: DataArguments, replay_share: float | None = None, seed: int = 0) -> "Dataset":
    """Load all samples of the run's languages and sources, one after the other, without decoding images.

    `replay_share` adds this share of the samples of the other sources, drawn by seed.

    Raises:
        MellaError: if a language has no samples of a source.
    """
    from datasets import concatenate_datasets, load_dataset

    replayed = replayed_sources(data.sources) if replay_share is not None else []
    parts = []
    for code in data.languages:
        for source in [*data.sources, *replayed]:
            part = load_dataset(data.dataset, code, data_dir=data.data_dir, split=source)
            if not len(part):
                raise MellaError(
                    f"The split {source!r} of {code!r} is empty; build it, or remove the source from `sources`."
                )
            if data.max_samples is not None:
                part = part.select(range(min(data.max_samples, len(part))))
            if replay_share is not None and source in replayed:
                part = draw_replay(part, replay_share, seed)
            parts.append(part)
    return concatenate_datasets(parts)


def build_feed(settings: Settings, processor: "ProcessorMixin") -> Feed:
    """Prepare the samples of the run, in memory-mapped files.

    Raises:
        MellaError: for missing data, or weights that do not fit the sources.
    """
    data, training = settings.data, settings.training
    with training.main_process_first(desc="counting tokens"):  # the others find it in the cache
        dataset = load_training_data(data, settings.forgetting.replay_share, training.seed)
        transform = conversations(data.prompt_seed)
        if data.transfer_set is not None:
            dataset, transform = ask_about(dataset, data.transfer_set)
        tokens = count_tokens(dataset, processor, data.prompt_seed, training.dataset_num_proc)
    sources = list(dataset["source"])
    batches = LengthBuckets(
        tokens.sequence if data.length_buckets else [1] * len(sources),
        sources if data.length_buckets else ["any"] * len(sources),
        training.per_device_train_batch_size,
        training.seed,
        ranks=training.world_size,
    )
    columns = [name for name in dataset.column_names if name in TURN_COLUMNS]
    per_step = training.world_size * training.gradient_accumulation_steps
    denominators = None
    if data.weights is not None:
        answers = {name: int(tokens.completion[members].sum()) for name, members in batches.members.items()}
        denominators = loss_denominators(data.weights, answers, math.ceil(len(batches) / per_step))
    return Feed(
        dataset.select_columns(columns).with_transform(transform),
        batches,
        denominators,
        facts(tokens, sources, batches, per_step, data.weights),
    )


def facts(
    tokens: TokenCounts, sources: list[str], batches: LengthBuckets, per_step: int, weights: dict[str, float] | None
) -> dict[str, Any]:
    """Numbers for the log: samples, tokens, padding of the first epoch, and each source's share of the loss."""
    order = list(batches)
    shares = weights or loss_shares(tokens.completion, sources, order, per_step)
    return {
        "samples": dict(sorted(Counter(sources).items())),
        "tokens": int(tokens.sequence.sum()),
        "padding_share": round(padding_share(tokens.sequence, order), 4),
        "loss_share": {source: round(share, 4) for source, share in shares.items()},
    }
