"""Find out what a processor can do by asking the processor, not a list of models."""

import inspect
from typing import Any

from mella_hf.errors import MellaError

# For models that were trained on an image and a text, without turns.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}<image>{% elif part.type == 'text' %}"
    "{{ part.text }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
)


def takes_suffix(processor: Any) -> bool:
    """Whether it takes answers as `suffix` and ends them itself (PaliGemma)."""
    named = inspect.signature(type(processor).__call__).parameters
    # PaliGemma's own takes it among `kwargs` in older versions of transformers.
    return "suffix" in named or type(processor).__name__ == "PaliGemmaProcessor"


def has_cross_attention(processor: Any) -> bool:
    """Whether it says which tokens see which image: prompt and answer must be processed together (Llama 3.2)."""
    return "cross_attention_mask" in processor.model_input_names


def with_template(processor: Any, name: str) -> Any:
    """The processor, with a chat template: its own, or else its tokenizer's.

    Raises:
        MellaError: if it has none and is not of a family that is trained without turns.
    """
    if processor.chat_template is None and takes_suffix(processor):
        processor.chat_template = PLAIN_TEMPLATE
    if processor.chat_template is None:
        kept = processor.tokenizer.chat_template  # in tokenizer_config.json; a mapping where it has several
        processor.chat_template = kept.get("default") if isinstance(kept, dict) else kept
    if not processor.chat_template:
        raise MellaError(
            f"The processor of {name!r} has no chat template, so it is not known how a question is put to this model. "
            "Choose a checkpoint that was tuned on conversations, such as one whose name ends in -Instruct or -it."
        )
    return processor
