"""Captioners: vision-language models that describe an image, local or served."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mella_hf.answers.chat.messages import image_message
from mella_hf.answers.chat.replies import Completion
from mella_hf.answers.chat.servers import AT_ONCE, KEY_VARIABLE, ChatServers
from mella_hf.answers.records import Answer
from mella_hf.ling.caption import CaptionAnswer

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_TOKENS = 512  # twice the paper's 258 tokens a caption


class TransformersCaptioner:
    """A `Captioner` that runs any image-text-to-text checkpoint in this process, in the checkpoint's precision.

    Args:
        model: Hub id or folder.
        batch_size: images per batch; a finished image makes room for the next one.
        device: "cuda", "cpu", ...; by default the accelerator, if there is one.

    Raises:
        MellaError: if the checkpoint does not load.
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
        self,
        images: "Sequence[Image]",
        prompt: str | Sequence[str],
        on_answer: Callable[[int, CaptionAnswer], None],
    ) -> dict[int, str]:
        """Describe images greedily. Every image gets an answer."""
        from mella_hf.answers.generate import answer_turns

        def keep(index: int, answer: Answer) -> None:
            on_answer(index, CaptionAnswer(answer["prediction"], answer["truncated"]))

        turns = (([image], prompt_of(prompt, at)) for at, image in enumerate(images))
        answer_turns(self._model, self._processor, turns, self._max_tokens, self._batch_size, keep)
        return {}


class ServerCaptioner:
    """A `Captioner` that asks servers that speak OpenAI's protocol.

    For a model that fills a GPU:
    `vllm serve Qwen/Qwen2.5-VL-72B-Instruct --port 8000 --limit-mm-per-prompt '{"image": 1}'` on each machine.

    Args:
        model: the model's name on the servers.
        base_urls: one or more addresses that end in /v1.
        at_once: concurrent requests per server.
        pause: function that waits; tests pass their own.
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
        self,
        images: "Sequence[Image]",
        prompt: str | Sequence[str],
        on_answer: Callable[[int, CaptionAnswer], None],
    ) -> dict[int, str]:
        """Send one request per image.

        Raises:
            StageError: if no server is left, or they refuse the key or the model. `on_answer` has received all answers
                so far.
        """

        def request(index: int) -> dict[str, Any]:
            message = image_message(images[index], prompt_of(prompt, index))
            return {"messages": [message], "max_tokens": self._max_tokens, "temperature": 0}

        def answered(index: int, said: Completion) -> None:
            on_answer(index, CaptionAnswer(said.text, said.finish == "length"))

        return dict(self._servers.ask(len(images), request, answered))


def prompt_of(prompt: str | Sequence[str], index: int) -> str:
    """The prompt about one image: the one for all, or its own."""
    return prompt if isinstance(prompt, str) else prompt[index]
