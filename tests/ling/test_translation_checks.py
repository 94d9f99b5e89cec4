"""What a translation must keep, by pairs worked by hand: numbers, markup, names, length; and what is a copy."""

import pytest

from mella_hf.languages import get_language
from mella_hf.ling.translation_checks import (
    changed_names,
    english_names,
    is_copy,
    length_ratio_problem,
    missing_numbers,
    missing_tags,
    numbers,
    translation_problem,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,234.50 and 1 234,50 and ١٬٢٣٤٫٥٠", {"1234.5"}),
        ("1.234 m", {"1234"}),
        ("1'234'567 people", {"1234567"}),
        ("12\u00a0345 und 12\u202f345", {"12345"}),
        ("3.14", {"3.14"}),
        ("3.00 Euro", {"3.0"}),
        ("007", {"7"}),
        ("๒๕๖๗", {"2567"}),
        ("on 12.05.2021", {"12.05", "2021"}),
        ("no number", set()),
    ],
)
def test_one_number_in_any_writing_is_one_number(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


@pytest.mark.parametrize(
    ("source", "translation", "lost"),
    [
        ("Two of 12 dogs", "Dva z dvanácti psů", set()),  # up to twelve may be words
        ("One of 13 dogs", "Jeden ze třinácti psů", {"13"}),
        ("It is 2.5 m long", "Je to dlouhé", {"2.5"}),  # a fraction is never a word
        ("It is 2.5 m long", "Je to dlouhé 2,5 m", set()),
        ("In 1967", "ในปี ๑๙๖๗", set()),
        ("In 1967", "V roce 1976", {"1967"}),
        ("A dog", "Pes číslo 40", set()),  # what is added is not lost
    ],
)
def test_lost_numbers(source: str, translation: str, lost: set[str]) -> None:
    assert missing_numbers(source, translation) == lost


@pytest.mark.parametrize(
    ("source", "translation", "lost"),
    [
        ("A <b>red</b> car", "<b>Červené</b> auto", set()),
        ("A <b>red</b> car", "Červené auto", {"<b>", "</b>"}),
        ("Hello {name}, {}", "Ahoj {name}", {"{}"}),
        ("%s of %d", "%s z", {"%d"}),
        ("See https://example.org/a.", "Viz https://example.org/a", set()),  # a full stop ends the sentence
        ("See www.example.org, or", "Viz stránku", {"www.example.org"}),
        ("Write to me@example.org (today)", "Napište mi", {"me@example.org"}),
        ("#sunset by @anna", "#sunset", {"@anna"}),
        ("A den, #FOX.", "Doupě", {"#FOX"}),  # of its end, only punctuation goes
        ("5 < 6 and 7 > 3", "pět je méně než šest", set()),  # no markup
    ],
)
def test_lost_markup(source: str, translation: str, lost: set[str]) -> None:
    assert missing_tags(source, translation) == lost


@pytest.mark.parametrize(
    ("source", "translation", "code", "changed"),
    [
        ("A man in London at night", "Muž v Londýně v noci", "cs", set()),  # the first letters are left
        ("A man in Prague", "Muž v Berlíně", "cs", {"Prague"}),
        ("A view of Győr", "Kilátás Gyorre", "hu", set()),  # without diacritics, too
        ("Prague at night", "Noc", "cs", set()),  # the first word has its capital from the sentence
        ("It rains. Berlin is wet", "Prší. Je mokro", "cs", set()),
        ("A man in London", "رجل في لندن", "ar", set()),  # another script is no change
        ("A BMW and an iPhone", "Auto BMW", "cs", {"iPhone"}),
        ("A USB stick, MP3", "فلاشة USB", "ar", {"MP3"}),
        ("Old Lee runs by Ann", "Starý muž běží", "cs", {"Lee", "Ann"}),  # of short names, three letters
        ("He met Leonard", "Potkal Leo", "cs", {"Leonard"}),  # of long ones all but three: Leon
        ("He met Leonard", "Potkal Leona", "cs", set()),
        ("He met Anna", "Potkal Annu", "cs", set()),  # of four letters, three
    ],
)
def test_changed_names(source: str, translation: str, code: str, changed: set[str]) -> None:
    assert changed_names(source, translation, get_language(code)) == changed


def test_english_names_are_brands_and_capitals_within_sentences() -> None:
    assert english_names("The USB stick of Anna. Berlin has iPhones at O'Neill's") == {
        "USB", "Anna", "iPhones", "O'Neill's",
    }  # fmt: skip
    assert english_names("a dog") == set()


@pytest.mark.parametrize(
    ("source", "translation", "copied"),
    [
        ("A dog", "a dog", True),  # of a short text, all
        ("A dog runs", "A dog běží", False),
        ("", "", False),
        ("A red dog runs", "Pes: a red dog runs!", True),  # a run of four is enough where it is all
        ("A red dog runs in the big green park", "A red dog runs v parku", False),  # four of nine
        ("one two three four five six seven x y z", "one two three four five six seven", True),  # seven of ten
        ("one two three four five six a x y z", "one two three four five six", False),  # six of ten
        ("a dog and a cat: one two three four", "one two three four", False),  # what stands before a run is no copy
        ("one two three x five six seven", "one two three five six seven", False),  # no run of four
        ("one two three four", "four three two one", False),
    ],
)
def test_a_copy_is_most_of_the_english_in_runs_of_four(source: str, translation: str, copied: bool) -> None:
    assert is_copy(source, translation) == copied


def test_length_is_judged_from_forty_letters_on() -> None:
    long = "x" * 40
    assert not length_ratio_problem("x" * 39, "y")
    assert length_ratio_problem(long, "y" * 7) and not length_ratio_problem(long, "y" * 8)
    assert length_ratio_problem(long, "y" * 121) and not length_ratio_problem(long, "y" * 120)


@pytest.mark.parametrize(
    ("source", "translation", "problem"),
    [
        ("A red car", "Červené auto", None),
        ("A red car", " \n", "translation_empty"),
        ("A red car stands in 1967", "A red car stands in 1967", "untranslated"),
        ("A red car of 1967", "Červené auto", "numbers_missing"),
        ("A <b>red</b> car", "Červené auto", "tags_missing"),
        ("A red car stands in the middle of a wide street", "Auto", "length_ratio"),
    ],
)
def test_the_first_problem_is_the_reason(source: str, translation: str, problem: str | None) -> None:
    assert translation_problem(source, translation) == problem
