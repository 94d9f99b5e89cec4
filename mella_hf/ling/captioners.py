"""Images and a prompt enter; what a vision-language model says of them leaves: in this process, or from servers."""

import asyncio
import base64
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError, StageError
from mella_hf.ling.caption import Answer
from mella_hf.ling.rate_limit import backoff, retry_after

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from PIL.Image import Image

MAX_TOKENS = 512  # twice the paper's 258 tokens a caption
KEY_VARIABLE = "MELLA_CAPTIONER_KEY"
SERVER_REQUESTS = 8  # requests under way at each server
ATTEMPTS = 6  # of one image, and of a worker at one server in a row
BUSY_ATTEMPTS = 100  # in a row, of a server that keeps saying that it is busy
TIMEOUT = 300.0  # seconds for one answer
_REFUSED = (401, 403, 404)  # key or model are wrong for every image
_BUSY = (408, 425, 429)


class TransformersCaptioner:
    """A `Captioner` in this process: any image-text-to-text checkpoint, in batches, in the checkpoint's own precision.

    Args:
        model: Hub id or folder.
        batch_size: images described together.
        device: "cuda", "cpu", ...; the accelerator where there is one by default.

    Raises:
        MellaError: the checkpoint does not load.
    """

    def __init__(
        self, model: str, *, batch_size: int = 16, max_tokens: int = MAX_TOKENS, device: str | None = None
    ) -> None:
        from mella_hf.evaluation.models import content_hash, load_model, model_name

        self._model, self._processor = load_model(model, device=device)
        self._batch_size, self._max_tokens = batch_size, max_tokens
        self.name = model_name(model)
        self.version = f"{content_hash(model)[:12]} tokens {max_tokens}"

    def caption(
        self, images: "Sequence[Image]", prompt: str, on_answer: Callable[[int, Answer], None]
    ) -> dict[int, str]:
        """Greedy answers, batch by batch. Every image gets one."""
        from mella_hf.evaluation.generate import answer_batch

        for start in range(0, len(images), self._batch_size):
            batch = images[start : start + self._batch_size]
            answers = answer_batch(self._model, self._processor, batch, prompt, self._max_tokens)
            for index, answer in enumerate(answers, start):
                on_answer(index, Answer(answer["prediction"], answer["truncated"]))
        return {}


