"""Write the model card: what the model is, how it scores, and code to run it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mella_hf.answers.identity import PROVENANCE
from mella_hf.errors import MellaError
from mella_hf.evaluation.titles import metric_titles
from mella_hf.files import template_path, write_atomic
from mella_hf.html.page import MINIATURE_PARAMETERS
from mella_hf.languages import get_language
from mella_hf.metrics.installed import all_scores

CARD = "README.md"


def write_adapter_card(folder: Path | str, *, repo_id: str | None = None, name: str | None = None) -> Path:
    """Write README.md from the folder's provenance.json, with the Hub's metadata on top.

    Args:
        repo_id: the repo that the usage snippet loads; the folder's name when None.
        name: what to call the folder, when it will be renamed.

    Returns:
        The path of the card.

    Raises:
        MellaError: when the folder was not made by `prepare_adapter`.
    """
    from jinja2 import Environment, StrictUndefined

    folder = Path(folder)
    facts = read_provenance(folder)
    language = get_language(facts["language"])
    source = template_path("adapter_card.md.j2").read_text("utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["score"] = lambda value: "–" if value is None else f"{value:.1f}"
    title = repo_id or name or folder.resolve().name
    body = environment.from_string(source).render(
        facts=facts,
        language=language,
        adapter=title,
        know_prompt=language.test_prompt("know"),
        ling_prompt=language.test_prompt("ling"),
        metrics=_shown(facts["scores"]),
        scores={(s["model"], s["split"]): s for s in facts["scores"] if s["subset"] == "all"},
        unseen={(s["model"], s["split"]): s for s in facts["scores"] if s["subset"] == "unseen"},
        splits=list(dict.fromkeys(s["split"] for s in facts["scores"])),
        miniature=facts["models"]["base"]["parameters"] < MINIATURE_PARAMETERS,
        merged=facts.get("merged"),
    )
    write_atomic(folder / CARD, f"---\n{card_metadata(facts, title)}\n---\n\n{body}")
    return folder / CARD


def _shown(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """The scores that the card lists: the Hub's name of each metric (huggingface.co/metrics) and the name to show."""
    known = all_scores()
    return {name: (known[name].hub, known[name].full_title) for name in metric_titles(records)}


def card_metadata(facts: dict[str, Any], title: str) -> str:
    """The card's YAML: base_model, language, datasets, licence, and a model-index with signatures."""
    from huggingface_hub import EvalResult, ModelCardData

    shown = _shown(facts["scores"])
    results = [
        EvalResult(
            task_type="image-text-to-text",
            task_name="Image captioning",
            dataset_type=facts["dataset_id"],
            dataset_name=f"{facts['dataset_id']} ({score['split']})",
            dataset_config=facts["language"],
            dataset_split=score["split"],
            metric_type=metric_type,
            metric_name=metric_name,
            metric_value=round(score[key], 2),
            metric_args={
                "low": round(score[f"{key}_low"], 2),
                "high": round(score[f"{key}_high"], 2),
                "floor": None if score[f"{key}_floor"] is None else round(score[f"{key}_floor"], 2),
                "signature": score["signature"],
            },
        )
        for score in facts["scores"]
        if score["model"] == "adapter" and score["subset"] == "all"
        for key, (metric_type, metric_name) in shown.items()
        if score[key] is not None
    ]
    merged = facts.get("merged") is not None
    data = ModelCardData(
        model_name=title.rpartition("/")[2],
        base_model=facts["base_id"],
        base_model_relation="finetune" if merged else "adapter",
        datasets=[facts["dataset_id"]],
        language=facts["language"],
        library_name="transformers" if merged else "peft",
        license=facts["license"],
        pipeline_tag="image-text-to-text",
        tags=["mella", *([] if merged else ["lora"]), "image-captioning", "low-resource-language"],
        metrics=sorted({metric_type for metric_type, _ in shown.values()}),
        eval_results=results,
    )
    return data.to_yaml()


def read_provenance(folder: Path) -> dict[str, Any]:
    """The facts behind a prepared adapter's card. Raises MellaError when the folder is not one."""
    path = folder / PROVENANCE
    if not path.is_file():
        raise MellaError(
            f"{str(folder)!r} is not a prepared adapter: {PROVENANCE} is missing. Evaluate the adapter and name the "
            "evaluation (`mella push --evaluation`, or mella_hf.hub.push.prepare_adapter)."
        )
    return json.loads(path.read_text("utf-8"))
