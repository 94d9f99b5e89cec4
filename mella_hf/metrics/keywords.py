"""Extract the names in an alt-text: what an answer about the picture should mention.

Rules only, no model; each rule finds what its language marks. Capitalised spans (Czech, Hungarian, Russian, Serbian,
Vietnamese), Kiwi's proper nouns (Korean), quoted names, Latin-script names in other scripts, places from a gazetteer,
words that the Thai dictionary lacks, words that are not everyday words (Arabic: mostly foreign names), and, if a corpus
is given, words that are rare in it. Words that very many alt-texts contain (photo, view) are not keywords.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mella_hf.languages import Language, get_language
from mella_hf.metrics.everyday import is_everyday
from mella_hf.metrics.gazetteer import place_key, places
from mella_hf.text import lid
from mella_hf.text.tokens import analyze, arabic_bases

COMMON_SHARE = 0.02  # share of the documents; a word in more of them is not a name
RARE_SHARE = 0.0005  # share of the documents; in scripts without case, a word in fewer of them may be a name
MIN_DOCUMENTS = 1000  # with fewer documents the two shares mean nothing
MAX_WORDS = 6  # of a quoted name; longer quotes are sentences
MIN_RARE_LETTERS = 4
UNKNOWN_SCORE = -20.0  # Kiwi's log-probability below which a noun is in no dictionary
MIN_UNKNOWN = 3  # syllables of an unknown Korean noun
_FEAST = ("عيد", "وعيد")  # not بعيد, which is "far" more often than "on the feast"
MIN_THAI = 2  # consonants and free vowels of a Thai name


@dataclass(frozen=True)
class DocumentFrequencies:
    """The number of a corpus's alt-texts in which each word occurs.

    Attributes:
        documents: number of alt-texts counted.
        words: normalised word -> alt-texts that have it.
        lowercase: words seen without a capital, which are not names when one starts a sentence.
    """

    documents: int
    words: Counter[str]
    lowercase: frozenset[str]

    @classmethod
    def count(cls, texts: Iterable[str], language: str) -> "DocumentFrequencies":
        """Count a corpus of alt-texts once."""
        entry = get_language(language)
        words: Counter[str] = Counter()
        lowercase: set[str] = set()
        documents = 0
        for text in texts:
            documents += 1
            words.update(set(analyze(text, entry).words))
            lowercase.update(entry.normalizer(word) for word in _words(text) if word[0].islower())
        return cls(documents, words, frozenset(lowercase))

    def is_common(self, words: list[str]) -> bool:
        """Whether every one of these words occurs in very many documents."""
        return self.documents >= MIN_DOCUMENTS and all(
            self.words[word] > COMMON_SHARE * self.documents for word in words
        )

    def is_rare(self, word: str) -> bool:
        """Whether the word occurs in very few."""
        return self.documents >= MIN_DOCUMENTS and self.words[word] <= max(1.0, RARE_SHARE * self.documents)


@dataclass(frozen=True)
class _Span:
    start: int
    end: int


def extract_keywords(text: str, language: str, frequencies: DocumentFrequencies | None = None) -> list[str]:
    """Extract the names in an alt-text, as written there, in order, each once.

    Args:
        frequencies: document frequencies of the alt-text's corpus; they improve the rules if it is large enough.

    Raises:
        UnknownLanguageError: for a code without an entry.
        MissingExtraError: when the language's tokenizer or the gazetteer is not installed.
    """
    entry = get_language(language)
    spans = list(_quoted(text))
    if entry.names == "none":
        return []
    if entry.names == "kiwi":
        spans += [*_latin(text), *_korean_names(text, entry)]
    elif entry.names == "newmm":
        spans += [*_latin(text), *_thai_names(text, entry)]
    elif entry.names == "capitals" and any(map(str.isupper, text)):
        spans += _capitalised(text, entry, frequencies)
    elif entry.names == "rare":
        spans += [*_latin(text), *_caseless_names(text, entry, frequencies)]
    names: dict[str, str] = {}
    for span in _outermost(spans):
        name = text[span.start : span.end].strip(" -–—.,:;!?")
        words = analyze(name, entry).words
        if not words or (frequencies is not None and frequencies.is_common(words)):
            continue
        names.setdefault(entry.normalizer(name), name)
    return list(names.values())


def _outermost(spans: list[_Span]) -> list[_Span]:
    """Spans in order, without those that lie in or overlap an earlier, longer one."""
    kept: list[_Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


@lru_cache(maxsize=1)
def _patterns() -> dict[str, Any]:
    import regex

    word = r"[\p{L}\p{M}\p{N}]+(?:[-’'][\p{L}\p{M}\p{N}]+)*"
    return {
        "word": regex.compile(word),
        "quoted": regex.compile(r"«\s*([^«»]+?)\s*»|[“„]([^“”„]+)[”“]|\"([^\"]+)\"|''([^']+)''|(?<!\w)'([^']+)'(?!\w)"),
        "thai": regex.compile(r"\p{Thai}"),
        "latin": regex.compile(r"[\p{Latin}\d]*\p{Latin}[\p{Latin}\p{M}\d]*(?:[- ]?[\p{Latin}\d][\p{Latin}\p{M}\d]*)*"),
        "dash": regex.compile(r"\s+[-–—]\s"),
        "sentence": regex.compile(r"(?:^|[.!?…:]\s+|\n|[–—]\s+)[\s\W]*$"),
    }


def _words(text: str) -> list[str]:
    return list(_patterns()["word"].findall(text))


def _quoted(text: str) -> Iterator[_Span]:
    """Names in quotation marks."""
    for match in _patterns()["quoted"].finditer(text):
        group = next(i for i in range(1, 6) if match.group(i) is not None)
        if len(match.group(group).split()) <= MAX_WORDS:
            yield _Span(*match.span(group))


def _latin(text: str) -> Iterator[_Span]:
    """Latin-script words in a text of another script: brands, models, species."""
    for match in _patterns()["latin"].finditer(text):
        if match.end() - match.start() > 1:
            yield _Span(*match.span())


def _capitalised(text: str, language: Language, frequencies: DocumentFrequencies | None) -> Iterator[_Span]:
    """Runs of capitalised words with the numbers after them. The first word of a sentence needs more evidence."""
    run: list[Any] = []
    for match in [*_patterns()["word"].finditer(text), None]:
        word = match.group() if match else ""
        joins = bool(run) and match is not None and text[run[-1].end() : match.start()] in (" ", "-")
        if joins and (_is_capital(word) or word.isdigit()):
            run.append(match)
            continue
        if run:
            yield from _proven(text, run, language, frequencies)
        run = [match] if match is not None and _is_capital(word) else []


def _is_capital(word: str) -> bool:
    return any(character.isupper() for character in word if character.isalpha())


def _proven(text: str, run: list[Any], language: Language, frequencies: DocumentFrequencies | None) -> Iterator[_Span]:
    opens = _patterns()["sentence"].search(text[: run[0].start()]) is not None
    if opens and not _is_topic(text, run) and not _is_name(run[0].group(), language, frequencies):
        run = run[1:]
    if any(_is_capital(match.group()) for match in run):  # a number alone is not a name
        yield _Span(run[0].start(), run[-1].end())


def _is_topic(text: str, run: list[Any]) -> bool:
    """Whether the text is "Name - what it is"."""
    return (
        len(run) == 1
        and not text[: run[0].start()].strip()
        and _patterns()["dash"].match(text, run[0].end()) is not None
    )


def _is_name(word: str, language: Language, frequencies: DocumentFrequencies | None) -> bool:
    """Whether a word is a name even at the start of a sentence."""
    if len(word) > 1 and (any(map(str.isdigit, word)) or any(map(str.isupper, word[1:]))):
        return True
    if place_key(word, language) in places(language):
        return True
    normalized = language.normalizer(word)
    return frequencies is not None and frequencies.is_rare(normalized) and normalized not in frequencies.lowercase


def _korean_names(text: str, language: Language) -> Iterator[_Span]:
    """Runs of Kiwi's proper nouns, with the foreign words and numbers that touch them."""
    from mella_hf.text.tokens import korean_morphemes

    run: list[Any] = []
    for morpheme in [*korean_morphemes(text), None]:
        if morpheme is not None and _is_korean_name(morpheme):
            if run and morpheme.start - run[-1].end > 1:
                yield _Span(run[0].start, run[-1].end)
                run = []
            run.append(morpheme)
        elif run:
            yield _Span(run[0].start, run[-1].end)
            run = []


