"""Dual encoders of further kinds, made on the spot, and models that are none: small and random."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_encoders import byte_tokenizer

WIDTH, LONGEST = 16, 64
SIZE = {"height": 32, "width": 32}
SHAPE = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2}
TEXT = SHAPE | {"max_position_embeddings": LONGEST, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
VISION = SHAPE | {"image_size": 32, "patch_size": 8}
DUAL = ("siglip2", "altclip", "chinese_clip", "align", "metaclip_2", "groupvit", "clipseg", "vision_text_dual_encoder")
NO_DUAL = ("xclip", "flava", "clap", "align of two spaces")


def other_encoder(kind: str, folder: Path) -> Path:
    """Save a random model of a kind with its processor. Its tokenizer pads on the left, as some checkpoints say."""
    torch.manual_seed(0)
    tokenizer = byte_tokenizer(LONGEST)
    tokenizer.padding_side = "left"
    try:
        model, processor = _made(kind, tokenizer, TEXT | {"vocab_size": len(tokenizer)})
    except (AttributeError, ImportError) as error:
        pytest.skip(f"This version of transformers has no such model: {error}")
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _made(kind: str, tokenizer: Any, text: dict[str, Any]) -> tuple[Any, Any]:
    t = transformers
    images = t.CLIPImageProcessor(size=SIZE, crop_size=SIZE, do_center_crop=False)
    projected = {"projection_dim": WIDTH}
    if kind == "siglip2":
        vision = {name: value for name, value in VISION.items() if name != "image_size"} | {"num_patches": 16}
        config: Any = t.Siglip2Config(text_config=text | {"projection_size": WIDTH}, vision_config=vision)
        patches = t.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
        names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256))]
        bytewise = t.Siglip2Tokenizer({name: number for number, name in enumerate(names)}, model_max_length=LONGEST)
        return t.Siglip2Model(config), t.Siglip2Processor(patches, bytewise)
    if kind == "altclip":
        text |= {"project_dim": WIDTH, "type_vocab_size": 1}
        config = t.AltCLIPConfig(text_config=text, vision_config=VISION | projected, **projected)
        return t.AltCLIPModel(config), t.AltCLIPProcessor(images, tokenizer)
    if kind == "chinese_clip":
        config = t.ChineseCLIPConfig(text_config=text, vision_config=VISION | projected, **projected)
        return t.ChineseCLIPModel(config), t.ChineseCLIPProcessor(images, tokenizer)
    if kind.startswith("align"):
        vision = {
            "image_size": 32, "width_coefficient": 0.25, "depth_coefficient": 0.25, "depthwise_padding": [],
            "hidden_dim": WIDTH, "in_channels": [8, 8], "out_channels": [8, 64 if kind == "align" else 32],
            "kernel_sizes": [3, 3], "strides": [1, 2], "num_block_repeats": [1, 1], "expand_ratios": [1, 2],
        }  # fmt: skip
        config = t.AlignConfig(text_config=text, vision_config=vision, **projected)
        return t.AlignModel(config), t.AlignProcessor(t.EfficientNetImageProcessor(size=SIZE), tokenizer)
    if kind == "metaclip_2":
        config = t.MetaClip2Config(text_config=text, vision_config=VISION, **projected)
        return t.MetaClip2Model(config), t.CLIPProcessor(images, tokenizer)
    if kind == "groupvit":
        vision = VISION | {"depths": [1, 0, 0], "num_group_tokens": [4, 0, 0], "num_output_groups": [4, 0, 0]}
        config = t.GroupViTConfig(
            text_config=text, vision_config=vision, projection_intermediate_dim=2 * WIDTH, **projected
        )
        return t.GroupViTModel(config), t.CLIPProcessor(images, tokenizer)
    if kind == "clipseg":
        config = t.CLIPSegConfig(text_config=text, vision_config=VISION, **projected)
        return t.CLIPSegModel(config), t.CLIPSegProcessor(t.ViTImageProcessor(size=SIZE), tokenizer)
    if kind == "vision_text_dual_encoder":
        config = t.VisionTextDualEncoderConfig.from_vision_text_configs(
            t.ViTConfig(**VISION), t.XLMRobertaConfig(**text), **projected
        )
        both = t.VisionTextDualEncoderModel(config)
        return both, t.VisionTextDualEncoderProcessor(t.ViTImageProcessor(size=SIZE), tokenizer)
    if kind == "xclip":  # of videos
        vision = VISION | {"mit_hidden_size": WIDTH, "mit_intermediate_size": WIDTH, "mit_num_hidden_layers": 1}
        config = t.XCLIPConfig(
            text_config=text, vision_config=vision | {"mit_num_attention_heads": 2, "num_frames": 2},
            prompt_layers=1, prompt_num_attention_heads=2, **projected,
        )  # fmt: skip
        return t.XCLIPModel(config), t.XCLIPProcessor(t.VideoMAEImageProcessor(size=SIZE, crop_size=SIZE), tokenizer)
    if kind == "flava":  # its features are a vector for each token and patch
        config = t.FlavaConfig(image_config=VISION, text_config=text, multimodal_config=SHAPE, hidden_size=WIDTH)
        return t.FlavaModel(config), t.FlavaProcessor(t.FlavaImageProcessor(size=SIZE, crop_size=SIZE), tokenizer)
    assert kind == "clap"  # of sounds
    audio = {"hidden_size": WIDTH, "depths": [1], "num_attention_heads": [1], "patch_embeds_hidden_size": 8}
    config = t.ClapConfig(text_config=text, audio_config=audio | {"num_mel_bins": 16, "spec_size": 32})
    return t.ClapModel(config), t.ClapProcessor(t.ClapFeatureExtractor(), tokenizer)
