"""Every script works, composite codes too."""

import pytest

from mella_hf.errors import MellaError
from mella_hf.languages import all_codes, get_language
from mella_hf.languages.scripts import letters_of, unicode_scripts
from mella_hf.text.lid import in_own_script, script_share

# Greetings in the languages, typed from their Wikipedias' main pages.
NATIVE = {
    "ka": "კეთილი იყოს თქვენი მობრძანება",
    "ja": "ウィキペディアへようこそ。ここは百科事典です",
    "km": "សូមស្វាគមន៍មកកាន់វិគីភីឌា",
    "lo": "ຍິນດີຕ້ອນຮັບສູ່ວິກິພີເດຍ",
    "my": "ဝီကီပီးဒီးယားမှ ကြိုဆိုပါ၏",
    "zh": "欢迎来到维基百科",
    "am": "እንኳን ደህና መጡ",
    "fa": "به ویکی‌پدیا خوش آمدید",
    "yo": "Ẹ káàbọ̀ sí Wikipedia",
    "el": "Καλώς ήρθατε στη Βικιπαίδεια",
    "chr": "ᎣᏏᏲ ᎤᎵᎮᎵᏍᏗ",
}


@pytest.mark.parametrize(("code", "text"), NATIVE.items())
def test_native_text_is_in_its_script(code: str, text: str) -> None:
    assert script_share(text, get_language(code).scripts) == 1.0
    others = [other for other in NATIVE if script_share(text, get_language(other).scripts) == 1.0]
    assert code in others and len(others) <= 2  # ja has Han too, which zh is written in


def test_composite_codes() -> None:
    assert unicode_scripts("Jpan") == ("Hira", "Kana", "Hani") and unicode_scripts("Hant") == ("Hani",)
    assert letters_of(("Kore",)).fullmatch("한국漢字") and letters_of(("Hanb",)).fullmatch("注音ㄅ")
    assert letters_of(("Jpan",)).fullmatch("ラーメン")  # the long vowel mark is of no script
    for wrong in ("Latin", "Jpa", "latn", "Zzzx", "L]"):
        with pytest.raises(MellaError, match="Unknown script"):
            unicode_scripts(wrong)


def test_a_script_of_one_language_tells_it() -> None:
    assert {code for code in all_codes() if get_language(code).own_scripts} >= {
        "ko",
        "th",
        "ka",
        "el",
        "km",
        "my",
        "ja",
    }
    assert not get_language("ar").own_scripts and not get_language("zh").own_scripts
    assert in_own_script("東京のタワー", get_language("ja")) and not in_own_script("東京", get_language("ja"))
