"""A collection whose workers die, and whose scheduler goes away: on processes and on a Dask cluster, through `collect`.

The pages are constructed: one shard each, some of which kill the process that reads them.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from local_cluster import cluster_process

from mella_hf.cluster import cluster_executor
from mella_hf.errors import StageError
from mella_hf.know.collect import CollectSettings, collect
from mella_hf.know.filter import FilterSettings
from mella_hf.know.funnel import CollectReport
from mella_hf.know.pages.sources import extract_shard, folder_shards
from mella_hf.stage import Shard, ShardOutput

TESTS = Path(__file__).parent.parent
NAMES = ("Hrad Karlštejn", "Hrad Bouzov", "Zámek Hluboká", "Zámek Lednice", "Klášter Sázava")


def extract_or_die(shard: Shard, output: ShardOutput) -> None:
    """The stage's own work, but a file beside a page, NAME.kill, kills the process it names (0: this one), and
    goes with it; NAME.always does not go."""
    for name, *_ in shard.payload["files"]:
        page = Path(shard.payload["root"], name)
        if page.with_suffix(".always").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if (once := page.with_suffix(".kill")).exists():
            pid = int(once.read_text())
            once.unlink()
            os.kill(pid or os.getpid(), signal.SIGKILL)
    extract_shard(shard, output)


@pytest.fixture(autouse=True)
def deadly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mella_hf.know.pages.sources.FOLDER_PAGES", 1)
    monkeypatch.setattr("mella_hf.know.collect.extract_shard", extract_or_die)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Address and process of a scheduler with four workers, one more than the tests kill."""
    pytest.importorskip("distributed", reason="needs mella_hf[cluster]")
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, (TESTS.parent, TESTS, Path(__file__).parent))),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        "DASK_TEMPORARY_DIRECTORY": str(tmp_path_factory.mktemp("dask")),
    }
    with cluster_process(environment) as (address, process):
        yield address, process.pid


def write_pages(folder: Path) -> Path:
    folder.mkdir()
    for number, name in enumerate(NAMES):
        (folder / f"{number}.html").write_text(f'<html lang="cs"><img src="{number}.jpg" alt="{name}">')
    return folder


def run(pages: Path, out: Path, address: str | None = None, workers: int | None = 2) -> CollectReport:
    with ExitStack() as stack:
        executor = stack.enter_context(cluster_executor(address))
        shards = folder_shards(pages, "http://hrady.example/")
        return collect(
            shards, out, CollectSettings(FilterSettings(("cs",))), workers=workers, executor=executor, progress=False
        )


def texts(report: CollectReport) -> list[str]:
    return sorted(
        text
        for folder in report.stages["alt_texts"].outputs
        for text in pq.read_table(folder / "rows.parquet", columns=["text"])["text"].to_pylist()
    )


def candidates(out: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(out.glob(".collect/pages/0*/rows.parquet"))]


@pytest.mark.parametrize("engine", ["processes", "cluster"])
def test_a_dying_worker_costs_nothing_and_a_deadly_page_only_itself(engine, request, tmp_path):
    address = request.getfixturevalue("cluster")[0] if engine == "cluster" else None
    pages = write_pages(tmp_path / "pages")
    (pages / "1.kill").write_text("0")
    (pages / "3.always").touch()
    report = run(pages, tmp_path / "out", address)
    assert not (pages / "1.kill").exists()
    assert report.set_aside == ["pages/00003"]
    assert report.stages["pages"].counts["pages"] == 4
    assert texts(report) == sorted({*NAMES} - {NAMES[3]})
    assert '"pages/00003"' in (tmp_path / "out/report.json").read_text("utf-8")
    (pages / "3.always").unlink()  # mended: what is done stays done, and it is as if nothing had happened
    again = run(pages, tmp_path / "out", workers=0)
    assert (again.stages["pages"].ran, again.stages["pages"].skipped) == (1, 4) and again.set_aside == []
    assert texts(again) == sorted(NAMES)
    run(pages, tmp_path / "clean", workers=0)
    assert candidates(tmp_path / "out") == candidates(tmp_path / "clean")


def test_a_scheduler_that_goes_away(cluster, tmp_path):
    """The last test, for it takes the cluster with it."""
    address, pid = cluster
    pages = write_pages(tmp_path / "pages")
    (pages / "2.always").touch()
    assert run(pages, tmp_path / "out", workers=2).set_aside == ["pages/00002"]  # so that something is done already
    (pages / "2.always").unlink()
    (pages / "2.kill").write_text(str(pid))
    with pytest.raises(StageError, match="^Stage 'pages': the connection to the cluster broke .* run the same command"):
        run(pages, tmp_path / "out", address)
    for marker in (tmp_path / "out/.collect/pages/done").glob("[!.]*.json"):
        json.loads(marker.read_text("utf-8"))  # whole, or not there; what a worker left aside is swept by the next run
    again = run(pages, tmp_path / "out", workers=0)
    assert again.stages["pages"].skipped >= 4 and texts(again) == sorted(NAMES)
