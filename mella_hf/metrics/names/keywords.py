"""Extract the names in an alt-text: what an answer about the picture should mention.

Rules only, no model; each rule finds what its language marks. Capitalised spans (Czech, Hungarian, Russian, Serbian,
Vietnamese and others), where the first word of a sentence counts if the spelling dictionary has it only with a capital
or not at all; Kiwi's proper nouns (Korean), quoted names, Latin-script names in other scripts, places from a gazetteer,
words that the Thai dictionary lacks, words that are not everyday words (Arabic: mostly foreign names), and, if a corpus
is given, words that are rare in it. Words that very many alt-texts contain (photo, view) are not keywords.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

from mella_hf.errors import MissingExtraError
from mella_hf.languages import Language, get_language
from mella_hf.metrics.names.caseless import caseless_names
from mella_hf.metrics.names.gazetteer import place_key, places
from mella_hf.metrics.names.place_nouns import PLACE_NOUNS, STREETS
from mella_hf.metrics.names.thai import is_kind as is_thai_kind
from mella_hf.metrics.names.thai import thai_names
from mella_hf.text import lid
from mella_hf.text.spelling import function_words, spelling
from mella_hf.text.tokens import analyze

COMMON_SHARE = 0.02  # share of the documents; a word in more of them is not a name
RARE_SHARE = 0.0005  # share of the documents; in scripts without case, a word in fewer of them may be a name
MIN_DOCUMENTS = 1000  # with fewer documents the two shares mean nothing
MAX_WORDS = 6  # of a quoted name; longer quotes are sentences
UNKNOWN_SCORE = -20.0  # Kiwi's log-probability below which a noun is in no dictionary
MIN_UNKNOWN = 3  # syllables of an unknown Korean noun
_BEFORE = 40  # characters before a word that say whether it opens a sentence
MIN_TOPIC = 3  # letters; shorter words before a comma are not places
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


class _Span(NamedTuple):
    start: int
    end: int


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
    spans = list(_quoted(text))
    if entry.names == "kiwi":
        spans += [*_latin(text), *_korean_names(text, entry)]
    elif entry.names == "newmm":
        spans += [*_latin(text), *_thai_names(text, entry)]
    elif entry.names == "capitals" and any(map(str.isupper, text)):
        spans += _capitalised(text, entry, frequencies)
    elif entry.names == "rare":
        words = list(_patterns()["word"].finditer(text))
        is_rare = _never if frequencies is None else frequencies.is_rare
        spans += [*_latin(text), *(_Span(*place) for place in caseless_names(text, words, entry, is_rare))]
    names: dict[str, str] = {}
    for span in _outermost(spans):
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
        "quoted": regex.compile(r"«([^«»]++)»|[“„]([^“”„]+)[”“]|\"([^\"]+)\"|''([^']+)''|(?<!\w)'([^']+)'(?!\w)"),
        "thai": regex.compile(r"\p{Thai}"),
        "latin": regex.compile(r"(?<!\d)\d*+\p{Latin}[\p{Latin}\p{M}\d]*+(?:[- ][\p{Latin}\d][\p{Latin}\p{M}\d]*+)*+"),
        "dash": regex.compile(r"\s+[-–—]\s|,\s"),
        "sentence": regex.compile(r"(?:^|[.!?…:]\s+|\n|[–—]\s+)[\s\W]*$"),
    }


def _words(text: str) -> list[str]:
    return list(_patterns()["word"].findall(text))


def _quoted(text: str) -> Iterator[_Span]:
    """Names in quotation marks."""
    for match in _patterns()["quoted"].finditer(text):
        group = next(i for i in range(1, 6) if match.group(i) is not None)
        name = match.group(group)
        start = match.start(group) + len(name) - len(name.lstrip())  # « name » has spaces inside
        if 0 < len(name.split()) <= MAX_WORDS:
            yield _Span(start, start + len(name.strip()))


def _latin(text: str) -> Iterator[_Span]:
    """Latin-script words in a text of another script: brands, models, species."""
    for match in _patterns()["latin"].finditer(text):
        if match.end() - match.start() > 1:
            yield _Span(*match.span())


def _capitalised(text: str, language: Language, frequencies: DocumentFrequencies | None) -> Iterator[_Span]:
    """Runs of capitalised words, with what belongs to them. The first word of a sentence needs more evidence."""
    words = list(_patterns()["word"].finditer(text))
    at = 0
    while at < len(words):
        end = at
        while end < len(words) and _is_capital(words[end].group()) and _follows(text, words, at, end):
            end += 1
        if end == at:
            at += 1
            continue
        while end < len(words) and words[end].group().isdigit() and _follows(text, words, at, end):
            end += 1
        yield from _named(text, words, at, end, language, frequencies)
        at = end


def _named(
    text: str, words: list[Any], first: int, end: int, language: Language, frequencies: DocumentFrequencies | None
) -> Iterator[_Span]:
    """The name in a run of capitalised words, without an opening word that is none and with the rest of a place's."""
    whole = _place_end(text, words, first, end, language)
    if whole is None and _opens_sentence(text, words[first]):
        whole = _end_after_head(words, first, end, language)
        if whole is not None:
            pass
        elif _is_place_adjective(words, first, end, language):
            whole = end + 1
        elif not _may_open(text, words[first:end], language, frequencies):
            first += 1
    if whole is None:
        whole = _with_noun(text, words, first, end, language) if first < end else end
    if any(_is_capital(match.group()) for match in words[first:whole]):  # a number alone is not a name
        yield _Span(words[first].start(), words[whole - 1].end())


