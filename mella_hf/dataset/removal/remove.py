"""Take samples out of a dataset folder, and put the request on record.

Only the shards concerned are rewritten, row group by row group, so that publishing afterwards sends little. All that
changes (shards, their numbers, the card, the record) is first written aside, in `.removal/`; then a plan of renames
takes effect by one rename of its own. A run killed before that has changed nothing; after that, whoever opens the
folder next finishes the plan. `replace_splits` changes a dataset in the same way for others.
"""

import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mella_hf.dataset.card.card import CARD, FACTS, FUNNEL, THUMBNAILS, edited_name, is_edited, write_card, write_funnel
from mella_hf.dataset.card.croissant import CROISSANT
from mella_hf.dataset.files import NoDatasetError
from mella_hf.dataset.removal.requests import (
    ADDRESSES,
    REMOVALS,
    Request,
    make_request,
    read_records,
    records_text,
    with_record,
)
from mella_hf.dataset.thumbnails import write_thumbnails
from mella_hf.dataset.write import languages_in, open_writer, shard_name, shard_paths
from mella_hf.errors import MellaError
from mella_hf.files import ASIDE, write_atomic
from mella_hf.html.notebook import Shown, ShownTable
from mella_hf.locks import NAME, sole_use
from mella_hf.sample import SPLITS, as_record
from mella_hf.text.addresses import url_key

LOCK = NAME  # held by whatever changes a dataset folder: a build, a removal
STAGE, PLAN = ".removal", "plan.json"
NEW, VIEW = "new", "view"  # in STAGE: the files to come, and the folder as it will be


@dataclass(repr=False)
class RemoveReport(Shown):
    """What a removal did.

    Attributes:
        removed: "language/split" -> rows.
        hosts: host -> rows, of those that went for their domain.
        rewritten: the shards that changed.
        emptied: "language/split" that have no row any more.
        not_found: ids and URLs of the request that no row has.
        edited_card: the name under which a card that was edited by hand is kept; "" when there was none.
    """

    request: Request
    removed: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    rewritten: list[Path] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    not_found: list[str] = field(default_factory=list)
    edited_card: str = ""

    def _table(self) -> ShownTable:
        rows = [
            [place, f"{count:,}", "none left" if place in self.emptied else ""]
            for place, count in sorted(self.removed.items())
        ]
        notes = [f"from {host}: {count:,}" for host, count in self.hosts.most_common()]
        notes += [f"not found: {name}" for name in self.not_found]
        title = f"{self.removed.total():,} rows removed, {len(self.rewritten)} shards rewritten"
        return ShownTable(title, ("", "rows removed", ""), rows, notes)

    def as_json(self) -> dict[str, Any]:
        """As what JSON can hold."""
        request = {name: sorted(values) for name, values in vars(self.request).items()}
        return vars(self) | {"request": request, "rewritten": list(map(str, self.rewritten))}

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> "RemoveReport":
        """The report that `as_json` gave."""
        request = Request(**{name: frozenset(values) for name, values in content["request"].items()})
        counts = {name: Counter(content[name]) for name in ("removed", "hosts")}
        return cls(**content | counts | {"request": request, "rewritten": list(map(Path, content["rewritten"]))})


@dataclass
class _Plan:
    """Renames that bring a folder into its new state; doing one again changes nothing.

    Attributes:
        place: names of the files in `.removal/new` that go to the same place in the folder.
        move: (old name, new name) of shards that get another number.
        delete: names of files that go.
        splits: "language-split" whose copies in the build's own folder go.
    """

    place: list[str] = field(default_factory=list)
    move: list[tuple[str, str]] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)


def remove_samples(
    folder: Path | str, *, ids: Iterable[str] = (), urls: Iterable[str] = (), domain: str | None = None
) -> RemoveReport:
    """Take samples out of a dataset folder. Killed half-way, the same call finishes the work.

    Args:
        ids: sample ids.
        urls: addresses of pages or images; rows with that `page_url` or `image_url` go.
        domain: rows go whose `domain`, page or image is of this host or a subdomain of it; `*.example.org` leaves
            the rows of `example.org` itself.

    Raises:
        MellaError: on an id that is not 64 hex digits, a request for nothing, or a folder without a dataset, or that
            another process changes.
    """
    folder = Path(folder)
    request = make_request(ids, urls, domain)
    if not folder.is_dir():
        raise MellaError(f"{folder} holds no dataset: it is not a folder. Give the folder of a dataset.")
    with sole_use(folder / LOCK, folder, "mella remove"):
        return _remove(folder, request)


