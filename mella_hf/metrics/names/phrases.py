"""The rest of a name that begins with an ordinary word in a capital, in small letters: "Spojených států".

Within a sentence, a capital on an ordinary word says that a name begins. Its parts agree, so that an adjective needs
its noun; and a noun has another in another case, or what it is for ("Agencija za privatizaciju").
"""

import re
from typing import Any

from mella_hf.languages import Language
from mella_hf.metrics.names.capital_words import follows, is_adjective
from mella_hf.text.spelling import function_words, spelling

_LONGEST = 3  # words in small letters
_LEAST = 3  # letters of a noun: shorter ones are mostly words of grammar
# How an adjective ends that stands before no verb: any other may be a surname, before what the person does.
_OBLIQUE = ("ch", "ho", "mu", "ih", "og", "eg", "ых", "их", "го", "му", "ог", "ег")


def phrase_end(text: str, words: list[Any], at: int, language: Language) -> int | None:
    """Where a name ends that begins at this word, an ordinary one with a capital; None if no name begins here."""
    dictionary = spelling(language)
    first = words[at].group()
    if dictionary is None or not language.naming.parts_agree or not first[1:].islower():
        return None
    if not dictionary.is_ordinary(first):
        return None
    if is_adjective(first.lower(), language):
        return _noun_end(text, words, at, language, no_verb=not first.endswith(_OBLIQUE))
    if dictionary.is_also_name(first):
        return None
    if at + 1 < len(words) and words[at + 1].group() in language.naming.purposes:
        return _noun_end(text, words, at + 1, language) if follows(text, words, at, at + 1, language) else None
    end = _noun_end(text, words, at, language)
    if end is None:
        return None
    last = words[end - 1].group()
    lemmas = dictionary.lemmas(last, False)
    if all(is_adjective(lemma, language) for lemma in lemmas):
        return None  # of another name: "Dnu svatého Patrika"
    return end if language.normalizer(last) not in lemmas else None


def _noun_end(text: str, words: list[Any], at: int, language: Language, no_verb: bool = True) -> int | None:
    """The end of adjectives and a noun in small letters, after the word at a place; None if no noun stands there.

    Args:
        no_verb: none of the words is a form of a verb.
    """
    dictionary = spelling(language)
    assert dictionary is not None
    end = None
    for place in range(at + 1, min(at + 1 + _LONGEST, len(words))):
        word = words[place].group()
        if not word.islower() or word in function_words(language) or not follows(text, words, at, place, language):
            break
        lemmas = dictionary.lemmas(word, False)
        is_verb = all(re.search(language.naming.infinitives, lemma) for lemma in lemmas)
        if not lemmas or (no_verb and is_verb) or len(word) < _LEAST:
            break
        end = place + 1
        if not is_adjective(word, language) or not all(is_adjective(lemma, language) for lemma in lemmas):
            break  # the noun
    return end
