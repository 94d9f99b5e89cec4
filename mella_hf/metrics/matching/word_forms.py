"""Compare two words: by the spelling dictionary, by their stems, and by their letters.

For the languages that write spaces between words.
"""

import re
import unicodedata
from functools import lru_cache

from mella_hf.metrics.names.gazetteer import places
from mella_hf.text.spelling import Dictionary, spelling
from mella_hf.text.tokens import TokenAnalysis, arabic_bases, stem_words

SHORT_STEM = 4  # letters: below it, unrelated words share stems (قطر Qatar, قطرات drops)
SHORT_ARABIC = 2  # letters of a word that keeps its clitics, for it may be a name's first: أم, أبو is longer
_ONE_LETTER_CLITICS = "ولبفك"
LONG_STEM = 7  # letters: two words that a dictionary tells apart, but share so long a stem, are one (compounds)
MIN_NAME = 3  # letters of a name that an ending can be added to
_ENDINGS = {  # of nouns in the singular, and the most frequent ones of the plural; none of surnames
    "cs": frozenset("a e ě i í o u y ou em ům ám ách ovi".split()),
    "hu": frozenset(
        "t at et ot öt ban ben n on en ön ra re nak nek ról ről tól től ból ből ba be hoz hez höz nál nél ig val vel "
        "ért ját jét nkat ott ett ött".split()
    ),
    "ru": frozenset("а е и о у ы ю я ой ей ом ем ам ах ью ами ях ями".split()),
    "sr": frozenset("a e i o u om em ama ima ju ja jem".split()),
}
_FLEETING = {"sr": "ckrl"}  # names that end in a consonant, "a" and one of these lose the "a" before an ending
_CONSONANTS = frozenset("bcčćdfgjklmnprsštvzž")
_VOICELESS = {"b": "p", "d": "t", "g": "k", "z": "s", "ž": "š"}  # as a consonant is written before a voiceless one
_LENGTHENED = {"hu": {"a": "á", "e": "é"}}  # a final vowel before an ending
_ADJECTIVES = {"hu": ("i",)}  # endings of adjectives that are made of names
_INSTRUMENTALS = {"hu": ("al", "el")}  # whose v becomes the consonant that it follows: Ajúnnal
FUZZY_LENGTH = 5  # letters: below it, one other letter makes another word
FUZZY_RATIO = 85.0  # rapidfuzz ratio: one or two letters in ten differ


class WordForms:
    """Compare a keyword's word with a word of an answer: are they forms of the same word?

    Args:
        text: the answer.
        alone: the keyword is one word.
        fuzzy: words that are spelled almost alike count too.
        plain: diacritics do not count.
        capital: whether the keyword is written with a capital; None: not known.
    """

    def __init__(self, text: TokenAnalysis, alone: bool, fuzzy: bool, plain: bool, capital: bool | None):
        self.text, self.capital = text, capital
        self.alone = alone
        self.stemmer = text.language.stemmer
        self.fuzzy, self.plain = fuzzy, plain

    def match(self, wanted: str, word: str) -> bool:
        """Whether two words are forms of the same word, by the dictionary or by their stems."""
        if wanted == word or self._same_word(wanted, word):
            return True
        if self.stemmer == "arabic" and len(wanted) == SHORT_ARABIC and not self.alone:  # لأم كلثوم
            return word[1:] == wanted and word[0] in _ONE_LETTER_CLITICS
        if self.plain and self._same_plain(wanted, word):
            return True
        return self.fuzzy and is_similar(wanted, word)

    def _same_plain(self, wanted: str, word: str) -> bool:
        """Whether two words are forms of one when their diacritics are left out."""
        ours, theirs = plain_letters(wanted), plain_letters(word)
        if self.text.language.code == "sr":  # đ is normalised to dj, and written as either
            ours, theirs = ours.replace("dj", "d"), theirs.replace("dj", "d")
        if (ours, theirs) == (wanted, word) or ours[0] != theirs[0]:
            return False
        dictionary = spelling(self.text.language)
        if dictionary is not None and not dictionary.is_ordinary(wanted) and word not in self.text.capitals:
            return False  # a name needs its capital here, too
        if ours == theirs or _is_other_ending(ours, theirs, self.text.language.code):
            return True
        return self.stemmer is not None and self._same_stem(ours, theirs)

    def _same_word(self, wanted: str, word: str) -> bool:
        if wanted[0] != word[0] and self.stemmer != "arabic":  # what is never so costs nothing
            return False
        dictionary = spelling(self.text.language)
        if dictionary is None:
            return self.stemmer is not None and self._same_stem(wanted, word)
        unlisted, has_capital = not dictionary.is_ordinary(wanted), self._has_capital(word, dictionary)
        if unlisted and self.capital is not False and not has_capital:
            return False  # "у костра" does not name Кострома
        if unlisted and word in (wanted + ending for ending in _ADJECTIVES.get(self.text.language.code, ())):
            return False  # "Soproni" is an adjective, also where it opens a sentence
        ours, theirs = dictionary.lemmas(wanted), dictionary.lemmas(word, has_capital)
        if not has_capital and self.alone and len(wanted) <= SHORT_STEM and dictionary.is_also_name(wanted):
            return wanted in theirs  # "husy", geese, does not name Hus
        if ours and theirs and not ours.isdisjoint(theirs):
            # A common noun that is made of another is a word of its own: "láng", a flame, is not "lángos".
            made = wanted in ours and wanted not in theirs and word in theirs
            if self.capital is not False or not made:
                return True
        known = bool(ours and theirs) and {wanted} != ours and {word} != theirs  # the paradigms of both
        if self.stemmer is not None and self._same_stem(wanted, word, LONG_STEM if known else 0):
            return True
        # A name of which no dictionary has the paradigm; or a word that is one by its capital within a sentence.
        unknown = unlisted and theirs <= {word}
        named = word in self.text.inner_capitals and not dictionary.is_also_name(word)
        return (unknown or named) and _is_other_ending(wanted, word, self.text.language.code)

    def _has_capital(self, word: str, dictionary: Dictionary) -> bool:
        """Whether a word has its capital because it is a name, as far as that can be seen where a sentence begins."""
        if word not in self.text.capitals:
            return False
        inner = self.text.inner_capitals
        if word in inner or self.text.raw.upper() == self.text.raw:
            return True
        return not dictionary.is_ordinary(word) or dictionary.is_also_name(word)

    def _same_stem(self, wanted: str, word: str, least: int = 0) -> bool:
        ours, theirs = _stems(wanted, self.stemmer), _stems(word, self.stemmer)
        if self.stemmer == "arabic":
            # Clitics can be removed from any word, an ending only if a long stem remains.
            known = places(self.text.language)
            place = (wanted,) in known or (wanted.removeprefix(_AL),) in known
            without_article = _has_article(wanted) and not _has_article(word)
            if without_article and (place or ours[0].isdisjoint(theirs[0])):
                return False  # "قاهر", who conquers, is not القاهرة, nor "خرطوم", a trunk, الخرطوم
            if not ours[0].isdisjoint(theirs[0]):
                return True
        # A short stem counts only where an ending was exchanged, not added: Brno, Brně; not Hus, husy.
        shared = [stem for stem in ours[1] & theirs[1] if len(stem) >= least]
        return any(len(stem) >= SHORT_STEM or len(wanted) == len(word) for stem in shared)


