"""Export decisions to datasets, Parquet or JSON lines, and import them.

A line of JSON lines is a sample, with the responses of all reviewers by question: `verdict`, `text` and `reason`.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mella_hf.dataset.card.card import read_funnel, write_card, write_funnel
from mella_hf.dataset.write import write_split
from mella_hf.errors import MellaError
from mella_hf.files import json_line, json_lines, write_atomic
from mella_hf.reviewing.queue import Item, Queue
from mella_hf.reviewing.store import VERDICTS, Decision
from mella_hf.stage import DROPPED, dropped_by_reason

_NAMES = [field.name for field in fields(Decision)]
_QUESTIONS: dict[Literal["verdict", "text", "reason"], str] = {"verdict": "action", "text": "text", "reason": "reason"}


def write_reviewed(queue: Queue, source: Path | str, out: Path | str, *, with_open: bool = False) -> Counter[str]:
    """Write the samples that reviewers kept as a dataset folder; `rejects` has the others with their reasons.

    Accepted samples have `review` "accepted"; edited ones "edited" and the wording of the newest edit.

    Args:
        source: the queue's folder or file; a folder's funnel is continued.
        with_open: also keep samples without a decision; their `review` is null.

    Returns:
        Number of rows by outcome: `accepted`, `edited`, `open`, `dropped_<reason>`.

    Raises:
        MellaError: if no sample is left, or `out` is not empty.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise MellaError(f"{out} is not empty; give a new folder for the reviewed dataset.")
    by_split: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in queue.items.values():
        by_split[item.language, item.place[0].name.split("-")[0] if Path(source).is_dir() else "ling"].append(item)
    total: Counter[str] = Counter()
    funnel = read_funnel(source) if Path(source).is_dir() else {}
    for (language, split), items in sorted(by_split.items()):
        counts: Counter[str] = Counter()
        lines: list[str] = []
        write_split(_kept(queue, items, with_open, counts, lines), out, language, split)
        write_atomic(out / "rejects" / f"{language}-{split}-review.jsonl", "".join(lines))
        stages = funnel.setdefault(language, {}).setdefault("ling", {})
        for reason, count in dropped_by_reason(counts).items():
            stages[DROPPED + reason] = stages.get(DROPPED + reason, 0) + count
            stages["kept"] = stages.get("kept", count) - count
        total += counts
    if not any(total[kind] for kind in ("accepted", "edited", "open")):
        raise MellaError("No sample of the queue was accepted or edited yet; there is no dataset to write.")
    write_funnel(out, funnel)
    write_card(out)
    return total


def _kept(
    queue: Queue, items: Sequence[Item], with_open: bool, counts: Counter[str], rejects: list[str]
) -> Iterator[dict[str, Any]]:
    """The rows that are kept; the others are counted and written to `rejects`."""
    for item, row in _rows(items):
        given = list(queue.given.get(item.key, {}).values())
        outcome = queue.outcome(item.key)
        if outcome in ("accept", "edit") or (outcome == "open" and with_open):
            state = {"accept": "accepted", "edit": "edited", "open": None}[outcome]
            if outcome == "edit":
                row["text"] = max((d for d in given if d.action == "edit"), key=lambda d: d.at).text
            counts[state or "open"] += 1
            yield {**row, "review": state}
            continue
        reason = {"reject": "review_rejected", "open": "review_open", "disagreement": "review_disagreement"}[outcome]
        counts[DROPPED + reason] += 1
        why = [{"reviewer": d.reviewer, "action": d.action, "reason": d.reason} for d in given]
        rejects.append(json_line({"where": item.id, "reason": reason, "decisions": why}))


def _rows(items: Iterable[Item]) -> Iterator[tuple[Item, dict[str, Any]]]:
    """Items with their full rows; each row group is read once."""
    groups: dict[tuple[Path, int], list[Item]] = defaultdict(list)
    for item in items:
        groups[item.place[:2]].append(item)
    for (path, group), members in groups.items():
        with pq.ParquetFile(path) as file:
            table = file.read_row_group(group)
        for item in members:
            yield item, table.slice(item.place[2], 1).to_pylist()[0]


