"""Build a dataset folder from a source: scan every unit, plan every language, write every shard.

    OUT/{language}/{split}-*.parquet   the dataset
    OUT/README.md, thumbnails/        its card
    OUT/funnel.json                    how many rows were kept and dropped
    OUT/rejects/{language}-{source}.jsonl   every dropped row with its reason
    OUT/.build/                        work files of the stages; a rerun continues from them

Each stage runs shard by shard on the engine of `mella_hf.stage`. So a build can be killed at any moment, and its result
does not depend on the number of processes.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from mella_hf.dataset.building.candidate import Source, Unit
from mella_hf.dataset.building.held import held_image, is_held
from mella_hf.dataset.building.holdings import (
    Holding,
    adopted,
    describe,
    merge,
    name_units,
    read_holdings,
    source_key,
    write_holdings,
)
from mella_hf.dataset.building.plan import PLAN, plan_language
from mella_hf.dataset.building.planned import planned_batches
from mella_hf.dataset.building.scan import COUNTS, is_current, scan_unit
from mella_hf.dataset.card.card import keep_edited_card, read_funnel, write_card, write_funnel
from mella_hf.dataset.removal.remove import LOCK, complete_removal
from mella_hf.dataset.removal.requests import RemovalRecord, asked_for, read_records
from mella_hf.dataset.thumbnails import write_thumbnails
from mella_hf.dataset.write import SHARD_BYTES, languages_in, open_writer, require_safe_languages
from mella_hf.files import json_line, json_lines, link_file, sweep
from mella_hf.funnel import HEADER, Step, funnel_table
from mella_hf.html.notebook import Shown, ShownTable
from mella_hf.languages import own_entries
from mella_hf.locks import sole_use
from mella_hf.metrics.names.finders import RULES
from mella_hf.places import Place
from mella_hf.sample import SCHEMA, SOURCES, SPLITS
from mella_hf.stage import KEPT, Shard, ShardOutput, StageReport, run_stage

BUILD_VERSION = 4  # a change of what the stages do to rows; makes them run again
WORK = ".build"
FILE = "shard.parquet"
TEST_SIZE = 200  # images a source and language (MELLA's own test split)


@dataclass(repr=False)
class BuildReport(Shown):
    """What a build made.

    Attributes:
        funnel: language -> source -> "kept", "dropped_<reason>" and "corrected_size", in rows; over all sources that
            the folder is built from.
        given: the same of this build's source alone.
        left_out: language -> source -> reason -> one example of this build's source, as the rejects have it.
        replaced: the sources that went, with the rows that each had given; also a kind of rows that this source gave
            before and does not have any more.
        shards: how many Parquet files there are.
        ran, skipped: units of work done in this run, and found done.
        edited_card: the name under which a card that was edited by hand is kept; "" when there was none.
    """

    out: Path
    funnel: dict[str, dict[str, dict[str, int]]]
    given: dict[str, dict[str, dict[str, int]]]
    left_out: dict[str, dict[str, dict[str, dict[str, Any]]]]
    replaced: dict[str, int]
    shards: int
    ran: int
    skipped: int
    edited_card: str = ""

    @property
    def kept(self) -> int:
        """How many rows this build's source gave."""
        return sum(counts.get(KEPT, 0) for kinds in self.given.values() for counts in kinds.values())

    @property
    def steps(self) -> list[Step]:
        """The funnel, a step for each language and source."""
        return [
            Step.of(f"{language} {source}", "rows", counts)
            for language, sources in self.funnel.items()
            for source, counts in sources.items()
        ]

    def _table(self) -> ShownTable:
        return ShownTable(f"{self.out}, {self.shards} files", HEADER, funnel_table(self.steps))


