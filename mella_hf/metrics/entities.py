"""Split the names in a text into those that other texts support and those that they do not."""

from collections.abc import Sequence

from mella_hf.languages import get_language
from mella_hf.metrics.matching import contains
from mella_hf.metrics.names.frequencies import DocumentFrequencies
from mella_hf.metrics.names.keywords import extract_keywords
from mella_hf.text.tokens import analyze


def named_and_unsupported(
    text: str, support: Sequence[str], language: str, frequencies: DocumentFrequencies | None = None
) -> tuple[list[str], list[str]]:
    """The names in a text, and those of them that no supporting text has, in order, each once.

    Names are compared as keywords are: a case ending or an article makes no difference.

    Raises:
        UnknownLanguageError: for an unknown code.
        MissingExtraError: if the language's tokenizer or the gazetteer is not installed.
    """
    entry = get_language(language)
    named = extract_keywords(text, language, frequencies)
    texts = [analyze(one, entry) for one in support] if named else []
    return named, [name for name in named if not any(contains(one, entry.normalizer(name)) for one in texts)]
