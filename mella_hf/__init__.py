"""MELLA: image-text data, training and evaluation for vision-language models in low-resource languages.

Importing this package makes "mella" known to `datasets.load_dataset` and imports nothing heavy: the public
names below are fetched from their modules when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mella_hf.dataset.register import register as _register

__version__ = "0.1.0"

_HOMES = {
    "Language": "mella_hf.languages",
    "MellaError": "mella_hf.errors",
    "MellaMetric": "mella_hf.metrics",
    "get_language": "mella_hf.languages",
    "language_codes": "mella_hf.languages",
    "make_sample": "mella_hf.sample",
    "register_language": "mella_hf.languages",
    "write_split": "mella_hf.dataset.write",
}
_RENAMED = {"register_language": "register"}
__all__ = [
    "Language",
    "MellaError",
    "MellaMetric",
    "__version__",
    "get_language",
    "language_codes",
    "make_sample",
    "register_language",
    "write_split",
]

if TYPE_CHECKING:
    from mella_hf.dataset.write import write_split
    from mella_hf.errors import MellaError
    from mella_hf.languages import Language, get_language, language_codes
    from mella_hf.languages import register as register_language
    from mella_hf.metrics import MellaMetric
    from mella_hf.sample import make_sample


def __getattr__(name: str) -> Any:
    """Fetch a public name from its module, at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), _RENAMED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, fetched or not."""
    return sorted({*globals(), *__all__})


_register()
