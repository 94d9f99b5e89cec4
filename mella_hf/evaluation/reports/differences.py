"""How each adapter differs from the base on the same images, with intervals and p-values."""

from collections.abc import Mapping, Sequence
from typing import Any

from mella_hf.evaluation.reports.gallery import Counted
from mella_hf.evaluation.reports.systems import MeasuredSystem
from mella_hf.evaluation.titles import HEADLINE


def differences(systems: Sequence[MeasuredSystem], languages: Sequence[str], counted: Counted) -> list[dict[str, Any]]:
    """Compare each adapter with the base of its own run, on the main metric of each split, paired by image.

    Returns:
        Records of `delta` in points with `delta_low` and `delta_high` (95%, bootstrap over images), `p_holm`
        (approximate randomisation, two-sided, corrected by Holm over all of these differences), `trained_on`, the
        configs that the adapter was trained on, and `transfer`, whether this one is another (None if unknown).
    """
    from mella_hf.metrics import compare
    from mella_hf.metrics.significance import holm

    found = []
    for system in (system for system in systems if not system.is_base):
        for language in (language for language in languages if language in system.runs):
            run, key = system.runs[language]
            for split, metric in HEADLINE.items():
                if not run.score("base", split) or not run.score(key, split):
                    continue
                result = compare(counted[run.folder]["base", split], counted[run.folder][key, split])
                record = {"system": system.name, "language": language, "split": split, "metric": metric}
                ends = {end: result[f"{metric}_{end}"] for end in ("delta", "delta_low", "delta_high")}
                record |= ends | {"p": result[f"{metric}_p_randomization"], "n": result["n"]}
                found.append(record | _training(run.models[key], language))
    corrected = holm([record["p"] for record in found])
    return [record | {"p_holm": p} for record, p in zip(found, corrected, strict=True)]


def _training(model: Mapping[str, Any], language: str) -> dict[str, Any]:
    trained_on = model.get("trained_on")
    return {
        "trained_on": trained_on,
        "transfer": None if trained_on is None else not {language, "all"} & set(trained_on),
    }
