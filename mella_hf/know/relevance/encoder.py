"""A dual encoder of transformers: images and texts as vectors of one space."""

import os
import re
from collections.abc import Callable, Sequence
from multiprocessing import current_process, parent_process
from typing import TYPE_CHECKING, Any

import numpy as np

from mella_hf.answers.identity import content_hash, model_name
from mella_hf.errors import MellaError
from mella_hf.hub_errors import hub_errors

if TYPE_CHECKING:
    from PIL.Image import Image

_SIGLIP = ("siglip", "siglip2")  # model types; their texts are padded to one length and in lower case
_LONGEST = 512  # tokens of a text, where neither tokenizer nor model names a limit


class DualEncoder:
    """Any checkpoint that has `get_image_features` and `get_text_features`: SigLIP, SigLIP 2, CLIP, Chinese-CLIP, ...

    Args:
        model: Hub id or folder.
        device: "cuda", "cpu", ...; by default a GPU, if there is one: of several, each worker process takes another.

    Raises:
        MellaError: the checkpoint does not load, or is not a dual encoder.
    """

    def __init__(self, model: str, device: str | None = None):
        import torch
        from transformers import AutoModel, AutoProcessor

        self._torch = torch
        self.device = device or default_device()
        with hub_errors(model, "read the encoder"):
            made: Any = AutoModel.from_pretrained(model, dtype=torch.float32)
            self._processor: Any = AutoProcessor.from_pretrained(model)
        parts = [hasattr(made, f"get_{kind}_features") for kind in ("image", "text")]
        parts += [hasattr(self._processor, kind) for kind in ("image_processor", "tokenizer")]
        if not all(parts):
            raise MellaError(
                f"{model!r} ({type(made).__name__}) is not a dual encoder of images and texts; "
                "give one such as google/siglip2-base-patch16-256."
            )
        self._model = made.to(self.device).eval()
        self._lower = made.config.model_type in _SIGLIP
        tokenizer = self._processor.tokenizer
        tokenizer.padding_side = tokenizer.truncation_side = "right"  # else a text's vector depends on its batch
        self._longest = min(tokenizer.model_max_length, _positions(made), _LONGEST)
        size = self._processor.image_processor.size
        self.side = max((value for value in dict(size or {}).values() if isinstance(value, int)), default=512)
        self._require_one_space(model)

    def _require_one_space(self, model: str) -> None:
        """Raise MellaError unless an image and a text get a vector each, of one length."""
        from PIL import Image

        try:
            shapes = [self.images([Image.new("RGB", (64, 64))]).shape, self.texts(["a"]).shape]
        except self._torch.OutOfMemoryError:
            raise
        except Exception as error:  # any: a model that wants more than an image or a text fails in its own way
            why = " ".join(str(error).split())[:200]
            raise MellaError(
                f"{model!r} ({type(self._model).__name__}) cannot encode an image and a text by themselves: "
                f"{type(error).__name__}: {why}. Give another, such as google/siglip2-base-patch16-256."
            ) from error
        if len(shapes[0]) != 2 or shapes[0] != shapes[1]:
            raise MellaError(
                f"{model!r} ({type(self._model).__name__}) does not put images and texts into one space: its vectors "
                f"are {shapes[0][1:]} and {shapes[1][1:]} long. Give one such as google/siglip2-base-patch16-256."
            )

    def images(self, images: "Sequence[Image]") -> np.ndarray:
        """Vectors of unit length, [N, D]; NaN where the model gives none."""
        return self._encoded(
            self._model.get_image_features,
            lambda some: self._processor.image_processor(images=some, return_tensors="pt"),
            list(images),
        )

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of unit length, [N, D]. What is longer than the model reads is cut off."""

        def tokens(some: list[str]) -> Any:
            padding = "max_length" if self._lower else True
            return self._processor.tokenizer(
                some, padding=padding, truncation=True, max_length=self._longest, return_tensors="pt"
            )

        return self._encoded(
            self._model.get_text_features, tokens, [text.lower() if self._lower else text for text in texts]
        )

    def _encoded(self, features: Callable[..., Any], inputs: Callable[[list[Any]], Any], values: list[Any]) -> Any:
        """Encode a batch; where memory does not suffice, in halves."""
        torch = self._torch
        try:
            with torch.inference_mode():
                found = features(**inputs(values).to(self.device))
        except torch.OutOfMemoryError:
            if len(values) == 1:
                raise
            torch.cuda.empty_cache()
            half = len(values) // 2
            return np.concatenate([self._encoded(features, inputs, part) for part in (values[:half], values[half:])])
        vectors = getattr(found, "pooler_output", found)
        return torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()


def _positions(model: Any) -> int:
    """Tokens of a text that a model has positions for; those of RoBERTa's kind begin behind the padding's."""
    most = getattr(model.config.get_text_config(), "max_position_embeddings", _LONGEST)
    names = ((name, module) for name, module in model.named_modules() if name.endswith("position_embeddings"))
    padding = (getattr(module, "padding_idx", None) for _, module in names)
    return int(most) - max((number + 1 for number in padding if number is not None), default=0)


def default_device() -> str:
    """A GPU of this process's own, or the CPU."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    number = re.search(r"-(\d+)$", current_process().name)  # of a pool: SpawnProcess-1, -2, ...
    return f"cuda:{(int(number[1]) - 1) % torch.cuda.device_count() if number else 0}"


def default_workers() -> int | None:
    """Processes that encode: one a GPU; None, the number of cores, without."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else None


def share_cores(processes: int | None) -> None:
    """In a worker process, use no more threads than its share of the cores."""
    import torch

    if parent_process() is not None:
        cores = os.cpu_count() or 1
        torch.set_num_threads(max(1, cores // (processes or cores)))


def encoder_name(model: str) -> str:
    """A checkpoint's name and the beginning of its content's hash, for the column `relevance_model`.

    Raises:
        MellaError: it is neither a folder nor on the Hub.
    """
    return f"{model_name(model)} {content_hash(model)[:12]}"
