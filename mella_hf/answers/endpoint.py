"""Ask served models: send images and a prompt to servers that speak OpenAI's protocol.

This is the fast way to many answers on a GPU: vLLM batches continuously and serves a base and its adapters together.

    vllm serve Qwen/Qwen2-VL-7B-Instruct --enable-lora --lora-modules mella-ar=outputs/joint/adapter
    mella evaluate --endpoint http://localhost:8000/v1 --base Qwen/Qwen2-VL-7B-Instruct --adapter mella-ar ...

A server's answers can change with its load and its version, and it does not report either. The first answers are kept
and not asked for again.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mella_hf.answers.answers import Keep, Turn
from mella_hf.answers.chat.messages import data_url
from mella_hf.answers.chat.replies import Completion
from mella_hf.answers.chat.requests import reasons
from mella_hf.answers.chat.servers import KEY_VARIABLE, ChatServers
from mella_hf.answers.records import ModelIdentity
from mella_hf.errors import MellaError
from mella_hf.keys import without_password

# A checkpoint may ship a repetition penalty, which servers such as `transformers serve` and SGLang apply to greedy
# answers as well. It is not one of OpenAI's parameters: some servers refuse it.
PENALTY = "repetition_penalty"


class Endpoint:
    """A served model as `mella_hf.answers.answers.Answerer`.

    It asks for greedy answers without a repetition penalty; `notes` says whether the servers took that.

    Args:
        model: the model's name on the servers.
        base_urls: one or more addresses that end in /v1.
        options: options of `ChatServers`.
    """

    batched = False
    parameters: int | None = None

    def __init__(self, model: str, base_urls: Sequence[str], **options: Any) -> None:
        self._model, self._urls = model, list(base_urls)
        self._servers = ChatServers(
            model, self._urls, called="model server", key_variable=KEY_VARIABLE, extras={PENALTY: 1.0}, **options
        )
        self.facts: Mapping[str, str] = {"device": "endpoint", "dtype": "as served", "asked_for": f"{PENALTY} 1"}

    @property
    def notes(self) -> Mapping[str, str]:
        """Whether the servers took the penalty of 1; empty before one has answered."""
        refused = {url for url, _ in self._servers.refused_extras}
        if not self._servers.answered:
            return {}
        if not refused:
            return {PENALTY: "1"}
        return {PENALTY: "as served: refused by " + ", ".join(sorted(map(without_password, refused)))}

    def answer(self, turns: Iterable[Turn], max_new_tokens: int, at_once: int, keep: Keep) -> None:
        """Answer all turns and keep each answer as it arrives. `at_once` is ignored: the servers batch by themselves.

        Raises:
            StageError: if no server is left, or they refuse the key or the model.
            MellaError: if the servers do not answer a turn.
        """
        asked = list(turns)

        def request(i: int) -> dict[str, Any]:
            images, prompt = asked[i]
            pictures = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in images]
            message = {"role": "user", "content": [*pictures, {"type": "text", "text": prompt}]}
            return {"messages": [message], "max_tokens": max_new_tokens, "temperature": 0}

        def answered(i: int, said: Completion) -> None:
            keep(i, {"prediction": said.text.strip(), "truncated": said.finish == "length"})

        failed = self._servers.ask(len(asked), request, answered)
        if failed:
            urls = ", ".join(map(without_password, self._urls))
            raise MellaError(
                f"{self._model!r} at {urls} did not answer about {len(failed)} of {len(asked)} "
                f"images ({reasons(failed.values())}). The other answers are kept; see the server's log, then run the "
                "command again."
            )


def endpoint_identity(base: str, adapter: str | None = None) -> ModelIdentity:
    """The identity of a served model: its names on the server, because nothing else is known.

    The address is not part of it: the same model may move to another server.
    """
    served = f"served:{adapter or base}"
    return {"base": base, "base_hash": f"served:{base}", "adapter": adapter, "adapter_hash": adapter and served}
