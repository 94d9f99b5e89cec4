"""Compute the scores of a run again from its answers, wherever the run folder comes from.

A run folder travels: it holds the answers, their hashes and the signature of their scores. Its numbers are only worth
as much as the answers give, so pages are drawn from what is computed here.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from mella_hf.answers.answers import read_meta
from mella_hf.answers.predictions import count_answers
from mella_hf.errors import MellaError
from mella_hf.evaluation.analysis import analyse
from mella_hf.evaluation.questions.records import Finding
from mella_hf.evaluation.records import GroupRecord, ScoreRecord
from mella_hf.evaluation.run import Run
from mella_hf.evaluation.scores_file import SCORES_FILE, predictions_path, score_subsets
from mella_hf.files import write_atomic

ROUNDING = 1e-3  # points; machines that sum in another order differ by less
FROM_TRAINING = ("long_tail", "long_tail_by_image")  # findings that need the training data, which does not travel


def recompute(run: Run, *, rescore: bool = False) -> Run:
    """Compute every score of a run again from its answers.

    Rare names keep what the run recorded, because they need the training data.

    Args:
        rescore: accept that this installation scores differently from the one that wrote the run, and write
            scores.json anew.

    Returns:
        The run with the new scores, groups and findings, its item statistics, and a note: one sentence that says what
        was computed again and whether it is what the run recorded.

    Raises:
        MellaError: if the answers are not those whose hashes the run records, or this installation scores with
            another signature and `rescore` is false.
        MissingExtraError: if the language's tokenizer or the gazetteer is not installed.
    """
    from mella_hf.metrics import MellaMetric

    check_answers(run)
    metric = MellaMetric(run.language)
    scores: list[ScoreRecord] = []
    groups: list[GroupRecord] = []
    findings: list[Finding] = []
    counted = {key: count_answers(metric, predictions) for key, predictions in run.predictions.items()}
    for (model, split), predictions in run.predictions.items():
        place = {"model": model, "split": split}
        items = counted[model, split]
        scores += [place | score for score in score_subsets(predictions, items, metric)]
        found = analyse(predictions, items, metric)
        groups += [place | group for group in found.groups]
        known = run.finding(model, split)
        kept = {key: value for key, value in known.items() if key in FROM_TRAINING}
        findings.append(cast("Finding", {**place, **found.failures, **kept}))
    if not rescore:
        _check_signatures(run, scores)
    new = replace(run, scores=scores, groups=groups, findings=findings, counted=counted)
    if rescore:
        _write(new)
    return replace(new, note=_note(run, new, rescore))


def check_answers(run: Run) -> None:
    """Compare each file of answers with the hash that was recorded when it was made. Raises MellaError."""
    for model, split in run.predictions:
        path = predictions_path(run.folder, model, split)
        try:
            recorded = read_meta(path).get("sha256")
        except FileNotFoundError as error:
            raise MellaError(
                f"{path} has no record of how it was made: {path.name}.meta.json is missing. Copy the whole run "
                "folder, or evaluate again."
            ) from error
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != recorded:
            raise MellaError(
                f"{path} is not the file that was evaluated: its sha256 is {found[:12]}…, recorded is "
                f"{str(recorded)[:12]}…. Copy the run folder again, or evaluate again."
            )


def _check_signatures(run: Run, scores: list[ScoreRecord]) -> None:
    for before, after in _pairs(run.scores, scores):
        if before["signature"] != after["signature"]:
            raise MellaError(
                f"{run.folder} was scored with {before['signature']}, this installation scores with "
                f"{after['signature']}; they differ in {_difference(before['signature'], after['signature'])}. "
                "Install the versions that scores.json names, or score the answers anew with --rescore."
            )


def _difference(before: str, after: str) -> str:
    """The parts of two signatures that differ, such as "v:1 and v:2"."""
    ours, theirs = before.split("|"), after.split("|")
    lost = [part for part in ours if part not in theirs]
    new = [part for part in theirs if part not in ours]
    return f"{', '.join(lost) or 'nothing'} and {', '.join(new) or 'nothing'}"


def _pairs(before: list[ScoreRecord], after: list[ScoreRecord]) -> Iterator[tuple[ScoreRecord, ScoreRecord]]:
    """The records of the same model, split and subset."""
    place = ("model", "split", "subset")
    known = {tuple(score[key] for key in place): score for score in before}
    for score in after:
        recorded = known.get(tuple(score[key] for key in place))
        if recorded is not None:
            yield recorded, score


def _write(run: Run) -> None:
    """Write scores.json anew, with what it said about models, data and training."""
    path = run.folder / SCORES_FILE
    record = json.loads(path.read_text("utf-8"))
    record |= {"scores": run.scores, "groups": run.groups, "findings": run.findings}
    write_atomic(path, json.dumps(record, ensure_ascii=False, indent=1) + "\n")


def _differ(before: object, after: object) -> bool:
    """Whether two values of a score differ; None is the score of what nothing was asked about."""
    if isinstance(before, int | float) and isinstance(after, int | float):
        return abs(after - before) > ROUNDING
    return bool(before != after)


def _told(value: object) -> str:
    return "none" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _note(before: Run, after: Run, rescore: bool) -> str:
    answers = sum(map(len, after.predictions.values()))
    text = f"All scores were computed again from the run's {answers:,} answers, whose hashes are those on record"
    if rescore:
        return f"{text}; {SCORES_FILE} was written anew."
    changed = [
        f"{key} of {new['model']} on {new['split']}, {new['subset']}: {_told(old[key])}, now {_told(new[key])}"
        for old, new in _pairs(before.scores, after.scores)
        for key in new
        if key in old and _differ(old[key], new[key])
    ]
    if not changed:
        return f"{text}; they are as recorded."
    return f"{text}; {len(changed)} differ from {SCORES_FILE} ({changed[0]}), and the new ones are shown."
