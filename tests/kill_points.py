"""Runs that SIGKILL ends at a point of their own, not of a clock."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

FILE_OPERATIONS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}


def killed_at(point: str, environment: dict[str, str]) -> dict[str, str]:
    """Kill the run, which needs a session of its own, before it writes or renames a file whose path matches `point`."""
    folders = [str(Path(__file__).with_name("killed_at")), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(folders), "KILL_AT": point}


def killed_everywhere(
    prepare: Callable[[], Any], function: Callable[[Any], Any], preload: list[str]
) -> Iterator[tuple[int, Any]]:
    """Call `function(prepare())` in a process that is killed before its first file operation, then before its second…

    Ends with the first call that runs to its end. Yields the number of the operation and what `prepare` gave.

    Args:
        function: of the library, or a partial of one; opens, renames, links or removes files in Python.
        preload: modules that every process shall find imported.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preload)
    for number in count(1):
        argument = prepare()
        process = context.Process(target=_killed_before, args=(number, function, argument))
        process.start()
        process.join()
        if process.exitcode == 0:
            return
        assert process.exitcode == -signal.SIGKILL, process.exitcode
        yield number, argument


def _killed_before(number: int, function: Callable[[Any], Any], argument: Any) -> None:
    left = [number]

    def watch(event: str, found: tuple[Any, ...]) -> None:
        if event in FILE_OPERATIONS or (event == "open" and found[2] & (os.O_WRONLY | os.O_RDWR)):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    function(argument)
    left[0] = 0  # what the interpreter does at its end is none of the function's
