"""The engine on a Dask cluster: the output of processes, whatever happens to workers and scheduler."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_cluster import cluster_process
from test_stage import runs, shards, shout, tree

from mella_hf.cluster import cluster_executor
from mella_hf.errors import MellaError, StageError
from mella_hf.stage import Shard, ShardOutput, run_stage

pytest.importorskip("distributed", reason="needs mella_hf[cluster]")


@dataclass
class Cluster:
    address: str
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Scheduler and four workers, one more than the tests kill: Dask may not replace one that dies at once."""
    here = Path(__file__).parent
    environment = {
        "PYTHONPATH": f"{here.parent}:{here}",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        "DASK_TEMPORARY_DIRECTORY": str(tmp_path_factory.mktemp("dask")),
    }
    with cluster_process(environment) as (address, process):
        yield Cluster(address, process)


def test_the_output_is_that_of_processes(cluster: Cluster, tmp_path: Path) -> None:
    work = shards(["a", "b", "bad", "die once", "e"], tmp_path)
    with cluster_executor(cluster.address) as executor:
        report = run_stage("t", shout, work, tmp_path / "cluster", executor=executor, progress=False)
    assert runs(tmp_path).count("s3") == 2  # its worker was killed, and it ran again on another
    run_stage("t", shout, work, tmp_path / "here", workers=0, progress=False)
    assert tree(tmp_path / "cluster") == tree(tmp_path / "here")
    assert report.counts == {"kept": 4, "dropped_bad": 1} and report.set_aside == []


def test_a_shard_that_always_kills_is_set_aside_by_name(cluster: Cluster, tmp_path: Path) -> None:
    work = shards(["a", "die", "c", "d", "e"], tmp_path)
    with cluster_executor(cluster.address) as executor:
        report = run_stage("t", shout, work, tmp_path / "out", executor=executor, progress=False)
    assert report.set_aside == ["s1"] and report.counts["kept"] == 4
    assert [p.name for p in report.outputs] == ["s0", "s2", "s3", "s4"]


def test_nothing_is_answered_from_memory(cluster: Cluster, tmp_path: Path) -> None:
    """Dask keeps what a call returned; the same call must write its files again all the same."""
    work = shards(["a"], tmp_path)
    with cluster_executor(cluster.address) as executor:
        for _ in range(2):
            run_stage("t", shout, work, tmp_path / "out", executor=executor, progress=False)
            (tmp_path / "out/done/s0.json").unlink()
    assert runs(tmp_path) == ["s0", "s0"]


def test_an_exception_reaches_the_caller(cluster: Cluster, tmp_path: Path) -> None:
    with cluster_executor(cluster.address) as executor:
        with pytest.raises(ZeroDivisionError, match="shard raised"):
            run_stage("t", shout, shards(["raise"], tmp_path), tmp_path / "out", executor=executor, progress=False)
        with pytest.raises(StageError, match="failed with Stubborn: 1 and 2"):
            run_stage("t", shout, shards(["stubborn"], tmp_path), tmp_path / "two", executor=executor, progress=False)


def kill_scheduler(shard: Shard, output: ShardOutput) -> None:
    """The first time, SIGKILL the process that the payload names."""
    if shard.payload and not (once := Path(shard.payload["once"])).exists():
        once.touch()
        os.kill(shard.payload["pid"], 9)
    output.keep()
    (output.folder / "done.txt").write_text(shard.name)


def test_a_scheduler_that_goes_away(cluster: Cluster, tmp_path: Path) -> None:
    """The last test, for it takes the cluster with it."""
    killer = Shard("s1", {"pid": cluster.process.pid, "once": str(tmp_path / "once")})
    with cluster_executor(cluster.address) as executor:
        run_stage("t", kill_scheduler, [Shard("s0", None)], tmp_path / "out", executor=executor, progress=False)
        with pytest.raises(StageError, match=r"^Stage 't': the connection to the cluster broke with [12] of 2 shards"):
            run_stage(
                "t",
                kill_scheduler,
                [Shard("s0", None), killer, Shard("s2", None)],
                tmp_path / "out",
                executor=executor,
                progress=False,
            )
    report = run_stage(
        "t", kill_scheduler, [Shard("s0", None), killer, Shard("s2", None)], tmp_path / "out", workers=0, progress=False
    )
    assert report.skipped >= 1 and report.counts["kept"] == 3


def test_no_scheduler_there() -> None:
    with pytest.raises(MellaError, match="No Dask scheduler answers at 'tcp://127.0.0.1:1' .* Start one with 'dask"):
        with cluster_executor("tcp://127.0.0.1:1", patience=0.2):
            pass
    with pytest.raises(MellaError, match="No Dask scheduler answers at 'ham://x'"):
        with cluster_executor("ham://x", patience=0.2):
            pass


def test_a_cluster_without_workers_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, processes=False, protocol="tcp", dashboard_address=None) as empty:
        with cluster_executor(empty.scheduler_address) as executor:
            assert executor is not None
    assert "The cluster has no workers yet; waiting for some to start with 'dask worker" in capsys.readouterr().err