def build_dataset(
    source: Source,
    out: Path | str,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    test_size: int = TEST_SIZE,
    shard_bytes: int = SHARD_BYTES,
    verify: bool = True,
    replace: bool = False,
    rescan: bool = False,
    ner: str = RULES,
    origin: str = "",
    progress: bool = True,
) -> BuildReport:
    """Build the published layout from a source, beside what other sources gave to the folder before.

    What the same source gave before is replaced. Images that an earlier source gave are left out of this one, and the
    test splits share no image with any training split, whatever sources they come from.

    Args:
        workers: processes; the number of cores by default, 0 runs in this process.
        executor: where to run instead, such as `mella_hf.cluster.cluster_executor(address)` gives;
            its machines must see the source and `out` under the same paths.
        test_size: images in each test split, at most a fifth of the rows.
        shard_bytes: image bytes in a Parquet file.
        verify: read, hash and decode every image, and leave out near-duplicates. Without it the source's
            own ids and sizes are believed; for data that was verified before.
        replace: take the rows of all other sources of these languages away, where this one gives any.
        rescan: read everything again. Otherwise a unit is read again when its listing changed, or when a file that it
            read, or missed, has another size or time of change.
        ner: what finds the names in alt-texts whose source gave no keywords: "rules", or a token-classification model
            of transformers (a folder or an id on the Hub). Alt-texts that another one was asked about are read again.
        origin: Markdown for the card: where the data came from.

    Raises:
        StageError: a unit killed its worker again and again; what is done stays done.
        MellaError: the source is not what it should be, or changed during the build; another process changes
            the folder; a language cannot name a folder on Windows.
    """
    out = Path(out).resolve()
    with sole_use(out / LOCK, out, "mella build"):
        return _build(
            source, out, partial(run_stage, workers=workers, executor=executor, progress=progress),
            BuildSettings(test_size, shard_bytes, verify, replace, rescan, ner), origin,
        )  # fmt: skip


class BuildSettings(NamedTuple):
    """What `build_dataset` was asked for."""

    test_size: int
    shard_bytes: int
    verify: bool
    replace: bool
    rescan: bool
    ner: str = RULES


def _build(
    source: Source, out: Path, run: Callable[..., StageReport], asked: BuildSettings, origin: str
) -> BuildReport:
    work = out / WORK
    complete_removal(out)
    for folder in (out, *out.glob("*/")):
        sweep(folder)
    before = read_holdings(work)
    given = _kept_by_source(work, before)
    units = name_units(source.units(work / "source"), source.name)
    languages = sorted({unit.language for unit in units})
    require_safe_languages(out, languages)
    scanned, mine = _scan(source, units, work, run, asked, origin)
    # A source that gives nothing replaces nothing.
    replacing = {one.language for one in mine if _gives_rows(one, work)} if asked.replace else set()
    held = adopted(out, work, [code for code in languages if code not in replacing], before)
    if held:
        before = [*before, *_scan(held, name_units(held.units(work), held.name), work, run, asked, "")[1]]
    holdings = merge(before, mine, replacing=replacing)
    write_holdings(work, holdings)
    limits = {"test_size": asked.test_size, "shard_bytes": asked.shard_bytes, "removals": removals(out)}
    settings = {"version": BUILD_VERSION}
    planned = run("plan", plan_language, _plans(holdings, languages, work, limits), work / "plan", settings=settings)
    plans = {f.name: json.loads((f / PLAN).read_text("utf-8")) for f in planned.require_all().outputs}
    write = partial(write_shard, source=source, out=str(out), verify=asked.verify, build=uuid4().hex)
    layout = settings | {"columns": [str(kind) for kind in SCHEMA.types]}  # an earlier version had others
    written = run("write", write, _shards(plans), work / "write", settings=layout).require_all()
    _publish(plans, work / "write", out)
    funnel = {language: plan["counts"] for language, plan in plans.items()}
    _collect_rejects([one for one in holdings if one.language in plans], work, out)
    write_funnel(out, read_funnel(out) | funnel)  # other languages may have been built before
    edited = ""
    if languages_in(out):
        write_thumbnails(out)
        kept = _kept_by_source(work, holdings)
        compared = all(one.verify for one in holdings)
        edited = keep_edited_card(out)
        write_card(out, origin=describe(holdings, kept), pictures_compared=compared)
    reports = (scanned, planned, written)
    mine_now = {language: plan["sources"].get(source.name, {}) for language, plan in plans.items()}
    replaced: dict[str, int] = {}
    for one in (one for one in before if one.language in plans):
        rows = {kind: of[KEPT] for kind, of in given.get(one.language, {}).get(one.name, {}).items()}
        if one.name == source.name:
            gone = {kind: count for kind, count in rows.items() if count and kind not in mine_now[one.language]}
            replaced |= {f"{kind} of {one.title}": count for kind, count in gone.items()}
        elif one not in holdings:
            replaced[one.title] = sum(rows.values())
    return BuildReport(
        out,
        funnel,
        mine_now,
        {language: _examples(work, [one for one in mine if one.language == language]) for language in plans},
        replaced,
        sum(sum(plan["totals"].values()) for plan in plans.values()),
        sum(r.ran for r in reports),
        sum(r.skipped for r in reports),
        edited,
    )