def _place_end(text: str, words: list[Any], first: int, end: int, language: Language) -> int | None:
    """The end of a place of two words or more that the gazetteer has: "Нови Сад", "Ústí nad Labem"; None for none."""
    joined = end + 1 < len(words) and _is_capital(words[end + 1].group())
    joined = joined and _follows(text, words, first, end) and _follows(text, words, first, end + 1)
    for last in ([end + 2] if joined else []) + ([end] if end > first + 1 else []):
        if place_key(text[words[first].start() : words[last - 1].end()], language) in places(language):
            return last
    by_river = joined and words[end].group() in _BY_RIVERS.get(language.code, ())
    if by_river and (dictionary := spelling(language)) and not dictionary.is_ordinary(words[end - 1].group()):
        return end + 2
    return None


def _with_noun(text: str, words: list[Any], first: int, end: int, language: Language) -> int:
    """The end of a run with the common noun after it: "Karlův most"; or with what it is on: "Театра на Таганке"."""
    dictionary, nouns = spelling(language), PLACE_NOUNS.get(language.code, frozenset())
    if dictionary is None or end >= len(words) or not _follows(text, words, first, end):
        return end
    last, after = words[end - 1].group(), words[end].group()
    if after.islower() and not nouns.isdisjoint(dictionary.lemmas(after)):
        return end + 1 if language.code == "hu" or _ADJECTIVE.search(last.lower()) else end
    if end != first + 1 or end + 1 >= len(words) or not _is_capital(words[end + 1].group()):
        return end
    head = not nouns.isdisjoint(dictionary.lemmas(last)) and dictionary.is_ordinary(last)
    return end + 2 if head and _follows(text, words, first, end + 1) else end


def _end_after_head(words: list[Any], first: int, end: int, language: Language) -> int | None:
    """The end of a name that opens with what it is: "Náměstí Svobody", "Храм Светог Саве"; None for another text.

    What follows is in another case, or names a street; "Hrad Karlštejn" is Karlštejn, a castle.
    """
    dictionary, nouns = spelling(language), PLACE_NOUNS.get(language.code)
    if dictionary is None or nouns is None or language.code == "hu":
        return None
    head = dictionary.lemmas(words[first].group(), False) & nouns
    at = first + 1
    saint = head and at < len(words) and words[at].group().lower().startswith(_SAINTS)
    if saint and words[at].group().islower():
        at += 1
    if not head or at >= len(words) or not _is_capital(words[at].group()):
        return None
    forms = dictionary.lemmas(words[at].group())
    oblique = bool(forms) and language.normalizer(words[at].group()) not in forms
    return max(end, at + 1) if saint or oblique or head & STREETS else None


_SAINTS = ("svat", "svet", "свят", "свет")


def _is_place_adjective(words: list[Any], first: int, end: int, language: Language) -> bool:
    """Whether a single opening word makes a place's name with the noun after it: "Невский проспект", "Váci utca".

    Only adjectives that are made of names have these endings, and a few others, which are listed.
    """
    dictionary, ending = spelling(language), _OF_PLACES.get(language.code)
    if dictionary is None or ending is None or end != first + 1 or end >= len(words):
        return False
    word = words[first].group().lower()
    if ending.search(word) is None or word.startswith(_NOT_OF_PLACES):
        return False
    return not PLACE_NOUNS[language.code].isdisjoint(dictionary.lemmas(words[end].group()))


