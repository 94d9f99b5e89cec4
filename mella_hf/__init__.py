"""MELLA: image-text data, training and evaluation for vision-language models in low-resource languages.

Importing this package makes "mella" known to `datasets.load_dataset` and imports nothing heavy: the public
names below are fetched from their modules when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mella_hf.dataset.register import register as _register
from mella_hf.version import __version__

# Public name -> its module, and its name there.
_HOMES = {
    "Language": ("mella_hf.languages", "Language"),
    "LengthBuckets": ("mella_hf.training.batches.batching", "LengthBuckets"),
    "MellaError": ("mella_hf.errors", "MellaError"),
    "MellaMetric": ("mella_hf.metrics", "MellaMetric"),
    "MellaTrainer": ("mella_hf.training.trainer", "MellaTrainer"),
    "build_dataset": ("mella_hf.api", "build_dataset"),
    "collect": ("mella_hf.api", "collect"),
    "conversations": ("mella_hf.training.batches.chat", "conversations"),
    "dataset_info": ("mella_hf.dataset.info", "dataset_info"),
    "describe": ("mella_hf.api", "describe"),
    "evaluate": ("mella_hf.evaluation.evaluate", "evaluate"),
    "get_language": ("mella_hf.languages", "get_language"),
    "language_codes": ("mella_hf.languages", "language_codes"),
    "make_sample": ("mella_hf.sample", "make_sample"),
    "publish": ("mella_hf.dataset.publish", "publish_dataset"),
    "push_adapter": ("mella_hf.hub.push", "push_adapter"),
    "register_language": ("mella_hf.languages", "register"),
    "report": ("mella_hf.api", "report"),
    "review": ("mella_hf.reviewing.opening", "review"),
    "train": ("mella_hf.api", "train"),
    "write_split": ("mella_hf.dataset.write", "write_split"),
}
__all__ = [
    "Language",
    "LengthBuckets",
    "MellaError",
    "MellaMetric",
    "MellaTrainer",
    "__version__",
    "build_dataset",
    "collect",
    "conversations",
    "dataset_info",
    "describe",
    "evaluate",
    "get_language",
    "language_codes",
    "make_sample",
    "publish",
    "push_adapter",
    "register_language",
    "report",
    "review",
    "train",
    "write_split",
]

if TYPE_CHECKING:
    from mella_hf.api import build_dataset, collect, describe, report, train
    from mella_hf.dataset.info import dataset_info
    from mella_hf.dataset.publish import publish_dataset as publish
    from mella_hf.dataset.write import write_split
    from mella_hf.errors import MellaError
    from mella_hf.evaluation.evaluate import evaluate
    from mella_hf.hub.push import push_adapter
    from mella_hf.languages import Language, get_language, language_codes
    from mella_hf.languages import register as register_language
    from mella_hf.metrics import MellaMetric
    from mella_hf.reviewing.opening import review
    from mella_hf.sample import make_sample
    from mella_hf.training.batches.batching import LengthBuckets
    from mella_hf.training.batches.chat import conversations
    from mella_hf.training.trainer import MellaTrainer


def __getattr__(name: str) -> Any:
    """Fetch a public name from its module, at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, there = _HOMES[name]
    value = getattr(import_module(home), there)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, fetched or not."""
    return sorted(__all__)


_register()
