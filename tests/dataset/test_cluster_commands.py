"""`mella build`, `publish` and `verify` with `--cluster`, as a user types them: a scheduler, two workers, a Hub."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dataset_samples import record
from local_cluster import cluster_process
from local_hub import LocalHub
from release_tree import make_release

from mella_hf.dataset.building.build import build_dataset
from mella_hf.dataset.card.card import write_card
from mella_hf.dataset.publish import local_files
from mella_hf.dataset.write import open_writer, to_batch
from mella_hf.sources.release import ReleaseSource

pytest.importorskip("distributed", reason="needs mella_hf[cluster]")

TESTS = Path(__file__).parents[1]
REPO = "tester/mella"


@dataclass
class Site:
    """A cluster and a Hub. Its users work in `home`, its workers do not."""

    home: Path
    hub: LocalHub
    environment: dict[str, str]
    scheduler: str = ""

    def mella(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """A command on the cluster."""
        command = [sys.executable, "-m", "mella_hf.cli", *map(str, arguments), "--cluster", self.scheduler]
        return subprocess.run(command, cwd=self.home, env=self.environment, capture_output=True, text=True)

    def done(self, *arguments: object) -> str:
        """What a command printed that succeeded."""
        result = self.mella(*arguments)
        assert result.returncode == 0, result.stderr[-3000:]
        return result.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The workers' machines are elsewhere: another working directory, and one of them dies at the first row."""
    root = tmp_path_factory.mktemp("site")
    (root / "home").mkdir()
    with LocalHub(root / "hub") as hub:
        environment = {**os.environ, **hub.environment(root / "hf"), "MELLA_CACHE": "cache", "PYTHONUTF8": "1"}
        environment["PYTHONPATH"] = f"{TESTS.parent}:{TESTS}:{TESTS / 'dataset'}"
        site = Site(root / "home", hub, environment)
        workers = {
            "DASK_TEMPORARY_DIRECTORY": str(root / "dask"),
            "DASK_DISTRIBUTED__WORKER__PRELOAD": "dying_worker",
            "DYING_WORKER": str(root / "died"),
        }
        with cluster_process(environment | workers, 2, root) as (site.scheduler, _):
            yield site


def in_public(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in local_files(folder).items()}


def test_from_a_release_to_the_hub(site: Site) -> None:
    """Relative paths, a worker that dies on the way, and the files of a build in one process."""
    release = make_release(site.home / "release", ("ar",), 12, flaws=False).root
    printed = site.done("build", "release", "--source", "release", "--languages", "ar", "--out", "d")
    assert "ar know: kept 12; left out 0" in printed and "ar ling: kept 12" in printed
    build_dataset(ReleaseSource(release, ("ar",)), site.home / "here", workers=0, progress=False)
    assert in_public(site.home / "d") == in_public(site.home / "here")

    marker = site.home.parent / "died"
    assert not marker.exists()
    printed = site.done("publish", "d", REPO)
    assert marker.exists()  # a worker was killed while it checked, and the check is whole all the same:
    assert len(list((site.home / "d/.verify/done").iterdir())) == 4
    assert "sent, 0 unchanged on the Hub." in printed
    sent = site.hub.files(REPO)
    assert {name: sent[name] for name in in_public(site.home / "d")} == in_public(site.home / "d")

    printed = site.done("verify", REPO)
    assert printed == "ar: know 10, ling 10, know_test 2, ling_test 2\nSound.\n"
    assert printed == site.done("verify", "d")


def test_an_unsound_dataset_is_not_in_public(site: Site, published: Path) -> None:
    shutil.copytree(published, site.home / "bad")
    with open_writer(site.home / "bad/th/know-00000-of-00001.parquet") as writer:
        writer.write_batch(to_batch([record(9_999, "th") | {"page_url": "file:///etc/passwd"}]))
    write_card(site.home / "bad")
    result = site.mella("publish", "bad", "tester/bad")
    assert result.returncode == 1 and "error: bad has 1 problems:\n  th/know-00000-of-00001.parquet, " in result.stderr
    assert "not an http address" in result.stderr and "tester/bad" not in site.hub.repos