# Towns that say on which river or below which hill they lie: Rožnov pod Radhoštěm.
_BY_RIVERS = {"cs": ("nad", "pod"), "sk": ("nad", "pod"), "pl": ("nad", "pod"), "sl": ("pod", "ob")}
_OF_PLACES = {  # adjectives of places by their ending
    "cs": re.compile(r"(?:[sc]k[ýáéou]|[sc]k(?:ého|ému|ém|ým|ou))$|ův$|ov[ao]$"),
    "hu": re.compile(r"[^n]i$"),
    "ru": re.compile(r"[сц]к(?:ий|ая|ое|ой|ого|ому|ом|ую|им)$"),
    "sr": re.compile(r"[sšcč]k[iaou]$|[сшцч]к[иаоу]$"),
}
_NOT_OF_PLACES = (
    "měst", "vesnic", "venkov", "morsk", "králov", "lidsk", "horsk", "dětsk", "řeck", "régi", "városi", "falusi", "mai",
    "esti", "téli", "nyári", "őszi", "erdei", "tengeri", "hegyi", "ódon", "belvárosi", "külvárosi",
    "город", "сельск", "морск", "детск", "завод", "деревенск", "царск", "королев", "узк", "плоск",
    "grad", "град", "seosk", "сеоск", "mors", "морск", "selsk", "usk", "узак", "visok", "висок", "široka", "широка",
    "velika", "велика", "niska", "ниска", "kratk", "кратк",
)  # fmt: skip


def _follows(text: str, words: list[Any], first: int, at: int) -> bool:
    """Whether only a space or a hyphen stands between a word and the word before it. True for the first word."""
    return at == first or text[words[at - 1].end() : words[at].start()] in (" ", "-")


# Endings of adjectives in Czech, Russian and Serbian.
_ADJECTIVE = re.compile(
    "(?:[ýáéíyi]|ho|mu|ém|ou|ch|ův|ov[aouěy]?m?|[аяыио]й|[аяои]я|[оеы]е|[ое]го|[ое]му|[оеиы]м|ую|юю|[иы]х|"
    "ск[иаоу]|ск[аое][гмј]|[оеи]в[аоуе]?|[oe]v[aiou]?[gm]?|in[aiou]?[gm]?|[kn][aiou][gmj]?)$"
)


def _is_capital(word: str) -> bool:
    return not word.islower() and any(character.isupper() for character in word if character.isalpha())


def _opens_sentence(text: str, word: Any) -> bool:
    """Whether a word is the first of a sentence, where every word has a capital."""
    return _patterns()["sentence"].search(text[max(0, word.start() - _BEFORE) : word.start()]) is not None


def _may_open(text: str, run: list[Any], language: Language, frequencies: DocumentFrequencies | None) -> bool:
    """Whether the first word of a run that opens a sentence is part of a name."""
    word = run[0].group()
    dictionary = spelling(language)
    if word.lower() in function_words(language):
        return False
    if dictionary is None:
        return _is_topic(text, run) or len(run) > 1 or _is_name(word, language, frequencies)
    if not dictionary.is_ordinary(word):
        return True
    if language.code in _SURNAMES and len(run) > 1 and run[-1].group().endswith(_SURNAMES[language.code]):
        return True
    if language.code == "hu" and len(run) > 1 and _is_whole_in_hungarian(run, language):
        return True
    if _is_topic(text, run) and dictionary.is_also_name(word) and place_key(word, language) in places(language):
        return True  # "Szeged, a vár": also a form of another word
    # Its own base form: not "Nevím, co to je".
    base = _is_topic(text, run) and dictionary.lemmas(word, False) == {language.normalizer(word)}
    if not dictionary.is_also_name(word):
        return base and len(word) > MIN_TOPIC and place_key(word, language) in places(language)
    if base or (frequencies is not None and _is_rare_name(word, language, frequencies)):
        return True
    if not PLACE_NOUNS.get(language.code, frozenset()).isdisjoint(dictionary.lemmas(word, False)):
        return False  # "Hrad Karlštejn" is Karlštejn, a castle
    # A word that is also a name, before another name: "Вук Караџић", but not "На Дунаву".
    if len(run) == 1:
        return False
    second = run[1].group()
    if not dictionary.is_ordinary(second) or second.endswith(_ALSO_SURNAMES.get(language.code, ())):
        return True
    return place_key(word, language) in places(language)  # "Ростов Великий"


_SURNAMES = dict.fromkeys(("bs", "hr", "sr"), ("ić", "ић"))  # of a person, whose given name may be a word: Јелена


_ALSO_SURNAMES = {"ru": ("ов", "ев", "ова", "ева", "ский", "ская"), "cs": ("ová", "ský", "ská")}  # and other words


