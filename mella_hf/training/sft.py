"""Settings in, an adapter out: supervised fine-tuning of a backbone with TRL and PEFT, in a single stage.

The paper's recipe: LoRA on the language model, `know` and `ling` together, one epoch.
"""

import json
import os
import shutil
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError
from mella_hf.stage import write_atomic
from mella_hf.training.arguments import DataArguments, Settings
from mella_hf.training.backbones import lora_targets, trainable_by_part
from mella_hf.training.batching import LengthBucketSampler, padding_share
from mella_hf.training.chat import conversations, sequence_lengths
from mella_hf.training.checkpoints import (
    DONE_FILE,
    MarkComplete,
    claim,
    finished_log,
    last_checkpoint,
    remove_incomplete,
    restore_weights,
    sole_use,
)

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PreTrainedModel, ProcessorMixin

ADAPTER_FOLDER = "adapter"

# Settings that change where or how fast a run goes, not what it computes.
_NOT_IDENTITY = ("output_dir", "logging_dir", "overwrite", "resume_from_checkpoint", "save_steps", "save_total_limit")


def load_training_data(data: DataArguments) -> "Dataset":
    """All samples of the run's languages and sources, one after the other, images not yet decoded.

    Raises:
        MellaError: when a language has no sample of a source.
    """
    from datasets import concatenate_datasets, load_dataset

    import mella_hf  # noqa: F401  (makes "mella" known to datasets)

    parts = []
    for code in data.languages:
        for source in data.sources:
            part = load_dataset(data.dataset, code, data_dir=data.data_dir, split=source)
            if not len(part):
                raise MellaError(f"The split {source!r} of {code!r} is empty; build it or leave the source out.")
            if data.max_samples is not None:
                part = part.select(range(min(data.max_samples, len(part))))
            parts.append(part)
    return concatenate_datasets(parts)


def load_processor(settings: Settings) -> "ProcessorMixin":
    """The backbone's processor, with the run's bounds on image size."""
    from transformers import AutoProcessor

    bounds = {"min_pixels": settings.data.min_pixels, "max_pixels": settings.data.max_pixels}
    bounds["max_patches"] = settings.data.max_patches
    return AutoProcessor.from_pretrained(
        settings.model.model_name_or_path,
        revision=settings.model.model_revision,
        **{key: value for key, value in bounds.items() if value is not None},
    )


def load_backbone(settings: Settings) -> "PreTrainedModel":
    """The backbone in the run's dtype, quantized where the recipe says so."""
    from accelerate import PartialState
    from transformers import AutoModelForImageTextToText
    from trl import get_quantization_config

    quantization = get_quantization_config(settings.model)
    return AutoModelForImageTextToText.from_pretrained(
        str(settings.model.model_name_or_path),
        revision=settings.model.model_revision,
        dtype=settings.model.dtype or "auto",
        attn_implementation=settings.model.attn_implementation,
        quantization_config=quantization,
        # Quantized weights cannot be moved after loading, so each rank loads its own to its device.
        device_map={"": PartialState().local_process_index} if quantization is not None else None,
    )


def lora_config(settings: Settings, model: "PreTrainedModel") -> "LoraConfig":
    """LoRA on the parts that `lora_scope` names."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.model.lora_r,
        lora_alpha=settings.model.lora_alpha,
        lora_dropout=settings.model.lora_dropout,
        use_rslora=settings.model.use_rslora,
        use_dora=settings.model.use_dora,
        target_modules=lora_targets(model, settings.data.lora_scope),
        task_type="CAUSAL_LM",
    )


def _trainer_class() -> type:
    """TRL's trainer with our order of samples (built on demand: importing TRL takes seconds)."""
    from transformers import PreTrainedModel
    from trl import SFTTrainer

    class MellaTrainer(SFTTrainer):
        """SFTTrainer that draws its batches with a sampler given to it."""

        mella_sampler: LengthBucketSampler | None = None

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return self.mella_sampler or super()._get_train_sampler(train_dataset)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            if isinstance(self.model, PreTrainedModel):
                restore_weights(self.model, Path(resume_from_checkpoint))
            else:  # an adapter
                super()._load_from_checkpoint(resume_from_checkpoint, model)

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """No card here: TRL's is for text models; `mella_hf.hub` writes ours."""

    return MellaTrainer


