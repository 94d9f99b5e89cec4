"""Descriptions in nine languages: whole sentences written out by hand, lengths, and the language that they are in."""

import random
from dataclasses import fields, replace

import pytest

from mella_hf.demo.stamps import measures
from mella_hf.demo.stamps.descriptions import _draw, describe, described_languages, phrases_of
from mella_hf.demo.stamps.measures import Measures
from mella_hf.errors import MellaError
from mella_hf.languages import get_language, language_codes
from mella_hf.text.lid import is_language
from mella_hf.text.tokens import analyze

VALUES = {
    "main": measures.COLOURS,
    "second": (None, *measures.COLOURS),
    "third": (None, *measures.COLOURS),
    "background": tuple(measures.BACKGROUNDS),
    "size": measures.SIZES,
    "position": measures.POSITIONS,
    "shape": measures.SHAPES,
    "outline": measures.OUTLINES,
    "texture": measures.TEXTURES,
    "brightness": measures.BRIGHTNESSES,
    "contrast": measures.CONTRASTS,
}
CAT = Measures(
    main="black",
    second="white",
    third="green",
    background="pale blue",
    size="small",
    position="top left",
    shape="wide",
    outline="irregular",
    texture="detailed",
    brightness="dark",
    contrast="strong",
)

# The seed decides among the wordings; these three lines each begin, go on and end a description of CAT.
WRITTEN_OUT = {
    "ar": "لونه الرئيسي هو الأسود. يأتي بعده اللون الأبيض، ويظهر أيضًا قليل من اللون الأخضر.",
    "cs": "Jeho hlavní barva je černá. Na druhém místě je bílá barva a v menší míře se objevuje také zelená.",
    "hu": "A tárgy fő színe a fekete. A második leggyakoribb szín a fehér, és kisebb mértékben a zöld is megjelenik.",
    "ko": "물체의 주된 색은 검은색입니다. 그다음으로는 흰색이 많고, 초록색도 조금 보입니다.",
    "ru": "Основной его цвет — чёрный. На втором месте идёт белый цвет, и кое-где заметен ещё зелёный.",
    "sr": "Његова главна боја је црна. На другом месту је бела боја, а у мањој мери јавља се и зелена.",
    "th": "สีหลักของวัตถุคือสีดำ รองลงมาคือสีขาว และยังมีสีเขียวอยู่เล็กน้อย",
    "vi": "Màu chính của nó là màu đen. Màu nhiều thứ hai là màu trắng, ngoài ra còn có một ít màu xanh lá cây.",
    "en": "Its main colour is black. The second most common colour is white, and there is a little green as well.",
}
PLACED = {
    "ar": "يظهر في الصورة جسم صغير في أعلى اليسار على خلفية زرقاء فاتحة.",
    "cs": "Na obrázku je vlevo nahoře na bledě modrém pozadí vidět malý předmět.",
    "hu": "A képen balra fent, halványkék háttér előtt egy kis tárgy látható.",
    "ko": "연한 파란색 배경의 왼쪽 위에 작은 물체가 놓여 있습니다.",
    "ru": "На картинке слева вверху на бледно-голубом фоне виден предмет небольшого размера.",
    "sr": "На слици се горе лево на бледоплавој позадини види мали предмет.",
    "th": "มีวัตถุขนาดเล็กหนึ่งชิ้นอยู่ด้านซ้ายบนของภาพบนพื้นหลังสีฟ้าอ่อน",
    "vi": "Trong ảnh, trên nền xanh dương nhạt, có một vật thể nhỏ nằm ở góc trên bên trái.",
    "en": "The picture shows a small object in the upper left part on a pale blue background.",
}


def seed_of_first_wordings(language: str) -> str:
    """A seed that draws the first wording of every sentence."""
    phrases = phrases_of(language)
    names = ("place", "main", "rest_two", "form", "surface", "light")
    for number in range(10_000):
        if all(_draw(getattr(phrases, name), str(number), name) == getattr(phrases, name)[0] for name in names):
            return str(number)
    raise AssertionError("no such seed")


