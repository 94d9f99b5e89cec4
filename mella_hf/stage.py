"""The engine that runs every data stage: resumable, shard by shard, in parallel.

A stage is a pure function `work(shard, output)`. Its output is written to a temporary place and renamed, and the
completion marker is written last, so a shard with a marker is complete. A rerun skips marked shards whose fingerprint
still matches, and an interrupted run leaves no half-written shard.

Any `concurrent.futures.Executor` can run the shards: a process pool by default, or for example that of a Dask cluster
(`mella_hf.cluster`).
"""

import hashlib
import json
import os
import pickle
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import uuid4

from mella_hf.errors import StageError
from mella_hf.files import sweep, write_atomic
from mella_hf.languages import adopt, travelling
from mella_hf.progress import progress_bar
from mella_hf.workers import end_with_parent

KEPT, DROPPED = "kept", "dropped_"  # names of counts; the reason follows
MAX_WORKER_DEATHS = 2  # a shard that kills its worker this often is set aside by name


def fingerprint(*parts: Any, root: Path | None = None) -> str:
    """16 hex digits that change when any of the JSON-serialisable parts changes.

    Args:
        root: paths below this folder count by their place in it, so that it may move.
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    if root is not None:
        text = text.replace(json.dumps(f"{root}/", ensure_ascii=False)[1:-1], "./")
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


@dataclass(frozen=True)
class Shard:
    """One unit of a stage's work.

    Attributes:
        name: unique within the stage, usable as a file name.
        payload: what `work` needs, picklable; part of the fingerprint through its JSON form.
    """

    name: str
    payload: Any


Mark = Mapping[str, Any]  # what a shard's marker says of how its output was made


def _mark(shard: Shard, settings: Mapping[str, Any], root: Path) -> Mark:
    """What decides a shard's output: the fingerprints of all of it, of each setting, and of the payload.

    Settings are never written as they are: a server's address may hold a password.
    """
    return {
        "fingerprint": fingerprint(shard.payload, settings, root=root),
        "settings": {name: fingerprint(value, root=root) for name, value in settings.items()},
        "payload": fingerprint(shard.payload, root=root),
    }


def _same(old: Mark, new: Mark, defaults: Mapping[str, Any]) -> bool:
    """Whether a shard was made in the same way. A setting that its version did not have yet had its default."""
    if old["fingerprint"] == new["fingerprint"]:
        return True
    known = old.get("settings")  # older versions of the engine did not write it
    if known is None or old["payload"] != new["payload"]:
        return False
    then = {name: fingerprint(value) for name, value in defaults.items() if name in new["settings"]}
    return {**then, **known} == new["settings"]


@dataclass
class ShardOutput:
    """The output of a shard: `work` writes its rows here and counts kept and dropped ones.

    Attributes:
        folder: an empty folder for this shard; its content at the end is the shard's output.
        counts: "kept" and "dropped_<reason>", in rows.
        rejects: one record per dropped row, written as JSON lines beside the output.
    """

    folder: Path
    counts: Counter[str] = field(default_factory=Counter)
    rejects: list[dict[str, Any]] = field(default_factory=list)

    def keep(self, rows: int = 1) -> None:
        """Count kept rows."""
        self.counts[KEPT] += rows

    def drop(self, reason: str, **what: Any) -> None:
        """Count a dropped row, with its reason and enough information to find it again."""
        self.counts[DROPPED + reason] += 1
        self.rejects.append({"reason": reason, **what})


Work = Callable[[Shard, ShardOutput], None]


@dataclass
class StageReport:
    """The result of a stage.

    Attributes:
        counts: "kept" and "dropped_<reason>" over all finished shards.
        outputs: folder of each finished shard, in the order of the shards given.
        ran, skipped: number of shards done in this run, and of shards that were already done.
        set_aside: names of shards that killed their worker repeatedly; their rows are in no output.
        seconds: wall time of this run.
    """

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    outputs: list[Path] = field(default_factory=list)
    ran: int = 0
    skipped: int = 0
    set_aside: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def dropped(self) -> dict[str, int]:
        """Rows dropped, by reason."""
        return dropped_by_reason(self.counts)

    def require_all(self) -> "StageReport":
        """Return the report. Raises StageError if shards were set aside, so that missing rows are noticed."""
        if self.set_aside:
            raise StageError(
                f"Stage {self.name!r}: {', '.join(self.set_aside)} killed every worker that tried (out of memory?). "
                "Run again with fewer workers, or remove those rows from the source. Finished shards are kept."
            )
        return self


def dropped_by_reason(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts that begin with "dropped_", under what follows, in alphabetical order."""
    return {name.removeprefix(DROPPED): n for name, n in sorted(counts.items()) if name.startswith(DROPPED)}


