"""Read the codes of languages that a user names, in one grammar for every command and function."""

from collections.abc import Iterable, Sequence

from mella_hf.errors import MellaError
from mella_hf.languages import get_language, language_codes

ALL = "all"


def read_codes(languages: str | Iterable[str], every: Sequence[str] | None = None) -> tuple[str, ...]:
    """The codes that are named, each once, in the order in which they are named.

    Args:
        languages: codes parted by commas or spaces, such as "ar,cs" or "ar cs"; "all" for every language; or a
            sequence of such texts, such as ["ar", "cs"].
        every: the codes that "all" means; by default those with prompts by speakers, and your own.

    Raises:
        MellaError: when no language is named, or a code is not a text.
        UnknownLanguageError: for a code without an entry; the message names it.
    """
    texts = [languages] if isinstance(languages, str) else list(languages)
    wrong = [text for text in texts if not isinstance(text, str)]
    if wrong:
        raise MellaError(f"languages has {wrong[0]!r}, which is not a text; give codes, as in 'ar,cs' or ['ar', 'cs'].")
    parts = [text.replace(",", " ").split() for text in texts]
    if not parts or [] in parts:
        raise MellaError(f"No language is named: languages is {languages!r}. Give codes, as in 'ar,cs', or 'all'.")
    named = [code for part in parts for code in part]
    codes = (language_codes() if every is None else every) if ALL in named else named
    return tuple(get_language(code).code for code in dict.fromkeys(codes))
