"""A run's folder: find complete checkpoints, check which settings they belong to, and whether the run is done."""

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import PreTrainedModel, TrainerCallback

from mella_hf.errors import MellaError
from mella_hf.files import write_atomic

COMPLETE = "complete"  # written last into a checkpoint; the Trainer writes in place
RUN_FILE = "run.json"
DONE_FILE = "training.json"
ADAPTER_FOLDER = "adapter"


class MarkComplete(TrainerCallback):
    """Mark each checkpoint as complete when the parts of all processes are on disk."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Wait for all processes, then write the marker."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            write_atomic(Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE, "")


def last_checkpoint(output_dir: Path) -> Path | None:
    """The newest complete checkpoint. A killed run may have left a newer one that is incomplete."""
    found = [path.parent for path in output_dir.glob(f"checkpoint-*/{COMPLETE}")]
    return max(found, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def finished_log(checkpoint: Path) -> list[dict[str, Any]] | None:
    """The log of a run that had reached its last step at this checkpoint; otherwise None.

    When transformers' Trainer resumes at the last step, it takes one more step before it stops.
    """
    state = json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    return state["log_history"] if state["global_step"] >= state["max_steps"] else None


def restore_weights(model: Any, checkpoint: Path) -> None:
    """Load a checkpoint's weights into a model that has no adapter.

    transformers' Trainer looks for the module's own names, but saves under the names of the Hub's checkpoints, which
    differ for Qwen2-VL. It would load almost nothing, and only log that.
    """
    if isinstance(model, PreTrainedModel):
        loaded = type(model).from_pretrained(checkpoint, dtype=model.dtype)
        model.load_state_dict(loaded.state_dict())
    else:
        from safetensors.torch import load_model

        load_model(model, checkpoint / "model.safetensors")


def remove_incomplete(output_dir: Path) -> None:
    """Remove incomplete checkpoints of a killed run, so that their numbers can be used again."""
    for folder in output_dir.glob("checkpoint-*"):
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder)


@contextmanager
def sole_use(output_dir: Path) -> Iterator[None]:
    """Allow only one run in the folder. A killed launcher can leave a process that still trains there.

    Raises:
        MellaError: if another process trains there. The lock ends with its process, also if that is killed.
    """
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    path = output_dir.parent / f".{output_dir.name}.lock"
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MellaError(
                f"Another process is training in {output_dir}; wait for it, or stop it (`fuser {path}` shows its id)."
            ) from error
        yield


def claim(output_dir: Path, settings: Mapping[str, Any], overwrite: bool) -> None:
    """Record the run's settings in its folder, so that a resumed run never mixes two settings.

    A run that saved nothing, such as one that stopped at a wrong setting, does not block the folder.

    Raises:
        MellaError: if the folder holds a run with other settings; the message names the first difference.
    """
    path = output_dir / RUN_FILE
    if path.exists():
        before = json.loads(path.read_text("utf-8"))
        now = json.loads(json.dumps(settings))
        differing = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        saved = any(path for name in ("checkpoint-*", ADAPTER_FOLDER, DONE_FILE) for path in output_dir.glob(name))
        if differing and saved and not overwrite:
            key = differing[0]
            raise MellaError(
                f"{output_dir} holds a run with other settings: {key} was {before.get(key)!r} and is now "
                f"{now.get(key)!r}. Choose another output_dir, or pass --overwrite true to start again."
            )
        if not differing:
            return
        if saved:
            shutil.rmtree(output_dir)
    write_atomic(path, json.dumps(settings, indent=2, sort_keys=True))
