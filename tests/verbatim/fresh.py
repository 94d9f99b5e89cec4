"""A fresh environment with the wheel of this library in it, and a process there that runs one command after another.

The environment sees the heavy packages of the one that runs the tests. The process has imported them once and forks for
each command, so that a command costs its work and not its imports. `ABSENT` in a command's environment names packages
that it must not find: those of the extras that the text does not name.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verbatim.blocks import ROOT

HERE = Path(__file__).parent
ACCELERATE = "#!{python}\nimport sys\nfrom accelerate.commands.accelerate_cli import main\nsys.exit(main())\n"


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    status: int
    output: str


def build_wheel(folder: Path) -> Path:
    """The wheel of the tracked files; built from a copy, since setuptools leaves files in what it builds from."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    source = folder / "source"
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(source)], check=True, env=_clean())
    return next(folder.glob("*.whl"))


def make_environment(folder: Path) -> Path:
    """A virtual environment with the wheel; returns its Python."""
    wheel = build_wheel(folder)
    home = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*command, str(wheel)], check=True, env=_clean())
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.run([str(python), "-c", where], capture_output=True, text=True).stdout.strip())
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")  # a path only: no editable install
    shutil.copy2(HERE / "absent.py", packages / "mella_absent.py")
    (packages / "mella_absent.pth").write_text("import mella_absent\n")
    (home / "bin" / "accelerate").write_text(ACCELERATE.format(python=python))
    (home / "bin" / "accelerate").chmod(0o755)
    return python


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PIP_CONSTRAINT")}


class Reader:
    """Somebody who types what documents say, in a folder of their own. Use as a context manager."""

    def __init__(self, python: Path, folder: Path, environment: Mapping[str, str]):
        self.python, self.folder = python, folder
        self.environment = {**_clean(), **environment, "PATH": f"{python.parent}:{os.environ['PATH']}"}
        self._number = 0

    def __enter__(self) -> "Reader":
        self._process = subprocess.Popen(
            [str(self.python), str(HERE / "warm.py")], cwd=self.folder, env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def run(self, argv: Sequence[str], environment: Mapping[str, str] | None = None, *, timeout: float = 300) -> Done:
        """A command in the warm process: `mella ...`, `accelerate launch ... SCRIPT ...` or `python -c CODE`."""
        return self._ask({"argv": list(argv), "environment": dict(environment or {}), "timeout": timeout})

    def cold(self, command: str, environment: Mapping[str, str] | None = None) -> Done:
        """A command line by bash, in a process of its own."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env={**self.environment, **(environment or {})},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return Done(done.returncode, done.stdout)

    def _ask(self, request: dict[str, Any]) -> Done:
        self._number += 1
        out = self.folder.parent / f"output-{self._number}.txt"
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps({**request, "out": str(out)}), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "the warm process died"
        return Done(json.loads(answer), out.read_text("utf-8", "replace"))
