"""Read any image-text dataset that `load_dataset` can load, local or on the Hub."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mella_hf.dataset.building.candidate import Found, Lost, Unit
from mella_hf.errors import MellaError
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
        if unknown := sorted(set(self.columns) - set(EXTRA)):
            raise MellaError(f"The record has no column {unknown[0]!r} to fill; choose among {', '.join(EXTRA)}.")
        dataset = self._load()
        common = {"path": self.path, "config": self.config, "split": self.split, "fingerprint": dataset._fingerprint}
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
        wanted = [self.text_column, *self.columns.values()]
        rows = self._load().select_columns(list(dict.fromkeys(wanted)))
        for number in range(unit.payload["start"], unit.payload["end"]):
            row = rows[number]
            text = row[self.text_column]
            where = f"{self.path}/{self.split}[{number}]"
            if not isinstance(text, str) or not text.strip():
                yield Lost(where, "caption_missing")
                continue
            yield Found(where, str(number), text.strip(), {key: row[name] for key, name in self.columns.items()})

    def image(self, unit: Unit, locator: str) -> str | bytes:
        """The encoded image of a row: its bytes, or the path of a file of the dataset."""
        image = self._load()[int(locator)][self.image_column]
        if image and image["bytes"]:
            return image["bytes"]
        if image and image["path"] and self._is_own_file(image["path"]):
            return image["path"]
        raise Rejected("image_missing", f"no bytes, and a path that is not the dataset's: {image!r}")

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
def _load(path: str, config: str | None, split: str, image_column: str, others: tuple[str, ...]) -> "Dataset":
    from datasets import Image, load_dataset

    try:
        dataset = load_dataset(path, config, split=split)
    except (OSError, ValueError) as error:  # datasets' own errors are subclasses of these
        raise MellaError(f"Cannot load the split {split!r} of {path!r} (config {config!r}): {error}") from error
    for name in (image_column, *others):
        if name not in dataset.column_names:
            raise MellaError(f"{path!r} has no column {name!r}; it has {', '.join(dataset.column_names)}.")
    if not isinstance(dataset.features[image_column], Image):
        raise MellaError(f"The column {image_column!r} of {path!r} holds no images: {dataset.features[image_column]}.")
    return dataset.cast_column(image_column, Image(decode=False))
