"""A benchmark row: its question, its right answer, and which option a model's answer chooses."""

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.evaluation.benchmarks.mapping import Benchmark
from mella_hf.languages import get_language

CHOICE_PROMPT = "{question}\n{options}"


@dataclass(frozen=True)
class BenchmarkItem:
    """The question of a row and its right answer: references, or options and the index of the right one."""

    prompt: str
    references: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    right: int = -1

    @property
    def longest(self) -> int:
        """Length of the longest reference in characters; 0 for a choice."""
        return max(map(len, self.references), default=0)


def read_item(benchmark: Benchmark, row: Mapping[str, Any], at: int) -> BenchmarkItem:
    """Read row number `at`. Raises MellaError if it has no reference or no right option."""
    if benchmark.task == "caption":
        found = row[str(benchmark.references)]
        references = tuple([found] if isinstance(found, str) else found or ())
        if not any(character.isalnum() for text in references for character in text):
            raise MellaError(f"Row {at} of {benchmark.path!r} has no text in {benchmark.references!r}; filter it out.")
        return BenchmarkItem(benchmark.prompt or get_language(benchmark.language).test_prompt("ling"), references)
    given = row[benchmark.options] if isinstance(benchmark.options, str) else benchmark.options
    options = tuple(map(str, given or ()))
    question = str(row[benchmark.question]) if benchmark.question else ""
    lettered = "\n".join(f"{letter}. {text}" for letter, text in zip(string.ascii_uppercase, options, strict=False))
    prompt = (benchmark.prompt or CHOICE_PROMPT).replace("{question}", question).replace("{options}", lettered)
    answer = row[str(benchmark.answer)]
    right = int(answer) if isinstance(answer, int) else read_choice(str(answer), options)
    if right is None or not 0 <= right < len(options):
        raise MellaError(
            f"Row {at} of {benchmark.path!r} has the right answer {answer!r}, none of its {len(options)} options; "
            "correct `answer` or `options`."
        )
    return BenchmarkItem(prompt, options=options, right=right)


def read_choice(answer: str, options: Sequence[str]) -> int | None:
    """Find the option that an answer chooses: by its whole text, a leading letter, or one option's text in it."""
    said = answer.strip().casefold()
    texts = [option.strip().casefold() for option in options]
    if said in texts:
        return texts.index(said)
    match = re.match(r"\(?([a-z])(?:[\s.):,]|$)", said)
    if match and ord(match[1]) - ord("a") < len(options):
        return ord(match[1]) - ord("a")
    named = [at for at, text in enumerate(texts) if text and re.search(rf"(?<!\w){re.escape(text)}(?!\w)", said)]
    return named[0] if len(named) == 1 else None
