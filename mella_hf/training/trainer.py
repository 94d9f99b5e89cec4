"""`MellaTrainer`: TRL's trainer with our batches, shares of the loss, and clear errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, TrainerCallback
from transformers.trainer_utils import seed_worker
from trl import SFTTrainer

from mella_hf.answers.attention import no_plans
from mella_hf.compat import restore_to_indexed_cpu, worker_context
from mella_hf.files import write_atomic
from mella_hf.training.backbones import rest_tower
from mella_hf.training.batches.batching import LengthBuckets
from mella_hf.training.batches.chat import Conversation
from mella_hf.training.checkpoints import restore_weights
from mella_hf.training.failures import NOT_FINITE, failure, saving
from mella_hf.training.forgetting import ElasticWeights
from mella_hf.training.lora_layers import fuse_lora
from mella_hf.training.scoring import LabelledScores, is_quicker
from mella_hf.training.streaming import BatchStream

LOSS_TOKENS = "loss_tokens"  # divisor of a batch's summed loss, if sources have weights
PLACE = "stream_place"  # where a stream continues after a batch
PLACE_FILE = "stream.json"  # the same, in a checkpoint


@dataclass(frozen=True)
class SourceCollator:
    """A collator that adds the divisor of the summed loss to each batch.

    Attributes:
        collate: makes a batch of conversations.
        denominators: as `batching.loss_denominators` gives them; None adds nothing.
    """

    collate: Callable[[list[Any]], Any]
    denominators: Mapping[str, float] | None

    def __call__(self, conversations: list[Conversation]) -> Any:
        """Collate conversations of one source."""
        batch = self.collate(conversations)
        if self.denominators is not None:
            (source,) = {conversation["source"] for conversation in conversations}
            batch[LOSS_TOKENS] = self.denominators[source]  # not a tensor: DeepSpeed would round it to bfloat16
        return batch

    def streamed(self, item: tuple[str, list[Conversation]]) -> Any:
        """Collate what a `BatchStream` yields."""
        place, conversations = item
        batch = self(conversations)
        batch[PLACE] = place
        return batch


class SetEpoch(TrainerCallback):
    """Tell the batches which epoch begins; when resuming within an epoch, nobody else does.

    Args:
        batches: whose `set_epoch` to call.
    """

    def __init__(self, batches: LengthBuckets):
        self.batches = batches

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the epoch before its first batch is drawn."""
        self.batches.set_epoch(int(state.epoch))


