"""The language identifiers: py3langid, or a fastText model such as GlotLID.

The environment variable MELLA_LID names the one in use, so that every process started from here uses the same:
`py3langid` (by default), `glotlid`, or the Hub id or file of another fastText model with labels like `yor_Latn`.
"""

import json
import os
import shutil
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mella_hf.caches import cache_dir
from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.languages.registry import IDENTIFIER
from mella_hf.languages.sources import canonical_code, table

DEFAULT = "py3langid"
GLOTLID = "glotlid"
# Kargaran et al. 2023, arXiv 2310.16248; 1.7 GB, more than 2,000 labels.
_GLOTLID_MODEL = ("cis-lmu/glotlid", "model.bin")
_PREFIX = "__label__"


class Identifier(Protocol):
    """Tells the language of a text."""

    labels: frozenset[str]

    def best(self, text: str) -> tuple[str, float]:
        """The most likely label and its probability."""

    def rank(self, text: str) -> dict[str, float]:
        """Every label's probability."""


class Py3langid:
    """py3langid with all of its labels (140 of ISO 639); its model is in the package."""

    def __init__(self) -> None:
        try:
            self._model: Any = _py3langid()
        except ImportError as error:
            raise MissingExtraError("py3langid", "metrics", "Language identification") from error
        self.labels = frozenset(map(str, self._model.nb_classes))

    def best(self, text: str) -> tuple[str, float]:
        """The most likely label and its probability."""
        label, probability = self._model.classify(text)
        return str(label), float(probability)

    def rank(self, text: str) -> dict[str, float]:
        """Every label's probability."""
        return dict(self._model.rank(text))


def _py3langid() -> Any:
    """The model of the installed py3langid.

    It is packed, and unpacking takes 0.5 to 0.7 s of CPU and a temporary file of 68 MB; from the cache it takes 0.2 s.
    So the first process of a machine keeps it there; where that cannot be written or read, each process unpacks its
    own.
    """
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    stat = (MODEL_DIR / MODEL_FILE).stat()
    folder = cache_dir() / "py3langid" / f"{version('py3langid')}-{stat.st_size}-{stat.st_mtime_ns}"
    try:
        return LanguageIdentifier(*_unpacked(folder), norm_probs=True, tk_row=_row(folder))
    except (OSError, ValueError, EOFError):  # not there yet, or damaged
        model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        with suppress(OSError):
            _keep_unpacked(model, folder)
        return model


def _unpacked(folder: Path) -> tuple[Any, ...]:
    """What `LanguageIdentifier` takes: probabilities, labels, transitions and outputs. Raises OSError, ValueError."""
    rates = np.load(folder / "ptc.npy", mmap_mode="r")  # shared by all processes
    classes = json.loads((folder / "classes.json").read_text("utf-8"))
    outputs = np.load(folder / "output.npy").tolist()
    if rates.shape[1] != len(classes):
        raise ValueError(f"{folder} is damaged")
    return np.asarray(rates), np.load(folder / "pc.npy"), classes, _array(folder / "nextmove.npy"), outputs


def _row(folder: Path) -> Any:
    return _array(folder / "row.npy")


def _array(path: Path) -> Any:
    """A file of numbers as the standard library's array, of which single items are read faster."""
    numbers = np.load(path, mmap_mode="r")
    found = array({2: "H", 4: "I"}[numbers.dtype.itemsize])
    found.frombytes(numbers.data.cast("B"))
    return found


def _keep_unpacked(model: Any, folder: Path) -> None:
    """Write a model's parts aside, then give the folder its name. Raises OSError."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    aside.mkdir(parents=True)
    try:
        np.save(aside / "ptc.npy", model.nb_ptc)
        np.save(aside / "pc.npy", model.nb_pc)
        np.save(aside / "output.npy", np.array(model.tk_output, dtype=np.int32))
        for name, numbers in (("nextmove", model.tk_nextmove), ("row", model.tk_row)):
            np.save(aside / f"{name}.npy", np.frombuffer(numbers, dtype=f"u{numbers.itemsize}"))
        (aside / "classes.json").write_text(json.dumps(list(model.nb_classes)), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # damaged, if it is there
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


class FastText:
    """A fastText model whose labels are ISO 639-3 codes with a script: `__label__yor_Latn`.

    Its labels are given as ISO 639-1 codes where there is one, without the script, which is checked elsewhere.
    """

    def __init__(self, path: Path):
        try:
            import fasttext
        except ImportError as error:
            raise MissingExtraError("fasttext", "glotlid", "Language identification by fastText") from error
        try:
            self._model: Any = fasttext.load_model(str(path))
        except ValueError as error:
            raise MellaError(f"{str(path)!r} is not a fastText model: {error}. Download it again.") from error
        self.labels = frozenset(map(_plain_label, self._model.get_labels()))

    def best(self, text: str) -> tuple[str, float]:
        """The most likely label and its probability."""
        ranked = self.rank(text)
        label = max(ranked, key=ranked.__getitem__)
        return label, ranked[label]

    def rank(self, text: str) -> dict[str, float]:
        """Every label's probability, summed over scripts."""
        labels, probabilities = self._model.predict(" ".join(text.split()), k=-1)
        sums = dict.fromkeys(self.labels, 0.0)
        for label, probability in zip(labels, probabilities, strict=True):
            sums[_plain_label(label)] += float(probability)
        return sums


def _plain_label(label: str) -> str:
    return canonical_code(label.removeprefix(_PREFIX).partition("_")[0])


def identifier_name() -> str:
    """The name of the identifier in use, as MELLA_LID has it."""
    return os.environ.get(IDENTIFIER) or DEFAULT


def identifier() -> Identifier:
    """The identifier in use. Raises MellaError or MissingExtraError where it cannot be loaded."""
    return _load(identifier_name())


def use_identifier(name: str) -> None:
    """Use another identifier from now on, here and in the processes started from here.

    Args:
        name: `py3langid`, `glotlid`, or the Hub id or file of a fastText model.
    """
    _load(name)  # its faults now, not in a worker
    os.environ[IDENTIFIER] = name


@contextmanager
def using_identifier(name: str) -> Iterator[None]:
    """Use another identifier within the `with` block."""
    before = os.environ.get(IDENTIFIER)
    use_identifier(name)
    try:
        yield
    finally:
        if before is None:
            del os.environ[IDENTIFIER]
        else:
            os.environ[IDENTIFIER] = before


@lru_cache(maxsize=2)
def _load(name: str) -> Identifier:
    if name == DEFAULT:
        return Py3langid()
    return FastText(_model_file(name))


def _model_file(name: str) -> Path:
    if Path(name).is_file():
        return Path(name)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repo, file = _GLOTLID_MODEL if name == GLOTLID else (name, "model.bin")
    try:
        return Path(hf_hub_download(repo, file))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise MellaError(
            f"The language identifier {name!r} cannot be fetched: {error}. "
            f"Choose {DEFAULT} or {GLOTLID}, or give the file or Hub id of a fastText model."
        ) from error


def other_labels(code: str) -> frozenset[str]:
    """Labels of ISO 639-3 by which an identifier with many labels knows a language: of "qu" it is quy."""
    names = (table("glotlid").get(code, ""), table("nllb").get(code, "").partition("_")[0])
    return frozenset(canonical_code(name) for name in names if name)
