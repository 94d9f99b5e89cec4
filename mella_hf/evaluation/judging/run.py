"""Judge a finished run with a served model and write the results beside the run.

RUN/judge.json                     rates, scores, win rates, agreement and cost, with the judge and its prompts
RUN/judge/pointwise.jsonl          each verdict; pairwise-<system>.jsonl: each choice
RUN/judge/replies.sqlite           every reply as it came, so that nothing is asked twice
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mella_hf.answers.identity import model_name
from mella_hf.answers.records import Prediction
from mella_hf.errors import MellaError
from mella_hf.evaluation.judging.images import JudgedImages
from mella_hf.evaluation.judging.judge import IMAGE_SIDE, MAX_TOKENS, Judge, Reply
from mella_hf.evaluation.judging.pairwise import Pairwise
from mella_hf.evaluation.judging.pointwise import Pointwise
from mella_hf.evaluation.judging.preferences import Answers
from mella_hf.evaluation.judging.prompts import PROMPT_VERSION, PROMPTS, Kind, prompt_hash
from mella_hf.evaluation.judging.records import JudgedAlone, JudgedPair, JudgedRun, JudgingCost, PromptRecord
from mella_hf.evaluation.paired import aligned, tuned
from mella_hf.evaluation.run import Run
from mella_hf.files import write_atomic
from mella_hf.stage import fingerprint

JUDGE_FILE = "judge.json"
REPLIES_FILE = Path("judge", "replies.sqlite")  # in the run folder
SETTINGS = {"temperature": 0, "max_tokens": MAX_TOKENS, "image_side": IMAGE_SIDE}  # of every question
Plan = Pointwise | Pairwise


@dataclass(frozen=True)
class Prices:
    """US dollars per million tokens of prompt and reply."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What tokens cost, in US dollars."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


def pairwise_plan(run: Run, against: str, other: Run | None, sample: int | None) -> Pairwise:
    """Plan to judge a run's main system against another of its systems, or against another run.

    Raises:
        MellaError: if the run has no system of that name, or the other run has other images.
    """
    ours = tuned(run)
    splits = [split for model, split in run.predictions if model == ours]
    if other is None:
        if against == ours or against not in run.models:
            rest = ", ".join(name for name in run.models if name != ours) or "none"
            raise MellaError(
                f"--against {against!r} is neither a run's folder nor another system of this run; choose among {rest}."
            )
        theirs = {split: run.predictions[against, split] for split in splits}
    else:
        theirs = {
            split: aligned(run.predictions[ours, split], other.predictions[tuned(other), split], against, split)
            for split in splits
            if (tuned(other), split) in other.predictions
        }
    if not theirs:
        raise MellaError(
            f"{against!r} and {run.folder} have no test split in common; give a run on the same test split."
        )
    answers: Answers = {
        (run.language, split): {against: _by_id(given), ours: _by_id(run.predictions[ours, split])}
        for split, given in theirs.items()
    }
    return Pairwise(answers, against, ours, sample)


def judge_run(
    run: Run, plan: Plan, judge: Judge, images: JudgedImages, *, prices: Prices | None = None, progress: bool = True
) -> JudgedAlone | JudgedPair:
    """Ask a plan's questions and write the results to RUN/judge.json.

    Results of other plans are kept if judge and answers are the same; see `superseded`.

    Raises:
        StageError: if the judge cannot be reached. Its replies so far are kept.
        MellaError: if an image is not in the dataset, or does not decode.
    """
    replies = judge.ask(plan.questions, images.open, run.language, progress=progress)
    kind: Kind = "pointwise" if isinstance(plan, Pointwise) else "pairwise"
    prompt: PromptRecord = {"kind": kind, "version": PROMPT_VERSION, "sha256": prompt_hash(kind), "text": PROMPTS[kind]}
    paid = cost(replies.values(), prices)
    whole = _kept(run, judge.model)
    record: JudgedAlone | JudgedPair
    if isinstance(plan, Pointwise):
        record = {"sample": plan.sample, "prompt": prompt, **plan.record(replies), "cost": paid}
        whole["pointwise"] = record
    else:
        names = {"first": plan.first, "second": plan.second}
        record = cast(
            JudgedPair, {"sample": plan.sample, "prompt": prompt, **plan.record(replies), "cost": paid, **names}
        )
        others = [other for other in whole["pairwise"] if other["first"] != plan.first]
        whole["pairwise"] = [*others, record]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in plan.rows(replies)]
    write_atomic(_lines_file(run, plan.first if isinstance(plan, Pairwise) else None), "".join(lines))
    write_atomic(run.folder / JUDGE_FILE, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
    held = {_lines_file(run, pair["first"]) for pair in whole["pairwise"]}
    if whole["pointwise"] is not None:
        held.add(_lines_file(run, None))
    for path in set((run.folder / "judge").glob("*.jsonl")) - held:
        path.unlink()  # from another judge, or about other answers
    return record


def superseded(run: Run, model: str) -> str | None:
    """Why a model's verdicts would replace those in RUN/judge.json; None if they would be added."""
    old = read_judged(run)
    if old is None:
        return None
    if is_stale(old, run):
        return f"{JUDGE_FILE} is about answers that have changed since"
    if old["model"] != model_name(model):
        return f"{JUDGE_FILE} is {old['model']}'s, whose replies are kept: naming it again asks for nothing"
    return f"{JUDGE_FILE} was made with other settings" if old["settings"] != SETTINGS else None


def cost(replies: Iterable[Reply], prices: Prices | None) -> JudgingCost:
    """The cost of replies."""
    given = list(replies)
    prompt, completion = sum(r.prompt_tokens for r in given), sum(r.completion_tokens for r in given)
    return {
        "requests": sum(r.requests for r in given),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "uncounted": sum(r.requests > 0 and r.prompt_tokens == 0 for r in given),
        "usd": None if prices is None else prices.of(prompt, completion),
    }


def read_judged(run: Run) -> JudgedRun | None:
    """Read RUN/judge.json; None if it does not exist."""
    path = run.folder / JUDGE_FILE
    if not path.is_file():
        return None
    return cast(JudgedRun, json.loads(path.read_text("utf-8")))


def is_stale(judged: JudgedRun, run: Run) -> bool:
    """Whether the run's answers have changed since they were judged."""
    return judged["answers"] != answers_mark(run)


def answers_mark(run: Run) -> str:
    """A fingerprint of a run's answers."""
    return fingerprint([[*key, [[p["id"], p["prediction"]] for p in given]] for key, given in run.predictions.items()])


def _kept(run: Run, model: str) -> JudgedRun:
    """The record to add to: the run's own where verdicts of a model would join it, else an empty one."""
    old = read_judged(run)
    if old is None or superseded(run, model):
        return {
            "model": model_name(model),
            "answers": answers_mark(run),
            "settings": SETTINGS,
            "pointwise": None,
            "pairwise": [],
        }
    return old


def _lines_file(run: Run, against: str | None) -> Path:
    """The file with single verdicts: on pairs with another system, or on single answers."""
    return run.folder / "judge" / ("pointwise.jsonl" if against is None else f"pairwise-{against}.jsonl")


def _by_id(predictions: Sequence[Prediction]) -> dict[str, Prediction]:
    return {p["id"]: p for p in predictions}