def _scan(
    source: Source, units: list[Unit], work: Path, run: Callable[..., StageReport], asked: BuildSettings, origin: str
) -> tuple[StageReport, list[Holding]]:
    """Scan a source where it changed; what it gives, by language."""
    folders: dict[Place, dict[str, tuple[int, int]]] = {}
    for unit in units:
        if asked.rescan or not is_current(work / "scan" / unit.name, folders):
            (work / "scan" / "done" / f"{unit.name}.json").unlink(missing_ok=True)
    shards = [Shard(u.name, {k: v for k, v in asdict(u).items() if k != "name"}) for u in units]
    held = None if asked.rescan else partial(is_held, out=str(work.parent), build=uuid4().hex)
    scan = partial(scan_unit, source=source, verify=asked.verify, is_held=held, ner=asked.ner)
    settings: dict[str, Any] = {"version": BUILD_VERSION, "verify": asked.verify}
    if asked.ner != RULES:  # so that builds of earlier versions stay done
        settings |= {"ner": asked.ner}
    settings |= own_entries({unit.language for unit in units})  # which words are names is in their files
    report = run("scan", scan, shards, work / "scan", settings=settings).require_all()
    given = [
        Holding(
            source.name, source.title, origin, language, asked.verify, tuple(u for u in units if u.language == language)
        )
        for language in sorted({unit.language for unit in units})
    ]
    return report, given


def _gives_rows(holding: Holding, work: Path) -> bool:
    """Whether any row of a source passed the scan."""
    counts = (json.loads((work / "scan" / unit.name / COUNTS).read_text("utf-8"))["counts"] for unit in holding.units)
    return any(of.get(KEPT, 0) for of in counts)


def removals(out: Path) -> list[RemovalRecord]:
    """What `mella remove` took out of this folder before: it stays out."""
    return [asked_for(record) for record in read_records(out)]


def write_shard(shard: Shard, output: ShardOutput, *, source: Source, out: str, verify: bool, build: str) -> None:
    """The third stage: write one Parquet file of one split, reading each image once more."""
    language, split, index = (shard.payload[name] for name in ("language", "split", "index"))
    plan, written = Path(out, WORK, "plan", language), Path(out, WORK, "write")
    mine = f"-{source_key(source.name)}"

    def held(image_id: str) -> bytes:
        return held_image(Path(out), written, language, image_id, build)

    def image(unit: Unit, locator: str, image_id: str) -> str | bytes | Place:
        """The image from the source that is built; from the shards where another source gave it, or it is gone."""
        found = source.image(unit, locator) if unit.name.endswith(mine) else ""
        return held(image_id) if isinstance(found, str) and not os.path.exists(found) else found

    with open_writer(output.folder / FILE) as writer:
        for batch in planned_batches(plan, language, split, index, image, held, verify=verify):
            writer.write_batch(batch, row_group_size=len(batch))
            output.keep(len(batch))
            del batch  # or its images would be held while those of the next row group are read