def _is_korean_name(morpheme: Any) -> bool:
    """A proper noun, or a noun that Kiwi does not know: foreign names in Hangul."""
    unknown = morpheme.tag == "NNG" and morpheme.score < UNKNOWN_SCORE and len(morpheme.form) >= MIN_UNKNOWN
    return bool(morpheme.tag == "NNP" or unknown)


def _thai_names(text: str, language: Language) -> Iterator[_Span]:
    """Places, words tagged as proper nouns, and words the dictionary lacks: mostly foreign names in Thai letters."""
    from pythainlp.tag import pos_tag
    from pythainlp.tokenize import word_tokenize

    words = word_tokenize(text, engine="newmm", keep_whitespace=True, join_broken_num=False)
    known, known_places = _thai_dictionary(), places(language)
    position, run_end = 0, -1
    start = 0
    for word, tag in pos_tag(words, engine="perceptron", corpus="tud"):
        position = text.index(word, position)
        normalized = language.normalizer(word)
        thai = _patterns()["thai"].search(word) is not None and lid.letter_count(word) >= MIN_THAI
        if thai and ((normalized,) in known_places or tag == "PROPN" or normalized not in known):
            if run_end == position:
                yield _Span(start, position + len(word))
            else:
                start = position
                yield _Span(start, position + len(word))
            run_end = position + len(word)
        position += len(word)


