"""InternVL2 as its authors wrote it, in plain PyTorch, and a tiny random checkpoint in its layout: the oracle.

Re-implemented from `modeling_internlm2.py`, `modeling_intern_vit.py` and `modeling_internvl_chat.py` of the InternVL
repository. Random weights: it stands for the real 8B checkpoint, and answers nothing.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

Weights = dict[str, torch.Tensor]

CHAT_TOKENS = ("<|plugin|>", "<|interpreter|>", "<|action_end|>", "<|action_start|>", "<|im_end|>", "<|im_start|>")
ADDED_TOKENS = (
    "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>",
)  # fmt: skip
UNUSED = [f"[UNUSED_TOKEN_{i}]" for i in range(8)]  # the last six are the chat tokens

LLM: dict[str, Any] = {
    "architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", "bias": False, "hidden_act": "silu",
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 1000000,
    "rope_scaling": {"type": "dynamic", "factor": 2.0},
}  # fmt: skip
VISION: dict[str, Any] = {
    "model_type": "intern_vit_6b", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "image_size": 56, "patch_size": 14, "norm_type": "layer_norm", "layer_norm_eps": 1e-6,
    "qkv_bias": True, "qk_normalization": False, "hidden_act": "gelu", "drop_path_rate": 0.1,
}  # fmt: skip


def train_sentencepiece(folder: Path, texts: list[str], vocab_size: int) -> int:
    """Write a tokenizer.model of InternLM2's kind and its tokenizer_config.json; returns how many tokens there are."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(folder / "tokenizer"), model_type="bpe", vocab_size=vocab_size,
        byte_fallback=True, add_dummy_prefix=False, remove_extra_whitespaces=False, split_digits=True,
        normalization_rule_name="identity", user_defined_symbols=UNUSED, character_coverage=0.995,
        allow_whitespace_only_pieces=True, minloglevel=2,
    )  # fmt: skip
    (folder / "tokenizer.vocab").unlink()
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    names = {0: "<unk>", 1: "<s>", 2: "</s>"}
    names |= {model.piece_to_id(piece): token for piece, token in zip(UNUSED[2:], CHAT_TOKENS, strict=True)}
    names |= {vocab_size + i: token for i, token in enumerate(ADDED_TOKENS)}
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    config = {
        "added_tokens_decoder": {str(index): {"content": token, **flags} for index, token in names.items()},
        "auto_map": {"AutoTokenizer": ["tokenization_internlm2.InternLM2Tokenizer", None]},
        "model_max_length": 8192, "tokenizer_class": "InternLM2Tokenizer",
        "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return vocab_size + len(ADDED_TOKENS)


def random_weights(vocab_size: int, seed: int = 0) -> Weights:
    """Parameters in the original names and shapes."""
    d, f, kv = LLM["hidden_size"], LLM["intermediate_size"], LLM["num_key_value_heads"]
    heads = LLM["num_attention_heads"]
    v, vf, patch = VISION["hidden_size"], VISION["intermediate_size"], VISION["patch_size"]
    positions = (VISION["image_size"] // patch) ** 2 + 1
    shapes: dict[str, tuple[int, ...]] = {
        "language_model.model.tok_embeddings.weight": (vocab_size, d),
        "language_model.model.norm.weight": (d,),
        "language_model.output.weight": (vocab_size, d),
        "vision_model.embeddings.class_embedding": (1, 1, v),
        "vision_model.embeddings.position_embedding": (1, positions, v),
        "vision_model.embeddings.patch_embedding.weight": (v, 3, patch, patch),
        "vision_model.embeddings.patch_embedding.bias": (v,),
        "mlp1.0.weight": (4 * v,), "mlp1.0.bias": (4 * v,), "mlp1.1.weight": (d, 4 * v), "mlp1.1.bias": (d,),
        "mlp1.3.weight": (d, d), "mlp1.3.bias": (d,),
    }  # fmt: skip
    for i in range(LLM["num_hidden_layers"]):
        at = f"language_model.model.layers.{i}."
        shapes |= {
            f"{at}attention.wqkv.weight": ((heads + 2 * kv) * d // heads, d), f"{at}attention.wo.weight": (d, d),
            f"{at}feed_forward.w1.weight": (f, d), f"{at}feed_forward.w3.weight": (f, d),
            f"{at}feed_forward.w2.weight": (d, f), f"{at}attention_norm.weight": (d,), f"{at}ffn_norm.weight": (d,),
        }  # fmt: skip
    for i in range(VISION["num_hidden_layers"]):
        at = f"vision_model.encoder.layers.{i}."
        shapes |= {
            f"{at}attn.qkv.weight": (3 * v, v), f"{at}attn.qkv.bias": (3 * v,), f"{at}attn.proj.weight": (v, v),
            f"{at}attn.proj.bias": (v,), f"{at}mlp.fc1.weight": (vf, v), f"{at}mlp.fc1.bias": (vf,),
            f"{at}mlp.fc2.weight": (v, vf), f"{at}mlp.fc2.bias": (v,), f"{at}norm1.weight": (v,),
            f"{at}norm1.bias": (v,), f"{at}norm2.weight": (v,), f"{at}norm2.bias": (v,), f"{at}ls1": (v,),
            f"{at}ls2": (v,),
        }  # fmt: skip
    random = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=random) * 0.3 for name, shape in shapes.items()}


def save_checkpoint(folder: Path, weights: Weights, vocab_size: int, shards: int = 3) -> None:
    """Write config.json, the weights in several shards and their index."""
    from safetensors.torch import save_file

    config = {
        "architectures": ["InternVLChatModel"], "model_type": "internvl_chat", "template": "internlm2-chat",
        "auto_map": {"AutoModel": "modeling_internvl_chat.InternVLChatModel"}, "select_layer": -1, "ps_version": "v2",
        "downsample_ratio": 0.5, "dynamic_image_size": True, "use_thumbnail": True, "max_dynamic_patch": 12,
        "force_image_size": 56, "torch_dtype": "float32",
        "llm_config": {**LLM, "vocab_size": vocab_size}, "vision_config": VISION,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_internvl_chat.py").write_text("raise SystemExit('code of the checkpoint was run')\n")
    names = sorted(weights)
    index: dict[str, str] = {}
    for number in range(shards):
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        part = names[number::shards]
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(part, file)
    record = {"metadata": {"total_size": sum(w.nbytes for w in weights.values())}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(record))


def build_checkpoint(folder: Path) -> Path:
    """A whole checkpoint in the original layout, its tokenizer trained on our prompts."""
    from mella_hf.languages import get_language, language_codes

    folder.mkdir()
    texts = [p for code in language_codes() for s in ("know", "ling") for p in get_language(code).prompts(s)]
    size = train_sentencepiece(folder, texts * 4, 900)
    save_checkpoint(folder, random_weights(size), size)
    return folder


def rms_norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + LLM["rms_norm_eps"])


def rotary(length: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """InternLM2DynamicNTKScalingRotaryEmbedding: the base grows with a sequence beyond the maximum."""
    base, most, factor = LLM["rope_theta"], LLM["max_position_embeddings"], LLM["rope_scaling"]["factor"]
    if length > most:
        base = base * ((factor * length / most) - (factor - 1)) ** (dim / (dim - 2))
    frequencies = 1.0 / (base ** (torch.arange(0, dim, 2).float() / dim))
    angles = torch.outer(torch.arange(length).float(), frequencies)
    angles = torch.cat((angles, angles), -1)
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


def internlm2_attention(w: Weights, at: str, x: torch.Tensor) -> torch.Tensor:
    """Fused wqkv: of each group of heads the queries come first, then the key, then the value."""
    heads, kv = LLM["num_attention_heads"], LLM["num_key_value_heads"]
    length, size = x.shape
    dim, group = size // heads, heads // kv
    fused = (x @ w[f"{at}attention.wqkv.weight"].T).view(length, kv, group + 2, dim)
    queries = fused[:, :, :group].reshape(length, heads, dim).transpose(0, 1)
    keys = fused[:, :, -2].transpose(0, 1)
    values = fused[:, :, -1].transpose(0, 1)
    cos, sin = rotary(length, dim)
    queries, keys = rotate(queries, cos, sin), rotate(keys, cos, sin)
    keys, values = keys.repeat_interleave(group, 0), values.repeat_interleave(group, 0)
    scores = queries @ keys.transpose(1, 2) / dim**0.5
    scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), float("-inf"))
    out = scores.softmax(-1) @ values
    return out.transpose(0, 1).reshape(length, size) @ w[f"{at}attention.wo.weight"].T


