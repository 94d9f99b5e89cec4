"""Tiny random models of many types, each with its real processor: what any image-text-to-text model may be like.

A tokenizer is trained on the spot and gets the type's own marks. The chat templates say the same as the published ones,
in short. Types that are missing here: `phi4_multimodal` (transformers has no image-text-to-text class for it).
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

TEXT: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 2048, "head_dim": 8, "initializer_range": 0.2,
    "attention_dropout": 0.0,
}  # fmt: skip
SIGLIP: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 56,
    "patch_size": 14, "initializer_range": 0.2,
}  # fmt: skip
MROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
QWEN_VISION = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32}


def turns(image: str, before: str, after: str, *, assistant: str = "assistant", start: str = "") -> str:
    """A chat template: `before` holds ROLE; what opens an answer is the same, for the assistant."""
    opened = before.replace("ROLE", "{{ m.role if m.role != 'assistant' else '" + assistant + "' }}")
    return (
        start
        + "{% for m in messages %}" + opened
        + "{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}"
        + "{% if part.type == 'image' %}" + image + "{% elif part.type == 'text' %}{{ part.text }}{% endif %}"
        + "{% endfor %}{% endif %}" + after + "{% endfor %}"
        + "{% if add_generation_prompt %}" + before.replace("ROLE", assistant) + "{% endif %}"
    )  # fmt: skip


def chatml(image: str) -> str:
    """Qwen's, InternVL's, LLaVA-OneVision's and MiniCPM-V's."""
    return turns(image, "<|im_start|>ROLE\n", "<|im_end|>\n")


@cache
def _state() -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(["ما هذا؟ صف هذه الصورة. What is this? user assistant model system"] * 4, trainer)
    return bpe.to_str()


def tokenizer(*marks: str, bos: str | None = None, eos: str = "<eos>", pad: str = "<pad>", **named: str) -> Any:
    """A tokenizer with the type's marks; `named` are the marks that its processor reads as attributes."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    made = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(json.loads(_state()))),
        eos_token=eos, pad_token=pad, **({"bos_token": bos} if bos else {}), extra_special_tokens=named,
    )  # fmt: skip
    made.add_special_tokens({"additional_special_tokens": [*marks, *named.values()]})
    return made


def at(made: Any, *marks: str) -> list[int]:
    """Ids of marks."""
    return [made.convert_tokens_to_ids(mark) for mark in marks]


def _finish(kind: type, config: Any, processor: Any, eos: str) -> tuple[Any, Any]:
    import torch

    torch.manual_seed(0)
    config.use_cache = True
    model = kind(config).eval()
    made = processor.tokenizer
    (model.generation_config.eos_token_id,) = at(made, eos)
    model.generation_config.pad_token_id = made.pad_token_id
    return model, processor


def _qwen(version: str, patch: int, **vision: Any) -> tuple[Any, Any]:
    import transformers

    made = tokenizer(
        "<|im_start|>", "<|vision_start|>", "<|image_pad|>", "<|video_pad|>", "<|vision_end|>", eos="<|im_end|>",
        pad="<|endoftext|>",
    )  # fmt: skip
    ids = at(made, "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    image = transformers.Qwen2VLImageProcessor(
        patch_size=patch, merge_size=2, min_pixels=(2 * patch) ** 2, max_pixels=(4 * patch) ** 2
    )
    own = {"Qwen3_5": "Qwen3VL"}.get(version, version)
    video = {"Qwen2VL": "Qwen2VL", "Qwen2_5_VL": "Qwen2VL"}.get(version, "Qwen3VL")
    processor = getattr(transformers, f"{own}Processor")(
        image, made, getattr(transformers, f"{video}VideoProcessor")(patch_size=patch, merge_size=2),
        chat_template=chatml("<|vision_start|><|image_pad|><|vision_end|>"),
    )  # fmt: skip
    text = {**TEXT, "vocab_size": len(made), "rope_parameters": MROPE, "pad_token_id": made.pad_token_id}
    if version == "Qwen3_5":
        text |= {
            "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2, "head_dim": 16,
            "linear_num_value_heads": 4, "layer_types": ["linear_attention", "full_attention"],
            "rope_parameters": {**MROPE, "partial_rotary_factor": 0.5, "mrope_interleaved": True},
        }  # fmt: skip
    config = getattr(transformers, f"{version}Config")(
        text_config=text, vision_config={**QWEN_VISION, "patch_size": patch, **vision},
        tie_word_embeddings=False, **dict(zip(names, ids, strict=True)),
    )  # fmt: skip
    return _finish(getattr(transformers, f"{version}ForConditionalGeneration"), config, processor, "<|im_end|>")


