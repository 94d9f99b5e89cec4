"""Scores as a person reads them: a mapping that prints as a table with intervals and floors."""

from typing import Any

from mella_hf.html.notebook import html_table, text_table
from mella_hf.metrics.installed import all_scores

HEADER = ("", "score", "95% interval", "floor")
# Rates that stand below the table, with their words.
RATES = {
    "empty_rate": "empty",
    "repetition_rate": "repetitive",
    "loop_rate": "looping",
    "wrong_language_rate": "in another language",
    "wrong_script_rate": "in another script",
    "prompt_copy_rate": "repeat the question",
    "degenerate_rate": "degenerate in any of these ways",
}


class Scores(dict[str, Any]):
    """The scores of a corpus: a dict with the keys that `MellaMetric.compute` lists.

    It prints as a table; in a notebook as HTML. `json.dumps`, `evaluate` and pandas take it as the dict that it is.
    """

    def format(self, digits: int = 1) -> str:
        """The table, the rates of degenerate answers and the signature, as text.

        Args:
            digits: behind the decimal point.
        """
        title = f"MELLA scores of {self.get('n', 0):,} answers"
        parts = [title, text_table(HEADER, self._rows(digits)), self._rates(), str(self.get("signature", ""))]
        return "\n".join(part for part in parts if part)

    def __repr__(self) -> str:
        return self.format()

    def _repr_html_(self) -> str:
        note = "; ".join(part for part in (self._rates(), str(self.get("signature", ""))) if part)
        return html_table(f"MELLA scores of {self.get('n', 0):,} answers", HEADER, self._rows(1), note)

    def _rows(self, digits: int) -> list[list[str]]:
        titles = {name: score.full_title for name, score in all_scores().items()}
        names = [name for name in self if name in titles] or [
            name
            for name, value in self.items()
            if isinstance(value, float)  # the author's protocol has other names
        ]
        rows = []
        for name in names:
            low, high = self.get(f"{name}_low"), self.get(f"{name}_high")
            interval = "–" if low is None or high is None else f"{low:.{digits}f} to {high:.{digits}f}"
            floor = self.get(f"{name}_floor")
            rows.append([titles.get(name, name), _number(self[name], digits), interval, _number(floor, digits)])
        return rows

    def _rates(self) -> str:
        """The rates that are not 0, in percent."""
        found = [f"{words} {100 * self[name]:.1f}%" for name, words in RATES.items() if self.get(name)]
        return f"answers: {', '.join(found)}" if found else ""


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
