"""Worker processes that never outlive the process that started them."""

import os
from multiprocessing import parent_process
from threading import Thread


def end_with_parent() -> None:
    """Initializer of a worker process: end the worker as soon as its parent process ends, for any reason.

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
