"""One process at a time in a folder, on one machine or on several that share a file system.

The lock is a file that says who holds it: made by a hard link, which NFS too does for one process only, and removed at
the end. A holder that was killed leaves it behind. On the same machine a process that is gone holds nothing; of another
machine's process only a sign of life tells, which the holder gives by touching the file.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

from mella_hf.errors import MellaError

NAME = ".mella.lock"  # in the folder that is held
BEAT = 15.0  # seconds between two signs of life
SILENCE = 120.0  # seconds without a sign of life after which another machine's process counts as gone
TRIES = 5  # how often to try again when the holder goes at the same moment


@contextmanager
def sole_use(lock: Path, place: Path, doing: str) -> Iterator[None]:
    """Hold a lock while the block runs.

    Args:
        lock: its file; the folder that it is in is made, and taken away again when nothing was written into it.
        place: the folder or file that the lock is for, as the message names it.
        doing: what the holder does, such as "mella build".

    Raises:
        MellaError: when another process holds it; the message says which, on which machine, and since when.
    """
    made = not lock.parent.exists()
    lock.parent.mkdir(parents=True, exist_ok=True)
    me = {
        "doing": doing,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "machine": _machine(),
        "started": _started(os.getpid()),
        "token": uuid4().hex,
    }
    holder = _take(lock, me)
    for _ in range(TRIES):
        if holder == {}:  # it has just gone
            holder = _take(lock, me)
    if holder is not None:
        raise MellaError(_refusal(holder, place))
    ended = Event()
    beat = Thread(target=_live, args=(lock, me["token"], ended), daemon=True)
    beat.start()
    try:
        yield
    finally:
        ended.set()
        beat.join()
        with suppress(OSError):  # the folder may be gone
            if _read(lock).get("token") == me["token"]:
                lock.unlink()
        if made:
            with suppress(OSError):  # it holds something
                lock.parent.rmdir()


def sole_writer(folder: Path, doing: str) -> AbstractContextManager[None]:
    """Hold a folder that a command writes, by a file in it; of a launcher's processes the first holds it for all."""
    return nullcontext() if os.environ.get("RANK", "0") != "0" else sole_use(folder / NAME, folder, doing)


def _take(lock: Path, me: dict[str, Any]) -> dict[str, Any] | None:
    """Make the lock's file, in place of one whose holder is gone.

    Returns:
        The holder if there is one; {} if it has just gone.
    """
    aside = lock.with_name(f"{lock.name}.{me['token']}")
    try:
        aside.write_text(json.dumps(me), "utf-8")
        if _link(aside, lock):
            return None
        with suppress(FileNotFoundError):  # it has ended meanwhile
            holder = _read(lock)
            # By the clock of the file system, which both machines see.
            silent = aside.stat().st_mtime - lock.stat().st_mtime
            if not _is_gone(holder, me, silent):
                return holder
            _remove_stale(lock, holder)
        return {}
    finally:
        aside.unlink(missing_ok=True)


def _link(aside: Path, lock: Path) -> bool:
    """Whether the lock's file is ours now."""
    try:
        os.link(aside, lock)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links, or an answer of NFS that got lost
        if lock.exists():
            return aside.stat().st_nlink == 2
        try:
            file = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        with os.fdopen(file, "wb") as new:
            new.write(aside.read_bytes())
    return True


def _remove_stale(lock: Path, holder: dict[str, Any]) -> None:
    """Remove a lock that nobody holds; if another process took it in this moment, put that one's back."""
    old = lock.with_name(f"{lock.name}.{uuid4().hex}")
    with suppress(FileNotFoundError):
        os.rename(lock, old)
        if _read(old).get("token") != holder.get("token"):
            with suppress(OSError):
                os.link(old, lock)
        old.unlink()


def _read(lock: Path) -> dict[str, Any]:
    """What the lock says; nothing, if its holder was killed while writing it."""
    try:
        found = json.loads(lock.read_text("utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_gone(holder: dict[str, Any], me: dict[str, Any], silent: float) -> bool:
    if not holder or holder.get("machine") != me["machine"]:
        return silent > SILENCE
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        pass
    return holder["started"] != _started(int(holder["pid"]))  # its number belongs to another process now


def _machine() -> str:
    """What two processes have in common that see each other's numbers: the boot, and the container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _started(pid: int) -> str:
    """When a process started, in ticks since the boot; "" if it has ended, or the system does not say."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return ""
    fields = line.rpartition(")")[2].split()  # from the third of proc(5); the name in brackets may hold spaces
    return "" if fields[0] in "ZX" else fields[19]


def _live(lock: Path, token: str, ended: Event) -> None:
    """Touch the lock's file until the holder ends, or the lock is another's."""
    while not ended.wait(BEAT):
        with suppress(OSError):
            if _read(lock).get("token") != token:
                return
            os.utime(lock)


def _refusal(holder: dict[str, Any], place: Path) -> str:
    if not holder:
        return f"{place} is in use by another process; wait for it to end."
    return (
        f"{place} is in use by {holder['doing']}: process {holder['pid']} on {holder['host']}, since "
        f"{holder['since']}. Wait for it to end, or stop it; what it has finished is kept."
    )
