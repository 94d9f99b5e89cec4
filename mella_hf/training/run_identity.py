"""Identify a run by the settings and the data that change its result.

A run that was stopped goes on where these are the same. Settings that only change where or how fast it runs, how often
it logs or saves, may change in between.
"""

import hashlib
import json
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.identity import hub_commit
from mella_hf.dataset.write import shard_paths
from mella_hf.sample import SOURCES
from mella_hf.training.arguments.settings import Settings
from mella_hf.training.batches.chat import prompts_mark
from mella_hf.training.distill import transfer_set_hash
from mella_hf.training.forgetting import adapter_hash

if TYPE_CHECKING:
    from trl import ModelConfig

# What a run is trained on and in which order.
DATA = (
    "languages", "sources", "max_samples", "prompt_seed", "max_image_tokens", "min_pixels", "max_pixels", "max_patches",
    "length_buckets", "source_weights", "jpeg_augment", "streaming", "replay_share", "seed", "data_seed",
    "chat_template_path", "eos_token", "pad_token", "max_length", "completion_only_loss", "assistant_only_loss",
    "loss_type", "router_aux_loss_coef",
)  # fmt: skip
# How far and how fast it learns.
SCHEDULE = (
    "num_train_epochs", "max_steps", "learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps",
    "optim", "optim_args", "optim_target_modules", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon",
    "max_grad_norm", "label_smoothing_factor", "neftune_noise_alpha", "ewc_lambda", "fisher_samples",
)  # fmt: skip
# Which samples share a step. Their product is not enough: each split of it makes other batches.
BATCHES = (
    "per_device_train_batch_size", "gradient_accumulation_steps", "processes", "average_tokens_across_devices",
    "dataloader_drop_last",
)  # fmt: skip
# What is trained, and in which precision.
MODEL = (
    "use_peft", "lora_scope", "lora_r", "lora_alpha", "lora_dropout", "lora_target_parameters", "lora_modules_to_save",
    "use_rslora", "use_dora", "load_in_8bit", "load_in_4bit", "bnb_4bit_quant_type", "use_bnb_nested_quant",
    "bnb_4bit_quant_storage", "dtype", "bf16", "fp16",
)  # fmt: skip
# What may end a run early.
WATCH = ("watch_early_stop", "watch_steps", "watch_samples", "watch_new_tokens", "watch_patience")
# Which step's weights are the result.
BEST = (
    "load_best_model_at_end", "metric_for_best_model", "greater_is_better", "eval_strategy", "eval_steps", "eval_delay",
    "save_strategy", "save_steps", "per_device_eval_batch_size", "bf16_full_eval", "fp16_full_eval",
)  # fmt: skip
TAIL = 4096  # bytes at the end of a Parquet file; they describe what is in it


def all_settings(settings: Settings) -> dict[str, Any]:
    """Every setting of a run, as JSON."""
    parts = (settings.model, settings.data, settings.forgetting, settings.watch)
    merged = settings.training.to_dict()
    for part in parts:
        merged |= asdict(part)
    merged["processes"] = settings.training.world_size
    return json.loads(json.dumps(merged, default=str))


def run_identity(settings: Settings) -> dict[str, Any]:
    """What the run's result depends on, as JSON; folders by their content, so that they may move.

    A backbone on the Hub counts by its commit: `pin_backbone` comes first.
    """
    known = all_settings(settings)
    names = [*DATA, *SCHEDULE, *BATCHES, *MODEL, WATCH[0], BEST[0]]
    names += WATCH if settings.watch.watch_early_stop else ()
    names += BEST if settings.training.load_best_model_at_end else ()
    identity = {name: known[name] for name in names if name in known}
    identity["source_weights"] = settings.data.weights
    identity["held_out"] = settings.data.eval_samples if settings.training.eval_strategy != "no" else None
    folder = Path(str(settings.model.model_name_or_path))
    identity["backbone"] = _folder_mark(folder) if folder.is_dir() else settings.model.model_revision
    identity["data"] = _data_mark(settings)
    identity["prompts"] = prompts_mark(product(settings.data.languages, SOURCES))
    first, asked = settings.forgetting.init_adapter, settings.data.transfer_set
    identity["init_adapter"] = None if first is None else adapter_hash(first)
    identity["transfer_set"] = None if asked is None else transfer_set_hash(asked)
    return json.loads(json.dumps(identity, default=str))


def pin_backbone(model: "ModelConfig") -> None:
    """Set `model_revision` to the commit that it means now: `main` may move while a run goes on. None for a folder."""
    name = str(model.model_name_or_path)
    model.model_revision = None if Path(name).is_dir() else hub_commit(name, model.model_revision)  # type: ignore[assignment]


def _folder_mark(folder: Path) -> str:
    """A backbone's folder by its configuration and the sizes of its weights; 16 GB are not read at every start."""
    weights = sorted((path.name, path.stat().st_size) for path in folder.glob("*.safetensors"))
    config = (folder / "config.json").read_bytes() if (folder / "config.json").is_file() else b""
    return hashlib.sha256(json.dumps(weights).encode() + config).hexdigest()[:16]


def _data_mark(settings: Settings) -> str:
    """A dataset's folder by names, sizes and footers of the shards in use; the Hub's by its name."""
    data = settings.data
    folder = Path(data.data_dir or data.dataset)
    if not folder.is_dir():
        return data.data_dir or data.dataset
    digest = hashlib.sha256()
    for language in data.languages:
        for source in sorted({*data.sources, *(("know", "ling") if settings.forgetting.replay_share else ())}):
            for path in shard_paths(folder, language, source):
                with open(path, "rb") as file:
                    file.seek(max(0, path.stat().st_size - TAIL))
                    tail = file.read()
                digest.update(f"{language}/{path.name} {path.stat().st_size} ".encode() + tail)
    return digest.hexdigest()[:16]
