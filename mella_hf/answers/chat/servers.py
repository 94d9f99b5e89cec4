"""Send chat requests to servers that speak OpenAI's protocol (vLLM, SGLang, TGI, llama.cpp).

Each server has a fixed number of workers, and a free worker takes the next request, so a faster server does more of the
work. If a server dies, its open requests are sent to another one.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mella_hf.answers.chat.replies import Completion, Fault, read_completion, what_was_said
from mella_hf.answers.chat.requests import SAME, Failure, RequestRun
from mella_hf.errors import MellaError, MissingExtraError, StageError
from mella_hf.keys import check_address, has_password, read_key, without_password
from mella_hf.retry import backoff, retry_after

if TYPE_CHECKING:
    from aiohttp import ClientSession

_LOG = logging.getLogger(__name__)
KEY_VARIABLE = "MELLA_CAPTIONER_KEY"  # environment variable of the key; judges have their own
AT_ONCE = 8  # concurrent requests per server
ATTEMPTS = 6  # attempts of one request, and failures of a worker in a row
BUSY_ATTEMPTS = 100  # attempts in a row while a server answers that it is busy
TIMEOUT = 300.0  # seconds for one answer
LONGEST_WAIT = 120.0  # seconds that a server may ask to wait; others get its requests meanwhile
_REFUSED = (401, 403, 404)  # key or model are wrong, for every request
_BUSY = (408, 425, 429, 503)  # 503: also while a model is being loaded
_UNKNOWN = (400, 422)  # what servers say to a parameter that they do not know
_PASSING = (502, 504)  # of a proxy whose server is away; what it says means nothing


class ChatServers:
    """Servers of one model that are asked concurrently.

    Args:
        model: the model's name on the servers.
        base_urls: one or more addresses that end in /v1.
        at_once: concurrent requests per server.
        called: name of a server in errors, such as "caption server".
        key_variable: environment variable with the key, if the servers need one.
        extras: parameters beyond OpenAI's, sent with every request; a server that refuses one gets it no more.
        pause: function that waits; tests pass their own.

    Attributes:
        refused_extras: (address, name) of the extras that a server refused.
        answered: addresses that answered a request.
    """

    def __init__(
        self,
        model: str,
        base_urls: Sequence[str],
        *,
        at_once: int = AT_ONCE,
        called: str,
        key_variable: str,
        extras: Mapping[str, Any] | None = None,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        for url in base_urls:
            if not url.startswith(("http://", "https://")):
                raise MellaError(
                    f"The server address {without_password(url)!r} is not an address; give one such as "
                    "http://host:8000/v1."
                )
            check_address(url)
        self.model, self._urls = model, [url.rstrip("/") for url in base_urls]
        self._at_once, self._called, self._key_variable, self._pause = at_once, called, key_variable, pause
        self._extras = dict(extras or {})
        self.refused_extras: set[tuple[str, str]] = set()
        self.answered: set[str] = set()

    def ask(
        self, count: int, request: Callable[[int], Mapping[str, Any]], on_answer: Callable[[int, Completion], None]
    ) -> dict[int, Failure]:
        """Send requests 0 to count - 1; `on_answer` receives the index and the answer of each as soon as it arrives.

        Args:
            request: returns the body of a request without its model; called for every attempt.

        Returns:
            Index -> `Failure` for requests without an answer although a server works.

        Raises:
            StageError: if no server is left, or they refuse the key or the model. `on_answer` has received all
                answers so far.
            MissingExtraError: if aiohttp is not installed.
        """
        return asyncio.run(self._ask_all(RequestRun(count, request, on_answer)))

    async def _ask_all(self, run: RequestRun) -> dict[int, Failure]:
        try:
            from aiohttp import ClientSession, ClientTimeout, TCPConnector
        except ImportError as error:
            raise MissingExtraError("aiohttp", "collect", f"Asking a {self._called}") from error

        key = read_key(self._key_variable)
        double = [url for url in self._urls if has_password(url)]
        if key and double:
            raise MellaError(
                f"The {self._called} {without_password(double[0])} has a password in its address, and "
                f"{self._key_variable} holds a key; a request carries only one of them. Leave one out."
            )
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = {"timeout": ClientTimeout(total=TIMEOUT), "connector": TCPConnector(limit=0)}
        async with ClientSession(headers=headers, **limits) as session:  # type: ignore[arg-type]
            workers = [
                asyncio.create_task(self._work(session, u, run)) for u in self._urls for _ in range(self._at_once)
            ]
            finished = asyncio.create_task(run.finished.wait())
            try:
                pending: set[asyncio.Task[Any]] = {finished, *workers}
                while pending - {finished} and not finished.done():
                    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                    for task in done - {finished}:
                        task.result()  # raises an error that affects every request
            finally:
                for task in (finished, *workers):
                    task.cancel()
                await asyncio.gather(finished, *workers, return_exceptions=True)
        if not run.finished.is_set():
            shown = ", ".join(map(without_password, self._urls))
            raise StageError(
                f"None of the {self._called}s answers any more ({shown}); last: {run.last_fault}. "
                "Answers so far are kept; run the same command again when the servers work."
            )
        return run.failed

    async def _work(self, session: "ClientSession", url: str, run: RequestRun) -> None:
        """Send requests until none are left, or until this server has failed too often in a row."""
        faults = busy = 0
        while faults < ATTEMPTS and busy < BUSY_ATTEMPTS:
            index = await run.waiting.get()
            try:
                answer = await self._ask(session, url, run.request(index))
            except Fault as fault:
                run.last_fault = f"{without_password(url)}: {fault}{fault.detail}"
                self._stop_if_always(run, url, index, fault)
                # A failure that the request may have caused counts as its attempt; a dead server does not.
                if not fault.busy and (fault.answered or await self._is_alive(session, url)):
                    run.attempts[index] = run.attempts.get(index, 0) + 1
                if fault.ours or run.attempts.get(index, 0) >= ATTEMPTS or run.says_the_same(index, fault):
                    run.give_up(index, Failure(fault.reason, fault.detail))
                else:
                    run.waiting.put_nowait(index)
                busy, faults = (busy + 1, faults) if fault.busy else (0, faults + (not fault.ours))
                if not fault.ours:
                    await self._pause(self._patience(url, fault) or backoff(max(1, faults)))
            else:
                faults = busy = 0
                self.answered.add(url)
                run.keep(index, answer)

    def _patience(self, url: str, fault: Fault) -> float:
        """The seconds that a server asked to wait, up to `LONGEST_WAIT`. What it asked beyond that is logged."""
        if fault.wait > LONGEST_WAIT:
            _LOG.warning(
                "The %s %s asks to wait %.0f seconds (%s); it is asked again in %.0f.",
                self._called, without_password(url), fault.wait, fault.reason, LONGEST_WAIT,
            )  # fmt: skip
        return min(fault.wait, LONGEST_WAIT)

    def _stop_if_always(self, run: RequestRun, url: str, index: int, fault: Fault) -> None:
        """Raise StageError if servers gave no answer yet, and refused several different requests in the same words."""
        if fault.busy or fault.ours or not fault.detail:  # requests that are at fault themselves are counted by callers
            return
        refused = run.refused.setdefault((fault.reason, fault.detail), set())
        refused.add(index)
        if not run.answered and len(refused) >= SAME:
            raise StageError(
                f"The {self._called} {without_password(url)} refuses every request ({fault.reason}){fault.detail}. "
                f"Check the model {self.model!r} and how the server was started."
            )

    async def _is_alive(self, session: "ClientSession", url: str) -> bool:
        """Whether a server answers a small request after it failed on another one."""
        from aiohttp import ClientError

        try:
            async with session.get(f"{url}/models"):
                return True
        except (ClientError, TimeoutError, OSError):
            return False

    async def _ask(self, session: "ClientSession", url: str, request: Mapping[str, Any]) -> Completion:
        """Send one request. Raises Fault, or StageError if every other request would fail too."""
        extras = {name: value for name, value in self._extras.items() if (url, name) not in self.refused_extras}
        status, body, wait = await self._post(session, url, {**extras, **request})
        if extras and status in _UNKNOWN and (url not in self.answered or any(n.encode() in body for n in extras)):
            # Not every server names what it refuses (LiteLLM does not pass that on), so the request itself tells.
            status, body, wait = await self._post(session, url, request)
            if status == 200:
                self.refused_extras |= {(url, name) for name in extras}
        if status == 200:
            return read_completion(body)
        detail = what_was_said(body, os.environ.get(self._key_variable))
        if status in _REFUSED:
            raise StageError(
                f"The {self._called} {without_password(url)} refuses the request (status {status}){detail}; check the "
                f"model name {self.model!r}, and {self._key_variable} in the environment."
            )
        if 300 <= status < 400:
            raise StageError(
                f"The {self._called} {without_password(url)} answers with a redirect (status {status}), which is not "
                "followed because it could carry the key elsewhere; give the address of the server itself."
            )
        busy = status in _BUSY
        ours = 400 <= status < 500 and not busy
        raise Fault(
            f"status_{status}", answered=True, ours=ours, busy=busy, wait=wait or 0.0,
            detail="" if status in _PASSING else detail,
        )  # fmt: skip

    async def _post(
        self, session: "ClientSession", url: str, request: Mapping[str, Any]
    ) -> tuple[int, bytes, float | None]:
        """Status, body and the seconds that the server asks to wait. Raises Fault if there is no answer."""
        from aiohttp import ClientError

        try:
            # A redirect is not followed: it could carry the key to another host.
            async with session.post(
                f"{url}/chat/completions", json={"model": self.model, **request}, allow_redirects=False
            ) as response:
                return response.status, await response.read(), retry_after(response.headers.get("Retry-After"))
        except (ClientError, TimeoutError, OSError) as error:
            raise Fault(type(error).__name__) from error
