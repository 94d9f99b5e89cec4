"""Match keywords against an answer: does the answer name what the picture shows?

A hit is a contiguous, in-order match of whole words. Substring search would miss القاهرة in بالقاهره
and find Huế in thuế; here words are compared as their language writes them:

- `exact`: the normalised tokens are equal.
- `stem`: the spelling dictionary has both as forms of one word, or, where it lacks one, one or two stemmings are equal;
  a word that is only a name must have its capital; Arabic without its proclitics; Korean and Thai, whose
  spacing is loose, by their letters without spaces, at morpheme or word boundaries and (Korean)
  with particles left out.
- `fuzzy`: also a word of five letters or more that is spelled a little differently.

With `plain`, diacritics do not count either: "u Nisu" names Niš. An Arabic compound may be written together or apart.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, get_args

from mella_hf.errors import MellaError
from mella_hf.languages import Language, get_language
from mella_hf.metrics.names.thai import is_common_place
from mella_hf.text.spelling import Dictionary, spelling
from mella_hf.text.tokens import TokenAnalysis, analyze, arabic_bases, is_word, stem_words

Mode = Literal["exact", "stem", "fuzzy"]

SHORT_STEM = 4  # letters: below it, unrelated words share stems (قطر Qatar, قطرات drops)
SHORT_THAI = 4  # letters: below it, a Thai string occurs inside many words
SHORT_ARABIC = 2  # letters of a word that keeps its clitics, for it may be a name's first: أم, أبو is longer
_ONE_LETTER_CLITICS = "ولبفك"
LONG_STEM = 7  # letters: two words that a dictionary tells apart, but share so long a stem, are one (compounds)
MIN_COMPOUND = 5  # letters of an Arabic name that may be written together or apart
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
_LENGTHENED = {"hu": {"a": "á", "e": "é"}}  # a final vowel before an ending
_INSTRUMENTALS = {"hu": ("al", "el")}  # whose v becomes the consonant that it follows: Ajúnnal
FUZZY_LENGTH = 5  # letters: below it, one other letter makes another word
FUZZY_RATIO = 85.0  # rapidfuzz ratio: one or two letters in ten differ


def keyword_hits(
    prediction: str | TokenAnalysis,
    keywords: Iterable[str],
    language: str | Language,
    mode: Mode = "stem",
    plain: bool = False,
) -> tuple[int, int]:
    """How many of an image's keywords an answer names.

    Args:
        plain: diacritics do not count (Latin letters).

    Returns:
        (hits, distinct normalised keywords). Keywords without a letter or digit do not count.

    Raises:
        MellaError: on an unknown mode.
    """
    entry = get_language(language) if isinstance(language, str) else language
    analysis = analyze(prediction, entry) if isinstance(prediction, str) else prediction
    written: dict[str, bool] = {}  # with a capital
    for keyword in keywords:
        for normalized in distinct_keywords((keyword,), entry):
            written[normalized] = written.get(normalized, False) or any(map(str.isupper, keyword))
    hits = sum(contains(analysis, keyword, mode, plain, capital) for keyword, capital in written.items())
    return hits, len(written)


def distinct_keywords(keywords: Iterable[str], language: Language) -> list[str]:
    """Normalised keywords, each once, in order; those without a letter or digit are left out."""
    normalized = (language.normalizer(keyword) for keyword in keywords)
    return list(dict.fromkeys(keyword for keyword in normalized if any(map(str.isalnum, keyword))))


def contains(
    text: TokenAnalysis, keyword: str, mode: Mode = "stem", plain: bool = False, capital: bool | None = None
) -> bool:
    """Whether an analysed text names a keyword.

    Args:
        capital: whether the keyword is written with a capital, so that an ordinary word in small letters is not it; or
            without, so that it needs none in the answer. None: not known.
    """
    if mode not in get_args(Mode):
        raise MellaError(f"Unknown keyword mode {mode!r}; choose one of {', '.join(get_args(Mode))}.")
    wanted = _analyze_keyword(keyword, text.language)
    words = text.words
    if text.language.tokenizer == "kiwi":
        words = _without_common(wanted, text, words, False)
    elif wanted.words == [_ALI] and text.language.stemmer == "arabic" and _ON in text.raw:
        text = analyze(text.raw.replace(_ON, _NO_NOUN), text.language)
        words = text.words
    elif text.language.tokenizer == "newmm" and is_common_place(wanted.normalized):
        text = analyze(_said_as_place(wanted.normalized, text), text.language)
        words = text.words

    def is_name(found: Sequence[str]) -> bool:
        return not capital or not _is_ordinary(found, text)

    if _contiguous(wanted.words, words, lambda a, b: a == b, is_name):
        return True
    if mode == "exact":
        return False
    if text.language.tokenizer != "words":
        return _found_unspaced(wanted, text, mode)
    forms = _Forms(text, alone=len(wanted.words) == 1, fuzzy=mode == "fuzzy", plain=plain, capital=capital)
    if _contiguous(wanted.words, text.words, forms.match, is_name):
        return True
    return text.language.stemmer == "arabic" and _joined_otherwise(wanted.words, text.words)


_ALI, _ON = "علي", "على"  # a given name, and the preposition that the normaliser makes equal to it


def _said_as_place(name: str, text: TokenAnalysis) -> str:
    """A Thai text without what is a common word there, such as the particle เลย, and no province.

    A province has a word for what it is before it, a preposition, another name, or a space.
    """
    said, kept, at = text.normalized, [], 0
    for match in re.finditer(re.escape(name), said):
        found, end = match.span()
        leads = found == 0 or said[found - 1].isspace() or said.endswith(_LEADS_TO_PLACE, 0, found)
        ends = end == len(said) or not said[end].isalpha() or said.startswith(_AFTER_PLACE, end)
        kept += [said[at:found], name if leads and ends else " "]
        at = end
    return "".join([*kept, said[at:]])


_LEADS_TO_PLACE = tuple(
    """
    จังหวัด เมือง อำเภอ จ. อ. ที่ ใน จาก ของ ไป ถึง และ กับ หรือ ชาว คน
    """.split()
)
_AFTER_PLACE = tuple(
    """
    และ กับ หรือ ใน ที่ เป็น มี ตอน ยาม เมื่อ
    """.split()
)


def _joined_otherwise(wanted: Sequence[str], words: Sequence[str]) -> bool:
    """Whether the words name an Arabic compound that they join or part in another way: عبدالله is عبد الله."""
    letters = "".join(wanted)
    if len(letters) < MIN_COMPOUND or letters not in "".join(words):
        return False
    for at, word in enumerate(words):
        for span in filter(letters.startswith, arabic_bases(word)):
            for more in words[at + 1 :]:
                if len(span) >= len(letters):
                    break
                span += more
            if span == letters:
                return True
    return False


@lru_cache(maxsize=65536)
def _analyze_keyword(keyword: str, language: Language) -> TokenAnalysis:
    return analyze(keyword, language)


def _contiguous(
    wanted: Sequence[str],
    words: Sequence[str],
    match: Callable[[str, str], bool],
    is_name: Callable[[Sequence[str]], bool],
) -> bool:
    if not wanted or len(wanted) > len(words):
        return False
    return any(
        all(match(want, words[at + k]) for k, want in enumerate(wanted)) and is_name(words[at : at + len(wanted)])
        for at in range(len(words) - len(wanted) + 1)
    )


def _is_ordinary(found: Sequence[str], text: TokenAnalysis) -> bool:
    """Whether words of a text that uses capitals are ordinary ones there: "орёл летит" does not name Орёл.

    Where no dictionary tells, every word in small letters is ordinary.
    """
    if not text.capitals or not text.capitals.isdisjoint(found):
        return False
    dictionary = spelling(text.language)
    return dictionary is None or all(map(dictionary.is_ordinary, found))


class _Forms:
    """Compares two words by their stems."""

    def __init__(self, text: TokenAnalysis, alone: bool, fuzzy: bool, plain: bool = False, capital: bool | None = None):
        self.text, self.capital = text, capital
        self.alone = alone  # the keyword is one word
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
        return self.fuzzy and _similar(wanted, word)

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
    if wanted[-1] in _LENGTHENED.get(code, {}):
        stems.add(wanted[:-1] + _LENGTHENED[code][wanted[-1]])
    if any(word.startswith(stem) and word[len(stem) :] in endings for stem in stems):
        return True
    return word in (wanted + wanted[-1] + ending for ending in _INSTRUMENTALS.get(code, ()))


@lru_cache(maxsize=65536)
def _stems(word: str, stemmer: str | None) -> tuple[frozenset[str], frozenset[str]]:
    """The word's forms without clitics, and the stems of one and two stemmings of each."""
    bases = arabic_bases(word) if stemmer == "arabic" else [word]
    once = stem_words(bases, stemmer)
    return frozenset(bases), frozenset(once) | frozenset(stem_words(once, stemmer))