def build_trainer(settings: Settings) -> Any:
    """A trainer that is ready to run, and the facts about its data and its parameters.

    Returns:
        (trainer, facts): facts are JSON-serialisable.
    """
    processor = load_processor(settings)
    dataset = load_training_data(settings.data)
    lengths = sequence_lengths(dataset, processor, settings.data.prompt_seed)
    batch_size = settings.training.per_device_train_batch_size
    sampler = LengthBucketSampler(lengths, list(dataset["source"]), batch_size, settings.training.seed)
    columns = ["id", "image", "text", "language", "source"]
    dataset = dataset.select_columns(columns).with_transform(conversations(settings.data.prompt_seed))
    model = load_backbone(settings)
    peft_config = lora_config(settings, model) if settings.model.use_peft else None
    settings.training.remove_unused_columns = False  # the transform reads the columns by name
    if model.device.type == "cpu":
        settings.training.dataloader_pin_memory = False
    trainer = _trainer_class()(
        model=model,
        args=settings.training,
        train_dataset=dataset,
        processing_class=processor,
        peft_config=peft_config,
        callbacks=[MarkComplete()],
    )
    if settings.data.length_buckets:
        trainer.mella_sampler = sampler
    facts = {
        "samples": {source: sampler.groups.count(source) for source in settings.data.sources},
        "tokens": sum(lengths),
        "padding_share": round(padding_share(lengths, list(sampler), batch_size), 4),
        "parameters": trainable_by_part(trainer.model, model.config.model_type),
    }
    return trainer, facts


def identity(settings: Settings) -> dict[str, Any]:
    """The settings that decide what a run computes, as JSON."""
    merged = {**settings.training.to_dict(), **asdict(settings.model), **asdict(settings.data)}
    return {k: v for k, v in json.loads(json.dumps(merged, default=str)).items() if k not in _NOT_IDENTITY}


def train(settings: Settings) -> Path:
    """Run to the end, or go on where an earlier run of the same settings was stopped.

    Returns:
        The adapter's folder: weights and processor. Beside it, `training.json` holds the loss curve
        and the facts about data and parameters; a run that has it is done and is not run again.

    Raises:
        MellaError: when the folder holds a run with other settings, or another process trains in it.
    """
    output_dir = Path(str(settings.training.output_dir))
    main = int(os.environ.get("RANK", "0")) == 0
    with sole_use(output_dir) if main else nullcontext():
        return _train(settings, output_dir, main)


def _train(settings: Settings, output_dir: Path, main: bool) -> Path:
    adapter = output_dir / ADAPTER_FOLDER
    if main:
        claim(output_dir, identity(settings), settings.data.overwrite)
    if (output_dir / DONE_FILE).exists():
        return adapter
    trainer, facts = build_trainer(settings)
    with trainer.accelerator.main_process_first():
        if main:
            remove_incomplete(output_dir)
    checkpoint = last_checkpoint(output_dir)
    log = finished_log(checkpoint) if checkpoint else None
    if log is None:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        log = trainer.state.log_history
    else:
        trainer._load_from_checkpoint(str(checkpoint))
    aside = output_dir / f".{ADAPTER_FOLDER}"
    trainer.save_model(str(aside))  # every rank takes part under FSDP and ZeRO-3
    if main:
        shutil.rmtree(adapter, ignore_errors=True)
        os.replace(aside, adapter)
        record = {**facts, "settings": identity(settings), "log_history": log}
        write_atomic(output_dir / DONE_FILE, json.dumps(record, indent=1, ensure_ascii=False))
    trainer.accelerator.wait_for_everyone()
    return adapter
