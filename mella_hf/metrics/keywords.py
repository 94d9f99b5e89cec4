"""An alt-text in, the names in it out: what an answer about the picture should say."""

from functools import lru_cache
from typing import Any

from mella_hf.languages import get_language
from mella_hf.metrics.text import analyze


@lru_cache(maxsize=1)
def _capitalised() -> Any:
    import regex

    return regex.compile(r"\p{Lu}[\p{L}\p{M}\p{N}]*(?:[ -]\p{Lu}[\p{L}\p{M}\p{N}]*)*")


def extract_keywords(text: str, language: str) -> list[str]:
    """Names in an alt-text, in order, each once."""
    entry = get_language(language)
    if entry.tokenizer == "kiwi":
        analysis = analyze(text, entry)
        found = [t for t, tag in zip(analysis.tokens, analysis.tags, strict=True) if tag == "NNP"]
    elif set(entry.scripts) & {"Latn", "Cyrl"}:
        found = _capitalised().findall(text)
    else:
        found = [w for w in analyze(text, entry).words if len(w) >= 4]
    return list(dict.fromkeys(found))
