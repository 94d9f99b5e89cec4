"""Ask a judge about each answer alone, and turn the verdicts into rates and scores."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from mella_hf.answers.records import Prediction
from mella_hf.evaluation.judging.judge import JudgeQuestion, Reply
from mella_hf.evaluation.judging.preferences import agreement
from mella_hf.evaluation.judging.prompts import JudgeVerdict, prompt_text
from mella_hf.evaluation.judging.records import JudgedDifference, JudgedScore, PointwiseRecord, UnsupportedExample
from mella_hf.evaluation.paired import tuned
from mella_hf.evaluation.questions.hallucination import predicted_entities
from mella_hf.evaluation.run import Run
from mella_hf.languages import get_language
from mella_hf.metrics import significance
from mella_hf.reviewing.agreement import win_rate

MEASURES = ("hallucinated", "adequacy", "fluency")
EXAMPLES = 5  # answers shown with what the judge found unsupported
Key = tuple[str, str, str]  # model, split, image id


@dataclass(frozen=True)
class Pointwise:
    """Judge each answer of a run's systems alone.

    Attributes:
        run: the run to judge.
        sample: number of images per split, drawn by the hash of their id; None for all.
        repeat: number of answers that are judged a second time, with the reference after the answer and another seed,
            to measure whether the judge agrees with itself.
    """

    run: Run
    sample: int | None = None
    repeat: int = 0

    @cached_property
    def answers(self) -> dict[Key, Prediction]:
        """The predictions to judge."""
        return {
            (model, split, p["id"]): p
            for (model, split), predictions in self.run.predictions.items()
            for p in drawn(predictions, self.sample)
        }

    @cached_property
    def repeated(self) -> list[Key]:
        """The answers that are judged twice."""
        return sorted(self.answers, key=lambda key: _hash("/".join(key)))[: self.repeat]

    @property
    def questions(self) -> list[JudgeQuestion]:
        """All questions to the judge."""
        return [*map(self._question, self.answers), *(self._question(key, again=True) for key in self.repeated)]

    def _question(self, key: Key, again: bool = False) -> JudgeQuestion:
        answer = self.answers[key]
        parts = {"question": answer["prompt"], "reference": answer["reference"], "answer": answer["prediction"]}
        order = ("question", "answer", "reference") if again else tuple(parts)
        text = prompt_text("pointwise", get_language(self.run.language).name, {part: parts[part] for part in order})
        return JudgeQuestion("pointwise", answer["id"], text, seed=int(again))

    def record(self, replies: Mapping[JudgeQuestion, Reply]) -> PointwiseRecord:
        """Summarise the verdicts."""
        verdicts = {key: replies[self._question(key)].verdict for key in self.answers}
        judged = {key: verdict for key, verdict in verdicts.items() if isinstance(verdict, JudgeVerdict)}
        again = {key: replies[self._question(key, again=True)].verdict for key in self.repeated}
        pairs = [
            (judged[key], second) for key, second in again.items() if key in judged and isinstance(second, JudgeVerdict)
        ]
        examples: list[UnsupportedExample] = [
            {"split": split, "id": image_id, "unsupported": list(verdict.unsupported)}
            for (model, split, image_id), verdict in judged.items()
            if model == tuned(self.run) and verdict.hallucinated
        ]
        return {
            "scores": self._scores(judged, {key: replies[self._question(key)].problem for key in self.answers}),
            "differences": self._differences(judged),
            "itself": {m: agreement([(getattr(a, m), getattr(b, m)) for a, b in pairs]) for m in MEASURES},
            "entities": agreement(self._entity_pairs(judged)),
            "examples": examples[:EXAMPLES],
        }

    def rows(self, replies: Mapping[JudgeQuestion, Reply]) -> list[dict[str, Any]]:
        """One record per answer: the verdict or its problem."""
        found = []
        for key in self.answers:
            reply = replies[self._question(key)]
            said = vars(reply.verdict) if reply.verdict else {}
            found.append({**dict(zip(("model", "split", "id"), key, strict=True)), **said, "problem": reply.problem})
        return found

    def _scores(self, judged: Mapping[Key, JudgeVerdict], problems: Mapping[Key, str | None]) -> list[JudgedScore]:
        found = []
        for model, split in self.run.predictions:
            here = [key for key in self.answers if key[:2] == (model, split)]
            values = _values(judged[key] for key in here if key in judged)
            reasons = Counter(filter(None, (problems[key] for key in here)))
            record = {"model": model, "split": split, "n": len(here), "judged": len(values), "problems": dict(reasons)}
            record |= _means(values, "")
            made_up = int(values[:, 0].sum())
            rate = win_rate(made_up, len(values) - made_up)
            if rate:  # at 0 and 1 a bootstrap interval has no width
                record["hallucinated_low"], record["hallucinated_high"] = rate[1:]
            found.append(cast(JudgedScore, record))
        return found

    def _differences(self, judged: Mapping[Key, JudgeVerdict]) -> list[JudgedDifference]:
        ours, by_system = tuned(self.run), defaultdict[tuple[str, str], dict[str, JudgeVerdict]](dict)
        for (model, split, image_id), verdict in judged.items():
            by_system[split, model][image_id] = verdict
        found = []
        for (split, model), theirs in by_system.items():
            mine = by_system.get((split, ours), {})
            both = [image_id for image_id in theirs if image_id in mine]
            if model != ours and both:
                change = _values(mine[i] for i in both) - _values(theirs[i] for i in both)
                record = {"split": split, "first": model, "second": ours, "n": len(both)}
                found.append(cast(JudgedDifference, record | _means(change, "_delta")))
        return found

    def _entity_pairs(self, judged: Mapping[Key, JudgeVerdict]) -> list[tuple[bool, bool]]:
        """Whether an answer has made-up names, for each judged answer: (the judge, our rules)."""
        answers = [self.answers[key] for key in judged]
        if not answers:
            return []
        found = predicted_entities(answers, self.run.language)
        return [(v.hallucinated, bool(names)) for v, names in zip(judged.values(), found.unsupported, strict=True)]


def drawn(predictions: Sequence[Prediction], sample: int | None) -> list[Prediction]:
    """Draw a sample of predictions: the same images for every system; a larger sample contains the smaller one."""
    kept = {p["id"] for p in sorted(predictions, key=lambda p: _hash(p["id"]))[:sample]}
    return [p for p in predictions if p["id"] in kept]


def _hash(text: str) -> bytes:
    return hashlib.sha256(f"judge/{text}".encode()).digest()


def _values(verdicts: Iterable[JudgeVerdict]) -> np.ndarray:
    """The verdicts as an array [n, 3]: hallucinated, adequacy, fluency."""
    rows = [[float(getattr(verdict, measure)) for measure in MEASURES] for verdict in verdicts]
    return np.array(rows).reshape(-1, len(MEASURES))


def _means(values: np.ndarray, suffix: str) -> dict[str, float | None]:
    """The mean of each measure with its 95% interval."""
    names = [f"{measure}{suffix}" for measure in MEASURES]
    if not len(values):
        return {f"{name}{end}": None for name in names for end in ("", "_low", "_high")}
    resampled = significance.bootstrap_sums(values) / len(values)
    record: dict[str, float | None] = {}
    for at, name in enumerate(names):
        low, high = significance.interval(resampled[:, at])
        record |= {name: float(values[:, at].mean()), f"{name}_low": low, f"{name}_high": high}
    return record
