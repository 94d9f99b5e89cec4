"""The settings of a run: what a recipe's YAML may say beside TRL's `SFTConfig` and `ModelConfig`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.sample import SOURCES

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


@dataclass
class Settings:
    """One run: data, training and model arguments."""

    data: DataArguments
    training: "SFTConfig"
    model: "ModelConfig"


def parse_settings(args: Sequence[str] | None = None) -> Settings:
    """Read `--config recipe.yaml` and the flags that override it (`sys.argv` by default).

    Raises:
        MellaError: on a configuration file that is missing or no mapping, a key that does not
            exist, or a value that one of the arguments refuses.
    """
    from trl import ModelConfig, SFTConfig, TrlParser

    args = list(sys.argv[1:] if args is None else args)
    types: list[Any] = [DataArguments, SFTConfig, ModelConfig]
    if "--config" in args:
        path = args[args.index("--config") + 1] if args.index("--config") + 1 < len(args) else ""
        check_keys(path, [f.name for kind in types for f in fields(kind)])
    try:
        data, training, model = TrlParser(types).parse_args_and_config(args)
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
    return Settings(data, training, model)


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