class ServerCaptioner:
    """A `Captioner` over servers that speak OpenAI's protocol (vLLM, SGLang, TGI, llama.cpp).

    Every server has a number of workers that take the next image when they are free, so a fast one takes more,
    and an image whose server dies goes back to be taken by another. For a model that fills a GPU:
    `vllm serve Qwen/Qwen2.5-VL-72B-Instruct --port 8000 --limit-mm-per-prompt '{"image": 1}'` on each machine.

    Args:
        model: the name that the servers serve it under.
        base_urls: addresses that end in /v1, one or more.
        at_once: requests under way at each.
        pause: how to wait; tests pass their own.
    """

    def __init__(
        self,
        model: str,
        base_urls: Sequence[str],
        *,
        at_once: int = SERVER_REQUESTS,
        max_tokens: int = MAX_TOKENS,
        label: str | None = None,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        if wrong := [url for url in base_urls if not url.startswith(("http://", "https://"))]:
            raise MellaError(f"--base-url {wrong[0]!r} is no address; give one such as http://host:8000/v1.")
        self._model, self._urls = model, [url.rstrip("/") for url in base_urls]
        self._at_once, self._max_tokens, self._pause = at_once, max_tokens, pause
        self.name = label or model
        self.version = f"openai tokens {max_tokens}"

    def caption(
        self, images: "Sequence[Image]", prompt: str, on_answer: Callable[[int, Answer], None]
    ) -> dict[int, str]:
        """One request an image.

        Raises:
            StageError: no server is left, or they refuse the key or the model. Answers given before have been told.
        """
        return asyncio.run(self._caption(images, prompt, on_answer))

    async def _caption(
        self, images: "Sequence[Image]", prompt: str, on_answer: Callable[[int, Answer], None]
    ) -> dict[int, str]:
        from aiohttp import ClientSession, ClientTimeout, TCPConnector

        run = _Run(images, prompt, on_answer)
        key = os.environ.get(KEY_VARIABLE)
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
                        task.result()  # raises what is wrong for every image
            finally:
                for task in (finished, *workers):
                    task.cancel()
                await asyncio.gather(finished, *workers, return_exceptions=True)
        if not run.finished.is_set():
            raise StageError(
                f"None of the caption servers answers any more ({', '.join(self._urls)}); last: {run.last_fault}. "
                "What was described is kept; run the same command again when they are up."
            )
        return run.failed

    async def _work(self, session: "ClientSession", url: str, run: "_Run") -> None:
        """Take images until none are left, or until this server has failed too often in a row."""
        faults = busy = 0
        while faults < ATTEMPTS and busy < BUSY_ATTEMPTS:
            index = await run.waiting.get()
            try:
                answer = await self._ask(session, url, run.images[index], run.prompt)
            except _Fault as fault:
                run.last_fault = f"{url}: {fault}"
                # What the image may be to blame for counts against it; a dead server does not.
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
        """Whether a server that did not answer a request answers a small one."""
        from aiohttp import ClientError

        try:
            async with session.get(f"{url}/models"):
                return True
        except (ClientError, TimeoutError, OSError):
            return False

    async def _ask(self, session: "ClientSession", url: str, image: "Image", prompt: str) -> Answer:
        """One request. Raises _Fault, or StageError when every other request would fail as well."""
        from aiohttp import ClientError

        content = [
            {"type": "image_url", "image_url": {"url": data_url(image)}},
            {"type": "text", "text": prompt},
        ]
        request = {
            "model": self._model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self._max_tokens,
            "temperature": 0,
        }
        try:
            async with session.post(f"{url}/chat/completions", json=request) as response:
                status, body = response.status, await response.read()
                wait = retry_after(response.headers.get("Retry-After"))
        except (ClientError, TimeoutError, OSError) as error:
            raise _Fault(type(error).__name__) from error
        if status in _REFUSED:
            raise StageError(
                f"The caption server {url} refuses the request (status {status}); check the model name "
                f"{self._model!r}, and {KEY_VARIABLE} in the environment."
            )
        if status != 200:
            busy = status in _BUSY
            ours = 400 <= status < 500 and not busy
            raise _Fault(f"status_{status}", answered=True, ours=ours, busy=busy, wait=wait or 0.0)
        return read_answer(body)


def read_answer(body: bytes) -> Answer:
    """What a chat completion says. Raises _Fault when it is none."""
    try:
        choice = json.loads(body)["choices"][0]
        return Answer(choice["message"]["content"] or "", choice.get("finish_reason") == "length")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise _Fault("unreadable", answered=True) from error


class _Fault(Exception):
    """A request that failed.

    `answered`: with an HTTP status; `ours`: this image will fail everywhere; `busy`: the server asks to wait.
    """

    def __init__(
        self, reason: str, *, answered: bool = False, ours: bool = False, busy: bool = False, wait: float = 0.0
    ):
        super().__init__(reason)
        self.reason, self.answered, self.ours, self.busy, self.wait = reason, answered, ours, busy, wait


@dataclass
class _Run:
    """The images of one call, and what became of them so far."""

    images: "Sequence[Image]"
    prompt: str
    on_answer: Callable[[int, Answer], None]
    waiting: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)
    attempts: dict[int, int] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    last_fault: str = ""
    answered: int = 0

    def __post_init__(self) -> None:
        for index in range(len(self.images)):
            self.waiting.put_nowait(index)

    def keep(self, index: int, answer: Answer) -> None:
        self.on_answer(index, answer)
        self.answered += 1
        self._check()

    def give_up(self, index: int, reason: str) -> None:
        self.failed[index] = reason
        self._check()

    def _check(self) -> None:
        if self.answered + len(self.failed) == len(self.images):
            self.finished.set()


def data_url(image: "Image") -> str:
    """An image as a data URL, JPEG at quality 90."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
