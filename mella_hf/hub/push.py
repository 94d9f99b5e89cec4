"""Prepare a trained adapter for the Hub and push it: weights, processor, card.

`provenance.json` holds every fact that the card states, so the card can be written again from the folder alone, for
example for another repository name. `mella_hf.hub.merging` makes a merged model of such a folder, which is pushed the
same way.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.identity import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    COMMIT_DIGITS,
    MODEL_FILES,
    PROVENANCE,
    content_hash,
    hub_commit,
    model_files,
    model_name,
    read_adapter_config,
)
from mella_hf.answers.models import processor_source
from mella_hf.answers.records import TrainingRecord
from mella_hf.dataset.write import shard_paths
from mella_hf.errors import MellaError
from mella_hf.evaluation.benchmarks.cost import benchmark_costs
from mella_hf.evaluation.run import Run, load_run
from mella_hf.files import write_atomic
from mella_hf.hub.card import CARD, CardChoice, card_hash, is_edited, keep_edited, write_adapter_card
from mella_hf.hub.records import Provenance
from mella_hf.hub_errors import FIRST_WAIT, hub_errors, require_online, retried

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LORA_SETTINGS = ("peft_type", "r", "lora_alpha", "lora_dropout", "target_modules")
# What of a run's settings the card states; none of them is a path.
RECIPE_SETTINGS = (
    "languages", "sources", "max_samples", "source_weights", "prompt_seed", "length_buckets", "max_image_tokens",
    "max_pixels", "max_patches", "lora_scope", "load_in_4bit", "load_in_8bit", "dtype", "bf16", "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate", "lr_scheduler_type",
    "warmup_steps", "weight_decay", "max_grad_norm", "replay_share", "ewc_lambda", "seed",
)  # fmt: skip
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def prepare_adapter(
    adapter: Path | str,
    out: Path | str,
    *,
    run: Run | Path | str,
    repo_id: str | None = None,
    base_id: str | None = None,
    base_revision: str | None = None,
    dataset_id: str | None = None,
    license: str | None = None,
    edited: CardChoice = None,
) -> Path:
    """Write a folder that is ready for the Hub: weights, processor, card, provenance; nothing else of training.

    Args:
        adapter: the folder that training wrote.
        out: the folder to write; replaced whole.
        run: the adapter's evaluation, or its folder.
        repo_id: where it will be pushed; the usage snippet loads it from there.
        base_id: name of the base on the Hub, if it was read from a folder.
        dataset_id: name of the dataset on the Hub, if it was read from a folder.
        base_revision: branch, tag or commit of `base_id`; by default the commit of a base that was read from the Hub.
        license: the Hub's identifier of the weights' licence; "unknown" when not given.
        edited: what to do with a card in `out` that was edited by hand.

    Returns:
        `out`.

    Raises:
        MellaError: when the folder is not an adapter, the run evaluated another one, or `out` has an edited card and
            `edited` is None.
    """
    adapter, out = Path(adapter), Path(out)
    kept = keep_edited(out, edited)
    run = run if isinstance(run, Run) else load_run(run)
    config = read_adapter_config(adapter)
    facts = _provenance(adapter, config, run)
    facts["license"] = license or "unknown"
    facts["base_id"] = base_id or facts["models"]["adapter"]["base"]
    facts["base_is_local"] = base_id is None and run.models["base"]["base_is_local"]
    facts["base_revision"] = _base_revision(facts, base_revision)
    facts["dataset_id"] = dataset_id or run.data["name"]
    facts["dataset_is_local"] = dataset_id is None and run.data["local"]
    aside = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for path in model_files(adapter):
        shutil.copy2(path, aside)
    if processor_source("", adapter) != str(adapter):  # training saved no processor: the base's is the one in use
        _save_processor(config["base_model_name_or_path"], config.get("revision"), aside)
    config["base_model_name_or_path"] = facts["base_id"]  # never the path on the machine that trained it
    config["revision"] = facts["base_revision"]
    write_atomic(aside / ADAPTER_CONFIG, json.dumps(config, indent=2, sort_keys=True) + "\n")
    write_atomic(aside / PROVENANCE, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    if kept:
        shutil.copy2(out / CARD, aside / CARD)
    write_adapter_card(aside, repo_id=repo_id, name=out.name, edited=edited)
    shutil.rmtree(out, ignore_errors=True)
    aside.rename(out)
    return out


def push_adapter(
    folder: Path | str,
    repo_id: str,
    *,
    private: bool = False,
    create_pr: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
    edited: CardChoice = None,
    say: Callable[[str], None] = print,
    wait: float = FIRST_WAIT,
) -> str:
    """Upload a prepared folder, an adapter's or a merged model's, as one commit with its card written for `repo_id`.

    The repo is made when it is not there. One commit is whole or not there at all; what the Hub has already is not
    sent again, so an interrupted upload goes on where it stopped. Model files of an earlier push that this one does
    not have are removed. `PeftModel.push_to_hub` would write a card of its own over ours.

    Args:
        private: make a new repo private.
        create_pr: open a pull request instead of committing to main.
        endpoint: address of the Hub; the official one by default.
        token: token for the Hub; that of `hf auth login` by default.
        edited: what to do with a card that was edited by hand, here or on the Hub.
        say: receives a line whenever the Hub asks to wait.
        wait: seconds before the first retry.

    Returns:
        The address of the pull request or of the commit.

    Raises:
        MellaError: when the folder was not made by `prepare_adapter` or `merge_adapter`, the Hub refuses, or a card was
            edited and `edited` is None.
    """
    from huggingface_hub import HfApi

    folder = Path(folder)
    _check_name(repo_id)
    write_adapter_card(folder, repo_id=repo_id, edited=edited)
    api = HfApi(endpoint=endpoint, token=token)
    with hub_errors(repo_id, "push to"):
        # None, not False: an organisation may make its repos private by default.
        retried(lambda: api.create_repo(repo_id, private=private or None, exist_ok=True), say, wait)
        stays = retried(lambda: _stays_on_hub(api, folder, repo_id, edited), say, wait)
        return retried(lambda: _upload(api, folder, repo_id, create_pr, [CARD] if stays else []), say, wait)


def require_pushable(repo_id: str) -> None:
    """Raise MellaError when a push to `repo_id` cannot come off, whatever is pushed: ask before a merge of minutes."""
    _check_name(repo_id)
    require_online(repo_id, "push to")


def _check_name(repo_id: str) -> None:
    if not _REPO.fullmatch(repo_id):
        raise MellaError(f"{repo_id!r} does not name a model repo; give ORGANISATION/NAME, such as 'org/mella-ar'.")


def _stays_on_hub(api: "HfApi", folder: Path, repo_id: str, edited: CardChoice) -> bool:
    """Whether the Hub's card was edited there and stays. Raises MellaError when it was and nobody chose."""
    theirs = _read_file(api, repo_id, CARD)
    if theirs is None or edited == "new" or theirs == (folder / CARD).read_bytes():
        return False
    written = json.loads(_read_file(api, repo_id, PROVENANCE) or "{}")
    if written.get("card_sha256") == card_hash(theirs):
        return False
    if edited is None:
        raise MellaError(
            f"The card of {repo_id!r} was edited on the Hub. Keep it with --card keep, or replace it with --card new."
        )
    if is_edited(folder):
        raise MellaError(
            f"The card of {repo_id!r} was edited on the Hub, and {folder / CARD} was edited too. Bring both into one "
            "text, save it in both places, and push again."
        )
    return True


