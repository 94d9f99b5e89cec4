"""Caption metrics that treat each language by its own rules."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mella_hf.metrics.base import Metric, Score
    from mella_hf.metrics.comparison import compare
    from mella_hf.metrics.matching import keyword_hits
    from mella_hf.metrics.metric import ItemStatistics, MellaMetric
    from mella_hf.metrics.names.keywords import extract_keywords

__all__ = ["ItemStatistics", "MellaMetric", "Metric", "Score", "compare", "extract_keywords", "keyword_hits"]

_HOMES = {
    "ItemStatistics": "metric",
    "MellaMetric": "metric",
    "Metric": "base",
    "Score": "base",
    "compare": "comparison",
    "extract_keywords": "names.keywords",
    "keyword_hits": "matching",
}


def __getattr__(name: str) -> Any:
    """Public names on first use, so that importing the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
