"""Judge a word by its capital: whether it is part of a name, an adjective of a place, or opens a sentence.

What a language's file says in `[naming]` and the spelling dictionary tell.
"""

import re
from functools import cache
from typing import Any

from mella_hf.languages import Language
from mella_hf.languages.sources import join_list
from mella_hf.metrics.names.frequencies import DocumentFrequencies
from mella_hf.metrics.names.gazetteer import place_key, places
from mella_hf.metrics.names.spans import patterns
from mella_hf.text.spelling import function_words, spelling

_BEFORE = 40  # characters before a word that say whether it opens a sentence
MIN_TOPIC = 3  # letters; shorter words before a comma are not places


def is_capital(word: str) -> bool:
    """Whether a word has a capital letter."""
    return not word.islower() and any(character.isupper() for character in word if character.isalpha())


def is_small(word: str) -> bool:
    """Whether a word is a preposition of a letter or two: у, v, ve."""
    return word.islower() and len(word) <= 2  # noqa: PLR2004


def is_initial(text: str, words: list[Any], at: int) -> bool:
    """Whether a word is a letter that stands for a given name, or a ruler's number: "J. K. Rowling", "II. Lipót"."""
    if at + 1 >= len(words):
        return False
    word = words[at].group()
    if not (len(word) == 1 and word.isupper()) and not _RULER.fullmatch(word):
        return False
    return text[words[at].end() : words[at + 1].start()] in (". ", ".") and is_capital(words[at + 1].group())


_RULER = re.compile("[IVX]+")


def follows(text: str, words: list[Any], first: int, at: int, language: Language) -> bool:
    """Whether a name can go on here: after a space, a hyphen, an initial's point, or that of "TP.HCM"."""
    if at == first or is_initial(text, words, at - 1):
        return True
    gap, before = text[words[at - 1].end() : words[at].start()], words[at - 1].group()
    if gap in (".", ". ") and before.isupper() and len(before) > 1:
        return before.lower() in language.naming.institutions
    return gap in (" ", "-")


def opens_sentence(text: str, word: Any) -> bool:
    """Whether a word is the first of a sentence, where every word has a capital."""
    return patterns()["sentence"].search(text[max(0, word.start() - _BEFORE) : word.start()]) is not None


def is_place_noun(word: str, language: Language, as_name: bool = False) -> bool:
    """Whether a word is a common noun in the names of places, or a form of one."""
    dictionary, nouns = spelling(language), language.naming.place_nouns
    if dictionary is None:
        return False
    return word in nouns or not nouns.isdisjoint(dictionary.lemmas(word, as_name))  # tere, which has no base form


def is_of_place(word: str, language: Language) -> bool:
    """Whether a word, given in small letters, is an adjective that is made of a name: "karlův", "невский"."""
    naming = language.naming
    if not naming.place_adjectives or word.startswith(naming.common_adjectives):
        return False
    return re.search(naming.place_adjectives, word) is not None


def is_adjective(word: str, language: Language) -> bool:
    """Whether a word in small letters ends as the language's adjectives do."""
    return bool(language.naming.adjectives) and re.search(language.naming.adjectives, word) is not None


def is_work(word: str, language: Language) -> bool:
    """Whether a word in small letters is a kind of work: film, novel."""
    dictionary = spelling(language)
    return dictionary is not None and not language.naming.works.isdisjoint(dictionary.lemmas(word, False))


@cache
def conjunctions(language: Language) -> frozenset[str]:
    """The word for "and", which titles have."""
    return frozenset(join_list(("1", "2"), language.code).replace("1", "").replace("2", "").split())


