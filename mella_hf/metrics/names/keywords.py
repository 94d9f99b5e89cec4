"""Extract the names in an alt-text: what an answer about the picture should mention.

Rules only, no model; each rule finds what its language marks. Capitalised spans (Czech, Hungarian, Russian, Serbian,
Vietnamese and others), where the first word of a sentence counts if the spelling dictionary has it only with a capital
or not at all; Kiwi's proper nouns (Korean), quoted names, Latin-script names in other scripts, places from a gazetteer,
words that the Thai dictionary lacks, words that are not everyday words (Arabic: mostly foreign names), and, if a corpus
is given, words that are rare in it. Words that very many alt-texts contain (photo, view) are not keywords.
"""

from mella_hf.languages import Language, get_language
from mella_hf.metrics.names.capitals import capitalised_names
from mella_hf.metrics.names.caseless import caseless_names
from mella_hf.metrics.names.customs import customs
from mella_hf.metrics.names.frequencies import DocumentFrequencies
from mella_hf.metrics.names.korean import korean_names
from mella_hf.metrics.names.spans import Span, latin, outermost, patterns, quoted
from mella_hf.text.tokens import analyze


def extract_keywords(text: str, language: str | Language, frequencies: DocumentFrequencies | None = None) -> list[str]:
    """Extract the names in an alt-text, as written there, in order, each once.

    Args:
        language: its code or its entry.
        frequencies: document frequencies of the alt-text's corpus; they improve the rules if it is large enough.

    Raises:
        UnknownLanguageError: for a code without an entry.
        MissingExtraError: when the language's tokenizer or the gazetteer is not installed.
    """
    entry = get_language(language) if isinstance(language, str) else language
    if entry.names == "none":
        return []
    spans = [*quoted(text, entry.names == "capitals"), *customs(text, entry)]
    if entry.names == "kiwi":
        spans += [*latin(text, entry), *korean_names(text, entry)]
    elif entry.names == "newmm":
        from mella_hf.metrics.names.thai_text import names_in_thai

        spans += [*latin(text, entry), *names_in_thai(text, entry)]
    elif entry.names == "capitals" and any(map(str.isupper, text)):
        spans += capitalised_names(text, entry, frequencies)
    elif entry.names == "rare":
        words = list(patterns()["word"].finditer(text))
        is_rare = _never if frequencies is None else frequencies.is_rare
        spans += [*latin(text, entry), *(Span(*place) for place in caseless_names(text, words, entry, is_rare))]
    names: dict[str, str] = {}
    for span in outermost(spans):
        name = text[span.start : span.end].strip(" -–—.,:;!?")
        normalized = entry.normalizer(name)
        if not any(map(str.isalnum, normalized)):  # punctuation alone
            continue
        if frequencies is not None and frequencies.is_common(analyze(name, entry).words):
            continue
        names.setdefault(normalized, name)
    return list(names.values())


def _never(word: str) -> bool:
    return False
