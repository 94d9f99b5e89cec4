"""What commands write: lines for people, the result, and a log file.

A command calls `say` for each line and `finish` with its result. Without options the lines are printed and the result
is not. With --quiet only the name of what was made is printed. With --json only the result is printed, as one JSON
document, and the lines go to standard error.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import typer

from mella_hf.errors import MellaError, MissingExtraError

log = logging.getLogger("mella_hf")
log.addHandler(logging.NullHandler())  # or Python prints warnings to standard error itself, once more
_PASSWORD = re.compile(r"(://)[^/@\s]{1,500}@")  # user and password of an address
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Turns the bars and notes of the libraries off, also in worker processes.
_QUIET = {
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DATASETS_VERBOSITY": "error",
}
_APART = ("datasets", "huggingface_hub", "transformers")  # libraries whose messages do not reach the root logger
_ends: list[tuple[TextIO, bool]] = []  # where the result goes, and whether as JSON; empty: nowhere


def say(line: object = "", *, err: bool = False) -> None:
    """Print a line for people, and write it to the log file.

    Args:
        err: the line names a problem: it goes to standard error, also with --quiet.
    """
    log.log(logging.WARNING if err else logging.INFO, "%s", line)
    typer.echo(line, err=err)


def finish(result: Mapping[str, Any], made: object = None) -> None:
    """End a command with its result.

    Args:
        result: what --json prints: values that JSON can hold, paths and numbers of numpy.
        made: what --quiet prints: the file, folder or address that the command made.
    """
    for stream, as_json in _ends[-1:]:
        if as_json:
            print(json.dumps(result, ensure_ascii=False, indent=2, default=_plain), file=stream, flush=True)
        elif made is not None:
            print(made, file=stream, flush=True)


def _plain(value: Any) -> Any:
    """What JSON has no form for: a path is a text, a number of numpy a number."""
    return str(value) if isinstance(value, Path) else value.item()


@contextmanager
def session(*, quiet: bool = False, as_json: bool = False, log_file: Path | str | None = None) -> Iterator[None]:
    """What --quiet, --json and --log-file change while a command runs.

    Raises:
        MellaError: when the log file cannot be written.
    """
    with ExitStack() as stack:
        if log_file is not None:
            stack.enter_context(_logged(Path(log_file)))  # older versions of typer give text
        if quiet:
            stack.enter_context(_environment(_QUIET))
        if quiet or as_json:
            result = stack.enter_context(_diverted(stack.enter_context(open(os.devnull, "w")) if quiet else sys.stderr))
            _ends.append((result, as_json))
            stack.callback(_ends.pop)
        yield


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _diverted(target: TextIO) -> Iterator[TextIO]:
    """Send elsewhere what is printed, by child processes too. Yields what was standard output."""
    printed: TextIO = sys.stdout
    if sys.__stdout__ is None or printed is not sys.__stdout__:  # a notebook reads it: no descriptor of its own
        with redirect_stdout(target):
            yield printed
        return
    printed.flush()
    kept = os.dup(printed.fileno())
    os.dup2(target.fileno(), printed.fileno())
    try:
        with open(kept, "w", encoding="utf-8", closefd=False) as result, redirect_stdout(target):
            yield result
    finally:
        printed.flush()
        os.dup2(kept, printed.fileno())
        os.close(kept)


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Append what the command says, what libraries warn of, and how it failed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise MellaError(f"The log file {str(path)!r} cannot be written ({error.strerror}); name another.") from error
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    level, loggers = log.level, [logging.getLogger(name) for name in ("", *_APART)]
    for logger in loggers:
        logger.addHandler(handler)
    log.setLevel(logging.INFO)
    logging.captureWarnings(True)
    log.info("mella %s", _PASSWORD.sub(r"\1***@", " ".join(sys.argv[1:])))
    try:
        yield
    except typer.Exit:
        raise
    except (MellaError, MissingExtraError) as error:
        log.error("%s", error)
        raise
    except BaseException:
        log.exception("The command broke off")
        raise
    finally:
        logging.captureWarnings(False)
        log.setLevel(level)
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
