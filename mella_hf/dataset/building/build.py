"""Build a dataset folder from a source: scan every unit, plan every language, write every shard.

    OUT/{language}/{split}-*.parquet   the dataset
    OUT/README.md, thumbnails.jpg      its card
    OUT/funnel.json                    how many rows were kept and dropped
    OUT/rejects/{language}-{source}.jsonl   every dropped row with its reason
    OUT/.build/                        work files of the stages; a rerun continues from them

Each stage runs shard by shard on the engine of `mella_hf.stage`. So a build can be killed at any moment, and its result
does not depend on the number of processes.
"""

import json
import os
import shutil
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mella_hf.dataset.building.candidate import Source, Unit
from mella_hf.dataset.building.plan import PLAN, plan_language
from mella_hf.dataset.building.planned import planned_batches
from mella_hf.dataset.building.scan import scan_unit
from mella_hf.dataset.card import read_funnel, write_card, write_funnel
from mella_hf.dataset.remove import read_records
from mella_hf.dataset.thumbnails import write_thumbnails
from mella_hf.dataset.write import SHARD_BYTES, open_writer
from mella_hf.files import link_file, sweep
from mella_hf.sample import SPLITS
from mella_hf.stage import Shard, ShardOutput, run_stage

BUILD_VERSION = 2  # a change of what the stages do to rows; makes them run again
WORK = ".build"
FILE = "shard.parquet"
TEST_SIZE = 200  # images a source and language (MELLA's own test split)


@dataclass
class BuildReport:
    """What a build made.

    Attributes:
        funnel: language -> source -> "kept", "dropped_<reason>" and "corrected_size", in rows.
        shards: how many Parquet files there are.
        ran, skipped: units of work done in this run, and found done.
    """

    out: Path
    funnel: dict[str, dict[str, dict[str, int]]]
    shards: int
    ran: int
    skipped: int


def build_dataset(
    source: Source,
    out: Path | str,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    test_size: int = TEST_SIZE,
    shard_bytes: int = SHARD_BYTES,
    verify: bool = True,
    origin: str = "",
    progress: bool = True,
) -> BuildReport:
    """Build the published layout from a source.

    Args:
        workers: processes; the number of cores by default, 0 runs in this process.
        executor: where to run instead, such as `mella_hf.cluster.cluster_executor(address)` gives;
            its machines must see the source and `out` under the same paths.
        test_size: images in each test split, at most a fifth of the rows.
        shard_bytes: image bytes in a Parquet file.
        verify: read, hash and decode every image, and leave out near-duplicates. Without it the source's
            own ids and sizes are believed; for data that was verified before.
        origin: Markdown for the card: where the data came from.

    Raises:
        StageError: a unit killed its worker again and again; what is done stays done.
        MellaError: the source is not what it should be, or changed during the build.
    """
    out = Path(out).resolve()
    work = out / WORK
    for folder in (out, *out.glob("*/")):
        sweep(folder)
    run = partial(run_stage, workers=workers, executor=executor, progress=progress)
    settings = {"version": BUILD_VERSION, "verify": verify}
    units = source.units(work / "source")
    shards = [Shard(u.name, {k: v for k, v in asdict(u).items() if k != "name"}) for u in units]
    scan = partial(scan_unit, source=source, verify=verify)
    scanned = run("scan", scan, shards, work / "scan", settings=settings).require_all()
    limits = {"test_size": test_size, "shard_bytes": shard_bytes, "verify": verify, "removals": removals(out)}
    planned = run("plan", plan_language, _plans(units, work, limits), work / "plan", settings=settings).require_all()
    plans = {folder.name: json.loads((folder / PLAN).read_text("utf-8")) for folder in planned.outputs}
    write = partial(write_shard, source=source, plans=str(work / "plan"), verify=verify)
    written = run("write", write, _shards(plans), work / "write", settings=settings).require_all()
    _publish(plans, work / "write", out)
    funnel = {language: plan["counts"] for language, plan in plans.items()}
    _collect_rejects(units, work, out)
    write_funnel(out, read_funnel(out) | funnel)  # other languages may have been built before
    if written.outputs:
        write_thumbnails(out)
        write_card(out, origin=origin, pictures_compared=verify)
    reports = (scanned, planned, written)
    return BuildReport(out, funnel, len(written.outputs), sum(r.ran for r in reports), sum(r.skipped for r in reports))


