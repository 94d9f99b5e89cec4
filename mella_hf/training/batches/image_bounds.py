"""Limit the tokens of an image, by the arguments that the backbone's own image processor takes.

Families limit their images in different ways: an area in pixels (Qwen-VL, GLM-V), a number of tiles (InternVL, Aya
Vision, Llama 3.2, MiniCPM-V, LFM2-VL), a longest side (Idefics3, SmolVLM, Pixtral), a number of tokens (Gemma 4), or
whether images are split at all (Idefics2); others always make the same number (Gemma 3, PaliGemma), or have their tiles
in the model's configuration (LLaVA-NeXT). `limit_image_tokens` finds the largest limit under which no image has more
tokens than asked for, by counting the tokens of images of many shapes.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from mella_hf.compat import counts_image_tokens
from mella_hf.errors import MellaError
from mella_hf.training.batches.image_sizes import image_tokens

# Arguments of image processors that count tiles or tokens; a processor of transformers takes one of them at most.
COUNTS = ("max_patches", "max_image_tiles", "max_slice_nums", "max_soft_tokens", "max_tiles", "max_crops")
GEMMA4_TOKENS = (1120, 560, 280, 140, 70)  # the values that Gemma 4's image processor takes
LONG = 4000  # pixels of the longer side of a large image
# Height and width of large images in many shapes, up to twelve to one: a strip can have more tiles than a square.
SHORT = [round(LONG / ratio) for ratio in (1, 4 / 3, 3 / 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)]
SHAPES = [(LONG, side) for side in SHORT] + [(side, LONG) for side in SHORT]
SETTINGS = ("min_pixels", "max_pixels", "max_patches")  # of ours that are passed on as they are


def check_bounds(processor: Any, settings: dict[str, int | None]) -> None:
    """Refuse a limit that the image processor does not take; it would ignore it silently.

    Args:
        settings: by name; None where one is not set.

    Raises:
        MellaError: names the setting and the arguments that would work.
    """
    taken = known_arguments(processor.image_processor)
    for name, value in settings.items():
        if value is not None and name not in taken:
            others = [other for other in SETTINGS if other in taken]
            raise MellaError(
                f"{name} is {value}, but {type(processor.image_processor).__name__} does not use it; limit its images "
                f"with {' and '.join([*others, 'max_image_tokens'])}."
            )


def known_arguments(image_processor: Any) -> set[str]:
    """The names of the arguments that an image processor takes."""
    kind = getattr(image_processor, "valid_kwargs", None)
    names: set[str] = set()
    for parent in getattr(kind, "__mro__", ()):
        names |= set(getattr(parent, "__annotations__", {}))
    return names | set(getattr(kind, "__annotations__", {}))


def limit_image_tokens(processor: Any, most: int) -> None:
    """Change the image processor's own limit so that no image has more than `most` tokens. It is never raised.

    Raises:
        MellaError: when the image processor cannot do it; says how many tokens its images have.
    """
    if largest_image(processor) <= most:
        return
    for keep, values in _limits(processor, most):
        for value in values:
            keep(value)
            if largest_image(processor) <= most:
                return
    raise MellaError(
        f"max_image_tokens is {most}, but an image has up to {largest_image(processor)} tokens with "
        f"{type(processor).__name__}, and {type(processor.image_processor).__name__} cannot make fewer. Raise "
        "max_image_tokens, or set it to null for the backbone's own limit."
    )


def largest_image(processor: Any) -> int:
    """The most tokens that an image of any of `SHAPES` has; of half their size where each must be processed."""
    half = [(height // 2, width // 2) for height, width in SHAPES]
    return max(image_tokens(processor, SHAPES if counts_image_tokens(processor) else half))


def _limits(processor: Any, most: int) -> Iterator[tuple[Callable[[Any], None], list[Any]]]:
    """Ways to limit images, each as a function that sets a value and the values to try, largest first."""
    images = processor.image_processor
    taken, size = known_arguments(images), dict(images.size or {})
    for name in COUNTS:
        default = getattr(images, name, None)
        if name in taken and isinstance(default, int):
            least = getattr(images, "min_tiles", 1) if name == "max_tiles" else 1
            steps = GEMMA4_TOKENS if name == "max_soft_tokens" else range(default - 1, least - 1, -1)
            yield partial(setattr, images, name), [step for step in steps if step < default]
    side, merged = getattr(images, "patch_size", None), getattr(images, "merge_size", None)
    if {"shortest_edge", "longest_edge"} <= set(size) and isinstance(side, int) and isinstance(merged, int):
        # GLM-V counts the pixels of all frames that make a patch, Qwen-VL those of one.
        area = (side * merged) ** 2 * (1 if "max_pixels" in taken else images.temporal_patch_size)
        least = min(size["shortest_edge"], most * area)
        yield _size_setter(images, shortest_edge=least), [number * area for number in range(most, 0, -1)]
    elif set(size) == {"longest_edge"}:
        step = getattr(images, "max_image_size", None)
        unit = int(step["longest_edge"]) if step else 28
        first = int(size["longest_edge"]) // unit
        yield _size_setter(images), [unit * number for number in range(first, 0, -1)]
    if getattr(images, "do_image_splitting", False):
        yield partial(setattr, images, "do_image_splitting"), [False]
    tokens = getattr(images, "max_image_tokens", None)
    if isinstance(tokens, int):
        yield partial(setattr, images, "max_image_tokens"), list(range(min(tokens, most), 0, -1))


def _size_setter(images: Any, **others: int) -> Callable[[Any], None]:
    def keep(longest: int) -> None:
        images.size = {**others, "longest_edge": longest}

    return keep