def _plans(holdings: list[Holding], languages: list[str], work: Path, settings: dict[str, Any]) -> list[Shard]:
    """One plan a language; its payload changes whenever what one of its units gave does."""
    return [
        Shard(
            language,
            {
                **settings,
                "units": [
                    {
                        "name": unit.name,
                        "of": one.name,
                        "source": unit.source,
                        "payload": unit.payload,
                        "folder": str(work / "scan" / unit.name),
                        "digest": json.loads((work / "scan" / unit.name / COUNTS).read_text("utf-8"))["digest"],
                    }
                    for one in holdings
                    if one.language == language
                    for unit in one.units
                ],
            },
        )
        for language in languages
    ]


def _shards(plans: dict[str, dict[str, Any]]) -> list[Shard]:
    """One unit of writing for each Parquet file, named by what is in it."""
    return [
        Shard(
            f"{language}-{split}-{index:05d}-{digest[:12]}",
            {"language": language, "split": split, "index": index, "digest": digest},
        )
        for language, plan in plans.items()
        for split in SPLITS
        for index, digest in enumerate(plan["shards"][split])
    ]


def _publish(plans: dict[str, dict[str, Any]], written: Path, out: Path) -> None:
    """Give the files their places. Hard links: the stage keeps its output, the disk holds it once.

    Until all are in place, the files of the build before stay: images are read from them.
    """
    expected: dict[str, set[str]] = {language: set() for language in plans}
    current = _shards(plans)
    for shard in current:
        language, split, index = (shard.payload[name] for name in ("language", "split", "index"))
        name = f"{split}-{index:05d}-of-{plans[language]['totals'][split]:05d}.parquet"
        link_file(written / shard.name / FILE, out / language / name)
        expected[language].add(name)
    for language, names in expected.items():
        for path in (out / language).glob("*.parquet"):
            if path.name not in names:
                path.unlink()
        for folder in written.glob(f"{language}-*"):  # what an earlier plan wrote would only fill the disk
            if folder.name not in {shard.name for shard in current}:
                (written / "done" / f"{folder.name}.json").unlink(missing_ok=True)
                shutil.rmtree(folder)


def _kept_by_source(work: Path, holdings: list[Holding]) -> dict[str, dict[str, Any]]:
    """language -> source name -> kind -> counts, for every language that was planned."""
    found = {}
    for language in {one.language for one in holdings}:
        path = work / "plan" / language / PLAN
        if path.exists():
            found[language] = json.loads(path.read_text("utf-8")).get("sources", {})
    return found


def _rejects(work: Path, holdings: list[Holding], kind: str) -> Iterator[dict[str, Any]]:
    """The rejects of sources of one language and kind: those of the scan in the order of the units, then duplicates."""
    units = [unit for one in holdings for unit in one.units if unit.source == kind]
    for unit in units:
        yield from (reject for _, reject in json_lines(work / "scan" / "rejects" / f"{unit.name}.jsonl"))
    names = {unit.name for unit in units}
    for _, reject in json_lines(work / "plan" / "rejects" / f"{holdings[0].language}.jsonl") if units else ():
        if reject.pop("unit") in names:
            yield reject


def _examples(work: Path, holdings: list[Holding]) -> dict[str, dict[str, dict[str, Any]]]:
    """kind -> reason -> the first reject."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for kind in SOURCES:
        for reject in _rejects(work, holdings, kind):
            found.setdefault(kind, {}).setdefault(reject["reason"], reject)
    return found


def _collect_rejects(holdings: list[Holding], work: Path, out: Path) -> None:
    """One file of rejects a language and kind, over all sources."""
    for language, kind in sorted({(one.language, unit.source) for one in holdings for unit in one.units}):
        target = out / "rejects" / f"{language}-{kind}.jsonl"
        target.parent.mkdir(exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        with open(aside, "w", encoding="utf-8") as file:
            file.writelines(map(json_line, _rejects(work, [one for one in holdings if one.language == language], kind)))
        os.replace(aside, target)
