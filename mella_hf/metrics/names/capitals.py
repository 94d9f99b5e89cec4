"""Find names by their capital letters (Czech, Hungarian, Russian, Serbian, Vietnamese and others).

A run of capitalised words is a name. The first word of a sentence counts if the spelling dictionary has it only with a
capital or not at all. What a language's file says in `[naming]` tells the rest: nouns of places, adjectives of names.
"""

import re
from collections.abc import Iterator
from typing import Any

from mella_hf.languages import Language
from mella_hf.metrics.names.capital_words import (
    MIN_TOPIC,
    conjunctions,
    follows,
    is_adjective,
    is_capital,
    is_initial,
    is_of_place,
    is_place_noun,
    is_small,
    is_work,
    may_open,
    opens_sentence,
)
from mella_hf.metrics.names.frequencies import DocumentFrequencies
from mella_hf.metrics.names.gazetteer import place_key, places
from mella_hf.metrics.names.measures import measured
from mella_hf.metrics.names.phrases import phrase_end
from mella_hf.metrics.names.spans import MAX_WORDS, Span, patterns
from mella_hf.text.spelling import function_words, spelling


def capitalised_names(text: str, language: Language, frequencies: DocumentFrequencies | None) -> list[Span]:
    """Spans of names in a text, some of which may lie in others."""
    return [*_works(text, language), *_capitalised(_as_written(text, language), language, frequencies)]


def _capitalised(text: str, language: Language, frequencies: DocumentFrequencies | None) -> Iterator[Span]:
    """Runs of capitalised words, with what belongs to them. The first word of a sentence needs more evidence."""
    words = list(patterns()["word"].finditer(text))
    measures = measured(text, words, language)
    at = 0
    while at < len(words):
        end = at
        while end < len(words) and is_capital(words[end].group()) and end not in measures:
            if not follows(text, words, at, end, language) or _is_after_acronym(text, words, at, end):
                break
            end += 1
        if end == at:
            at += 1
            continue
        while end < len(words) and words[end].group().isdigit() and end not in measures:
            if not follows(text, words, at, end, language) or patterns()["number"].match(text, words[end].start()):
                break
            end += 1
        following = end
        for head in range(at, end) if language.naming.institutions else ():
            institution = _institution_end(text, words, head, language)
            if institution is not None:
                yield Span(words[head].start(), words[institution - 1].end())
                end, following = head, max(end, institution)
                break
        if end > at:
            yield from _named(text, words, at, end, language, frequencies)
        at = following


def _is_after_acronym(text: str, words: list[Any], first: int, at: int) -> bool:
    """Whether a person's initial stands after an acronym: "OSN B. Ghali"."""
    before = words[at - 1].group()
    return at > first and len(before) > 1 and before.isupper() and is_initial(text, words, at)


def _institution_end(text: str, words: list[Any], at: int, language: Language) -> int | None:
    """The end of an institution's name, which has syllables in small letters: "Bảo tàng Mỹ thuật Việt Nam"."""
    end = _institution_head(words, at, language)
    if end is None or end >= len(words) or not is_capital(words[end].group()):
        return None
    if not all(follows(text, words, at, k, language) for k in range(at + 1, end + 1)):
        return None
    begin = end
    while end < len(words) and follows(text, words, at, end, language):
        if not is_capital(words[end].group()) and not _is_syllable_of(text, words, begin, end, language):
            break
        end += 1
    return end


def _is_syllable_of(text: str, words: list[Any], begin: int, at: int, language: Language) -> bool:
    """Whether a syllable in small letters is of a name that began before: the second of a word, or before a capital."""
    if words[at].group() in function_words(language) or not words[at].group().isalpha():
        return False

    def capital(place: int) -> bool:
        return begin <= place < len(words) and is_capital(words[place].group())

    # The second syllable of a word whose first has a capital: Mỹ thuật, Bách khoa. A place's name is whole: Huế.
    syllable = words[at - 1].group()
    lone = capital(at - 1) and not capital(at - 2)
    if (
        lone
        and re.fullmatch(language.naming.syllable, syllable.lower())
        and place_key(syllable, language) not in places(language)
    ):
        return syllable.lower() not in function_words(language)
    after = [place for place in (at + 1, at + 2) if place < len(words)]
    gaps = all(follows(text, words, begin, place, language) for place in after)
    if not capital(at - 1):  # "Kiểm soát bệnh tật Quảng Trị"
        return gaps and any(map(capital, after))
    return capital(at + 1) or at + 1 == len(words) or not follows(text, words, begin, at + 1, language)


def _institution_head(words: list[Any], at: int, language: Language) -> int | None:
    """The end of the words that say what an institution is: "Bảo tàng", "Vườn quốc gia"."""
    written = [match.group() for match in words[at : at + _LONGEST_HEAD]]
    written[0] = written[0].lower()
    for length in range(len(written), 0, -1):
        if " ".join(written[:length]) in language.naming.institutions:
            return at + length
    return None


_LONGEST_HEAD = 4  # syllables


