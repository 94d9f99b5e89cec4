"""Images and a prompt go to servers that speak OpenAI's protocol (vLLM, SGLang, TGI, llama.cpp); answers leave.

The way to many answers where a GPU is: vLLM batches continuously and serves a base and its adapters at once,

    vllm serve Qwen/Qwen2-VL-7B-Instruct --enable-lora --lora-modules mella-ar=outputs/joint/adapter
    mella evaluate --endpoint http://localhost:8000/v1 --base Qwen/Qwen2-VL-7B-Instruct --adapter mella-ar ...

A server's answers can change with its load and version, which it does not tell: they are kept as they came.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.evaluation.predictions import Keep
from mella_hf.ling.caption import Answer
from mella_hf.ling.captioners import ServerCaptioner


class Endpoint:
    """A served model as `mella_hf.evaluation.predictions.Answerer`.

    Args:
        model: the name that the servers serve it under.
        base_urls: addresses that end in /v1, one or more.
        options: of `ServerCaptioner`.
    """

    batched = False
    parameters: int | None = None

    def __init__(self, model: str, base_urls: Sequence[str], **options: Any) -> None:
        self._model, self._urls, self._options = model, list(base_urls), options
        self.facts: Mapping[str, str] = {"device": "endpoint", "dtype": "as served"}

    def answer(self, images: Sequence[Any], prompt: str, max_new_tokens: int, keep: Keep) -> None:
        """The answers of all images, each kept as it comes.

        Raises:
            StageError: no server is left, or they refuse the key or the model.
            MellaError: an image that the servers do not answer about.
        """
        captioner = ServerCaptioner(self._model, self._urls, max_tokens=max_new_tokens, **self._options)

        def keep_answer(i: int, answer: Answer) -> None:
            keep(i, {"prediction": answer.text.strip(), "truncated": answer.truncated})

        if failed := captioner.caption(images, prompt, keep_answer):
            reasons = ", ".join(sorted(set(failed.values())))
            raise MellaError(
                f"{self._model!r} at {', '.join(self._urls)} did not answer about {len(failed)} of {len(images)} "
                f"images ({reasons}). The other answers are kept; see the server's log, then run the command again."
            )


def endpoint_identity(base: str, adapter: str | None = None) -> dict[str, Any]:
    """What predictions of a served model are known by: the names that it is served under, since nothing else is known.

    The address is no part of it: a server that moved serves the same model.
    """
    served = f"served:{adapter or base}"
    return {"base": base, "base_hash": f"served:{base}", "adapter": adapter, "adapter_hash": adapter and served}