def _read_file(api: "HfApi", repo_id: str, name: str) -> bytes | None:
    """A file of the repo; None where it has none."""
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(api.hf_hub_download(repo_id, name)).read_bytes()
    except EntryNotFoundError:
        return None


def _upload(api: "HfApi", folder: Path, repo_id: str, create_pr: bool, leave: list[str]) -> str:
    info = api.upload_folder(
        repo_id=repo_id,
        folder_path=folder,
        commit_message="Model, processor and card",
        create_pr=create_pr,
        ignore_patterns=leave,
        delete_patterns=list(MODEL_FILES),
    )
    return info.pr_url or info.commit_url


def _provenance(adapter: Path, config: dict[str, Any], run: Run) -> Provenance:
    """What the card states: who was trained on what and how, and what came of it."""
    evaluated = run.models.get("adapter")
    if evaluated is None:
        raise MellaError(f"The run {str(run.folder)!r} evaluated only the base; run `mella evaluate` with --adapter.")
    found = content_hash(str(adapter))
    if found != evaluated["adapter_hash"]:
        raise MellaError(
            f"The run {str(run.folder)!r} evaluated another adapter than {str(adapter)!r} "
            f"({str(evaluated['adapter_hash'])[:16]}, not {found[:16]}); evaluate this one first."
        )
    weights = next(adapter / name for name in ADAPTER_WEIGHTS if (adapter / name).is_file())
    settings = _training_settings(adapter)
    training: TrainingRecord = {**(run.training or {})}
    training.pop("log_history", None)
    return {
        "language": run.language,
        "models": run.models,
        "weights": {"file": weights.name, "bytes": weights.stat().st_size},
        "lora": {key: config[key] for key in LORA_SETTINGS if key in config},
        "training": training,
        "recipe": {key: settings[key] for key in RECIPE_SETTINGS if settings.get(key) not in (None, False, -1)},
        "data": run.data,
        "licenses": _licenses(settings),
        "scores": run.scores,
        "costs": [cost for cost in benchmark_costs(run.folder) if cost["system"] == "adapter"],
        "versions": run.versions,
    }


