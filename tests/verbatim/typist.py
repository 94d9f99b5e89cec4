"""Types the commands of one document, in a folder of its own with the extras that the document names."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable

import requests
from verbatim import exceptions
from verbatim.blocks import ROOT, words
from verbatim.fresh import Done, Reader
from verbatim.scenario import Scenario

PATIENCE = 600  # seconds; nothing here may depend on how busy the machine is


class Typist:
    """A reader of one document. Call `close` at its end.

    Attributes:
        home: the folder in which they type, a copy of the scenario's.
        shelf: what was made before commands, kept for other documents.
        extras: what they installed.
        cold: whether every command is a process of its own, started as a shell starts it. Otherwise commands run in
            forks of a process that has imported the libraries, and what `accelerate launch` would start runs at once.
    """

    def __init__(self, reader: Reader, scenario: Scenario, name: str, extras: Iterable[str], *, cold: bool):
        self.reader, self.extras, self.cold = reader, tuple(extras), cold
        self.places, self.shelf = scenario.places, scenario.folder / "shelf"
        self.home = scenario.folder / "homes" / name
        shutil.copytree(scenario.home, self.home, symlinks=True)
        self._servers: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """End the servers that were started."""
        for process in reversed(self._servers):
            _end(process)
        self._servers.clear()

    def type(self, command: str, *, all_extras: bool = False) -> Done:
        """Type a command line."""
        extras = tuple(self.reader.environment.extras) if all_extras else self.extras
        self._visit_checkout(command)
        for pattern, ready in exceptions.SERVES.items():
            if re.search(pattern, command):
                return self._serve(command, ready, extras)
        variables, typed = words(command)
        simple = not re.search(r"[*$&|;<>]", command) and not self.cold
        if simple and typed[:2] == ["accelerate", "launch"] and "-m" not in typed:
            script = next(i for i, word in enumerate(typed) if word.endswith(".py"))
            return self.reader.warm(["python", *typed[script:]], self.home, extras, variables)
        if simple and typed[0] == "mella":
            if "--accelerate-config" in typed:
                at = typed.index("--accelerate-config")
                del typed[at : at + 2]
            return self.reader.warm(typed, self.home, extras, variables)
        return self.reader.cold(command, self.home, extras)

    def python(self, code: str) -> Done:
        """Run Python code."""
        if self.cold:
            return self.reader.cold(f"python -c {shlex.quote(code)}", self.home, self.extras)
        return self.reader.warm(["python", "-c", code], self.home, self.extras)

    def _visit_checkout(self, command: str) -> None:
        """The documents' `recipes/` is there for commands that name it, and for no others."""
        folder = self.home / "recipes"
        if not re.search(exceptions.IN_A_CHECKOUT, command):
            shutil.rmtree(folder, ignore_errors=True)
        elif not folder.exists():
            shutil.copytree(ROOT / "recipes", folder)

    def _serve(self, command: str, ready: str, extras: Iterable[str]) -> Done:
        """Start a server and wait until it says that it is ready. A review is done, and its server ended."""
        variables = {"PYTHONUNBUFFERED": "1"}
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=self.home, env=self.reader.with_extras(extras, variables),
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._servers.append(process)
            said, found = "", None
            deadline = time.monotonic() + PATIENCE
            while found is None and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
                out.seek(0)
                said = out.read().decode("utf-8", "replace")
                found = re.search(ready, said)
        if found is None:
            return Done(process.poll() or 1, said)
        if found[0].startswith("http"):
            said += "".join(_review(address) for address in re.findall(ready, said))  # a link for each reviewer
            self._servers.remove(process)
            _end(process)
        return Done(0, said)


def _review(address: str) -> str:
    """The page at an address; at a reviewer's link, after all that it offers has been decided."""
    with requests.Session() as browser:
        page = browser.get(address, timeout=PATIENCE)
        page.raise_for_status()
        assert "<html" in page.text
        root = address.split("/?")[0]
        if "token=" not in address:
            return page.text
        while sample := browser.get(f"{root}/api/next", timeout=PATIENCE).json()["sample"]:
            decision = {"id": sample["id"], "language": sample["language"]}
            decision["action"] = "left" if "left" in sample else "accept"
            browser.post(f"{root}/api/decisions", json=decision, timeout=PATIENCE).raise_for_status()
        return page.text


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server as a service manager does. Raises if it does not end."""
    process.terminate()
    try:
        process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
