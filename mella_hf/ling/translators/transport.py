"""Make deep-translator's HTTP requests safe, and keep the headers of the answers.

deep-translator calls `requests.get` and `requests.post` without a timeout, puts keys and texts into the URL (where
servers and proxies log them, and where DeepL no longer accepts keys), and discards the headers of the answer, also
Retry-After. Its modules get this object in place of `requests`.
"""

import threading
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import requests

TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes of the answer
NO_KEY = "-"  # deep-translator requires a key, even if your own server needs none


@dataclass(frozen=True)
class Seen:
    """The response to the last request of a thread; status 0 if there was none."""

    status: int = 0
    retry_after: str | None = None
    body: str = ""


class Transport:
    """Replaces `requests` in deep-translator."""

    exceptions = requests.exceptions

    def __init__(self) -> None:
        self._local = threading.local()

    @property
    def last(self) -> Seen:
        """The response to the last request of this thread."""
        return getattr(self._local, "seen", Seen())

    def get(self, url: str, params: dict[str, Any] | None = None, **options: Any) -> requests.Response:
        """GET; a DeepL translation is sent as POST with the key in a header, as DeepL documents it."""
        if params is not None and "auth_key" in params:
            form = {name: value for name, value in params.items() if name != "auth_key"}
            headers = {"Authorization": f"DeepL-Auth-Key {params['auth_key']}"}
            return self._send("POST", url, data=form, headers=headers)
        return self._send("GET", url, params=params, **options)

    def post(self, url: str, params: dict[str, Any] | None = None, **options: Any) -> requests.Response:
        """POST; a LibreTranslate form is sent in the body, which has no length limit."""
        if params is not None and "q" in params:
            form = {name: value for name, value in params.items() if (name, value) != ("api_key", NO_KEY)}
            return self._send("POST", url, data=form, **options)
        return self._send("POST", url, params=params, **options)

    def forget(self) -> None:
        """Forget the last response, before a new request."""
        self._local.seen = Seen()

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        session = getattr(self._local, "session", None)
        if session is None:  # one a thread: it keeps the connection open
            session = self._local.session = requests.Session()
        # A redirect is not followed: it could carry the key and the text to another host.
        response = session.request(method, url, timeout=TIMEOUT, allow_redirects=False, **options)
        self._local.seen = Seen(response.status_code, response.headers.get("Retry-After"), response.text[:300])
        return response


TRANSPORT = Transport()


def install(module: ModuleType) -> None:
    """Make a module of deep-translator use `TRANSPORT`."""
    module.requests = TRANSPORT  # type: ignore[attr-defined]
