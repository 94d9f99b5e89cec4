"""Find names by the rules of the language, or by a model that the user names."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mella_hf.version import __version__

RULES = "rules"  # what users write for the rules

Finder = Callable[[Sequence[str]], list[list[str]]]


def names_finder(name: str, language: str) -> Finder:
    """The function that finds the names of each of some texts.

    Args:
        name: "rules", or a token-classification model of transformers: a folder or an id on the Hub.
        language: what the texts are in; a model decides for itself.

    Raises:
        MellaError, MissingExtraError: for a model that cannot be loaded.
    """
    if name != RULES:
        from mella_hf.metrics.names.recogniser import Recogniser

        return Recogniser(name).names
    return partial(_by_rules, language)


def finder_title(name: str) -> str:
    """The name of a finder for the column `keywords_by`; of a folder only its last part, because paths are private."""
    if name == RULES:
        return f"rules-{__version__}"
    return f"ner:{Path(name).name if Path(name).is_dir() else name}"


def _by_rules(language: str, texts: Sequence[str]) -> list[list[str]]:
    from mella_hf.metrics.names.keywords import extract_keywords

    return [extract_keywords(text, language) for text in texts]
