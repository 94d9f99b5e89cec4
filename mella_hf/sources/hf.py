"""Read any image-text dataset that `load_dataset` can load, local or on the Hub."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.compat import dataset_fingerprint
from mella_hf.dataset.building.candidate import Found, Lost, Unit
from mella_hf.errors import MellaError
from mella_hf.hub_errors import no_endless_wait
from mella_hf.images.opening import Rejected
from mella_hf.sources.folder import EXTRA

if TYPE_CHECKING:
    from datasets import Dataset

UNIT_ROWS = 2048


@dataclass(frozen=True)
class HfSource:
    """One split of a dataset whose rows have one language and source.

    Attributes:
        path, config, split: as for `load_dataset`; `path` is a Hub repo or a local folder.
        language, kind: language code of the rows, and `know` or `ling`.
        image_column, text_column: columns with image and text.
        columns: record column -> dataset column, for other columns.
    """

    path: str
    language: str
    kind: str = "know"
    config: str | None = None
    split: str = "train"
    image_column: str = "image"
    text_column: str = "text"
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Tells this dataset from others."""
        return f"hf {self.path} {self.config} {self.split} {self.kind}"

    @property
    def title(self) -> str:
        """The name for the card."""
        place = Path(self.path).name if os.path.isdir(self.path) else self.path
        return f"the dataset `{place}`, split `{self.split}`"

    def units(self, work: Path) -> list[Unit]:
        """Ranges of rows. Raises MellaError if the dataset does not load or lacks a column."""
        require_known(self.columns)
        _load.cache_clear()  # its files may have changed
        dataset = self._load()
        common: dict[str, Any] = {
            "path": self.path,
            "config": self.config,
            "split": self.split,
            "fingerprint": dataset_fingerprint(dataset),
        }
        common["columns"] = [self.image_column, self.text_column, sorted(self.columns.items())]
        starts = range(0, len(dataset), UNIT_ROWS)
        return [
            Unit(
                f"{self.language}-{self.kind}-hf-{number:05d}",
                self.language,
                self.kind,
                {**common, "start": start, "end": min(start + UNIT_ROWS, len(dataset))},
            )
            for number, start in enumerate(starts)
        ]

    def scan(self, unit: Unit) -> Iterator[Found | Lost]:
        """The rows of one range."""
        names = list(dict.fromkeys([self.text_column, *self.columns.values()]))
        dataset = self._load().select_columns(names)
        start, end = unit.payload["start"], unit.payload["end"]
        rows = dataset[start:end].to_pylist()
        reading = RowReading(self.text_column, self.columns, dataset.features)
        for number, row in enumerate(rows, start):
            yield reading(row, f"{self.path}/{self.split}[{number}]", str(number))

    def image(self, unit: Unit, locator: str) -> str | bytes:
        """The encoded image of a row: its bytes, or the path of the file that the dataset itself brought."""
        data, path = bytes_or_path(self._load()[int(locator)][self.image_column][0].as_py())
        if data:
            return data
        if path and self._is_own_file(path):
            return path
        raise Rejected("image_missing", f"the path {path!r} is not in the dataset" if path else "no bytes")

    def _is_own_file(self, path: str) -> bool:
        """Whether a path lies in the dataset's folder or in the caches; a row could name any file or URL."""
        import datasets
        from huggingface_hub.constants import HF_HUB_CACHE

        roots = [
            str(datasets.config.HF_DATASETS_CACHE),
            HF_HUB_CACHE,
            *([self.path] if os.path.isdir(self.path) else []),
        ]
        real = os.path.realpath(path)
        return any(os.path.commonpath([real, os.path.realpath(root)]) == os.path.realpath(root) for root in roots)

    def _load(self) -> "Dataset":
        return _load(self.path, self.config, self.split, self.image_column, (self.text_column, *self.columns.values()))


