"""Say in plain sentences what the results on the open questions show, or that they show nothing.

A page with few comparisons says a sentence about each; a page with many counts their outcomes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mella_hf.evaluation.titles import SPLIT_TITLES, metric_titles
from mella_hf.html.page import number, signed
from mella_hf.languages import get_language

Record = Mapping[str, Any]

LEVEL = 0.05  # significance level for corrected p-values
FEWEST_NAMES = 10  # even if all ten were supported, the share could be 69% (Clopper and Pearson, 95%)
FOREIGN = 0.1  # share of the answers; above it, names in another language dominate
SENTENCES = 4  # up to so many comparisons, each gets its own sentence
MADE_UP = {
    "foreign": "not comparable, other language",
    "few": "not comparable, few names",
    "fewer": "makes up fewer names",
    "more": "makes up more names",
    "none": "no difference shown",
}
RARE = {
    "higher": "gains on names that training never says",
    "lower": "loses on names that training never says",
    "none": "no difference shown on names that training never says",
    "unmeasured": "was not compared on names that training never says",
    "unknown": "training says every name that is asked for",
}
GAINS = {"higher": "gains", "lower": "loses", "none": "no difference shown", "unmeasured": "not measured"}


def made_up_outcome(record: Record, base: Record) -> str:
    """How an adapter's made-up names differ from the base's: a key of `MADE_UP`."""
    if max(record["foreign_rate"], base["foreign_rate"]) > FOREIGN:
        return "foreign"
    if min(record["entities"], base["entities"]) < FEWEST_NAMES:
        return "few"
    if record["p_holm"] is None or record["p_holm"] >= LEVEL:
        return "none"
    return "fewer" if record["delta"] > 0 else "more"


def rare_outcome(record: Record, base: Record) -> str:
    """How accuracy on names that training never says differs from the base's: a key of `RARE`."""
    if record["accuracy"] is None or base["accuracy"] is None:
        return "unknown"
    return gain_outcome(record)


def gain_outcome(difference: Record) -> str:
    """What a paired difference shows: a key of `GAINS`."""
    if difference["delta"] is None:
        return "unmeasured"
    if difference["p_holm"] >= LEVEL:
        return "none"
    return "higher" if difference["delta"] > 0 else "lower"


def made_up_conclusions(records: Sequence[Record]) -> list[str]:
    """Conclusions from `made_up_names`: which adapters make up fewer names than their base."""

    def sentence(record: Record, base: Record) -> str:
        text = f"{_where(record, records)}: {_said(record)}; {_said(base)}. "
        outcome = made_up_outcome(record, base)
        if outcome == "foreign":
            worse = max(record, base, key=lambda r: r["foreign_rate"])
            share = f"{100 * worse['foreign_rate']:.0f}% of {worse['system']}’s answers"
            return text + f"No conclusion: {share} are in another language or script."
        if outcome == "few":
            return text + f"No conclusion: fewer than {FEWEST_NAMES} names."
        return text + f"{record['system']} {_clause(MADE_UP[outcome])} ({_gain(record)})."

    return _told(_pairs(records), sentence, made_up_outcome, MADE_UP)


def rare_conclusions(records: Sequence[Record]) -> list[str]:
    """Conclusions from `rare_names`: on names that training never says, and on the most frequent ones."""

    def sentence(record: Record, base: Record) -> str:
        text = f"{_where(record, records)}: {record['system']} {_clause(RARE[rare_outcome(record, base)])}"
        if record["accuracy"] is not None:
            text += f": {_accuracy(record)} against {base['system']}’s {_accuracy(base)}"
            text += "" if record["delta"] is None else f" ({_gain(record)})"
        same = ("system", "language", "split")
        said = [r for r in records if all(r[k] == record[k] for k in same) and r["bin"] != "0" and r["keywords"]]
        often = f". On names that it says {said[-1]['bin']} times: {_accuracy(said[-1])}" if said else ""
        return text + often + "."

    unsaid = [record for record in records if record["bin"] == "0"]
    return _told(_pairs(unsaid), sentence, rare_outcome, RARE)


def transfer_conclusions(differences: Iterable[Record], made_up: Iterable[Record]) -> list[str]:
    """Conclusions about adapters in languages that they were not trained on.

    Args:
        differences: the result of `mella_hf.evaluation.reports.differences`.
        made_up: the result of `made_up_names`; it says how many answers are in another language.
    """
    foreign = {(r["system"], r["language"], r["split"]): r["foreign_rate"] for r in made_up}

    def sentence(d: Record, _: Record) -> str:
        trained = " and ".join(get_language(code).name for code in d["trained_on"])
        text = f"{d['system']}, trained on {trained} only, in {get_language(d['language']).name}: "
        text += f"{metric_titles()[d['metric']][0]} on {SPLIT_TITLES[d['split']][0]} {_clause(GAINS[gain_outcome(d)])}"
        text += "." if d["delta"] is None else f" ({_gain(d)})."
        rate = foreign.get((d["system"], d["language"], d["split"]), 0.0)
        return text + (
            f" {100 * rate:.0f}% of the answers are in another language or script." if rate > FOREIGN else ""
        )

    transfers = [(d, d) for d in differences if d["transfer"]]
    return _told(transfers, sentence, lambda d, _: gain_outcome(d), GAINS)


def _pairs(records: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Each adapter's record with its base's of the same language and split."""
    by_place = {(r["system"], r["language"], r["split"]): r for r in records}
    places = [(r, (r["against"], r["language"], r["split"])) for r in records]
    return [(r, by_place[place]) for r, place in places if place in by_place]


def _told(
    pairs: Sequence[tuple[Record, Record]],
    sentence: Callable[[Record, Record], str],
    outcome: Callable[[Record, Record], str],
    outcomes: Mapping[str, str],
) -> list[str]:
    """One sentence per pair, or a count of the outcomes if there are many pairs."""
    if len(pairs) <= SENTENCES:
        return [sentence(*pair) for pair in pairs]
    counted = Counter(outcome(*pair) for pair in pairs)
    parts = [f"{counted[key]} {text}" for key, text in outcomes.items() if counted[key]]
    return [f"Of {len(pairs)} comparisons with a base: {'; '.join(parts)}."]


def _where(record: Record, records: Sequence[Record]) -> str:
    """The split, with the language if there are several."""
    source = SPLIT_TITLES[record["split"]][0]
    several = len({r["language"] for r in records}) > 1
    return f"{get_language(record['language']).name}, {source}" if several else source.capitalize()


def _said(record: Record) -> str:
    if not record["entities"]:
        return f"{record['system']} says no names"
    share = number(record["entity_precision"])
    return f"{record['system']} says {record['entities']} names, {share}% of them supported"


def _accuracy(record: Record) -> str:
    return f"{number(record['accuracy'])} ({number(record['low'])}–{number(record['high'])})"


def _gain(record: Record) -> str:
    """A paired difference with its interval and corrected p-value."""
    value, low, high = (signed(record[f"delta{end}"], "−") for end in ("", "_low", "_high"))
    ends = f"{value} points, {low} to {high}"
    return f"{ends}, p {record['p_holm']:.3f}" if record["p_holm"] >= 0.001 else f"{ends}, p < 0.001"


def _clause(outcome: str) -> str:
    """An outcome as a verb phrase: what the system does."""
    return f"shows {outcome}".replace(" shown", "") if outcome.startswith("no ") else outcome