def run_shard(work: Work, shard: Shard, root: str, mark: Mark) -> dict[str, int]:
    """Run `work` on one shard and publish its folder, its rejects and, last, its marker."""
    out = Path(root)
    # A unique name: on a cluster, a worker that seems dead may still work on the same shard.
    aside = out / ".partial" / f"{shard.name}.{uuid4().hex[:12]}"
    aside.mkdir(parents=True)
    output = ShardOutput(aside)
    work(shard, output)
    final = out / shard.name
    before = aside.with_name(f"{aside.name}.before")
    if final.exists():  # no marker: an earlier run was interrupted
        # A worker that seemed dead and continues after the end of the stage finds no `.partial` any more, and so
        # takes nothing away.
        with suppress(FileNotFoundError):
            os.replace(final, before)
    os.replace(aside, final)
    shutil.rmtree(before, ignore_errors=True)
    lines = "".join(json.dumps(r, ensure_ascii=False, sort_keys=True) + "\n" for r in output.rejects)
    write_atomic(out / "rejects" / f"{shard.name}.jsonl", lines)
    counts = dict(sorted(output.counts.items()))
    write_atomic(out / "done" / f"{shard.name}.json", json.dumps({**mark, "counts": counts}))
    return counts


def run_in_worker(work: Work, shard: Shard, root: str, mark: Mark, languages: str) -> dict[str, int]:
    """Run `run_shard` in a worker, and raise its errors in a form that reaches the caller.

    An error that cannot be unpickled would break the pool and look like a dead worker.

    Args:
        languages: those that the caller knows beyond the shipped ones, as `mella_hf.languages.travelling` says them.
    """
    adopt(languages)
    try:
        return run_shard(work, shard, root, mark)
    except Exception as error:  # any error: it is raised again
        if _travels(error):
            raise
        said = f"Shard {shard.name!r} failed with {type(error).__name__}: {error}"
    raise StageError(said)  # outside of `except`: Dask pickles an error with its context, which would not travel either


def _travels(error: Exception) -> bool:
    try:
        return isinstance(pickle.loads(pickle.dumps(error)), type(error))
    except Exception:  # whatever its __init__ or __reduce__ raises
        return False


def _finished(out: Path, shard: Shard, mark: Mark, defaults: Mapping[str, Any]) -> dict[str, int] | None:
    """The counts of a shard whose marker says that it was made in this way; otherwise None."""
    marker = out / "done" / f"{shard.name}.json"
    if not marker.exists():
        return None
    record = json.loads(marker.read_text("utf-8"))
    return record["counts"] if _same(record, mark, defaults) else None


