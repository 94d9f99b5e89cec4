"""A run folder goes in; report.html and report.json leave: one page that needs nothing beside it.

The page holds its styles, its script and its thumbnails, and forbids itself any outside request.
Texts come from the web and from models, so every one of them is escaped.
"""

import base64
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mella_hf.evaluation.charts import loss_curve, scale_end, watched_curves
from mella_hf.evaluation.run import Run, load_run
from mella_hf.languages import Language, get_language
from mella_hf.stage import write_atomic

TEMPLATES = Path(__file__).parent / "templates"
# Published vision-language models start at 256 M parameters (SmolVLM-256M); what is this small is a stand-in.
MINIATURE_PARAMETERS = 100_000_000

FOLDED_LENGTH = 420  # characters; rather more than the seven lines that a folded answer shows

METRICS = {
    "keyword_micro": ("Keyword accuracy", "share of the names in the reference that the answer says"),
    "meteor": ("METEOR", "words in common, stemmed, in order"),
    "rouge_l": ("ROUGE-L", "longest common sequence of words"),
    "bleu": ("BLEU", "runs of one to four words in common"),
    "chrf": ("chrF++", "runs of letters in common"),
}
HEADLINE = {"know_test": "keyword_micro", "ling_test": "meteor"}  # the paper's metric of each source
SPLIT_TITLES = {
    "know_test": ("know", "What is this?", "short answers that name what is shown"),
    "ling_test": ("ling", "Describe it.", "descriptions in fluent sentences"),
}
SUBSETS = {"all": "All images", "seen": "Entities seen in training", "unseen": "Entities never seen"}
FAILURES = {  # rates in [0, 1]
    "wrong_script_rate": "in another script",
    "wrong_language_rate": "in another language",
    "repetition_rate": "looping",
    "empty_rate": "empty",
    "truncated_rate": "cut off at the limit",
}


@dataclass(frozen=True)
class ScoreRow:
    """One metric on one subset, of the base and of the adapter; positions in percent of the axis."""

    title: str
    note: str
    headline: bool
    base: dict[str, Any] | None
    adapter: dict[str, Any] | None
    verdict: str


def write_report(run: Run | Path | str, out: Path | str | None = None) -> Path:
    """Write report.html and, beside it, report.json.

    Args:
        run: a `Run`, or its folder.
        out: the page to write; `report.html` in the run's folder by default.

    Returns:
        The path of the page.

    Raises:
        MellaError: when the folder holds no finished evaluation.
    """
    run = run if isinstance(run, Run) else load_run(run)
    out = Path(out) if out is not None else run.folder / "report.html"
    view = report_view(run)
    write_atomic(out.with_suffix(".json"), json.dumps(report_json(run), ensure_ascii=False, indent=1) + "\n")
    write_atomic(out, environment().get_template("report.html.j2").render(view))
    return out


def report_view(run: Run) -> dict[str, Any]:
    """What the template shows, computed: it only lays out."""
    language = get_language(run.language)
    base = run.models["base"]
    splits = [split for split in SPLIT_TITLES if run.score("base", split)]
    return {
        "language": language,
        "direction": "rtl" if language.rtl else "ltr",
        "models": run.models,
        "miniature": base["parameters"] < MINIATURE_PARAMETERS,
        "findings": [finding for split in splits if (finding := _finding(run, split))],
        "panels": [_panel(run, split) for split in splits],
        "failures": {split: _failures(run, split) for split in splits},
        "failure_titles": FAILURES,
        "split_titles": SPLIT_TITLES,
        "curve": loss_curve((run.training or {}).get("log_history", [])),
        "watched": watched_curves((run.training or {}).get("log_history", [])),
        "training": run.training,
        "gallery": gallery(run, language),
        "funnel": [_funnel_step(source, counts) for source, counts in run.data["funnel"].items()],
        "data": run.data,
        "versions": run.versions,
        # Each score has its own n; the rest of the signature is what has to be equal.
        "signatures": list(dict.fromkeys(re.sub(r"\|n:\d+", "", score["signature"]) for score in run.scores)),
        "all_scores": run.scores,
        "metrics": METRICS,
        "subsets": SUBSETS,
    }


def report_json(run: Run) -> dict[str, Any]:
    """The page's numbers and texts, for programs: scores as flat records, answers joined by image."""
    cards = gallery(run, get_language(run.language), thumbnails=False)
    return {
        "language": run.language,
        "models": run.models,
        "data": run.data,
        "scores": run.scores,
        "training": run.training,
        "versions": run.versions,
        "answers": cards,
    }


def gallery(run: Run, language: Language, *, thumbnails: bool = True) -> list[dict[str, Any]]:
    """One record per test image and source: the reference beside what the base and the adapter answered."""
    cards = []
    for (model, split), predictions in run.predictions.items():
        if model != "base":
            continue
        tuned = {p["id"]: p for p in run.predictions.get(("adapter", split), [])}
        for base in predictions:
            adapter = tuned.get(base["id"])
            shared = ("id", "source", "entity", "category", "keywords", "seen", "prompt", "reference")
            card = {key: base[key] for key in shared}
            card.update(base=base["prediction"], base_truncated=base["truncated"])
            if adapter is not None:
                card.update(adapter=adapter["prediction"], adapter_truncated=adapter["truncated"])
                card["changed"] = adapter["prediction"] != base["prediction"]
            if thumbnails:
                card["image"] = _thumbnail(run.folder / "thumbnails" / f"{base['id']}.jpg")
                texts = [key for key in ("reference", "base", "adapter") if key in card]
                card["attributes"] = {key: text_attributes(card[key], language) for key in texts}
                card["long"] = any(len(card[key]) > FOLDED_LENGTH for key in texts)
            cards.append(card)
    return cards


