"""Tables of the ablation in Markdown and LaTeX: scores, published rankings, forgetting."""

from collections.abc import Mapping
from typing import Any

from mella_hf.html.tables import Cell, Table
from mella_hf.languages import get_language

VERDICTS = {"holds": "holds", "fails": "reversed", "open": "open"}


def ablation_tables(record: Mapping[str, Any]) -> list[Table]:
    """Three tables from the result of `ablation_record`; empty tables are left out.

    Args:
        record: the content of ablation.json.
    """
    seeds = record["seeds"]
    told = f"{get_language(record['language']).name}, {f'{seeds} seeds' if seeds > 1 else 'one seed'}, "
    told += f"intervals of 95% over {drawn_over(seeds)}"
    tables = (_scores(record, told), _claims(record, told), _forgetting(record, told))
    return [table for table in tables if table.rows]


def drawn_over(seeds: int) -> str:
    """What the intervals are over, in words: those of one seed do not know how much seeds differ."""
    return "seeds and images" if seeds > 1 else "images, and not over seeds"


def _scores(record: Mapping[str, Any], told: str) -> Table:
    images = record["images"]
    return Table(
        f"Ways of training. {told}; {images['know_test']} images of know, {images['ling_test']} of ling.",
        ("", "keyword accuracy on know", "METEOR on know", "METEOR on ling", "wrong language", "repetition"),
        [
            (
                variant["title"],
                *(_cell(score) for score in variant["scores"].values()),
                *(f"{100 * rate:.1f}%" for rate in variant["rates"].values()),
            )
            for variant in record["variants"]
        ],
        [record["signature"]],
    )


def _claims(record: Mapping[str, Any], told: str) -> Table:
    return Table(
        f"Orders, in the paper and here. {told}; a difference is paired by image and seed.",
        ("claim", "the paper", "here", "difference", "verdict"),
        [
            (
                claim["text"],
                claim["published"] or "not tried",
                " and ".join(f"{score:.1f}" for score in claim["scores"]),
                _cell(claim["difference"], signed=True),
                VERDICTS[claim["verdict"]],
            )
            for claim in record["claims"]
        ],
        [record["signature"]],
    )


def _forgetting(record: Mapping[str, Any], told: str) -> Table:
    return Table(
        f"METEOR on ling before and after the second stage. {told}.",
        ("second stage", "before", "after", "change", "won back"),
        [
            (
                row["title"],
                _cell(row["before"]),
                _cell(row["after"]),
                _cell(row["change"], signed=True),
                "" if row["won_back"] is None else f"{100 * row['won_back']:.0f}%",
            )
            for row in record["forgetting"]
        ],
        [record["signature"]],
    )


def _cell(score: Mapping[str, float], signed: bool = False) -> Cell:
    return Cell(score["value"], score["low"], score["high"], signed)