def qwen2_vl() -> tuple[Any, Any]:
    return _qwen("Qwen2VL", 14, embed_dim=32)


def qwen2_5_vl() -> tuple[Any, Any]:
    return _qwen("Qwen2_5_VL", 14, fullatt_block_indexes=[1])


def qwen3_vl() -> tuple[Any, Any]:
    return _qwen("Qwen3VL", 16, num_position_embeddings=16, deepstack_visual_indexes=[0])


def qwen3_5() -> tuple[Any, Any]:
    return _qwen("Qwen3_5", 16, num_position_embeddings=16)


def internvl() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer(
        "<|im_start|>", "<|video_pad|>", eos="<|im_end|>", start_image_token="<img>", end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>", video_token="<video>",
    )  # fmt: skip
    size = {"height": 56, "width": 56}
    processor = t.InternVLProcessor(
        t.GotOcr2ImageProcessor(crop_to_patches=True, min_patches=1, max_patches=3, size=size), made,
        t.InternVLVideoProcessor(size=size), image_seq_length=4, chat_template=chatml("<IMG_CONTEXT>\n"),
    )  # fmt: skip
    vision = {**SIGLIP, "image_size": [56, 56], "patch_size": [14, 14]}
    config = t.InternVLConfig(
        text_config={**TEXT, "vocab_size": len(made), "model_type": "qwen3"}, vision_config=vision,
        image_token_id=made.convert_tokens_to_ids("<IMG_CONTEXT>"), image_seq_length=4, tie_word_embeddings=False,
    )  # fmt: skip
    return _finish(t.InternVLForConditionalGeneration, config, processor, "<|im_end|>")


def gemma3() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer(
        "<start_of_turn>", "<end_of_turn>", bos="<bos>", boi_token="<start_of_image>", eoi_token="<end_of_image>",
        image_token="<image_soft_token>",
    )  # fmt: skip
    before, after = "<start_of_turn>ROLE\n", "<end_of_turn>\n"
    processor = t.Gemma3Processor(
        t.Gemma3ImageProcessor(size={"height": 56, "width": 56}), made, image_seq_length=4,
        chat_template=turns("<start_of_image>", before, after, assistant="model", start="<bos>"),
    )  # fmt: skip
    boi, eoi, image = at(made, "<start_of_image>", "<end_of_image>", "<image_soft_token>")
    config = t.Gemma3Config(
        text_config={**TEXT, "vocab_size": len(made), "query_pre_attn_scalar": 8, "sliding_window": 64,
                     "layer_types": ["sliding_attention", "full_attention"], "pad_token_id": made.pad_token_id},
        vision_config=SIGLIP, mm_tokens_per_image=4, boi_token_index=boi, eoi_token_index=eoi, image_token_index=image,
    )  # fmt: skip
    return _finish(t.Gemma3ForConditionalGeneration, config, processor, "<end_of_turn>")


