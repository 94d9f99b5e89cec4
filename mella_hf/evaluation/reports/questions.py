"""Flat records about two open questions, made-up names and rare names, for each measured system.

The third question, transfer between languages, is in `mella_hf.evaluation.reports.differences`. Runs that were scored
before these questions existed give no records.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import numpy as np

from mella_hf.evaluation.questions.hallucination import EntityPrecision, compare_precision
from mella_hf.evaluation.reports.records import MadeUpRecord, PlaceRecord, RareRecord
from mella_hf.evaluation.reports.systems import MeasuredSystem
from mella_hf.evaluation.run import Run
from mella_hf.evaluation.titles import HEADLINE
from mella_hf.metrics.rates import NO_DIFFERENCE, RateDifference, rate_difference
from mella_hf.metrics.significance import holm, resamples_for

SUMMARY = (
    "entity_precision", "entity_precision_low", "entity_precision_high",
    "entities", "unsupported", "hallucinating_rate", "n", "names",
)  # fmt: skip
UNSAID = "0"  # the bin of names that training never says


def made_up_names(systems: Sequence[MeasuredSystem], languages: Sequence[str]) -> list[MadeUpRecord]:
    """Entity precision of each system in each language and split, and how each adapter differs from its base.

    Only adapters have a difference; `p_holm` is corrected over all of them.
    """
    found: list[tuple[dict[str, Any], tuple[EntityPrecision, EntityPrecision] | None]] = []
    for split, language, system, run, key in _measured(systems, languages):
        summary: dict[str, Any] = dict(run.finding(key, split)["hallucination"])
        score = run.score(key, split) or {}
        record = {**_place(system, language, split, systems), **{name: summary[name] for name in SUMMARY}}
        record["foreign_rate"] = max(score["wrong_language_rate"], score["wrong_script_rate"])
        measured = record["against"] is not None and run.finding("base", split)
        found.append((record, (_named(run, "base", split), _named(run, key, split)) if measured else None))
    resamples = resamples_for(sum(pair is not None for _, pair in found))
    compared = (compare_precision(*pair, resamples=resamples) if pair else NO_DIFFERENCE for _, pair in found)
    return cast(list[MadeUpRecord], _one_family([record for record, _ in found], compared))


def rare_names(systems: Sequence[MeasuredSystem], languages: Sequence[str]) -> list[RareRecord]:
    """Keyword accuracy by how often training names the entity: one record per system, language, split and bin.

    On names that training never says (bin "0"), an adapter's record has the result of `rate_difference` against its
    base, with `p_holm`, corrected over all of them.
    """
    found: list[tuple[dict[str, Any], tuple[np.ndarray, np.ndarray] | None]] = []
    for split, language, system, run, key in _measured(systems, languages):
        place = _place(system, language, split, systems)
        for accuracy in run.finding(key, split)["long_tail"] or ():
            record = {**place, **{name: value for name, value in accuracy.items() if name != "counts"}}
            found.append((record, _unsaid(run, key, split) if place["against"] and accuracy["bin"] == UNSAID else None))
    resamples = resamples_for(sum(pair is not None for _, pair in found))
    compared = (rate_difference(*pair, resamples=resamples) if pair else NO_DIFFERENCE for _, pair in found)
    return cast(list[RareRecord], _one_family([record for record, _ in found], compared))


def _unsaid(run: Run, key: str, split: str) -> tuple[np.ndarray, np.ndarray] | None:
    """[n, 2] hits and keywords of the base's answers and of the model's, on names that training never says.

    None where an older version measured the run and did not keep them.
    """
    first, second = (_unsaid_counts(run, model, split) for model in ("base", key))
    return None if first is None or second is None else (first, second)


def _unsaid_counts(run: Run, model: str, split: str) -> np.ndarray | None:
    bins = run.finding(model, split).get("long_tail") or ()
    counts = next((accuracy.get("counts") for accuracy in bins if accuracy["bin"] == UNSAID), None)
    if counts is None:
        return None
    asked = np.zeros((len(run.predictions[model, split]), 2))
    for at, hits, total in counts:
        asked[at] = hits, total
    return asked


def _one_family(records: Sequence[dict[str, Any]], differences: Iterable[RateDifference]) -> list[dict[str, Any]]:
    """Add its difference to each record, with `p_holm`, corrected over all that have a `p`."""
    found = list(differences)
    corrected = holm([difference["p"] for difference in found])
    together = zip(records, found, corrected, strict=True)
    return [{**record, **difference, "p_holm": p} for record, difference, p in together]


def unsupported_names(run: Run, model: str, split: str) -> dict[str, list[str]]:
    """The unsupported names in the model's answers, by image; images without any are left out."""
    by_image = run.finding(model, split).get("hallucination", {}).get("by_image", {})
    return {image_id: names["unsupported"] for image_id, names in by_image.items() if names["unsupported"]}


def _place(system: MeasuredSystem, language: str, split: str, systems: Sequence[MeasuredSystem]) -> PlaceRecord:
    """The fields that identify a record; `against` is the base that it is compared with."""
    weights = system.runs[language][0].models["base"]["base_hash"]
    base = None if system.is_base else next(s for s in systems if s.is_base and s.model["base_hash"] == weights)
    return {"system": system.name, "against": None if base is None else base.name, "language": language, "split": split}


def _measured(
    systems: Sequence[MeasuredSystem], languages: Sequence[str]
) -> Iterator[tuple[str, str, MeasuredSystem, Run, str]]:
    """All measurements with findings: split, language, system, its run, and its key in that run."""
    for split in HEADLINE:
        for language in languages:
            for system in (system for system in systems if language in system.runs):
                run, key = system.runs[language]
                if run.finding(key, split):
                    yield split, language, system, run, key


def _named(run: Run, model: str, split: str) -> EntityPrecision:
    """The named entities of every answer, in the order of the predictions."""
    by_image = run.finding(model, split)["hallucination"]["by_image"]
    said = [by_image.get(p["id"], {"named": [], "unsupported": []}) for p in run.predictions[model, split]]
    return EntityPrecision([names["named"] for names in said], [names["unsupported"] for names in said])
