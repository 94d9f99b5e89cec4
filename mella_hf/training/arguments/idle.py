"""Refuse settings of TRL and transformers that would have no effect here."""

from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError

if TYPE_CHECKING:
    from trl import ModelConfig, SFTConfig

# Setting -> (its value when nobody set it, what to do instead).
MODEL: dict[str, tuple[Any, str]] = {
    "lora_target_modules": (None, "name the parts to adapt with lora_scope"),
    "lora_target_parameters": (None, "name the parts to adapt with lora_scope"),
    "lora_modules_to_save": (None, "LoRA alone is trained; remove it"),
    "lora_task_type": ("CAUSAL_LM", "remove it"),
}
TRAINING: dict[str, tuple[Any, str]] = {
    "auto_find_batch_size": (False, "the batches are made once; `mella train --check` tries the largest"),
    "data_seed": (None, "the order of the samples follows from seed"),
    "dataloader_drop_last": (False, "every sample is seen once in an epoch; remove it"),
    "eval_packing": (None, "samples with images are not packed; length_buckets avoids padding"),
    "ignore_data_skip": (False, "a run that goes on takes the next samples, not the first again; remove it"),
    "packing": (False, "samples with images are not packed; length_buckets avoids padding"),
    "padding_free": (False, "length_buckets avoids padding"),
    "resume_from_checkpoint": (None, "the same command resumes by itself; overwrite: true starts again"),
    "shuffle_dataset": (False, "batches are drawn by seed; remove it"),
    "train_sampling_strategy": ("random", "length_buckets decides the order of the samples"),
}


def check_idle(model: "ModelConfig", training: "SFTConfig") -> None:
    """Refuse a setting that would do nothing.

    Raises:
        MellaError: names the setting, its value and what to do instead.
    """
    for given, table in ((model, MODEL), (training, TRAINING)):
        for name, (default, instead) in table.items():
            value = getattr(given, name, default)
            if value != default:
                raise MellaError(f"{name} is {value!r}, but does nothing here: {instead}.")
