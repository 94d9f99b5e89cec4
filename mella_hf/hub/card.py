"""Write the model card: what the model is, how it scores, and code to run it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mella_hf.answers.identity import PROVENANCE
from mella_hf.errors import MellaError
from mella_hf.evaluation.export import hub_results
from mella_hf.evaluation.titles import metric_titles
from mella_hf.files import template_path, write_atomic
from mella_hf.html.page import MINIATURE_PARAMETERS
from mella_hf.hub.records import Provenance
from mella_hf.languages import get_language
from mella_hf.languages.standing import standing
from mella_hf.metrics.installed import all_scores

CARD = "README.md"
# What to do with a card that was edited by hand: keep it, or write it anew. Nothing chosen: an error that asks.
CardChoice = Literal["keep", "new"] | None


def write_adapter_card(
    folder: Path | str, *, repo_id: str | None = None, name: str | None = None, edited: CardChoice = None
) -> Path:
    """Write README.md from the folder's provenance.json, with the Hub's metadata on top.

    provenance.json keeps the sha256 of the card, by which a card that was edited by hand is known later.

    Args:
        repo_id: the repo that the usage snippet loads; the folder's name when None.
        name: what to call the folder, when it will be renamed.
        edited: what to do with a card that was edited by hand.

    Returns:
        The path of the card.

    Raises:
        MellaError: when the folder was not made by `prepare_adapter`, or its card was edited and `edited` is None.
    """
    from jinja2 import Environment, StrictUndefined

    folder = Path(folder)
    facts = read_provenance(folder)
    if keep_edited(folder, edited):
        return folder / CARD
    language = get_language(facts["language"])
    source = template_path("adapter_card.md.j2").read_text("utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["score"] = lambda value: "–" if value is None else f"{value:.1f}"
    parameters = facts["models"]["base"]["parameters"]  # None of a model that an endpoint serves
    title = repo_id or name or folder.resolve().name
    body = environment.from_string(source).render(
        facts=facts,
        language=language,
        standing=standing(language).sentence,
        adapter=title,
        base_revision=facts.get("base_revision"),
        know_prompt=language.test_prompt("know"),
        ling_prompt=language.test_prompt("ling"),
        metrics=_shown(facts["scores"]),
        scores={(s["model"], s["split"]): s for s in facts["scores"] if s["subset"] == "all"},
        unseen={(s["model"], s["split"]): s for s in facts["scores"] if s["subset"] == "unseen"},
        splits=list(dict.fromkeys(s["split"] for s in facts["scores"])),
        miniature=parameters is not None and parameters < MINIATURE_PARAMETERS,
        merged=facts.get("merged"),
    )
    card = f"---\n{card_metadata(facts, title)}\n---\n\n{body}"
    facts["card_sha256"] = card_hash(card.encode())
    write_atomic(folder / PROVENANCE, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    write_atomic(folder / CARD, card)
    return folder / CARD


def _shown(records: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """The scores that the card lists: the Hub's name of each metric (huggingface.co/metrics) and the name to show."""
    known = all_scores()
    return {name: (known[name].hub, known[name].full_title) for name in metric_titles(records)}


def card_hash(card: bytes) -> str:
    """The sha256 of a card."""
    return hashlib.sha256(card).hexdigest()


def is_edited(folder: Path) -> bool:
    """Whether the folder has a card that is not the one that was written into it."""
    if not (folder / CARD).is_file():
        return False
    written = json.loads((folder / PROVENANCE).read_text("utf-8")) if (folder / PROVENANCE).is_file() else {}
    return written.get("card_sha256") != card_hash((folder / CARD).read_bytes())


def keep_edited(folder: Path, edited: CardChoice) -> bool:
    """Whether the folder's card was edited by hand and stays. Raises MellaError when it was and nobody chose."""
    if not is_edited(folder):
        return False
    if edited is None:
        raise MellaError(
            f"{folder / CARD} was edited since it was written. Keep it with --card keep, or write it anew with "
            "--card new."
        )
    return edited == "keep"


def card_metadata(facts: Provenance, title: str) -> str:
    """The card's YAML: base_model, language, datasets, licence, and a model-index with signatures."""
    from huggingface_hub import ModelCardData

    shown = _shown(facts["scores"])
    scores = [score for score in facts["scores"] if score["model"] == "adapter"]
    results = hub_results(scores, facts["language"], dataset=facts["dataset_id"], local=bool(facts["dataset_is_local"]))
    merged = facts.get("merged") is not None
    data = ModelCardData(
        model_name=title.rpartition("/")[2],
        base_model=None if facts["base_is_local"] else facts["base_id"],
        base_model_relation=None if facts["base_is_local"] else "finetune" if merged else "adapter",
        datasets=None if facts["dataset_is_local"] else [facts["dataset_id"]],
        language=facts["language"],
        library_name="transformers" if merged else "peft",
        license=facts["license"],
        pipeline_tag="image-text-to-text",
        tags=["mella", *([] if merged else ["lora"]), "image-captioning", "low-resource-language"],
        metrics=sorted({metric_type for metric_type, _ in shown.values()}),
        eval_results=results,
    )
    return data.to_yaml()


def read_provenance(folder: Path) -> Provenance:
    """The facts behind a prepared adapter's card. Raises MellaError when the folder is not one."""
    path = folder / PROVENANCE
    if not path.is_file():
        raise MellaError(
            f"{str(folder)!r} is not a prepared adapter: {PROVENANCE} is missing. Evaluate the adapter and name the "
            "evaluation (`mella push --evaluation`, or mella_hf.hub.push.prepare_adapter)."
        )
    return json.loads(path.read_text("utf-8"))
