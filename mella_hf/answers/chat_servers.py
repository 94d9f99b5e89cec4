"""Send chat requests to servers that speak OpenAI's protocol (vLLM, SGLang, TGI, llama.cpp).

Each server has a fixed number of workers, and a free worker takes the next request, so a faster server does more of the
work. If a server dies, its open requests are sent to another one.
"""

import asyncio
import base64
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError, MissingExtraError, StageError
from mella_hf.retry import backoff, retry_after

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from PIL.Image import Image

KEY_VARIABLE = "MELLA_CAPTIONER_KEY"  # environment variable of the key; judges have their own
AT_ONCE = 8  # concurrent requests per server
ATTEMPTS = 6  # attempts of one request, and failures of a worker in a row
BUSY_ATTEMPTS = 100  # attempts in a row while a server answers that it is busy
TIMEOUT = 300.0  # seconds for one answer
_REFUSED = (401, 403, 404)  # key or model are wrong, for every request
_BUSY = (408, 425, 429)


@dataclass(frozen=True)
class Completion:
    """A chat completion.

    Attributes:
        text: empty if the model said nothing.
        finish: why it ended: "stop", "length" (cut off at the token limit), "content_filter" ...; None if unknown.
        refusal: the model's refusal instead of an answer, if the server distinguishes them.
        prompt_tokens, completion_tokens: the server's counts; 0 if it does not count.
    """

    text: str
    finish: str | None = None
    refusal: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ChatServers:
    """Servers of one model that are asked concurrently.

    Args:
        model: the model's name on the servers.
        base_urls: one or more addresses that end in /v1.
        at_once: concurrent requests per server.
        called: name of a server in errors, such as "caption server".
        key_variable: environment variable with the key, if the servers need one.
        pause: function that waits; tests pass their own.
    """

    def __init__(
        self,
        model: str,
        base_urls: Sequence[str],
        *,
        at_once: int = AT_ONCE,
        called: str,
        key_variable: str,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        if wrong := [url for url in base_urls if not url.startswith(("http://", "https://"))]:
            raise MellaError(f"--base-url {wrong[0]!r} is not an address; give one such as http://host:8000/v1.")
        self.model, self._urls = model, [url.rstrip("/") for url in base_urls]
        self._at_once, self._called, self._key_variable, self._pause = at_once, called, key_variable, pause

    def ask(
        self, count: int, request: Callable[[int], Mapping[str, Any]], on_answer: Callable[[int, Completion], None]
    ) -> dict[int, str]:
        """Send requests 0 to count - 1; `on_answer` receives the index and the answer of each as soon as it arrives.

        Args:
            request: returns the body of a request without its model; called for every attempt.

        Returns:
            Index -> reason, such as "status_400", for requests without an answer although a server works.

        Raises:
            StageError: if no server is left, or they refuse the key or the model. `on_answer` has received all
                answers so far.
            MissingExtraError: if aiohttp is not installed.
        """
        return asyncio.run(self._ask_all(_Run(count, request, on_answer)))

    async def _ask_all(self, run: "_Run") -> dict[int, str]:
        try:
            from aiohttp import ClientSession, ClientTimeout, TCPConnector
        except ImportError as error:
            raise MissingExtraError("aiohttp", "collect", f"Asking a {self._called}") from error

        key = os.environ.get(self._key_variable)
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
            raise StageError(
                f"None of the {self._called}s answers any more ({', '.join(self._urls)}); last: {run.last_fault}. "
                "Answers so far are kept; run the same command again when the servers work."
            )
        return run.failed

    async def _work(self, session: "ClientSession", url: str, run: "_Run") -> None:
        """Send requests until none are left, or until this server has failed too often in a row."""
        faults = busy = 0
        while faults < ATTEMPTS and busy < BUSY_ATTEMPTS:
            index = await run.waiting.get()
            try:
                answer = await self._ask(session, url, run.request(index))
            except _Fault as fault:
                run.last_fault = f"{url}: {fault}"
                # A failure that the request may have caused counts as its attempt; a dead server does not.
                if not fault.busy and (fault.answered or await self._is_alive(session, url)):
                    run.attempts[index] = run.attempts.get(index, 0) + 1
                if fault.ours or run.attempts.get(index, 0) >= ATTEMPTS:
                    run.give_up(index, fault.reason)
                else:
                    run.waiting.put_nowait(index)
                busy, faults = (busy + 1, faults) if fault.busy else (0, faults + (not fault.ours))
                if not fault.ours:
                    await self._pause(fault.wait or backoff(max(1, faults)))
            else:
                faults = busy = 0
                run.keep(index, answer)

    async def _is_alive(self, session: "ClientSession", url: str) -> bool:
        """Whether a server answers a small request after it failed on another one."""
        from aiohttp import ClientError

        try:
            async with session.get(f"{url}/models"):
                return True
        except (ClientError, TimeoutError, OSError):
            return False

    async def _ask(self, session: "ClientSession", url: str, request: Mapping[str, Any]) -> Completion:
        """Send one request. Raises _Fault, or StageError if every other request would fail too."""
        from aiohttp import ClientError

        try:
            async with session.post(f"{url}/chat/completions", json={"model": self.model, **request}) as response:
                status, body = response.status, await response.read()
                wait = retry_after(response.headers.get("Retry-After"))
        except (ClientError, TimeoutError, OSError) as error:
            raise _Fault(type(error).__name__) from error
        if status in _REFUSED:
            raise StageError(
                f"The {self._called} {url} refuses the request (status {status}); check the model name "
                f"{self.model!r}, and {self._key_variable} in the environment."
            )
        if status != 200:
            busy = status in _BUSY
            ours = 400 <= status < 500 and not busy
            raise _Fault(f"status_{status}", answered=True, ours=ours, busy=busy, wait=wait or 0.0)
        return read_completion(body)


def read_completion(body: bytes) -> Completion:
    """Read a chat completion. Raises _Fault if the response is not one."""
    try:
        answer = json.loads(body)
        choice, usage = answer["choices"][0], answer.get("usage") or {}
        message = choice["message"]
        return Completion(
            message.get("content") or "",
            choice.get("finish_reason"),
            message.get("refusal"),
            int(usage.get("prompt_tokens") or 0),
            int(usage.get("completion_tokens") or 0),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _Fault("unreadable", answered=True) from error


class _Fault(Exception):
    """A request that failed.

    `answered`: with an HTTP status; `ours`: this request will fail everywhere; `busy`: the server asks to wait.
    """

    def __init__(
        self, reason: str, *, answered: bool = False, ours: bool = False, busy: bool = False, wait: float = 0.0
    ):
        super().__init__(reason)
        self.reason, self.answered, self.ours, self.busy, self.wait = reason, answered, ours, busy, wait


@dataclass
class _Run:
    """The requests of one call and their state."""

    count: int
    request: Callable[[int], Mapping[str, Any]]
    on_answer: Callable[[int, Completion], None]
    waiting: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)
    attempts: dict[int, int] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    last_fault: str = ""
    answered: int = 0

    def __post_init__(self) -> None:
        for index in range(self.count):
            self.waiting.put_nowait(index)

    def keep(self, index: int, answer: Completion) -> None:
        self.on_answer(index, answer)
        self.answered += 1
        self._check()

    def give_up(self, index: int, reason: str) -> None:
        self.failed[index] = reason
        self._check()

    def _check(self) -> None:
        if self.answered + len(self.failed) == self.count:
            self.finished.set()


def image_message(image: "Image", text: str) -> dict[str, Any]:
    """A user turn with an image and a text."""
    parts = [{"type": "image_url", "image_url": {"url": data_url(image)}}, {"type": "text", "text": text}]
    return {"role": "user", "content": parts}


def data_url(image: "Image") -> str:
    """An image as a data URL, JPEG at quality 90."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
