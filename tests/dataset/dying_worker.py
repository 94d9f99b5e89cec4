"""A Dask preload: a worker dies of SIGKILL at the first row that is verified, once; DYING_WORKER names the marker."""

import os
import signal
from pathlib import Path
from typing import Any

from mella_hf.dataset import verify

_check_row = verify.check_row


def die_once(row: dict[str, Any], language: str, split: str) -> Any:
    """`check_row`, unless nobody has died yet."""
    try:
        Path(os.environ["DYING_WORKER"]).touch(exist_ok=False)
    except FileExistsError:
        return _check_row(row, language, split)
    os.kill(os.getpid(), signal.SIGKILL)


verify.check_row = die_once
