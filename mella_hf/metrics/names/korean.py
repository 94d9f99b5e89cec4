"""Find names in Korean alt-texts: Kiwi's proper nouns."""

from collections.abc import Iterator
from typing import Any

from mella_hf.languages import Language
from mella_hf.metrics.names.gazetteer import place_key, places
from mella_hf.metrics.names.spans import Span
from mella_hf.text.tokens import korean_morphemes

UNKNOWN_SCORE = -21.0  # Kiwi's log-probability below which a noun is in no dictionary
MIN_UNKNOWN = 3  # syllables of an unknown Korean noun


def korean_names(text: str, language: Language) -> Iterator[Span]:
    """Kiwi's proper nouns, with the nouns, foreign words and numbers that touch them.

    Neighbours are names of their own ("부산 해운대") unless neither is a place: "빈센트 반 고흐" is one person.
    """
    run: list[Any] = []
    for morpheme in [*korean_morphemes(text), None]:
        if morpheme is not None and run:
            gap = morpheme.start - run[-1].end
            touches = gap == 0 and morpheme.tag in _KOREAN_PARTS
            if touches or (gap == 1 and _is_korean_name(morpheme) and _one_person(run[-1], morpheme, language)):
                run.append(morpheme)
                continue
        run = _without_thing(run)
        if any(part.tag != "SL" for part in run):  # Latin letters alone are found elsewhere
            yield Span(run[0].start, run[-1].end)
        opens = morpheme is not None and (_is_korean_name(morpheme) or morpheme.tag == "SL")
        run = [morpheme] if opens else []


def _without_thing(run: list[Any]) -> list[Any]:
    """A name without the common noun that is written together with it: "한국시각", Korean time.

    The noun stays if it says what the name is (a place, an institution, a firm), or if one of both has one syllable:
    that is a surname and a given name that the analyser does not know.
    """
    while (
        len(run) > 1
        and min(len(run[-2].form), len(run[-1].form)) > 1
        and run[-1].tag == "NNG"
        and not run[-1].form.endswith(_KOREAN_KINDS)
    ):
        run = run[:-1]
    return run


# Sejong tags of what a name goes on with: nouns, Latin letters, numbers, and a last syllable that is read as a prefix.
_KOREAN_PARTS = ("NNP", "NNG", "SL", "SN", "XPN")
_KOREAN_PLACE = tuple(
    "궁전사산강도시구동성문탑역항교원관대섬천굴폭"
)  # last syllables of places: palace, temple, river ...
# And of institutions, firms, ships and kings; with what hotels, cards, groups and halls are.
_KOREAN_KINDS = (
    *_KOREAN_PLACE, *"당단회사행부처청교팀전군호왕",
    *"호텔 카드 그룹 마트 리그 빌딩 타워 마을 거리 시장 파크 센터 병원 네트워크 전자 항공 은행 신문 방송".split(),
)  # fmt: skip


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
