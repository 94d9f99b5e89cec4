"""Write ablation.html: what the paper found, and which findings hold here.

The page is self-contained and looks like the report. ablation.json has its numbers, ablation.md and ablation.tex its
tables.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mella_hf.answers.answers import read_meta
from mella_hf.demo.ablation_scores import MEASURES, Comparison, SeedMean
from mella_hf.demo.ablation_tables import ablation_tables, drawn_over
from mella_hf.files import write_atomic
from mella_hf.html.charts import ENDS, plane
from mella_hf.html.page import MINIATURE_PARAMETERS, environment
from mella_hf.languages import get_language

TEMPLATES = Path(__file__).parent / "templates"

PAGE, RECORD = "ablation.html", "ablation.json"
NEAR = 0.9  # share of the best score that counts as "near the best of both"
KINDS = {"base": "base", "joint": "adapter"}  # the colours of the pages; other variants have none
FORGETTING = ("two_stage", "two_stage_replay", "two_stage_replay_even", "two_stage_ewc")
MEASURE_TITLES = {
    "know_keyword": ("Keyword accuracy", "know"),
    "know_meteor": ("METEOR", "know"),
    "ling_meteor": ("METEOR", "ling"),
}


@dataclass(frozen=True)
class Claim:
    """A claim that one variant scores higher than another, or than a share of it.

    Attributes:
        text: the claim, in words.
        published: the paper's numbers, if it gives them; "" for an open question.
    """

    text: str
    published: str
    higher: str
    lower: str
    measure: str
    share: float = 1.0


# Numbers: arXiv 2508.05502, ablation (InternVL2-8B, one language; keyword accuracy on know, METEOR on ling, in %).
CLAIMS = (
    Claim("Know only names more than ling only", "7.00 > 3.20", "know_only", "ling_only", "know_keyword"),
    Claim("Ling only describes better than know only", "37.90 > 2.81", "ling_only", "know_only", "ling_meteor"),
    Claim("Joint names nearly as much as know only", "good at both", "joint", "know_only", "know_keyword", NEAR),
    Claim("Joint describes nearly as well as ling only", "good at both", "joint", "ling_only", "ling_meteor", NEAR),
    Claim("Two stages describe worse than joint", "falls behind joint", "joint", "two_stage", "ling_meteor"),
    Claim("The second stage forgets what the first taught", "forgetting", "ling_only", "two_stage", "ling_meteor"),
    Claim("Joint names more than SDRRL", "MELLA above SDRRL", "joint", "sdrrl", "know_keyword"),
    Claim("Joint describes better than SDRRL", "MELLA above SDRRL", "joint", "sdrrl", "ling_meteor"),
    Claim("Replay wins back some of what was forgotten", "", "two_stage_replay", "two_stage", "ling_meteor"),
    Claim("Even replay wins back some of what was forgotten", "", "two_stage_replay_even", "two_stage", "ling_meteor"),
    Claim("EWC wins back some of what was forgotten", "", "two_stage_ewc", "two_stage", "ling_meteor"),
    Claim("With replay, two stages name nearly as much", "", "two_stage_replay", "two_stage", "know_keyword", NEAR),
    Claim(
        "With even replay, two stages name nearly as much",
        "",
        "two_stage_replay_even",
        "two_stage",
        "know_keyword",
        NEAR,
    ),
    Claim("With EWC, two stages name nearly as much", "", "two_stage_ewc", "two_stage", "know_keyword", NEAR),
)


def verdict(difference: SeedMean) -> str:
    """Whether a difference is above zero, by its interval: "holds", "fails" or "open"."""
    return "holds" if difference.low > 0 else "fails" if difference.high < 0 else "open"


def write_ablation(folders: Mapping[str, Sequence[Path]], titles: Mapping[str, str], language: str, out: Path) -> Path:
    """Score the answers and write the page and its numbers.

    Args:
        folders: the argument of `Comparison`, with "base"; each `train/` has a `training.json`.
        titles: titles of the variants, in the order of the table.
        out: folder for the files.

    Returns:
        The path of ablation.html.
    """
    record = ablation_record(folders, titles, language)
    write_atomic(out / RECORD, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    tables = ablation_tables(record)
    write_atomic((out / RECORD).with_suffix(".md"), "\n".join(table.markdown() for table in tables))
    write_atomic((out / RECORD).with_suffix(".tex"), "\n".join(table.latex() for table in tables))
    write_atomic(out / PAGE, environment(TEMPLATES).get_template("ablation.html.j2").render(_view(record)))
    return out / PAGE


def ablation_record(folders: Mapping[str, Sequence[Path]], titles: Mapping[str, str], language: str) -> dict[str, Any]:
    """Everything that the page shows, as JSON: scores, claims, forgetting and settings."""
    comparison = Comparison(folders, language)
    base = read_meta(Path(folders["base"][0]) / "predictions" / "know_test.jsonl")
    return {
        "language": language,
        "seeds": comparison.seeds,
        "images": comparison.images,
        "parameters": base["parameters"],
        "variants": [_variant(name, titles[name], comparison, folders[name]) for name in folders],
        "claims": [_claim(claim, comparison) for claim in CLAIMS if {claim.higher, claim.lower} <= set(folders)],
        "forgetting": [
            _forgetting(name, titles[name], comparison)
            for name in FORGETTING
            if {name, "ling_only", "two_stage"} <= set(folders)
        ],
        "signature": comparison.metric.signature,
        "versions": {"torch": base["torch"], "transformers": base["transformers"]},
    }


def _variant(name: str, title: str, comparison: Comparison, folders: Sequence[Path]) -> dict[str, Any]:
    """The record of one variant: scores by seed and over seeds, failures, and training data."""
    measured = {measure: comparison.estimate(name, measure).as_dict() for measure in MEASURES}
    for measure, score in measured.items():
        score["by_seed"] = [round(value, 2) for value in comparison.by_seed(name, measure)]  # type: ignore[assignment]
    training = Path(folders[0]) / "train" / "training.json"
    facts = json.loads(training.read_text("utf-8")) if training.is_file() else {}
    return {
        "name": name,
        "title": title,
        "scores": measured,
        "rates": comparison.rates[name],
        "samples": facts.get("samples"),
        "steps": max((entry["step"] for entry in facts.get("log_history", [])), default=0),
    }


def _claim(claim: Claim, comparison: Comparison) -> dict[str, Any]:
    difference = comparison.difference(claim.higher, claim.lower, claim.measure, claim.share)
    return {
        "text": claim.text,
        "published": claim.published,
        "measure": claim.measure,
        "higher": claim.higher,
        "lower": claim.lower,
        "share": claim.share,
        "scores": [round(comparison.estimate(name, claim.measure).value, 2) for name in (claim.higher, claim.lower)],
        "difference": difference.as_dict(),
        "verdict": verdict(difference),
    }


def _forgetting(name: str, title: str, comparison: Comparison) -> dict[str, Any]:
    """METEOR on ling before and after the second stage, and the share of the plain second stage's drop recovered.

    The share is left out if the plain second stage shows no drop, because there is nothing to recover.
    """
    before, after = (comparison.estimate(n, "ling_meteor") for n in ("ling_only", name))
    lost = comparison.difference("ling_only", "two_stage", "ling_meteor")
    won = comparison.difference(name, "two_stage", "ling_meteor")
    return {
        "name": name,
        "title": title,
        "before": before.as_dict(),
        "after": after.as_dict(),
        "change": comparison.difference(name, "ling_only", "ling_meteor").as_dict(),
        "won_back": round(won.value / lost.value, 3) if name != "two_stage" and lost.low > 0 else None,
    }


def _view(record: Mapping[str, Any]) -> dict[str, Any]:
    language = get_language(record["language"])
    return {
        **record,
        "language": language,
        "direction": "rtl" if language.rtl else "ltr",
        "miniature": record["parameters"] < MINIATURE_PARAMETERS,
        "measure_titles": MEASURE_TITLES,
        "plane": plane(_points(record["variants"])),
        "kinds": KINDS,
        "near": NEAR,
        "drawn_over": drawn_over(record["seeds"]),
    }


def _points(variants: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Points of the plot: keyword accuracy on know (x) and METEOR on ling (y), labelled with legend numbers."""
    axes = {"x": "know_keyword", "y": "ling_meteor"}
    return [
        {"kind": KINDS.get(variant["name"], ""), "label": str(number)}
        | {axis: tuple(variant["scores"][name][end] for end in ENDS) for axis, name in axes.items()}
        for number, variant in enumerate(variants, 1)
    ]