def run_stage(
    name: str,
    work: Work,
    shards: Sequence[Shard],
    out: Path | str,
    *,
    settings: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> StageReport:
    """Run `work` on all shards that are not done, and report on all shards.

    Args:
        name: for the progress bar and the errors.
        work: a picklable function of (Shard, ShardOutput).
        out: the stage's folder; holds `<shard>/`, `rejects/<shard>.jsonl`, `done/<shard>.json`.
        settings: everything else that the output depends on; after a change the shards run again.
        defaults: of settings; one that a later version adds, at its default, does not make the shards run again.
        workers: processes; the number of cores by default, 0 runs in this process.
        executor: used instead of our own processes; it is not shut down.

    Raises:
        StageError: when shard names repeat, or the executor lost shards (its cluster went away). An exception
            of `work` is raised unchanged, after the running shards have finished. Finished shards are kept.
    """
    start = time.perf_counter()
    out = Path(out)
    names = Counter(shard.name for shard in shards)
    repeated = [n for n, k in names.items() if k > 1]
    if repeated:
        raise StageError(f"Stage {name!r}: the shard name {repeated[0]!r} is used twice; shard names must be unique.")
    marks = {shard.name: _mark(shard, dict(settings or {}), out.parent.absolute()) for shard in shards}
    counts: dict[str, Mapping[str, int]] = {}
    for shard in shards:
        found = _finished(out, shard, marks[shard.name], defaults or {})
        if found is not None:
            counts[shard.name] = found
    report = StageReport(name, skipped=len(counts))
    missing = [shard for shard in shards if shard.name not in counts]
    for shard in missing:  # remove old markers before their shards are replaced
        (out / "done" / f"{shard.name}.json").unlink(missing_ok=True)
    if missing:
        run = _Run(name, work, out, marks, counts, progress, total=len(shards))
        report.set_aside = run.with_executor(missing, executor) if executor else run.with_processes(missing, workers)
    shutil.rmtree(out / ".partial", ignore_errors=True)
    for folder in (out / "done", out / "rejects"):
        sweep(folder)
    report.ran = len(counts) - report.skipped
    for shard in shards:
        if shard.name in counts:
            report.counts.update(counts[shard.name])
            report.outputs.append(out / shard.name)
    report.seconds = time.perf_counter() - start
    return report


@dataclass
class _Run:
    """One pass of a stage over its missing shards."""

    name: str
    work: Work
    out: Path
    marks: Mapping[str, Mark]
    counts: dict[str, Mapping[str, int]]
    progress: bool
    total: int

    def with_processes(self, shards: Sequence[Shard], workers: int | None) -> list[str]:
        """Use local processes; after the death of one, look which shard kills them. Return the shards set aside."""
        if workers == 0:
            with self._bar() as bar:
                for shard in shards:
                    self.counts[shard.name] = run_shard(self.work, shard, str(self.out), self.marks[shard.name])
                    bar.update()
            return []
        size = workers or os.cpu_count() or 1
        try:
            with ProcessPoolExecutor(size, get_context("spawn"), initializer=end_with_parent) as pool:
                self._collect(shards, pool)
        except BrokenProcessPool:
            return self._find_killers([shard for shard in shards if shard.name not in self.counts])
        return []

    def _find_killers(self, suspects: Sequence[Shard]) -> list[str]:
        """Run each suspect in its own pool, because a broken pool does not say which shard broke it."""
        killers = []
        for shard in suspects:
            for _ in range(MAX_WORKER_DEATHS):
                with suppress(BrokenProcessPool):
                    with ProcessPoolExecutor(1, get_context("spawn"), initializer=end_with_parent) as pool:
                        self._collect([shard], pool)
                    break
            else:
                killers.append(shard.name)
        return killers

    def with_executor(self, shards: Sequence[Shard], executor: Executor) -> list[str]:
        """Use the caller's executor. Return the shards set aside.

        A cluster gives up every shard that was often enough on a dying worker, even if another shard killed it. So each
        of them runs once more, alone.
        """
        return [shard.name for shard in self._collect(shards, executor) if self._collect([shard], executor)]

    def _collect(self, shards: Iterable[Shard], executor: Executor) -> list[Shard]:
        """Run shards and record their results. Return those that the executor gave up because workers died."""
        languages = travelling()
        futures: dict[Future[dict[str, int]], Shard] = {
            executor.submit(run_in_worker, self.work, shard, str(self.out), self.marks[shard.name], languages): shard
            for shard in shards
        }
        failure: BaseException | None = None
        given_up: list[Shard] = []
        lost = 0
        with self._bar() as bar:
            for future in as_completed(futures):
                shard = futures[future]
                if future.cancelled():
                    lost += 1
                    continue
                error = future.exception()
                if error is not None:
                    if _killed_its_workers(error):
                        given_up.append(shard)
                        continue
                    if failure is None or isinstance(failure, BrokenProcessPool):
                        failure = error
                    for other in futures:
                        other.cancel()
                    continue
                self.counts[shard.name] = future.result()
                bar.update()
        if failure is not None:
            raise failure
        if lost:  # and nobody here has cancelled them
            raise StageError(
                f"Stage {self.name!r}: the connection to the cluster broke with {lost} of {len(futures)} shards "
                "unfinished. Check that its scheduler runs, and run the same command again. Finished shards are kept."
            )
        return given_up

    def _bar(self) -> Any:
        return progress_bar(
            total=self.total, initial=len(self.counts), desc=self.name, unit="shard", shown=self.progress
        )


def _killed_its_workers(error: BaseException) -> bool:
    """Whether this is Dask's word for a task whose workers died; nothing else raises it, so Dask is loaded then."""
    dask = sys.modules.get("distributed")
    return dask is not None and isinstance(error, dask.KilledWorker)
