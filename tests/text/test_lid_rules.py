"""What the rules make of an identifier's probabilities, by a stand-in that gives the probabilities of each example."""

import math
from collections.abc import Callable

import pytest

from mella_hf.languages import get_language
from mella_hf.text import lid
from mella_hf.text.lid import foreign_log_odds, is_foreign, is_identifiable, is_language, is_names_alone

Use = Callable[..., None]


def latin(letters: int) -> str:
    """A text of so many letters that several languages write."""
    return ("malina " * 10)[: letters + (letters - 1) // 6]


def test_the_stand_ins_texts_have_their_length() -> None:
    assert [lid.letter_count(latin(n)) for n in (6, 11, 12, 24, 39, 40)] == [6, 11, 12, 24, 39, 40]


@pytest.mark.parametrize(
    ("shares", "declared", "expected"),
    [
        ({"cs": 0.2, "en": 0.4}, None, True),  # half as likely as the best other language
        ({"cs": 0.19, "en": 0.4}, None, False),
        ({"cs": 0.1, "sk": 0.1, "en": 0.4}, None, True),  # Slovak is Czech's sibling
        ({"cs": 0.2, "en": 0.4, "pl": 0.4}, None, True),  # each other language by itself
        ({"cs": 0.1, "en": 0.5}, "cs", True),  # a fifth, where the page declares it
        ({"cs": 0.09, "en": 0.5}, "cs", False),
        ({"cs": 0.1, "en": 0.5}, "cs-CZ", True),
        ({"cs": 0.1, "en": 0.5}, "CS_cz", True),
        ({"cs": 0.1, "en": 0.5}, "sk", False),
        ({"cs": 0.4}, None, True),  # no other language at all
    ],
)
def test_a_short_text_needs_a_share_of_the_best_other(
    probabilities: Use, shares: dict[str, float], declared: str | None, expected: bool
) -> None:
    probabilities(**shares)
    assert is_language(latin(39), "cs", declared=declared) is expected


def test_a_text_of_forty_letters_goes_by_its_best_label(probabilities: Use) -> None:
    probabilities(cs=0.4, en=0.6)
    assert is_language(latin(39), "cs") and not is_language(latin(40), "cs")
    probabilities(cs=0.4, sk=0.6)  # long enough to tell the siblings
    assert is_language(latin(39), "cs") and not is_language(latin(40), "cs")
    probabilities(cs=0.6, en=0.4)
    assert is_language(latin(40), "cs")


def test_half_of_the_letters_are_enough(probabilities: Use) -> None:
    probabilities(ru=1.0)
    assert is_language("рыба fish", "ru") and not is_language("рыба fishy", "ru")


def test_a_letter_that_the_language_does_not_write(probabilities: Use) -> None:
    probabilities(sr=1.0)
    assert is_language("рука", "sr") and not is_language("рыка", "sr") and not is_language("РЫКА", "sr")
    long = "рука " * 10
    assert is_language(long + "ы", "sr")  # long texts have the identifier


def test_what_the_page_declares_decides_between_labels_of_one_language(probabilities: Use) -> None:
    probabilities(hr=0.9, sr=0.1)  # Serbian in Latin script is called Croatian
    assert is_language(latin(40), "sr") and is_language(latin(40), "sr", declared="sr-Latn")
    assert not is_language(latin(40), "sr", declared="hr") and not is_language(latin(39), "sr", declared="hr")
    probabilities(sr=0.9, hr=0.1)
    assert is_language(latin(40), "sr", declared="hr")  # the identifier itself says Serbian


def test_a_language_without_a_label(probabilities: Use) -> None:
    probabilities(en=0.3, ru=0.7)
    assert not is_identifiable(get_language("cs")) and is_identifiable(get_language("ru"))
    assert is_language(latin(40), "cs") and is_language(latin(40), "cs", declared="cs")
    assert not is_language(latin(40), "cs", declared="fr")
    probabilities(en=0.7, ru=0.3)
    assert not is_language(latin(40), "cs") and not is_language(latin(40), "cs", declared="cs")
    assert is_language("หมู", "th") and is_language("หมู", "th", declared="en")  # only Thai is written so


def test_log_odds_are_those_of_the_other_language_over_ours(probabilities: Use) -> None:
    probabilities(cs=0.2, sk=0.1, en=0.6, pl=0.1)
    assert foreign_log_odds("x", "cs") == pytest.approx(math.log(0.6 / 0.3))  # the sibling is ours
    assert foreign_log_odds("x", "cs", against="pl") == pytest.approx(math.log(0.1 / 0.3))
    assert foreign_log_odds("x", "cs", against="de") == pytest.approx(math.log(1e-30 / 0.3))  # no such label
    probabilities(en=1.0, cs=0.0)
    assert foreign_log_odds("x", "cs") == pytest.approx(math.log(1 / 1e-30))
    probabilities(cs=1.0)
    assert foreign_log_odds("x", "cs") == pytest.approx(math.log(1e-30))


def test_log_odds_without_a_label_are_against_english(probabilities: Use) -> None:
    probabilities(en=0.2, ru=0.5, pl=0.3)
    assert foreign_log_odds("x", "cs") == pytest.approx(math.log(0.2 / 0.8))
    assert foreign_log_odds("x", "cs", against="ru") == pytest.approx(math.log(0.2 / 0.8))


@pytest.mark.parametrize(("letters", "limit"), [(11, 5.0), (12, 2.5), (24, 2.5), (25, 1.0), (39, 1.0)])
def test_the_shorter_a_text_the_clearer_another_language_must_lead(
    probabilities: Use, letters: int, limit: float
) -> None:
    for lead, expected in ((limit - 0.1, False), (limit + 0.1, True)):
        probabilities(cs=1 / (1 + math.exp(lead)), en=1 - 1 / (1 + math.exp(lead)))
        assert is_foreign(latin(letters), "cs") is expected


def test_from_forty_letters_on_the_label_decides(probabilities: Use) -> None:
    probabilities(cs=0.45, en=0.55)
    assert is_foreign(latin(40), "cs") and not is_foreign(latin(39), "cs")
    probabilities(cs=0.55, en=0.45)
    assert not is_foreign(latin(40), "cs")


def test_a_letter_that_is_not_ours_makes_any_lead_count(probabilities: Use) -> None:
    probabilities(cs=0.45, pl=0.55)
    assert not is_foreign("malina", "cs") and not is_foreign("šťáva", "cs")
    assert is_foreign("młot", "cs") and is_foreign("ŁÓDŹ", "cs")
    assert not is_foreign("quiz", "cs")  # plain Latin letters stand in any Latin text
    assert not is_foreign("Сок z malin", "cs")  # a word in another script is judged elsewhere
    probabilities(cs=0.55, pl=0.45)
    assert not is_foreign("młot", "cs")


def test_a_language_whose_letters_are_not_listed_has_no_strange_ones(probabilities: Use) -> None:
    probabilities(yo=0.45, en=0.55)
    assert not is_foreign("ọmọ", "yo")


def test_what_is_not_judged(probabilities: Use) -> None:
    probabilities(en=0.01, th=0.01, ru=0.98)
    assert not is_foreign(latin(40), "en") and not is_foreign("หมู", "th")
    assert is_foreign(latin(40), "th")


def test_a_language_without_a_label_is_only_told_from_english(probabilities: Use) -> None:
    probabilities(en=0.3, ru=0.7)
    assert not is_foreign(latin(40), "cs")
    probabilities(en=0.7, ru=0.3)
    assert is_foreign(latin(40), "cs")


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("Ludwig van Beethoven, Wien", (), True),  # three letters of 22 are outside
        ("Kůň v parku", (), False),
        ("PRAHA", (), False),  # all in capitals: nothing tells names from words
        ("Abcd e", (), True),  # one letter of five is a fifth
        ("Abc e", (), False),
        ("Konstantinopolis a b", (), True),
        ("서울", ("서울",), True),
        ("왕", ("왕",), True),
        ("서울 여행", ("서울",), False),
        ("서울 부산", ("서울", "부산"), True),
        ("서울", (), False),
        ("12:30", (), False),
        ("", (), False),
    ],
)
def test_names_alone(text: str, names: tuple[str, ...], expected: bool) -> None:
    assert is_names_alone(text, names) is expected


def test_an_excerpt_is_sixty_characters_of_each_part() -> None:
    text = "".join(chr(0x4E00 + i) for i in range(300))  # all different
    assert lid.excerpt(text) == f"{text[:60]} {text[120:180]} {text[240:]}"
    assert lid.excerpt(text[:180]) == text[:180]
    assert lid.excerpt(text[:181]) == f"{text[:60]} {text[60:120]} {text[121:181]}"


def test_letters_and_scripts() -> None:
    assert lid.letter_count("a1 б!") == 2
    assert lid.script_share("12:30", ("Latn",)) == 1
    assert lid.in_own_script("ab หมู", get_language("th")) and not lid.in_own_script("ab", get_language("th"))
    assert not lid.in_own_script("рыба", get_language("ru"))  # others write Cyrillic too
