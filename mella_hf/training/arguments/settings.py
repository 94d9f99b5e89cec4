"""The settings of a run, checked together."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mella_hf.errors import MellaError
from mella_hf.training.arguments.data import DataArguments
from mella_hf.training.arguments.idle import check_idle, check_needed, check_sizes
from mella_hf.training.arguments.preflight import check_machine
from mella_hf.training.forgetting import ForgettingArguments, replayed_sources
from mella_hf.training.watch import WatchArguments

if TYPE_CHECKING:
    from trl import ModelConfig, SFTConfig


@dataclass
class Settings:
    """One run: what to train on, how, and which model; a second stage; and watching.

    The settings are checked when they are made, so a recipe and a Python program meet the same errors.

    Raises:
        MellaError: for a setting that cannot work, with its name, its value and what to do.
        MissingExtraError: for a setting that needs a package that is not installed.
    """

    data: DataArguments
    training: "SFTConfig"
    model: "ModelConfig"
    forgetting: ForgettingArguments = field(default_factory=ForgettingArguments)
    watch: WatchArguments = field(default_factory=WatchArguments)

    def __post_init__(self) -> None:
        if not self.data.languages:
            raise MellaError("languages is empty; name at least one, as in --languages ar.")
        if not self.model.model_name_or_path:
            raise MellaError(
                "model_name_or_path is missing; name a backbone, as in --model_name_or_path Qwen/Qwen2-VL-7B-Instruct."
            )
        check_idle(self.model, self.training)
        check_sizes(self.model, self.training)
        if self.training.eval_strategy != "no" and (self.data.streaming or self.data.transfer_set is not None):
            name = "streaming" if self.data.streaming else "transfer_set"
            raise MellaError(f"eval_strategy cannot hold out samples with {name}; remove one of the two.")
        if self.training.max_length is not None:
            raise MellaError(
                f"max_length is {self.training.max_length}: it would cut answers silently. Set it to null "
                "and bound the image tokens with max_image_tokens."
            )
        if self.training.save_only_model:
            raise MellaError(
                "save_only_model is true: its checkpoints lack the optimizer's state, so a stopped run would go on "
                "with a fresh one. Set it to false; the adapter's folder holds the weights alone in any case."
            )
        if self.forgetting.replay_share is not None:
            replayed_sources(self.data.sources)
        if self.forgetting.ewc_lambda is not None and self.training.fp16:
            raise MellaError("ewc_lambda does not work with fp16, which scales the gradients; set bf16 instead.")
        if self.data.streaming:
            self._check_streaming()
        check_machine(self.data, self.model, self.training)
        check_needed(self.model)

    def _check_streaming(self) -> None:
        if self.training.max_steps < 1:
            raise MellaError(
                "streaming needs max_steps, because a stream has no known length; set it, as in --max_steps 5000."
            )
        if self.training.dataloader_num_workers > 1:
            raise MellaError(
                f"dataloader_num_workers is {self.training.dataloader_num_workers}, but a stream has one reader per "
                "process; set 0 or 1."
            )
        if self.forgetting.replay_share is not None or self.forgetting.fisher_samples is not None:
            raise MellaError("replay_share and fisher_samples draw samples at random; set streaming: false for them.")
