"""Check finished runs against limits from a YAML file; every broken limit is reported with an example.

- {metric: wrong_language_rate, max: 0.05}                    # rates are in [0, 1]
- {metric: keyword_micro, split: know_test, min: 1.0}         # scores in [0, 100]
- {metric: hallucinating_rate, max: 0.8, languages: [ar, th]}
- {metric: meteor, split: ling_test, above: floor}            # broken if it may be no higher, paired by image
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from mella_hf.errors import MellaError
from mella_hf.evaluation.run import TEST_SPLITS, Run
from mella_hf.metrics.installed import all_scores

RATES = (
    "wrong_language_rate", "wrong_script_rate", "repetition_rate", "loop_rate", "empty_rate", "prompt_copy_rate",
    "degenerate_rate", "truncated_rate",
)  # fmt: skip
NAMES = ("entity_precision", "hallucinating_rate")  # of mella_hf.evaluation.questions.hallucination


@dataclass(frozen=True)
class Limit:
    """A limit that a system must meet.

    Attributes:
        metric: a score of the metric, a rate, or one of `NAMES`.
        min, max: smallest and largest allowed value.
        above: "floor": the 95% interval of the difference to the floor, paired by image, must lie above 0; scores only.
        split, languages: where the limit applies; everywhere by default.
        model: the system it applies to; the adapter by default, or the base in a run without adapter.
    """

    metric: str
    min: float | None = None
    max: float | None = None
    above: str | None = None
    split: str | None = None
    languages: tuple[str, ...] | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        known = (*all_scores(), *RATES, *NAMES)
        if self.metric not in known:
            raise MellaError(f"Unknown metric {self.metric!r} in the gate; choose among {', '.join(known)}.")
        if self.split not in (None, *TEST_SPLITS):
            raise MellaError(f"Unknown split {self.split!r} in the gate; choose among {', '.join(TEST_SPLITS)}.")
        if self.above not in (None, "floor") or (self.above and self.metric not in all_scores()):
            raise MellaError(
                f"The gate has `above: {self.above}` for {self.metric}; only scores can have `above: floor`."
            )
        if self.min is None and self.max is None and self.above is None:
            raise MellaError(f"The gate's limit on {self.metric} has no bound; give min, max or above: floor.")
        for name in ("min", "max"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise MellaError(f"The gate's {name} of {self.metric} is {value!r}; give a number.")


def read_gate(path: Path | str) -> list[Limit]:
    """Read the limits of a gate file. Raises MellaError with the wrong entry."""
    path = Path(path)
    try:
        entries = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise MellaError(f"The gate {str(path)!r} cannot be read: {error}. Give a file of YAML.") from error
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise MellaError(
            f"The gate {str(path)!r} is not a list of limits; write lines such as `- {{metric: bleu, min: 1}}`."
        )
    known = {field.name for field in fields(Limit)}
    for entry in entries:
        unknown = sorted(set(entry) - known)
        if unknown:
            raise MellaError(
                f"The gate {str(path)!r} has an unknown key {unknown[0]!r}; choose among {', '.join(known)}."
            )
        if "metric" not in entry:
            raise MellaError(
                f"An entry of the gate {str(path)!r} has no metric: {entry}. Add one, such as metric: bleu."
            )
    return [Limit(**{**entry, "languages": _codes(entry.get("languages"))}) for entry in entries]


def check_gate(limits: Iterable[Limit], runs: Mapping[str, Run]) -> list[str]:
    """The broken limits, one line each; an empty list if all limits are met.

    Args:
        runs: by language.

    Raises:
        MellaError: for a limit that applies to no run, because it would check nothing.
    """
    broken = []
    for limit in limits:
        measured = 0
        for language, run in runs.items():
            if limit.languages is not None and language not in limit.languages:
                continue
            model = limit.model or ("adapter" if "adapter" in run.models else "base")
            for split in TEST_SPLITS if limit.split is None else (limit.split,):
                score = run.score(model, split)
                if score is None:
                    continue
                measured += 1
                problem = _problem(limit, run, score)
                if problem:
                    broken.append(f"{language} {split}: {limit.metric} of {model} {problem}")
        if not measured:
            raise MellaError(
                f"The gate's limit on {limit.metric} applies to nothing that was evaluated: {limit}. "
                "Change or remove it."
            )
    return broken


def _codes(languages: Any) -> tuple[str, ...] | None:
    return None if languages is None else (languages,) if isinstance(languages, str) else tuple(languages)


def _problem(limit: Limit, run: Run, score: Mapping[str, Any]) -> str | None:
    """How a measurement breaks a limit; None if it does not."""
    where = (score["model"], score["split"])
    finding = run.finding(*where)
    facts = {**score, **finding.get("hallucination", {}), "n": score["n"]}
    value = facts.get(limit.metric)
    if value is None:
        # There is no measurement, for example if no sample has keywords; that cannot fail.
        return None if limit.split is None else "was not measured: nothing to count (are there keywords?)"
    example = _example(limit.metric, finding, run.predictions.get(where, []))
    if limit.max is not None and value > limit.max:
        return f"is {value:.3g}, above {limit.max:.3g} over {score['n']} answers{example}"
    if limit.min is not None and value < limit.min:
        return f"is {value:.3g}, below {limit.min:.3g} over {score['n']} answers{example}"
    if limit.above and score[f"{limit.metric}_floor"] is not None:
        low, floor = score.get(f"{limit.metric}_over_floor_low"), score[f"{limit.metric}_floor"]
        if low is None:  # scored by an older version
            low = score[f"{limit.metric}_low"] - floor
        if low <= 0.0:
            return (
                f"is {value:.3g}, not shown to be above the floor {floor:.3g} (from {low:+.3g}): no sign of the image"
            )
    return None


def _example(metric: str, finding: Mapping[str, Any], predictions: Iterable[Mapping[str, Any]]) -> str:
    """An example of the failure: other languages, names, or an image."""
    if not finding:
        return ""
    if metric == "wrong_language_rate":
        instead = ", ".join(f"{label} {count}" for label, count in finding["wrong_languages"].items())
        return f"; instead in: {instead}" if instead else ""
    if metric in NAMES:
        names = ", ".join(finding["hallucination"]["names"])
        return f"; made up, for instance: {names}" if names else ""
    if metric in ("repetition_rate", "loop_rate", "degenerate_rate") and finding["repeating"]:
        shown = finding["repeating"][0]
        text = next((p["prediction"] for p in predictions if p["id"] == shown), "")
        return f"; for instance image {shown[:12]}: {text[:60]!r}"
    return ""
