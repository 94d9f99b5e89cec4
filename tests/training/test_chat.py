"""Conversations: TRL's prompt-completion format, prompts drawn by sample, lengths without decoding an image."""

from pathlib import Path
from typing import Any

from mella_hf.languages import get_language
from mella_hf.training.chat import conversations, draw_prompt, image_tokens, sequence_lengths


def test_prompts_are_drawn_by_sample_and_seed() -> None:
    draws = [draw_prompt("ar", "know", f"{i:064x}", seed=42) for i in range(400)]
    assert draws == [draw_prompt("ar", "know", f"{i:064x}", seed=42) for i in range(400)]
    assert set(draws) == set(get_language("ar").know_prompts)
    assert draws != [draw_prompt("ar", "know", f"{i:064x}", seed=43) for i in range(400)]


def test_a_sample_becomes_a_user_and_an_assistant_turn(make_rows: Any) -> None:
    rows = make_rows(3, language="ko", source="ling").with_transform(conversations(42))
    one = rows[1]
    assert one["prompt"][0]["role"] == "user"
    assert [part["type"] for part in one["prompt"][0]["content"]] == ["image", "text"]
    assert one["prompt"][0]["content"][1]["text"] in get_language("ko").ling_prompts
    assert one["completion"][0]["content"][0]["text"] == make_rows(3, language="ko", source="ling")[1]["text"]
    assert one["images"][0].mode == "RGB"


def test_lengths_are_those_of_the_collated_batch_but_for_the_template(make_rows: Any, tiny_qwen2vl: Path) -> None:
    from transformers import AutoProcessor
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    processor = AutoProcessor.from_pretrained(tiny_qwen2vl)
    rows = make_rows(8)
    lengths = sequence_lengths(rows, processor, 42)
    collator = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    turns = rows.with_transform(conversations(42))
    real = [int(collator([turns[i]])["attention_mask"].sum()) for i in range(8)]
    template = {r - n for r, n in zip(real, lengths, strict=True)}
    assert len(template) == 1, "the template adds the same number of tokens to every sample"


def test_image_tokens_follow_from_the_size(tiny_qwen2vl: Path) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(tiny_qwen2vl)
    # 28 px patches merged two by two: a token is 56 x 56 px.
    assert image_tokens(processor, [(112, 112), (224, 112), (224, 224)]) == [4, 8, 16]
