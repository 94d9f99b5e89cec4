"""Find a keyword in Korean and Thai, where spaces inside names are optional."""

import re
from collections.abc import Sequence
from itertools import pairwise

from mella_hf.metrics.matching.word_forms import is_similar
from mella_hf.text.tokens import TokenAnalysis, is_word

NO_WORD = "\N{REPLACEMENT CHARACTER}"  # stands where a word was taken out, so that its neighbours do not meet
SHORT_THAI = 4  # letters: below it, a Thai string occurs inside many words


def is_found_unspaced(wanted: TokenAnalysis, text: TokenAnalysis, fuzzy: bool) -> bool:
    """Whether a Korean or Thai text names a keyword: by its letters, which must begin and end where words do.

    Args:
        fuzzy: a run of words that is spelled almost like the keyword counts too.
    """
    korean = text.language.tokenizer == "kiwi"
    if korean and _before_particles("".join(wanted.normalized.split()), text.normalized):
        return True
    for drop_particles in (False, True) if korean else (False,):
        letters, pieces = "".join(_pieces(wanted, drop_particles)), _pieces(text, drop_particles)
        if korean:
            pieces = without_common_words(wanted, text, pieces, drop_particles)
        if not letters:
            continue
        anywhere = not korean and _letter_count(letters) >= SHORT_THAI
        if _at_boundaries(letters, pieces, anywhere) or (fuzzy and _similar_span(letters, pieces)):
            return True
    return False


def text_of_place(name: str, text: TokenAnalysis) -> str:
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
    จังหวัด เมือง อำเภอ แม่น้ำ สนามบิน สถานี จ. อ. ที่ ใน จาก ของ ไป ถึง และ กับ หรือ ชาว คน
    """.split()
)
_AFTER_PLACE = tuple(
    """
    และ กับ หรือ ใน ที่ เป็น มี ตอน ยาม เมื่อ
    """.split()
)


MIN_KOREAN = 2  # syllables of a name that is found before particles, whatever the analyser cut

# Particles of case, topic and focus, up to three after each other, and the copula, after a name that ends in a vowel
# and after one that ends in a consonant: 김구가, but 서울이. What a place is may stand before them: 서울역, 강릉시청.
_PLACE = r"(?:국제공항|공항|시청|군청|구청|도청|대학교|역|시|도|군|구|항|대)?"
_FIRST = r"(?:에서|에게|한테|에|까지|부터|하고|만|보다|처럼|마다|조차|마저|밖|{})?(?:까지|부터|만|에)?"
_COPULA = r"(?:{})?"
_AFTER_VOWEL = re.compile(
    _FIRST.format("로|와|랑")
    + r"(?:는|도|의|가|를|나)?"
    + _COPULA.format("이다|이며|이고|인|입니다|이었다|였다|이라는|라는|이라고|라고")
)
_AFTER_CONSONANT = re.compile(
    _FIRST.format("으로|로|과|이랑")
    + r"(?:은|도|의|이|을|이나)?"
    + _COPULA.format("이다|이며|이고|인|입니다|이었다|이라는|이라고")
)
_PLACES = re.compile(_PLACE)


def _are_particles(name: str, ending: str) -> bool:
    """Whether what stands after a name is a particle, as its last letter takes them, or nothing."""
    for known in {"", _PLACES.match(ending).group()}:  # type: ignore[union-attr]
        last = (name + known)[-1]
        in_hangul = "가" <= last <= "힣"
        has_consonant = in_hangul and (ord(last) - ord("가")) % _FINALS > 0
        rest = ending[len(known) :]
        if not has_consonant and _AFTER_VOWEL.fullmatch(rest):
            return True
        if (has_consonant or not in_hangul) and _AFTER_CONSONANT.fullmatch(rest):
            return True
    return False


_FINALS = 28  # ways in which a syllable of Hangul ends


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
        if span.startswith(name) and _are_particles(name, span[len(name) :]):
            return True
    return False


_PARTICLES_AND_ENDINGS = ("J", "E", "VCP", "XSN")  # Sejong tags: particles, endings, copula, noun suffixes


def _pieces(text: TokenAnalysis, drop_particles: bool) -> list[str]:
    """The words, without particles and endings if they are to be dropped."""
    if not drop_particles:
        return text.words
    tagged = zip(text.tokens, text.tags, strict=True)
    return [token for token, tag in tagged if is_word(token) and not tag.startswith(_PARTICLES_AND_ENDINGS)]


def without_common_words(
    wanted: TokenAnalysis, text: TokenAnalysis, pieces: list[str], drop_particles: bool
) -> list[str]:
    """The pieces without those that are not names: 부산하다, to be busy, is not Busan, nor 대구탕, cod soup, Daegu.

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
    return [NO_WORD if is_common else token for token, is_common in kept]


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
            if len(span) >= len(letters) - 1 and is_similar(letters, span):
                return True
    return False
