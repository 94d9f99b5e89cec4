"""Compare two systems: the difference of their scores, with an interval and a p-value."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.metrics import significance
from mella_hf.metrics.installed import all_scores, own_difference_intervals, score_sums
from mella_hf.metrics.metric import DIGITS, ItemStatistics, number
from mella_hf.metrics.texts.tables import JoinedTables, column_sums

# The result of `compare`. A plain dict, because every installed metric adds keys of its own.
Comparison = dict[str, Any]


def compare(
    first: ItemStatistics,
    second: ItemStatistics,
    *,
    resamples: int = significance.RESAMPLES,
    seed: int = significance.SEED,
) -> Comparison:
    """Compare two systems' answers to the same items: is the difference larger than chance?

    Args:
        first: item statistics of one system.
        second: item statistics of the other system: same items, same order, same signature.

    Returns:
        For each score: `<name>_first`, `<name>_second`, `<name>_delta` (second - first) with
        `_delta_low`, `_delta_high` (95%, paired bootstrap; for keyword accuracy Newcombe's), `_p_bootstrap` and
        `_p_randomization` (two-sided, not rounded); None where a score does not exist. And `n`, `signature`.

    Raises:
        MellaError: when the items or the signatures differ, or there are no resamples.
    """
    if resamples < 1:
        raise MellaError(f"A comparison with {resamples} resamples tests nothing; give some, such as 1,000.")
    if first.signature != second.signature:
        raise MellaError(
            f"The systems were scored with different signatures, which are not comparable: "
            f"{first.signature} and {second.signature}. Use one metric for both."
        )
    if not np.array_equal(first.asked, second.asked):
        raise MellaError(
            "The systems were not scored on the same references and keywords in the same order; give both the "
            "same ones."
        )
    n = len(first)
    order = np.lexsort((second.keys, first.keys))  # by the first system's answers, then by the second's
    ours, theirs = (JoinedTables((each.counts.rows,), order) for each in (first, second))
    before, after = (score_sums(column_sums(rows), n) for rows in (ours, theirs))
    drawn = significance.bootstrap_sums(JoinedTables((first.counts.rows, second.counts.rows), order), resamples, seed)
    width = first.counts.rows.width
    boot_before, boot_after = score_sums(drawn[:, :width], n), score_sums(drawn[:, width:], n)
    swapped_before, swapped_after = (score_sums(s, n) for s in significance.swapped_sums(ours, theirs, resamples, seed))
    own = own_difference_intervals(first.counts.rows, second.counts.rows, order)
    result: Comparison = {}
    for name in all_scores():
        delta = float(after[name] - before[name])
        result |= {f"{name}_first": number(before[name]), f"{name}_second": number(after[name])}
        keys = [f"{name}_{key}" for key in ("delta", "delta_low", "delta_high", "p_bootstrap", "p_randomization")]
        if np.isnan(delta):
            result |= dict.fromkeys(keys)
            continue
        bootstrapped = boot_after[name] - boot_before[name]
        low, high = own.get(name) or significance.interval(bootstrapped)
        values = (
            *(round(value, DIGITS) for value in (delta, low, high)),
            significance.bootstrap_p_value(bootstrapped, delta),
            significance.randomization_p_value(swapped_after[name] - swapped_before[name], delta),
        )
        result |= dict(zip(keys, values, strict=True))
    result["n"] = n
    result["signature"] = f"{first.signature}|n:{n}|bs:{resamples}|ar:{resamples}|seed:{seed}"
    return result


def corrected(
    comparisons: Mapping[str, Comparison], test: Literal["randomization", "bootstrap"] = "randomization"
) -> dict[str, Comparison]:
    """Correct several comparisons as one family: add Holm's p-values to each result of `compare`.

    The family is every score of every comparison: eight languages with eight scores are 64 tests. Give `compare` as
    many resamples as `significance.resamples_for` says for that number.

    Args:
        comparisons: results of `compare` by name, for instance by language.
        test: whose p-values are corrected.

    Returns:
        The comparisons, each with `<name>_p_<test>_holm` (None where a score does not exist) and `tests`,
        the size of the family.
    """
    places = [(name, f"{score}_p_{test}") for name in comparisons for score in all_scores()]
    values = significance.holm([comparisons[name][key] for name, key in places])
    tests = sum(value is not None for value in values)
    result = {name: {**comparison, "tests": tests} for name, comparison in comparisons.items()}
    for (name, key), value in zip(places, values, strict=True):
        result[name][f"{key}_holm"] = value
    return result
