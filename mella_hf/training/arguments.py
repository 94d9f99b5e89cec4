"""The settings of a run: what a recipe's YAML may say beside TRL's `SFTConfig` and `ModelConfig`."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.sample import SOURCES
from mella_hf.training.forgetting import ForgettingArguments, replayed_sources
from mella_hf.training.preflight import check_machine
from mella_hf.training.watch import WatchArguments

if TYPE_CHECKING:
    from trl import ModelConfig, SFTConfig


@dataclass
class DataArguments:
    """What a run trains on, and which parts of the backbone it adapts."""

    dataset: str = field(default="mella", metadata={"help": "Dataset name or folder for load_dataset."})
    data_dir: str | None = field(
        default=None, metadata={"help": "Folder of a built dataset; the Hub repository of `dataset` by default."}
    )
    languages: list[str] = field(default_factory=list, metadata={"help": "Language codes to train on, together."})
    sources: list[str] = field(
        default_factory=lambda: ["know", "ling"],
        metadata={"help": "Splits to train on, together: know, ling or both (the paper's single stage)."},
    )
    transfer_set: str | None = field(
        default=None,
        metadata={"help": "Folder that `mella distill` wrote: its questions about the images of `sources` (SDRRL)."},
    )
    max_samples: int | None = field(
        default=None,
        metadata={"help": "Samples used of each language and source; all by default (the paper: 80-140 thousand)."},
    )
    prompt_seed: int = field(default=42, metadata={"help": "Seed of the draw of a prompt for each sample."})
    min_pixels: int | None = field(default=None, metadata={"help": "Smallest image area after resizing, px²."})
    max_pixels: int | None = field(
        default=None, metadata={"help": "Largest image area after resizing, px²; caps the image tokens (Qwen-VL)."}
    )
    max_patches: int | None = field(
        default=None, metadata={"help": "Most dynamic tiles of an image, thumbnail not counted (InternVL; paper: 6)."}
    )
    lora_scope: list[str] = field(
        default_factory=lambda: ["language_model"],
        metadata={"help": "Parts that LoRA adapts: language_model (the paper), projector, vision_tower."},
    )
    length_buckets: bool = field(
        default=True, metadata={"help": "Batches of one source and like length; False draws batches at random."}
    )
    source_weights: list[str] | None = field(
        default=None,
        metadata={
            "help": "Share of the loss of each source over an epoch, however many batches and tokens it has, such as "
            "know=0.5 ling=0.5 (in a recipe {know: 0.5, ling: 0.5}); normalised to sum 1. Left out, every token of a "
            "step weighs the same, as in TRL: with one batch a step a source then weighs by its share of the batches, "
            "with several (accumulation, or random batches) by its share of the tokens, where ling drowns know."
        },
    )
    streaming: bool = field(
        default=False,
        metadata={"help": "Read samples while training, without preparing the dataset first; needs max_steps."},
    )
    overwrite: bool = field(
        default=False, metadata={"help": "Start anew where output_dir holds a run with other settings."}
    )

    def __post_init__(self) -> None:
        for code in self.languages:
            get_language(code)
        if wrong := [source for source in self.sources if source not in SOURCES]:
            raise MellaError(f"Unknown source {wrong[0]!r} in sources; choose among {', '.join(SOURCES)}.")
        if not self.sources:
            raise MellaError("sources is empty; name 'know', 'ling' or both.")
        if self.max_samples is not None and self.max_samples < 1:
            raise MellaError(f"max_samples is {self.max_samples}; give a positive number, or leave it out for all.")
        if self.weights is not None and not self.length_buckets:
            raise MellaError("source_weights needs length_buckets: true, whose batches hold one source each.")
        if self.streaming and not self.length_buckets:
            raise MellaError("streaming needs length_buckets: true; it has no other order.")
        if self.streaming and (self.max_samples is not None or self.transfer_set is not None):
            name = "max_samples" if self.max_samples is not None else "transfer_set"
            raise MellaError(f"{name} does not go with streaming; leave it out, or set streaming: false.")

    @property
    def weights(self) -> dict[str, float] | None:
        """`source_weights` as numbers that sum to 1. Raises MellaError."""
        return None if self.source_weights is None else parse_weights(self.source_weights)


@dataclass
class Settings:
    """One run: data, training and model arguments, and those of a second stage and of watching."""

    data: DataArguments
    training: "SFTConfig"
    model: "ModelConfig"
    forgetting: ForgettingArguments = field(default_factory=ForgettingArguments)
    watch: WatchArguments = field(default_factory=WatchArguments)


def parse_settings(args: Sequence[str] | None = None) -> Settings:
    """Read `--config recipe.yaml` and the flags that override it (`sys.argv` by default).

    Raises:
        MellaError: on a configuration file that is missing or no mapping, a key that does not
            exist, or a value that one of the arguments refuses.
    """
    from trl import ModelConfig, SFTConfig, TrlParser

    args = list(sys.argv[1:] if args is None else args)
    types: list[Any] = [DataArguments, SFTConfig, ModelConfig, ForgettingArguments, WatchArguments]
    if "--config" in args:
        path = args[args.index("--config") + 1] if args.index("--config") + 1 < len(args) else ""
        check_keys(path, [f.name for kind in types for f in fields(kind)])
    try:
        data, training, model, forgetting, watch = TrlParser(types).parse_args_and_config(args)
    except MellaError:
        raise
    except ValueError as error:  # TRL, transformers and PyYAML check their own values
        raise MellaError(f"The settings are refused: {error}") from error
    if not data.languages:
        raise MellaError("languages is empty; name at least one, as in --languages ar.")
    if not model.model_name_or_path:
        raise MellaError("model_name_or_path is missing; name a backbone, as in Qwen/Qwen2-VL-7B-Instruct.")
    if model.lora_target_modules:
        raise MellaError("lora_target_modules is not used here; name the parts to adapt with lora_scope.")
    if training.max_length is not None:
        raise MellaError(
            f"max_length is {training.max_length}: it would cut answers silently. Set it to null and bound the image "
            "tokens with max_pixels (Qwen-VL) or max_patches (InternVL)."
        )
    if forgetting.replay_share is not None:
        replayed_sources(data.sources)
    if forgetting.ewc_lambda is not None and training.fp16:
        raise MellaError("ewc_lambda does not go with fp16, whose gradients are scaled; set bf16 instead.")
    settings = Settings(data, training, model, forgetting, watch)
    if data.streaming:
        check_streaming(settings)
    check_machine(settings)
    return settings


def check_streaming(settings: Settings) -> None:
    """Refuse what a stream cannot do. Raises MellaError."""
    if settings.training.max_steps < 1:
        raise MellaError("streaming needs max_steps, since a stream does not know its length; as in --max_steps 5000.")
    if settings.training.dataloader_num_workers > 1:
        raise MellaError(
            f"dataloader_num_workers is {settings.training.dataloader_num_workers}; a stream has one reader a process: "
            "set 0 or 1."
        )
    if settings.forgetting.replay_share is not None or settings.forgetting.fisher_samples is not None:
        raise MellaError("replay_share and fisher_samples draw samples at random; set streaming: false for them.")


def parse_weights(given: Sequence[str] | Mapping[str, Any]) -> dict[str, float]:
    """Weights by source that sum to 1, from a mapping, from `know=0.5` and so on, or from one JSON object.

    Raises:
        MellaError: on what is none of these, an unknown source, a weight that is negative or no number, or sum 0.
    """
    pairs: dict[str, Any]
    try:
        if isinstance(given, Mapping):
            pairs = dict(given)
        elif len(given) == 1 and given[0].lstrip().startswith("{"):
            pairs = json.loads(given[0])
        else:
            pairs = dict(entry.split("=") for entry in given)  # type: ignore[misc]
        weights = {source: float(weight) for source, weight in pairs.items()}
    except (TypeError, ValueError) as error:
        raise MellaError(f"source_weights is {given!r}; write it as know=0.5 ling=0.5 ({error}).") from error
    for source, weight in weights.items():
        if source not in SOURCES:
            raise MellaError(f"Unknown source {source!r} in source_weights; choose among {', '.join(SOURCES)}.")
        if not 0 <= weight < float("inf"):
            raise MellaError(f"source_weights gives {source} the weight {weight}; give a number of at least 0.")
    total = sum(weights.values())
    if not total:
        raise MellaError("source_weights sum to 0; give at least one source a positive weight.")
    return {source: weight / total for source, weight in weights.items()}


def check_keys(path: str, known: Sequence[str]) -> None:
    """Refuse a recipe with a key that no argument has, naming the nearest one that exists."""
    import difflib
    from pathlib import Path

    import yaml

    file = Path(path)
    if not file.is_file():
        raise MellaError(f"The configuration file {path!r} does not exist; give --config the path of a recipe.")
    try:
        config = yaml.safe_load(file.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise MellaError(f"The configuration file {path!r} is not YAML: {error}") from error
    if not isinstance(config, dict):
        raise MellaError(f"The configuration file {path!r} holds no mapping of keys to values.")
    for key in config:
        if key not in known and key != "env":
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; see --help for the keys that exist."
            raise MellaError(f"Unknown key {key!r} in {path}{hint}")
