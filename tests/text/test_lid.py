"""The language of a text, and what counts as Serbian."""

import pytest

from mella_hf.text.lid import UNKNOWN, excerpt, identify, is_language, script_share

# Article 1 of the Universal Declaration of Human Rights (United Nations, public domain).
ARTICLE_1 = {
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق، وقد وهبوا عقلا وضميرا",
    "cs": "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv.",
    "hu": "Minden emberi lény szabadon születik és egyenlő méltósága és joga van.",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "sr": "Сва људска бића рађају се слободна и једнака у достојанству и правима.",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền.",
    "en": "All human beings are born free and equal in dignity and rights.",
}


@pytest.mark.parametrize("code", ARTICLE_1)
def test_each_article_is_in_its_language_and_no_other(code: str) -> None:
    assert identify(ARTICLE_1[code])[0] == code
    for other in ARTICLE_1:
        if other != "en":
            assert is_language(ARTICLE_1[code], other) == (code == other), other


def test_serbian_in_latin_script_is_a_candidate_that_the_page_decides() -> None:
    article = "Sva ljudska bića rađaju se slobodna i jednaka u dostojanstvu i pravima."
    assert is_language(article, "sr")
    assert is_language(article, "sr", declared="sr-Latn-RS")
    assert identify(article)[0] == "hr"  # as all identifiers are apt to say
    assert not is_language(article, "sr", declared="hr")


@pytest.mark.parametrize(
    ("text", "code"), [("Карлов мост", "ru"), ("หมู", "th"), ("독수리", "ko"), ("نمر", "ar"), ("Karlův most", "cs")]
)
def test_short_native_text_gets_the_benefit_of_doubt(text: str, code: str) -> None:
    assert is_language(text, code)


@pytest.mark.parametrize("text", ["", "  ", "12:30", "!?"])
def test_text_without_letters_is_in_no_language(text: str) -> None:
    assert identify(text) == (UNKNOWN, 0.0)
    assert not is_language(text, "cs")


def test_russian_letters_are_not_serbian() -> None:
    assert not is_language("Рыба и чайка", "sr")
    assert not is_language("Ђевђелија", "ru")


def test_script_share() -> None:
    assert script_share("abвг", ("Cyrl",)) == 0.5
    assert script_share("аб12!", ("Cyrl",)) == 1.0
    assert script_share("аб vg", ("Cyrl", "Latn")) == 1.0


def test_excerpt_has_beginning_middle_and_end() -> None:
    text = "a" * 400 + "b" * 400 + "c" * 400
    assert set(excerpt(text)) == set("abc ") and len(excerpt(text)) < 300
    assert excerpt("short") == "short"