def _similar(wanted: str, word: str) -> bool:
    from rapidfuzz import fuzz

    if min(len(wanted), len(word)) < FUZZY_LENGTH or wanted[0] != word[0]:
        return False
    return fuzz.ratio(wanted, word) >= FUZZY_RATIO


def _found_unspaced(wanted: TokenAnalysis, text: TokenAnalysis, mode: Mode) -> bool:
    """Korean and Thai: spaces are optional inside names, so letters count, at boundaries."""
    korean = text.language.tokenizer == "kiwi"
    if korean and _before_particles("".join(wanted.normalized.split()), text.normalized):
        return True
    for drop_particles in (False, True) if korean else (False,):
        letters, pieces = "".join(_pieces(wanted, drop_particles)), _pieces(text, drop_particles)
        if korean:
            pieces = _without_common(wanted, text, pieces, drop_particles)
        if not letters:
            continue
        anywhere = not korean and _letter_count(letters) >= SHORT_THAI
        if _at_boundaries(letters, pieces, anywhere) or (mode == "fuzzy" and _similar_span(letters, pieces)):
            return True
    return False


MIN_KOREAN = 2  # syllables of a name that is found before particles, whatever the analyser cut

# Particles of case, topic and focus, up to three after each other, and the copula.
_PARTICLES = re.compile(
    r"(?:에서|에게|한테|에|으로|로|까지|부터|과|와|하고|이랑|랑|만|보다|처럼|마다|조차|마저|밖)?"
    r"(?:까지|부터|만|에)?(?:은|는|도|의|이|가|을|를|나|이나)?(?:이다|이며|이고|인|입니다|이었다|였다|이라는|이라고)?"
)


