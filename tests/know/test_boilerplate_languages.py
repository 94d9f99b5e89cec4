"""Words for "image", "photo" and "logo" are boilerplate in every language's own words; names are not."""

from dataclasses import replace

import pytest

from mella_hf import languages
from mella_hf.know.alt_text import Dropped, Kept, check_alt_text
from mella_hf.know.boilerplate import is_boilerplate
from mella_hf.languages import get_language


@pytest.mark.parametrize(
    "text",
    ["εικόνα", "عکس", "picha", "სურათი 3", "画像", "图片2", "រូបភាព", "àwòrán", "ምስል", "ပုံ ၃", "fotografía.", "צילום"],
)  # fmt: skip
def test_words_for_pictures_describe_none(text: str) -> None:
    assert is_boilerplate(text)


@pytest.mark.parametrize("text", ["Ακρόπολη", "میدان نقش جهان", "ასომთავრული", "東京タワー", "Ọ̀ṣun", "លោកស្រី", "Surat"])
def test_names_stay(text: str) -> None:
    assert not is_boilerplate(text)


@pytest.mark.parametrize("text", ["[احتياط]", "[مهم]", "[작은 정보]", "[Uwaga]", " [Тип 2] "])
def test_the_labels_of_icons_in_manuals_describe_none(text: str) -> None:
    """As the manuals of GIMP have them in Persian and Korean; in any language."""
    assert is_boilerplate(text)


@pytest.mark.parametrize(
    "text", ["[پل خواجو] در اصفهان", "پل [خواجو]", "[a b c d]", "[a] [b]", "[]", "[پل خواجو در شهر اصفهان]"]
)
def test_brackets_within_a_caption_stay(text: str) -> None:
    assert not is_boilerplate(text)


def test_a_users_language_brings_its_own_words() -> None:
    assert not is_boilerplate("sitelen")
    languages.register(replace(get_language("yo"), boilerplate=("Sitelen",)))
    try:
        assert is_boilerplate("sitelen 2")
    finally:
        languages.unregister("yo")
    assert not is_boilerplate("sitelen")


# Captions as Wikipedia has them.
@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("ka", "სვეტიცხოვლის ტაძარი მცხეთაში"), ("fa", "پل خواجو در شهر اصفهان"), ("ja", "金閣寺の池と庭園"),
        ("km", "ប្រាសាទអង្គរវត្ត"), ("am", "የላሊበላ ውቅር አብያተ ክርስቲያናት"), ("my", "ရွှေတိဂုံစေတီတော်"), ("lo", "ພະທາດຫລວງ"),
        ("el", "Ο Παρθενώνας"), ("hi", "ताजमहल आगरा में"), ("zh", "故宫博物院的正门"), ("chr", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ"),
    ],
)  # fmt: skip
def test_native_names_are_kept_in_any_script(code: str, text: str) -> None:
    assert check_alt_text(text, code) == Kept(text)


@pytest.mark.parametrize(("code", "text"), [("ka", "Svetitskhoveli"), ("km", "ภาพวัดพระแก้ว"), ("fa", "Πλατεία")])
def test_another_script_is_dropped(code: str, text: str) -> None:
    assert check_alt_text(text, code) == Dropped("wrong_script")
