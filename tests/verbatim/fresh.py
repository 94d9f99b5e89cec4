"""A fresh environment with the wheel of this library, as `pip install mella_hf` would make it, and a process in it that
runs one command after another.

The environment holds what the wheel requires, and of that what it requires itself, as links to the packages of the
environment that runs the tests. What each extra adds is in a folder of its own, which is put on the path of a document
that names the extra. Nothing else can be imported: no package of an extra that the text does not name, none of `dev`.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from verbatim.blocks import ROOT

HERE = Path(__file__).parent
SITE = Path(sysconfig.get_path("purelib"))
SCRIPT = """#!{python}
import sys
from {module} import {name}
if __name__ == "__main__":
    sys.exit({name}())
"""
ELSEWHERE = ("comet", "docs", "test", "dev")  # extras that no reader installs beside the library


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


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PIP_CONSTRAINT")}


def required(requirements: Iterable[Requirement], known: Iterable[str] = ()) -> dict[str, Distribution]:
    """What pip would install for these requirements, by canonical name; `known` is installed already."""
    queue = list(requirements)
    seen, found = set[tuple[str, frozenset[str]]](), dict[str, Distribution]()
    while queue:
        wanted = queue.pop()
        name = canonicalize_name(wanted.name)
        key = (name, frozenset(wanted.extras))
        if key in seen or (name in known and not wanted.extras):
            continue
        seen.add(key)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # of an extra that `make install` leaves out: what needs it stands in exceptions.py
        found[name] = package
        for line in package.requires or ():
            inner = Requirement(line)
            extras = ["", *wanted.extras]
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                queue.append(inner)
    return {name: package for name, package in found.items() if name not in known}


class Environment:
    """A virtual environment with the wheel.

    Attributes:
        python: its Python, which finds what the wheel requires.
        extras: extra -> the folder with what that adds, and with its commands in `bin/`.
    """

    def __init__(self, folder: Path):
        wheel = build_wheel(folder)
        home = folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
        self.python = home / "bin" / "python"
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "-q", "--no-deps"]
        subprocess.run([*command, "--no-index", str(wheel)], check=True, env=_clean())
        packages = next((home / "lib").glob("python*")) / "site-packages"
        shutil.copy2(HERE / "absent.py", packages / "mella_absent.py")
        (packages / "mella_absent.pth").write_text("import mella_absent\n")
        (metadata,) = distributions(path=[str(packages)], name="mella_hf")
        wanted = [Requirement(line) for line in metadata.requires or ()]
        self._shared = _shared_folders()
        base = required(line for line in wanted if line.marker is None or line.marker.evaluate({"extra": ""}))
        for package in base.values():
            self._link(package, packages, home / "bin")
        self.extras = {}
        for extra in set(metadata.metadata.get_all("Provides-Extra") or ()) - set(ELSEWHERE):
            lines = [line for line in wanted if line.marker and line.marker.evaluate({"extra": extra})]
            self.extras[extra] = folder / "extras" / extra
            (self.extras[extra] / "bin").mkdir(parents=True)
            for package in required(lines, base).values():
                self._link(package, self.extras[extra], self.extras[extra] / "bin")

    def _link(self, package: Distribution, folder: Path, scripts: Path) -> None:
        """Make a package importable from a folder by links to its files, and write the scripts of its commands."""
        for file in package.files or ():
            top = file.parts[0]
            name = Path(*file.parts) if top in self._shared else Path(top)
            if top in ("..", "__pycache__") or top.endswith(".pth") or (folder / name).is_symlink():
                continue
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(SITE / name)
        for entry in package.entry_points.select(group="console_scripts"):
            script = scripts / entry.name
            script.write_text(SCRIPT.format(python=self.python, module=entry.module, name=entry.attr))
            script.chmod(0o755)

    def path(self, extras: Iterable[str]) -> dict[str, str]:
        """What a process needs in its environment to find the library, its commands and these extras."""
        folders = [self.extras[extra] for extra in sorted(extras)]
        commands = [*(folder / "bin" for folder in folders), self.python.parent, os.environ["PATH"]]
        return {"PYTHONPATH": ":".join(map(str, folders)), "PATH": ":".join(map(str, commands))}


def _shared_folders() -> set[str]:
    """Folders that several packages put files into, such as `google`."""
    owners: dict[str, set[str]] = {}
    for package in distributions(path=[str(SITE)]):
        for top in {file.parts[0] for file in package.files or () if len(file.parts) > 1}:
            owners.setdefault(top, set()).add(package.name)
    return {top for top, names in owners.items() if len(names) > 1}


class Reader:
    """Somebody who types what documents say. Use as a context manager.

    Attributes:
        environment: what is installed.
        variables: environment variables of all that is typed.
    """

    def __init__(self, environment: Environment, folder: Path, variables: Mapping[str, str]):
        self.environment, self.variables = environment, {**_clean(), **variables}
        self._folder, self._number = folder, 0

    def __enter__(self) -> "Reader":
        self._process = subprocess.Popen(
            [str(self.environment.python), str(HERE / "warm.py")], cwd=self._folder, env=self.with_extras(()),
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=600)

    def with_extras(self, extras: Iterable[str], variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables of a process of the reader's."""
        return {**self.variables, **self.environment.path(extras), **(variables or {})}

    def warm(
        self, argv: Sequence[str], home: Path, extras: Iterable[str] = (), variables: Mapping[str, str] | None = None
    ) -> Done:
        """A command in a fork of the warm process: `mella ...`, `python SCRIPT ...` or `python -c CODE`."""
        self._number += 1
        out = self._folder / f"output-{self._number}.txt"
        request = {"argv": list(argv), "home": str(home), "out": str(out)}
        request["environment"] = self.with_extras(extras, variables)
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "the warm process died"
        return Done(json.loads(answer), out.read_text("utf-8", "replace"))

    def cold(self, command: str, home: Path, extras: Iterable[str] = ()) -> Done:
        """A command line by bash, in processes of its own."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=home, env=self.with_extras(extras),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return Done(done.returncode, done.stdout)
