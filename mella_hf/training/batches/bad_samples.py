"""Handle samples that cannot be trained on: name them with the command that removes them, or skip and count them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from mella_hf.errors import SampleError
from mella_hf.files import json_lines

SKIPPED_FILE = "skipped.jsonl"  # in the run's folder: id and reason of each sample that was left out


def bad_sample(sample_id: str, reason: str, count: int = 1) -> SampleError:
    """The error for a sample that cannot be trained on; says how to remove it.

    Args:
        count: how many such samples are known.
    """
    others = f" There are {count} such samples." if count > 1 else ""
    return SampleError(
        f"The sample {sample_id!r} cannot be trained on: {reason}.{others} Take it out: `echo {sample_id} > bad.txt` "
        "and `mella remove FOLDER --ids bad.txt`; or let the run leave out up to N such samples: --skip_bad_samples N. "
        "A run that has begun goes on with the latter; other data would be another run."
    )


class BadSamples:
    """Leaves out up to `limit` samples, and lists them in a file, which all processes of a run share.

    Args:
        path: the file, one sample a line.
        limit: how many samples may be left out; more end the run.
    """

    def __init__(self, path: Path, limit: int):
        self.path, self.limit = path, limit

    def leave_out(self, reasons: Mapping[str, str]) -> None:
        """Put samples on the list: id and reason. Raises SampleError if they are too many; then none is put there."""
        listed = {entry["id"] for _, entry in json_lines(self.path)} if self.path.is_file() else set()
        new = {name: reason for name, reason in reasons.items() if name not in listed}
        if not new:
            return
        if len(listed) + len(new) > self.limit:
            first = next(iter(new))
            raise bad_sample(first, new[first], len(listed) + len(new))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        entries = [{"id": name, "reason": reason} for name, reason in new.items()]
        lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, lines.encode())  # one call, so that lines of several processes do not mix
        finally:
            os.close(file)
