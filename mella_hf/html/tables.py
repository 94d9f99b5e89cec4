"""Write tables of scores as Markdown and LaTeX.

A cell holds a score and its 95% interval. The signature stands below the table, because a score without its signature
cannot be compared.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mella_hf.html.page import number, signed

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}", "–": "--",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A score in [0, 100], or a signed difference, with its 95% interval; all None if it was not measured.

    `note` names the metric where it is another than the table's.
    """

    value: float | None
    low: float | None
    high: float | None
    signed: bool = False
    note: str = ""

    @classmethod
    def of(cls, score: Mapping[str, Any] | None, metric: str) -> "Cell":
        """The cell for one metric of a score record; an empty cell without a record."""
        value, low, high = (score[f"{metric}{end}"] if score else None for end in ("", "_low", "_high"))
        return cls(value, low, high)

    def texts(self) -> tuple[str, str, str]:
        """Value and interval as text; a difference has its sign."""
        ends = (self.value, self.low, self.high)
        value, low, high = map(signed if self.signed else number, ends)
        return value, low, high


@dataclass(frozen=True)
class Table:
    """A table of scores for Markdown and LaTeX.

    Attributes:
        caption: what is measured, on what.
        header: titles of the columns.
        rows: one entry per column, a word or a score.
        signatures: the metric signatures of the scores.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    signatures: Sequence[str]

    def markdown(self) -> str:
        """GitHub's Markdown."""
        aligned = ["---" if isinstance(entry, str) else "---:" for entry in self.rows[0]]
        lines = [self.header, aligned, *([_markdown(entry) for entry in row] for row in self.rows)]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        notes = "\n".join(f"`{signature}`  " for signature in self.signatures)
        return f"{self.caption}\n\n{table}\n\n{notes}\n"

    def latex(self) -> str:
        """A table for the booktabs package."""
        columns = "".join("l" if isinstance(entry, str) else "r" for entry in self.rows[0])
        lines = [" & ".join(map(escape_latex, self.header)) + r" \\", r"\midrule"]
        lines += [" & ".join(map(_latex, row)) + r" \\" for row in self.rows]
        return "\n".join(
            (
                *(f"% {signature}" for signature in self.signatures),
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{escape_latex(self.caption)}}}",
                rf"\begin{{tabular}}{{{columns}}}",
                r"\toprule",
                *lines,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            )
        )


def escape_latex(text: str) -> str:
    """Escape a text for LaTeX."""
    return re.sub("|".join(map(re.escape, _LATEX)), lambda found: _LATEX[found[0]], text)


def _markdown(entry: str | Cell) -> str:
    if isinstance(entry, str):
        return entry.replace("|", "\\|")
    value, low, high = entry.texts()
    note = f" {entry.note}" if entry.note else ""
    return "–" if entry.value is None else f"{value} ({low}{'–' if not entry.signed else ' to '}{high}){note}"


def _latex(entry: str | Cell) -> str:
    if isinstance(entry, str):
        return escape_latex(entry)
    if entry.value is None:
        return "--"
    value, low, high = entry.texts()
    if not entry.signed:
        note = rf" {{\scriptsize {escape_latex(entry.note)}}}" if entry.note else ""
        return rf"{value} {{\scriptsize ({low}--{high})}}{note}"
    return rf"${value}$ {{\scriptsize (${low}$ to ${high}$)}}"
