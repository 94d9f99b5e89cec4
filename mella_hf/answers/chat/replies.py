"""Read what chat servers answer: completions, and the words of their errors."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

SAID = 200  # characters of what a server said in errors


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


class Fault(Exception):
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


def what_was_said(body: bytes, key: str | None = None) -> str:
    """The beginning of a server's answer as the end of a sentence: ": '...'"; "" if it said nothing."""
    text = " ".join(body[: 4 * SAID].decode("utf-8", "replace").split())
    if key and key.strip():
        text = text.replace(key.strip(), "***")  # before the text is cut, or the beginning of a key could stay
    text = text[:SAID]
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
    """Read a chat completion. Raises Fault if the response is not one.

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
        raise Fault("unreadable", answered=True, detail=what_was_said(body)) from error
    usage = reply.usage if isinstance(reply.usage, dict) else {}
    counts = (_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens"))
    return Completion(text, choice.finish_reason, choice.message.refusal, *counts)


def _count(value: Any) -> int:
    """A number of tokens as servers state it; 0 if it is not one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else 0
