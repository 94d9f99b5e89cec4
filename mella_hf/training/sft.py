"""Fine-tune a backbone with TRL and PEFT in a single stage, and write an adapter.

The paper's recipe: LoRA on the language model, `know` and `ling` together, one epoch.
"""

import json
import os
import shutil
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers import loading
from mella_hf.answers.generate import stop_token_ids
from mella_hf.errors import MellaError
from mella_hf.files import write_atomic
from mella_hf.training.arguments.preflight import check_backbone
from mella_hf.training.arguments.settings import Settings
from mella_hf.training.backbones import lora_targets, trainable_by_part
from mella_hf.training.batches import image_bounds
from mella_hf.training.batches.bad_samples import SKIPPED_FILE
from mella_hf.training.batches.collating import collator_for
from mella_hf.training.checkpoints import (
    ADAPTER_FOLDER,
    DONE_FILE,
    MarkComplete,
    check_sharding,
    claim,
    finished_log,
    last_checkpoint,
    remove_incomplete,
    sole_use,
)
from mella_hf.training.feeding import build_feed
from mella_hf.training.forgetting import (
    ElasticWeights,
    ForgettingArguments,
    check_devices,
    load_trainable_adapter,
    read_fisher,
    save_fisher,
    trainable,
)
from mella_hf.training.rehearsal import Rehearsal, rehearse
from mella_hf.training.run_identity import all_settings, pin_backbone, run_identity
from mella_hf.training.template_check import check_rendering, check_template
from mella_hf.training.watch import Watch, watch_set

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedModel, ProcessorMixin
    from trl import ModelConfig


def load_processor(settings: Settings) -> "ProcessorMixin":
    """Load the backbone's processor, with the run's limits on the image size."""
    data = settings.data
    bounds = {name: getattr(data, name) for name in image_bounds.SETTINGS if getattr(data, name) is not None}
    name = str(settings.model.model_name_or_path)
    processor = loading.load_processor(name, revision=settings.model.model_revision, **bounds)
    check_rendering(processor, name)
    image_bounds.check_bounds(processor, bounds)
    if data.max_image_tokens is not None:
        image_bounds.limit_image_tokens(processor, data.max_image_tokens)
    return processor


def load_backbone(model: "ModelConfig") -> "PreTrainedModel":
    """Load the backbone in the run's dtype, quantized if the recipe says so."""
    from accelerate import PartialState
    from trl import get_quantization_config

    quantization = get_quantization_config(model)
    return loading.load_weights(
        str(model.model_name_or_path),
        revision=model.model_revision,
        dtype=model.dtype or "auto",
        attn_implementation=model.attn_implementation,
        quantization_config=quantization,
        # Quantized weights cannot be moved after loading, so each rank loads its own to its device.
        device_map={"": PartialState().device} if quantization is not None else None,
    )