class MellaTrainer(SFTTrainer):
    """`trl.SFTTrainer` with batches of like length, shares of the loss by source, and EWC.

    Args:
        batches: the order of an epoch, such as `LengthBuckets`; TRL's own where None.
        denominators: what each source's summed loss is divided by in a step, as `loss_denominators` gives it; the
            step's tokens where None. Samples then need the key `source`, as `conversations` gives it.
        elastic: called with the trainer when its model is ready; gives what holds the weights near an earlier
            stage's (EWC).
        *args: of `SFTTrainer`. Set `max_length=None` in its `SFTConfig`: TRL would cut answers at 1024 tokens.
        **kwargs: of `SFTTrainer`.
    """

    def __init__(
        self,
        *args: Any,
        batches: LengthBuckets | BatchStream | None = None,
        denominators: Mapping[str, float] | None = None,
        elastic: Callable[[Any], ElasticWeights] | None = None,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        rest_tower(self.model)
        if not (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            fuse_lora(self.model)
        self.batches, self.denominators = batches, denominators
        self.elastic = None if elastic is None else elastic(self)
        self.rehearse: Callable[[], Any] | None = None  # tries what the run will do; set by who knows the data
        self._place: str | None = None
        self._penalties: list[float] = []  # of EWC, since the last line of the log
        if isinstance(batches, LengthBuckets):
            self.add_callback(SetEpoch(batches))
        self.accelerator.clip_grad_norm_ = self._checked(self.accelerator.clip_grad_norm_)

    @no_plans()
    def train(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train to the last step, from a checkpoint if one is given."""
        restore_to_indexed_cpu()
        if isinstance(self.batches, BatchStream) and resume_from_checkpoint:
            self.batches.go_on((Path(resume_from_checkpoint) / PLACE_FILE).read_text("utf-8"))
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def get_train_dataloader(self) -> DataLoader:
        """The loader of `batches`, each rank its share."""
        if self.batches is None:
            return super().get_train_dataloader()
        args, collator = self.args, SourceCollator(self.data_collator, self.denominators)
        how: dict[str, Any] = {
            "num_workers": args.dataloader_num_workers,
            "pin_memory": args.dataloader_pin_memory,
            "persistent_workers": args.dataloader_persistent_workers,
            "prefetch_factor": args.dataloader_prefetch_factor,
            "multiprocessing_context": worker_context(args),
            "worker_init_fn": partial(seed_worker, num_workers=args.dataloader_num_workers, rank=args.process_index),
        }
        if isinstance(self.batches, BatchStream):
            # Its own generator: when resuming, the Trainer restores the random state before the loader draws.
            how |= {"collate_fn": collator.streamed, "generator": torch.Generator().manual_seed(args.seed)}
            loader = DataLoader(self.batches, batch_size=None, **how)
            # For accelerate this is one process: each rank's stream yields its own batches.
            return prepare_data_loader(
                loader, self.accelerator.device, 1, 0, put_on_device=True, dispatch_batches=False
            )
        # The batches come in complete rounds; otherwise accelerate would need a batch size to even them out.
        self.accelerator.even_batches = False
        dataset: Any = self.train_dataset
        loader = DataLoader(dataset, batch_sampler=self.batches, collate_fn=collator, **how)
        return self.accelerator.prepare(loader)

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The batches of a step. For a stream, the place after them is kept for the next checkpoint."""
        samples, tokens = super().get_batch_samples(*args, **kwargs)
        for batch in samples:
            self._place = batch.pop(PLACE, None)
        return samples, tokens

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss, divided by the tokens of the step or weighted by the batch's source."""
        denominator = inputs.pop(LOSS_TOKENS, None)
        if denominator is not None:
            # TRL multiplies by the number of ranks only in this case, because gradients are averaged over them.
            num_items_in_batch = denominator / (1 if self.args.average_tokens_across_devices else self.args.world_size)
        whole = return_outputs or self.aux_loss_enabled or self.label_smoother or self.compute_loss_func
        if not whole and is_quicker(inputs["labels"].device):
            model = LabelledScores(model)
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Forward and backward pass of one batch. Raises TrainingError if the loss is not finite."""
        loss = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise self.failed(f"The loss is {loss.item()}", NOT_FINITE)
        if self.elastic is not None and self.accelerator.sync_gradients:  # the last batch before a step
            self.elastic.add_gradient()
            self._penalties.append(self.elastic.penalty())
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log what TRL logs, and the mean penalty of EWC since the last time."""
        if self._penalties and "loss" in logs:
            logs["ewc_penalty"] = sum(self._penalties) / len(self._penalties)
            self._penalties.clear()
        super().log(logs, *args, **kwargs)

    def _checked(self, clip: Callable[..., Any]) -> Callable[..., Any]:
        """accelerate's clipping of gradients, raising TrainingError if their norm is not finite."""

        def clip_grad_norm_(*args: Any, **kwargs: Any) -> Any:
            norm = clip(*args, **kwargs)
            # Under fp16 the gradient scaler handles overflows.
            if norm is not None and not self.args.fp16 and not torch.isfinite(torch.as_tensor(norm)):
                raise self.failed(f"The gradient's norm is {float(norm)}", NOT_FINITE)
            return norm

        return clip_grad_norm_

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with saving(self, "checkpoint"):
            super()._save_checkpoint(model, trial)
            if self._place is not None and self.is_world_process_zero():
                folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
                write_atomic(folder / PLACE_FILE, self._place)

    def failed(self, what: str, mend: str) -> Exception:
        """The error for this step: what went wrong, how to fix it, and where the run resumes."""
        return failure(what, mend, self.state.global_step, Path(str(self.args.output_dir)))

    def restore(self, checkpoint: Path) -> None:
        """Load the weights of a checkpoint, without training."""
        self._load_from_checkpoint(str(checkpoint))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if isinstance(self.model, PreTrainedModel) and not self.is_fsdp_enabled:
            restore_weights(self.model, Path(resume_from_checkpoint))
        else:  # PEFT loads an adapter into float32, although it was trained in bfloat16 on a quantized model
            trained: Any = self.model
            dtypes = {name: p.dtype for name, p in trained.named_parameters() if p.requires_grad}
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            for name, parameter in trained.named_parameters():
                if name in dtypes:
                    parameter.data = parameter.data.to(dtypes[name])

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no card: TRL's is for text models; `mella_hf.hub.push` writes ours."""
