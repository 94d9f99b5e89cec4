"""Score translations with COMET, in this process or in a worker with its own environment.

COMET cannot be installed beside current transformers. If it can be imported here, it is used directly; otherwise a
worker runs in the other environment and is restarted when it dies.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from mella_hf.errors import MellaError, StageError
from mella_hf.ling import comet_worker
from mella_hf.ling.comet_worker import BATCH_TOKENS, CometModel, Pair

KIWI = "Unbabel/wmt22-cometkiwi-da"  # Rei et al. 2022, "CometKiwi", WMT22
DEATHS = 2  # deaths of the worker on one request before it gives up
PYTHON_VARIABLE = "MELLA_COMET_PYTHON"


class Scorer(Protocol):
    """A quality-estimation model: counts the tokens of pairs and scores pairs of at most `max_tokens`."""

    max_tokens: int
    version: str

    def count(self, pairs: Sequence[Pair]) -> list[int]:
        """Number of tokens of each pair, with special tokens."""
        ...

    def score(self, pairs: Sequence[Pair]) -> list[float]:
        """Score each pair; a pair may have at most `max_tokens`."""
        ...

    def close(self) -> None:
        """Release its resources."""
        ...


def open_scorer(model: str = KIWI, *, python: Path | None = None, batch_tokens: int = BATCH_TOKENS) -> Scorer:
    """Open a checkpoint for scoring.

    Args:
        model: Hub id, or a folder with hparams.yaml and checkpoints/model.ckpt.
        python: a Python with COMET; by default `$MELLA_COMET_PYTHON`, or `.venv-comet` from `make comet`.

    Raises:
        MellaError: if there is no such Python, or the checkpoint does not load.
    """
    python = comet_python(python)
    if python is not None:
        return CometWorker(model, python, batch_tokens)
    try:
        return CometModel(model, batch_tokens)
    except (OSError, ValueError, KeyError) as error:
        raise MellaError(
            f"Cannot load the quality-estimation model {model!r}: {error}. Give a Hub id or a checkpoint of COMET."
        ) from error


def comet_python(python: Path | None = None) -> Path | None:
    """The Python to run COMET in; None if COMET can be imported here. Raises the same errors as `find_python`."""
    if python is None and find_spec("comet") is not None:
        return None
    return python or find_python()


def find_python() -> Path:
    """Find a Python with COMET. Raises MellaError with the command that installs one."""
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        return Path(named)
    for root in (Path.cwd(), Path(__file__).parents[2]):
        python = root / ".venv-comet" / "bin" / "python"
        if python.exists():
            return python
    raise MellaError(
        "COMET is not installed here, and there is no .venv-comet. Run `make comet`, which creates it, or set "
        f"{PYTHON_VARIABLE} to a Python that has unbabel-comet."
    )


class CometWorker:
    """A `Scorer` in another Python process. Use it in a `with` block, or call `close`.

    Raises:
        MellaError: if the Python or the checkpoint does not start.
    """

    def __init__(self, model: str, python: Path, batch_tokens: int = BATCH_TOKENS):
        self._model, self._python, self._batch_tokens = model, python, batch_tokens
        self._process: subprocess.Popen[bytes] | None = None
        self.restarts = -1
        self._start()

    def count(self, pairs: Sequence[Pair]) -> list[int]:
        """Number of tokens of each pair, with special tokens."""
        return [int(value) for value in self._ask("count", pairs)]

    def score(self, pairs: Sequence[Pair]) -> list[float]:
        """A score for each pair.

        Raises:
            StageError: if the worker died twice on these pairs, or reports that it cannot score them.
        """
        return [float(value) for value in self._ask("score", pairs)]

    def close(self) -> None:
        """End the worker."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> "CometWorker":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self) -> None:
        self.close()
        # -P: modules in the script's folder must not be importable as top-level modules.
        command = [str(self._python), "-P", comet_worker.__file__, self._model, str(self._batch_tokens)]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=_log())
        except OSError as error:
            raise MellaError(
                f"Cannot start COMET's Python {str(self._python)!r}: {error}. Run `make comet`."
            ) from error
        ready = self._read()
        if ready is None or "error" in ready:
            self.close()
            said = f"{ready['error']}" if ready else "it ended before it was ready"
            raise MellaError(
                f"Cannot load the quality-estimation model {self._model!r}: {said}. Give a Hub id such as {KIWI} "
                "(accept its licence there first), or a folder with hparams.yaml and checkpoints/model.ckpt."
            )
        self.max_tokens, self.version = int(ready["max_tokens"]), str(ready["version"])
        self.restarts += 1

    def _ask(self, operation: str, pairs: Sequence[Pair]) -> list[Any]:
        request = json.dumps({"op": operation, "pairs": list(pairs)}).encode() + b"\n"
        for _ in range(DEATHS):
            answer = self._exchange(request)
            if answer is not None:
                if "error" in answer:
                    raise StageError(f"The quality-estimation model {self._model!r} failed: {answer['error']}")
                return list(answer["values"])
            self._start()
        raise StageError(
            f"The worker of the quality-estimation model {self._model!r} died {DEATHS} times on the "
            f"same {len(pairs)} pairs (out of memory?). Run again with --qe-batch-tokens below {self._batch_tokens}."
        )

    def _exchange(self, request: bytes) -> dict[str, Any] | None:
        """Send a request and return the answer; None if the worker is dead."""
        if self._process is None or self._process.stdin is None:
            return None
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except OSError:  # a broken pipe
            return None
        return self._read()

    def _read(self) -> dict[str, Any] | None:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None


def _log() -> int | Any:
    """The file for the worker's output: none, unless MELLA_COMET_LOG names one."""
    return sys.stderr if os.environ.get("MELLA_COMET_LOG") else subprocess.DEVNULL
