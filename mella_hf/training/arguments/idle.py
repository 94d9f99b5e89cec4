"""Refuse settings of TRL and transformers that would have no effect here, or another one than their name says."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError

if TYPE_CHECKING:
    from trl import ModelConfig, SFTConfig

PUSH = "`mella push` uploads the adapter with its card and scores"
REMOTE_CODE = (False, "only models of transformers itself are trained; remove it")
# Setting -> (its value when nobody set it, what to do instead).
MODEL: dict[str, tuple[Any, str]] = {
    "lora_target_modules": (None, "name the parts to adapt with lora_scope"),
    "lora_target_parameters": (None, "name the parts to adapt with lora_scope"),
    "lora_modules_to_save": (None, "LoRA alone is trained; remove it"),
    "lora_task_type": ("CAUSAL_LM", "remove it"),
    "trust_remote_code": REMOTE_CODE,  # here in older versions of TRL
}
# What only works together with another setting -> (its value when nobody set it, the other setting).
NEEDS_PEFT = {"use_dora": False, "use_rslora": False}
NEEDS_4BIT = {"use_bnb_nested_quant": False, "bnb_4bit_quant_type": "nf4", "bnb_4bit_quant_storage": None}
TRAINING: dict[str, tuple[Any, str]] = {
    "auto_find_batch_size": (False, "the batches are made once; `mella train --check` tries the largest"),
    "batch_eval_metrics": (False, "`mella evaluate` scores answers; watch_steps scores a few while training"),
    "chat_template_path": (None, "put the template into the folder of the backbone, as chat_template.jinja"),
    "data_seed": (None, "the order of the samples follows from seed"),
    "dataloader_drop_last": (False, "every sample is seen once in an epoch; remove it"),
    "dataloader_in_order": (True, "batches come in the order that seed gives them; remove it"),
    "dataset_kwargs": (None, "samples are prepared as they are read; remove it"),
    "dataset_text_field": ("text", "samples are conversations; remove it"),
    "do_predict": (False, "`mella evaluate` answers the test splits"),
    "eval_packing": (None, "samples with images are not packed; length_buckets avoids padding"),
    "hub_always_push": (False, PUSH),
    "hub_model_id": (None, PUSH),
    "hub_private_repo": (None, PUSH),
    "hub_revision": (None, PUSH),
    "hub_strategy": ("every_save", PUSH),
    "ignore_data_skip": (False, "a run that goes on takes the next samples, not the first again; remove it"),
    "include_for_metrics": ([], "`mella evaluate` scores answers; watch_steps scores a few while training"),
    "length_column_name": ("length", "length_buckets decides the order of the samples"),
    "model_init_kwargs": (None, "the model is loaded with dtype, attn_implementation and model_revision"),
    "packing": (False, "samples with images are not packed; length_buckets avoids padding"),
    "packing_strategy": ("bfd", "samples with images are not packed; length_buckets avoids padding"),
    "pad_to_multiple_of": (None, "TRL cannot do it for samples with images; remove it"),
    "padding_free": (False, "length_buckets avoids padding"),
    "push_to_hub": (False, PUSH),
    "resume_from_checkpoint": (None, "the same command resumes by itself; overwrite: true starts again"),
    "shuffle_dataset": (False, "batches are drawn by seed; remove it"),
    "train_sampling_strategy": ("random", "length_buckets decides the order of the samples"),
    "truncation_mode": ("keep_start", "nothing is cut; max_image_tokens bounds the images"),
    "trust_remote_code": REMOTE_CODE,
}


def check_idle(model: "ModelConfig", training: "SFTConfig") -> None:
    """Refuse a setting that would do nothing, or harm.

    Raises:
        MellaError: names the setting, its value and what to do instead.
    """
    for given, table in ((model, MODEL), (training, TRAINING)):
        own = {field.name: field.default for field in fields(given)}  # another version may have other defaults
        for name, (default, instead) in table.items():
            value = getattr(given, name, default)
            if value != default and value != own.get(name):
                raise MellaError(f"{name} is {value!r}, but does nothing here: {instead}.")
    if training.label_smoothing_factor:
        raise MellaError(
            f"label_smoothing_factor is {training.label_smoothing_factor}, but transformers does not shift the labels "
            "of vision-language models for it: they would learn to repeat what they read. Remove it."
        )
    if training.completion_only_loss is False:
        raise MellaError(
            "completion_only_loss is False: the prompts, the same for all samples, would take part in the loss, but "
            "tokens are counted in the answers alone. Remove it."
        )
    for name in ("eval_on_start", "load_best_model_at_end"):
        if getattr(training, name) and training.eval_strategy == "no":
            raise MellaError(f"{name} is true, but nothing is held out; set eval_strategy, as in eval_strategy: steps.")
    for name in ("split_batches", "dispatch_batches"):
        if getattr(training.accelerator_config, name, None):
            raise MellaError(
                f"accelerator_config sets {name}, but does nothing here: each process draws its own batches. Remove it."
            )


def check_sizes(model: "ModelConfig", training: "SFTConfig") -> None:
    """Refuse numbers with which nothing is trained. Raises MellaError, with the setting and its value."""
    positive = ["per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"]
    positive += ["num_train_epochs"] if training.max_steps < 1 else []
    for given, names in ((training, positive), (model, ["lora_r", "lora_alpha"] if model.use_peft else [])):
        for name in names:
            if not getattr(given, name) > 0:
                raise MellaError(f"{name} is {getattr(given, name)}; give a positive number.")
    if not training.learning_rate >= 0:
        raise MellaError(f"learning_rate is {training.learning_rate}; give a positive number, such as 4e-5.")
    if not 0 <= training.seed < 2**32:
        raise MellaError(f"seed is {training.seed}; give a whole number from 0 to 4294967295.")
    if model.use_peft and not 0 <= model.lora_dropout < 1:
        raise MellaError(f"lora_dropout is {model.lora_dropout}; give a share from 0 to below 1, such as 0.05.")


def check_needed(model: "ModelConfig") -> None:
    """Refuse a setting that does nothing without another one. Raises MellaError, with both."""
    for needed, names in (("use_peft", NEEDS_PEFT), ("load_in_4bit", NEEDS_4BIT)):
        for name, default in names.items():
            value = getattr(model, name)
            if value != default and not getattr(model, needed):
                raise MellaError(f"{name} is {value!r}, but does nothing here: it needs {needed}: true.")
