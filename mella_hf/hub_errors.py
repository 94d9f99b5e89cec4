"""Turn the Hub's refusals into one clear error, and wait and retry when the Hub asks for it."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

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

_TOKEN = re.compile(r"hf_\w+")
_READING = ("read", "download")  # how intents begin that send nothing


@contextmanager
def hub_errors(repo: str, intent: str) -> Iterator[None]:
    """Turn what `huggingface_hub` raises into a MellaError that says what to do. No token gets into it."""
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    check_hub_token()
    try:
        yield
    except MellaError:
        raise
    except OfflineModeIsEnabled as error:
        raise MellaError(
            f"Cannot {intent} {repo!r}: HF_HUB_OFFLINE or HF_DATASETS_OFFLINE is set; unset it to reach the Hub."
        ) from error
    except (HTTPError, OSError, ValueError) as error:
        hint = _hint(error, intent)
        said = _TOKEN.sub("hf_…", str(error).strip().splitlines()[0] if str(error).strip() else "")
        raise MellaError(f"Cannot {intent} {repo!r} ({type(error).__name__}: {said}): {hint}.") from None


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
    if status == 401:
        return "the Hub does not accept the token; log in with `hf auth login` or set HF_TOKEN"
    if status == 403:
        return f"the token may not {intent} there; use one with write access to the organisation"
    if isinstance(error, errors.LocalEntryNotFoundError):
        way = "unset HF_HUB_OFFLINE" if is_offline_mode() else "try again when the Hub can be reached"
        return f"it is not in the local cache; {way}"
    return "try again" if intent.startswith(_READING) else "try again; what was uploaded is not sent twice"


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error of `huggingface_hub`, or None."""
    from huggingface_hub.errors import HfHubHTTPError

    return error.response.status_code if isinstance(error, HfHubHTTPError) and error.response is not None else None


def retried(action: Callable[[], Result], say: Callable[[str], None], wait: float = FIRST_WAIT) -> Result:
    """Run an action, and retry it if the Hub is busy or the repository changed meanwhile, up to `ATTEMPTS` times."""
    from huggingface_hub.errors import HTTPError

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except HTTPError as error:
            status = status_of(error)
            transient = status in RETRIED or status is None  # without a status: the connection broke
            if not transient or attempt == ATTEMPTS:
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