@lru_cache(maxsize=65536)
def plain_letters(word: str) -> str:
    """A normalised word without the diacritics of its Latin letters."""
    letters = unicodedata.normalize("NFD", word.translate(_PLAIN))
    if not letters.isascii():
        latin = "LATIN" in unicodedata.name(letters[0], "")
        letters = "".join(c for c in letters if not (latin and unicodedata.combining(c)))
    return unicodedata.normalize("NFC", letters)


_PLAIN = str.maketrans("đðłøı", "ddloi")  # letters that do not decompose


def _is_other_ending(wanted: str, word: str, code: str) -> bool:
    """Whether a word is a name that no dictionary has, with another of the language's case endings."""
    endings = _ENDINGS.get(code)
    if endings is None or len(wanted) < MIN_NAME:
        return False
    stems = {wanted, wanted[:-1]} if wanted[-1] in endings and len(wanted) > MIN_NAME else {wanted}
    start, before, last = wanted[:-3], wanted[-3], wanted[-1]
    if start and before in _CONSONANTS and wanted[-2] == "a" and last in _FLEETING.get(code, ""):  # Šabac, Šapca
        stems |= {start + before + last, start + _VOICELESS.get(before, before) + last}
    if wanted[-1] in _LENGTHENED.get(code, {}):
        stems.add(wanted[:-1] + _LENGTHENED[code][wanted[-1]])
    if any(word.startswith(stem) and word[len(stem) :] in endings for stem in stems):
        return True
    return word in (wanted + wanted[-1] + ending for ending in _INSTRUMENTALS.get(code, ()))


_AL = "ال"
_ARTICLE = re.compile("[وفبك]?ال|[وف]?لل")


def _has_article(word: str) -> bool:
    """Whether an Arabic word has the article, perhaps after a clitic."""
    return _ARTICLE.match(word) is not None


@lru_cache(maxsize=65536)
def _stems(word: str, stemmer: str | None) -> tuple[frozenset[str], frozenset[str]]:
    """The word's forms without clitics, and the stems of one and two stemmings of each."""
    bases = arabic_bases(word) if stemmer == "arabic" else [word]
    once = stem_words(bases, stemmer)
    return frozenset(bases), frozenset(once) | frozenset(stem_words(once, stemmer))


def is_similar(wanted: str, word: str) -> bool:
    """Whether two words of five letters or more are spelled almost alike and begin alike."""
    from rapidfuzz import fuzz

    if min(len(wanted), len(word)) < FUZZY_LENGTH or wanted[0] != word[0]:
        return False
    return fuzz.ratio(wanted, word) >= FUZZY_RATIO
