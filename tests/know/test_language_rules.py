"""What a page's declaration and words say of an alt-text's language, with given probabilities of languages."""

from collections.abc import Callable

import pytest

from mella_hf.know.alt_text import Dropped, Kept
from mella_hf.know.filter import agrees, context_of, declared_language, judge, reads_as_english
from mella_hf.know.records import CANDIDATES

Use = Callable[..., None]
LATIN_39 = "malina " * 6 + "mal"
LATIN_40 = LATIN_39 + "i"


def candidate(alt: str, page_language: str | None) -> dict:
    row = dict.fromkeys(CANDIDATES.names) | {"alt": alt, "page_language": page_language, "site": "site.example"}
    return row | {"robots": [], "image_url": "http://site.example/a.jpg"}


@pytest.mark.parametrize(
    ("tag", "site", "code"),
    [
        ("cs", "", "cs"),
        ("CS-cz", "", "cs"),
        ("SH-Latn", "", "sr"),  # an old tag of Serbian
        ("ces", "", "cs"),  # ISO 639-2
        ("fr", "muzej.beograd.rs", "fr"),  # the tag before the domain
        (None, "muzej.beograd.rs", "sr"),
        (None, "site.example", None),
    ],
)
def test_what_a_page_declares(tag: str | None, site: str, code: str | None) -> None:
    assert declared_language(tag, site) == code


def test_the_words_around_an_image() -> None:
    row = {"figcaption": "Obrázek", "heading": None, "title": "", "page_title": "Mosty"}
    assert context_of(row) == "Obrázek Mosty"


def test_the_reason_of_a_drop_is_that_of_the_declared_language(probabilities: Use) -> None:
    probabilities(cs=0.5, ru=0.5)
    # In Czech it is only that the page declares another language; in Russian the letters are wrong.
    assert judge(candidate("malina", "ru"), ("cs", "ru")) == ("ru", Dropped("wrong_script"))
    assert judge(candidate("malina", "ru"), ("ru", "cs")) == ("ru", Dropped("wrong_script"))
    # The page declares one that nobody asked for: the reason that came nearest.
    assert judge(candidate("malina", "fr"), ("cs", "ru")) == (None, Dropped("wrong_language"))
    assert judge(candidate("malina", "fr"), ("ru", "cs")) == (None, Dropped("wrong_language"))
    assert judge(candidate("Icon", "fr"), ("cs",)) == (None, Dropped("boilerplate"))
    assert judge(candidate("Icon", "cs"), ("cs",)) == ("cs", Dropped("boilerplate"))


def test_a_text_that_is_not_in_the_declared_language_may_be_in_another(probabilities: Use) -> None:
    probabilities(hu=0.9, cs=0.1)
    assert judge(candidate(LATIN_40, "cs"), ("cs", "hu")) == ("hu", Kept(LATIN_40))


def test_of_several_languages_that_may_have_written_it_the_likeliest(probabilities: Use) -> None:
    probabilities(ru=0.3, sr=0.5)
    for languages in (("ru", "sr"), ("sr", "ru")):
        assert judge(candidate("Обична слика", None), languages) == ("sr", Kept("Обична слика"))


@pytest.mark.parametrize(
    ("alt", "heading", "code"),
    [
        ("Главни прозор Арка.", "Поглавље 1. Увод", "sr"),
        ("Поставке сервиса.", "Сервиси", "sr"),
        ("Окно", "Настройки", "ru"),
    ],
)
def test_short_words_on_pages_that_declare_nothing(alt: str, heading: str, code: str) -> None:
    """Two of the alt-texts of KDE's manual in Serbian, which had been taken for Russian."""
    assert judge(candidate(alt, None) | {"heading": heading}, ("ar", "ru", "sr"))[0] == code


def test_serbian_in_latin_letters_must_be_declared(probabilities: Use) -> None:
    probabilities(sr=1.0)
    assert agrees("malina", "sr", "sr", "") and not agrees("malina", "sr", None, "")
    assert agrees("абвг abcd", "sr", None, "")  # a text with as many letters in Cyrillic is not in Latin


def test_a_language_that_nobody_identifies_must_be_declared(probabilities: Use) -> None:
    probabilities(en=0.3, ru=0.7)
    assert agrees("malina malina", "cs", "cs", "")
    assert not agrees("malina malina", "cs", None, "") and not agrees("malina malina", "cs", "fr", "")
    assert not agrees("the malinas", "cs", "cs", "")  # English on a half-translated page
    assert agrees("หมู", "th", None, "")  # what is only written in Thai needs no declaration
    probabilities(en=0.7, ru=0.3)
    assert not agrees("malina malina", "cs", "cs", "")


def test_a_text_of_forty_letters_bears_itself_out(probabilities: Use) -> None:
    probabilities(cs=1.0)
    assert agrees(LATIN_40, "cs", "fr", "") and not agrees(LATIN_39, "cs", "fr", "")


def test_forty_letters_around_an_image_count(probabilities: Use) -> None:
    probabilities(sr=1.0)
    rare = "рыка"  # Serbian does not write the second letter, so the text by itself is not Serbian
    around = "рука " * 10
    assert agrees(rare, "sr", None, around) and not agrees(rare, "sr", None, around[:48])  # 40 and 39 letters
    probabilities(cs=0.4, en=0.6)
    assert agrees("malina", "cs", None, LATIN_39)  # nothing said around: the text may be Czech
    assert not agrees("malina", "cs", None, LATIN_40)  # an English page


def test_a_declaration_against_the_words_around(probabilities: Use) -> None:
    probabilities(cs=0.2, en=0.8)  # a quarter as likely: too little alone, enough for what the page declares
    assert agrees("malina", "cs", "cs", LATIN_40) and not agrees("malina", "cs", None, "")
    probabilities(cs=0.1, en=0.9)
    assert not agrees("malina", "cs", "cs", LATIN_40)
    assert agrees("malina", "cs", "cs", LATIN_39)  # nothing said around: the declaration counts


def test_latin_letters_on_a_page_in_another_script_are_a_quotation(probabilities: Use) -> None:
    probabilities(cs=1.0)
    assert agrees("malina", "cs", None, "fish") and not agrees("malina", "cs", None, "рыба")
    assert agrees("malina", "cs", None, "рыба fish")  # half and half says nothing


def test_what_reads_as_english(probabilities: Use) -> None:
    probabilities(cs=1.0, en=0.0)
    assert reads_as_english("the goats", "cs")  # eight letters, and a word that only English has
    assert not reads_as_english("the dogs", "cs") and not reads_as_english("thegoats", "cs")
    assert not reads_as_english("the příliš goats", "cs")  # a letter that English has not
    probabilities(cs=0.3, en=0.2, pl=0.5)  # another language is no English
    assert not reads_as_english("malina malina", "cs")
    probabilities(cs=0.3, en=0.5)
    assert reads_as_english("malina malina", "cs")
    probabilities(cs=0.4, en=0.4)
    assert not reads_as_english("malina malina", "cs")
