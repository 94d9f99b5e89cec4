"""Turn errors of the machine into one line that says what to do: a full disk, a limit, a missing or locked folder."""

import errno
import json
import os
import re
from collections.abc import Iterator

_AGAIN = "The same command then goes on where it stopped."
_REMEDIES = {
    errno.ENOSPC: f"Free some space, or give a folder on another disk. {_AGAIN}",
    errno.EDQUOT: f"Your quota is used up: free some space, or give a folder elsewhere. {_AGAIN}",
    errno.EFBIG: f"A file may not become larger here: raise the limit (ulimit -f), or use another disk. {_AGAIN}",
    errno.EROFS: "Nothing can be written there: give a folder on another disk.",
    errno.EACCES: "Change its permissions, or give another path.",
    errno.EPERM: "Change its permissions, or give another path.",
    errno.ENOENT: "It is missing, or was removed while the command ran; check the path, and give the command again.",
    errno.ESTALE: "It was removed on the file server while the command ran; give the command again.",
    errno.ENOTDIR: "A part of this path is a file; give a folder, or a path where one can be made.",
    errno.EEXIST: "It is a file; give a folder, or a path where one can be made.",
    errno.EISDIR: "It is a folder; give a file.",
    errno.ENAMETOOLONG: "Give a shorter path.",
    errno.ELOOP: "Its symbolic links lead in a circle; give another path.",
    errno.EMFILE: f"Too many files are open: raise the limit (ulimit -n), or use fewer --workers. {_AGAIN}",
    errno.ENFILE: f"Too many files are open on this machine; wait, or use fewer --workers. {_AGAIN}",
    errno.EIO: "The disk is full, a file may not become larger (ulimit -f), or the disk or its file server failed; "
    f"check them. {_AGAIN}",
}
_HTTP = ("httpx", "httpx2")  # of huggingface_hub, by its version
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # said also where a library wrapped it
_OF_RUST = re.compile(r"\(os error (\d{1,3})\)$")  # as safetensors and tokenizers end what they say
_SQLITE = {  # the beginning of sqlite_errorname -> errno
    "SQLITE_FULL": errno.ENOSPC,
    "SQLITE_READONLY": errno.EROFS,
    "SQLITE_CANTOPEN": errno.EACCES,
    "SQLITE_IOERR": errno.EIO,
}


LOGIN_PAGE = (
    "a web page, not JSON, as the login page of a network is: log in to the network, or set HF_HUB_OFFLINE=1 to use "
    "what is in the cache"
)


def is_page(error: json.JSONDecodeError) -> bool:
    """Whether HTML came where JSON was expected."""
    return error.doc.lstrip()[:1] == "<"


def fault_line(error: BaseException) -> str | None:
    """The line that tells users what the machine refused and what to do; None for any other error."""
    if isinstance(error, FileNotFoundError) and _is_nowhere():
        return "The working directory was removed. Change to a folder that exists, and give the command again."
    if isinstance(error, json.JSONDecodeError) and is_page(error):
        return f"The answer to a request is {LOGIN_PAGE}."
    if type(error).__module__.partition(".")[0] in _HTTP and hasattr(error, "_request"):
        return f"The network or the Hub failed ({type(error).__name__}: {error}). Check both. {_AGAIN}"
    for one in _chain(error):
        number = _number(one)
        if number in _REMEDIES and (one is error or number in _FULL):
            return f"{_what(one, number)}. {_REMEDIES[number]}"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _number(error: BaseException) -> int:
    if isinstance(error, OSError):
        return error.errno or 0
    said = _OF_RUST.search(str(error))
    if said:
        return int(said[1])
    name = getattr(error, "sqlite_errorname", "")
    return next((number for start, number in _SQLITE.items() if name.startswith(start)), 0)


def _what(error: BaseException, number: int) -> str:
    """The file, where it is known, and what the system said."""
    if not isinstance(error, OSError):
        return _OF_RUST.sub("", str(error)).rstrip()
    path = error.filename2 or error.filename
    if path is None:  # pyarrow says all in its message
        return os.strerror(number) if len(error.args) < 2 else str(error.args[1]).rstrip(".")
    return f"{os.fsdecode(path)!r}: {os.strerror(number)}" if isinstance(path, str | bytes) else str(error)


def _is_nowhere() -> bool:
    """Whether the working directory is gone."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False
