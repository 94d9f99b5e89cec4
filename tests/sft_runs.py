"""What the tests of runs share: the flags of a tiny one."""

import hashlib
from pathlib import Path
from typing import Any

WEIGHTS = "adapter/adapter_model.safetensors"


def flags(model: Path, dataset: Path, out: Path, **more: Any) -> list[str]:
    """Flags of a run of eight steps on the CPU; `more` overrides them."""
    settings = {
        "model_name_or_path": model, "data_dir": dataset, "languages": "ar", "output_dir": out, "use_peft": "true",
        "lora_r": 4, "lora_dropout": 0.1, "max_steps": 8, "per_device_train_batch_size": 3, "save_steps": 2,
        "logging_steps": 1, "learning_rate": 1e-2, "report_to": "none", "use_cpu": "true", "dtype": "float32",
        "gradient_checkpointing": "false", "bf16": "false", **more,
    }  # fmt: skip
    recipe = out.parent / f"{out.name}.yaml"
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text("max_length: null\n")
    return ["--config", str(recipe), *(str(part) for key, value in settings.items() for part in (f"--{key}", value))]


def weights_in(run: Path) -> str:
    """The hash of a run's adapter; pytest compares bytes that differ for minutes."""
    return hashlib.sha256((run / WEIGHTS).read_bytes()).hexdigest()
