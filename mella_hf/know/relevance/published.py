"""Measure the relevance of a dataset folder, write it into its rows, and take out what is below a cutoff.

    DATASET/relevance.html, relevance.json   the report
    DATASET/.relevance/                      what was measured; a rerun goes on from there

New shards are written aside and take their places together, as in a removal. What this encoder has measured before
stays as it was measured: a cutoff can be applied later, at no cost.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mella_hf.dataset.card.card import read_funnel
from mella_hf.dataset.files import NoDatasetError
from mella_hf.dataset.removal.remove import LOCK, complete_removal, new_shards, replace_splits
from mella_hf.dataset.write import all_shards, shard_paths, write_split
from mella_hf.errors import MellaError
from mella_hf.files import write_atomic
from mella_hf.html.notebook import Shown, ShownTable
from mella_hf.know.relevance.calibrate import FEWEST
from mella_hf.know.relevance.encoder import encoder_name
from mella_hf.know.relevance.page import relevance_view, write_relevance_page
from mella_hf.know.relevance.stages import CALIBRATED, Measured, RelevanceSettings, measure, relevance_of
from mella_hf.know.relevance.summary import LanguageRelevance
from mella_hf.locks import sole_use
from mella_hf.sample import as_record

WORK, KNOWN = ".relevance", "known.json"
PAGE = "relevance.html"


@dataclass(repr=False)
class RelevanceReport(Shown):
    """What measuring a dataset did.

    Attributes:
        languages: the relevance of each language and source.
        measured: rows that got their relevance now.
        dropped: "language/split" -> rows that were below the cutoff.
        page: the HTML report.
    """

    model: str
    languages: list[LanguageRelevance]
    measured: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    page: Path = Path()

    def _table(self) -> ShownTable:
        rows = [
            [f"{one.language} {one.source}", f"{one.pairs:,}", _share(one.auroc), _share(one.low), _share(one.high)]
            for one in self.languages
        ]
        notes = [f"{place}: {count:,} pairs below the cutoff" for place, count in sorted(self.dropped.items()) if count]
        title = f"{self.model}, {self.measured:,} pairs measured now"
        return ShownTable(title, ("", "pairs", "AUROC", "low", "high"), rows, [*notes, str(self.page)])


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def measure_dataset(
    folder: Path | str,
    settings: RelevanceSettings,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> RelevanceReport:
    """Measure the relevance of all pairs of a dataset folder that this encoder did not measure before.

    Args:
        workers, executor, progress: as for `run_stage`.

    Raises:
        MellaError: no dataset is there, another process changes it, or the encoder does not load.
    """
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise MellaError(f"{folder} holds no dataset: it is not a folder. Give the folder of a dataset.")
    with sole_use(folder / LOCK, folder, "mella relevance"):
        complete_removal(folder)
        files = all_shards(folder)
        if not files:
            raise NoDatasetError(folder)
        return _measure(folder, files, settings, {"workers": workers, "executor": executor, "progress": progress})


def _measure(folder: Path, files: Sequence[Path], settings: RelevanceSettings, run: dict[str, Any]) -> RelevanceReport:
    name = encoder_name(settings.model)
    values = {path: _stored(path, name) for path in files}
    done = {_group(path) for path in files if not np.isnan(values[path]).all()}
    sizes = Counter[tuple[str, str]]()
    for path in files:
        sizes[_group(path)] += len(values[path])
    missing = [path for path in files if _group(path) not in done and sizes[_group(path)] >= FEWEST]
    few = [
        {"language": language, "source": source, "pairs": 0, "unmeasured": count}
        for (language, source), count in sizes.items()
        if count < FEWEST and (language, source) not in done
    ]
    found = Measured(name, [], [], {})
    if missing:
        found = measure(missing, folder / WORK, settings, **run)
        for number, path in enumerate(missing):
            values[path] = relevance_of(found.calibrated, number, len(values[path]))
    measures = _remember(folder, name, [*found.measures, *few])
    calibrated = _write_values(folder, files, values)
    whole = Measured(name, [calibrated], measures, found.unmeasured)
    view = relevance_view(whole, files, settings.cutoff)
    report = RelevanceReport(name, [one["numbers"] for one in view["languages"]], page=folder / PAGE)
    report.measured = int(sum((~np.isnan(values[path])).sum() for path in missing))
    write_relevance_page(report.page, view)
    _rewrite(folder, values, missing, name, settings.cutoff, report.dropped)
    return report


def _group(path: Path) -> tuple[str, str]:
    """The language and source of a shard; training and test are measured together."""
    return path.parent.name, path.name.partition("-")[0].removesuffix("_test")


def _stored(path: Path, model: str) -> np.ndarray:
    """The relevance that a shard's rows have of this encoder; NaN where they have none."""
    rows = as_record(pq.ParquetFile(path).read(columns=["id", "relevance", "relevance_model"]))
    found = rows["relevance"].to_numpy(zero_copy_only=False).astype(float)
    return np.where(np.array(rows["relevance_model"].to_pylist(), dtype=object) == model, found, np.nan)


