"""Blind comparison of two systems by people: show pairs of answers and count the choices.

The paper names the missing human evaluation as a limitation. Here a reviewer sees an image and two answers without the
systems' names. Which answer is left is drawn at random for each reviewer and image.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from mella_hf.errors import MellaError
from mella_hf.files import json_lines
from mella_hf.reviewing.agreement import sign_test, win_rate
from mella_hf.reviewing.queue import Item
from mella_hf.reviewing.store import CHOICES, Decision, text_hash


@dataclass(frozen=True)
class Pair:
    """One image with the answers of two systems to the same question."""

    item: Item
    prompt: str
    first: str
    second: str

    def swapped(self, reviewer: str) -> bool:
        """Whether this reviewer sees the second system's answer on the left; decided by a hash."""
        return hashlib.sha256(f"{reviewer}/{self.item.id}".encode()).digest()[0] % 2 == 1

    @property
    def shown(self) -> str:
        """The value of `Decision.shown`: a hash of both answers."""
        return shown_hash(self.first, self.second)


def shown_hash(first: str, second: str) -> str:
    """The value of `Decision.shown` for a choice between two answers."""
    return text_hash(json.dumps([first, second]))


def read_pairs(items: Sequence[Item], first: Path, second: Path) -> list[Pair]:
    """Read two systems' answers and pair them by image id; equal answers are left out.

    Args:
        first, second: JSON-lines files with `id` and `prediction`, as `mella evaluate` writes them.

    Raises:
        MellaError: if an id is missing in one file, occurs twice, or has no image; the message names it.
    """
    answers = [_answers(path) for path in (first, second)]
    odd = sorted(answers[0].keys() ^ answers[1].keys())
    if odd:
        lacking = second if odd[0] in answers[0] else first
        raise MellaError(f"{lacking} has no answer for {odd[0]}, which the other file has; give the same images.")
    by_id = {item.id: item for item in items}
    by_key = {item.key: item for item in items}  # languages may share images
    found = {
        key: by_key.get((key, a["language"])) if "language" in a else by_id.get(key) for key, a in answers[0].items()
    }
    missing = [key for key, item in found.items() if item is None]
    if missing:
        raise MellaError(f"The image {missing[0]} of {first} is not in the queue; give the dataset that it comes from.")
    pairs = [
        Pair(item, answers[0][key].get("prompt") or "", answers[0][key]["prediction"], answers[1][key]["prediction"])
        for key, item in found.items()
        if item is not None and answers[0][key]["prediction"] != answers[1][key]["prediction"]
    ]
    if not pairs:
        raise MellaError(f"{first} and {second} hold the same answers; there is nothing to choose between.")
    return pairs


def _answers(path: Path) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    if not path.is_file():
        raise MellaError(f"The file of answers {path} does not exist; give a predictions file of mella evaluate.")
    for number, answer in json_lines(path):
        try:
            key = answer["id"]
            if not isinstance(answer["prediction"], str) or not isinstance(key, str):
                raise TypeError("id and prediction must be texts")
        except (KeyError, TypeError) as error:
            raise MellaError(
                f"{path}:{number} is not a JSON object with 'id' and 'prediction': {error}. Mend that line."
            ) from error
        if key in found:
            raise MellaError(f"{path}:{number} answers {key} a second time; keep one answer for each image.")
        found[key] = answer
    return found


def votes(decisions: Iterable[Decision], shown: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], int]:
    """Votes for the second system minus votes for the first, by (sample, language).

    Args:
        shown: hash of both answers of each sample; decisions about other answers do not count.
    """
    balance: dict[tuple[str, str], int] = defaultdict(int)
    for decision in decisions:
        key = (decision.sample, decision.language)
        if decision.action in CHOICES and shown.get(key) == decision.shown:
            balance[key] += {"first": -1, "second": 1, "tie": 0}[decision.action]
    return dict(balance)


class ChoiceCounts(TypedDict):
    """The images that each of two systems wins.

    Attributes:
        first, second, tie: images.
        first_rate: share of the first system among the decided, with its 95% interval; None when nothing is decided.
        p_value: of the two-sided sign test.
    """

    first: int
    second: int
    tie: int
    first_rate: float | None
    first_rate_low: float | None
    first_rate_high: float | None
    p_value: float


def tally(pairs: Sequence[Pair], decisions: Iterable[Decision]) -> ChoiceCounts:
    """Count the images that each system wins, with an interval and the sign test.

    An image counts once: for the system that more reviewers chose, or as a tie if they are split.
    """
    balance = votes(decisions, {(pair.item.id, pair.item.language): pair.shown for pair in pairs})
    first, second = sum(vote < 0 for vote in balance.values()), sum(vote > 0 for vote in balance.values())
    rate = win_rate(first, second)
    return {
        "first": first,
        "second": second,
        "tie": len(balance) - first - second,
        "first_rate": rate and rate[0],
        "first_rate_low": rate and rate[1],
        "first_rate_high": rate and rate[2],
        "p_value": sign_test(first, second),
    }
