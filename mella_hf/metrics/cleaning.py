"""Clean answers of what chat models write around them: thoughts, "Answer:", Markdown.

Off by default, since what a model writes is what its users get. With it, the signature says `clean:1`.
"""

import re
from collections.abc import Sequence

CLEANING = 1  # version of these rules, for the signature
LIKELY = 0.05  # share of answers that look as if they needed it, from which a warning says so
SAMPLE = 1000  # answers that are looked at for that

_THOUGHTS = ("think", "thinking", "reasoning", "thought")
_OPEN = re.compile(f"<(?:{'|'.join(_THOUGHTS)})>", re.IGNORECASE)
_CLOSE = re.compile(f"</(?:{'|'.join(_THOUGHTS)})>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:answer|final_answer|response)>", re.IGNORECASE)
# How an answer is announced, in English and in the languages of the paper.
_ANNOUNCED = re.compile(
    r"(?:(?:the )?(?:final )?answer|response|caption|alt(?:ernative)?[ -]text|assistant|odpověď|válasz|ответ|odgovor|"
    r"одговор|(?:câu )?trả lời|đáp án|답변|답|정답|คำตอบ|الإجابة|الاجابة|الجواب|إجابة) ?[:：]\s*",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$", re.MULTILINE)
_LINE_START = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+•][ \t]+)", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\s]*\)")
_BOLD = re.compile(r"(\*{1,3}|`{1,3})(?=\S)([^\n]{1,500}?)(?<=\S)\1")
_UNDERLINED = re.compile(r"(?<!\w)(_{1,3})(?=\S)([^\n]{1,500}?)(?<=\S)\1(?!\w)")


def clean_answer(text: str) -> str:
    """An answer without thoughts, tags around the answer, "Answer:" in front, and Markdown.

    A thought that never ends is the whole rest of the text. What stands before the end of one that never began, since
    the prompt began it, is a thought too.
    """
    text = _without_markdown(_TAG.sub("", _without_thoughts(text)).strip())
    announced = _ANNOUNCED.match(text)
    return text[announced.end() :].strip() if announced else text


def share_to_clean(answers: Sequence[str]) -> float:
    """The share of answers that cleaning would change, in a sample of them; spaces at the ends do not count."""
    sample = answers[:: max(1, len(answers) // SAMPLE)]
    return sum(clean_answer(text) != text.strip() for text in sample) / max(1, len(sample))


def _without_thoughts(text: str) -> str:
    ends = list(_CLOSE.finditer(text))
    if ends:
        text = text[ends[-1].end() :]
    begin = _OPEN.search(text)
    return text if begin is None else text[: begin.start()]


def _without_markdown(text: str) -> str:
    for pattern in (_FENCE, _RULE, _LINE_START):
        text = pattern.sub("", text)
    text = _LINK.sub(r"\1", text)
    return _UNDERLINED.sub(r"\2", _BOLD.sub(r"\2", text)).strip()
