"""Try everything that can fail late before the first step: memory, samples of each kind, answers, the output folder.

A run that ends in its third hour for want of memory, disk space or one package has cost three hours. Here the batch
with the longest sample and the one with the most tokens go forwards and backwards, a sample of each language and source
is made, an image of each language is answered and scored as the watch will do, and the folder must have room for the
checkpoints. No weight and no random number of the run changes.
"""

import math
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device

from mella_hf.answers.attention import no_plans
from mella_hf.errors import MellaError
from mella_hf.training.batches.batching import LengthBuckets
from mella_hf.training.failures import named_errors
from mella_hf.training.feeding import Feed
from mella_hf.training.scoring import label_loss
from mella_hf.training.watch import look

SPLIT = ("FSDP", "DEEPSPEED", "MEGATRON_LM")  # these split the model only when training begins
STATE_BYTES = 12  # of a trained weight in a checkpoint: itself and two moments of AdamW, in float32
TRIED_TOKENS = 2  # of an answer that is tried
MIB = 2**20


@dataclass(frozen=True)
class Rehearsal:
    """What was tried, and what the run needs.

    Attributes:
        samples: that can be trained on, by their texts, sizes and images; None for a stream.
        images_checked: whether their images were looked at.
        left_out: how many cannot.
        kinds: languages and sources of which a sample was made.
        largest: tokens of the batch with the most, padding counted.
        longest: tokens of the longest sample.
        steps: of the optimizer, in the whole run.
        seconds: the whole run's estimated time; None if no batch could be tried.
        memory: bytes of the GPU that a batch needed; None on a CPU.
        disk: bytes of checkpoints and adapter.
    """

    samples: int | None
    images_checked: bool
    left_out: int
    kinds: list[str]
    largest: int
    longest: int
    steps: int
    seconds: float | None
    memory: int | None
    disk: int

    def lines(self) -> list[str]:
        """The same, for people."""
        time_needed = "not tried: the model is split over the processes only when training begins"
        if self.seconds is not None:
            time_needed = f"about {_spoken(self.seconds)}, by the two batches that were tried"
        sound = "those of a stream are checked as they are read"
        if self.samples is not None:
            parts = "texts, sizes and images" if self.images_checked else "texts and sizes (check_images is false)"
            sound = f"{self.samples:,} have sound {parts}, {self.left_out:,} are left out"
        found = [
            f"samples: {sound}",
            f"tried: one each of {', '.join(self.kinds)}; the largest batch, {self.largest:,} tokens; the longest "
            f"sample, {self.longest:,}",
            f"steps: {self.steps:,}",
            f"time: {time_needed}",
            f"disk: {math.ceil(self.disk / MIB):,} MiB for checkpoints and adapter",
        ]
        return found + ([f"memory: {self.memory / 2**30:.1f} GiB of the GPU"] if self.memory is not None else [])


def rehearse(trainer: Any, feed: Feed, watched: Any = None) -> Rehearsal:
    """Try what the run will do.

    Args:
        trainer: ready to run.
        watched: the images that are looked at while training, as `watch_set` gives them.

    Raises:
        MellaError: says what does not work and what to do.
        TrainingError: if a batch does not fit into memory.
    """
    steps = _steps(trainer, feed)
    disk = _check_room(trainer, steps)
    kinds = _one_of_each(trainer, feed)
    batches, positions = _positions(feed)  # samples and tokens of each batch of an epoch
    longest = int(np.max(feed.lengths)) if feed.lengths is not None else 0
    seconds: float | None = None
    memory: int | None = None
    largest = int(positions.max()) if len(positions) else 0
    if trainer.accelerator.distributed_type.value not in SPLIT:
        with named_errors(trainer):
            spent, tried, tokens, memory = _try_batches(trainer, feed, batches, positions)
            if watched:
                _try_answers(trainer, watched)
        per_step = positions.mean() if len(positions) else tokens
        seconds = spent / max(tokens, 1) * per_step * trainer.args.gradient_accumulation_steps * steps
        longest, largest = longest or tokens // tried, largest or tokens
    samples = None if feed.lengths is None else len(feed.lengths) + sum(map(len, feed.held.values()))
    left_out = feed.facts.get("left_out", 0)
    checked = feed.facts.get("images_checked", False)
    return Rehearsal(samples, checked, left_out, kinds, largest, longest, steps, seconds, memory, disk)