def _before_particles(name: str, text: str) -> bool:
    """Whether a word, or some words together, is the name and particles; the analyser may cut names that it lacks."""
    if len(name) < MIN_KOREAN or not name[0].isalnum():
        return False
    words = re.findall(r"\w+", text)
    for at, word in enumerate(words):
        if word[0] != name[0]:
            continue
        span = word
        for following in words[at + 1 :]:
            if len(span) >= len(name) or not name.startswith(span):
                break
            span += following
        if span.startswith(name) and _PARTICLES.fullmatch(span, len(name)):
            return True
    return False


_PARTICLES_AND_ENDINGS = ("J", "E", "VCP", "XSN")  # Sejong tags: particles, endings, copula, noun suffixes


def _pieces(text: TokenAnalysis, drop_particles: bool) -> list[str]:
    """The words, without particles and endings if they are to be dropped."""
    if not drop_particles:
        return text.words
    tagged = zip(text.tokens, text.tags, strict=True)
    return [token for token, tag in tagged if is_word(token) and not tag.startswith(_PARTICLES_AND_ENDINGS)]


def _without_common(wanted: TokenAnalysis, text: TokenAnalysis, pieces: list[str], drop_particles: bool) -> list[str]:
    """The pieces, without those that are no name: 부산하다, to be busy, is not Busan, nor 대구탕, cod soup, Daegu.

    The copula; a noun that a verb or adjective is made of; and one that the analyser takes for a common noun before
    another, where it takes the keyword for a name.
    """
    tagged = list(zip(text.tokens, text.tags, strict=True))
    is_a_name = wanted.tags == ["NNP"]
    common = {at for at, (_, tag) in enumerate(tagged) if tag == "VCP"}  # 사랑이란 does not name Iran, 이란
    for at, ((token, tag), (_, following)) in enumerate(pairwise(tagged)):
        compound = is_a_name and tag == "NNG" and token == wanted.tokens[0] and following in ("NNG", "XSN")
        if compound or following in ("XSA", "XSV"):
            common.add(at)
    if not common:
        return pieces
    kept = [
        (token, at in common)
        for at, (token, tag) in enumerate(tagged)
        if is_word(token) and not (drop_particles and tag.startswith(_PARTICLES_AND_ENDINGS))
    ]
    return [_NO_NOUN if is_common else token for token, is_common in kept]


_NO_NOUN = "\N{REPLACEMENT CHARACTER}"


def _letter_count(text: str) -> int:
    """Letters without vowel signs and tone marks above and below."""
    return sum(map(str.isalnum, text))


def _at_boundaries(letters: str, pieces: Sequence[str], anywhere: bool) -> bool:
    joined = "".join(pieces)
    if anywhere:
        return letters in joined
    boundaries, at = {0}, 0
    for piece in pieces:
        at += len(piece)
        boundaries.add(at)
    at = joined.find(letters)
    while at >= 0:
        if at in boundaries and at + len(letters) in boundaries:
            return True
        at = joined.find(letters, at + 1)
    return False


def _similar_span(letters: str, pieces: Sequence[str]) -> bool:
    """Whether a run of whole words is spelled almost like the keyword."""
    for start in range(len(pieces)):
        span = ""
        for piece in pieces[start:]:
            span += piece
            if len(span) > len(letters) + 1:
                break
            if len(span) >= len(letters) - 1 and _similar(letters, span):
                return True
    return False
