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
from mella_hf.metrics.names.measures import measured
from mella_hf.metrics.names.place_nouns import PLACE_NOUNS, STREETS
from mella_hf.metrics.names.thai import is_kind as is_thai_kind
from mella_hf.metrics.names.thai import may_be_name, thai_names
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
        spans += [*_latin(text, entry), *_korean_names(text, entry)]
    elif entry.names == "newmm":
        spans += [*_latin(text, entry), *_thai_names(text, entry)]
    elif entry.names == "capitals" and any(map(str.isupper, text)):
        spans += [*_works(text, entry), *_capitalised(_as_written(text, entry), entry, frequencies)]
    elif entry.names == "rare":
        words = list(_patterns()["word"].finditer(text))
        is_rare = _never if frequencies is None else frequencies.is_rare
        spans += [*_latin(text, entry), *(_Span(*place) for place in caseless_names(text, words, entry, is_rare))]
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

    word = r"[\p{L}\p{M}\p{N}]+(?:[-’'\u200c][\p{L}\p{M}\p{N}]+)*"
    return {
        "word": regex.compile(word),
        "quoted": regex.compile(r"«([^«»]++)»|[“„]([^“”„]+)[”“]|\"([^\"]+)\"|''([^']+)''|(?<!\w)'([^']+)'(?!\w)"),
        "thai": regex.compile(r"\p{Thai}"),
        "latin": regex.compile(r"(?<!\d)\d*+\p{Latin}[\p{Latin}\p{M}\d]*+(?:[- ][\p{Latin}\d][\p{Latin}\p{M}\d]*+)*+"),
        "dash": regex.compile(r"\s+[-–—]\s|,\s"),
        # A maker of two words or more, or with initials; a title without marks; what follows it. A colon says that it
        # is a title; after another mark the rest has the year.
        "work": regex.compile(
            r"(?=\p{Lu})(?:\p{Lu}\.\s?|\p{Lu}[\p{L}\p{M}'’-]++\s)+\p{Lu}[\p{L}\p{M}'’-]++"
            r"(?::\s+(?P<title>[^\d\s,.:;()«»„“”\"!?][^,.:;()«»„“”\"!?]*+)(?=,\s)"
            r"|[.,]\s+(?P<title>[^\d\s,.:;()«»„“”\"!?][^,.:;()«»„“”\"!?]*?)(?=[.,]\s(?:.*\D)?(?:1[0-9]|20)\d\d(?!\d)))"
        ),
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


def _latin(text: str, language: Language) -> Iterator[_Span]:
    """Latin-script words in a text of another script: brands, models, species."""
    numbers = list(_patterns()["word"].finditer(text))
    measures = {numbers[at].start() for at in measured(text, numbers, language)}
    for match in _patterns()["latin"].finditer(text):
        end = match.end()
        while end > match.start() and any(match.start() < start < end for start in measures):
            end = max(start for start in measures if match.start() < start < end)
        name = text[match.start() : end].rstrip(" -")
        if len(name) > 1 and match.start() not in measures:
            yield _Span(match.start(), match.start() + len(name))


def _capitalised(text: str, language: Language, frequencies: DocumentFrequencies | None) -> Iterator[_Span]:
    """Runs of capitalised words, with what belongs to them. The first word of a sentence needs more evidence."""
    words = list(_patterns()["word"].finditer(text))
    measures = measured(text, words, language)
    at = 0
    while at < len(words):
        end = at
        while end < len(words) and _is_capital(words[end].group()) and end not in measures:
            if not _follows(text, words, at, end):
                break
            end += 1
        if end == at:
            at += 1
            continue
        while end < len(words) and words[end].group().isdigit() and end not in measures:
            if not _follows(text, words, at, end):
                break
            end += 1
        following = end
        if language.code == "vi":
            for head in range(at, end):
                institution = _vietnamese_institution(text, words, head)
                if institution is not None:
                    yield _Span(words[head].start(), words[institution - 1].end())
                    end, following = head, max(end, institution)
                    break
        if end > at:
            yield from _named(text, words, at, end, language, frequencies)
        at = following


def _vietnamese_institution(text: str, words: list[Any], at: int) -> int | None:
    """The end of an institution's name, which has syllables in small letters: "Bảo tàng Mỹ thuật Việt Nam"."""
    if at + 2 >= len(words) or (words[at].group().lower(), words[at + 1].group()) not in _VIETNAMESE_HEADS:
        return None
    end = at + 2
    if not _is_capital(words[end].group()) or not all(_follows(text, words, at, k) for k in (at + 1, end)):
        return None
    while end < len(words) and _follows(text, words, at, end):
        if not _is_capital(words[end].group()):
            # The second syllable of a word whose first has a capital: Mỹ thuật, Bách khoa.
            closes = end + 1 == len(words) or not _follows(text, words, at, end + 1)
            if words[end].group() in _stop_syllables() or not _is_capital(words[end - 1].group()):
                break
            if not closes and not _is_capital(words[end + 1].group()):
                break
        end += 1
    return end


_VIETNAMESE_HEADS = frozenset(
    tuple(head.split())
    for head in (
        "bảo tàng", "bệnh viện", "đại học", "nhà hát", "quảng trường", "sân bay", "công viên", "thư viện", "học viện",
        "hoàng thành", "khách sạn", "trung tâm", "cung điện", "cao đẳng", "ngân hàng", "triển lãm",
    )
)  # fmt: skip


@lru_cache(maxsize=1)
def _stop_syllables() -> frozenset[str]:
    return function_words(get_language("vi"))


def _as_written(text: str, language: Language) -> str:
    """Give a text that is all in capitals its usual capitals; other texts stay as they are."""
    dictionary = spelling(language)
    if dictionary is None or any(map(str.islower, text)):
        return text
    words = list(_patterns()["word"].finditer(text))
    if sum(len(match.group()) > 1 for match in words) < 2:  # noqa: PLR2004  (a word alone may be an abbreviation)
        return text
    written = list(text)
    for match in words:
        word = match.group().lower()
        if not dictionary.is_ordinary(word):
            word = "-".join(map(str.capitalize, word.split("-")))
        if match.start() == words[0].start() or _opens_sentence(text, match):
            word = word[0].upper() + word[1:]
        if len(word) == len(match.group()):
            written[match.start() : match.end()] = word
    if language.code == "hu":
        _capitalise_institutions(written, words, language)
    return "".join(written)


def _capitalise_institutions(written: list[str], words: list[Any], language: Language) -> None:
    """Give all words of a Hungarian institution their capitals, such as those of "Magyar Nemzeti Galéria"."""
    dictionary = spelling(language)
    assert dictionary is not None
    start = 0
    for at, match in enumerate(words):
        if at > 0 and "".join(written[words[at - 1].end() : match.start()]) != " ":
            start = at
        before = [word.group().lower() for word in words[start:at]]
        named = any(not dictionary.is_ordinary(w) or _is_of_place(w, "hu") for w in before)
        if named and not PLACE_NOUNS["hu"].isdisjoint(dictionary.lemmas(match.group(), False)):
            for word in words[start : at + 1]:
                written[word.start()] = word.group()[0]


def _works(text: str, language: Language) -> Iterator[_Span]:
    """The title of a work after who made it, in captions of museums: "Josef Čapek: Piják, olej na plátně, 1913"."""
    match = _patterns()["work"].match(text, len(text) - len(text.lstrip()))
    if match is None or not match.group("title")[0].isupper():
        return
    words = match.group("title").split()
    if len(words) <= MAX_WORDS and words[0].lower() not in function_words(language):  # what somebody said
        yield _Span(*match.span("title"))


def _named(
    text: str, words: list[Any], first: int, end: int, language: Language, frequencies: DocumentFrequencies | None
) -> Iterator[_Span]:
    """The name in a run of capitalised words, without an opening word that is none and with the rest of a place's."""
    whole = _place_end(text, words, first, end, language)
    if whole is None and _opens_sentence(text, words[first]) and not _is_initial(text, words, first):
        whole = _end_after_head(words, first, end, language)
        if whole is None:
            whole = _place_adjectives(text, words, first, end, language)
        if whole is None and not _may_open(text, words[first:end], language, frequencies):
            first += 1
    if whole is None:
        whole = _with_noun(text, words, first, end, language) if first < end else end
    # A number alone, or a letter (a size, a point on a map), is not a name.
    if any(_is_capital(match.group()) and len(match.group()) > 1 for match in words[first:whole]):
        last = words[whole - 1]
        cut = _APOSTROPHE.search(last.group()) if language.code in _APOSTROPHE_ENDINGS else None
        yield _Span(words[first].start(), last.end() if cut is None else last.start() + cut.start())


_APOSTROPHE = re.compile("['’]")
_APOSTROPHE_ENDINGS = ("az", "tk", "tr")  # where an apostrophe stands before the ending of a name: Ankara'da


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
    last = words[end - 1].group()
    if words[end].group().islower() and (noun := _noun_end(text, words, end, language)) is not None:
        return noun if language.code == "hu" or _ADJECTIVE.search(last.lower()) else end
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


def _place_adjectives(text: str, words: list[Any], first: int, end: int, language: Language) -> int | None:
    """The end of a place's name that an adjective opens: "Невский проспект", "Moravské zemské muzeum"; None for none.

    Only adjectives that are made of names have these endings, and a few others, which are listed.
    """
    if not _is_of_place(words[first].group().lower(), language.code):
        return None
    if end == first + 1:
        return _noun_end(text, words, end, language)
    dictionary = spelling(language)
    last = words[end - 1].group()
    if language.code == "hu" and dictionary is not None and not PLACE_NOUNS["hu"].isdisjoint(dictionary.lemmas(last)):
        return end  # "Nemzeti Múzeum"
    return None


def _is_of_place(word: str, code: str) -> bool:
    """Whether a word in small letters is an adjective such as a name has."""
    ending = _OF_PLACES.get(code)
    return ending is not None and ending.search(word) is not None and not word.startswith(_NOT_OF_PLACES)


def _noun_end(text: str, words: list[Any], at: int, language: Language) -> int | None:
    """The end of a place's common noun that stands here, after one more adjective or none; None for none."""
    dictionary, nouns = spelling(language), PLACE_NOUNS.get(language.code)
    if dictionary is None or nouns is None:
        return None
    for noun in (at, at + 1):
        if noun >= len(words) or not words[noun].group().islower() or not _follows(text, words, at - 1, noun):
            return None
        if not nouns.isdisjoint(dictionary.lemmas(words[noun].group())):
            return noun + 1
        if not _ADJECTIVE.search(words[noun].group()) or len(words[noun].group()) <= MIN_TOPIC:
            return None
    return None


# Towns that say on which river or below which hill they lie: Rožnov pod Radhoštěm.
_BY_RIVERS = {"cs": ("nad", "pod"), "sk": ("nad", "pod"), "pl": ("nad", "pod"), "sl": ("pod", "ob")}
_OF_PLACES = {  # adjectives of places by their ending
    "cs": re.compile(r"(?:[sc]k[ýáéou]|[sc]k(?:ého|ému|ém|ým|ou))$|ův$|ov[ao]$|^národní"),
    "hu": re.compile(r"[^n]i$"),
    "ru": re.compile(r"[сц]к(?:ий|ая|ое|ой|ого|ому|ом|ую|им)$|^националь"),
    "sr": re.compile(r"[sšcč]k[iaoue]$|[сшцч]к[иаоуе]$|^(?:narodn|народн)[iaouеиаоуе]"),
}
_NOT_OF_PLACES = (
    "měst", "vesnic", "venkov", "morsk", "králov", "lidsk", "horsk", "dětsk", "řeck", "régi", "városi", "falusi", "mai",
    "esti", "téli", "nyári", "őszi", "erdei", "tengeri", "hegyi", "ódon", "belvárosi", "külvárosi",
    "город", "сельск", "морск", "детск", "завод", "деревенск", "царск", "королев", "узк", "плоск",
    "grad", "град", "seosk", "сеоск", "mors", "морск", "selsk", "usk", "узак", "visok", "висок", "široka", "широка",
    "velika", "велика", "niska", "ниска", "kratk", "кратк",
)  # fmt: skip


def _follows(text: str, words: list[Any], first: int, at: int) -> bool:
    """Whether a space, a hyphen or an initial's point stands between a word and the one before; True for the first."""
    if at == first or _is_initial(text, words, at - 1):
        return True
    return text[words[at - 1].end() : words[at].start()] in (" ", "-")


def _is_initial(text: str, words: list[Any], at: int) -> bool:
    """Whether a word is one letter that stands for a given name: "J. K. Rowling", "А.С. Пушкин"."""
    if at + 1 >= len(words) or len(words[at].group()) != 1 or not words[at].group().isupper():
        return False
    return text[words[at].end() : words[at + 1].start()] in (". ", ".") and _is_capital(words[at + 1].group())


# Endings of adjectives in Czech, Russian and Serbian.
_ADJECTIVE = re.compile(
    "(?:[ýáéíyi]|ho|mu|ém|ou|ch|ův|ov[aouěy]?m?|[аяыио]й|[аяои]я|[оеы]е|[ое]го|[ое]му|[оеиы]м|ую|юю|[иы]х|"
    "ск[иаоу]|ск[аое][гмј]?|[оеи]в[аоуе]?|[oe]v[aiou]?[gm]?|in[aiou]?[gm]?|[kn][aioue][gmj]?)$"
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
        # Nagy is "big", and the most frequent surname.
        surname = language.code == "hu" and dictionary is not None and dictionary.is_also_name(word)
        return surname and len(run) > 1 and _is_whole_in_hungarian(run, language)
    if dictionary is None:
        if word.lower() in _NOT_PARTS.get(language.code, ()):
            return False
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
    if _shows_the_rest(run, language):
        return False
    second = run[1].group()
    if not dictionary.is_ordinary(second) or second.endswith(_ALSO_SURNAMES.get(language.code, ())):
        return True
    return place_key(word, language) in places(language)  # "Ростов Великий"


def _shows_the_rest(run: list[Any], language: Language) -> bool:
    """Whether an opening word is a picture or statue of who follows, though it is a name too: "Busta Bedřicha Smetany".

    The parts of a name agree, but in Hungarian: after a word in its base form, all others of a name have theirs.
    """
    dictionary = spelling(language)
    assert dictionary is not None
    opening = language.normalizer(run[0].group())
    lemmas = dictionary.lemmas(run[0].group(), False)
    if lemmas & _SHOWING:
        return True
    if language.code not in _AGREEING:
        return False
    forms = [(language.normalizer(match.group()), dictionary.lemmas(match.group())) for match in run[1:]]
    return opening in lemmas and all(found and word not in found for word, found in forms)


_NOT_PARTS = {  # what is said before a name, in a language without a dictionary
    "vi": frozenset("trường tượng tranh ảnh bức làng xã huyện tỉnh quận phường vua bìa sách phim hãng đoàn đội".split())
}
_AGREEING = frozenset("be bg bs cs el hr lt lv mk pl ru sk sl sr uk".split())
_SHOWING = frozenset("socha busta portrét pomník rytina kip bista statua бюст статуя spomenik".split())

_SURNAMES = dict.fromkeys(("bs", "hr", "sr"), ("ić", "ић"))  # of a person, whose given name may be a word: Јелена


_ALSO_SURNAMES = {"ru": ("ов", "ев", "ова", "ева", "ский", "ская"), "cs": ("ová", "ský", "ská")}  # and other words


def _is_whole_in_hungarian(run: list[Any], language: Language) -> bool:
    """Whether capitalised words are a person, whose given name comes last, or an institution: "Nemzeti Múzeum"."""
    dictionary, last = spelling(language), run[-1].group()
    assert dictionary is not None
    if not PLACE_NOUNS["hu"].isdisjoint(dictionary.lemmas(last)):
        return len(run) > 2
    is_base = language.normalizer(last) in dictionary.lemmas(last)  # not "Szüret Tokajban"
    if "-" in last and not PLACE_NOUNS["hu"].isdisjoint(dictionary.lemmas(last.rsplit("-", 1)[1], False)):
        return True  # "Szent Anna-kápolna"
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
        listed = (normalized,) in known_places or normalized not in known
        if thai and not is_thai_kind(word) and (listed or (tag == "PROPN" and may_be_name(normalized))):
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
