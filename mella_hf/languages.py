"""One `Language` per code: all that the stages know about a language, in one entry.

Adding a language is adding one entry here (or calling `register` from your own code).
"""

from collections.abc import Callable
from dataclasses import dataclass

from mella_hf.errors import MellaError, UnknownLanguageError
from mella_hf.normalize import (
    normalize_arabic,
    normalize_korean,
    normalize_russian,
    normalize_serbian,
    normalize_text,
    normalize_thai,
    normalize_vietnamese,
)


@dataclass(frozen=True)
class Language:
    """What the stages need to know about a language.

    Attributes:
        code: ISO 639-1 code; also the dataset's config name.
        name: English name.
        native_name: the language's name for itself.
        scripts: ISO 15924 codes of the scripts that its texts are written in, the usual one first.
        rtl: whether text runs from right to left.
        normalizer: str -> str, idempotent; what metrics apply before they compare texts.
        tokenizer: "words" (Unicode words), "kiwi" (Korean morphemes) or "newmm" (Thai words).
        stemmer: name of the Snowball algorithm in PyStemmer, or None where there is none.
        lid: labels of a language identifier that count as this language.
        know_prompts: user turns that ask for the alt-text; the first is the test prompt.
        ling_prompts: user turns that ask for a description; the first is the test prompt,
            the language's "Describe this picture." (paper, evaluation settings).
    """

    code: str
    name: str
    native_name: str
    scripts: tuple[str, ...]
    know_prompts: tuple[str, ...]
    ling_prompts: tuple[str, ...]
    rtl: bool = False
    normalizer: Callable[[str], str] = normalize_text
    tokenizer: str = "words"
    stemmer: str | None = None
    lid: frozenset[str] = frozenset()

    def prompts(self, source: str) -> tuple[str, ...]:
        """The user turns of a source (`know` or `ling`)."""
        if source not in ("know", "ling"):
            raise MellaError(f"Unknown source {source!r}; choose 'know' or 'ling'.")
        return self.know_prompts if source == "know" else self.ling_prompts

    def test_prompt(self, source: str) -> str:
        """The one user turn that evaluation uses for a source."""
        return self.prompts(source)[0]


_LANGUAGES: dict[str, Language] = {}


def register(language: Language) -> Language:
    """Add a language, so that every stage knows it. Raises MellaError if the code is taken."""
    if language.code in _LANGUAGES:
        raise MellaError(f"The language code {language.code!r} is registered already; choose another code.")
    _LANGUAGES[language.code] = language
    return language


def get_language(code: str) -> Language:
    """The entry of a code. Raises UnknownLanguageError, naming the known codes."""
    if code not in _LANGUAGES:
        raise UnknownLanguageError(
            f"Unknown language {code!r}; choose one of {', '.join(language_codes())}, "
            "or add an entry to mella_hf/languages.py (see CONTRIBUTING.md, 'How to add a language')."
        )
    return _LANGUAGES[code]


def language_codes() -> list[str]:
    """The codes of all registered languages, in alphabetical order."""
    return sorted(_LANGUAGES)


register(
    Language(
        code="ar",
        name="Arabic",
        native_name="العربية",
        scripts=("Arab",),
        rtl=True,
        normalizer=normalize_arabic,
        stemmer="arabic",
        lid=frozenset({"ar"}),
        know_prompts=("ما هذا؟",),
        ling_prompts=("صف هذه الصورة.",),
    )
)
register(
    Language(
        code="cs",
        name="Czech",
        native_name="čeština",
        scripts=("Latn",),
        stemmer="czech",
        lid=frozenset({"cs"}),
        know_prompts=("Co je to?",),
        ling_prompts=("Popiš tento obrázek.",),
    )
)
register(
    Language(
        code="hu",
        name="Hungarian",
        native_name="magyar",
        scripts=("Latn",),
        stemmer="hungarian",
        lid=frozenset({"hu"}),
        know_prompts=("Mi ez?",),
        ling_prompts=("Írd le ezt a képet.",),
    )
)
register(
    Language(
        code="ko",
        name="Korean",
        native_name="한국어",
        scripts=("Hang",),
        normalizer=normalize_korean,
        tokenizer="kiwi",
        lid=frozenset({"ko"}),
        know_prompts=("이것은 무엇입니까?",),
        ling_prompts=("이 사진을 설명해 주세요.",),
    )
)
register(
    Language(
        code="ru",
        name="Russian",
        native_name="русский",
        scripts=("Cyrl",),
        normalizer=normalize_russian,
        stemmer="russian",
        lid=frozenset({"ru"}),
        know_prompts=("Что это?",),
        ling_prompts=("Опиши эту картинку.",),
    )
)
register(
    Language(
        code="sr",
        name="Serbian",
        native_name="српски",
        scripts=("Cyrl", "Latn"),
        normalizer=normalize_serbian,
        stemmer="serbian",
        lid=frozenset({"sr"}),
        know_prompts=("Шта је ово?",),
        ling_prompts=("Опиши ову слику.",),
    )
)
register(
    Language(
        code="th",
        name="Thai",
        native_name="ไทย",
        scripts=("Thai",),
        normalizer=normalize_thai,
        tokenizer="newmm",
        lid=frozenset({"th"}),
        know_prompts=("นี่คืออะไร",),
        ling_prompts=("อธิบายภาพนี้",),
    )
)
register(
    Language(
        code="vi",
        name="Vietnamese",
        native_name="Tiếng Việt",
        scripts=("Latn",),
        normalizer=normalize_vietnamese,
        lid=frozenset({"vi"}),
        know_prompts=("Đây là gì?",),
        ling_prompts=("Hãy mô tả bức ảnh này.",),
    )
)