def removals(out: Path) -> dict[str, list[str]]:
    """What `mella remove` took out of this folder before: it stays out."""
    records = read_records(out)
    ids = sorted({name for record in records for name in record.get("ids", ())})
    return {"ids": ids, "domains": sorted({record["domain"] for record in records if "domain" in record})}


def write_shard(shard: Shard, output: ShardOutput, *, source: Source, plans: str, verify: bool) -> None:
    """The third stage: write one Parquet file of one split, reading each image once more."""
    language, split, index = (shard.payload[name] for name in ("language", "split", "index"))
    with open_writer(output.folder / FILE) as writer:
        for batch in planned_batches(Path(plans) / language, language, split, index, source, verify=verify):
            writer.write_batch(batch, row_group_size=len(batch))
            output.keep(len(batch))
            del batch  # or its images would be held while those of the next row group are read


def _plans(units: list[Unit], work: Path, settings: dict[str, Any]) -> list[Shard]:
    """One plan a language; its payload changes whenever one of its units is scanned anew."""
    languages = sorted({unit.language for unit in units})
    return [
        Shard(
            language,
            {
                **settings,
                "units": [
                    {"name": u.name, "source": u.source, "payload": u.payload, "folder": str(work / "scan" / u.name)}
                    for u in units
                    if u.language == language
                ],
            },
        )
        for language in languages
    ]


def _shards(plans: dict[str, dict[str, Any]]) -> list[Shard]:
    """One unit of writing for each Parquet file."""
    return [
        Shard(
            f"{language}-{split}-{index:05d}",
            {"language": language, "split": split, "index": index, "plan": plan["digest"]},
        )
        for language, plan in plans.items()
        for split in SPLITS
        for index in range(plan["totals"][split])
    ]


def _publish(plans: dict[str, dict[str, Any]], written: Path, out: Path) -> None:
    """Give the files their places. Hard links: the stage keeps its output, the disk holds it once."""
    current = {shard.name for shard in _shards(plans)}
    for folder in written.glob("*-*"):  # what an earlier plan of these languages wrote would only fill the disk
        if folder.name.partition("-")[0] in plans and folder.name not in current:
            shutil.rmtree(folder)
    for language, plan in plans.items():
        home = out / language
        home.mkdir(parents=True, exist_ok=True)
        expected = set()
        for split in SPLITS:
            for index in range(plan["totals"][split]):
                name = f"{split}-{index:05d}-of-{plan['totals'][split]:05d}.parquet"
                link_file(written / f"{language}-{split}-{index:05d}" / FILE, home / name)
                expected.add(name)
        for path in home.glob("*.parquet"):
            if path.name not in expected:
                path.unlink()


def _collect_rejects(units: list[Unit], work: Path, out: Path) -> None:
    """One file of rejects a language and source: those of the scan in the order of its units, then duplicates."""
    groups: dict[tuple[str, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault((unit.language, unit.source), []).append(unit)
    for (language, source), members in groups.items():
        target = out / "rejects" / f"{language}-{source}.jsonl"
        target.parent.mkdir(exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        with open(aside, "wb") as file:
            for unit in members:
                file.write((work / "scan" / "rejects" / f"{unit.name}.jsonl").read_bytes())
            with open(work / "plan" / "rejects" / f"{language}.jsonl", "rb") as lines:
                file.writelines(line for line in lines if json.loads(line)["source"] == source)
        os.replace(aside, target)