def gemma4() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer(
        "<|turn>", "<turn|>", bos="<bos>", boi_token="<|image>", eoi_token="<image|>", image_token="<|image|>",
        boa_token="<|audio>", eoa_token="<audio|>", audio_token="<|audio|>",
    )  # fmt: skip
    template = turns("<|image|>", "<|turn>ROLE\n", "<turn|>\n", assistant="model", start="<bos>")
    processor = t.Gemma4Processor(
        t.Gemma4AudioFeatureExtractor() if hasattr(t, "Gemma4AudioFeatureExtractor") else None,
        t.Gemma4ImageProcessor(patch_size=4, max_soft_tokens=140, pooling_kernel_size=3), made,
        t.Gemma4VideoProcessor(), chat_template=template, image_seq_length=140,
    )  # fmt: skip
    names = ("boi_token_id", "eoi_token_id", "image_token_id", "video_token_id", "boa_token_id", "audio_token_id")
    ids = at(made, "<|image>", "<image|>", "<|image|>", "<|video|>", "<|audio>", "<|audio|>")
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 4, "head_dim": 8, "patch_size": 4, "pooling_kernel_size": 3,
        "position_embedding_size": 1024,
    }  # fmt: skip
    text = {
        **TEXT, "vocab_size": len(made), "vocab_size_per_layer_input": len(made), "hidden_size_per_layer_input": 8,
        "sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"], "global_head_dim": 8,
        "pad_token_id": made.pad_token_id,
    }  # fmt: skip
    config = t.Gemma4Config(
        text_config=text, vision_config=vision, audio_config=None, **dict(zip(names, ids, strict=True))
    )
    return _finish(t.Gemma4ForConditionalGeneration, config, processor, "<turn|>")


def _idefics(kind: str) -> tuple[Any, Any]:
    import transformers as t

    rows = [f"<row_{i + 1}_col_{j + 1}>" for i in range(6) for j in range(6)]
    made = tokenizer(
        "<|im_start|>", "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *rows
    )
    images = getattr(t, f"{kind}ImageProcessor")(
        size={"longest_edge": 112}, max_image_size={"longest_edge": 56}, do_image_splitting=True
    )
    video = [t.SmolVLMVideoProcessor()] if kind == "SmolVLM" else []
    processor = getattr(t, f"{kind}Processor")(
        images, made, *video, image_seq_len=4,
        chat_template=turns("<image>", "<|im_start|>ROLE: ", "<end_of_utterance>\n"),
    )  # fmt: skip
    config = getattr(t, f"{kind}Config")(
        text_config={**TEXT, "vocab_size": len(made), "model_type": "llama"}, vision_config=SIGLIP, scale_factor=2,
        image_token_id=made.convert_tokens_to_ids("<image>"), pad_token_id=made.pad_token_id,
    )  # fmt: skip
    return _finish(getattr(t, f"{kind}ForConditionalGeneration"), config, processor, "<end_of_utterance>")


def idefics3() -> tuple[Any, Any]:
    return _idefics("Idefics3")


def smolvlm() -> tuple[Any, Any]:
    return _idefics("SmolVLM")


def llava_onevision() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer("<|im_start|>", "<image>", "<video>", eos="<|im_end|>")
    points = [[56, 56], [56, 112], [112, 56], [112, 112]]
    size = {"height": 56, "width": 56}
    processor = t.LlavaOnevisionProcessor(
        t.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=points), made,
        t.LlavaOnevisionVideoProcessor(size=size), num_image_tokens=16, vision_feature_select_strategy="full",
        chat_template=chatml("<image>"),
    )  # fmt: skip
    image, video = at(made, "<image>", "<video>")
    config = t.LlavaOnevisionConfig(
        text_config={**TEXT, "vocab_size": len(made), "model_type": "qwen2"},
        vision_config={**SIGLIP, "model_type": "siglip_vision_model", "vision_use_head": False},
        image_token_index=image, video_token_index=video, image_grid_pinpoints=points,
    )  # fmt: skip
    return _finish(t.LlavaOnevisionForConditionalGeneration, config, processor, "<|im_end|>")


