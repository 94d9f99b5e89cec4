"""One process at a time: who holds a lock is said, and whoever is gone holds none."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mella_hf import locks
from mella_hf.errors import MellaError
from mella_hf.locks import SILENCE, sole_use

HOLD = """
import sys
from pathlib import Path
from mella_hf.locks import sole_use
with sole_use(Path(sys.argv[1]), Path(sys.argv[1]).parent, "a test"):
    print("in", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(lock: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds a lock."""
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"in\n"
        yield other
        other.kill()


def enter(lock: Path) -> None:
    with sole_use(lock, lock.parent, "this test"):
        assert json.loads(lock.read_text("utf-8"))["pid"] == os.getpid()


def only(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    lock = tmp_path / "a folder #1" / "lock.json"
    with held(lock) as other:
        said = rf"a folder #1 is in use by a test: process {other.pid} on {os.uname().nodename}, since 20\d\d-"
        for _ in range(2):
            with pytest.raises(MellaError, match=said):
                enter(lock)
    assert only(lock.parent) == ["lock.json"]


def test_a_killed_process_holds_nothing_even_before_its_parent_asks(tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    with held(lock) as other:
        os.kill(other.pid, signal.SIGKILL)
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # it stays as a zombie
        enter(lock)
    assert not only(tmp_path)


def test_a_lock_ends_with_its_block(tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    with pytest.raises(RuntimeError), sole_use(lock, tmp_path, "this test"):
        raise RuntimeError
    with sole_use(lock, tmp_path, "this test"), pytest.raises(MellaError, match=f"process {os.getpid()} on"):
        enter(lock)  # in the same process too
    assert not only(tmp_path)


@pytest.mark.parametrize("change", [{"started": "1"}, {"pid": 4_194_303}])
def test_a_number_that_another_process_has_now_holds_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    lock = tmp_path / "lock.json"
    with held(lock):
        lock.write_text(json.dumps(json.loads(lock.read_text("utf-8")) | change), "utf-8")
        enter(lock)


@pytest.mark.parametrize(("seconds", "is_held"), [(SILENCE - 30, True), (SILENCE + 30, False)])
@pytest.mark.parametrize(
    "content", ['{"machine": "far", "host": "far", "pid": 1, "doing": "x", "since": "y"}', "", "{"]
)
def test_of_another_machine_only_signs_of_life_tell(
    tmp_path: Path, seconds: float, is_held: bool, content: str
) -> None:
    """As they do of a file whose writer was killed half-way."""
    lock = tmp_path / "lock.json"
    lock.write_text(content, "utf-8")
    now = lock.stat().st_mtime
    os.utime(lock, (now - seconds, now - seconds))
    if is_held:
        with pytest.raises(MellaError, match="is in use by"):
            enter(lock)
    else:
        enter(lock)


def test_a_holder_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.01)
    lock, touched = tmp_path / "lock.json", locks.Event()
    monkeypatch.setattr(locks.os, "utime", lambda path: touched.set())
    with sole_use(lock, tmp_path, "this test"):
        assert touched.wait(60)


def test_another_ones_lock_stays(tmp_path: Path) -> None:
    """As on a machine that slept so long that another one took over."""
    lock = tmp_path / "lock.json"
    with sole_use(lock, tmp_path, "this test"):
        lock.write_text('{"token": "another"}', "utf-8")
    assert json.loads(lock.read_text("utf-8")) == {"token": "another"}


@pytest.mark.parametrize("hard_links", [True, False])
def test_of_many_at_once_one_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool) -> None:
    """All find the lock of a process that is gone; of 8 that try to take it, never do two have it."""
    lock, counted = tmp_path / "lock.json", tmp_path / "counted"
    counted.touch()
    script = (
        "import os, sys, time\nfrom pathlib import Path\nfrom mella_hf import locks\n"
        f"if not {hard_links}: locks.os.link = lambda *a: (_ for _ in ()).throw(OSError(1, 'no links'))\n"
        "lock, counted = map(Path, sys.argv[1:])\n"
        "for _ in range(20):\n"
        "    try:\n"
        "        with locks.sole_use(lock, lock.parent, 'x'):\n"
        "            os.close(os.open(counted.with_name('inside'), os.O_CREAT | os.O_EXCL))\n"
        "            counted.open('a').write('x')\n"
        "            os.unlink(counted.with_name('inside'))\n"
        "    except locks.MellaError: pass\n"
    )
    lock.write_text('{"machine": "far"}', "utf-8")
    os.utime(lock, (1, 1))
    many = [subprocess.Popen([sys.executable, "-c", script, str(lock), str(counted)]) for _ in range(4)]
    assert [one.wait() for one in many] == [0] * 4
    assert counted.read_text() and sorted(only(tmp_path)) == ["counted"]