def _is_whole_in_hungarian(run: list[Any], language: Language) -> bool:
    """Whether capitalised words are a person, whose given name comes last, or an institution: "Nemzeti Múzeum"."""
    dictionary, last = spelling(language), run[-1].group()
    assert dictionary is not None
    if not PLACE_NOUNS["hu"].isdisjoint(dictionary.lemmas(last)):
        return len(run) > 2
    is_base = language.normalizer(last) in dictionary.lemmas(last)  # not "Szüret Tokajban"
    given = is_base and dictionary.is_also_name(last) and not dictionary.is_ordinary(last)
    return given and place_key(last, language) not in places(language)


def _is_topic(text: str, run: list[Any]) -> bool:
    """Whether the text is "Name - what it is" or "Name, what it is"."""
    if len(run) > 1 or _BLANK.match(text).end() != run[0].start():  # type: ignore[union-attr]
        return False
    return _patterns()["dash"].match(text, run[0].end()) is not None


_BLANK = re.compile(r"\s*")


def _is_name(word: str, language: Language, frequencies: DocumentFrequencies | None) -> bool:
    """Whether a word is a name even at the start of a sentence, in a language without a dictionary."""
    if len(word) > 1 and (any(map(str.isdigit, word)) or any(map(str.isupper, word[1:]))):
        return True
    if place_key(word, language) in places(language):
        return True
    return frequencies is not None and _is_rare_name(word, language, frequencies)


def _is_rare_name(word: str, language: Language, frequencies: DocumentFrequencies) -> bool:
    """Whether a corpus has the word seldom, and never without a capital."""
    normalized = language.normalizer(word)
    return frequencies.is_rare(normalized) and normalized not in frequencies.lowercase


def _korean_names(text: str, language: Language) -> Iterator[_Span]:
    """Kiwi's proper nouns, with the nouns, foreign words and numbers that touch them.

    Neighbours are names of their own ("부산 해운대") unless neither is a place: "빈센트 반 고흐" is one person.
    """
    from mella_hf.text.tokens import korean_morphemes

    run: list[Any] = []
    for morpheme in [*korean_morphemes(text), None]:
        if morpheme is not None and run:
            gap = morpheme.start - run[-1].end
            touches = gap == 0 and morpheme.tag in _KOREAN_PARTS
            if touches or (gap == 1 and _is_korean_name(morpheme) and _one_person(run[-1], morpheme, language)):
                run.append(morpheme)
                continue
        if run:
            yield _Span(run[0].start, run[-1].end)
        run = [morpheme] if morpheme is not None and _is_korean_name(morpheme) else []


_KOREAN_PARTS = ("NNP", "NNG", "SL", "SN")  # Sejong tags of what a name goes on with: nouns, Latin letters, numbers
_KOREAN_PLACE = tuple(
    "궁전사산강도시구동성문탑역항교원관대섬천굴폭"
)  # last syllables of places: palace, temple, river ...


def _one_person(first: Any, second: Any, language: Language) -> bool:
    """Whether two proper nouns with a space between are parts of one name."""
    known = places(language)
    forms = (first.form, second.form)
    return not any(
        form.endswith(_KOREAN_PLACE) or place_key(form, language) in known or len(form) > _LONGEST_PART
        for form in forms
    )


_LONGEST_PART = 3  # syllables of a name's part; longer ones are things: 남산타워, 광화문광장


def _is_korean_name(morpheme: Any) -> bool:
    """A proper noun, or a noun that Kiwi does not know: foreign names in Hangul."""
    unknown = morpheme.tag == "NNG" and morpheme.score < UNKNOWN_SCORE and len(morpheme.form) >= MIN_UNKNOWN
    return bool(morpheme.tag == "NNP" or unknown)


def _thai_names(text: str, language: Language) -> Iterator[_Span]:
    """Places, words tagged as proper nouns, and words the dictionary lacks: mostly foreign names in Thai letters."""
    try:
        from pythainlp.tag import pos_tag
        from pythainlp.tokenize import word_tokenize
    except ImportError as error:
        raise MissingExtraError("pythainlp", "metrics", "Thai names in keywords") from error

    words = word_tokenize(text, engine="newmm", keep_whitespace=True, join_broken_num=False)
    known, known_places = _thai_dictionary(), places(language)
    starts = list(accumulate(map(len, words), initial=0))
    for first, end in thai_names(words, known):
        yield _Span(starts[first], starts[end])
    position, run_end = 0, -1
    start = 0
    for word, tag in pos_tag(words, engine="perceptron", corpus="tud"):
        position = text.index(word, position)
        normalized = language.normalizer(word)
        thai = _patterns()["thai"].search(word) is not None and lid.letter_count(word) >= MIN_THAI
        if (
            thai
            and not is_thai_kind(word)
            and ((normalized,) in known_places or tag == "PROPN" or normalized not in known)
        ):
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
