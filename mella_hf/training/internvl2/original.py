"""Read and check the JSON files of an original InternVL2 checkpoint, which a stranger wrote.

Every value that the conversion uses has a type and bounds here, so that nothing is built of a size that no model has.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mella_hf.errors import MellaError

Schema = TypeVar("Schema", bound=BaseModel)
_MOST_JSON = 64 << 20  # bytes of a JSON file; the index of InternVL2-8B has 0.1 MB
# What the native model always does. `ps_version` v1 orders the pixels of the downsampling otherwise.
_REQUIRED = {"model_type": "internvl_chat", "select_layer": -1, "ps_version": "v2", "use_thumbnail": True}


def _known_activation(name: str) -> str:
    from transformers.activations import ACT2FN

    if name not in ACT2FN:
        raise ValueError("transformers has no such activation")
    return name


# The largest numbers are far beyond any InternVL2.
_Width = Annotated[int, Field(ge=1, le=1 << 20)]
_Heads = Annotated[int, Field(ge=1, le=1024)]
_Layers = Annotated[int, Field(ge=1, le=1000)]
_Side = Annotated[int, Field(ge=1, le=1 << 14)]
_Small = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
_Factor = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
_Activation = Annotated[str, AfterValidator(_known_activation)]


class _Strict(BaseModel):
    """No value is read as one of another type; further keys are left alone."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class RopeScaling(_Strict):
    """How positions beyond the trained ones are reached."""

    type: Literal["dynamic", "linear"]
    factor: _Factor


class _Transformer(_Strict):
    hidden_size: _Width
    intermediate_size: _Width
    num_hidden_layers: _Layers
    num_attention_heads: _Heads

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"{self.num_attention_heads} heads cannot share a hidden_size of {self.hidden_size}")
        return self


class LanguageConfig(_Transformer):
    """`llm_config` of an InternLM2."""

    vocab_size: Annotated[int, Field(ge=1, le=1 << 22)]
    num_key_value_heads: _Heads
    max_position_embeddings: Annotated[int, Field(ge=1, le=1 << 24)]
    rms_norm_eps: _Small
    bias: bool
    hidden_act: _Activation = "silu"
    rope_theta: _Factor
    rope_scaling: RopeScaling | None = None

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"{self.num_key_value_heads} key-value heads cannot share {self.num_attention_heads} heads"
            )
        return self


class VisionConfig(_Transformer):
    """`vision_config` of an InternViT."""

    image_size: _Side
    patch_size: _Side
    norm_type: Literal["layer_norm", "rms_norm"]
    layer_norm_eps: _Small
    qkv_bias: bool
    qk_normalization: bool
    hidden_act: _Activation = "gelu"


class OriginalConfig(_Strict):
    """`config.json` of an original InternVL2."""

    llm_config: LanguageConfig
    vision_config: VisionConfig
    downsample_ratio: _Small
    force_image_size: _Side | None = None
    torch_dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"

    @model_validator(mode="after")
    def _tiles_fit(self) -> Self:
        patches = self.tile_side / self.vision_config.patch_size
        if patches % 1 or (patches * self.downsample_ratio) % 1:
            raise ValueError(
                f"a tile of {self.tile_side} px is no whole number of patches of {self.vision_config.patch_size} px, "
                f"or downsample_ratio {self.downsample_ratio} does not divide them"
            )
        return self

    @property
    def tile_side(self) -> int:
        """Side of a tile in pixels."""
        return self.force_image_size or self.vision_config.image_size

    @property
    def tokens_of_tile(self) -> int:
        """Image tokens of a tile: its patches, merged by the downsampling (448 px, 14 px patches: 256)."""
        return int((self.tile_side // self.vision_config.patch_size) ** 2 * self.downsample_ratio**2)


class AddedTokenEntry(_Strict):
    """A token that the configuration of the tokenizer adds or renames."""

    content: Annotated[str, Field(min_length=1)]
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    special: bool = False


class OriginalTokenizer(_Strict):
    """`tokenizer_config.json`."""

    added_tokens_decoder: dict[Annotated[int, Field(strict=False, ge=0, lt=1 << 22)], AddedTokenEntry]
    model_max_length: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 8192


def read_config(path: Path) -> OriginalConfig:
    """Read `config.json`.

    Raises:
        MellaError: if the checkpoint is not an InternVL2 with InternLM2, or a value is none that a model can have.
    """
    read = read_json(path)
    for key, value in _REQUIRED.items():
        if read.get(key) != value:
            raise MellaError(
                f"config.json has {key} {read.get(key)!r}, but only {value!r} can be converted. "
                "Give an original InternVL2 checkpoint, such as OpenGVLab/InternVL2-8B; "
                "InternVL 2.5, 3 and 3.5 come ready as OpenGVLab/…-hf."
            )
    language = read.get("llm_config")
    named = language.get("architectures") if isinstance(language, dict) else None
    architecture = named[0] if isinstance(named, list) and named else None
    if isinstance(language, dict) and architecture != "InternLM2ForCausalLM":
        raise MellaError(
            f"The language model is {architecture}, but only InternLM2ForCausalLM can be converted "
            "(InternVL2-2B, -8B and -26B have it)."
        )
    return checked(OriginalConfig, read, path)


def read_tokenizer_config(path: Path) -> OriginalTokenizer:
    """Read `tokenizer_config.json`. Raises MellaError."""
    read = read_json(path)
    if not read.get("added_tokens_decoder"):
        raise MellaError(f"{path} has no added_tokens_decoder, which names the image tokens; download it again.")
    return checked(OriginalTokenizer, read, path)


def checked(schema: type[Schema], read: dict[str, Any], path: Path) -> Schema:
    """Check the content of a file. Raises MellaError, with the key and its value."""
    try:
        return schema.model_validate(read)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "values that do not fit"
        if first["type"] == "missing":
            raise MellaError(f"{path.name} of the checkpoint lacks {key!r}; download it again.") from error
        value = "" if isinstance(first["input"], dict) else f" {ascii(first['input'])[:40]}"
        said = first["msg"].removeprefix("Value error, ")
        raise MellaError(f"{path.name} has {key}{value}: {said}. Download it again.") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a checkpoint. Raises MellaError."""
    if not path.is_file():
        raise MellaError(
            f"{path.parent} is not a checkpoint: it has no {path.name}. Give the folder of the whole repo."
        )
    if path.stat().st_size > _MOST_JSON:
        raise MellaError(f"{path} has {path.stat().st_size:,} bytes, which no {path.name} has; download it again.")
    try:
        read = json.loads(path.read_text("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, nested without end
        raise MellaError(f"{path} is not JSON ({str(error)[:200]}); download it again.") from error
    if not isinstance(read, dict):
        raise MellaError(f"{path} holds no JSON object, but {type(read).__name__}; download it again.")
    return read


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are different; Python would keep the last of two that are the same."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice[:80]!r} is there twice")
    return made
