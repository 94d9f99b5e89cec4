"""Verify a dataset folder or a published repository and list its problems; an empty list means it is sound.

Each row is checked with the writer's own checks and every image is decoded. The numbers on the card are compared with
the shards, and training and test splits are compared by sha256 and perceptual hash. The work runs shard by shard on the
engine of `mella_hf.stage`, so a second run checks only what changed.
"""

import json
from collections import Counter
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from mella_hf.dataset.card.card import expected_configs
from mella_hf.dataset.checks import check_sample
from mella_hf.dataset.disjoint import TEST, TRAIN, Hashes, describe_leaks, find_leaks
from mella_hf.dataset.files import REPO, SHARD, HubFiles, LocalFiles, NoDatasetError, published_name_problems
from mella_hf.dataset.removal.remove import finish_removal
from mella_hf.errors import MellaError, SampleError
from mella_hf.files import json_lines
from mella_hf.html.notebook import Shown, ShownTable
from mella_hf.images.opening import Rejected, open_image
from mella_hf.images.phash import phash
from mella_hf.locks import NAME, sole_use
from mella_hf.sample import COLUMNS, SCHEMA, SPLITS, as_record
from mella_hf.stage import Shard, ShardOutput, run_stage

VERIFY_VERSION = 1
SHOWN_PROBLEMS = 10
IDS, PICTURES, ROWS = "ids.npy", "pictures.npy", "rows.json"


@dataclass(repr=False)
class VerifyReport(Shown):
    """What verification found.

    Attributes:
        rows: language -> split -> how many rows.
        problems: each says where and what; empty when the dataset may be published.
    """

    where: str
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def require_sound(self) -> None:
        """Raise MellaError, naming the first problems, if there are any."""
        if self.problems:
            shown = "\n  ".join(self._first_problems())
            raise MellaError(f"{self.where} has {len(self.problems)} problems:\n  {shown}")

    def _first_problems(self) -> list[str]:
        rest = len(self.problems) - SHOWN_PROBLEMS
        return self.problems[:SHOWN_PROBLEMS] + ([f"and {rest} more"] if rest > 0 else [])

    def _table(self) -> ShownTable:
        splits = [split for split in SPLITS if any(split in rows for rows in self.rows.values())]
        rows = [
            [language, *(f"{counts[split]:,}" if split in counts else "–" for split in splits)]
            for language, counts in self.rows.items()
        ]
        state = f"{len(self.problems)} problems" if self.problems else "sound"
        return ShownTable(f"{self.where}, {state}", ("", *splits), rows, self._first_problems())


def verify_dataset(
    where: Path | str,
    *,
    revision: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
    card: bool = True,
) -> VerifyReport:
    """Check a dataset folder, or a repo on the Hub named as "org/name".

    Args:
        revision: branch, tag, commit or `refs/pr/N` of a repository.
        endpoint: address of the Hub; the official one by default.
        token: token for the Hub; that of `hf auth login` by default.
        card: compare the card with the shards as well.
        workers: processes; the number of cores by default, 0 checks in this one.

    Raises:
        MellaError: when there is no dataset at all, the repo cannot be read, or another process checks it.
    """
    folder = Path(where).absolute()
    finish_removal(folder)
    if not folder.is_dir() and (folder.exists() or not REPO.fullmatch(str(where))):
        raise MellaError(
            f"{str(where)!r} is neither a folder nor a dataset repo; give ORGANISATION/NAME, such as org/mella."
        )
    root = LocalFiles(folder) if folder.is_dir() else HubFiles(str(where), revision, endpoint, token)
    report = VerifyReport(str(where))
    files = root.files()
    report.problems += published_name_problems(files)
    shards = _shards(files, report)
    if not shards:
        raise NoDatasetError(where)
    work = root.work()
    with sole_use(work / NAME, folder if folder.is_dir() else Path(str(where)), "mella verify"):
        stage = run_stage(
            "verify", partial(verify_shard, root=root), shards, work, settings={"version": VERIFY_VERSION},
            workers=workers, executor=executor, progress=progress,
        )  # fmt: skip
        report.problems += [f"{name}: reading it killed every worker that tried" for name in stage.set_aside]
        for shard in shards:
            if shard.name not in stage.set_aside:
                rejects = json_lines(work / "rejects" / f"{shard.name}.jsonl")
                report.problems += [_line(shard.payload["path"], reject) for _, reject in rejects]
        _compare(shards, work, report, set(stage.set_aside))
    if not card:
        return report
    if "README.md" in files:
        with root.reading():
            text = root.read("README.md").decode("utf-8", "replace")
        report.problems += card_problems(text, report.rows)
    else:
        report.problems.append("README.md is missing; plain load_dataset cannot know the splits")
    return report


def verify_shard(shard: Shard, output: ShardOutput, *, root: LocalFiles | HubFiles) -> None:
    """Check every row of one file; problems go to the rejects, ids and hashes to the output."""
    language, split = shard.payload["language"], shard.payload["split"]
    ids, pictures = [], []
    with root.reading(), root.open(shard.payload["path"]) as file:
        parquet = _open_parquet(file, output)
        for batch in parquet.iter_batches(64) if parquet else ():
            for row in as_record(batch).to_pylist():
                try:
                    image = check_row(row, language, split)
                except (SampleError, Rejected) as problem:
                    output.drop(getattr(problem, "reason", "row"), id=row["id"], detail=str(problem))
                    continue
                output.keep()
                ids.append(bytes.fromhex(row["id"]))
                pictures.append(phash(image))
        count = parquet.metadata.num_rows if parquet else 0
    np.save(output.folder / IDS, np.array(ids, dtype="S32"))
    np.save(output.folder / PICTURES, np.array(pictures, dtype=np.uint64))
    (output.folder / ROWS).write_text(json.dumps(count), "utf-8")


