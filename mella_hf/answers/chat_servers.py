"""Send chat requests to servers that speak OpenAI's protocol (vLLM, SGLang, TGI, llama.cpp).

Each server has a fixed number of workers, and a free worker takes the next request, so a faster server does more of the
work. If a server dies, its open requests are sent to another one.
"""

import asyncio
import base64
import io
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from mella_hf.errors import MellaError, MissingExtraError, StageError
from mella_hf.retry import backoff, retry_after

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from PIL.Image import Image

_LOG = logging.getLogger(__name__)
KEY_VARIABLE = "MELLA_CAPTIONER_KEY"  # environment variable of the key; judges have their own
AT_ONCE = 8  # concurrent requests per server
ATTEMPTS = 6  # attempts of one request, and failures of a worker in a row
BUSY_ATTEMPTS = 100  # attempts in a row while a server answers that it is busy
TIMEOUT = 300.0  # seconds for one answer
LONGEST_WAIT = 120.0  # seconds that a server may ask to wait; others get its requests meanwhile
SAME = 3  # how often a server must say the same thing before it is believed
SAID = 200  # characters of what a server said in errors
_REFUSED = (401, 403, 404)  # key or model are wrong, for every request
_BUSY = (408, 425, 429, 503)  # 503: also while a model is being loaded
_PASSING = (502, 504)  # of a proxy whose server is away; what it says means nothing


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


class Failure(str):
    """Why a request has no answer: a reason fit for counting, such as "status_400".

    Attributes:
        said: the beginning of what the server said, or "".
    """

    said: str

    def __new__(cls, reason: str, said: str = "") -> "Failure":
        """Make a reason that remembers what the server said."""
        made = super().__new__(cls, reason)
        made.said = said
        return made


def reasons(failed: Iterable[str]) -> str:
    """Each reason once, with what servers said, for an error message."""
    return ", ".join(sorted({f"{reason}{getattr(reason, 'said', '')}" for reason in failed}))


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
        for url in base_urls:
            if not url.startswith(("http://", "https://")):
                raise MellaError(
                    f"The server address {without_password(url)!r} is not an address; give one such as "
                    "http://host:8000/v1."
                )
        self.model, self._urls = model, [url.rstrip("/") for url in base_urls]
        self._at_once, self._called, self._key_variable, self._pause = at_once, called, key_variable, pause

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
        return asyncio.run(self._ask_all(_Run(count, request, on_answer)))

    async def _ask_all(self, run: "_Run") -> dict[int, Failure]:
        try:
            from aiohttp import ClientSession, ClientTimeout, TCPConnector
        except ImportError as error:
            raise MissingExtraError("aiohttp", "collect", f"Asking a {self._called}") from error

        key = read_key(self._key_variable)
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

    async def _work(self, session: "ClientSession", url: str, run: "_Run") -> None:
        """Send requests until none are left, or until this server has failed too often in a row."""
        faults = busy = 0
        while faults < ATTEMPTS and busy < BUSY_ATTEMPTS:
            index = await run.waiting.get()
            try:
                answer = await self._ask(session, url, run.request(index))
            except _Fault as fault:
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
                run.keep(index, answer)

    def _patience(self, url: str, fault: "_Fault") -> float:
        """The seconds that a server asked to wait, up to `LONGEST_WAIT`. What it asked beyond that is logged."""
        if fault.wait > LONGEST_WAIT:
            _LOG.warning(
                "The %s %s asks to wait %.0f seconds (%s); it is asked again in %.0f.",
                self._called, without_password(url), fault.wait, fault.reason, LONGEST_WAIT,
            )  # fmt: skip
        return min(fault.wait, LONGEST_WAIT)

    def _stop_if_always(self, run: "_Run", url: str, index: int, fault: "_Fault") -> None:
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
        """Send one request. Raises _Fault, or StageError if every other request would fail too."""
        from aiohttp import ClientError

        try:
            # A redirect is not followed: it could carry the key to another host.
            async with session.post(
                f"{url}/chat/completions", json={"model": self.model, **request}, allow_redirects=False
            ) as response:
                status, body = response.status, await response.read()
                wait = retry_after(response.headers.get("Retry-After"))
        except (ClientError, TimeoutError, OSError) as error:
            raise _Fault(type(error).__name__) from error
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
        raise _Fault(
            f"status_{status}", answered=True, ours=ours, busy=busy, wait=wait or 0.0,
            detail="" if status in _PASSING else detail,
        )  # fmt: skip
        return read_completion(body)


