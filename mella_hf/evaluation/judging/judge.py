"""Ask a vision-language model for verdicts on answers; each question is asked only once.

Every reply is on disk before its worker sends the next request, under a key of model, prompt, image and texts. So a
judging that was stopped, or whose server died, continues where it was and pays for nothing twice.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from mella_hf.answers.chat.messages import image_message
from mella_hf.answers.chat.replies import Completion
from mella_hf.answers.chat.requests import reasons
from mella_hf.answers.chat.servers import ChatServers
from mella_hf.answers.request_cache import Asked, RequestCache
from mella_hf.errors import StageError
from mella_hf.evaluation.judging.prompts import (
    REMINDER,
    JudgeVerdict,
    Kind,
    Preference,
    ReplyError,
    parse_reply,
    prompt_hash,
    response_format,
)
from mella_hf.progress import progress_bar

if TYPE_CHECKING:
    from PIL.Image import Image

KEY_VARIABLE = "MELLA_JUDGE_KEY"
MAX_TOKENS = 1024  # room for a list of quotes from an answer of 512 tokens
IMAGE_SIDE = 1024  # px of the longer side; larger images are resized, which limits the cost
MANY_REFUSED = 6  # if so many questions in a row get no reply, the server is the problem


@dataclass(frozen=True)
class JudgeQuestion:
    """One question to the judge.

    Attributes:
        image_id: id of the image to send.
        text: the prompt with its material, from `prompts.prompt_text`.
        seed: sampling seed, for servers that use it.
    """

    kind: Kind
    image_id: str
    text: str
    seed: int = 0

    @property
    def key(self) -> str:
        """The key under which the reply is stored."""
        return f"{self.image_id}\n{self.seed}\n{self.text}"

    def again(self) -> "JudgeQuestion":
        """The question to ask after an unusable reply."""
        return replace(self, text=self.text + REMINDER, seed=self.seed + 1000)


@dataclass(frozen=True)
class Reply:
    """The outcome of a question.

    Attributes:
        verdict: None if there is a problem.
        problem: `unparsed_<reason>` of the second reply, or `unanswered_<fault>`; a rerun asks the latter again.
        requests, prompt_tokens, completion_tokens: cost of both replies.
    """

    verdict: JudgeVerdict | Preference | None
    problem: str | None = None
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Judge:
    """A served vision-language model as a judge, with its stored replies.

    Args:
        servers: the servers that run the model.
        cache: where its replies are stored.
    """

    def __init__(self, servers: ChatServers, cache: RequestCache) -> None:
        self._servers, self._cache = servers, cache
        self.model = servers.model

    def asked_before(self, question: JudgeQuestion, language: str) -> bool:
        """Whether a question already has a reply."""
        return self._cache.get(self._asked(question, language), question.key) is not None

    def ask(
        self,
        questions: Sequence[JudgeQuestion],
        open_image: Callable[[str], "Image"],
        language: str,
        *,
        progress: bool = True,
    ) -> dict[JudgeQuestion, Reply]:
        """Ask for a verdict on each question; the outcome is a verdict or a reason.

        Args:
            open_image: image id -> RGB image.
            language: code; part of the key of a reply.

        Raises:
            StageError: if no server is left, or they refuse the key, the model or all questions. Replies so far are
                kept.
            MellaError: if an image does not decode.
        """
        first = self._complete(questions, open_image, language, progress)
        replies = {question: _read(question.kind, [said]) for question, said in first.items()}
        useless = [q for q, reply in replies.items() if reply.problem and reply.problem.startswith("unparsed")]
        second = self._complete([q.again() for q in useless], open_image, language, progress)
        for question in useless:
            replies[question] = _read(question.kind, [first[question], second[question.again()]])
        return replies

    def _complete(
        self, questions: Sequence[JudgeQuestion], open_image: Callable[[str], "Image"], language: str, progress: bool
    ) -> dict[JudgeQuestion, Completion | str]:
        """The model's replies, from the cache if possible; or a reason if there is none."""
        found: dict[JudgeQuestion, Completion | str] = {}
        for question in questions:
            stored = self._cache.get(self._asked(question, language), question.key)
            if stored is not None:
                found[question] = Completion(**json.loads(stored))
        new = [question for question in dict.fromkeys(questions) if question not in found]
        if not new:
            return found
        with progress_bar(total=len(new), desc=f"verdicts {language}", unit="reply", shown=progress) as bar:

            def keep(index: int, said: Completion) -> None:
                stored = {new[index].key: json.dumps(asdict(said), ensure_ascii=False)}
                self._cache.put(self._asked(new[index], language), stored)
                found[new[index]] = said
                bar.update()

            failed = self._servers.ask(len(new), lambda i: _request(new[i], open_image), keep)
        if len(failed) >= MANY_REFUSED and not found:
            raise StageError(
                f"The judge {self.model!r} answered none of {len(failed)} questions "
                f"({reasons(failed.values())}). Check in its server's log that it accepts images and "
                "a response_format with a JSON schema; then run the same command again."
            )
        return found | {new[index]: reason for index, reason in failed.items()}

    def _asked(self, question: JudgeQuestion, language: str) -> Asked:
        version = f"{prompt_hash(question.kind)[:16]} tokens {MAX_TOKENS} side {IMAGE_SIDE}"
        return Asked(f"judge {self.model}", version, "image", language)


def _request(question: JudgeQuestion, open_image: Callable[[str], "Image"]) -> Mapping[str, Any]:
    image = open_image(question.image_id)
    image.thumbnail((IMAGE_SIDE, IMAGE_SIDE))
    return {
        "messages": [image_message(image, question.text)],
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
        "seed": question.seed,
        "response_format": response_format(question.kind),
    }


def _read(kind: Kind, said: Sequence[Completion | str]) -> Reply:
    """The outcome of the replies to a question: the last one counts; the cost is that of all."""
    given = [entry for entry in said if isinstance(entry, Completion)]
    took = (len(given), sum(c.prompt_tokens for c in given), sum(c.completion_tokens for c in given))
    last = said[-1]
    if isinstance(last, str):
        return Reply(None, f"unanswered_{last}", *took)
    try:
        return Reply(parse_reply(kind, last), None, *took)
    except ReplyError as error:
        return Reply(None, f"unparsed_{error}", *took)
