"""The funnel: how many rows each step kept, and why it dropped the others."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from mella_hf.files import json_lines
from mella_hf.stage import DROPPED, KEPT, StageReport, dropped_by_reason

SHOWN = (
    "overridden",
    "flagged",
    "opt_out",
)  # notes that people should see: rows taken against a site's wish, rows that may show a person, opt-outs
HEADER = ("", "came", "kept", "left out")  # of `funnel_table`
SEED = 12345
EXAMPLES = 6  # per reason
_DRAWN = 8 * EXAMPLES  # of which the same text is shown once


@dataclass(frozen=True)
class Counts:
    """The counts of a stage, separated by meaning.

    Attributes:
        kept: number of kept rows.
        dropped: reason -> number of dropped rows, largest first.
        notes: the other counts, such as "overridden_opt_out".
    """

    kept: int
    dropped: dict[str, int]
    notes: dict[str, int]

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> "Counts":
        """Separate the counts of a stage: "kept", "dropped_<reason>" and others."""
        dropped = {reason: n for reason, n in dropped_by_reason(counts).items() if n}
        notes = {name: n for name, n in counts.items() if n and name != KEPT and not name.startswith(DROPPED)}
        return cls(counts.get(KEPT, 0), dict(sorted(dropped.items(), key=lambda pair: (-pair[1], pair[0]))), notes)

    def reasons(self) -> str:
        """The reasons with their numbers, for a line of text."""
        return ", ".join(f"{reason} {n:,}" for reason, n in self.dropped.items())


@dataclass
class Step:
    """One step of the funnel.

    Attributes:
        name, unit: name of the step, and unit of its counts.
        kept: number kept.
        dropped: reason -> number dropped, largest first.
        languages: code -> "kept" and "dropped_<reason>"; empty if the step does not know languages.
        notes: other counts, such as "overridden_opt_out"; those that SHOWN begins are for people.
    """

    name: str
    unit: str
    kept: int
    dropped: dict[str, int]
    languages: dict[str, Counter[str]] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, name: str, unit: str, counts: Mapping[str, int], languages: dict[str, Counter[str]] | None = None
    ) -> "Step":
        """The step of a stage's counts."""
        parts = Counts.of(counts)
        return cls(name, unit, parts.kept, parts.dropped, languages or {}, parts.notes)

    @property
    def entered(self) -> int:
        """The number that entered the step."""
        return self.kept + sum(self.dropped.values())

    def flags(self) -> dict[str, int]:
        """Rows that were kept with a flag, or against a site's wish: flag -> number."""
        return {note: n for note, n in self.notes.items() if n and note.startswith(("overridden", "flagged"))}

    def to_json(self) -> dict[str, Any]:
        """The step for programs."""
        return {**vars(self), "entered": self.entered}


def funnel_lines(steps: Sequence[Step]) -> list[str]:
    """The funnel for a terminal, a line a step."""
    lines = []
    for step in steps:
        reasons = Counts(step.kept, step.dropped, step.notes).reasons()
        line = f"{step.name}: {step.kept:,} of {step.entered:,} {step.unit}"
        lines.append(f"{line}; left out: {reasons}" if reasons else line)
        lines += [f"  {note}: {n:,}" for note, n in step.notes.items() if note.startswith(SHOWN)]
    return lines


def funnel_table(steps: Sequence[Step]) -> list[list[str]]:
    """The funnel for `mella_hf.html.notebook`, a row a step: name, entered, kept, and why the others were left out."""
    return [
        [step.name, f"{step.entered:,}", f"{step.kept:,}", Counts(step.kept, step.dropped, step.notes).reasons()]
        for step in steps
    ]


def read_rejects(report: StageReport) -> Iterator[dict[str, Any]]:
    """The rejects of a stage's finished shards."""
    for folder in report.outputs:
        for _, reject in json_lines(folder.parent / "rejects" / f"{folder.name}.jsonl"):
            yield reject


class DroppedExamples(TypedDict):
    """Some of the rows that a stage dropped for a reason, of `total`."""

    stage: str
    reason: str
    total: int
    examples: list[dict[str, str]]


def dropped_examples(stages: Mapping[str, StageReport]) -> list[DroppedExamples]:
    """Random rejects of each stage and reason, in the order of the stages."""
    draw = random.Random(SEED)
    groups: list[DroppedExamples] = []
    for name, stage in stages.items():
        for reason, (total, chosen) in sorted(_reservoir(read_rejects(stage), draw).items()):
            shown = {example["text"] or example["where"]: example for example in map(_reject, chosen)}
            examples = list(shown.values())[:EXAMPLES]
            groups.append({"stage": name, "reason": reason, "total": total, "examples": examples})
    return groups


def _reservoir(rejects: Iterable[dict[str, Any]], draw: random.Random) -> dict[str, tuple[int, list[dict[str, Any]]]]:
    """reason -> (count, random examples), in one pass (Vitter 1985, algorithm R)."""
    found: dict[str, tuple[int, list[dict[str, Any]]]] = {}
    for reject in rejects:
        total, chosen = found.get(reject["reason"], (0, []))
        if len(chosen) < _DRAWN:
            chosen.append(reject)
        else:
            place = draw.randrange(total + 1)
            if place < _DRAWN:
                chosen[place] = reject
        found[reject["reason"]] = (total + 1, chosen)
    return found


def _reject(reject: dict[str, Any]) -> dict[str, str]:
    """A reject for the page: its text, if any, and its place."""
    text = str(reject.get("alt") or reject.get("text") or "")
    where = reject.get("image_url") or reject.get("url") or reject.get("where") or ""
    return {"text": text[:300], "where": str(where)[:300], "language": reject.get("language") or ""}
