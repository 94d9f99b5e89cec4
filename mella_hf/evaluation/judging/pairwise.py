"""Ask a judge which of two systems' answers is better, in both orders.

A system wins an image if it is preferred in both orders; any other outcome is a tie (Zheng et al. 2023,
arXiv 2306.05685, section 3.4). How often the order decided is reported as the judge's position bias.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mella_hf.answers.records import Prediction
from mella_hf.evaluation.judging.judge import JudgeQuestion, Reply
from mella_hf.evaluation.judging.pointwise import drawn
from mella_hf.evaluation.judging.preferences import Answers, Choices, agreement, compare_choices, count_choices
from mella_hf.evaluation.judging.prompts import Preference, prompt_text
from mella_hf.evaluation.judging.records import PairwiseRecord, Vote
from mella_hf.languages import get_language
from mella_hf.reviewing.agreement import sign_test


@dataclass(frozen=True)
class Pairwise:
    """Judge two systems' answers against each other, on the images where they differ.

    Attributes:
        answers: answers of both systems to each split of one language, about the same images.
        first, second: names of the systems.
        sample: number of images per split, drawn by the hash of their id; None for all.
    """

    answers: Answers
    first: str
    second: str
    sample: int | None = None

    @cached_property
    def images(self) -> list[tuple[str, str, str]]:
        """(language, split, id) of the sampled images."""
        return [
            (language, split, p["id"])
            for (language, split), systems in self.answers.items()
            for p in drawn(list(systems[self.first].values()), self.sample)
        ]

    @cached_property
    def differing(self) -> list[tuple[str, str, str]]:
        """The sampled images on which the answers differ."""
        return [key for key in self.images if len({p["prediction"] for p in self._pair(key)}) == 2]

    @property
    def questions(self) -> list[JudgeQuestion]:
        """All questions to the judge."""
        return [question for key in self.differing for question in self._orders(key)]

    def _pair(self, key: tuple[str, str, str]) -> tuple[Prediction, Prediction]:
        systems = self.answers[key[0], key[1]]
        return systems[self.first][key[2]], systems[self.second][key[2]]

    def _orders(self, key: tuple[str, str, str]) -> Iterator[JudgeQuestion]:
        """The question twice: with the first system's answer as A, then with the second's."""
        pair = self._pair(key)
        for a, b in (pair, pair[::-1]):
            material = {"question": a["prompt"], "reference": pair[1]["reference"]}
            material |= {"A": a["prediction"], "B": b["prediction"]}
            yield JudgeQuestion("pairwise", key[2], prompt_text("pairwise", get_language(key[0]).name, material))

    def record(self, replies: Mapping[JudgeQuestion, Reply]) -> PairwiseRecord:
        """Summarise the choices."""
        places: Counter[str] = Counter(same=0, first_place=0, second_place=0, half_tied=0)
        votes: dict[tuple[str, str], dict[str, Vote]] = {}
        both: list[tuple[Vote, Vote]] = []
        problems: Counter[str] = Counter()
        for key in self.differing:
            given = [replies[question] for question in self._orders(key)]
            problems.update(reply.problem for reply in given if reply.problem)
            forth, back = (reply.verdict for reply in given)
            if not isinstance(forth, Preference) or not isinstance(back, Preference):
                continue
            pair = _VOTES[forth.better], _SWAPPED[back.better]
            both.append(pair)
            votes.setdefault(key[:2], {})[key[2]] = pair[0] if pair[0] == pair[1] else "tie"
            places[_place(forth.better, back.better)] += 1
        choices = [Choices(*at, self.first, self.second, here) for at, here in votes.items()]
        return {
            "comparisons": compare_choices(choices, [count_choices(c, self.answers) for c in choices]),
            "votes": [c.record() for c in choices],
            "equal": len(self.images) - len(self.differing),
            "problems": dict(problems),
            "order": {**places, "p_value": sign_test(places["first_place"], places["second_place"])},
            "itself": agreement(both),
        }

    def rows(self, replies: Mapping[JudgeQuestion, Reply]) -> list[dict[str, Any]]:
        """One record per question: the systems in the order shown, and the choice with its reason, or the problem."""
        found = []
        for language, split, image_id in self.differing:
            names = (self.first, self.second)
            for question, shown in zip(self._orders((language, split, image_id)), (names, names[::-1]), strict=True):
                reply = replies[question]
                said = vars(reply.verdict) if reply.verdict else {}
                place = {"language": language, "split": split, "id": image_id, "A": shown[0], "B": shown[1]}
                found.append({**place, **said, "problem": reply.problem})
        return found


_VOTES: dict[str, Vote] = {"A": "first", "B": "second", "tie": "tie"}
_SWAPPED: dict[str, Vote] = {"A": "second", "B": "first", "tie": "tie"}


def _place(forth: str, back: str) -> str:
    """Compare the choices of the two orders by the position that they chose."""
    if _VOTES[forth] == _SWAPPED[back]:
        return "same"
    return {"A": "first_place", "B": "second_place"}[forth] if forth == back else "half_tied"