def _as_written(text: str, language: Language) -> str:
    """Give a text that is all in capitals its usual capitals; other texts stay as they are."""
    dictionary = spelling(language)
    if dictionary is None or any(map(str.islower, text)):
        return text
    words = list(patterns()["word"].finditer(text))
    if sum(len(match.group()) > 1 for match in words) < 2:  # noqa: PLR2004  (a word alone may be an abbreviation)
        return text
    written = list(text)
    for match in words:
        word = match.group().lower()
        if not dictionary.is_ordinary(word):
            word = "-".join(map(str.capitalize, word.split("-")))
        if match.start() == words[0].start() or opens_sentence(text, match):
            word = word[0].upper() + word[1:]
        if len(word) == len(match.group()):
            written[match.start() : match.end()] = word
    if language.naming.nouns_last:
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
        named = any(not dictionary.is_ordinary(w) or is_of_place(w, language) for w in before)
        if named and is_place_noun(match.group(), language):
            for word in words[start : at + 1]:
                written[word.start()] = word.group()[0]


def _works(text: str, language: Language) -> Iterator[Span]:
    """The title of a work after who made it, in captions of museums: "Josef Čapek: Piják, olej na plátně, 1913"."""
    match = patterns()["work"].match(text, len(text) - len(text.lstrip()))
    if match is None or not match.group("title")[0].isupper():
        return
    words = match.group("title").split()
    if len(words) <= MAX_WORDS and words[0].lower() not in function_words(language):  # what somebody said
        yield Span(*match.span("title"))


def _named(
    text: str, words: list[Any], first: int, end: int, language: Language, frequencies: DocumentFrequencies | None
) -> Iterator[Span]:
    """The name in a run of capitalised words, without an opening word that is none and with the rest of a place's."""
    if end == first + 1 < len(words):
        if f"{words[first].group()} {words[end].group()}".lower() in language.naming.not_in_names:
            return  # what a person is, in a capital: "Giám đốc"
    whole = _place_end(text, words, first, end, language)
    split = _two_names(words, first, end, language) if whole is None else None
    if split is not None:
        yield from _named(text, words, first, split, language, frequencies)
        yield from _named(text, words, split, end, language, frequencies)
        return
    if whole is None and opens_sentence(text, words[first]) and not is_initial(text, words, first):
        whole = _end_after_head(words, first, end, language)
        if whole is None:
            whole = _place_adjectives(text, words, first, end, language)
        if whole is None and not may_open(text, words[first:end], language, frequencies):
            if first + 1 < end:
                yield from _named(text, words, first + 1, end, language, frequencies)
            return
    if whole is None:
        whole = _with_noun(text, words, first, end, language) if first < end else end
        if whole == end and first < end:
            whole = _title_end(text, words, first, end, language) or whole
        if whole == end == first + 1 and not opens_sentence(text, words[first]):
            whole = phrase_end(text, words, first, language) or whole
    # A number alone, or a letter (a size, a point on a map), is not a name.
    if any(is_capital(match.group()) and len(match.group()) > 1 for match in words[first:whole]):
        last = words[whole - 1]
        cut = _APOSTROPHE.search(last.group()) if language.naming.apostrophe_endings else None
        yield Span(words[first].start(), last.end() if cut is None else last.start() + cut.start())


_APOSTROPHE = re.compile("['’]")


def _two_names(words: list[Any], first: int, end: int, language: Language) -> int | None:
    """Where the second of two names begins that stand side by side: "Финляндии Саули Ниинистё", "Léda Párizsban".

    A place in another case than its base form is a name of its own, if all words after it, or before it where case
    endings stand on the last word of a name alone, are in their base form.
    """
    dictionary = spelling(language)
    if dictionary is None or end - first < _LEAST_OF_TWO[language.naming.family_name_first]:
        return None
    at = end - 1 if language.naming.family_name_first else first
    word = words[at].group()
    if not (language.naming.parts_agree or language.naming.family_name_first) or "-" in word:
        return None
    base = dictionary.lemmas(word)
    if not base or language.normalizer(word) in base or place_key(word, language) not in places(language):
        return None
    if dictionary.is_ordinary(word):
        return None
    others = [match.group() for match in words[first:end] if match is not words[at]]
    if any(dictionary.is_ordinary(other) or len(other) == 1 or other.isdigit() for other in others):
        return None
    forms = [(language.normalizer(other), dictionary.lemmas(other)) for other in others]
    if any(found and other not in found for other, found in forms):
        return None
    return at if language.naming.family_name_first else first + 1


_LEAST_OF_TWO = {True: 2, False: 3}  # words