def aya_vision() -> tuple[Any, Any]:
    import transformers as t

    start, end = "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"
    made = tokenizer(
        start, "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>", "<image>", "TILE",
        "TILE_GLOBAL", *(f"TILE_{i}" for i in range(1, 5)), "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>",
        "<|SYSTEM_TOKEN|>", bos="<BOS_TOKEN>", eos=end,
    )  # fmt: skip
    roles = "{{ {'user': '<|USER_TOKEN|>', 'system': '<|SYSTEM_TOKEN|>'}.get(m.role, '<|CHATBOT_TOKEN|>') }}"
    template = (
        "<BOS_TOKEN>{% for m in messages %}" + start + roles
        + "{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}"
        + "{% if part.type == 'image' %}<image>{% elif part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
        + "{% endif %}" + end + "{% endfor %}"
        + "{% if add_generation_prompt %}" + start + "<|CHATBOT_TOKEN|>{% endif %}"
    )  # fmt: skip
    size = {"height": 56, "width": 56}
    processor = t.AyaVisionProcessor(
        t.GotOcr2ImageProcessor(crop_to_patches=True, min_patches=1, max_patches=3, size=size), made, patch_size=14,
        img_size=56, downsample_factor=2, chat_template=template,
    )  # fmt: skip
    config = t.AyaVisionConfig(
        text_config={**TEXT, "vocab_size": len(made), "model_type": "cohere2", "sliding_window": 64,
                     "layer_types": ["sliding_attention", "full_attention"]},
        vision_config={**SIGLIP, "model_type": "siglip_vision_model", "vision_use_head": False},
        image_token_index=made.convert_tokens_to_ids("<|IMG_PATCH|>"),
    )  # fmt: skip
    return _finish(t.AyaVisionForConditionalGeneration, config, processor, end)


def _pixtral(merge: int) -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer("[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]", bos="<s>", eos="</s>")
    template = (
        "<s>{% for m in messages %}{% if m.role == 'user' %}[INST]{% for part in m.content %}"
        "{% if part.type == 'image' %}[IMG]{% else %}{{ part.text }}{% endif %}{% endfor %}[/INST]"
        "{% else %}{% if m.content is string %}{{ m.content }}{% else %}{{ m.content[0].text }}{% endif %}</s>"
        "{% endif %}{% endfor %}"
    )
    processor = t.PixtralProcessor(
        t.PixtralImageProcessor(size={"longest_edge": 84}, patch_size=14 * merge), made, patch_size=14,
        spatial_merge_size=merge, chat_template=template,
    )  # fmt: skip
    text = {**TEXT, "vocab_size": len(made), "model_type": "mistral", "sliding_window": None}
    vision = {
        "model_type": "pixtral", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 8,
        "num_attention_heads": 4, "image_size": 112, "patch_size": 14,
    }  # fmt: skip
    ids = {"image_token_index": made.convert_tokens_to_ids("[IMG]")}
    if merge > 1:
        config = t.Mistral3Config(text_config=text, vision_config=vision, spatial_merge_size=merge, **ids)
        return _finish(t.Mistral3ForConditionalGeneration, config, processor, "</s>")
    config = t.LlavaConfig(
        text_config=text, vision_config=vision, vision_feature_layer=-1, vision_feature_select_strategy="full", **ids
    )
    return _finish(t.LlavaForConditionalGeneration, config, processor, "</s>")


def mistral3() -> tuple[Any, Any]:
    return _pixtral(2)


def pixtral() -> tuple[Any, Any]:
    """Pixtral 12B is a `llava` with Pixtral's vision tower and processor."""
    return _pixtral(1)


