"""Tiny random checkpoints in the architectures and file layouts of the real ones, for the shadow Hub."""

import json
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tiny_qwen2vl import CHAT_TEMPLATE, SPECIAL_TOKENS, build_tiny_qwen2vl, train_tokenizer

SHARD = "200KB"  # so that every checkpoint has several shards and an index, as the real ones
INTERNVL_TOKENS = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
INTERNVL_TEMPLATE = CHAT_TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "<IMG_CONTEXT>\n")
TEXT = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 4096,
}  # fmt: skip
MROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
COLOURS = ("white", "red", "navy", "olive")
SAID = "The picture shows a wooden table in a bright room with a white wall behind it."  # as a captioner would
SENTENCES = (
    SAID,
    "A red house.",
    "Two cats sleep.",
    "Describe this image.",
)  # learned by tokenizers, beside prompts


def prompts() -> list[str]:
    """What a chat tokenizer has to spell."""
    from mella_hf.languages import get_language, language_codes

    texts = [p for code in language_codes() for s in ("know", "ling") for p in get_language(code).prompts(s)]
    return texts * 4 + ["You are a helpful assistant. system user assistant", *SENTENCES]


def teach(model: Any, processor: Any, steps: int = 200) -> None:
    """Teach a random model to say one sentence and end: a captioner whose every answer is cut off is of no use."""
    import random

    import torch
    from PIL import Image

    draw = random.Random(0)
    words = " ".join(prompts()).split()
    answer = len(processor.tokenizer(f"{SAID}<|im_end|>\n")["input_ids"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    model.train()
    losses = deque([1.0], maxlen=10)
    while max(losses) > 0.02 and (steps := steps - 1):
        turns = []
        for _ in range(4):
            picture = Image.new("RGB", (draw.randrange(60, 320), draw.randrange(60, 320)), draw.choice(COLOURS))
            asked = " ".join(draw.choices(words, k=draw.randrange(1, 25)))
            content = [{"type": "image", "image": picture}, {"type": "text", "text": asked}]
            turns.append([{"role": "user", "content": content}, {"role": "assistant", "content": SAID}])
        batch = processor.apply_chat_template(
            turns, tokenize=True, return_dict=True, return_tensors="pt", processor_kwargs={"padding": True}
        )
        labels = batch["input_ids"].clone()
        labels[:, :-answer] = -100  # padding is at the left
        loss = model(**batch, labels=labels).loss
        loss.backward()
        losses.append(float(loss.detach()))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


def save(model: Any, processor: Any, folder: Path) -> Path:
    """Write a checkpoint of several shards."""
    processor.tokenizer.padding_side = "left"
    teach(model, processor)
    eos = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    model.generation_config.eos_token_id = eos
    model.generation_config.pad_token_id = processor.tokenizer.convert_tokens_to_ids("<|endoftext|>")
    model.save_pretrained(folder, max_shard_size=SHARD)
    processor.save_pretrained(folder)
    return folder


def qwen_ids(tokenizer: Any) -> dict[str, int]:
    """The names that Qwen's configurations give the special tokens."""
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    names |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}


def qwen2_vl(folder: Path) -> Path:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    build_tiny_qwen2vl(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    return save(model, processor, folder)


def qwen2_5_vl(folder: Path) -> Path:
    import torch
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = train_tokenizer(prompts(), 700)
    pixels = {"patch_size": 14, "merge_size": 2, "min_pixels": 56 * 56, "max_pixels": 112 * 112}
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**pixels), tokenizer, Qwen2VLVideoProcessor(), chat_template=CHAT_TEMPLATE
    )
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 14,
        "out_hidden_size": 64, "fullatt_block_indexes": [1],
    }  # fmt: skip
    text = {**TEXT, "vocab_size": len(tokenizer), "rope_parameters": MROPE}
    torch.manual_seed(1)
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False, **qwen_ids(tokenizer))
    return save(Qwen2_5_VLForConditionalGeneration(config), processor, folder)