def text_attributes(text: str, language: Language) -> dict[str, str]:
    """`dir` by the first letter that has one, and `lang` unless the direction shows that it is another language."""
    kinds = (unicodedata.bidirectional(character) for character in text)
    first = next((kind for kind in kinds if kind in ("L", "R", "AL")), "R" if language.rtl else "L")
    direction = "ltr" if first == "L" else "rtl"
    return {"dir": direction, "lang": language.code if (direction == "rtl") == language.rtl else ""}


def verdict(base: dict[str, Any], adapter: dict[str, Any], metric: str) -> str:
    """What the two 95% intervals say: "higher", "lower" or "overlap"."""
    if adapter[f"{metric}_low"] > base[f"{metric}_high"]:
        return "higher"
    if adapter[f"{metric}_high"] < base[f"{metric}_low"]:
        return "lower"
    return "overlap"


def reaches_floor(score: dict[str, Any], metric: str) -> bool:
    """Whether the 95% interval holds the floor or lies under it: it does not show that the image was looked at."""
    floor = score[f"{metric}_floor"]
    return floor is not None and score[f"{metric}_low"] <= floor


def _finding(run: Run, split: str) -> dict[str, Any] | None:
    """The sentence at the top: the headline metric of a split, base against adapter."""
    metric = HEADLINE[split]
    base, adapter = run.score("base", split), run.score("adapter", split)
    if not base or not adapter or base[metric] is None or adapter[metric] is None:
        return None
    outcome = verdict(base, adapter, metric)
    return {
        "source": SPLIT_TITLES[split][0],
        "metric": METRICS[metric][0],
        "base": base[metric],
        "adapter": adapter[metric],
        "verdict": outcome,
        # Answers that fit any image as well as their own reach the floor, however far above the base.
        "floor": adapter[f"{metric}_floor"] if outcome == "higher" and reaches_floor(adapter, metric) else None,
    }


def _panel(run: Run, split: str) -> dict[str, Any]:
    """The table of one test split: every metric over all images, the headline metric over the subsets."""
    models = ("base", "adapter")
    scores = [run.score(model, split, subset) for model in models for subset in SUBSETS]
    end = scale_end(scores, list(METRICS))
    groups = []
    for subset, title in SUBSETS.items():
        base, adapter = run.score("base", split, subset), run.score("adapter", split, subset)
        if not base:
            continue
        names = list(METRICS) if subset == "all" else [HEADLINE[split]]
        names.sort(key=lambda name: name != HEADLINE[split])
        rows = [_row(name, base, adapter, split, end) for name in names if base[name] is not None]
        groups.append({"title": title, "n": base["n"], "rows": rows})
    return {"split": split, "titles": SPLIT_TITLES[split], "groups": groups, "end": end}


def _row(metric: str, base: dict[str, Any], adapter: dict[str, Any] | None, split: str, end: float) -> ScoreRow:
    title, note = METRICS[metric]
    return ScoreRow(
        title=title,
        note=note,
        headline=metric == HEADLINE[split],
        base=_mark(base, metric, end),
        adapter=_mark(adapter, metric, end) if adapter else None,
        verdict=verdict(base, adapter, metric) if adapter else "",
    )


def _mark(score: dict[str, Any], metric: str, end: float) -> dict[str, Any]:
    """A score with its interval and floor, and where they stand on an axis from 0 to `end`."""
    values = {"value": score[metric], "low": score[f"{metric}_low"], "high": score[f"{metric}_high"]}
    values["floor"] = score[f"{metric}_floor"]
    at = {key: None if v is None else round(100 * min(v, end) / end, 2) for key, v in values.items()}
    return {**values, "at": at}


def _failures(run: Run, split: str) -> dict[str, dict[str, Any] | None]:
    return {model: run.score(model, split) for model in ("base", "adapter") if run.score(model, split)}


def _funnel_step(source: str, counts: dict[str, int]) -> dict[str, Any]:
    """A source's counts, as `mella_hf.dataset.card.write_funnel` keeps them, split by what they count."""
    prefix = "dropped_"
    return {
        "source": source,
        "kept": counts.get("kept", 0),
        "dropped": {key.removeprefix(prefix): n for key, n in counts.items() if key.startswith(prefix)},
        "notes": {key: n for key, n in counts.items() if key != "kept" and not key.startswith(prefix)},
    }


def _thumbnail(path: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _number(value: float | None, digits: int = 1) -> str:
    """A score as text; a score that was not measured is a dash, never a zero."""
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(rate: float | None) -> str:
    """A rate in [0, 1] as a percentage."""
    return _number(None if rate is None else 100 * rate)


def _count(value: int) -> str:
    """1234567 -> "1.2 M"."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return str(value)


def environment() -> Any:
    """The templates of the pages, with the filters that they use."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, percent=_percent, count=_count)
    return environment
