"""How many tokens images have, by their sizes, without decoding them."""

from collections.abc import Sequence
from typing import Any

from mella_hf.compat import counts_image_tokens, image_token_counts
from mella_hf.errors import SampleError


def image_tokens(processor: Any, sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Image tokens of images of (height, width) in pixels, without decoding them.

    Uses the processor's own function, which serving engines use too. Where it has none, a blank image of each size is
    processed.

    Raises:
        SampleError: for a size that the processor refuses, such as one side 200 times the other (Qwen-VL).
    """
    distinct = list(dict.fromkeys(sizes))
    count = image_token_counts if counts_image_tokens(processor) else _measured_counts
    try:
        counts = count(processor, distinct)
    except ValueError:
        for height, width in distinct:  # which of them it was
            try:
                count(processor, [(height, width)])
            except ValueError as error:
                raise SampleError(
                    f"An image of {width} x {height} px does not fit this backbone: {error}. Remove such samples."
                ) from error
        raise
    known = dict(zip(distinct, counts, strict=True))
    return [known[size] for size in sizes]


def _measured_counts(processor: Any, sizes: Sequence[tuple[int, int]]) -> list[int]:
    """The tokens that a blank image of each size has beyond its placeholder, and the placeholder."""
    from PIL import Image

    text = processor.apply_chat_template([{"role": "user", "content": [{"type": "image"}]}])
    alone = len(processor.tokenizer(text, add_special_tokens=False)["input_ids"])
    counts = []
    for height, width in sizes:
        image = Image.new("RGB", (width, height))
        ids = processor(text=[text], images=[[image]], add_special_tokens=False)["input_ids"]
        counts.append(len(ids[0]) - alone + 1)
    return counts
