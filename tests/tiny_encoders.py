"""Dual encoders made on the spot: small, random, with a tokenizer of bytes."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipProcessor,
)

KINDS = ("clip", "siglip")


def byte_tokenizer(longest: int) -> PreTrainedTokenizerFast:
    """A tokenizer with one token for each byte. It reads every language and needs no training."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<s>", "</s>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", model_max_length=longest
    )


def tiny_encoder(folder: Path) -> Path:
    """The folder of a random SigLIP."""
    make_encoder("siglip", folder)
    return folder


def make_encoder(
    kind: str, folder: Path, *, width: int = 16, layers: int = 1, side: int = 32, patch: int = 8, longest: int = 64
) -> Any:
    """Save a random dual encoder with its processor, and return the model."""
    torch.manual_seed(0)
    tokenizer = byte_tokenizer(longest)
    shape = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers,
             "num_attention_heads": max(2, width // 32)}  # fmt: skip
    text = shape | {"vocab_size": len(tokenizer), "max_position_embeddings": longest}
    text |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    vision = shape | {"image_size": side, "patch_size": patch}
    size = {"height": side, "width": side}
    if kind == "clip":
        config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=width)
        model: Any = CLIPModel(config)
        images = CLIPImageProcessor(size=size, crop_size=size, do_center_crop=False)
        processor: Any = CLIPProcessor(images, tokenizer)
    else:
        model = SiglipModel(SiglipConfig(text_config=text | {"projection_size": width}, vision_config=vision))
        processor = SiglipProcessor(SiglipImageProcessor(size=size), tokenizer)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return model
