"""Run a recipe as users do, with `accelerate launch recipes/sft.py` in a subprocess."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mella_hf.errors import MellaError
from mella_hf.files import recipe_path


def launch_recipe(
    recipe: str, flags: Sequence[str], *, accelerate: str = "accelerate/cpu.yaml", log: Path | None = None
) -> None:
    """Train in a process of its own.

    Args:
        recipe: such as "demo/joint.yaml".
        flags: settings that override the recipe's.
        accelerate: the launcher's configuration, among the recipes.
        log: takes what the run prints, after what it printed before; the terminal by default.

    Raises:
        MellaError: when the run ends with an error; its own message stands in the log.
    """
    command = [
        sys.executable, "-m", "accelerate.commands.launch",
        "--config_file", str(recipe_path(accelerate)),
        str(recipe_path("sft.py")),
        "--config", str(recipe_path(recipe)),
        *flags,
    ]  # fmt: skip
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
