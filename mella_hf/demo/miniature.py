"""A miniature backbone: a Qwen2-VL with a few million parameters, built and trained on the spot.

It stands for a model that is good in English and poor in the other languages, so that the whole way from images to a
scored adapter runs on two CPU cores. It is of no other use, and its config says so.

An adapter cannot teach tokens that the backbone has never read. So the miniature also reads plain text in the
language, without images, as real backbones do. It gets tokens for it then, each of which it meets often enough.
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase, Qwen2VLForConditionalGeneration, Qwen2VLProcessor

NAME = "miniature-qwen2-vl"
IMAGE_SIDE = 84  # px; with 14 px patches merged two by two, 9 image tokens: one for each cell of a scene
PATCH = 14  # px, as in Qwen2-VL
VOCABULARY = 4096  # byte-level BPE tokens for English and one other language, at most
OFTEN = 12  # times that two tokens must stand side by side in the texts to become one
PRIVATE = 0xF0000  # the first code point of a private plane of Unicode

SPECIAL_TOKENS = {
    "pad": "<|endoftext|>",
    "turn_start": "<|im_start|>",
    "turn_end": "<|im_end|>",
    "vision_start": "<|vision_start|>",
    "vision_end": "<|vision_end|>",
    "vision": "<|vision_pad|>",
    "image": "<|image_pad|>",
    "video": "<|video_pad|>",
}

# Qwen2-VL's template without the system turn, which would be half of a sequence here.
CHAT_TEMPLATE = """{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content -%}
{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'text' %}{{ part.text }}{% endif %}
{%- endfor %}{% endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}"""


def train_tokenizer(texts: Iterable[str], vocabulary: int = VOCABULARY) -> "PreTrainedTokenizerBase":
    """Train a byte-level BPE tokenizer like Qwen2's on these texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=OFTEN,
        special_tokens=list(SPECIAL_TOKENS.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _qwen2(tokenizer)


def extend_tokenizer(
    tokenizer: "PreTrainedTokenizerBase", texts: Iterable[str], vocabulary: int = VOCABULARY
) -> "PreTrainedTokenizerBase":
    """Go on with the training of a tokenizer on other texts: new tokens after its own, which keep their numbers."""
    from tokenizers import Tokenizer, models, trainers

    state = json.loads(tokenizer.backend_tokenizer.to_str())
    known: dict[str, int] = state["model"]["vocab"]
    split, model = tokenizer.backend_tokenizer.pre_tokenizer, tokenizer.backend_tokenizer.model
    # BPE builds on single characters. So each known token stands as one, in a private plane of Unicode.
    words = (
        "".join(chr(PRIVATE + token.id) for token in model.tokenize(word))
        for text in texts
        for word, _ in split.pre_tokenize_str(text)
    )
    further = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, min_frequency=OFTEN, show_progress=False)
    further.train_from_iterator(words, trainer)
    spelled = {number: token for token, number in known.items()}
    for pair in json.loads(further.to_str())["model"]["merges"]:
        if len(known) >= vocabulary:
            break
        merge = ["".join(spelled[ord(character) - PRIVATE] for character in part) for part in pair]
        known.setdefault("".join(merge), len(known))
        state["model"]["merges"].append(merge)
    return _qwen2(Tokenizer.from_str(json.dumps(state)))


def _qwen2(tokenizer: "Tokenizer") -> "PreTrainedTokenizerBase":
    from transformers import Qwen2Tokenizer

    return Qwen2Tokenizer(
        tokenizer_object=tokenizer,
        eos_token=SPECIAL_TOKENS["turn_end"],
        pad_token=SPECIAL_TOKENS["pad"],
        additional_special_tokens=list(SPECIAL_TOKENS.values())[3:],
    )


def build_processor(tokenizer: "PreTrainedTokenizerBase", side: int = IMAGE_SIDE) -> "Qwen2VLProcessor":
    """Qwen2-VL's own processor, with every image resized to about `side`² pixels."""
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    size = {"shortest_edge": side * side, "longest_edge": side * side}
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=PATCH, size=size),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(patch_size=PATCH, size=size),
        chat_template=CHAT_TEMPLATE,
    )


def build_model(tokenizer: "PreTrainedTokenizerBase", seed: int = 0, **sizes: int) -> "Qwen2VLForConditionalGeneration":
    """A Qwen2-VL with random weights; `sizes` overrides hidden, layers, heads, vision_hidden, vision_layers."""
    from transformers import AutoModelForImageTextToText, Qwen2VLConfig, set_seed

    shape = {"hidden": 192, "layers": 4, "heads": 4, "vision_hidden": 128, "vision_layers": 3, **sizes}
    token = {name: tokenizer.get_vocab()[text] for name, text in SPECIAL_TOKENS.items()}
    set_seed(seed)
    config = Qwen2VLConfig(
        text_config={
            # The usual 0.02 suits models thirty times as wide. Here it would keep the logits so small that an
            # adapter, which cannot touch the embeddings, could never make a rare token likely.
            "initializer_range": shape["hidden"] ** -0.5,
            "vocab_size": len(tokenizer),
            "hidden_size": shape["hidden"],
            "intermediate_size": shape["hidden"] * 5 // 2,
            "num_hidden_layers": shape["layers"],
            "num_attention_heads": shape["heads"],
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": mrope_section(shape["hidden"] // shape["heads"]),
            },
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "initializer_range": shape["vision_hidden"] ** -0.5,
            "depth": shape["vision_layers"],
            "embed_dim": shape["vision_hidden"],
            "hidden_size": shape["hidden"],
            "num_heads": 4,
            "mlp_ratio": 2,
            "patch_size": PATCH,
        },
        tie_word_embeddings=True,
        image_token_id=token["image"],
        video_token_id=token["video"],
        vision_start_token_id=token["vision_start"],
        vision_end_token_id=token["vision_end"],
    )
    # The per-image loop of SDPA is slower than eager attention at 36 patches an image on a CPU.
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager")
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def mrope_section(head_size: int) -> list[int]:
    """Rotary pairs for time, height and width, in Qwen2-VL's proportion of 16 : 24 : 24."""
    pairs = head_size // 2
    side = pairs * 3 // 8
    return [pairs - 2 * side, side, side]
