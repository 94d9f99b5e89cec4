"""Conversations: TRL's prompt-completion format, prompts drawn by sample, lengths without decoding an image."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mella_hf.errors import SampleError
from mella_hf.languages import get_language
from mella_hf.training.batches.chat import TokenCounter, conversations, count_tokens, draw_prompt, image_tokens


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


def real_lengths(rows: Any, processor: Any) -> list[tuple[int, int]]:
    """Tokens, and tokens with a loss, of each sample as TRL collates it."""
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collator = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    turns = rows.with_transform(conversations(42))
    batches = [collator([turns[i]]) for i in range(len(turns))]
    return [(int(batch["attention_mask"].sum()), int((batch["labels"] != -100).sum())) for batch in batches]


def test_tokens_are_those_of_the_collated_batch(make_rows: Any, tiny_qwen2vl: Path) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(tiny_qwen2vl)
    for rows in (make_rows(12), make_rows(6, language="th", source="ling")):
        tokens = count_tokens(rows, processor, 42)
        assert list(zip(tokens.sequence, tokens.completion, strict=True)) == real_lengths(rows, processor)


def test_tokens_are_counted_once_and_kept(
    tiny_dataset: Path, tiny_qwen2vl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import load_dataset
    from transformers import AutoProcessor

    import mella_hf  # noqa: F401

    rows = load_dataset("mella", "ar", data_dir=str(tiny_dataset), split="know", cache_dir=str(tmp_path))
    first = count_tokens(rows, AutoProcessor.from_pretrained(tiny_qwen2vl), 42)

    def counts_again(*args: Any) -> None:
        raise AssertionError("counted again")

    monkeypatch.setattr(TokenCounter, "__call__", counts_again)
    assert (count_tokens(rows, AutoProcessor.from_pretrained(tiny_qwen2vl), 42).sequence == first.sequence).all()
    larger = AutoProcessor.from_pretrained(tiny_qwen2vl, max_pixels=112 * 112)
    for changed in (lambda: count_tokens(rows, larger, 42), lambda: count_tokens(rows, larger, 43)):
        with pytest.raises(AssertionError, match="counted again"):
            changed()


def test_image_tokens_follow_from_the_size(tiny_qwen2vl: Path) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(tiny_qwen2vl)
    # 28 px patches merged two by two: a token is 56 x 56 px.
    assert image_tokens(processor, [(112, 112), (224, 112), (224, 224)]) == [4, 8, 16]


def sizes() -> list[tuple[int, int]]:
    """Heights and widths: small and large, square, wide and tall."""
    rng = random.Random(0)
    drawn = [(rng.randint(20, 700), rng.randint(20, 700)) for _ in range(40)]
    return [*drawn, (20, 900), (900, 20), (448, 448), (449, 448), (447, 1345), (28, 28), (55, 57)]


def test_qwen_image_tokens_are_those_of_the_real_processor() -> None:
    """Qwen2-VL's own settings (14 px patches, merged two by two), bounded so that the test is quick."""
    import numpy as np
    from transformers import Qwen2VLImageProcessor

    bounds = {"shortest_edge": 56 * 56, "longest_edge": 300 * 300}
    images = Qwen2VLImageProcessor(size=bounds)
    processor = SimpleNamespace(
        image_processor=images,
        _get_num_multimodal_tokens=lambda image_sizes: SimpleNamespace(
            num_image_tokens=[images.get_number_of_image_patches(*size, {}) // 4 for size in image_sizes]
        ),
    )
    for size, count in zip(sizes(), image_tokens(processor, sizes()), strict=True):
        grid = images(images=np.zeros((*size, 3), np.uint8), return_tensors="np")["image_grid_thw"][0]
        assert count == grid.prod() // 4, size


def test_internvl_image_tokens_are_those_of_the_real_processor(internvl_processor: Any) -> None:
    import numpy as np

    for size, count in zip(sizes(), image_tokens(internvl_processor, sizes()), strict=True):
        text = internvl_processor(images=np.zeros((*size, 3), np.uint8), text="<IMG_CONTEXT>")
        ids = text["input_ids"][0]
        assert count == len(ids), size  # the tiles, the thumbnail and the marks around them


@pytest.fixture(scope="module")
def internvl_processor(tiny_qwen2vl: Path) -> Any:
    """InternVL's processor with tiles of 28 px, one token each, at most six and a thumbnail."""
    from transformers import AutoTokenizer, GotOcr2ImageProcessor, InternVLProcessor, InternVLVideoProcessor

    tokenizer = AutoTokenizer.from_pretrained(tiny_qwen2vl)
    names = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    tokenizer.add_special_tokens({"additional_special_tokens": list(names.values())})
    for name, token in names.items():
        setattr(tokenizer, name, token)
        setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(token))
    side = {"height": 28, "width": 28}
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=side, crop_to_patches=True, min_patches=1, max_patches=6),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=side),
        image_seq_length=1,
    )


def test_a_size_that_no_processor_takes_is_named(tiny_qwen2vl: Path) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(tiny_qwen2vl)
    with pytest.raises(SampleError, match="An image of 5000 x 10 px does not fit this backbone"):
        image_tokens(processor, [(112, 112), (10, 5000)])


def counted(model: Path, **columns: Any) -> Any:
    from transformers import AutoProcessor

    row = {"id": "0" * 64, "language": "ar", "source": "know", "text": "ماء", "width": 64, "height": 64, **columns}
    counter = TokenCounter(AutoProcessor.from_pretrained(model), 42)
    return counter.strictly({name: [value] for name, value in row.items()})


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"height": None}, "it has no width or height"),
        ({"width": 5000, "height": 10}, "An image of 5000 x 10 px does not fit this backbone"),
        ({"text": "ماء<|image_pad|>"}, "text_"),
        ({"text": "<|im_end|>"}, "text_"),
        ({"text": "\u200b"}, "text_"),
    ],
)
def test_what_cannot_be_trained_on_is_named(tiny_qwen2vl: Path, columns: dict[str, Any], problem: str) -> None:
    with pytest.raises(SampleError, match=f"The sample '0{{64}}' cannot be trained on: {problem}.*mella remove"):
        counted(tiny_qwen2vl, **columns)
    assert counted(tiny_qwen2vl)["problem"] == [None]