def write_decisions(queue: Queue, history: Sequence[Decision], out: Path | str) -> int:
    """Write decisions to a `.parquet` file (all of them) or a `.jsonl` file (the standing ones, a sample a line).

    Returns:
        The number of lines or rows.

    Raises:
        MellaError: on another ending.
    """
    out = Path(out)
    if out.suffix == ".parquet":
        table = pa.table({name: pa.array([getattr(d, name) for d in history], pa.string()) for name in _NAMES})
        aside = out.with_name(f".{out.name}.tmp")
        pq.write_table(table, aside)
        os.replace(aside, out)
        return len(table)
    if out.suffix == ".jsonl":
        records = [_record(queue, item) for item in queue.items.values() if item.key in queue.given]
        write_atomic(out, "".join(map(json_line, records)))
        return len(records)
    raise MellaError(f"The format of {out} is unknown; use a name that ends in .parquet or .jsonl.")


def _record(queue: Queue, item: Item) -> dict[str, Any]:
    responses: dict[str, list[dict[str, str]]] = {}
    for decision in queue.given[item.key].values():
        for question, column in _QUESTIONS.items():
            value = getattr(decision, column)
            if value is not None:
                answer = {"value": value, "user_id": decision.reviewer, "at": decision.at}
                responses.setdefault(question, []).append(answer)
    return {
        "id": item.id,
        "fields": {"translation": item.text, "english": item.caption_en},
        "metadata": {"language": item.language, "qe_score": item.qe_score, "shown": queue.shown_hash(item)},
        "responses": responses,
        "suggestions": {},
    }


def read_decisions(path: Path | str) -> list[Decision]:
    """Read decisions that `write_decisions` wrote, or a file of the same form from elsewhere.

    Raises:
        MellaError: on a file of another form; names the line or row and what is wrong with it.
    """
    path = Path(path)
    if not path.is_file():
        raise MellaError(f"The decisions {path} do not exist; name a .parquet or .jsonl file.")
    found: list[Decision] = []
    for where, value in _parquet_rows(path) if path.suffix == ".parquet" else _lines(path):
        try:
            decisions = [_Row.model_validate(value)] if path.suffix == ".parquet" else _Record.model_validate(value)
            found += [Decision(**row.model_dump()) for row in decisions]
        except ValidationError as error:
            first = error.errors()[0]
            at = ".".join(map(str, first["loc"])) or "the line"
            raise MellaError(f"{where} holds no decisions: {at}: {first['msg']}.") from error
    return found


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    for number, value in json_lines(path):
        yield f"{path}, line {number}", value


def _parquet_rows(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are these
        said = str(error).splitlines()[0]
        raise MellaError(
            f"{path} cannot be read as Parquet: {said}. Give a file that `mella review --export` wrote."
        ) from error
    missing = sorted(set(_NAMES) - set(table.column_names))
    if missing:
        raise MellaError(f"{path} has no column {missing[0]!r}; give a file that `mella review --export` wrote.")
    for number, row in enumerate(table.select(_NAMES).to_pylist()):
        yield f"{path}, row {number}", row


class _Row(BaseModel):
    """One decision, as a row of a Parquet file."""

    model_config = ConfigDict(strict=True)
    sample: str = Field(min_length=1)
    language: str = Field(min_length=1)
    reviewer: str = Field(min_length=1)
    action: Literal["accept", "edit", "reject", "first", "second", "tie", "skip", "undo"]
    text: str | None = None
    reason: str | None = None
    shown: str = ""
    at: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.action == "edit" and not (self.text or "").strip():
            raise ValueError("an edit has no text")
        if self.action == VERDICTS[2] and not (self.reason or "").strip():
            self.reason = "rejected elsewhere"
        return self


class _Answer(BaseModel):
    """A reviewer's answer to one question."""

    value: str
    user_id: str = Field(min_length=1)
    at: str = ""


class _Metadata(BaseModel):
    language: str
    shown: str = ""


class _Record(BaseModel):
    """What all reviewers said of one sample, as a line of a JSON-lines file."""

    id: str
    metadata: _Metadata
    responses: dict[Literal["verdict", "text", "reason"], list[_Answer]]

    def __iter__(self) -> Iterator[_Row]:  # type: ignore[override]
        """The decisions, as rows."""
        said = {question: {one.user_id: one for one in self.responses.get(question, [])} for question in _QUESTIONS}
        for user, verdict in said["verdict"].items():
            values = {name: said[name][user].value if user in said[name] else None for name in ("text", "reason")}
            yield _Row.model_validate(
                {"sample": self.id, "reviewer": user, "action": verdict.value, "at": verdict.at, **values}
                | self.metadata.model_dump()
            )


def imported(decision: Decision, queue: Queue) -> Decision:
    """An imported decision without the shown text; it is assumed to be about the text that the queue has now."""
    item = queue.items.get((decision.sample, decision.language))
    if decision.shown or item is None:
        return decision
    return Decision(**{**asdict(decision), "shown": queue.shown_hash(item)})
