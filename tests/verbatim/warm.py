"""Run commands one after another, each in a fork of a process that has imported the libraries.

Reads a request a line, {"argv", "home", "environment", "out"}, and answers with the exit status.
"""

import functools
import importlib
import json
import os
import runpy
import site
import sys
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
        child = os.fork()
        if not child:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), file=answers, flush=True)


def _become(request: dict[str, Any]) -> None:
    """Do the command and end the process."""
    out = os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.chdir(request["home"])
    os.environ.update(request["environment"])
    status = 0
    try:
        _install(os.environ["PYTHONPATH"].split(":"))
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


def _install(folders: list[str]) -> None:
    """Put the packages of extras on the path, and forget that they could not be found."""
    for folder in filter(None, folders):
        site.addsitedir(folder)
    importlib.invalidate_caches()
    for name, module in list(sys.modules.items()):
        if name.startswith(("transformers.utils", "trl.import_utils", "peft.import_utils", "accelerate.utils.imports")):
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()


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
        sys.path.insert(0, os.path.dirname(rest[0]))
        runpy.run_path(rest[0], run_name="__main__")
    else:
        raise SystemExit(f"unknown program {program}")


if __name__ == "__main__":
    main()