def may_open(text: str, run: list[Any], language: Language, frequencies: DocumentFrequencies | None) -> bool:
    """Whether the first word of a run that opens a sentence is part of a name."""
    word = run[0].group()
    dictionary = spelling(language)
    if word.lower() in function_words(language):
        # Nagy is "big", and the most frequent surname.
        surname = language.naming.family_name_first and dictionary is not None and dictionary.is_also_name(word)
        return surname and len(run) > 1 and _is_whole_by_its_last(run, language)
    if word.lower() in language.naming.not_in_names:
        return False
    if dictionary is None:
        if language.naming.syllable and not re.fullmatch(language.naming.syllable, word.lower()):
            return True  # a foreign word
        return _is_topic(text, run) or len(run) > 1 or _is_name(word, language, frequencies)
    if not dictionary.is_ordinary(word):
        return True
    if len(run) > 1 and run[-1].group().endswith(language.naming.surnames):
        return True
    if language.naming.family_name_first and len(run) > 1 and _is_whole_by_its_last(run, language):
        return True
    if _is_topic(text, run) and dictionary.is_also_name(word) and place_key(word, language) in places(language):
        return True  # "Szeged, a vár": also a form of another word
    # Its own base form: not "Nevím, co to je".
    base = _is_topic(text, run) and dictionary.lemmas(word, False) == {language.normalizer(word)}
    if not dictionary.is_also_name(word):
        return base and len(word) > MIN_TOPIC and place_key(word, language) in places(language)
    if base or (frequencies is not None and _is_rare_name(word, language, frequencies)):
        return True
    if is_place_noun(word, language):
        return False  # "Hrad Karlštejn" is Karlštejn, a castle
    # A word that is also a name, before another name: "Вук Караџић", but not "На Дунаву".
    if len(run) == 1:
        return False
    if _shows_the_rest(run, language):
        return False
    second = run[1].group()
    if not dictionary.is_ordinary(second) or second.endswith(language.naming.likely_surnames):
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
    if lemmas & language.naming.depictions:
        return True
    surname = run[-1].group().lower().endswith(language.naming.likely_surnames)
    if surname and dictionary.is_also_name(run[0].group()):
        return False  # "Лев Яшин"
    if not language.naming.parts_agree:
        return False
    forms = [(language.normalizer(match.group()), dictionary.lemmas(match.group())) for match in run[1:]]
    return opening in lemmas and all(found and word not in found for word, found in forms)


def _is_whole_by_its_last(run: list[Any], language: Language) -> bool:
    """Whether capitalised words are a person, whose given name comes last, or an institution: "Nemzeti Múzeum"."""
    dictionary, last = spelling(language), run[-1].group()
    assert dictionary is not None
    if is_place_noun(last, language, as_name=True):
        return len(run) > 2
    is_base = language.normalizer(last) in dictionary.lemmas(last)  # not "Szüret Tokajban"
    if "-" in last and is_place_noun(last.rsplit("-", 1)[1], language):
        return True  # "Szent Anna-kápolna"
    given = is_base and dictionary.is_also_name(last) and not dictionary.is_ordinary(last)
    return given and place_key(last, language) not in places(language)


def _is_topic(text: str, run: list[Any]) -> bool:
    """Whether the text is "Name - what it is" or "Name, what it is"."""
    if len(run) > 1 or _BLANK.match(text).end() != run[0].start():  # type: ignore[union-attr]
        return False
    return patterns()["dash"].match(text, run[0].end()) is not None


_BLANK = re.compile(r"\s*")


def _is_name(word: str, language: Language, frequencies: DocumentFrequencies | None) -> bool:
    """Whether a word is a name even at the start of a sentence, in a language without a dictionary."""
    if len(word) > 1 and (any(map(str.isdigit, word)) or any(map(str.isupper, word[1:]))):
        return True
    if place_key(word, language) in places(language):
        return True
    return frequencies is not None and _is_rare_name(word, language, frequencies)


def _is_rare_name(word: str, language: Language, frequencies: DocumentFrequencies) -> bool:
    """Whether the word is rare in the corpus and is always written with a capital there."""
    normalized = language.normalizer(word)
    return frequencies.is_rare(normalized) and normalized not in frequencies.lowercase