def _remember(folder: Path, model: str, new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The measures of all groups that this encoder measured here; those of an earlier call are kept in a file."""
    path = folder / WORK / KNOWN
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    groups = {(one["language"], one["source"]) for one in new}
    old = [one for one in known.get(model, []) if (one["language"], one["source"]) not in groups]
    write_atomic(path, json.dumps(known | {model: [*old, *new]}))
    return [*old, *new]


def _write_values(folder: Path, files: Sequence[Path], values: dict[Path, np.ndarray]) -> Path:
    """The relevance of all rows in the form of the stages."""
    path = folder / WORK / "values.parquet"
    with pq.ParquetWriter(path, CALIBRATED) as writer:
        for number, file in enumerate(files):
            count = len(values[file])
            language, source = _group(file)
            columns = [
                pa.repeat(pa.scalar(number, pa.int32()), count), pa.array(range(count), pa.int64()),
                pa.repeat(pa.scalar(language), count), pa.repeat(pa.scalar(source), count),
                pa.array(values[file], pa.float32(), from_pandas=True),
            ]  # fmt: skip
            writer.write_table(pa.Table.from_arrays(columns, schema=CALIBRATED))
    return path


def _rewrite(
    folder: Path,
    values: dict[Path, np.ndarray],
    measured: Sequence[Path],
    model: str,
    cutoff: float | None,
    dropped: Counter[str],
) -> None:
    """Write the splits that change aside, then let them take their places."""
    new = new_shards(folder)
    changed: dict[str, list[str]] = {}
    for path, found in values.items():
        place = f"{path.parent.name}/{path.name.partition('-')[0]}"
        below = 0 if cutoff is None else int((found.astype(np.float32) < np.float32(cutoff)).sum())
        dropped[place] += below
        if below or (path in measured and not np.isnan(found).all()):
            changed.setdefault(place, [])
    for place in changed:
        language, _, split = place.partition("/")
        rows = _rows(shard_paths(folder, language, split), values, model, cutoff)
        written = write_split(rows, new, language, split, verify_ids=False)
        changed[place] = [f"{language}/{path.name}" for path in written.paths]
    if changed:
        funnel = read_funnel(folder)
        for place, count in dropped.items():
            language, _, split = place.partition("/")
            told = funnel.get(language, {}).get(split.removesuffix("_test"))
            if count and told is not None:
                told["kept"] = told.get("kept", 0) - count
                told["dropped_irrelevant"] = told.get("dropped_irrelevant", 0) + count
        replace_splits(folder, changed, funnel)


def _rows(
    paths: Sequence[Path], values: dict[Path, np.ndarray], model: str, cutoff: float | None
) -> Iterator[dict[str, Any]]:
    """The rows of a split with their relevance, without those below the cutoff."""
    for path in paths:
        found = iter(values[path].astype(np.float32).tolist())
        for batch in pq.ParquetFile(path).iter_batches(256):
            for row in as_record(batch).to_pylist():
                value = next(found)
                if cutoff is not None and value < np.float32(cutoff):
                    continue
                if value == value:  # NaN is not itself
                    row |= {"relevance": value, "relevance_model": model}
                yield row
