"""`Language`: all that the stages know about one language."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from mella_hf.errors import MellaError
from mella_hf.languages.naming import Naming
from mella_hf.languages.normalize import normalize_text
from mella_hf.languages.scripts import icu_has_words, is_unspaced, unicode_scripts
from mella_hf.languages.sources import own_scripts

TOKENIZERS = ("words", "icu", "kiwi", "newmm", "none")
NAMES = ("capitals", "kiwi", "newmm", "rare", "none")
PROMPTS_BY = ("speaker", "draft", "english")
_CODE = re.compile(r"[a-z]{2,8}(?:[_-][A-Za-z0-9]{2,8})*")
_RESERVED = frozenset({"all"})  # the dataset's config of all languages


@dataclass(frozen=True)
class Language:
    """What the stages need to know about a language.

    `get_language` makes the entry of every language that Unicode CLDR names pictures in; a file or your own code
    says what a person must decide. Where you call the class yourself, only the first six fields are needed.

    Attributes:
        code: ISO 639 code; also the dataset's config name.
        name: English name.
        native_name: the language's name for itself.
        scripts: ISO 15924 codes of the scripts that its texts are written in, the usual one first.
        know_prompts: user turns that ask for the alt-text; the first is the test prompt.
        ling_prompts: user turns that ask for a description; the first is the test prompt,
            the language's "Describe this picture." (paper, evaluation settings).
        rtl: whether text runs from right to left.
        normalizer: str -> str, idempotent; what metrics apply before they compare texts.
        tokenizer: "words" (Unicode words), "icu" (ICU's dictionaries), "kiwi" (Korean morphemes), "newmm" (Thai
            words) or "none": no right one is known, and the metric refuses the language. By default what fits the
            first script.
        stemmer: name of the Snowball algorithm in PyStemmer, or None where there is none.
        lid: labels of a language identifier that count as this language.
        translation: (service, the service's code of this language) for every translation service of
            `mella_hf.ling.translators.services` that covers it, the preferred one first.
        siblings: labels of languages that short strings do not tell from this one.
        declared_as: other codes that pages give for this language ("sh" for Serbian).
        domains: top-level domains whose pages are taken for this language where they declare none.
        letters: the letters it is written with, beyond a-z; any other of the same script hints at a neighbour.
        foreign_letters: letters that it never writes, but a neighbour does.
        boilerplate: whole alt-texts that only say what kind of file or button this is.
        advertising: regular expressions of texts that sell.
        names: how names are found in an alt-text: "capitals", "kiwi", "newmm", "rare" (words that nobody says every
            day) or "none". By default what fits the language.
        naming: the words and endings by which names are told, where `names` is "capitals".
        prompts_by: who wrote the prompts: "speaker", "draft" (a machine) or "english" (they are in English).
        notes: what users of the language should know.

    Raises:
        MellaError: on a code, script, tokenizer or prompts that no stage could use.
    """

    code: str
    name: str
    native_name: str
    scripts: tuple[str, ...]
    know_prompts: tuple[str, ...] = field(hash=False)
    ling_prompts: tuple[str, ...] = field(hash=False)
    rtl: bool = False
    normalizer: Callable[[str], str] = normalize_text
    tokenizer: str = ""
    stemmer: str | None = None
    lid: frozenset[str] = frozenset()
    translation: tuple[tuple[str, str], ...] = field(default=(), hash=False)
    siblings: frozenset[str] = frozenset()
    declared_as: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    letters: str = field(default="", hash=False)
    foreign_letters: str = field(default="", hash=False)
    boilerplate: tuple[str, ...] = field(default=(), hash=False)
    advertising: tuple[str, ...] = field(default=(), hash=False)
    names: str = ""
    naming: Naming = field(default=Naming(), hash=False)
    prompts_by: str = "speaker"
    notes: str = field(default="", hash=False)

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(self.code) or self.code in _RESERVED:
            raise MellaError(f"The language code {self.code!r} cannot be used; give one of ISO 639, such as 'yo'.")
        if not self.scripts:
            raise self._fault("names no script", "give `scripts`, the usual one first, such as Latn")
        for script in self.scripts:
            unicode_scripts(script)
        if not self.tokenizer:
            object.__setattr__(self, "tokenizer", default_tokenizer(self.code, self.scripts[0]))
        if not self.names:
            object.__setattr__(self, "names", default_names(self))
        for value, known in ((self.tokenizer, TOKENIZERS), (self.names, NAMES), (self.prompts_by, PROMPTS_BY)):
            if value not in known:
                raise self._fault(f"asks for {value!r}", f"choose one of {', '.join(known)}")
        if self.tokenizer == "words" and is_unspaced(self.scripts[0]):
            wanted = default_tokenizer(self.code, self.scripts[0])
            raise self._fault(f"is written in {self.scripts[0]}, without spaces between words", f"take {wanted!r}")
        for pattern in self.advertising:
            try:
                re.compile(pattern)
            except re.error as error:
                raise self._fault(f"has the pattern {pattern!r}", f"it is not a regular expression: {error}") from error
        for source in ("know", "ling"):
            turns = self.prompts(source)
            if isinstance(turns, str) or not turns or not all(turn.strip() for turn in turns):
                raise self._fault(f"has an empty prompt for {source}, or none: {turns!r}", "give about ten, none empty")

    def _fault(self, what: str, mend: str) -> MellaError:
        return MellaError(f"The entry of language {self.code!r} {what}; {mend}.")

    @property
    def own_scripts(self) -> tuple[str, ...]:
        """Scripts of Unicode that no other language here is written in: one letter of them tells this language."""
        return own_scripts(self.code, self.scripts)

    def prompts(self, source: str) -> tuple[str, ...]:
        """The user turns of a source (`know` or `ling`)."""
        if source not in ("know", "ling"):
            raise MellaError(f"Unknown source {source!r}; choose 'know' or 'ling'.")
        return self.know_prompts if source == "know" else self.ling_prompts

    def test_prompt(self, source: str) -> str:
        """The one user turn that evaluation uses for a source."""
        return self.prompts(source)[0]


def default_tokenizer(code: str, script: str) -> str:
    """The tokenizer that is right for a language by its script, or "none"."""
    if not is_unspaced(script):
        return "words"
    return "icu" if icu_has_words(script, code) else "none"


# Scripts with capital letters. Georgian has them in Unicode, but no text begins its names with one.
_CASED = frozenset({"Adlm", "Armn", "Cyrl", "Grek", "Latn", "Osge"})
_COUNTED = frozenset({"ar", "fa"})  # scripts without capitals whose everyday words pyspellchecker counts
_ALL_NOUNS = frozenset({"bar", "de", "gsw", "lb", "nds"})  # write every noun with a capital, names or not


def default_names(language: Language) -> str:
    """How names can be found in a language's alt-texts, or "none"."""
    if language.tokenizer in ("kiwi", "newmm"):
        return language.tokenizer
    if not _CASED.isdisjoint(language.scripts):
        return "none" if language.code in _ALL_NOUNS else "capitals"
    return "rare" if language.code in _COUNTED else "none"