def _steps(trainer: Any, feed: Feed) -> int:
    args = trainer.args
    if args.max_steps > 0:
        return args.max_steps
    per_epoch = math.ceil(len(feed.batches) / (args.world_size * args.gradient_accumulation_steps))
    return math.ceil(per_epoch * args.num_train_epochs)


def _check_room(trainer: Any, steps: int) -> int:
    """Bytes that the run's checkpoints will take. Raises MellaError if the folder cannot be written or has no room."""
    args = trainer.args
    folder = Path(str(args.output_dir)).absolute()
    there = next(place for place in (folder, *folder.parents) if place.is_dir())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise MellaError(
            f"output_dir is {str(folder)!r}, where nothing can be written ({error}); name another."
        ) from error
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    kept = 0
    if str(getattr(args.save_strategy, "value", args.save_strategy)) != "no":
        made = math.ceil(steps / args.save_steps) if args.save_steps >= 1 else math.ceil(1 / args.save_steps)
        kept = min(made, (args.save_total_limit or made) + 1)  # the oldest goes when the newest is there
    needed = trained * (STATE_BYTES * kept + 4)
    free = shutil.disk_usage(there).free
    if free < needed:
        raise MellaError(
            f"output_dir is {str(folder)!r}, where {free // MIB:,} MiB are free, but {kept} checkpoints and the "
            f"adapter take about {math.ceil(needed / MIB):,} MiB. Free some space, name another folder, or lower "
            "save_total_limit."
        )
    return needed


def _one_of_each(trainer: Any, feed: Feed) -> list[str]:
    """Make a batch of one sample of each kind, as training will."""
    for row in feed.kinds.values():
        trainer.data_collator([trainer.train_dataset[row]])
    return list(feed.kinds) or ["the stream's first batch"]


def _positions(feed: Feed) -> tuple[list[list[int]], np.ndarray]:
    """The batches of the first epoch, and the tokens of each with padding; none for a stream."""
    if not isinstance(feed.batches, LengthBuckets) or feed.lengths is None:
        return [], np.array([])
    batches = list(feed.batches)
    return batches, np.array([len(batch) * max(feed.lengths[i] for i in batch) for batch in batches])


def _try_batches(
    trainer: Any, feed: Feed, batches: list[list[int]], positions: np.ndarray
) -> tuple[float, int, int, int | None]:
    """The batch with the longest sample, then the largest: seconds, samples and tokens of the latter; memory."""
    if batches:
        by_length = max(range(len(batches)), key=lambda at: max(feed.lengths[i] for i in batches[at]))
        chosen = [batches[by_length], batches[int(positions.argmax())]]
        tried = [[trainer.train_dataset[i] for i in batch] for batch in chosen]
    else:
        tried = [next(iter(feed.batches))[1]] * 2
    device = trainer.args.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds, samples, tokens = 0.0, 1, 0
    for conversations in tried:
        batch = trainer.data_collator([dict(turn) for turn in conversations])
        samples, tokens = len(batch["input_ids"]), int(batch["input_ids"].numel())
        seconds = _forwards_and_backwards(trainer, send_to_device(dict(batch), device))
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return seconds, samples, tokens, memory


@no_plans()
def _forwards_and_backwards(trainer: Any, batch: dict[str, Any]) -> float:
    """Seconds of one batch; weights, gradients and random numbers are afterwards as before."""
    model, args = trainer.model, trainer.args
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable(args.gradient_checkpointing_kwargs)
    was = model.training
    model.train()
    start = time.perf_counter()
    with torch.random.fork_rng():
        with trainer.accelerator.autocast():
            loss = label_loss(model, batch)
        loss.backward()
        float(loss.detach())  # waits for the device
    model.zero_grad(set_to_none=True)
    model.train(was)
    return time.perf_counter() - start


def _try_answers(trainer: Any, watched: dict[tuple[str, str], Any]) -> None:
    """Answer and score one image of each language and source: a metric may need a package of its own."""
    model = trainer.model
    was = model.training
    model.eval()
    with torch.random.fork_rng():
        look(model, trainer.processing_class, {key: rows.select([0]) for key, rows in watched.items()}, TRIED_TOKENS)
    model.train(was)


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:.1f} hours"
