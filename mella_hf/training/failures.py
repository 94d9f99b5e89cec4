"""Turn the failure of a run into one clear error: the step, the cause, the remedy, and where the run resumes."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from mella_hf.errors import SampleError, TrainingError
from mella_hf.training.checkpoints import last_checkpoint

NOT_FINITE = (
    "Lower learning_rate or max_grad_norm, use bf16 instead of fp16, and look for broken samples (`mella verify`)."
)
MEMORY = (
    "Set gradient_checkpointing: true; the run goes on with it. Or start anew in another output_dir with a lower "
    "per_device_train_batch_size and as many times more gradient_accumulation_steps, or with a lower "
    "max_image_tokens."
)
WORKER = "Usually the machine's memory was full: lower dataloader_num_workers."
SAVING = (
    "If the disk is full, free some space, or lower save_total_limit; if a file may not be so large, raise the limit "
    "(ulimit -f)."
)


def failure(what: str, mend: str, step: int, output_dir: Path) -> TrainingError:
    """The error to raise; it names the newest complete checkpoint."""
    checkpoint = last_checkpoint(output_dir)
    onwards = (
        f"The last usable checkpoint is {checkpoint}; the same command resumes from it."
        if checkpoint
        else "No checkpoint was saved yet, so the same command starts again."
    )
    return TrainingError(f"{what} at step {step}. {mend} {onwards}")


@contextmanager
def named_errors(trainer: Any) -> Iterator[None]:
    """Turn out-of-memory and disk-full errors into a TrainingError; other errors pass unchanged.

    Linux may kill a process that uses too much memory; then no message is possible.
    """
    try:
        yield
    except SampleError as error:
        said = str(error)
        if not said.startswith("Caught "):
            raise
        raise SampleError(said.strip().rsplit("SampleError: ", 1)[-1]) from error  # without the worker's traceback
    except (OSError, MemoryError, RuntimeError) as error:
        known = _known(error)
        if known is None:
            raise
        raise trainer.failed(*known) from error


@contextmanager
def saving(trainer: Any, what: str) -> Iterator[None]:
    """Turn any error of saving `what` into a TrainingError."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch.save raises RuntimeError when the disk is full
        known = None if isinstance(error, OSError) else _known(error)
        raise trainer.failed(*(known or (f"Saving the {what} failed ({error})", SAVING))) from error


def _known(error: Exception) -> tuple[str, str] | None:
    """What went wrong and how to fix it, for errors that are known."""
    said = next(iter(str(error).splitlines()), type(error).__name__)
    memory = (MemoryError, torch.OutOfMemoryError)
    if isinstance(error, memory) or "DefaultCPUAllocator: can't allocate memory" in str(error):
        return f"Out of memory ({said})", MEMORY
    if said.startswith("DataLoader worker"):  # can be raised at any place in the main process
        return f"A worker died ({said.strip()})", WORKER
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Writing failed ({error})", SAVING
    return None
