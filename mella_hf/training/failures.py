"""A run that breaks in, one clear error out: at which step, how to mend it, and from where the run goes on."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from mella_hf.errors import TrainingError
from mella_hf.training.checkpoints import last_checkpoint

NOT_FINITE = (
    "Lower learning_rate or max_grad_norm, use bf16 in place of fp16, and look for samples that are broken "
    "(`mella verify`)."
)
MEMORY = (
    "Lower per_device_train_batch_size and raise gradient_accumulation_steps by as much, set gradient_checkpointing, "
    "or lower max_pixels (Qwen-VL) or max_patches (InternVL)."
)
WORKER = "Mostly the machine's memory ran out: lower dataloader_num_workers."
SAVING = "If the disk is full, free some space, or lower save_total_limit."
UNSAVED = (OSError, RuntimeError, SafetensorError)  # torch.save raises RuntimeError when the disk is full


def failure(what: str, mend: str, step: int, output_dir: Path) -> TrainingError:
    """The error to raise, which names the newest checkpoint that is whole."""
    checkpoint = last_checkpoint(output_dir)
    onwards = (
        f"The last usable checkpoint is {checkpoint}; the same command goes on from it."
        if checkpoint
        else "No checkpoint was saved yet, so the same command starts anew."
    )
    return TrainingError(f"{what} at step {step}. {mend} {onwards}")


@contextmanager
def named_errors(trainer: Any) -> Iterator[None]:
    """Turn running out of memory, or of disk, into a TrainingError.

    Linux may end a process that asks for too much before any error reaches it; nothing can be said then.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise trainer.failed(f"Writing failed ({error})", SAVING) from error
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            raise trainer.failed(f"Out of memory ({str(error).splitlines()[0]})", MEMORY) from error
        if isinstance(error, MemoryError):
            raise trainer.failed("Out of memory", MEMORY) from error
        if str(error).startswith("DataLoader worker"):
            raise trainer.failed(f"A worker died ({str(error).splitlines()[0]})", WORKER) from error
        raise