def read_key(variable: str) -> str | None:
    """The key in an environment variable, or None.

    Raises:
        MellaError: if the key cannot stand in an HTTP header; the key itself is not shown.
    """
    key = os.environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable():
        raise MellaError(f"The key in {variable} has a line break or a character that is not ASCII; set it again.")
    return key or None


def without_password(url: str) -> str:
    """An address for messages: without the user and the password that it may hold."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def what_was_said(body: bytes, key: str | None = None) -> str:
    """The beginning of a server's answer as the end of a sentence: ": '...'"; "" if it said nothing."""
    text = " ".join(body[: 4 * SAID].decode("utf-8", "replace").split())[:SAID]
    if key and key.strip():
        text = text.replace(key.strip(), "***")
    return f": {text!r}" if text else ""


class _Part(BaseModel):
    type: str = "text"
    text: str | None = None


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Reply(BaseModel):
    """What is read of a chat completion (OpenAI's API reference); the rest is ignored."""

    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None


def read_completion(body: bytes) -> Completion:
    """Read a chat completion. Raises _Fault if the response is not one.

    The content is a text, or a list of parts, of which the texts count. Half of a surrogate pair, which no file can
    hold, makes a response unreadable.
    """
    try:
        reply = _Reply.model_validate_json(body)
        choice = reply.choices[0]
        content = choice.message.content
        text = content if isinstance(content, str) else "".join(part.text or "" for part in content or ())
        text.encode("utf-8")
    except ValueError as error:  # pydantic's ValidationError, and texts that are not UTF-8
        raise _Fault("unreadable", answered=True, detail=what_was_said(body)) from error
    usage = reply.usage if isinstance(reply.usage, dict) else {}
    counts = (_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens"))
    return Completion(text, choice.finish_reason, choice.message.refusal, *counts)


def _count(value: Any) -> int:
    """A number of tokens as servers state it; 0 if it is not one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else 0


class _Fault(Exception):
    """A request that failed.

    `answered`: with an HTTP status; `ours`: this request will fail everywhere; `busy`: the server asks to wait;
    `detail`: what the server said.
    """

    def __init__(
        self,
        reason: str,
        *,
        answered: bool = False,
        ours: bool = False,
        busy: bool = False,
        wait: float = 0.0,
        detail: str = "",
    ):
        super().__init__(reason)
        self.detail = detail
        self.reason, self.answered, self.ours, self.busy, self.wait = reason, answered, ours, busy, wait


@dataclass
class _Run:
    """The requests of one call and their state."""

    count: int
    request: Callable[[int], Mapping[str, Any]]
    on_answer: Callable[[int, Completion], None]
    waiting: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)
    attempts: dict[int, int] = field(default_factory=dict)
    failed: dict[int, Failure] = field(default_factory=dict)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    last_fault: str = ""
    answered: int = 0
    said: dict[int, list[str]] = field(default_factory=dict)  # faults of a request, with what the server said
    refused: dict[tuple[str, str], set[int]] = field(default_factory=dict)  # fault -> requests that met it

    def __post_init__(self) -> None:
        for index in range(self.count):
            self.waiting.put_nowait(index)

    def keep(self, index: int, answer: Completion) -> None:
        self.on_answer(index, answer)
        self.answered += 1
        self._check()

    def says_the_same(self, index: int, fault: _Fault) -> bool:
        """Whether a request was answered with the same error in the same words `SAME` times in a row."""
        if fault.busy or not fault.detail:
            return False
        said = self.said.setdefault(index, [])
        said.append(f"{fault.reason}{fault.detail}")
        return len(said) >= SAME and len(set(said[-SAME:])) == 1

    def give_up(self, index: int, reason: Failure) -> None:
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
