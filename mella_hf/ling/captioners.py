"""Captioners: vision-language models that describe an image, local or served."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mella_hf.answers.chat_servers import AT_ONCE, KEY_VARIABLE, ChatServers, Completion, image_message
from mella_hf.ling.caption import CaptionAnswer

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_TOKENS = 512  # twice the paper's 258 tokens a caption


class TransformersCaptioner:
    """A `Captioner` in this process: any image-text-to-text checkpoint, in batches, in the checkpoint's own precision.

    Args:
        model: Hub id or folder.
        batch_size: images described together; one that is done makes place for the next.
        device: "cuda", "cpu", ...; the accelerator where there is one by default.

    Raises:
        MellaError: the checkpoint does not load.
    """

    def __init__(
        self, model: str, *, batch_size: int = 16, max_tokens: int = MAX_TOKENS, device: str | None = None
    ) -> None:
        from mella_hf.answers.identity import content_hash, model_name
        from mella_hf.answers.models import load_model

        self._model, self._processor = load_model(model, device=device)
        self._batch_size, self._max_tokens = batch_size, max_tokens
        self.name = model_name(model)
        self.version = f"{content_hash(model)[:12]} tokens {max_tokens}"

    def caption(
        self, images: "Sequence[Image]", prompt: str, on_answer: Callable[[int, CaptionAnswer], None]
    ) -> dict[int, str]:
        """Greedy answers. Every image gets one."""
        from mella_hf.answers.generate import answer_turns

        def keep(index: int, answer: dict[str, Any]) -> None:
            on_answer(index, CaptionAnswer(answer["prediction"], answer["truncated"]))

        turns = (([image], prompt) for image in images)
        answer_turns(self._model, self._processor, turns, self._max_tokens, self._batch_size, keep)
        return {}


class ServerCaptioner:
    """A `Captioner` over servers that speak OpenAI's protocol.

    For a model that fills a GPU:
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
        at_once: int = AT_ONCE,
        max_tokens: int = MAX_TOKENS,
        label: str | None = None,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._servers = ChatServers(
            model, base_urls, at_once=at_once, called="caption server", key_variable=KEY_VARIABLE, pause=pause
        )
        self._max_tokens = max_tokens
        self.name = label or model
        self.version = f"openai tokens {max_tokens}"

    def caption(
        self, images: "Sequence[Image]", prompt: str, on_answer: Callable[[int, CaptionAnswer], None]
    ) -> dict[int, str]:
        """One request an image.

        Raises:
            StageError: no server is left, or they refuse the key or the model. Answers given before have been told.
        """

        def request(index: int) -> dict[str, Any]:
            message = image_message(images[index], prompt)
            return {"messages": [message], "max_tokens": self._max_tokens, "temperature": 0}

        def answered(index: int, said: Completion) -> None:
            on_answer(index, CaptionAnswer(said.text, said.finish == "length"))

        return self._servers.ask(len(images), request, answered)