def _place_end(text: str, words: list[Any], first: int, end: int, language: Language) -> int | None:
    """The end of a place of two words or more that the gazetteer has: "Нови Сад", "Ústí nad Labem"; None for none."""
    joined = end + 1 < len(words) and is_capital(words[end + 1].group())
    joined = joined and follows(text, words, first, end, language) and follows(text, words, first, end + 1, language)
    for last in ([end + 2] if joined else []) + ([end] if end > first + 1 else []):
        if place_key(text[words[first].start() : words[last - 1].end()], language) in places(language):
            return last
    dictionary = spelling(language)
    if joined and words[end].group() in language.naming.rivers and dictionary is not None:
        return end + 2 if not dictionary.is_ordinary(words[end - 1].group()) else None
    return None


def _with_noun(text: str, words: list[Any], first: int, end: int, language: Language) -> int:
    """The end of a run with the common noun after it: "Karlův most"; or with what it is on: "Театра на Таганке"."""
    dictionary, naming = spelling(language), language.naming
    if dictionary is None or end >= len(words) or not follows(text, words, first, end, language):
        return end
    last = words[end - 1].group()
    noun = _noun_end(text, words, end, language) if words[end].group().islower() else None
    if noun is not None:
        return noun if naming.nouns_last or is_adjective(last.lower(), language) else end
    if end != first + 1 or end + 1 >= len(words) or not is_capital(words[end + 1].group()):
        return end
    head = not naming.place_nouns.isdisjoint(dictionary.lemmas(last)) and dictionary.is_ordinary(last)
    return end + 2 if head and follows(text, words, first, end + 1, language) else end


def _end_after_head(words: list[Any], first: int, end: int, language: Language) -> int | None:
    """The end of a name that opens with what it is: "Náměstí Svobody", "Храм Светог Саве"; None for another text.

    What follows is in another case, or names a street; "Hrad Karlštejn" is Karlštejn, a castle.
    """
    dictionary, naming = spelling(language), language.naming
    if dictionary is None or naming.nouns_last:
        return None
    head = dictionary.lemmas(words[first].group(), False) & naming.place_nouns
    at = first + 1
    saint = head and at < len(words) and words[at].group().lower().startswith(naming.saints)
    if saint and words[at].group().islower():
        at += 1
    if head & naming.town_nouns and at + 1 < len(words) and is_small(words[at].group()):
        return at + 2 if is_capital(words[at + 1].group()) else None
    if not head or at >= len(words) or not is_capital(words[at].group()):
        return None
    forms = dictionary.lemmas(words[at].group())
    oblique = bool(forms) and language.normalizer(words[at].group()) not in forms
    return max(end, at + 1) if saint or oblique or head & naming.street_nouns else None


def _place_adjectives(text: str, words: list[Any], first: int, end: int, language: Language) -> int | None:
    """The end of a place's name that an adjective opens: "Невский проспект", "Moravské zemské muzeum"; None for none.

    Only adjectives that are made of names have these endings, and a few others, which are listed.
    """
    if not is_of_place(words[first].group().lower(), language):
        return None
    if end == first + 1:
        return _noun_end(text, words, end, language)
    dictionary = spelling(language)
    last = words[end - 1].group()
    nouns = language.naming.place_nouns
    if language.naming.nouns_last and dictionary is not None and not nouns.isdisjoint(dictionary.lemmas(last)):
        return end  # "Nemzeti Múzeum"
    return None


def _noun_end(text: str, words: list[Any], at: int, language: Language) -> int | None:
    """The end of a place's common noun that stands here, after one more adjective or none; None for none."""
    if not language.naming.place_nouns:
        return None
    for noun in (at, at + 1):
        if noun >= len(words) or not words[noun].group().islower() or not follows(text, words, at - 1, noun, language):
            return None
        if is_place_noun(words[noun].group(), language, as_name=True):
            return noun + 1
        if not is_adjective(words[noun].group(), language) or len(words[noun].group()) <= MIN_TOPIC:
            return None
    return None


def _title_end(text: str, words: list[Any], first: int, end: int, language: Language) -> int | None:
    """The end of a title without quotation marks; None for none.

    It begins with an ordinary word in a capital, and fills what stands between two commas ("Alfons Mucha, Slovanská
    epopej, olej na plátně") or after the word for a work ("z filmu Ostře sledované vlaky").
    """
    dictionary = spelling(language)
    if dictionary is None or first == 0 or not dictionary.is_ordinary(words[first].group()):
        return None
    listed = text[words[first - 1].end() : words[first].start()] == ", "
    of_work = (
        not listed and follows(text, words, first - 1, first, language) and is_work(words[first - 1].group(), language)
    )
    if not of_work and not (listed and end == first + 1):
        return None
    grammar, last = function_words(language), end
    while last < len(words) and last - first < MAX_WORDS and follows(text, words, first, last, language):
        word = words[last].group()
        capital_after = last + 1 < len(words) and is_capital(words[last + 1].group())
        is_grammar = word in grammar and word not in conjunctions(language)
        if is_grammar and (listed or capital_after):
            break
        if is_capital(word) and listed:
            return None
        last += 1
    closed = last == len(words) or not follows(text, words, first, last, language)
    if listed and (not closed or last - first > _LONGEST_LISTED or last == first + 1):
        return None
    return last


_LONGEST_LISTED = 3  # words of a title between commas