def check_row(row: dict[str, Any], language: str, split: str) -> Any:
    """The decoded image of a sound row. Raises SampleError or Rejected."""
    check_sample(row, language, split)
    image = open_image(row["image"]["bytes"])
    if image.size != (row["width"], row["height"]):
        raise SampleError(f"the image decodes to {image.size}, the row says {(row['width'], row['height'])}")
    return image


def card_problems(text: str, rows: dict[str, dict[str, int]]) -> list[str]:
    """What the card's YAML says wrongly of the shards: configs and numbers of rows."""
    import yaml

    try:
        metadata = yaml.safe_load(text.split("---\n")[1])
        configs = {one["config_name"]: one["data_files"] for one in metadata["configs"]}
        numbers = {
            one["config_name"]: {split["name"]: split["num_examples"] for split in one["splits"]}
            for one in metadata["dataset_info"]
        }
    except (IndexError, KeyError, TypeError, yaml.YAMLError) as error:
        return [f"README.md: its YAML has no readable configs and dataset_info ({type(error).__name__}: {error})"]
    problems = []
    for name, data_files in expected_configs(rows).items():
        counts = Counter[str]()
        for language in rows if name == "all" else [name]:
            counts.update(rows[language])
        if configs.get(name) != data_files:
            problems.append(f"README.md: the config {name!r} reads {configs.get(name)}, not {data_files}")
        if numbers.get(name) != dict(counts):
            problems.append(f"README.md: the config {name!r} counts {numbers.get(name)}, the shards {dict(counts)}")
    return problems


def _open_parquet(file: Any, output: ShardOutput) -> pq.ParquetFile | None:
    try:
        parquet = pq.ParquetFile(file)
    except (OSError, ValueError) as error:  # pyarrow's errors derive from these
        output.drop("not_parquet", id=None, detail=str(error))
        return None
    schema = as_record(parquet.schema_arrow.empty_table()).schema
    if schema.names != list(COLUMNS) or schema.types != SCHEMA.types:
        wrong = [f for f in schema if f.name not in COLUMNS or SCHEMA.field(f.name).type != f.type]
        missing = [name for name in COLUMNS if name not in schema.names]
        output.drop("schema", id=None, detail=f"columns that differ: {[str(f) for f in wrong]}; missing: {missing}")
        return None
    return parquet


def _shards(files: dict[str, str], report: VerifyReport) -> list[Shard]:
    """One unit a Parquet file; sets with holes are problems."""
    shards, sets = [], dict[tuple[str, str], list[tuple[int, int]]]()
    for path, version in sorted(files.items()):
        match = SHARD.fullmatch(path)
        if match is None or match["split"] not in SPLITS:
            if path.endswith(".parquet"):
                report.problems.append(f"{path}: not named LANGUAGE/SPLIT-00000-of-0000N.parquet")
            continue
        language, split = match["language"], match["split"]
        sets.setdefault((language, split), []).append((int(match["index"]), int(match["total"])))
        payload = {"path": path, "version": version, "language": language, "split": split}
        shards.append(Shard(path.replace("/", "--"), payload))
    for (language, split), found in sets.items():
        if sorted(found) != [(i, len(found)) for i in range(len(found))]:
            report.problems.append(f"{language}/{split}: an incomplete set of shards, {len(found)} files")
    return shards


def _compare(shards: list[Shard], work: Path, report: VerifyReport, without: set[str]) -> None:
    """Repeated images, and test images in training, language by language."""
    for language in sorted({shard.payload["language"] for shard in shards}):
        mine = [s for s in shards if s.payload["language"] == language and s.name not in without]
        rows = {s: 0 for s in SPLITS}
        for shard in mine:
            rows[shard.payload["split"]] += json.loads((work / shard.name / ROWS).read_text("utf-8"))
        report.rows[language] = {split: count for split, count in rows.items() if count}
        sides = {side: _load([s for s in mine if s.payload["split"] in side], work) for side in (TRAIN, TEST)}
        for side, hashes in sides.items():
            repeated = len(hashes.ids) - len(np.unique(hashes.ids))
            if repeated:
                report.problems.append(f"language {language!r}: {repeated} images repeat within {' and '.join(side)}")
        leaks = find_leaks(sides[TRAIN], sides[TEST])
        if leaks:
            report.problems.append(describe_leaks(leaks, language))


def _load(shards: list[Shard], work: Path) -> Hashes:
    ids = [np.load(work / shard.name / IDS) for shard in shards]
    pictures = [np.load(work / shard.name / PICTURES) for shard in shards]
    return Hashes(
        np.concatenate(ids) if ids else np.zeros(0, "S32"),
        np.concatenate(pictures) if pictures else np.zeros(0, np.uint64),
    )


def _line(path: str, reject: dict[str, Any]) -> str:
    return f"{path}, {str(reject['id'])[:12]}: {reject['detail']}" if reject["id"] else f"{path}: {reject['detail']}"