def random_measures(rng: random.Random) -> Measures:
    drawn = Measures(**{name: rng.choice(values) for name, values in VALUES.items()})
    return drawn if drawn.second else replace(drawn, third=None)


def test_the_values_tested_are_all_there_are():
    assert set(VALUES) == {field.name for field in fields(Measures)}
    assert described_languages() == sorted([*language_codes(), "en"])


@pytest.mark.parametrize("language", [*language_codes(), "en"])
def test_sentences_written_out_by_hand(language):
    text = describe(CAT, language, seed_of_first_wordings(language))
    assert text.startswith(PLACED[language])
    assert WRITTEN_OUT[language] in text


def test_a_whole_description():
    assert describe(CAT, "cs", seed_of_first_wordings("cs")) == (
        "Na obrázku je vlevo nahoře na bledě modrém pozadí vidět malý předmět. Jeho hlavní barva je černá. "
        "Na druhém místě je bílá barva a v menší míře se objevuje také zelená. "
        "Předmět je zřetelně širší, než je vysoký, a jeho obrys je roztřepený a nepravidelný. "
        "Jeho povrch je velmi členitý, s mnoha drobnými podrobnostmi. "
        "Celkově je předmět tmavý a od pozadí se odlišuje výrazně."
    )


@pytest.mark.parametrize("language", [*language_codes(), "en"])
def test_every_value_has_a_word_of_its_own_in_every_wording(language):
    phrases = phrases_of(language)
    for name in ("background", "size", "position", "shape", "outline", "texture", "brightness", "contrast"):
        assert set(getattr(phrases, name)) == set(VALUES[name])
        assert len(set(getattr(phrases, name).values())) == len(VALUES[name])
    assert set(phrases.colour) == set(measures.COLOURS) and len(set(phrases.colour.values())) == len(measures.COLOURS)
    slots = {
        "place": ("size", "position", "background"),
        "main": ("main",),
        "rest_two": ("second", "third"),
        "rest_one": ("second",),
        "rest_none": (),
        "form": ("shape", "outline"),
        "surface": ("texture",),
        "light": ("brightness", "contrast"),
    }
    for name, needed in slots.items():
        wordings = getattr(phrases, name)
        assert 2 <= len(set(wordings)) == len(wordings) <= 3
        for wording in wordings:
            assert sorted(wording.count("{" + slot + "}") for slot in needed) == [1] * len(needed)
            assert wording.count("{") == len(needed)


@pytest.mark.parametrize("language", language_codes())
def test_40_to_120_tokens_in_the_language(language):
    rng = random.Random(7)
    for number in range(60):
        text = describe(random_measures(rng), language, str(number))
        assert 40 <= len(analyze(text, get_language(language)).tokens) <= 120, text
        assert is_language(text, language), text


@pytest.mark.parametrize("language", [*language_codes(), "en"])
def test_sentences_are_clean(language):
    rng = random.Random(11)
    for number in range(60):
        text = describe(random_measures(rng), language, str(number))
        assert "  " not in text and "{" not in text and ".." not in text
        assert language == "th" or (text[0] == text[0].upper() and text.endswith("."))
        assert ". " not in text or all(part[0] == part[0].upper() for part in text.split(". "))


def test_the_seed_draws_and_nothing_else_does():
    texts = {describe(CAT, "ru", str(number)) for number in range(40)}
    assert len(texts) > 20
    assert describe(CAT, "ru", "7") == describe(CAT, "ru", "7")


def test_one_colour_and_two_colours():
    plain = describe(replace(CAT, second=None, third=None), "en", "0")
    assert "white" not in plain and "green" not in plain and "just one colour" in plain or "plain" in plain
    two = describe(replace(CAT, third=None), "en", "0")
    assert "white" in two and "green" not in two


def test_a_language_without_phrases_is_an_error():
    with pytest.raises(MellaError, match="No description phrases for language 'xx'; there are ar, cs, en"):
        describe(CAT, "xx")
