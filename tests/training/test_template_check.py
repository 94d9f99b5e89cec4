"""A chat template that would spoil a run is refused at the start, with what it writes."""

from collections.abc import Callable
from typing import Any

import pytest
from tiny_backbones import MODEL_TYPES, TYPES

from mella_hf.answers.generate import stop_token_ids
from mella_hf.answers.processors import with_template
from mella_hf.errors import MellaError
from mella_hf.training.batches.collating import collator_for
from mella_hf.training.template_check import check_template


def check(model: Any, processor: Any) -> None:
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collate = collator_for(processor) or DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    check_template(collate, processor, stop_token_ids(model, processor), "org/base")


@pytest.mark.parametrize("name", TYPES)
def test_real_processors_pass(name: str) -> None:
    from transformers import CONFIG_MAPPING

    if MODEL_TYPES.get(name, name) not in CONFIG_MAPPING:
        pytest.skip(f"this version of transformers has no {name}")
    model, processor = TYPES[name]()
    check(model, with_template(processor, name))


def spoilt(change: Callable[[str], str], name: str = "qwen2_vl") -> tuple[Any, Any]:
    model, processor = TYPES[name]()
    processor.chat_template = change(processor.chat_template)
    return model, processor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("<|vision_start|><|image_pad|><|vision_end|>", ""), "leaves out the image: it writes '<"),
        (
            lambda t: t.replace("<|im_end|>", ""),
            r"writes .* for a whole answer, without any of '<\|im_end\|>'; the model would",
        ),
        (
            lambda t: t + "{% if add_generation_prompt %}<think>{% endif %}",
            "opens an answer with '<think>', but writes",
        ),
        (
            lambda t: "{{ raise_exception('only a system turn comes first') }}" + t,
            "fails on a question .*only a system",
        ),
        (lambda t: "{{ messages[0].content + '' }}" + t, "fails on a question about an image"),
        (
            lambda t: t.replace("{{ part.text }}", "{{ part.text | upper }}"),
            "puts 'A HOUSE.* where the answer 'A house",
        ),
    ],
)
def test_a_spoilt_template(change: Callable[[str], str], message: str) -> None:
    with pytest.raises(MellaError, match=f"The chat template of 'org/base' {message}"):
        check(*spoilt(change))


def test_the_first_token_comes_once() -> None:
    with pytest.raises(MellaError, match="writes the first token, '<bos>', 2 times"):
        check(*spoilt(lambda t: "<bos>" + t, "gemma3"))


def test_a_prompt_that_differs_when_asked() -> None:
    """A tokenizer that sets a first token by itself, and a template that does not."""
    from tokenizers.processors import TemplateProcessing

    model, processor = spoilt(lambda t: t.replace("<bos>", ""), "gemma3")
    tokenizer = processor.tokenizer
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", tokenizer.bos_token_id)]
    )
    with pytest.raises(MellaError, match="gives the prompt '<start_of_turn>user.* in training, but '<bos><start_of"):
        check(model, processor)


def test_a_model_without_turns() -> None:
    _, processor = TYPES["paligemma"]()
    assert with_template(processor, "x").chat_template.startswith("{% for message")
    _, bare = spoilt(lambda t: t)
    bare.chat_template = None
    with pytest.raises(MellaError, match="The processor of 'org/base' has no chat template"):
        with_template(bare, "org/base")
