"""Metadata of a language's tasks, as an attribute that YAML can name (`version.ar`).

A task's version is the signature of its scores. lmms-eval writes it beside them: scores of different versions are not
comparable.
"""

from mella_hf.languages import all_codes
from mella_hf.metrics import MellaMetric


def __getattr__(name: str) -> dict[str, str]:
    """The metadata of a language's tasks. Raises AttributeError for an unknown language."""
    if name not in all_codes():
        raise AttributeError(f"module {__name__!r} has no language {name!r}")
    return {"version": MellaMetric(name).signature}