def _training_settings(adapter: Path) -> dict[str, Any]:
    """The settings of the run that made the adapter, where training left them beside it."""
    from mella_hf.training.checkpoints import DONE_FILE

    path = adapter.resolve().parent / DONE_FILE
    return json.loads(path.read_text("utf-8")).get("settings", {}) if path.is_file() else {}


def _licenses(settings: dict[str, Any]) -> dict[str, int]:
    """Licence -> training samples; empty where the dataset is not a folder here, whose page then says it."""
    import pyarrow.parquet as pq

    folder = Path(settings.get("data_dir") or "")
    counts: Counter[str] = Counter()
    if settings.get("data_dir") and folder.is_dir():
        for language in settings["languages"]:
            for source in settings["sources"]:
                for path in shard_paths(folder, language, source):
                    names = pq.read_table(path, columns=["license"])["license"].to_pylist()
                    counts.update(name or "not stated" for name in names)
    return dict(counts.most_common())


def _base_revision(facts: Provenance, revision: str | None) -> str | None:
    """The base's commit on the Hub; None where it is not there, or nobody says which one it is."""
    if facts["base_is_local"]:
        if revision is not None:
            raise MellaError(
                f"--revision is {revision!r}, but the base is a folder; name it on the Hub with --base-id."
            )
        return None
    if revision is not None:
        return hub_commit(facts["base_id"], revision)
    known = facts["models"]["adapter"]["base_hash"]
    return known if facts["base_id"] == facts["models"]["adapter"]["base"] and len(known) == COMMIT_DIGITS else None


def _save_processor(base: str, revision: str | None, folder: Path) -> None:
    from transformers import AutoProcessor

    try:
        AutoProcessor.from_pretrained(base, revision=revision).save_pretrained(folder)
    except (OSError, ValueError) as error:
        raise MellaError(
            f"The adapter has no processor, and that of its base {model_name(base)!r} cannot be loaded: {error}. "
            "Save a processor into the adapter's folder, with `processor.save_pretrained(FOLDER)`."
        ) from error
