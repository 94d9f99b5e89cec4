"""The engine: what is done stays done, a dying worker costs its shard at most, output does not depend on workers."""

import json
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mella_hf.errors import MissingExtraError, StageError
from mella_hf.files import write_atomic
from mella_hf.stage import (
    MAX_WORKER_DEATHS,
    Shard,
    ShardOutput,
    StageReport,
    dropped_by_reason,
    fingerprint,
    run_in_worker,
    run_shard,
    run_stage,
)
from mella_hf.workers import end_with_parent


class Stubborn(Exception):
    """Cannot be unpickled: its arguments are not those of its __init__, whoever pickles it.

    Without a `__reduce__` of its own it could be, once `distributed` is imported, whose tblib pickles errors by their
    attributes.
    """

    def __init__(self, one: int, two: int):
        super().__init__(f"{one} and {two}")

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (str(self),)


def shout(shard: Shard, output: ShardOutput) -> None:
    """Write the payload in capitals; "bad" rows are dropped, "die" kills the process, "die once" once."""
    text, log = shard.payload
    with open(log, "a") as file:
        file.write(shard.name + "\n")
    if text == "die" or (text == "die once" and Path(log).read_text().split().count(shard.name) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if text == "raise":
        raise ZeroDivisionError("shard raised")
    if text == "stubborn":
        raise Stubborn(1, 2)
    if text == "die half-way":
        (output.folder / "half.txt").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    output.drop("bad", word=text) if text == "bad" else output.keep()
    (output.folder / "text.txt").write_text(text.upper())


def shards(texts: list[str], tmp_path: Path) -> list[Shard]:
    return [Shard(f"s{i}", [text, str(tmp_path / "log")]) for i, text in enumerate(texts)]


def runs(tmp_path: Path) -> list[str]:
    return sorted((tmp_path / "log").read_text().split())


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_later_version_with_one_more_setting_does_nothing_again(tmp_path: Path) -> None:
    """A new setting at its default changes nothing; away from it, or where another one moved, the shards run again."""

    def run(settings: dict[str, object], **defaults: object) -> int:
        work = shards(["a", "b"], tmp_path)
        out = tmp_path / "out"
        return run_stage("t", shout, work, out, settings=settings, defaults=defaults, workers=0, progress=False).ran

    assert run({"kinds": ("png",), "most": 3}) == 2
    assert run({"kinds": ("png",), "most": 3, "faces": False}, faces=False, kinds=("jpeg",)) == 0
    assert run({"kinds": ("png",), "most": 3, "faces": False, "hosts": ("a",)}, faces=False, hosts=("a",)) == 0
    assert run({"kinds": ("png",), "most": 3, "faces": True}, faces=False) == 2
    assert run({"kinds": ("png",), "most": 3}, faces=False) == 2  # the setting is gone, and was not at its default
    assert run({"kinds": ("jpeg",), "most": 3, "faces": False}, faces=False, kinds=("jpeg",)) == 2
    assert (
        run({"kinds": ("jpeg",), "most": 3, "faces": False, "new": None}, faces=False) == 2
    )  # its default is not known


def test_counts_rejects_and_markers(tmp_path: Path) -> None:
    report = run_stage("t", shout, shards(["a", "bad", "c"], tmp_path), tmp_path / "out", workers=0, progress=False)
    assert report.counts == {"kept": 2, "dropped_bad": 1}
    assert report.dropped == {"bad": 1}
    assert [p.name for p in report.outputs] == ["s0", "s1", "s2"]
    assert json.loads((tmp_path / "out/rejects/s1.jsonl").read_text()) == {"reason": "bad", "word": "bad"}
    assert (tmp_path / "out/s2/text.txt").read_text() == "C"


@pytest.mark.parametrize("workers", [1, 2])
def test_output_does_not_depend_on_workers(tmp_path: Path, workers: int) -> None:
    work = shards(["a", "b", "bad", "d"], tmp_path)
    run_stage("t", shout, work, tmp_path / "serial", workers=0, progress=False)
    run_stage("t", shout, work, tmp_path / "parallel", workers=workers, progress=False)
    assert tree(tmp_path / "serial") == tree(tmp_path / "parallel")


def test_a_rerun_runs_only_what_changed(tmp_path: Path) -> None:
    first = run_stage("t", shout, shards(["a", "b"], tmp_path), tmp_path / "out", workers=0, progress=False)
    second = run_stage("t", shout, shards(["a", "B2"], tmp_path), tmp_path / "out", workers=0, progress=False)
    assert (first.ran, first.skipped, second.ran, second.skipped) == (2, 0, 1, 1)
    assert runs(tmp_path) == ["s0", "s1", "s1"]
    third = run_stage(
        "t", shout, shards(["a", "B2"], tmp_path), tmp_path / "out", workers=0, settings={"v": 2}, progress=False
    )
    assert third.ran == 2


def test_a_worker_that_dies_once_costs_nothing(tmp_path: Path) -> None:
    work = shards(["a", "die once", "c", "d"], tmp_path)
    report = run_stage("t", shout, work, tmp_path / "out", workers=2, progress=False)
    assert report.set_aside == []
    assert report.counts["kept"] == 4


def test_a_shard_that_always_kills_is_set_aside_by_name(tmp_path: Path) -> None:
    work = shards(["a", "die", "c", "d"], tmp_path)
    report = run_stage("t", shout, work, tmp_path / "out", workers=2, progress=False)
    assert report.set_aside == ["s1"]
    assert [p.name for p in report.outputs] == ["s0", "s2", "s3"]
    assert not (tmp_path / "out/done/s1.json").exists()


def test_an_exception_reaches_the_caller_and_leaves_no_marker(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="shard raised"):
        run_stage("t", shout, shards(["raise"], tmp_path), tmp_path / "out", workers=1, progress=False)
    assert not list(tmp_path.glob("out/done/*"))


def test_an_error_that_does_not_pickle_is_not_a_dead_worker(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="Shard 's0' failed with Stubborn: 1 and 2"):
        run_stage("t", shout, shards(["stubborn"], tmp_path), tmp_path / "out", workers=1, progress=False)


def test_a_worker_knows_the_languages_of_its_caller_and_raises_errors_that_travel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopted: list[str] = []
    monkeypatch.setattr("mella_hf.stage.adopt", adopted.append)
    good, failing, stubborn = shards(["a", "raise", "stubborn"], tmp_path)
    out = str(tmp_path / "out")
    assert run_in_worker(shout, good, out, {}, "the languages") == {"kept": 1}
    with pytest.raises(ZeroDivisionError, match="shard raised"):
        run_in_worker(shout, failing, out, {}, "")
    with pytest.raises(StageError, match="^Shard 's2' failed with Stubborn: 1 and 2$"):
        run_in_worker(shout, stubborn, out, {}, "")
    assert adopted == ["the languages", "", ""]


def test_a_shard_that_runs_again_leaves_nothing_of_the_first_time(tmp_path: Path) -> None:
    for text in ("first", "second"):
        (shard,) = shards([text], tmp_path)
        run_shard(shout, shard, str(tmp_path / "out"), {})
    assert (tmp_path / "out/s0/text.txt").read_text() == "SECOND"
    assert list((tmp_path / "out/.partial").iterdir()) == []


def test_a_missing_extra_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(MissingExtraError("kiwipiepy", "metrics", "Korean tokenisation")))
    assert "Korean tokenisation needs the package 'kiwipiepy'" in str(error)
    assert "pip install 'mella_hf[metrics]'" in str(error)


