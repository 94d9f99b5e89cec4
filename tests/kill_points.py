"""The environment of a run that SIGKILL ends at a point of its own, not of a clock."""

import os
from pathlib import Path


def killed_at(point: str, environment: dict[str, str]) -> dict[str, str]:
    """Kill the run, which needs a session of its own, before it writes or renames a file whose path matches `point`."""
    folders = [str(Path(__file__).with_name("killed_at")), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(folders), "KILL_AT": point}
