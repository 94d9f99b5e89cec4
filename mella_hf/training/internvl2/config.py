"""Translate the configuration of an original InternVL2 checkpoint to native configurations and processor."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.training.internvl2.original import LanguageConfig, OriginalConfig

if TYPE_CHECKING:
    from transformers import GenerationConfig, InternVLConfig, InternVLProcessor, PreTrainedTokenizerFast

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


def native_config(source: OriginalConfig, tokenizer: "PreTrainedTokenizerFast") -> "InternVLConfig":
    """The native configuration."""
    from transformers import InternVLConfig, LlamaConfig
    from transformers.models.internvl.configuration_internvl import InternVLVisionConfig

    llm, vision = source.llm_config, source.vision_config
    text_config = LlamaConfig(
        vocab_size=llm.vocab_size,
        hidden_size=llm.hidden_size,
        intermediate_size=llm.intermediate_size,
        num_hidden_layers=llm.num_hidden_layers,
        num_attention_heads=llm.num_attention_heads,
        num_key_value_heads=llm.num_key_value_heads,
        max_position_embeddings=llm.max_position_embeddings,
        rms_norm_eps=llm.rms_norm_eps,
        attention_bias=llm.bias,
        hidden_act=llm.hidden_act,
        rope_parameters=_rope(llm),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision_config = InternVLVisionConfig(
        hidden_size=vision.hidden_size,
        intermediate_size=vision.intermediate_size,
        num_hidden_layers=vision.num_hidden_layers,
        num_attention_heads=vision.num_attention_heads,
        image_size=vision.image_size,
        patch_size=vision.patch_size,
        norm_type=vision.norm_type,
        layer_norm_eps=vision.layer_norm_eps,
        attention_bias=vision.qkv_bias,
        use_qk_norm=vision.qk_normalization,
        hidden_act=vision.hidden_act,
    )
    return InternVLConfig(
        text_config=text_config,
        vision_config=vision_config,
        image_token_id=tokenizer.get_vocab()["<IMG_CONTEXT>"],
        image_seq_length=source.tokens_of_tile,
        downsample_ratio=source.downsample_ratio,
        tie_word_embeddings=False,  # the default, True, would overwrite the LM head with the embeddings
        dtype=source.torch_dtype,
        architectures=["InternVLForConditionalGeneration"],
    )


def _rope(llm: LanguageConfig) -> dict[str, Any]:
    theta = float(llm.rope_theta)
    if llm.rope_scaling is None:
        return {"rope_type": "default", "rope_theta": theta}
    return {"rope_type": llm.rope_scaling.type, "factor": llm.rope_scaling.factor, "rope_theta": theta}


def native_processor(
    source: OriginalConfig, tokenizer: "PreTrainedTokenizerFast", max_patches: int
) -> "InternVLProcessor":
    """The native processor: up to `max_patches` tiles of an image and a thumbnail of the whole."""
    from transformers import GotOcr2ImageProcessor, InternVLProcessor, InternVLVideoProcessor

    size = {"height": source.tile_side, "width": source.tile_side}
    looks: dict[str, Any] = {"size": size, "image_mean": IMAGE_MEAN, "image_std": IMAGE_STD}
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(crop_to_patches=True, min_patches=1, max_patches=max_patches, **looks),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(**looks),
        image_seq_length=source.tokens_of_tile,
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
    folder: Path, source: OriginalConfig, tokenizer: "PreTrainedTokenizerFast", max_patches: int
) -> None:
    """Write everything but the weights: config, generation config, tokenizer, processor, chat template."""
    native_config(source, tokenizer).save_pretrained(folder)
    generation_config(tokenizer).save_pretrained(folder)
    native_processor(source, tokenizer, max_patches).save_pretrained(folder)
