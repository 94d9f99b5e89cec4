"""A Dask cluster on loopback, a process of its own: prints the scheduler's address, ends when its input does.

python tests/local_cluster.py [WORKERS]
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def cluster_process(
    environment: Mapping[str, str], workers: int = 4, cwd: Path | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Address of the scheduler and its process, whose environment is `environment` beside this one's."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(workers)],
        cwd=cwd, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin and process.stdout
    yield process.stdout.readline().strip(), process
    process.stdin.close()
    process.wait()
    process.stdout.close()


if __name__ == "__main__":
    from distributed import LocalCluster

    count = int(sys.argv[1]) if sys.argv[1:] else 4
    with LocalCluster(n_workers=count, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