def _remove(folder: Path, request: Request) -> RemoveReport:
    finished = complete_removal(folder)
    if not languages_in(folder) and finished is None:
        raise NoDatasetError(folder)
    new_shards(folder)
    plan, report, seen = _Plan(), RemoveReport(request), set[str]()
    for language in languages_in(folder):
        for split in SPLITS:
            seen |= _stage_split(folder, language, split, request, plan, report)
    report.not_found = sorted((request.ids | request.urls) - seen)
    records = with_record(read_records(folder), request, report.emptied)
    if not report.removed:
        shutil.rmtree(folder / STAGE, ignore_errors=True)
        write_atomic(folder / REMOVALS, records_text(records))
        return finished if finished is not None and finished.request == request else report
    write_atomic(folder / STAGE / NEW / REMOVALS, records_text(records))
    plan.place.append(REMOVALS)
    report.edited_card = _stage_card(folder, plan)
    _carry_out(folder, plan, report.as_json())
    return report


def new_shards(folder: Path) -> Path:
    """An empty folder for the shards that `replace_splits` then puts into their places."""
    shutil.rmtree(folder / STAGE, ignore_errors=True)
    return folder / STAGE / NEW


def replace_splits(
    folder: Path, splits: Mapping[str, Sequence[str]], funnel: Mapping[str, Mapping[str, Mapping[str, int]]]
) -> None:
    """Put new versions of splits into their places, and write the card anew: all of it or nothing.

    For whoever holds the folder's lock. Killed half-way, whoever opens the folder next finishes it, as a removal.

    Args:
        splits: "language/split" -> the names of its shards in `new_shards(folder)`; of none, the split goes.
        funnel: what the dataset's builds kept and dropped now.
    """
    plan = _Plan()
    for language in languages_in(folder):
        for split in SPLITS:
            old = {f"{language}/{path.name}": path for path in shard_paths(folder, language, split)}
            new = splits.get(f"{language}/{split}")
            if new is not None:
                plan.place += new
                plan.delete += sorted(old.keys() - set(new))
                old = {name: folder / STAGE / NEW / name for name in new}
            for name, path in old.items():
                _link(path, folder / STAGE / VIEW / name)
    if funnel:
        write_funnel(folder / STAGE / NEW, funnel)
        plan.place.append(FUNNEL)
    _stage_card(folder, plan)
    _carry_out(folder, plan, None)


def _carry_out(folder: Path, plan: _Plan, report: dict[str, Any] | None) -> None:
    content = {"plan": asdict(plan), "report": report}
    write_atomic(folder / STAGE / PLAN, json.dumps(content))  # from here on the change is done, whatever happens
    complete_removal(folder)


def finish_removal(folder: Path | str) -> RemoveReport | None:
    """Finish a removal or `replace_splits` that was killed after its plan was written; None when no removal was.

    Raises:
        MellaError: when the folder cannot be written to, or the removal is still at work.
    """
    folder = Path(folder)
    if not (folder / STAGE / PLAN).exists():
        return None
    try:
        with sole_use(folder / LOCK, folder, "a removal"):
            return complete_removal(folder)
    except OSError as error:
        raise MellaError(
            f"{folder}: a removal was cut short and cannot be finished ({error}). Make the folder writable, with room "
            "for another copy of its largest file, and run the command again."
        ) from error


def complete_removal(folder: Path) -> RemoveReport | None:
    """As `finish_removal`, for whoever holds the folder's lock."""
    stage = folder / STAGE
    if not (stage / PLAN).exists():
        return None
    content = json.loads((stage / PLAN).read_text("utf-8"))
    try:
        _apply(folder, _Plan(**content["plan"]))
        (stage / PLAN).unlink()
        shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        raise MellaError(
            f"{folder}: a removal was cut short and cannot be finished ({error}). Make the folder writable, with room "
            "for another copy of its largest file, and run the command again."
        ) from error
    return None if content["report"] is None else RemoveReport.of_json(content["report"])


def _apply(folder: Path, plan: _Plan) -> None:
    for old, new in plan.move:
        if (folder / old).exists():
            os.replace(folder / old, folder / new)
    for name in plan.place:
        if (folder / STAGE / NEW / name).exists():
            _put(folder / STAGE / NEW / name, folder / name)
    for name in plan.delete:
        (folder / name).unlink(missing_ok=True)
    for home in {(folder / name).parent for name in plan.delete} - {folder}:
        if home.is_dir() and not home.is_symlink() and not any(home.iterdir()):
            home.rmdir()
    for split in plan.splits:
        _forget_build(folder, split)


def _put(source: Path, target: Path) -> None:
    """Move a file to its place, also where a link leads to another disk."""
    target.parent.mkdir(exist_ok=True)
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        aside = target.with_name(f".{target.name}.{os.getpid()}{ASIDE}")
        shutil.copyfile(source, aside)
        os.replace(aside, target)


