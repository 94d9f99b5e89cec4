"""Translate with a chat model behind servers that speak OpenAI's protocol.

Today's best open translators are such models: Tower+, TranslateGemma, SalamandraTA, EuroLLM, Qwen.

    vllm serve Unbabel/Tower-Plus-9B --port 8000
    mella describe ... --translator chat:Unbabel/Tower-Plus-9B --translator-url http://localhost:8000/v1
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mella_hf.answers.chat.replies import Completion
from mella_hf.answers.chat.requests import reasons
from mella_hf.answers.chat.servers import AT_ONCE, ChatServers
from mella_hf.errors import MellaError, StageError
from mella_hf.languages import get_language
from mella_hf.ling.translators.chat_prompts import PROMPT_VERSION, find_form

_LOG = logging.getLogger(__name__)
CHAT = "chat"  # --translator chat:MODEL
KEY_VARIABLE = "MELLA_TRANSLATOR_KEY"
# A caption has about 1,100 characters; TranslateGemma was trained on 2,000 tokens of both texts.
MAX_CHARS = 4000
MAX_TOKENS = 2048  # of a translation
REFUSED = "status_4"  # prefix of reasons that lie with the text
MANY_REFUSED = 6  # if so many texts and no other get an answer, the server is the problem
_THOUGHT = ("<think>", "</think>")  # what Qwen3 and others say to themselves first


class ChatTranslator:
    """A `StreamingTranslator` over one model on one or several servers.

    Args:
        model: the model's name on the servers; it also decides the form of the prompt.
        base_urls: one or more addresses that end in /v1.
        at_once: concurrent requests per server.
        label: what provenance columns say instead of the model's name.
        pause: function that waits; tests pass their own.

    Raises:
        MellaError: if the model or an address is missing.
    """

    max_chars = MAX_CHARS
    batch_size = 1

    def __init__(
        self,
        model: str,
        base_urls: Sequence[str],
        *,
        at_once: int | None = None,
        label: str | None = None,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        if not model:
            raise MellaError(
                "The translator 'chat' needs the name of the model that the server has, such as "
                "--translator chat:Unbabel/Tower-Plus-9B."
            )
        if not base_urls:
            raise MellaError(
                f"The translator 'chat:{model}' needs the address of a server; pass --translator-url, such as "
                "http://localhost:8000/v1."
            )
        self._servers = ChatServers(
            model,
            base_urls,
            at_once=at_once or AT_ONCE,
            called="translation server",
            key_variable=KEY_VARIABLE,
            extras={"repetition_penalty": 1.0},
            pause=pause,
        )
        self._form = find_form(model)
        self.name = f"{label or model} prompt {PROMPT_VERSION}"
        self.version = f"chat {model} prompt {PROMPT_VERSION} {self._form.name}"

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """One translation for each text; "" where the model gave none.

        Raises:
            StageError: if the servers do not answer, or refuse the key, the model or every text.
        """
        found = [""] * len(texts)
        self.translate_each(texts, source, target, found.__setitem__)
        return found

    def translate_each(
        self, texts: Sequence[str], source: str, target: str, on_translation: Callable[[int, str], None]
    ) -> None:
        """Translate texts; `on_translation` gets the index and the translation of each as soon as it arrives.

        Raises:
            StageError: as `translate`; `on_translation` has received all translations so far.
        """
        if target != "en":
            get_language(target)

        def request(index: int) -> Mapping[str, Any]:
            limit = min(MAX_TOKENS, 256 + 2 * len(texts[index]))
            return {**self._form.build(texts[index], source, target), "max_tokens": limit, "temperature": 0}

        answered = 0

        def keep(index: int, said: Completion) -> None:
            nonlocal answered
            answered += 1
            # Half a text is not a translation.
            on_translation(index, "" if said.finish == "length" else spoken(said.text))

        failed = self._servers.ask(len(texts), request, keep)
        refused = {index: reason for index, reason in failed.items() if reason.startswith(REFUSED)}
        lost = [reason for index, reason in failed.items() if index not in refused]
        if lost or (len(refused) >= MANY_REFUSED and not answered):
            raise StageError(
                f"The translation servers of {self._servers.model!r} did not translate {len(failed)} of {len(texts)} "
                f"texts ({reasons(failed.values())}). The other translations are kept; see the server's log, then run "
                "the same command again."
            )
        if refused:
            _LOG.warning(
                "%s refuses %d of %d texts (%s); they have no translation.",
                self.name, len(refused), len(texts), reasons(refused.values()),
            )  # fmt: skip
        for index in refused:
            on_translation(index, "")


def spoken(text: str) -> str:
    """An answer without what the model said to itself, and without white space around it."""
    opened, closed = _THOUGHT
    if text.lstrip().startswith(opened):
        text = text.partition(closed)[2]
    return text.strip()
