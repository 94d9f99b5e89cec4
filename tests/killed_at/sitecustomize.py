"""A run that is killed at a point of its own, not of a clock: `KILL_AT=REGEX PYTHONPATH=tests/killed_at python …`.

Python imports this when it starts, in every process of the run. The first of them that is about to write or rename a
file whose path matches takes the whole process group with it, so the run needs a session of its own.
"""

import os
import re
import signal
import sys
from typing import Any

POINT = re.compile(os.environ["KILL_AT"])


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "os.rename" or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        if POINT.search(str(arguments[0])):
            os.killpg(0, signal.SIGKILL)


sys.addaudithook(watch)
