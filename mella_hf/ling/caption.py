"""Caption images in English and check the captions; a bad caption is asked for a second time."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mella_hf.answers.chat.requests import reasons
from mella_hf.answers.request_cache import Asked, RequestCache
from mella_hf.errors import MellaError, StageError
from mella_hf.metrics.degenerate import REPETITION_LIMIT, REPETITION_ORDER, has_loop
from mella_hf.metrics.texts.ngrams import NGrams, repetition
from mella_hf.plugins import blame
from mella_hf.text import lid

if TYPE_CHECKING:
    from PIL.Image import Image

PROMPT_VERSION = "1"  # stored with every caption; increase it when a prompt changes
PROMPT = (
    "Describe this image in English, in one paragraph of four to eight full sentences. Say literally what can be seen: "
    "the objects, people and animals, how many there are and where, their colours, shapes and materials, what they "
    "are doing, the background and the light. Copy any text in the image as it is written. Do not guess names, "
    "places, feelings or meanings, and do not address the reader."
)
# Used after an unusable answer. Decoding is greedy, so the same prompt would give the same answer.
SECOND_PROMPT = (
    "Write a plain English description of this picture for someone who cannot see it: at least four complete "
    "sentences and no list, nothing said twice, only what is visible."
)
REFUSED = "status_4"  # prefix of a captioner's reasons that are caused by the image or the request (RFC 9110, 15.5)
# Prefix of problems that are not caused by the image: the server stopped, timed out or failed. Only for these a rerun
# asks again.
UNANSWERED = "captioner_unanswered_"
MANY_REFUSED = 6  # if so many images and no other get an answer, the server is the problem
MIN_WORDS = 12  # two short sentences; the paper's captions have about 258 tokens
# At the start only: a shop sign may say "I'm sorry".
_REFUSAL = re.compile(
    r"\W*(?:(?:unfortunately|sorry|apologies|i apologi[sz]e)\W+(?:but\W+)?)?"
    r"(?:as an ai\b|i(?:'m| am) (?:sorry|unable|not able)"
    r"|i (?:can(?:'|no)t|won't) (?:help|assist|describe|see|view|provide|identify|process)"
    r"|unable to (?:process|view|see|assist)|no image (?:was |is |has been )?(?:provided|attached))",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class CaptionAnswer:
    """A captioner's answer; `truncated` if it was cut off at the token limit.

    `refused`: why the captioner refused the image, such as "status_400"; then there is no text.
    `said`: what its server said of that.
    """

    text: str
    truncated: bool = False
    refused: str | None = None
    said: str = ""


class Captioner(Protocol):
    """A model that describes images.

    Attributes:
        name: its name in provenance columns.
        version: changes if the same image may get another description; part of the request cache's key.
    """

    name: str
    version: str

    def caption(
        self,
        images: "Sequence[Image]",
        prompt: str | Sequence[str],
        on_answer: Callable[[int, CaptionAnswer], None],
    ) -> dict[int, str]:
        """Describe RGB images; `on_answer` receives the index and the answer of each image as soon as it arrives.

        Args:
            prompt: one for all images; with `--with-context` one for each image.

        Returns:
            Index -> reason, such as "TimeoutError", for the images without an answer although the captioner works.
            The reason begins with `REFUSED` if asking again would not help.
        """
        ...


@dataclass(frozen=True)
class Caption:
    """A caption that passed the checks, or the reason why there is none.

    Attributes:
        text: in English; empty if the captioner said nothing.
        problem: `caption_empty`, `caption_refusal`, `caption_truncated`, `caption_short`, `caption_repeats`,
            `caption_not_english` of the second answer, `captioner_<status>` of an image that the
            captioner does not take, or `captioner_unanswered_<fault>`; None when the text is good.
        retried: whether the first answer was unusable.
        said: what a server said instead of a caption.
    """

    text: str
    problem: str | None = None
    retried: bool = False
    said: str = ""


def caption_problem(answer: CaptionAnswer, names: Sequence[str] = ()) -> str | None:
    """The first problem of an answer, or None. `names` may stand in it in another language."""
    if answer.refused is not None:
        return f"captioner_{answer.refused}"
    text = answer.text.strip()
    words = _WORD.findall(text.lower())
    if not words:
        return "caption_empty"
    if _REFUSAL.match(text.replace("’", "'")):
        return "caption_refusal"
    if answer.truncated:
        return "caption_truncated"
    if len(words) < MIN_WORDS:
        return "caption_short"
    if repeats(words):
        return "caption_repeats"
    for name in names:
        text = text.replace(name, " ")
    if lid.identify(lid.excerpt(text))[0] != "en":
        return "caption_not_english"
    return None


def repeats(words: Sequence[str]) -> bool:
    """Whether words or four-word sequences repeat too often, by the limits of `mella_hf.metrics.degenerate`."""
    numbers = np.unique(np.array(words, dtype=str), return_inverse=True)[1]
    return repetition(NGrams(numbers, REPETITION_ORDER), REPETITION_ORDER) > REPETITION_LIMIT or has_loop(numbers)


@dataclass(frozen=True)
class Asking:
    """What a captioner is asked about one image.

    Attributes:
        first, second: the prompt, and the one after an unusable answer.
        version: of the prompts; part of the request cache's key.
        names: what a caption may have in another language.
    """

    first: str = PROMPT
    second: str = SECOND_PROMPT
    version: str = PROMPT_VERSION
    names: tuple[str, ...] = ()


PLAIN = Asking()


def caption_images(
    captioner: Captioner,
    images: "Sequence[tuple[str, Image]]",
    cache: RequestCache,
    on_answer: Callable[[], object] = lambda: None,
    askings: Mapping[str, Asking] | None = None,
) -> dict[str, Caption]:
    """Caption each image, or return the reason why not.

    Args:
        images: (id, RGB image); the id is the sha256 of the image bytes and the key of the cache.
        on_answer: called for each answer that was not in the cache, for a progress bar.
        askings: by id, what is asked where it is not the plain description.

    Raises:
        MellaError: for the captioner's reasons; answers so far are kept.
        StageError: if the captioner refuses all images.
    """
    asked = {name: (askings or {}).get(name, PLAIN) for name, _ in images}
    first = _ask(captioner, images, {name: (a.version, a.first) for name, a in asked.items()}, cache, on_answer)
    problems = {name: _problem(answer, asked[name].names) for name, answer in first.items()}
    said = {name for name, answer in first.items() if isinstance(answer, CaptionAnswer) and answer.refused is None}
    again = [(name, image) for name, image in images if name in said and problems[name] is not None]
    second = _ask(captioner, again, {name: (a.version, a.second) for name, a in asked.items()}, cache, on_answer)
    captions = {}
    for name, _ in images:
        answer = second.get(name, first[name])
        text = "" if isinstance(answer, str) else " ".join(answer.text.split())
        problem = _problem(answer, asked[name].names)
        captions[name] = Caption(text, problem, retried=name in second, said=getattr(answer, "said", ""))
    return captions


def _problem(answer: CaptionAnswer | str, names: Sequence[str]) -> str | None:
    return f"{UNANSWERED}{answer}" if isinstance(answer, str) else caption_problem(answer, names)


def _ask(
    captioner: Captioner,
    images: "Sequence[tuple[str, Image]]",
    prompts: Mapping[str, tuple[str, str]],
    cache: RequestCache,
    on_answer: Callable[[], object],
) -> dict[str, CaptionAnswer | str]:
    """The captioner's answers by id, from the cache if possible; or a reason if there is none.

    `prompts`: version and prompt by id.
    """
    asked = Asked(captioner.name, captioner.version, "image", "en")
    answers: dict[str, CaptionAnswer | str] = {}
    new: dict[str, Image] = {}
    for name, image in images:
        stored = cache.get(asked, _question(*prompts[name], name))
        if stored is not None:
            answers[name] = CaptionAnswer(**json.loads(stored))
        else:
            new[name] = image
    names = list(new)

    def keep(index: int, answer: CaptionAnswer) -> None:
        if not isinstance(answer, CaptionAnswer):
            raise MellaError(
                f"The captioner {captioner.name!r} gave {answer!r}; it must give a mella_hf.ling.caption.CaptionAnswer."
            )
        cache.put(asked, {_question(*prompts[names[index]], names[index]): json.dumps(asdict(answer))})
        answers[names[index]] = answer
        on_answer()

    if not names:
        return answers
    each = [prompts[name][1] for name in names]
    same = len(set(each)) == 1
    try:
        failed = captioner.caption(list(new.values()), each[0] if same else each, keep) or {}
    except Exception as error:
        raise blame(captioner, f"captioner {captioner.name!r}", error) from error
    silent = [name for index, name in enumerate(names) if name not in answers and index not in failed]
    if silent:
        raise MellaError(
            f"The captioner {captioner.name!r} gave neither an answer nor a reason for {len(silent)} of {len(names)} "
            "images; it must call on_answer for each, or return its index with a reason."
        )
    refused = {index: reason for index, reason in failed.items() if reason.startswith(REFUSED)}
    if len(refused) >= MANY_REFUSED and not answers:
        raise StageError(
            f"The captioner {captioner.name!r} accepted none of {len(refused)} images "
            f"({reasons(refused.values())}). Check in its server's log that it accepts images of this "
            "size, one per request; then run the same command again."
        )
    for index, reason in refused.items():
        keep(index, CaptionAnswer("", refused=str(reason), said=getattr(reason, "said", "")))
    answers.update({names[index]: reason for index, reason in failed.items() if index not in refused})
    return answers


def _question(version: str, prompt: str, name: str) -> str:
    return f"{version}\n{prompt}\n{name}"