def paligemma() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer(bos="<bos>", image_token="<image>")
    images = t.SiglipImageProcessor(size={"height": 56, "width": 56})
    images.image_seq_length = 16
    processor = t.PaliGemmaProcessor(images, made)
    config = t.PaliGemmaConfig(
        text_config={**TEXT, "vocab_size": len(made), "model_type": "gemma"},
        vision_config={**SIGLIP, "model_type": "siglip_vision_model", "projection_dim": 32, "vision_use_head": False},
        projection_dim=32, hidden_size=32, image_token_index=made.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    return _finish(t.PaliGemmaForConditionalGeneration, config, processor, "<eos>")


def mllama() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer(
        "<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>", bos="<|begin_of_text|>", eos="<|eot_id|>"
    )
    size = len(made)
    made.add_special_tokens(
        {"additional_special_tokens": [*made.additional_special_tokens, "<|image|>"]}
        if hasattr(made, "additional_special_tokens")
        else {"extra_special_tokens": ["<|image|>"]}
    )
    before = "<|start_header_id|>ROLE<|end_header_id|>\n\n"
    processor = t.MllamaProcessor(
        t.MllamaImageProcessor(size={"height": 56, "width": 56}, max_image_tiles=2), made,
        chat_template=turns("<|image|>", before, "<|eot_id|>", start="<|begin_of_text|>"),
    )  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_global_layers": 1,
        "attention_heads": 4, "image_size": 56, "patch_size": 14, "max_num_tiles": 2,
        "intermediate_layers_indices": [0], "vision_output_dim": 64, 
        "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
    }  # fmt: skip
    text = {**TEXT, "vocab_size": size, "num_hidden_layers": 3, "cross_attention_layers": [1],
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}, 
            "pad_token_id": made.pad_token_id}  # fmt: skip
    config = t.MllamaConfig(
        text_config=text, vision_config=vision, image_token_index=made.convert_tokens_to_ids("<|image|>")
    )
    return _finish(t.MllamaForConditionalGeneration, config, processor, "<|eot_id|>")


def minicpmv() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer(
        "<|im_start|>", eos="<|im_end|>", image_token="<image_pad>", video_token="<video_pad>",
        image_start_token="<image>", image_end_token="</image>", slice_start_token="<slice>",
        slice_end_token="</slice>", image_id_start_token="<image_id>", image_id_end_token="</image_id>",
    )  # fmt: skip
    images = t.MiniCPMV4_6ImageProcessor(scale_resolution=112, patch_size=14, max_slice_nums=2)
    processor = t.MiniCPMV4_6Processor(
        images, t.MiniCPMV4_6VideoProcessor(scale_resolution=112, patch_size=14), made,
        chat_template=chatml("<image_pad>"),
    )  # fmt: skip
    image, video = at(made, "<image_pad>", "<video_pad>")
    text = {
        **TEXT, "vocab_size": len(made), "model_type": "qwen3_5_text", "head_dim": 16, "linear_key_head_dim": 8,
        "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
        "layer_types": ["linear_attention", "full_attention"],
        "rope_parameters": {**MROPE, "partial_rotary_factor": 0.5, "mrope_interleaved": True},
    }  # fmt: skip
    vision = {**SIGLIP, "image_size": 112, "insert_layer_id": 0}
    config = t.MiniCPMV4_6Config(
        text_config=text, vision_config=vision, insert_layer_id=0, image_size=112, image_token_id=image,
        video_token_id=video,
    )  # fmt: skip
    return _finish(t.MiniCPMV4_6ForConditionalGeneration, config, processor, "<|im_end|>")


def llava_next() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer("[INST]", "[/INST]", "<image>", bos="<s>", eos="</s>")
    points = [[56, 112], [112, 56], [112, 112]]
    images = t.LlavaNextImageProcessor(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}, image_grid_pinpoints=points
    )
    processor = t.LlavaNextProcessor(
        images, made, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=(
            "<s>{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content if m.content is string else "
            "m.content[0].text }}</s>{% else %}[INST]{% for part in m.content %}{% if part.type == 'image' %}<image>\n"
            "{% else %}{{ part.text }}{% endif %}{% endfor %}[/INST]{% endif %}{% endfor %}"
        ),
    )  # fmt: skip
    config = t.LlavaNextConfig(
        text_config={**TEXT, "vocab_size": len(made), "model_type": "mistral", "sliding_window": None},
        vision_config={**SIGLIP, "model_type": "clip_vision_model", "projection_dim": 32},
        image_token_index=made.convert_tokens_to_ids("<image>"), image_grid_pinpoints=points,
    )  # fmt: skip
    return _finish(t.LlavaNextForConditionalGeneration, config, processor, "</s>")


