"""Turn the Hub's refusals into one clear error, and wait and retry when the Hub asks for it."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from mella_hf.compat import hub_timeout
from mella_hf.errors import MellaError
from mella_hf.faults import LOGIN_PAGE, is_page
from mella_hf.keys import check_hub_token
from mella_hf.retry import retry_after

Result = TypeVar("Result")

# 412: another commit came first. 429 and 5xx: the Hub is busy.
RETRIED = frozenset({412, 429, 500, 502, 503, 504})
ATTEMPTS = 6
LONGEST_ASKED = 600.0  # seconds that the Hub may ask to wait
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds; doubled from the one to the other
SILENCE = 60.0  # seconds without a byte; the Hub itself gives up a commit after as many
CONNECTING = 10.0  # seconds

_TOKEN = re.compile(r"hf_\w+")
_READING = ("read", "download")  # how intents begin that send nothing
_SILENT = ("ReadTimeout", "WriteTimeout")  # of httpx, or of httpx2 with newer versions of huggingface_hub


@contextmanager
def no_endless_wait() -> Iterator[None]:
    """Give up a server that takes a connection and says nothing. Also a decorator."""
    with hub_timeout(SILENCE, CONNECTING):
        yield


@contextmanager
def hub_errors(repo: str, intent: str) -> Iterator[None]:
    """Turn what `huggingface_hub` raises into a MellaError that says what to do. No token gets into it."""
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    check_hub_token()
    try:
        with no_endless_wait():
            yield
    except MellaError:
        raise
    except OfflineModeIsEnabled as error:
        raise _offline(repo, intent) from error
    except RuntimeError as error:
        cause = _cause(error)
        if cause is None:
            raise
        raise _refusal(cause, repo, intent) from None
    except (HTTPError, OSError, ValueError) as error:
        raise _refusal(error, repo, intent) from None


@contextmanager
def reading_errors(repo: str) -> Iterator[None]:
    """Turn what goes wrong between us and the Hub while a file is read into a MellaError; no other error."""
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except HTTPError as error:
        raise _refusal(error, repo, "read") from None


def _refusal(error: Exception, repo: str, intent: str) -> MellaError:
    said = _TOKEN.sub("hf_…", str(error).strip().splitlines()[0] if str(error).strip() else "")
    return MellaError(f"Cannot {intent} {repo!r} ({type(error).__name__}: {said}): {_hint(error, intent)}.")


def _cause(error: RuntimeError) -> Exception | None:
    """The error of HTTP that `huggingface_hub` reports as a RuntimeError when an upload's own thread fails."""
    from huggingface_hub.errors import HTTPError

    return error.__cause__ if isinstance(error.__cause__, HTTPError) else None


def require_online(repo: str, intent: str) -> None:
    """Raise MellaError when the user has switched requests off: before long work whose result cannot be sent."""
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        raise _offline(repo, intent)


def _offline(repo: str, intent: str) -> MellaError:
    return MellaError(
        f"Cannot {intent} {repo!r}: HF_HUB_OFFLINE or HF_DATASETS_OFFLINE is set; unset it to reach the Hub."
    )


def _hint(error: Exception, intent: str) -> str:
    """What to do about an error of the Hub."""
    from huggingface_hub import errors, is_offline_mode

    status = status_of(error)
    if isinstance(error, json.JSONDecodeError) and is_page(error):
        return f"the answer is {LOGIN_PAGE}"
    if isinstance(error, errors.GatedRepoError):
        return "ask for access on its page, and log in with `hf auth login`"
    if isinstance(error, errors.RevisionNotFoundError):
        return "it has no such branch, tag or commit; see its page for those that there are"
    if isinstance(error, errors.HFValidationError):
        return "give a folder that exists, or a name on the Hub, ORGANISATION/NAME"
    if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
        return "check the name; a private repo also needs `hf auth login`"
    if is_silent(error):
        return f"{_host(error)} took the connection and said nothing for {SILENCE:.0f} s; {_again(intent)}"
    if status == 401:
        return "the Hub does not accept the token; log in with `hf auth login` or set HF_TOKEN"
    if status == 403:
        return f"the token may not {intent} there; use one with write access to the organisation"
    if isinstance(error, errors.LocalEntryNotFoundError):
        way = "unset HF_HUB_OFFLINE" if is_offline_mode() else "try again when the Hub can be reached"
        return f"it is not in the local cache; {way}"
    return _again(intent)


def _again(intent: str) -> str:
    return "try again" if intent.startswith(_READING) else "try again; what was uploaded is not sent twice"


def is_silent(error: BaseException) -> bool:
    """Whether a server took the connection and then said nothing."""
    return type(error).__name__ in _SILENT


def _host(error: Any) -> str:
    """The server that an error of httpx is about: the Hub, its storage or a proxy's."""
    try:
        url = error.request.url
    except (AttributeError, RuntimeError):  # httpx: no request is known
        return "the Hub"
    return url.netloc.decode()


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error of `huggingface_hub`, or None."""
    from huggingface_hub.errors import HfHubHTTPError

    return error.response.status_code if isinstance(error, HfHubHTTPError) and error.response is not None else None


def retried(action: Callable[[], Result], say: Callable[[str], None], wait: float = FIRST_WAIT) -> Result:
    """Run an action, and retry it if the Hub is busy or the repository changed meanwhile, up to `ATTEMPTS` times.

    Silence is not retried: `SILENCE` is long, and `huggingface_hub` tries uploads again itself.
    """
    from huggingface_hub.errors import HTTPError

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except (HTTPError, RuntimeError) as raised:
            error = _cause(raised) if isinstance(raised, RuntimeError) else raised
            if error is None:
                raise
            status = status_of(error)
            transient = status in RETRIED or status is None  # without a status: the connection broke
            if not transient or is_silent(error) or attempt == ATTEMPTS:
                raise
            pause = _asked_for(error) or min(wait * 2 ** (attempt - 1), LONGEST_WAIT)
            say(f"The Hub answered {status or 'nothing'}; trying again in {pause:.0f} s ({attempt} of {ATTEMPTS}).")
            time.sleep(pause)
    raise AssertionError("unreachable")


def _asked_for(error: BaseException) -> float | None:
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError) and error.response is not None:
        asked = retry_after(error.response.headers.get("Retry-After"))
        return None if asked is None else min(asked, LONGEST_ASKED)
    return None