@lru_cache(maxsize=1)
@no_endless_wait()
def _load(path: str, config: str | None, split: str, image_column: str, others: tuple[str, ...]) -> "Dataset":
    """The dataset, its rows in Arrow: nothing is decoded."""
    import pyarrow as pa
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HTTPError

    try:
        with _silent():
            dataset = load_dataset(path, config, split=split)
    except (DatasetsError, HTTPError, OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
        said = _damage(path) or cause_of(error)
        raise MellaError(
            f"Cannot load the split {split!r} of {path!r} (config {config!r}): {said}. Check the name, --split and "
            "--config."
        ) from error
    require_columns(path, dataset.features, image_column, others)
    return dataset.with_format("arrow")


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what `datasets` logs about an error to itself: the error says it too."""
    import datasets

    before = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(max(before, datasets.logging.CRITICAL))
    try:
        yield
    finally:
        datasets.logging.set_verbosity(before)


def _damage(path: str) -> str:
    """Which Parquet file of a local folder cannot be read, and why; "" if all can."""
    from mella_hf.dataset.builder import open_shard

    for file in sorted(Path(path).rglob("*.parquet")) if os.path.isdir(path) else ():
        try:
            with open_shard(str(file)) as parquet:
                if parquet.metadata.num_rows == 0:
                    return f"{file} has no rows, and datasets cannot read such files. Take it away."
        except MellaError as error:
            return str(error)
    return ""


def require_columns(where: str, features: Mapping[str, Any], image_column: str, others: Iterable[str]) -> None:
    """Raise MellaError when a dataset lacks a column, or holds no images in that of the images."""
    for name in (image_column, *others):
        if name not in features:
            alike = next((column for column in features if column.strip().casefold() == name.casefold()), None)
            hint = f" {alike!r} is written otherwise." if alike is not None else ""
            raise MellaError(
                f"{where!r} has no column {name!r}; it has {', '.join(features)}.{hint} "
                "Name yours with --image-column, --text-column or --column."
            )
    if not _holds_images(features[image_column]):
        raise MellaError(
            f"The column {image_column!r} of {where!r} holds no images: {features[image_column]}. It must hold "
            "images, their bytes, or {'bytes', 'path'}; name another with --image-column. For paths of image files, "
            "write a metadata.jsonl with file_name and text into the images' folder, and use --source folder."
        )


def require_known(columns: Mapping[str, str]) -> None:
    """Raise MellaError when there is no such column of the record to fill."""
    unknown = sorted(set(columns) - set(EXTRA))
    if unknown:
        raise MellaError(f"The record has no column {unknown[0]!r} to fill; choose among {', '.join(EXTRA)}.")


@dataclass(frozen=True)
class RowReading:
    """How the rows of a dataset become candidates.

    Attributes:
        text_column, columns: as of `HfSource`.
        features: of the dataset.
    """

    text_column: str
    columns: Mapping[str, str]
    features: Mapping[str, Any]

    def __call__(self, row: Mapping[str, Any], where: str, locator: str) -> Found | Lost:
        """A row without its image as a candidate, or as lost."""
        row = {name: _as_text(value, self.features[name]) for name, value in row.items()}
        text = _only(row[self.text_column])
        if not isinstance(text, str) or not text.strip():
            several = f"{len(text)} texts" if isinstance(text, list) and text else ""
            return Lost(where, "caption_several" if several else "caption_missing", several)
        columns = {key: self._column(key, row[name]) for key, name in self.columns.items()}
        return Found(where, locator, text.strip(), columns)

    def _column(self, key: str, value: Any) -> Any:
        """The value of a column of the record; the name of one class is a list of one category."""
        is_label = hasattr(self.features[self.columns[key]], "int2str")
        return [value] if is_label and key in ("category", "keywords") and value is not None else value


def bytes_or_path(image: Any) -> tuple[bytes | None, str | None]:
    """The bytes of one image of a dataset, or its path. Raises Rejected when a row has several, or none."""
    image = _only(image)
    if isinstance(image, list):
        raise Rejected("image_several" if image else "image_missing", f"{len(image)} images")
    if isinstance(image, dict):
        return image.get("bytes") or None, image.get("path")
    return image or None, None


def cause_of(error: BaseException) -> str:
    """What lies at the bottom of an error of `datasets`, which wraps it once or twice, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:300] or type(error).__name__


def _holds_images(feature: Any) -> bool:
    """Whether a feature is an image, its bytes, a {bytes, path}, or a list of one of them."""
    from datasets import Image, LargeList, List, Value

    if isinstance(feature, List | LargeList):
        return _holds_images(feature.feature)
    if isinstance(feature, dict):
        return _holds_images(feature.get("bytes"))
    return isinstance(feature, Image) or (isinstance(feature, Value) and "binary" in feature.dtype)


def _only(value: Any) -> Any:
    """The value of a list of one; other values as they are."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _as_text(value: Any, feature: Any) -> Any:
    """The name of a class, for a column of numbers that has names; -1 says that a row has none."""
    if not hasattr(feature, "int2str") or value is None:
        return value
    return feature.int2str(value) if 0 <= value < feature.num_classes else None
