"""A run's folder: find complete checkpoints, check which settings they belong to, and whether the run is done."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accelerate import PartialState
from peft import PeftModel
from transformers import PreTrainedModel, TrainerCallback

from mella_hf import locks
from mella_hf.compat import saves_whole_adapters
from mella_hf.errors import MellaError
from mella_hf.files import write_atomic

COMPLETE = "complete"  # written last into a checkpoint; the Trainer writes in place
RUN_FILE = "run.json"  # the run's identity
SETTINGS_FILE = "settings.json"  # all its settings, as it was last started
DONE_FILE = "training.json"
ADAPTER_FOLDER = "adapter"
# The keys of an identity that mark a content, and what they stand for.
CONTENT = {
    "backbone": "the base model (its commit, or the content of its folder)",
    "prompts": "the prompts of a language",
    "data": "the dataset (its name, or the content of data_dir)",
    "init_adapter": "the content of init_adapter",
    "transfer_set": "the content of transfer_set",
}


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


def check_sharding(trainer: Any) -> None:
    """Refuse a sharded run whose checkpoints would lack a part of the adapter.

    Raises:
        MellaError: under FSDP2 with an adapter, if accelerate is older than 1.15.
    """
    plugin = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    is_fsdp2 = trainer.is_fsdp_enabled and plugin is not None and plugin.fsdp_version == 2
    if is_fsdp2 and isinstance(trainer.model, PeftModel) and not saves_whole_adapters():
        raise MellaError(
            f"With accelerate {version('accelerate')} the checkpoints of FSDP2 hold only a part of the adapter, so a "
            "run that is stopped could not go on. Run `pip install -U 'accelerate>=1.15'`, or launch with ddp, zero2 "
            "or zero3."
        )


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
    # Beside the folder, which starting again removes.
    with locks.sole_use(output_dir.parent / f".{output_dir.name}.lock", output_dir, "a training run"):
        yield


def claim(
    output_dir: Path,
    identity: Mapping[str, Any],
    overwrite: bool,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Tie the folder to a run's identity, so that a resume never mixes two runs.

    A run that saved nothing, such as one that a wrong setting ended at its start, has no claim any more. A key that
    only one of the two runs has says nothing: another version of the library wrote it.

    Args:
        settings: all of them; those that changed and are not part of the identity are printed.

    Raises:
        MellaError: when the folder holds another run; names the settings that differ.
    """
    path = output_dir / RUN_FILE
    if path.exists():
        before = json.loads(path.read_text("utf-8"))
        now = json.loads(json.dumps(identity))
        differing = _differing(before, now)
        saved = any(path for name in ("checkpoint-*", ADAPTER_FOLDER, DONE_FILE) for path in output_dir.glob(name))
        if differing and saved and not overwrite:
            raise MellaError(
                f"{output_dir} holds a run with other settings: {_changes(differing, before, now)}. "
                "Choose another output_dir, or pass --overwrite true to start again."
            )
        if differing and saved:
            shutil.rmtree(output_dir)
        elif saved and settings is not None and (output_dir / SETTINGS_FILE).is_file():
            _tell_changes(json.loads((output_dir / SETTINGS_FILE).read_text("utf-8")), settings)
    write_atomic(path, json.dumps(identity, indent=2, sort_keys=True))
    if settings is not None:
        write_atomic(output_dir / SETTINGS_FILE, json.dumps(settings, indent=2, sort_keys=True))


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in before.keys() & now.keys() if before[key] != now[key])


def _changes(differing: list[str], before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, by name. A mark of content is named alone: what it was tells a reader nothing."""
    settings = [key for key in differing if key not in CONTENT]
    said = [f"{key} was {before[key]!r} and is now {now[key]!r}" for key in settings]
    # Other languages are other files, too; then the setting says it all.
    said += [] if settings else [f"{CONTENT[key]} changed" for key in differing]
    return "; ".join(said)


def _tell_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Say which settings are others than at the last start, and that the run goes on with them."""
    differing = _differing(before, now)
    if differing:
        changes = _changes(differing, before, now)
        print(f"Going on with other settings, which do not change the result: {changes}.", file=sys.stderr)