def _stage_split(
    folder: Path, language: str, split: str, request: Request, plan: _Plan, report: RemoveReport
) -> set[str]:
    """Write the shards of a split that change, and link all of them into the view; returns the ids and URLs that go."""
    paths = shard_paths(folder, language, split)
    gone = [_gone(path, request) for path in paths]
    rows = sum(mask.true_count for mask, _ in gone)
    left = [path for path, (mask, _) in zip(paths, gone, strict=True) if mask.true_count < len(mask)]
    seen = set[str]()
    for path, (mask, found) in zip(paths, gone, strict=True):
        name = f"{language}/{shard_name(split, left.index(path), len(left))}" if path in left else None
        old = f"{language}/{path.name}"
        if found and name:
            plan.place.append(name)
            _rewrite(path, folder / STAGE / NEW / name, mask)
            report.rewritten.append(folder / name)
        elif name and name != old and rows:
            plan.move.append((old, name))
        if rows and old != name and (old, name) not in plan.move:
            plan.delete.append(old)
        if name:
            source = folder / STAGE / NEW / name if found else path
            _link(source, folder / STAGE / VIEW / name)
        seen |= {row["id"] for row in found}
        seen |= {url_key(row[name]) for row in found for name in ("page_url", "image_url") if row[name]}
        report.hosts.update(host for host in map(request.host, found) if host is not None)
    if rows:
        report.removed[f"{language}/{split}"] += rows
        report.emptied += [] if left else [f"{language}/{split}"]
        plan.splits.append(f"{language}-{split}")
    return seen


def _gone(path: Path, request: Request) -> tuple[pa.BooleanArray, list[dict[str, Any]]]:
    """Which rows of a shard go, and what they say of where they are from."""
    named = pq.ParquetFile(path).read(columns=["id", *ADDRESSES])
    mask = request.matches(named)
    return mask, named.filter(mask).to_pylist()


def _rewrite(path: Path, target: Path, gone: pa.BooleanArray) -> None:
    """Write a shard again without some of its rows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    parquet, keep, start = pq.ParquetFile(path), pc.invert(gone), 0
    with open_writer(target) as writer:
        for group in range(parquet.num_row_groups):
            rows = parquet.metadata.row_group(group).num_rows
            part = keep.slice(start, rows)
            start += rows
            if pc.any(part).as_py():
                kept = as_record(parquet.read_row_group(group).filter(part))
                writer.write_table(kept, row_group_size=rows)
    with open(target, "rb") as file:
        os.fsync(file.fileno())


def _stage_card(folder: Path, plan: _Plan) -> str:
    """Make the card of the folder as it will be. Without any row left there is none.

    Returns:
        The name under which a card that was edited by hand is kept; "" when there was none.
    """
    view, new = folder / STAGE / VIEW, folder / STAGE / NEW
    view.mkdir(parents=True, exist_ok=True)
    for name in (CARD, FUNNEL):
        source = next((home / name for home in (new, folder) if (home / name).exists()), None)
        if source is not None:
            shutil.copyfile(source, view / name)
    before = {path.relative_to(folder).as_posix() for path in card_paths(folder)}
    if languages_in(view):
        write_thumbnails(view)
        write_card(view)
    after = {path.relative_to(view).as_posix(): path for path in card_paths(view)}
    for name, path in after.items():
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, new / name)
    plan.place += after
    plan.delete += sorted(before - after.keys())
    if not is_edited(folder):
        return ""
    name = edited_name(folder)
    shutil.copyfile(folder / "README.md", new / name)
    plan.place.append(name)
    return name


def card_paths(folder: Path) -> list[Path]:
    """The files of a folder that are computed from its rows: the card and what belongs to it."""
    return sorted(
        path
        for pattern in ("README.md", CARD, FACTS, CROISSANT, f"{THUMBNAILS}/*.jpg")
        for path in folder.glob(pattern)
    )


def _link(source: Path, target: Path) -> None:
    """Show a file under another name, for reading: by a link, where the file system has them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for make in (os.link, os.symlink, shutil.copyfile):
        try:
            make(source.resolve(), target)
            return
        except OSError:
            continue
    raise MellaError(
        f"Cannot write {target}. A removal writes beside the dataset: free some space, or make the folder writable."
    )


def _forget_build(folder: Path, split: str) -> None:
    """Take away the build's own copies of a split, which still hold what was removed."""
    work = folder / ".build" / "write"
    for path in [*(work / "done").glob(f"{split}-[0-9]*.json"), *work.glob(f"{split}-[0-9]*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
