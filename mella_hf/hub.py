"""An adapter that training wrote goes in; a folder for the Hub leaves, and goes there: weights, processor, card.

`provenance.json` holds every fact that the card states, so a card can be written again, for a repo of
another name, from the folder alone.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.evaluation.models import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    PROVENANCE,
    content_hash,
    model_files,
    model_name,
    processor_source,
    read_adapter_config,
)
from mella_hf.evaluation.report import MINIATURE_PARAMETERS
from mella_hf.evaluation.run import Run, load_run
from mella_hf.languages import get_language
from mella_hf.resources import template_path
from mella_hf.stage import write_atomic

CARD = "README.md"
# Score -> the Hub's name of the metric (huggingface.co/metrics) and the name to show.
CARD_METRICS = {
    "keyword_micro": ("accuracy", "Keyword accuracy (micro)"),
    "meteor": ("meteor", "METEOR (exact + stem)"),
    "rouge_l": ("rouge", "ROUGE-L"),
    "bleu": ("bleu", "BLEU"),
    "chrf": ("chrf", "chrF++"),
}
LORA_SETTINGS = ("peft_type", "r", "lora_alpha", "lora_dropout", "target_modules")


def prepare_adapter(
    adapter: Path | str,
    out: Path | str,
    *,
    run: Run | Path | str,
    repo_id: str | None = None,
    base_id: str | None = None,
    dataset_id: str | None = None,
    license: str | None = None,
) -> Path:
    """Write a folder that is ready for the Hub: weights, processor, card, provenance; nothing else of training.

    Args:
        adapter: the folder that training wrote.
        out: the folder to write; replaced whole.
        run: the adapter's evaluation, or its folder.
        repo_id: where it will be pushed; the usage snippet loads it from there.
        base_id, dataset_id: where base and dataset can be found on the Hub, when they were read from a folder.
        license: the Hub's identifier of the weights' licence; "unknown" when not given.

    Returns:
        `out`.

    Raises:
        MellaError: when the folder is not an adapter, or the run evaluated another one.
    """
    adapter, out = Path(adapter), Path(out)
    run = run if isinstance(run, Run) else load_run(run)
    config = read_adapter_config(adapter)
    facts = _provenance(adapter, config, run)
    facts["license"] = license or "unknown"
    facts["base_id"] = base_id or facts["models"]["adapter"]["base"]
    facts["base_is_local"] = base_id is None and run.models["base"]["base_is_local"]
    facts["dataset_id"] = dataset_id or run.data["name"]
    facts["dataset_is_local"] = dataset_id is None and run.data["local"]
    aside = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for path in model_files(adapter):
        shutil.copy2(path, aside)
    if processor_source("", adapter) != str(adapter):  # training saved no processor: the base's is the one in use
        _save_processor(config["base_model_name_or_path"], aside)
    config["base_model_name_or_path"] = facts["base_id"]  # never the path on the machine that trained it
    write_atomic(aside / ADAPTER_CONFIG, json.dumps(config, indent=2, sort_keys=True) + "\n")
    write_atomic(aside / PROVENANCE, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    write_adapter_card(aside, repo_id=repo_id, name=out.name)
    shutil.rmtree(out, ignore_errors=True)
    aside.rename(out)
    return out


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
        metrics=CARD_METRICS,
        scores={(s["model"], s["split"]): s for s in facts["scores"] if s["subset"] == "all"},
        unseen={(s["model"], s["split"]): s for s in facts["scores"] if s["subset"] == "unseen"},
        splits=list(dict.fromkeys(s["split"] for s in facts["scores"])),
        miniature=facts["models"]["base"]["parameters"] < MINIATURE_PARAMETERS,
    )
    write_atomic(folder / CARD, f"---\n{card_metadata(facts, title)}\n---\n\n{body}")
    return folder / CARD


def card_metadata(facts: dict[str, Any], title: str) -> str:
    """The card's YAML: base_model, language, datasets, licence, and a model-index with signatures."""
    from huggingface_hub import EvalResult, ModelCardData

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
        for key, (metric_type, metric_name) in CARD_METRICS.items()
        if score[key] is not None
    ]
    data = ModelCardData(
        model_name=title.rpartition("/")[2],
        base_model=facts["base_id"],
        datasets=[facts["dataset_id"]],
        language=facts["language"],
        library_name="peft",
        license=facts["license"],
        pipeline_tag="image-text-to-text",
        tags=["mella", "lora", "image-captioning", "low-resource-language"],
        metrics=sorted({metric_type for metric_type, _ in CARD_METRICS.values()}),
        eval_results=results,
    )
    return data.to_yaml()


def push_adapter(folder: Path | str, repo_id: str, *, private: bool = True, token: str | None = None) -> str:
    """Upload a prepared folder as one commit, with its card written for `repo_id`.

    The repo is made when it is not there. `PeftModel.push_to_hub` would write a card of its own over ours.

    Returns:
        The address of the commit.

    Raises:
        MellaError: when the folder was not made by `prepare_adapter`, or the Hub refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    folder = Path(folder)
    read_adapter_config(folder)
    write_adapter_card(folder, repo_id=repo_id)
    api = HfApi(token=token)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Adapter, processor and card")
    except (HfHubHTTPError, HFValidationError) as error:
        raise MellaError(
            f"The Hub did not take {str(folder)!r} as {repo_id!r}: {error}. "
            "Log in with `hf auth login` or set HF_TOKEN to a token that may write there, and push again."
        ) from error
    return commit.commit_url


def read_provenance(folder: Path) -> dict[str, Any]:
    """The facts behind a prepared adapter's card. Raises MellaError when the folder is not one."""
    path = folder / PROVENANCE
    if not path.is_file():
        raise MellaError(
            f"{str(folder)!r} is not a prepared adapter: {PROVENANCE} is missing. "
            "Make one with mella_hf.hub.prepare_adapter."
        )
    return json.loads(path.read_text("utf-8"))


def _provenance(adapter: Path, config: dict[str, Any], run: Run) -> dict[str, Any]:
    """What the card states: who was trained on what and how, and what came of it."""
    evaluated = run.models.get("adapter")
    if evaluated is None:
        raise MellaError(f"The run {str(run.folder)!r} evaluated only the base; run `mella evaluate` with --adapter.")
    if (found := content_hash(str(adapter))) != evaluated["adapter_hash"]:
        raise MellaError(
            f"The run {str(run.folder)!r} evaluated another adapter than {str(adapter)!r} "
            f"({evaluated['adapter_hash'][:16]}, not {found[:16]}); evaluate this one first."
        )
    weights = next(adapter / name for name in ADAPTER_WEIGHTS if (adapter / name).is_file())
    return {
        "language": run.language,
        "models": run.models,
        "weights": {"file": weights.name, "bytes": weights.stat().st_size},
        "lora": {key: config[key] for key in LORA_SETTINGS if key in config},
        "training": {key: value for key, value in (run.training or {}).items() if key != "log_history"},
        "data": run.data,
        "scores": run.scores,
        "versions": run.versions,
    }


def _save_processor(base: str, folder: Path) -> None:
    from transformers import AutoProcessor

    try:
        AutoProcessor.from_pretrained(base).save_pretrained(folder)
    except (OSError, ValueError) as error:
        raise MellaError(
            f"The adapter has no processor, and that of its base {model_name(base)!r} cannot be loaded: {error}"
        ) from error