def test_any_executor_will_do(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        report = run_stage("t", shout, shards(["a", "b"], tmp_path), tmp_path / "out", executor=pool, progress=False)
    assert report.counts["kept"] == 2


def test_killed_within_a_shard_it_leaves_no_half(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from test_stage import shout, shards\nfrom mella_hf.stage import run_stage\nfrom pathlib import Path\n"
        "t = Path(sys.argv[1])\n"
        "run_stage('t', shout, shards(['a', 'die half-way'], t), t / 'out', workers=0, progress=False)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)])
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("out/.partial/s1.*/half.txt"))
    assert (tmp_path / "out/done/s0.json").exists()
    assert not (tmp_path / "out/s1").exists()
    report = run_stage("t", shout, shards(["a", "b"], tmp_path), tmp_path / "out", workers=0, progress=False)
    assert (report.ran, report.skipped) == (1, 1)
    assert not (tmp_path / "out/.partial").exists()


def test_a_run_killed_before_the_marker_does_not_leave_the_marker_of_older_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old settings, new ones that stop between output and marker, old ones again: the output must be theirs."""

    def suffixed(shard: Shard, output: ShardOutput) -> None:
        (output.folder / "text.txt").write_text(suffix)

    def no_marker(path: Path, content: str) -> None:
        if path.parent.name == "done":
            raise KeyboardInterrupt
        write_atomic(path, content)

    def run(settings: str) -> None:
        run_stage("t", suffixed, [Shard("s0", 1)], tmp_path, settings={"as": settings}, workers=0, progress=False)

    suffix = "old"
    run("old")
    with monkeypatch.context() as patch:
        patch.setattr("mella_hf.stage.write_atomic", no_marker)
        suffix = "new"
        with pytest.raises(KeyboardInterrupt):
            run("new")
    assert (tmp_path / "s0/text.txt").read_text() == "new"
    suffix = "old"
    run("old")
    assert (tmp_path / "s0/text.txt").read_text() == "old"


def test_a_worker_that_comes_to_itself_too_late_takes_nothing_away(tmp_path: Path) -> None:
    """While it was thought dead, the stage was run again to its end."""
    out = tmp_path / "out"
    (shard,) = shards(["a"], tmp_path)

    def late(shard: Shard, output: ShardOutput) -> None:
        run_stage("t", shout, [shard], out, workers=0, progress=False)

    with pytest.raises(FileNotFoundError):
        run_shard(late, shard, str(out), {"fingerprint": "its mark"})
    assert (out / "s0/text.txt").read_text() == "A"
    assert json.loads((out / "done/s0.json").read_text())["fingerprint"] != "its mark"


def test_shard_names_must_be_unique(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="'s0' is used twice; shard names must be unique"):
        run_stage("t", shout, [Shard("s0", 1), Shard("s0", 2)], tmp_path, workers=0)


def test_write_atomic_replaces_whole_files(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a/b.txt", "one")
    write_atomic(tmp_path / "a/b.txt", "two")
    assert tree(tmp_path) == {"a/b.txt": b"two"}


def test_what_a_killed_run_left_aside_goes(tmp_path: Path) -> None:
    run_stage("t", shout, shards(["a"], tmp_path), tmp_path / "out", workers=0, progress=False)
    whole = tree(tmp_path / "out")
    (tmp_path / "out/done/.s0.json.123.tmp").write_text("{")
    (tmp_path / "out/rejects/.s0.jsonl.123.tmp").write_text("")
    run_stage("t", shout, shards(["a"], tmp_path), tmp_path / "out", workers=0, progress=False)
    assert tree(tmp_path / "out") == whole


def test_fingerprint_sees_order_of_lists_but_not_of_keys() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint([1, 2]) != fingerprint([2, 1])


def test_fingerprints_are_those_of_the_markers_that_lie_about() -> None:
    """The first 16 digits of the sha256 of the parts as JSON; another form would run every finished stage again."""
    assert (
        fingerprint("Kůň", {"b": 1, "a": Path("x")}) == sha256('["Kůň", {"a": "x", "b": 1}]'.encode()).hexdigest()[:16]
    )


def test_a_folder_that_moves_is_the_same_folder() -> None:
    assert fingerprint({"path": "/data/é/a"}, root=Path("/data/é")) == fingerprint({"path": "./a"})
    here, there = ({"path": f"{root}/mella/a.parquet"} for root in ("/data/here", "/mnt/thé re"))
    assert fingerprint(here, root=Path("/data/here")) == fingerprint(there, root=Path("/mnt/thé re"))
    assert fingerprint(here) != fingerprint(there)
    assert fingerprint(["/data/here2/a"], root=Path("/data/here")) == fingerprint(["/data/here2/a"])  # beside it


def test_a_stage_that_moved_with_its_source_is_done(tmp_path: Path) -> None:
    """At its new place; and there once more for a version with one more setting, which compares setting by setting."""

    def run(root: Path, **more: int) -> int:
        work = [Shard("s0", {"path": str(root / "source" / "a.parquet")})]
        settings = {"read": str(root / "source"), **more}
        return run_stage(
            "t", lambda shard, output: output.keep(), work, root / "out", settings=settings, defaults={"new": 1},
            workers=0, progress=False,
        ).ran  # fmt: skip

    here, there, elsewhere = (tmp_path / name for name in ("here", "there", "elsewhere"))
    assert run(here) == 1
    here.rename(there)
    assert run(there) == 0
    there.rename(elsewhere)
    assert run(elsewhere, new=1) == 0


def test_the_bar_begins_with_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[Any] = []

    class Bar:
        def __init__(self, **settings: Any) -> None:
            self.settings, self.steps = settings, 0
            bars.append(self)

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *error: Any) -> None:
            pass

        def update(self) -> None:
            self.steps += 1

    monkeypatch.setattr("mella_hf.stage.progress_bar", Bar)
    work = shards(["a", "b", "c"], tmp_path)
    run_stage("t", shout, work[:1], tmp_path / "out", workers=0, progress=False)
    run_stage("t", shout, work, tmp_path / "out", workers=0)
    (first, second), told = bars, {"desc": "t", "unit": "shard"}
    assert first.settings == {"total": 1, "initial": 0, "shown": False, **told} and first.steps == 1
    assert second.settings == {"total": 3, "initial": 1, "shown": True, **told} and second.steps == 2


def test_a_marker_says_how_a_shard_was_made_but_no_secret(tmp_path: Path) -> None:
    run_stage(
        "t", shout, shards(["bad"], tmp_path), tmp_path / "out", workers=0, progress=False,
        settings={"server": "http://me:secret@example.org"},
    )  # fmt: skip
    text = (tmp_path / "out/done/s0.json").read_text("utf-8")
    marker = json.loads(text)
    assert "secret" not in text and marker["counts"] == {"dropped_bad": 1}
    assert marker["settings"] == {"server": fingerprint("http://me:secret@example.org")}
    assert set(marker) == {"fingerprint", "settings", "payload", "counts"}
    del marker["settings"], marker["payload"]  # as an older engine wrote it
    (tmp_path / "out/done/s0.json").write_text(json.dumps(marker))
    again = {"server": "http://me:secret@example.org"}
    for settings, ran in ((again, 0), ({}, 1)):
        report = run_stage(
            "t", shout, shards(["bad"], tmp_path), tmp_path / "out", workers=0, settings=settings, progress=False
        )
        assert (report.ran, report.skipped, report.counts) == (ran, 1 - ran, {"dropped_bad": 1})


def test_rejects_are_lines_of_readable_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mella_hf.stage.time", SimpleNamespace(perf_counter=iter([5.0, 7.5]).__next__))

    def reject(shard: Shard, output: ShardOutput) -> None:
        output.drop("long", text="Kůň", at=1)
        output.drop("long", text="Pes", at=2)
        output.keep(3)
        output.keep()

    report = run_stage("t", reject, [Shard("s0", 1)], tmp_path, workers=0, progress=False)
    lines = (tmp_path / "rejects/s0.jsonl").read_text("utf-8")
    assert lines == '{"at": 1, "reason": "long", "text": "Kůň"}\n{"at": 2, "reason": "long", "text": "Pes"}\n'
    assert report.counts == {"kept": 4, "dropped_long": 2} and report.name == "t" and report.seconds == 2.5
    assert dropped_by_reason({"dropped_b": 2, "kept": 9, "dropped_a": 1}) == {"a": 1, "b": 2}


def test_who_needs_all_rows_is_told_which_are_missing() -> None:
    whole = StageReport("scan", ran=2)
    assert whole.require_all() is whole
    with pytest.raises(StageError) as caught:
        StageReport("scan", set_aside=["s1", "s7"]).require_all()
    assert str(caught.value) == (
        "Stage 'scan': s1, s7 killed every worker that tried (out of memory?). "
        "Run again with fewer workers, or remove those rows from the source. Finished shards are kept."
    )


class KilledWorker(Exception):
    """As Dask's."""


class Cluster(Executor):
    """Runs shards at once, but does to some what a cluster may do: `fates` are the errors of a shard's first tries."""

    def __init__(self, **fates: list[Exception | None]) -> None:
        self.fates = fates
        self.asked: list[str] = []

    def submit(self, work: Any, /, *args: Any, **more: Any) -> Any:
        future: Future[Any] = Future()
        name = args[1].name
        self.asked.append(name)
        fate = self.fates[name].pop(0) if self.fates.get(name) else False
        if fate is None:
            future.cancel()
            future.set_running_or_notify_cancel()
        elif fate:
            future.set_exception(fate)
        else:
            future.set_result(work(*args))
        return future


def on_cluster(cluster: Cluster, tmp_path: Path) -> StageReport:
    work = shards(["a", "b", "c"], tmp_path)
    return run_stage("t", shout, work, tmp_path / "out", executor=cluster, progress=False)


def test_a_shard_that_a_cluster_gave_up_runs_once_more_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(KilledWorker=KilledWorker))
    cluster = Cluster(s0=[KilledWorker()], s1=[KilledWorker(), KilledWorker()])
    report = on_cluster(cluster, tmp_path)
    assert report.set_aside == ["s1"] and [path.name for path in report.outputs] == ["s0", "s2"]
    assert cluster.asked[:3] == ["s0", "s1", "s2"]
    assert sorted(cluster.asked[3:]) == ["s0", "s1"] and report.ran == 2
    with pytest.raises(ZeroDivisionError):  # any other error is the caller's
        on_cluster(Cluster(s1=[ZeroDivisionError()]), tmp_path)


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The pools that a stage makes: (size, how processes start, what they call first). All are its first item.

    Their shards finish in the order in which they were given.
    """
    made: list[Any] = []
    monkeypatch.setattr("mella_hf.stage.as_completed", list)

    def make(size: int, context: Any, *, initializer: Any) -> Cluster:
        made.append((size, context.get_start_method(), initializer))
        return made[0]

    monkeypatch.setattr("mella_hf.stage.ProcessPoolExecutor", make)
    return made


def test_workers_are_spawned_and_a_shard_that_may_have_killed_one_runs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pools: list[Any]
) -> None:
    """Of six shards, two broke the pool that ran all; one of these breaks each pool that it gets."""
    cluster = Cluster(s1=[BrokenProcessPool() for _ in range(1 + MAX_WORKER_DEATHS)], s2=[BrokenProcessPool()])
    adopted: list[str] = []
    monkeypatch.setattr("mella_hf.stage.travelling", lambda: "the languages")
    monkeypatch.setattr("mella_hf.stage.adopt", adopted.append)
    pools.append(cluster)
    work = shards(["a", "b", "c", "d", "e", "f"], tmp_path)
    report = run_stage("t", shout, work, tmp_path / "out", workers=3, progress=False)
    assert report.set_aside == ["s1"] and report.ran == 5
    assert [path.name for path in report.outputs] == ["s0", "s2", "s3", "s4", "s5"]
    assert cluster.asked == ["s0", "s1", "s2", "s3", "s4", "s5"] + ["s1"] * MAX_WORKER_DEATHS + ["s2"]
    assert pools[1:] == [(3, "spawn", end_with_parent)] + [(1, "spawn", end_with_parent)] * (MAX_WORKER_DEATHS + 1)
    assert adopted == ["the languages"] * 5


@pytest.mark.parametrize(("cores", "size"), [(3, 3), (None, 1)])
def test_there_are_as_many_workers_as_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pools: list[Any], cores: int | None, size: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    pools.append(Cluster())
    run_stage("t", shout, shards(["a"], tmp_path), tmp_path / "out", progress=False)
    assert pools[1:] == [(size, "spawn", end_with_parent)]


def test_a_cluster_that_goes_away_is_said(tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        on_cluster(Cluster(s1=[None], s2=[None]), tmp_path)
    assert str(caught.value) == (
        "Stage 't': the connection to the cluster broke with 2 of 3 shards unfinished. Check that its scheduler runs, "
        "and run the same command again. Finished shards are kept."
    )
    assert (tmp_path / "out/done/s0.json").exists()
    assert on_cluster(Cluster(), tmp_path).ran == 2
