"""The data settings of a run, beside TRL's `SFTConfig` and `ModelConfig`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.languages.codes import ALL, read_codes
from mella_hf.sample import SOURCES


@dataclass
class DataArguments:
    """What a run trains on, and which parts of the backbone it adapts."""

    dataset: str = field(default="mella", metadata={"help": "Dataset name or folder for load_dataset."})
    data_dir: str | None = field(
        default=None, metadata={"help": "Folder of a built dataset; the Hub repository of `dataset` by default."}
    )
    languages: list[str] = field(
        default_factory=list, metadata={"help": "Codes to train on, together: ar cs, ar,cs or all."}
    )
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
        metadata={"help": "Samples per language and source; all by default (the paper: 80-140 thousand)."},
    )
    prompt_seed: int = field(default=42, metadata={"help": "Seed for drawing a prompt for each sample."})
    max_image_tokens: int | None = field(
        default=None,
        metadata={"help": "Most tokens of an image, by whatever limit the backbone's image processor has."},
    )
    min_pixels: int | None = field(default=None, metadata={"help": "Smallest image area after resizing, px²."})
    max_pixels: int | None = field(
        default=None, metadata={"help": "Largest image area after resizing, px²; caps the image tokens (Qwen-VL)."}
    )
    max_patches: int | None = field(
        default=None,
        metadata={"help": "Maximum number of tiles per image, without the thumbnail (InternVL; paper: 6)."},
    )
    lora_scope: list[str] = field(
        default_factory=lambda: ["language_model"],
        metadata={"help": "Parts that LoRA adapts: language_model (the paper), projector, vision_tower."},
    )
    length_buckets: bool = field(
        default=True, metadata={"help": "Batches of one source and similar length; False draws batches at random."}
    )
    source_weights: list[str] | None = field(
        default=None,
        metadata={
            "help": "Each source's share of the loss over an epoch, such as know=0.5 ling=0.5 (in a recipe "
            "{know: 0.5, ling: 0.5}); normalised to sum 1. Without it every token of a step has the same weight, as in "
            "TRL: with one batch per step a source's share is its share of the batches; with several batches per step "
            "(accumulation, or random batches) it is its share of the tokens, and know is nearly lost."
        },
    )
    jpeg_augment: bool = field(
        default=False,
        metadata={"help": "Save each image as JPEG of a drawn quality (75 to 100) first, as InternVL's training does."},
    )
    check_images: bool = field(
        default=True,
        metadata={
            "help": "Look at every image before the first step; false where `mella verify` has found none broken."
        },
    )
    skip_bad_samples: int = field(
        default=0,
        metadata={"help": "Samples that may be left out because they cannot be trained on; skipped.jsonl names them."},
    )
    eval_samples: int = field(
        default=100,
        metadata={"help": "Images held out of training, of each language and source, for eval_strategy."},
    )
    streaming: bool = field(
        default=False,
        metadata={"help": "Read samples while training, without preparing the dataset first; needs max_steps."},
    )
    overwrite: bool = field(
        default=False, metadata={"help": "Start again if output_dir holds a run with other settings."}
    )

    def __post_init__(self) -> None:
        if self.languages:
            self.languages = list(read_codes(self.languages, self._there()))
        wrong = [source for source in self.sources if source not in SOURCES]
        if wrong:
            raise MellaError(f"Unknown source {wrong[0]!r} in sources; choose among {', '.join(SOURCES)}.")
        if not self.sources:
            raise MellaError("sources is empty; name 'know', 'ling' or both.")
        if self.max_samples is not None and self.max_samples < 1:
            raise MellaError(f"max_samples is {self.max_samples}; give a positive number, or leave it out for all.")
        if self.max_image_tokens is not None and self.max_image_tokens < 1:
            raise MellaError(f"max_image_tokens is {self.max_image_tokens}; give a positive number, or null.")
        if self.skip_bad_samples < 0:
            raise MellaError(f"skip_bad_samples is {self.skip_bad_samples}; give 0 or more.")
        if self.eval_samples < 1:
            raise MellaError(f"eval_samples is {self.eval_samples}; give a positive number.")
        if self.weights is not None and not self.length_buckets:
            raise MellaError("source_weights needs length_buckets: true, because then each batch has one source.")
        if self.streaming and not self.length_buckets:
            raise MellaError("streaming works only with length_buckets: true; set it.")
        if self.streaming and (self.max_samples is not None or self.transfer_set is not None):
            name = "max_samples" if self.max_samples is not None else "transfer_set"
            raise MellaError(f"{name} cannot be combined with streaming; remove it, or set streaming: false.")

    def _there(self) -> list[str] | None:
        """The languages of the folder, which "all" means; None where no folder is read for it."""
        if self.data_dir is None or self.dataset != "mella" or ALL not in self.languages:
            return None
        from mella_hf.dataset.builder import config_names

        return [code for code in config_names(self.data_dir) if code != ALL]

    @property
    def weights(self) -> dict[str, float] | None:
        """`source_weights` as numbers that sum to 1. Raises MellaError."""
        return None if self.source_weights is None else parse_weights(self.source_weights)


def parse_weights(given: Sequence[str] | Mapping[str, Any]) -> dict[str, float]:
    """Read source weights and normalise them to sum 1.

    Args:
        given: a mapping, entries such as `know=0.5`, or one JSON object.

    Raises:
        MellaError: for another form, an unknown source, a weight that is negative or not a number, or sum 0.
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