def internlm2(w: Weights, x: torch.Tensor) -> torch.Tensor:
    """Logits [length, vocabulary] of embeddings [length, size]."""
    for i in range(LLM["num_hidden_layers"]):
        at = f"language_model.model.layers.{i}."
        x = x + internlm2_attention(w, at, rms_norm(x, w[f"{at}attention_norm.weight"]))
        h = rms_norm(x, w[f"{at}ffn_norm.weight"])
        gate, up = h @ w[f"{at}feed_forward.w1.weight"].T, h @ w[f"{at}feed_forward.w3.weight"].T
        x = x + (functional.silu(gate) * up) @ w[f"{at}feed_forward.w2.weight"].T
    return rms_norm(x, w["language_model.model.norm.weight"]) @ w["language_model.output.weight"].T


def vision_block(w: Weights, at: str, x: torch.Tensor) -> torch.Tensor:
    heads, size, eps = VISION["num_attention_heads"], VISION["hidden_size"], VISION["layer_norm_eps"]
    h = functional.layer_norm(x, (size,), w[f"{at}norm1.weight"], w[f"{at}norm1.bias"], eps)
    qkv = functional.linear(h, w[f"{at}attn.qkv.weight"], w[f"{at}attn.qkv.bias"])
    q, k, v = qkv.view(*x.shape[:2], 3, heads, size // heads).permute(2, 0, 3, 1, 4)
    scores = (q * (size // heads) ** -0.5) @ k.transpose(-2, -1)
    mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
    x = x + functional.linear(mixed, w[f"{at}attn.proj.weight"], w[f"{at}attn.proj.bias"]) * w[f"{at}ls1"]
    h = functional.layer_norm(x, (size,), w[f"{at}norm2.weight"], w[f"{at}norm2.bias"], eps)
    h = functional.gelu(functional.linear(h, w[f"{at}mlp.fc1.weight"], w[f"{at}mlp.fc1.bias"]))
    return x + functional.linear(h, w[f"{at}mlp.fc2.weight"], w[f"{at}mlp.fc2.bias"]) * w[f"{at}ls2"]


def image_features(w: Weights, pixels: torch.Tensor) -> torch.Tensor:
    """Tiles [tiles, 3, side, side] to image tokens [tiles * tokens, size]: InternViT, pixel shuffle v2, mlp1."""
    at = "vision_model.embeddings."
    patches = functional.conv2d(pixels, w[f"{at}patch_embedding.weight"], w[f"{at}patch_embedding.bias"], stride=14)
    x = torch.cat([w[f"{at}class_embedding"].expand(len(pixels), 1, -1), patches.flatten(2).transpose(1, 2)], 1)
    x = x + w[f"{at}position_embedding"]
    for i in range(VISION["num_hidden_layers"]):
        x = vision_block(w, f"vision_model.encoder.layers.{i}.", x)
    x = x[:, 1:]
    n, side, c = len(x), int(x.shape[1] ** 0.5), x.shape[2]
    x = x.view(n, side, side // 2, c * 2).permute(0, 2, 1, 3)
    x = x.reshape(n, side // 2, side // 2, c * 4).permute(0, 2, 1, 3).reshape(n, -1, 4 * c)
    x = functional.layer_norm(x, (4 * c,), w["mlp1.0.weight"], w["mlp1.0.bias"])
    x = functional.gelu(functional.linear(x, w["mlp1.1.weight"], w["mlp1.1.bias"]))
    return functional.linear(x, w["mlp1.3.weight"], w["mlp1.3.bias"]).flatten(0, 1)


def internvl2(w: Weights, ids: list[int], context_id: int, pixels: torch.Tensor | None = None) -> torch.Tensor:
    """Logits [length, vocabulary]; the tiles' features take the places of the context tokens."""
    tokens = torch.tensor(ids)
    embeddings = w["language_model.model.tok_embeddings.weight"][tokens].clone()
    if pixels is not None:
        embeddings[tokens == context_id] = image_features(w, pixels)
    return internlm2(w, embeddings)
