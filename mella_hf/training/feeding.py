"""Prepare what the trainer needs: samples, their order in batches, each source's share of the loss."""

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from mella_hf.errors import MellaError, SampleError
from mella_hf.training.arguments.data import DataArguments
from mella_hf.training.arguments.settings import Settings
from mella_hf.training.batches.bad_samples import SKIPPED_FILE, BadSamples, bad_sample
from mella_hf.training.batches.batching import LengthBuckets, loss_denominators, loss_shares, padding_share
from mella_hf.training.batches.chat import TURN_COLUMNS, Others, TokenCounts, conversations, count_tokens
from mella_hf.training.batches.image_check import broken_images
from mella_hf.training.distill import ask_about
from mella_hf.training.forgetting import draw_replay, replayed_sources
from mella_hf.training.splits import load_source

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import ProcessorMixin


class DataFacts(TypedDict, total=False):
    """Numbers for the log. What is not known beforehand, as in a stream, is left out.

    Attributes:
        samples: how many, by source.
        tokens: of all samples.
        padding_share: of the tokens of the first epoch's batches.
        loss_share: each source's share of the loss; None where nobody asked for one and the data is a stream.
        streamed: whether the data is a stream.
        answer_tokens_estimated: of one answer, by source, from the first rows of a stream.
        images_checked: whether every image was looked at.
        left_out: how many samples cannot be trained on and are left out.
    """

    samples: dict[str, int]
    tokens: int
    padding_share: float
    loss_share: dict[str, float] | None
    streamed: bool
    answer_tokens_estimated: dict[str, float]
    images_checked: bool
    left_out: int


@dataclass(frozen=True)
class Feed:
    """The input of a trainer.

    Attributes:
        dataset: conversations; images are decoded on access.
        batches: their order in an epoch.
        denominators: divisor of each source's summed loss in a step; None divides by the step's tokens.
        facts: about the data.
        held: conversations that are held out, by "<language>_<source>".
        lengths: tokens of each sample; None where they are not known beforehand.
        kinds: a sample of each kind, by "<language> <source>".
    """

    dataset: Any
    batches: Any
    denominators: dict[str, float] | None
    facts: DataFacts
    held: dict[str, Any] = field(default_factory=dict)
    lengths: Any = None
    kinds: dict[str, int] = field(default_factory=dict)


def load_training_data(data: DataArguments, replay_share: float | None = None, seed: int = 0) -> "Dataset":
    """Load all samples of the run's languages and sources, one after the other, without decoding images.

    `replay_share` adds this share of the samples of the other sources, drawn by seed.

    Raises:
        MellaError: if a language has no samples of a source.
    """
    from datasets import concatenate_datasets

    replayed = replayed_sources(data.sources) if replay_share is not None else []
    parts = []
    for code in data.languages:
        for source in [*data.sources, *replayed]:
            part = load_source(data.dataset, data.data_dir, code, source, **unchecked(data))
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


def unchecked(data: DataArguments) -> dict[str, Any]:
    """What our loader needs to let every text pass: a run names all that it cannot train on, or leaves them out."""
    return {"check_texts": False} if data.dataset == "mella" else {}


def bad_samples(settings: Settings) -> BadSamples | None:
    """The list of samples that the run leaves out; None where it may leave out none."""
    most = settings.data.skip_bad_samples
    return BadSamples(Path(str(settings.training.output_dir)) / SKIPPED_FILE, most) if most else None


def hold_out(dataset: "Dataset", samples: int, seed: int) -> tuple[list[int], dict[str, list[int]]]:
    """Take rows out of training, drawn by seed, of each language and source; no image of theirs stays in training.

    Returns:
        The rows that stay, and those held out, by "<language>_<source>".

    Raises:
        MellaError: when a source has too few images.
    """
    kinds = list(zip(dataset["language"], dataset["source"], strict=True))
    names = list(dataset["id"])
    held: dict[str, list[int]] = {}
    for language, source in sorted(set(kinds)):
        rows = [row for row, kind in enumerate(kinds) if kind == (language, source)]
        if len(rows) < 2 * samples:
            raise MellaError(
                f"eval_samples is {samples}, but {source!r} of {language!r} has only {len(rows)} samples; hold out at "
                "most half of them, or set eval_strategy: no."
            )
        held[f"{language}_{source}"] = sorted(random.Random(f"eval/{seed}/{language}/{source}").sample(rows, samples))
    taken = {names[row] for rows in held.values() for row in rows}
    rest = [row for row, name in enumerate(names) if name not in taken]
    if not rest:
        raise MellaError(f"eval_samples is {samples}: nothing stays to train on; give a smaller number.")
    return rest, held


