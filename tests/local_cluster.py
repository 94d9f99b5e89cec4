"""A Dask cluster on loopback, a process of its own: prints the scheduler's address, ends when its input does.

python tests/local_cluster.py [WORKERS]
"""

import sys

from distributed import LocalCluster

if __name__ == "__main__":
    workers = int(sys.argv[1]) if sys.argv[1:] else 4
    with LocalCluster(n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
