"""Run commands one after another, each in a fork of a process that has imported the libraries.

Reads a request a line, {"argv", "environment", "out", "timeout"}, and answers with the exit status.
"""

import json
import os
import runpy
import signal
import sys
import time
from typing import Any

HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "huggingface_hub", "mella_hf.cli")


def main() -> None:
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    for name in HEAVY:
        __import__(name)
    from transformers import AutoModelForImageTextToText, AutoProcessor, Trainer  # noqa: F401  (they load lazily)
    from trl import SFTConfig, SFTTrainer  # noqa: F401

    for line in requests:
        print(json.dumps(_run(json.loads(line))), file=answers, flush=True)


def _run(request: dict[str, Any]) -> int:
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        _become(request)
    deadline = time.monotonic() + request["timeout"]
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 124


def _become(request: dict[str, Any]) -> None:
    """Do the command and end the process."""
    out = os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(request["environment"])
    status = 0
    try:
        _forget(os.environ.get("ABSENT", "").split())
        _call(request["argv"])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _forget(hidden: list[str]) -> None:
    """Packages that are to be absent may have been imported by others already."""
    for name in list(sys.modules):
        if any(name == package or name.startswith(f"{package}.") for package in hidden):
            del sys.modules[name]


def _call(argv: list[str]) -> None:
    program, rest = argv[0], argv[1:]
    if program == "mella":
        from mella_hf.cli import main as mella

        sys.argv = argv
        mella()
    elif program == "python" and rest[0] == "-c":
        exec(compile(rest[1], "<document>", "exec"), {"__name__": "__main__"})
    elif program == "python":
        sys.argv = rest
        runpy.run_path(rest[0], run_name="__main__")
    else:
        raise SystemExit(f"unknown program {program}")


if __name__ == "__main__":
    main()