def idefics2() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer("<|im_start|>", "<fake_token_around_image>", "<image>", "<end_of_utterance>")
    processor = t.Idefics2Processor(
        t.Idefics2ImageProcessor(size={"longest_edge": 84, "shortest_edge": 28}, do_image_splitting=True), made,
        image_seq_len=4, chat_template=turns("<image>", "<|im_start|>ROLE: ", "<end_of_utterance>\n"),
    )  # fmt: skip
    config = t.Idefics2Config(
        text_config={**TEXT, "vocab_size": len(made), "model_type": "mistral", "sliding_window": None},
        vision_config={**SIGLIP, "image_size": 84},
        perceiver_config={"resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 2, "hidden_size": 32,
                          "resampler_head_dim": 8, "num_key_value_heads": 2, "initializer_range": 0.2},
        image_token_id=made.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    return _finish(t.Idefics2ForConditionalGeneration, config, processor, "<end_of_utterance>")


def glm4v() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer(
        "[gMASK]", "<sop>", "<|user|>", "<|assistant|>", "<|system|>", "<|begin_of_image|>", "<|end_of_image|>",
        "<|begin_of_video|>", "<|end_of_video|>", eos="<|endoftext|>", image_token="<|image|>", video_token="<|video|>",
    )  # fmt: skip
    size = {"shortest_edge": 28 * 28 * 2, "longest_edge": 84 * 84 * 2}
    processor = t.Glm4vProcessor(
        t.Glm4vImageProcessor(size=size), made, t.Glm4vVideoProcessor(size=size),
        chat_template=turns(
            "<|begin_of_image|><|image|><|end_of_image|>", "<|ROLE|>\n",
            "{% if m.role == 'assistant' %}<|endoftext|>{% endif %}", start="[gMASK]<sop>",
        ),
    )  # fmt: skip
    names = ("image_token_id", "video_token_id", "image_start_token_id", "image_end_token_id", "video_start_token_id",
             "video_end_token_id")  # fmt: skip
    marks = ("<|image|>", "<|video|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>",
             "<|end_of_video|>")  # fmt: skip
    text = {**TEXT, "vocab_size": len(made), "rope_parameters": MROPE, "pad_token_id": made.pad_token_id}
    vision = {**QWEN_VISION, "image_size": 56, "initializer_range": 0.2}
    config = t.Glm4vConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=False,
        **dict(zip(names, at(made, *marks), strict=True)),
    )  # fmt: skip
    return _finish(t.Glm4vForConditionalGeneration, config, processor, "<|endoftext|>")


def lfm2_vl() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer(
        "<|im_start|>", bos="<|startoftext|>", eos="<|im_end|>", image_token="<image>",
        image_start_token="<|image_start|>", image_end_token="<|image_end|>", image_thumbnail="<|img_thumbnail|>",
    )  # fmt: skip
    images = t.Lfm2VlImageProcessor(
        encoder_patch_size=14, tile_size=112, min_tiles=2, max_tiles=4, min_image_tokens=1, max_image_tokens=16,
        max_num_patches=64,
    )  # fmt: skip
    template = turns("<image>", "<|im_start|>ROLE\n", "<|im_end|>\n", start="<|startoftext|>")
    processor = t.Lfm2VlProcessor(images, made, chat_template=template)
    text = {
        **TEXT, "vocab_size": len(made), "model_type": "lfm2", "layer_types": ["conv", "full_attention"],
        "block_auto_adjust_ff_dim": False, "pad_token_id": made.pad_token_id,
    }  # fmt: skip
    vision = {key: value for key, value in SIGLIP.items() if key != "image_size"}
    config = t.Lfm2VlConfig(
        text_config=text, vision_config={**vision, "model_type": "siglip2_vision_model", "num_patches": 16},
        image_token_id=made.convert_tokens_to_ids("<image>"), projector_hidden_size=32,
    )  # fmt: skip
    return _finish(t.Lfm2VlForConditionalGeneration, config, processor, "<|im_end|>")