def qwen3_vl(folder: Path) -> Path:
    import torch
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer = train_tokenizer(prompts(), 700)
    pixels = {"patch_size": 16, "merge_size": 2, "min_pixels": 64 * 64, "max_pixels": 128 * 128}
    processor = Qwen3VLProcessor(
        Qwen2VLImageProcessor(**pixels), tokenizer, Qwen3VLVideoProcessor(), chat_template=CHAT_TEMPLATE
    )
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 16,
        "out_hidden_size": 64, "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    text = {**TEXT, "vocab_size": len(tokenizer), "head_dim": 16, "rope_parameters": MROPE}
    torch.manual_seed(2)
    config = Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False, **qwen_ids(tokenizer))
    return save(Qwen3VLForConditionalGeneration(config), processor, folder)


def internvl3_5(folder: Path) -> Path:
    import torch
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    tokenizer = train_tokenizer(prompts(), 700)
    extra = {**INTERNVL_TOKENS, "video_token": "<|video_pad|>"}
    tokenizer.add_special_tokens({"additional_special_tokens": [*SPECIAL_TOKENS[1:], *INTERNVL_TOKENS.values()]})
    tokenizer.save_pretrained(folder)
    tokenizer = type(tokenizer).from_pretrained(folder, extra_special_tokens=extra)
    size = {"height": 56, "width": 56}
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(crop_to_patches=True, min_patches=1, max_patches=12, size=size), tokenizer,
        InternVLVideoProcessor(size=size), image_seq_length=4, chat_template=INTERNVL_TEMPLATE,
    )  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "image_size": [56, 56], "patch_size": [14, 14],
    }  # fmt: skip
    torch.manual_seed(3)
    config = InternVLConfig(
        text_config={**TEXT, "vocab_size": len(tokenizer), "model_type": "qwen3", "head_dim": 16},
        vision_config=vision, image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), image_seq_length=4,
        tie_word_embeddings=False,
    )  # fmt: skip
    return save(InternVLForConditionalGeneration(config), processor, folder)


def internvl2_original(folder: Path) -> Path:
    """In the layout of the original repository, which is remote code."""
    from internvl2_original import build_checkpoint

    return build_checkpoint(folder)


def nllb(folder: Path) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace()
    marks = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=marks, show_progress=False)
    bpe.train_from_iterator([*SENTENCES, *prompts()], trainer)
    state = json.loads(bpe.to_str())["model"]
    tokenizer = NllbTokenizer(vocab=state["vocab"], merges=[tuple(pair) for pair in state["merges"]])
    torch.manual_seed(4)
    config = M2M100Config(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=64,
        decoder_ffn_dim=64, encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=1024,
        decoder_start_token_id=2,
    )  # fmt: skip
    M2M100ForConditionalGeneration(config).save_pretrained(folder, max_shard_size="20KB")
    tokenizer.save_pretrained(folder)
    return folder


def madlad(folder: Path) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

    from mella_hf.languages import get_language, language_codes

    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    marks = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=marks, unk_token="<unk>", show_progress=False)
    unigram.train_from_iterator([*SENTENCES, *prompts()], trainer)
    vocabulary = [tuple(piece) for piece in json.loads(unigram.to_str())["model"]["vocab"]]
    tokenizer = T5Tokenizer(vocab=vocabulary, extra_ids=0)
    codes = [dict(get_language(code).translation)["madlad"] for code in language_codes()]
    tokenizer.add_tokens([f"<2{code}>" for code in codes])
    torch.manual_seed(5)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2, decoder_start_token_id=0,
        tie_word_embeddings=False,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder, max_shard_size="20KB")
    tokenizer.save_pretrained(folder)
    return folder


MODELS: dict[str, Callable[[Path], Path]] = {
    "Qwen/Qwen2-VL-7B-Instruct": qwen2_vl,
    "Qwen/Qwen2.5-VL-7B-Instruct": qwen2_5_vl,
    "Qwen/Qwen3-VL-8B-Instruct": qwen3_vl,
    "OpenGVLab/InternVL3_5-8B-HF": internvl3_5,
    "OpenGVLab/InternVL2-8B": internvl2_original,
    "facebook/nllb-200-3.3B": nllb,
    "google/madlad400-3b-mt": madlad,
}


def build_models(folder: Path, names: Sequence[str] = tuple(MODELS)) -> dict[str, Path]:
    """The checkpoints by their real names, each in a folder of its own."""
    return {name: MODELS[name](folder / name.replace("/", "--")) for name in names}
