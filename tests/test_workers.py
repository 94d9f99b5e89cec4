"""Workers end with the process that started them, also when that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from mella_hf.stage import Shard, run_stage
from mella_hf.workers import end_with_parent

def work(shard, output):
    (output.folder / "half").write_text("half")
    Path(shard.payload, f"{__import__('os').getpid()}.pid").touch()
    while not Path(shard.payload, "go").exists():
        time.sleep(0.05)
    output.keep()

def wait(folder):
    Path(folder, f"{__import__('os').getpid()}.pid").touch()
    time.sleep(600)

if __name__ == "__main__":
    folder, way = sys.argv[1:]
    if way == "stage":
        report = run_stage("t", work, [Shard("a", folder), Shard("b", folder)], Path(folder, "out"), workers=2)
        print(report.ran, dict(report.counts))
    else:
        with ProcessPoolExecutor(3, get_context(way), initializer=end_with_parent) as pool:
            list(pool.map(wait, [folder] * 3))
"""


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(("way", "count"), [("stage", 2), ("fork", 3)])
def test_workers_of_a_killed_process_end(tmp_path: Path, way: str, count: int, how: signal.Signals) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(tmp_path), way]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(pids := [int(path.stem) for path in tmp_path.glob("*.pid")]) < count:
        assert process.poll() is None
        time.sleep(0.05)
    assert all(alive(pid) for pid in pids)
    os.kill(process.pid, how)
    assert process.wait() == -how
    end = time.monotonic() + 60  # seconds; a busy machine may be late, a worker that stays stays for ever
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)
    if way == "stage":
        assert not (tmp_path / "out" / "a").exists() and not list((tmp_path / "out").glob("done/*"))
        (tmp_path / "go").touch()
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.stdout == "2 {'kept': 2}\n"
        assert not (tmp_path / "out" / ".partial").exists()
