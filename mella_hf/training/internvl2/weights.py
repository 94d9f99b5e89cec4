"""Map parameters of an original InternVL2 checkpoint to their native names and tensors.

Names and layouts: `modeling_internvl_chat.py`, `modeling_intern_vit.py` and `modeling_internlm2.py` of
OpenGVLab/InternVL2-8B (the InternVL repository's internvl_chat/internvl/model) on the one side,
`InternVLForConditionalGeneration` with a Llama language model on the other.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    Split = Callable[[Tensor], list[Tensor]]

Shape = tuple[int, ...]

_TEXT = "model.language_model"
_VISION = "model.vision_tower"

# Module or parameter -> its native names; N stands for a layer's number.
_NATIVE = {
    "language_model.output": ("lm_head",),
    "language_model.model.tok_embeddings": (f"{_TEXT}.embed_tokens",),
    "language_model.model.norm": (f"{_TEXT}.norm",),
    "language_model.model.layers.N.attention_norm": (f"{_TEXT}.layers.N.input_layernorm",),
    "language_model.model.layers.N.attention.wqkv": tuple(f"{_TEXT}.layers.N.self_attn.{x}_proj" for x in "qkv"),
    "language_model.model.layers.N.attention.wo": (f"{_TEXT}.layers.N.self_attn.o_proj",),
    "language_model.model.layers.N.ffn_norm": (f"{_TEXT}.layers.N.post_attention_layernorm",),
    "language_model.model.layers.N.feed_forward.w1": (f"{_TEXT}.layers.N.mlp.gate_proj",),
    "language_model.model.layers.N.feed_forward.w3": (f"{_TEXT}.layers.N.mlp.up_proj",),
    "language_model.model.layers.N.feed_forward.w2": (f"{_TEXT}.layers.N.mlp.down_proj",),
    "vision_model.embeddings.class_embedding": (f"{_VISION}.embeddings.cls_token",),
    "vision_model.embeddings.position_embedding": (f"{_VISION}.embeddings.position_embeddings",),
    "vision_model.embeddings.patch_embedding": (f"{_VISION}.embeddings.patch_embeddings.projection",),
    "vision_model.encoder.layers.N.ls1": (f"{_VISION}.encoder.layer.N.lambda_1",),
    "vision_model.encoder.layers.N.ls2": (f"{_VISION}.encoder.layer.N.lambda_2",),
    "vision_model.encoder.layers.N.norm1": (f"{_VISION}.encoder.layer.N.layernorm_before",),
    "vision_model.encoder.layers.N.norm2": (f"{_VISION}.encoder.layer.N.layernorm_after",),
    "vision_model.encoder.layers.N.attn.qkv": tuple(f"{_VISION}.encoder.layer.N.attention.{x}_proj" for x in "qkv"),
    "vision_model.encoder.layers.N.attn.q_norm": (f"{_VISION}.encoder.layer.N.attention.q_norm",),
    "vision_model.encoder.layers.N.attn.k_norm": (f"{_VISION}.encoder.layer.N.attention.k_norm",),
    "vision_model.encoder.layers.N.attn.proj": (f"{_VISION}.encoder.layer.N.attention.projection_layer",),
    "vision_model.encoder.layers.N.mlp.fc1": (f"{_VISION}.encoder.layer.N.mlp.fc1",),
    "vision_model.encoder.layers.N.mlp.fc2": (f"{_VISION}.encoder.layer.N.mlp.fc2",),
    "mlp1.0": ("model.multi_modal_projector.layer_norm",),
    "mlp1.1": ("model.multi_modal_projector.linear_1",),
    "mlp1.3": ("model.multi_modal_projector.linear_2",),
}


def native_names(name: str) -> tuple[str, ...]:
    """What a parameter is called natively: three names where it is fused, none where it is unknown."""
    module, suffix = re.fullmatch(r"(.*?)(\.weight|\.bias)?", name).groups()  # type: ignore[union-attr]
    layer = re.search(r"\.layers\.(\d+)\.", module)
    known = re.sub(r"\.layers\.\d+\.", ".layers.N.", module)
    return tuple(
        native.replace(".N.", f".{layer[1]}." if layer else ".N.") + (suffix or "") for native in _NATIVE.get(known, ())
    )


def native_shapes(name: str, shape: Shape, heads: int, kv_heads: int) -> list[Shape]:
    """Shapes of the native tensors of a parameter, in the order of `native_names`."""
    if not shape:  # a single number, which no part of the native model is
        return [shape] * len(native_names(name))
    if ".attention.wqkv." in name:
        head = shape[0] // (heads + 2 * kv_heads)
        return [(rows * head, *shape[1:]) for rows in (heads, kv_heads, kv_heads)]
    if ".attn.qkv." in name:
        return [(shape[0] // 3, *shape[1:])] * 3
    return [shape]


def native_tensors(name: str, tensor: "Tensor", heads: int, kv_heads: int) -> "Mapping[str, Tensor]":
    """The native tensors of a parameter, by name.

    Args:
        heads, kv_heads: query heads of the language model, and its heads of keys and values.
    """
    if ".attention.wqkv." in name:
        # Query heads that share a key come with it: [kv, group + 2, head, ...]
        grouped = tensor.unflatten(0, (kv_heads, heads // kv_heads + 2, -1))
        parts = [grouped[:, :-2], grouped[:, -2], grouped[:, -1]]
        tensors = [part.reshape(-1, *tensor.shape[1:]).contiguous() for part in parts]
    elif ".attn.qkv." in name:
        tensors = [part.contiguous() for part in tensor.chunk(3)]
    else:
        tensors = [tensor]
    return dict(zip(native_names(name), tensors, strict=True))
