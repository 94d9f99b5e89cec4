"""Translate the configuration of an original InternVL2 checkpoint to native configurations and processor."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError

if TYPE_CHECKING:
    from transformers import GenerationConfig, InternVLConfig, InternVLProcessor, PreTrainedTokenizerFast

# What the native model always does. `ps_version` v1 orders the pixels of the downsampling otherwise.
# The largest number that a configuration may give, far beyond any InternVL2: nothing is built of larger ones.
_LAYER = {
    "hidden_size": 1 << 16, "intermediate_size": 1 << 20, "num_hidden_layers": 1000, "num_attention_heads": 1024,
}  # fmt: skip
_SIZES = {
    "llm_config": {
        **_LAYER, "num_key_value_heads": 1024, "vocab_size": 1 << 22, "max_position_embeddings": 1 << 24,
    },
    "vision_config": {**_LAYER, "image_size": 1 << 14, "patch_size": 1 << 10},
}  # fmt: skip
_REQUIRED = {"model_type": "internvl_chat", "select_layer": -1, "ps_version": "v2", "use_thumbnail": True}

# conversation.py of OpenGVLab/InternVL2-8B, template "internlm2-chat": its separator has no newline. The tokenizer
# puts <s> first there; trainers that add no special tokens need it in the template.
SYSTEM_MESSAGE = (
    "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
)
CHAT_TEMPLATE = f"""<s>
{{%- if messages[0].role != 'system' %}}<|im_start|>system
{SYSTEM_MESSAGE}<|im_end|>{{% endif %}}
{{%- for message in messages %}}<|im_start|>{{{{ message.role }}}}
{{% if message.content is string %}}{{{{ message.content }}}}{{% else %}}
{{%- for part in message.content %}}
{{%- if part.type == 'image' %}}<IMG_CONTEXT>
{{% elif part.type == 'text' %}}{{{{ part.text }}}}{{% endif %}}
{{%- endfor %}}{{% endif %}}<|im_end|>
{{%- endfor %}}
{{%- if add_generation_prompt %}}<|im_start|>assistant
{{% endif %}}"""
STOP_TOKENS = ("</s>", "<|im_start|>", "<|im_end|>")  # stop_token_ids of the same template

# preprocessor_config.json of OpenGVLab/InternVL2-8B: ImageNet's mean and deviation.
IMAGE_MEAN, IMAGE_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def native_config(source: dict[str, Any], tokenizer: "PreTrainedTokenizerFast") -> "InternVLConfig":
    """The native configuration.

    Args:
        source: the original config.json.

    Raises:
        MellaError: if the checkpoint is not an InternVL2 with InternLM2, or the native model cannot represent it.
    """
    from transformers import InternVLConfig, LlamaConfig
    from transformers.models.internvl.configuration_internvl import InternVLVisionConfig

    _check(source)
    llm, vision = source["llm_config"], source["vision_config"]
    try:
        text_config = LlamaConfig(
            vocab_size=llm["vocab_size"],
            hidden_size=llm["hidden_size"],
            intermediate_size=llm["intermediate_size"],
            num_hidden_layers=llm["num_hidden_layers"],
            num_attention_heads=llm["num_attention_heads"],
            num_key_value_heads=llm["num_key_value_heads"],
            max_position_embeddings=llm["max_position_embeddings"],
            rms_norm_eps=llm["rms_norm_eps"],
            attention_bias=llm["bias"],
            hidden_act=llm.get("hidden_act", "silu"),
            rope_parameters=_rope(llm),
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        vision_config = InternVLVisionConfig(
            hidden_size=vision["hidden_size"],
            intermediate_size=vision["intermediate_size"],
            num_hidden_layers=vision["num_hidden_layers"],
            num_attention_heads=vision["num_attention_heads"],
            image_size=vision["image_size"],
            patch_size=vision["patch_size"],
            norm_type=vision["norm_type"],
            layer_norm_eps=vision["layer_norm_eps"],
            attention_bias=vision["qkv_bias"],
            use_qk_norm=vision["qk_normalization"],
            hidden_act=vision.get("hidden_act", "gelu"),
        )
        return InternVLConfig(
            text_config=text_config,
            vision_config=vision_config,
            image_token_id=tokenizer.get_vocab()["<IMG_CONTEXT>"],
            image_seq_length=tokens_of_tile(source),
            downsample_ratio=source["downsample_ratio"],
            tie_word_embeddings=False,  # the default, True, would overwrite the LM head with the embeddings
            dtype=source.get("torch_dtype", "bfloat16"),
            architectures=["InternVLForConditionalGeneration"],
        )
    except KeyError as error:
        raise MellaError(f"config.json of the checkpoint lacks {error}; download it again.") from error


def _check(source: dict[str, Any]) -> None:
    for key, value in _REQUIRED.items():
        if source.get(key) != value:
            raise MellaError(
                f"config.json has {key} {source.get(key)!r}, but only {value!r} can be converted. "
                "Give an original InternVL2 checkpoint, such as OpenGVLab/InternVL2-8B; "
                "InternVL 2.5, 3 and 3.5 come ready as OpenGVLab/…-hf."
            )
    missing = [part for part in ("llm_config", "vision_config") if not isinstance(source.get(part), dict)]
    if missing:
        raise MellaError(f"config.json of the checkpoint lacks {missing[0]!r}; download it again.")
    for part, limits in _SIZES.items():
        for key, most in limits.items():
            value = source[part].get(key)
            if value is not None and (type(value) is not int or not 1 <= value <= most):
                raise MellaError(
                    f"config.json has {part}.{key} {str(value)[:40]!r}; a whole number from 1 to {most:,} is expected. "
                    "Download it again."
                )
    ratio = source.get("downsample_ratio")
    if ratio is not None and not (isinstance(ratio, float) and 0 < ratio <= 1):
        raise MellaError(f"config.json has downsample_ratio {str(ratio)[:40]!r}; a share of 1 is expected.")
    heads, keys = (source["llm_config"].get(f"num_{kind}_heads") or 1 for kind in ("attention", "key_value"))
    if heads % keys:
        raise MellaError(f"config.json has {heads} attention heads, which {keys} key-value heads cannot share.")
    named = source["llm_config"].get("architectures")
    architecture = named[0] if isinstance(named, list) and named else None
    if architecture != "InternLM2ForCausalLM":
        raise MellaError(
            f"The language model is {architecture}, but only InternLM2ForCausalLM can be converted "
            "(InternVL2-2B, -8B and -26B have it)."
        )


def _rope(llm: dict[str, Any]) -> dict[str, Any]:
    scaling = llm.get("rope_scaling")
    if scaling is None:
        return {"rope_type": "default", "rope_theta": float(llm["rope_theta"])}
    return {"rope_type": scaling["type"], "factor": scaling["factor"], "rope_theta": float(llm["rope_theta"])}


def tile_side(source: dict[str, Any]) -> int:
    """Side of a tile in pixels."""
    return int(source.get("force_image_size") or source["vision_config"]["image_size"])


def tokens_of_tile(source: dict[str, Any]) -> int:
    """Image tokens of a tile: its patches, merged by the downsampling (448 px, 14 px patches: 256)."""
    return int((tile_side(source) // source["vision_config"]["patch_size"]) ** 2 * source["downsample_ratio"] ** 2)


def native_processor(
    source: dict[str, Any], tokenizer: "PreTrainedTokenizerFast", max_patches: int
) -> "InternVLProcessor":
    """The native processor: up to `max_patches` tiles of an image and a thumbnail of the whole."""
    from transformers import GotOcr2ImageProcessor, InternVLProcessor, InternVLVideoProcessor

    size = {"height": tile_side(source), "width": tile_side(source)}
    looks: dict[str, Any] = {"size": size, "image_mean": IMAGE_MEAN, "image_std": IMAGE_STD}
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(crop_to_patches=True, min_patches=1, max_patches=max_patches, **looks),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(**looks),
        image_seq_length=tokens_of_tile(source),
        chat_template=CHAT_TEMPLATE,
    )


def generation_config(tokenizer: "PreTrainedTokenizerFast") -> "GenerationConfig":
    """Greedy decoding that stops at any stop token of the original template."""
    from transformers import GenerationConfig

    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.convert_tokens_to_ids(list(STOP_TOKENS)),
        pad_token_id=tokenizer.pad_token_id,
    )


def save_configuration(
    folder: Path, source: dict[str, Any], tokenizer: "PreTrainedTokenizerFast", max_patches: int
) -> None:
    """Write everything but the weights: config, generation config, tokenizer, processor, chat template."""
    native_config(source, tokenizer).save_pretrained(folder)
    generation_config(tokenizer).save_pretrained(folder)
    native_processor(source, tokenizer, max_patches).save_pretrained(folder)