def build_feed(settings: Settings, processor: "ProcessorMixin") -> Feed:
    """Prepare the samples of the run, in memory-mapped files.

    Raises:
        MellaError: for missing data, weights that do not fit the sources, or a sample that cannot be trained on.
    """
    from datasets import Image

    data, training = settings.data, settings.training
    bad = bad_samples(settings)
    looks: dict[str, Any] = {"jpeg": data.jpeg_augment, "bad": bad}
    transform = None
    with training.main_process_first(desc="counting tokens"):  # the others find it in the cache
        dataset = load_training_data(data, settings.forgetting.replay_share, training.seed)
        dataset = dataset.cast_column("image", Image(decode=False))  # the transform decodes, and names what is broken
        broken = broken_images(dataset, training.dataset_num_proc) if data.check_images else {}
        if data.transfer_set is not None:
            dataset, transform = ask_about(dataset, data.transfer_set, **looks)
            broken = {turn: broken[row] for turn, row in enumerate(dataset["row"]) if row in broken}
        tokens = count_tokens(dataset, processor, data.prompt_seed, training.dataset_num_proc, most_bad=len(dataset))
    problems = {**broken, **tokens.problems}
    dataset, tokens = _without_problems(dataset, tokens, problems, bad)
    held: dict[str, Dataset] = {}
    if training.eval_strategy != "no":
        rest, taken = hold_out(dataset, data.eval_samples, training.seed)
        held = {kind: dataset.select(rows) for kind, rows in taken.items()}
        dataset, tokens = dataset.select(rest), TokenCounts(tokens.sequence[rest], tokens.completion[rest])
    sources = list(dataset["source"])
    batches = LengthBuckets(
        tokens.sequence if data.length_buckets else [1] * len(sources),
        sources if data.length_buckets else ["any"] * len(sources),
        training.per_device_train_batch_size,
        training.seed,
        ranks=training.world_size,
    )
    per_step = training.world_size * training.gradient_accumulation_steps
    denominators = None
    if data.weights is not None:
        answers = {name: int(tokens.completion[members].sum()) for name, members in batches.members.items()}
        denominators = loss_denominators(data.weights, answers, math.ceil(len(batches) / per_step))
    about = facts(tokens, sources, batches, per_step, data.weights)
    about["images_checked"] = data.check_images
    if problems:
        about["left_out"] = len(problems)
    return Feed(
        _turns_of(dataset, transform or conversations(data.prompt_seed, **looks, others=rows_of(dataset))),
        batches,
        denominators,
        about,
        {
            kind: _turns_of(part, conversations(data.prompt_seed, bad=bad, others=rows_of(part)))
            for kind, part in held.items()
        },
        tokens.sequence,
        _kinds(dataset["language"], sources),
    )


def rows_of(dataset: "Dataset") -> Others:
    """A source's rows of a dataset, read one after the other."""

    def rows(source: str) -> Iterator[dict[str, Any]]:
        return (dataset[row] for row, own in enumerate(dataset["source"]) if own == source)

    return rows


def _kinds(languages: Iterable[str], sources: Iterable[str]) -> dict[str, int]:
    """The first sample of each language and source."""
    found: dict[str, int] = {}
    for row, (language, source) in enumerate(zip(languages, sources, strict=True)):
        found.setdefault(f"{language} {source}", row)
    return found


def _turns_of(rows: "Dataset", transform: Any) -> Any:
    """Rows that are conversations on access."""
    return rows.select_columns([name for name in rows.column_names if name in TURN_COLUMNS]).with_transform(transform)


def _without_problems(
    dataset: "Dataset", tokens: TokenCounts, problems: Mapping[int, str], bad: BadSamples | None
) -> tuple["Dataset", TokenCounts]:
    """Leave out the samples that cannot be trained on, and list them. Raises SampleError if they are too many."""
    if not problems:
        return dataset, tokens
    names = dataset["id"]
    reasons = {names[row]: problem for row, problem in sorted(problems.items())}
    if bad is None:
        raise bad_sample(*next(iter(reasons.items())), count=len(reasons))
    bad.leave_out(reasons)
    good = [row for row in range(len(dataset)) if row not in problems]
    if not good:
        raise SampleError(f"None of the {len(dataset)} samples can be trained on: see {bad.path}.")
    return dataset.select(good), TokenCounts(tokens.sequence[good], tokens.completion[good])


def facts(
    tokens: TokenCounts, sources: list[str], batches: LengthBuckets, per_step: int, weights: dict[str, float] | None
) -> DataFacts:
    """What the run says about its data before it starts."""
    order = list(batches)
    shares = weights or loss_shares(tokens.completion, sources, order, per_step)
    return {
        "samples": dict(sorted(Counter(sources).items())),
        "tokens": int(tokens.sequence.sum()),
        "padding_share": round(padding_share(tokens.sequence, order), 4),
        "loss_share": {source: round(share, 4) for source, share in shares.items()},
    }