def cohere2_vision() -> tuple[Any, Any]:
    import transformers as t

    start, end = "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"
    made = tokenizer(
        start, bos="<BOS_TOKEN>", eos=end, image_token="<|IMG_PATCH|>", boi_token="<|START_OF_IMG|>",
        eoi_token="<|END_OF_IMG|>", img_line_break_token="<|IMG_LINE_BREAK|>",
    )  # fmt: skip
    processor = t.Cohere2VisionProcessor(
        t.Cohere2VisionImageProcessor(
            size={"height": 56, "width": 56}, patch_size=2, crop_to_patches=True, min_patches=1, max_patches=3
        ),
        made, chat_template=turns("<|IMG_PATCH|>", f"{start}ROLE: ", end, start="<BOS_TOKEN>"),
    )  # fmt: skip
    config = t.Cohere2VisionConfig(
        text_config={**TEXT, "vocab_size": len(made), "model_type": "cohere2", "sliding_window": 64,
                     "layer_types": ["sliding_attention", "full_attention"]},
        vision_config={**SIGLIP, "model_type": "siglip_vision_model", "vision_use_head": False},
        image_token_id=made.convert_tokens_to_ids("<|IMG_PATCH|>"), alignment_intermediate_size=64,
    )  # fmt: skip
    return _finish(t.Cohere2VisionForConditionalGeneration, config, processor, end)


def llama4() -> tuple[Any, Any]:
    import transformers as t

    made = tokenizer(
        "<|header_start|>", "<|header_end|>", "<|image|>", "<|image_start|>", "<|image_end|>", "<|patch|>",
        "<|tile_x_separator|>", "<|tile_y_separator|>", bos="<|begin_of_text|>", eos="<|eot|>",
    )  # fmt: skip
    before = "<|header_start|>ROLE<|header_end|>\n\n"
    images = t.Llama4ImageProcessor(size={"height": 56, "width": 56}, max_patches=3)
    processor = t.Llama4Processor(
        images, made, patch_size=14, chat_template=turns("<|image|>", before, "<|eot|>", start="<|begin_of_text|>")
    )
    vision = {
        "hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 56,
        "patch_size": 14, "vision_output_dim": 32, "projector_input_dim": 32, "projector_output_dim": 32,
        "initializer_range": 0.2,
    }  # fmt: skip
    text = {**TEXT, "vocab_size": len(made), "intermediate_size_mlp": 48, "num_local_experts": 2, "moe_layers": [1],
            "pad_token_id": made.pad_token_id}  # fmt: skip
    boi, eoi, image = at(made, "<|image_start|>", "<|image_end|>", "<|patch|>")
    config = t.Llama4Config(
        text_config=text, vision_config=vision, boi_token_index=boi, eoi_token_index=eoi, image_token_index=image
    )
    return _finish(t.Llama4ForConditionalGeneration, config, processor, "<|eot|>")


MODEL_TYPES = {"minicpmv": "minicpmv4_6"}  # where transformers has another name
TYPES: dict[str, Callable[[], tuple[Any, Any]]] = {
    build.__name__: build
    for build in (
        qwen2_vl, qwen2_5_vl, qwen3_vl, qwen3_5, internvl, gemma3, gemma4, smolvlm, idefics3, llava_onevision,
        aya_vision, mistral3, pixtral, paligemma, mllama, minicpmv, llava_next, idefics2, glm4v, lfm2_vl,
        cohere2_vision,
    )
}  # fmt: skip
