"""Run a recipe as users do, with `accelerate launch -m mella_hf train` in a subprocess."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.training.arguments.recipes import find_launcher


def launch_command(accelerate: str | Path, arguments: Sequence[str]) -> list[str]:
    """The command that trains under `accelerate launch`.

    Args:
        accelerate: name or path of the launcher's configuration, such as "zero1".
        arguments: of `mella train`: a recipe and settings.

    Raises:
        MellaError: when there is no such configuration.
        MissingExtraError: when it is one of DeepSpeed, which is not installed.
    """
    path = find_launcher(accelerate)
    if find_spec("deepspeed") is None and "distributed_type: DEEPSPEED" in path.read_text("utf-8"):
        raise MissingExtraError("deepspeed", "deepspeed", f"{path.stem} (ZeRO)")
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(path)]
    return [*launcher, "-m", "mella_hf", "train", *arguments]


def launch_recipe(recipe: str, flags: Sequence[str], *, accelerate: str = "cpu", log: Path | None = None) -> None:
    """Train in a process of its own.

    Args:
        recipe: such as "demo/joint".
        flags: settings that override the recipe's.
        accelerate: the launcher's configuration.
        log: file to which the run's output is appended; the terminal by default.

    Raises:
        MellaError: if the run ends with an error; the log has the run's own message.
    """
    command = launch_command(accelerate, [recipe, *flags])
    spoken = " ".join(["accelerate", "launch", *command[3:]])
    if log is None:
        print(f"  {spoken}", flush=True)
        status = subprocess.run(command, check=False).returncode
        where = "its own message stands above"
    else:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a", encoding="utf-8") as file:
            print(spoken, file=file, flush=True)
            status = subprocess.run(command, check=False, stdout=file, stderr=file).returncode
        where = f"its own message is at the end of {log}"
    if status:
        raise MellaError(f"Training ended with exit status {status}; {where}.")