@lru_cache(maxsize=1)
def _thai_dictionary() -> frozenset[str]:
    from pythainlp.corpus import thai_words

    return frozenset(thai_words())


def _caseless_names(text: str, language: Language, frequencies: DocumentFrequencies | None) -> Iterator[_Span]:
    """Places, feasts, and runs of words that are rare in the corpus or in speech, in a script without capitals."""
    words = list(_patterns()["word"].finditer(text))
    known_places = places(language)
    rare_start, rare_end = 0, -1
    for at, match in enumerate(words):
        for length in (3, 2, 1):
            span = words[at : at + length]
            if len(span) == length and _is_place([m.group() for m in span], language, known_places):
                yield _Span(match.start(), span[-1].end())
                break
        if _is_feast(words[at : at + 2], language):
            yield _Span(match.start(), words[at + 1].end())
        if _is_rare(language.normalizer(match.group()), language, frequencies):
            rare_start = rare_start if match.start() == rare_end + 1 else match.start()
            rare_end = match.end()
            yield _Span(rare_start, rare_end)


def _is_rare(word: str, language: Language, frequencies: DocumentFrequencies | None) -> bool:
    if len(word) < MIN_RARE_LETTERS or lid.script_share(word, language.scripts) < 1.0 or not word.isalpha():
        return False
    return not is_everyday(word, language) or (frequencies is not None and frequencies.is_rare(word))


def _is_feast(words: list[Any], language: Language) -> bool:
    """Whether two words are "the feast of the ...", as Arabic names its feasts (an indefinite one is a birthday)."""
    if language.stemmer != "arabic" or len(words) < 2:
        return False
    feast, whose = (language.normalizer(match.group()) for match in words)
    return feast in _FEAST and whose.startswith("ال")


def _is_place(words: list[str], language: Language, known: frozenset[tuple[str, ...]]) -> bool:
    normalized = [language.normalizer(word) for word in words]
    firsts = arabic_bases(normalized[0]) if language.stemmer == "arabic" else [normalized[0]]
    return any((first, *normalized[1:]) in known for first in firsts)