def lora_config(settings: Settings, model: "PreTrainedModel") -> "LoraConfig":
    """The LoRA configuration for the parts that `lora_scope` names."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.model.lora_r,
        lora_alpha=settings.model.lora_alpha,
        lora_dropout=settings.model.lora_dropout,
        use_rslora=settings.model.use_rslora,
        use_dora=settings.model.use_dora,
        target_modules=lora_targets(model, settings.data.lora_scope),
        task_type="CAUSAL_LM",
        revision=settings.model.model_revision,
    )


def build_trainer(settings: Settings) -> Any:
    """Build a trainer that is ready to run, and collect facts about its data and parameters.

    Returns:
        (trainer, facts): facts are JSON-serialisable.
    """
    from transformers import set_seed

    from mella_hf.training.streaming import build_stream_feed
    from mella_hf.training.trainer import MellaTrainer  # importing TRL takes seconds

    pin_backbone(settings.model)
    check_backbone(settings.model)
    processor = load_processor(settings)
    feed = build_stream_feed(settings, processor) if settings.data.streaming else build_feed(settings, processor)
    _check_best(settings, list(feed.held))
    forgetting = settings.forgetting
    model: Any = load_backbone(settings.model)
    loading.check_padding(model, processor, str(settings.model.model_name_or_path))
    peft_config = lora_config(settings, model) if settings.model.use_peft else None
    if forgetting.init_adapter is not None:
        if peft_config is None:
            raise MellaError("init_adapter needs use_peft: true, because an adapter is trained further; set it.")
        model, peft_config = load_trainable_adapter(model, forgetting.init_adapter, peft_config), None
    settings.training.remove_unused_columns = False  # the transform reads the columns by name
    settings.training.ignore_data_skip = settings.data.streaming  # a stream finds its place by itself
    only_language = settings.model.use_peft and settings.data.lora_scope == ["language_model"]
    if only_language and settings.training.ddp_find_unused_parameters is None:
        settings.training.ddp_find_unused_parameters = False  # every weight of the language model is used in each step
    if model.device.type == "cpu":
        settings.training.dataloader_pin_memory = False
    set_seed(settings.training.seed)  # LoRA starts at random; older versions of TRL set the seed after that
    try:
        trainer: Any = MellaTrainer(
            model=model,
            args=settings.training,
            train_dataset=feed.dataset,
            eval_dataset=feed.held or None,
            processing_class=processor,
            peft_config=peft_config,
            data_collator=collator_for(processor),
            callbacks=[MarkComplete()],
            batches=feed.batches,
            denominators=feed.denominators,
            elastic=partial(_elastic, forgetting) if forgetting.ewc_lambda is not None else None,
        )
    except MellaError:
        raise
    except ValueError as error:  # TRL and transformers check their own settings
        raise MellaError(f"The settings are refused: {' '.join(str(error).split())}") from error
    check_devices(forgetting, trainer.accelerator.distributed_type.value)
    check_sharding(trainer)
    name = str(settings.model.model_name_or_path)
    check_template(trainer.data_collator, processor, stop_token_ids(model, processor), name)
    rows = None
    if settings.watch.watch_steps is not None:
        data, samples = settings.data, settings.watch.watch_samples
        rows = watch_set(data.dataset, data.data_dir, data.languages, samples, settings.training.seed)
        trainer.add_callback(Watch(trainer, rows, settings.watch))
    trainer.rehearse = partial(rehearse, trainer, feed, rows)
    facts = {**feed.facts, "parameters": trainable_by_part(trainer.model)}
    return trainer, facts


def _check_best(settings: Settings, held: list[str]) -> None:
    """Refuse a metric that no evaluation gives: the Trainer would look for it at the first one, hours after the start.

    Args:
        held: the kinds of held-out samples, "<language>_<source>".
    """
    metric = settings.training.metric_for_best_model
    names = [f"eval_{kind}_loss" for kind in held]
    if metric is not None and held and f"eval_{metric.removeprefix('eval_')}" not in names:
        raise MellaError(
            f"metric_for_best_model is {metric!r}, but held-out samples have one loss for each language and source; "
            f"set it to {' or '.join(names)}."
        )


def check(settings: Settings) -> Rehearsal:
    """Try everything that a run does, without a step of training; nothing is written to its folder.

    Raises:
        MellaError, TrainingError: as `train`, for all that can be known before the first step.
    """
    output_dir = Path(str(settings.training.output_dir))
    existed, listed = output_dir.exists(), (output_dir / SKIPPED_FILE).exists()
    try:
        trainer, _ = build_trainer(settings)
        return trainer.rehearse()
    finally:
        if not listed:
            (output_dir / SKIPPED_FILE).unlink(missing_ok=True)
        if not existed and output_dir.is_dir() and not any(output_dir.iterdir()):
            output_dir.rmdir()  # a Trainer makes it when it is made


def _elastic(forgetting: ForgettingArguments, trainer: Any) -> ElasticWeights:
    """What holds a second stage near the weights of the adapter that it goes on with."""
    check_devices(forgetting, trainer.accelerator.distributed_type.value)
    fisher = read_fisher(str(forgetting.init_adapter))
    return ElasticWeights(trainable(trainer.model), fisher, float(forgetting.ewc_lambda or 0))


def train(settings: Settings) -> Path:
    """Train to the end, or resume an interrupted run with the same settings.

    Returns:
        The adapter's folder: weights and processor. Beside it, `training.json` holds the loss curve
        and the facts about data and parameters. A run that has this file is done and is not run again.

    Raises:
        MellaError: if the folder holds a run with other settings, or another process trains in it.
        TrainingError: if the run fails: a loss that is not finite, memory or disk full.
    """
    output_dir = Path(str(settings.training.output_dir))
    with sole_use(output_dir) if settings.training.process_index == 0 else nullcontext():
        adapter = output_dir / ADAPTER_FOLDER
        done, checkpoint, record = _agree(settings, output_dir)
        if not done:
            trainer, facts = build_trainer(settings)
            if checkpoint is None:
                tried = trainer.rehearse()
                if trainer.is_world_process_zero():
                    print("\n".join(tried.lines()), file=sys.stderr)
            log = _run(trainer, checkpoint)
            _save(trainer, adapter, {**facts, **record, "log_history": log}, settings.forgetting.fisher_samples)
    return adapter


def _agree(settings: Settings, output_dir: Path) -> tuple[bool, Path | None, dict[str, Any]]:
    """Let the main process decide for all: whether the run is done, where it resumes, the backbone's commit.

    Returns:
        (done, checkpoint, record): the record holds the settings and the identity as they are at the start. Data that
        changes while the run goes on is not what it was trained on.
    """
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    found: list[Any] = [None, None, None, None]
    if settings.training.process_index == 0:
        pin_backbone(settings.model)
        record = {"settings": all_settings(settings), "identity": run_identity(settings)}
        claim(output_dir, record["identity"], settings.data.overwrite, record["settings"])
        remove_incomplete(output_dir)
        done = (output_dir / DONE_FILE).exists()
        found = [done, last_checkpoint(output_dir), record, settings.model.model_revision]
    if PartialState().num_processes > 1:
        broadcast_object_list(found)
    done, checkpoint, record, settings.model.model_revision = found
    if checkpoint is not None and not checkpoint.is_dir():
        raise MellaError(
            f"{checkpoint} does not exist for process {settings.training.process_index}; give an output_dir that "
            "all machines share."
        )
    return done, checkpoint, record


def _run(trainer: Any, checkpoint: Path | None) -> list[dict[str, Any]]:
    """Train to the last step, starting at the checkpoint; return the log."""
    from mella_hf.training.failures import named_errors

    log = finished_log(checkpoint) if checkpoint else None
    if log is not None:
        trainer.restore(checkpoint)
        return log
    with named_errors(trainer):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return trainer.state.log_history


def _save(trainer: Any, adapter: Path, record: dict[str, Any], fisher_samples: int | None) -> None:
    """Write the adapter's folder aside and rename it, then the record of the run, which marks it as done.

    Args:
        fisher_samples: to estimate the Fisher information on, beside the adapter, for a second stage; None for none.
    """
    from mella_hf.training.failures import saving

    aside = adapter.with_name(f".{adapter.name}")
    with saving(trainer, "adapter"):
        trainer.save_model(str(aside))  # every rank takes part under FSDP and ZeRO-3
        if fisher_samples is not None:
            save_fisher(trainer, fisher_samples, aside)
        if trainer.is_world_process_zero():
            shutil.rmtree(adapter, ignore_errors=True)
            os.replace(aside, adapter)
            write_atomic(adapter.parent / DONE_FILE, json.dumps(record, indent=1, ensure_ascii=False))
    trainer.accelerator.wait_for_everyone()
