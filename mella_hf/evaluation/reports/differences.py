"""How each adapter differs from the base on the same images, with intervals and p-values.

These paired results decide every comparison that a page states or marks. The intervals of two scores are never
compared: they can overlap where the difference is certain.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from mella_hf.evaluation.records import ModelRecord
from mella_hf.evaluation.reports.gallery import Counted
from mella_hf.evaluation.reports.records import MetricDifference
from mella_hf.evaluation.reports.systems import MeasuredSystem
from mella_hf.evaluation.run import Run
from mella_hf.evaluation.titles import HEADLINE, SUBSETS, headline, metric_titles
from mella_hf.metrics.installed import all_scores
from mella_hf.metrics.significance import holm, resamples_for

if TYPE_CHECKING:
    from mella_hf.metrics import ItemStatistics

# What a record says of itself, the scores that are compared, and the statistics of base and adapter.
Planned = tuple[dict[str, Any], Sequence[str], "ItemStatistics", "ItemStatistics"]


def differences(
    systems: Sequence[MeasuredSystem], languages: Sequence[str], counted: Counted
) -> list[MetricDifference]:
    """Compare each adapter with the base of its own run, on the main metric of each split, paired by image.

    The test is approximate randomisation, two-sided, corrected by Holm over all of these differences.
    """
    planned: list[Planned] = []
    for system in (system for system in systems if not system.is_base):
        for language in (language for language in languages if language in system.runs):
            run, key = system.runs[language]
            for split in HEADLINE:
                base = run.score("base", split)
                if not base or not run.score(key, split):
                    continue
                place = {"system": system.name, "language": language, "split": split}
                place |= _training(run.models[key], language)
                found = counted[run.folder]
                planned.append((place, [headline(split, base)], found["base", split], found[key, split]))
    return _compared(planned)


def other_differences(run: Run, counted: Mapping[tuple[str, str], "ItemStatistics"]) -> list[MetricDifference]:
    """The same for what a run's tables show besides: the other metrics, and the main one on each subset of the images.

    Returns:
        Records with `subset`, without what the adapter was trained on. They are a family of their own.
    """
    planned: list[Planned] = []
    for split in HEADLINE:
        base = run.score("base", split)
        if not base or not run.score("adapter", split):
            continue
        first, second = (counted[model, split] for model in ("base", "adapter"))
        main = headline(split, base)
        others = [name for name in metric_titles([base]) if name != main and on_one_axis(name)]
        planned.append(({"split": split, "subset": "all"}, others, first, second))
        for subset in (name for name in SUBSETS if name != "all" and run.score("adapter", split, name)):
            members = [at for at, p in enumerate(run.predictions["adapter", split]) if p["seen"] is (subset == "seen")]
            if members:  # scores.json of another version may name a subset that no answer is in
                subsets = first.subset(members), second.subset(members)
                planned.append(({"split": split, "subset": subset}, [main], *subsets))
    return _compared(planned)


def on_one_axis(metric: str) -> bool:
    """Whether a metric goes to 100, as most do, and can be drawn on one axis with them."""
    return all_scores()[metric].most == 100


def _compared(planned: Sequence[Planned]) -> list[MetricDifference]:
    """One record per plan and metric; all of them are one family."""
    from mella_hf.metrics import compare

    resamples = resamples_for(sum(len(metrics) for _, metrics, _, _ in planned))
    found = []
    for place, metrics, first, second in planned:
        result = compare(first, second, resamples=resamples)
        for metric in metrics:
            ends = {end: result[f"{metric}_{end}"] for end in ("delta", "delta_low", "delta_high")}
            found.append(
                {**place, "metric": metric, **ends, "p": result[f"{metric}_p_randomization"], "n": result["n"]}
            )
    corrected = holm([record["p"] for record in found])
    return [cast(MetricDifference, {**record, "p_holm": p}) for record, p in zip(found, corrected, strict=True)]


def _training(model: ModelRecord, language: str) -> dict[str, Any]:
    trained_on = model.get("trained_on")
    return {
        "trained_on": trained_on,
        "transfer": None if trained_on is None else not {language, "all"} & set(trained_on),
    }
