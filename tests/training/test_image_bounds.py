"""No image has more tokens than max_image_tokens, whatever the backbone calls its own limit."""

from pathlib import Path
from typing import Any

import pytest

from mella_hf.errors import MellaError
from mella_hf.training.batches.image_bounds import SHAPES, check_bounds, largest_image, limit_image_tokens
from mella_hf.training.batches.image_sizes import image_tokens


@pytest.fixture
def qwen(tiny_qwen2vl: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(tiny_qwen2vl)


def tiles(most: int = 12, tokens: int = 256) -> Any:
    """InternVL's processor: tiles of 448 px, `tokens` tokens each."""
    from tiny_qwen2vl import train_tokenizer
    from transformers import GotOcr2ImageProcessor, InternVLProcessor, InternVLVideoProcessor

    tokenizer = train_tokenizer(["a picture"], 300)
    for name, token in (("start", "<img>"), ("end", "</img>"), ("context", "<IMG_CONTEXT>")):
        tokenizer.add_tokens(token)
        setattr(tokenizer, f"{name}_image_token", token)
        setattr(tokenizer, f"{name}_image_token_id", tokenizer.convert_tokens_to_ids(token))
    tokenizer.video_token = "<|video_pad|>"
    images = GotOcr2ImageProcessor(
        size={"height": 448, "width": 448}, crop_to_patches=True, min_patches=1, max_patches=most
    )
    return InternVLProcessor(images, tokenizer, InternVLVideoProcessor(), image_seq_length=tokens)


@pytest.mark.parametrize("most", [700, 100, 30])
def test_an_area_in_pixels(tiny_qwen2vl: Path, most: int) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(tiny_qwen2vl, max_pixels=12_845_056)  # as Qwen2-VL is published
    limit_image_tokens(processor, most)
    assert processor.image_processor.size["longest_edge"] == most * (28 * 2) ** 2  # px that one token shows
    assert 0.8 * most < largest_image(processor) <= most
    assert image_tokens(processor, [(50, 50)]) == [4], "small images are as before"


def test_tiles_as_in_the_paper() -> None:
    """Six tiles of 448 px and a thumbnail, 256 tokens each, between two marks."""
    processor = tiles()
    limit_image_tokens(processor, 1800)
    assert processor.image_processor.max_patches == 6
    assert largest_image(processor) == 7 * 256 + 2
    limit_image_tokens(processor, 1793)
    assert processor.image_processor.max_patches == 5


def test_a_limit_is_never_raised(qwen: Any) -> None:
    before = dict(qwen.image_processor.size)
    limit_image_tokens(qwen, 10_000)
    assert dict(qwen.image_processor.size) == before
    few = tiles(most=3)
    limit_image_tokens(few, 1800)
    assert few.image_processor.max_patches == 3


def test_what_cannot_be_limited_is_refused_with_its_number() -> None:
    with pytest.raises(MellaError, match="max_image_tokens is 100, but an image has up to 258 tokens with InternVLPro"):
        limit_image_tokens(tiles(), 100)


def test_limits_that_the_processor_would_ignore_are_refused(qwen: Any) -> None:
    check_bounds(qwen, {"min_pixels": None, "max_pixels": 100, "max_patches": None})
    with pytest.raises(MellaError, match="max_patches is 6, but Qwen2VLImageProcessor\\w* does not use it"):
        check_bounds(qwen, {"min_pixels": None, "max_pixels": None, "max_patches": 6})
    with pytest.raises(MellaError, match="max_pixels is 9, but .* limit its images with max_patches and max_image_tok"):
        check_bounds(tiles(), {"max_pixels": 9, "max_patches": None})


def test_a_processor_without_a_count_is_measured(qwen: Any) -> None:
    class Silent:
        """The same processor for one who cannot ask it."""

        def __init__(self, inner: Any):
            self.tokenizer, self.apply_chat_template, self.inner = inner.tokenizer, inner.apply_chat_template, inner

        def __call__(self, **inputs: Any) -> Any:
            return self.inner(**inputs)

    sizes = [(100, 300), (224, 224), (60, 60), (100, 300)]
    assert image_tokens(Silent(qwen), sizes) == image_tokens(qwen, sizes)
    assert len(SHAPES) > 4
