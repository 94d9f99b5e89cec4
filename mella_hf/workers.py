"""Worker processes that never outlive the process that started them."""

import os
from multiprocessing import parent_process
from threading import Thread


def end_with_parent() -> None:
    """Initializer of a worker: ends it at once when the process that started it ends, however that ended.

    A process that is killed cannot tell its workers. The operating system closes its end of a pipe, which the worker
    watches.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()
