"""Tables of people's and judges' verdicts, in Markdown and LaTeX."""

from collections.abc import Mapping, Sequence
from typing import Any

from mella_hf.evaluation.reports.records import JudgementFacts
from mella_hf.evaluation.titles import SPLIT_TITLES
from mella_hf.html.page import number
from mella_hf.html.tables import Cell, Table
from mella_hf.languages import get_language

Records = Sequence[Mapping[str, Any]]


def judgement_tables(facts: JudgementFacts) -> list[Table]:
    """Tables of the choices between systems and of a judge's verdicts, from the result of `judgement_facts`.

    Instead of the metric's signature, each table names the judge and the sha256 of its prompts.
    """
    prompts = {
        f"{judge['judge']}|prompt:{prompt['kind']},v{prompt['version']},{prompt['sha256'][:16]}": prompt["kind"]
        for judge in facts["judges"]
        for prompt in judge.get("prompts", {}).values()
    }
    return [
        choice_table(facts["choices"], [signature for signature, kind in prompts.items() if kind == "pairwise"]),
        verdict_table(facts["judged"], [signature for signature, kind in prompts.items() if kind == "pointwise"]),
    ]


def choice_table(records: Records, signatures: Sequence[str]) -> Table:
    """Wins of the first system, and its share of the decided images."""
    return Table(
        caption="Blind choices: wins, ties and losses over images; wins where decided, in percent with 95% intervals; "
        "p of the sign test, corrected by Holm",
        header=["System", "Against", "Language", "Split", "Chosen by", "Wins", "Ties", "Losses", "Wins, %", "p"],
        rows=[
            [r["second"], r["first"], get_language(r["language"]).name, SPLIT_TITLES[r["split"]][0], r["by"]]
            + [str(r[count]) for count in ("second_wins", "ties", "first_wins")]
            + [_percent(r, "second_rate"), "under 0.001" if r["p_holm"] < 0.001 else number(r["p_holm"], 3)]
            for r in records
        ],
        signatures=signatures,
    )


def verdict_table(records: Records, signatures: Sequence[str]) -> Table:
    """Answers with something made up, adequacy and fluency."""
    return Table(
        caption="A model as judge: answers with something made up, in percent, adequacy and fluency from 1 to 5, with "
        "95% intervals",
        header=["System", "Language", "Split", "Judge", "Judged", "Made up, %", "Adequacy", "Fluency"],
        rows=[
            [r["system"], get_language(r["language"]).name, SPLIT_TITLES[r["split"]][0], r["judge"]]
            + [f"{r['judged']} of {r['n']}", _percent(r, "hallucinated")]
            + [Cell.of(r, measure) for measure in ("adequacy", "fluency")]
            for r in records
        ],
        signatures=signatures,
    )


def _percent(record: Mapping[str, Any], name: str) -> Cell:
    """A share and its interval in percent."""
    shares = (record[f"{name}{end}"] for end in ("", "_low", "_high"))
    value, low, high = (None if share is None else 100 * share for share in shares)
    return Cell(value, low, high)
