"""Run stages on a Dask cluster: connect to its scheduler and use it as an executor.

The scheduler, the workers and the caller must see the same files under the same paths, and `mella_hf[cluster]` must be
installed on all of them.
"""

import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from mella_hf.errors import MellaError, MissingExtraError

RETRIES = 2  # retries of a shard that fails, for example because of a short failure of a file server
PATIENCE = 60.0  # seconds for the scheduler to answer


@contextmanager
def cluster_executor(address: str | None, patience: float = PATIENCE) -> Iterator[Executor | None]:
    """Connect to a Dask cluster: `with cluster_executor("tcp://host:8786") as executor`; None without an address.

    Raises:
        MellaError: if no scheduler answers, or it disappears between two stages.
        MissingExtraError: if `distributed` is not installed.
    """
    if address is None:
        yield None
        return
    try:
        from distributed import Client
        from distributed.client import ClosedClientError
    except ImportError as error:
        raise MissingExtraError("distributed", "cluster", "A Dask cluster") from error
    try:
        client = Client(address, timeout=patience)
    except (OSError, ValueError) as error:  # ValueError: not an address
        raise MellaError(
            f"No Dask scheduler answers at {address!r} ({error}). Start one with 'dask scheduler', and give the "
            "address that it prints, such as tcp://host:8786."
        ) from error
    with client:
        if not client.scheduler_info()["workers"]:  # they may be queued, so this is not an error
            hint = f"dask worker {address} --nworkers 4 --nthreads 1"
            print(f"The cluster has no workers yet; waiting for some to start with '{hint}'.", file=sys.stderr)
        try:
            # Not pure: the output of a shard may be gone when the same call is made again.
            yield client.get_executor(retries=RETRIES, pure=False)
        except ClosedClientError as error:
            raise MellaError(
                f"The Dask scheduler at {address!r} disappeared between two stages. Start it, and run the same "
                "command again. Finished shards are kept."
            ) from error
