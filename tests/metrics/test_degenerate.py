"""Answers that are no answers are flagged; real references are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mella_hf.languages import get_language
from mella_hf.metrics import MellaMetric
from mella_hf.metrics.degenerate import Flags, begins_with, has_loop, inspect, other_language

CZECH = "Turisté stojí na Karlově mostě a dívají se na Pražský hrad, který se tyčí nad řekou."


def flags(prediction: str, language: str = "cs", reference: str = CZECH, **more) -> dict:
    return MellaMetric(language).compute(predictions=[prediction], references=[reference], return_items=True, **more)[
        "items"
    ][0]


@pytest.mark.parametrize(
    ("words", "loops"),
    [("x x x x x x x x", True), ("x x x x x x x", False), ("a b a b a b a b", True), ("a b a b a b", False)]
    + [("p q a b c a b c a b c a b c", True), ("a b c d e f g h i", False), ("", False)],
)
def test_a_loop_is_four_times_in_a_row_over_eight_words(words: str, loops: bool) -> None:
    numbers = {w: i for i, w in enumerate(dict.fromkeys(words.split()))}
    assert has_loop(np.array([numbers[w] for w in words.split()], dtype=np.int64)) == loops


def loops_by_definition(words: list[int]) -> bool:
    """A stretch of eight words or more that repeats a unit of 1 to 16 words four times or more, tried everywhere."""
    for unit in range(1, 17):
        length = max(4 * unit, 8)
        for start in range(len(words) - length + 1):
            stretch = words[start : start + length]
            if all(stretch[i] == stretch[i % unit] for i in range(length)):
                return True
    return False


LOOPS = st.tuples(
    st.lists(st.integers(0, 2), max_size=9),
    st.lists(st.integers(0, 2), min_size=1, max_size=17),
    st.integers(1, 9),
    st.lists(st.integers(0, 2), max_size=9),
)


@settings(max_examples=400, deadline=None)
@given(LOOPS)
def test_loops_are_those_of_the_definition(parts: tuple[list[int], list[int], int, list[int]]) -> None:
    before, unit, times, after = parts
    words = before + unit * times + after
    assert has_loop(np.array(words, dtype=np.int64)) == loops_by_definition(words)


@pytest.mark.parametrize("words", [[9] + [0] * 8 + [9], [0] * 8 + [9, 8], [9, 8] + [0] * 8, list(range(16)) * 4])
def test_a_loop_is_found_at_the_start_in_the_middle_and_at_the_end(words: list[int]) -> None:
    assert has_loop(np.array(words)) and loops_by_definition(words)
    shorter = [word for at, word in enumerate(words) if at != words.index(0)]
    assert not has_loop(np.array(shorter)) and not loops_by_definition(shorter)


@pytest.mark.parametrize(
    ("words", "prompt", "begins"),
    [([1, 2, 3], [1, 2], True), ([1, 2], [1, 2], True), ([1], [1], True), ([1, 2], [1, 2, 3], False)]
    + [([1, 3], [1, 2], False), ([2, 1], [1], False), ([1, 2], [], False), ([], [1], False), ([3, 2], [1, 2], False)],
)
def test_an_echo_begins_with_the_whole_prompt(words: list[int], prompt: list[int], begins: bool) -> None:
    assert begins_with(np.array(words, dtype=np.int64), np.array(prompt, dtype=np.int64)) == begins


def test_limits_are_where_the_docstrings_say() -> None:
    czech, words = get_language("cs"), np.arange(9)
    loop = np.zeros(8, dtype=np.int64)
    assert not inspect(CZECH, czech, words, 0.2)[0].repetition and inspect(CZECH, czech, words, 0.21)[0].repetition
    # Without a repeated run of four words there is no loop to look for, and a repetition alone is none.
    assert not inspect(CZECH, czech, loop, 0.0)[0].loop and inspect(CZECH, czech, loop, 0.1)[0].loop
    assert not inspect(CZECH, czech, words, 0.9)[0].loop
    # Half of the letters in another script is not wrong yet (`lid.SCRIPT_SHARE`).
    assert not inspect("most мост", czech, words, 0.0)[0].wrong_script
    assert inspect("most мосты", czech, words, 0.0)[0].wrong_script
    # Nineteen letters are too few to tell a language, twenty are not.
    assert other_language("красная рыба и морской", get_language("cs")) == ("und", False)
    assert other_language("красная рыбка и морской", get_language("cs"))[1]


def test_names_alone_are_in_no_language(probabilities) -> None:
    names, greek = "Ludwig van Beethoven, Wolfgang Amadeus Mozart", "Λούντβιχ Μπετόβεν, Αμαντέους Μότσαρτ"
    probabilities(de=0.9, cs=0.05, ru=0.05)
    assert other_language(names, get_language("cs")) == ("und", False)
    assert other_language(names, get_language("ru")) == ("und", False)  # in Latin letters anywhere
    assert other_language(greek, get_language("ru")) == ("de", True)  # but not in a third script
    assert other_language("Die Musik von Ludwig van Beethoven", get_language("cs")) == ("de", True)
    probabilities(cs=0.9, de=0.1)
    assert other_language("Hudba od skladatele Beethovena", get_language("cs")) == ("cs", False)


def test_an_answer_without_words_is_empty_and_no_more() -> None:
    found, label = inspect("?!", get_language("cs"), np.array([], dtype=np.int64), 1.0)
    assert found == Flags(empty=True) and found.any and label == "und" and not Flags().any
    for name in ("repetition", "loop", "wrong_language", "wrong_script", "prompt_copy"):
        assert Flags(**{name: True}).any


def test_an_echo_of_any_prompt_and_the_label_are_told() -> None:
    words = np.array([4, 5, 6])
    for prompts, echo in ((([4, 5], [9]), True), (([9], [4, 5]), True), (([9], [5, 6]), False), ((), False)):
        found, label = inspect(CZECH, get_language("cs"), words, 0.0, [np.array(prompt) for prompt in prompts])
        assert found == Flags(prompt_copy=echo) and label == "cs"


def test_each_flag() -> None:
    assert flags(" \n")["empty"]
    assert flags("tučňák " * 20)["loop"] and flags("tučňák " * 20)["repetition"]
    assert flags("Туристы стоят на мосту и смотрят на крепость, которая возвышается над рекой.")["wrong_script"]
    russian = flags("Туристы стоят на мосту и смотрят на крепость, которая возвышается над рекой.")
    assert russian["wrong_language"] and russian["language"] == "ru"
    assert flags("Tourists stand on the bridge and look at the castle above the river.")["wrong_language"]
    assert flags("Popište tento obrázek. Je na něm most.", prompts=["Popište tento obrázek."])["prompt_copy"]
    clean = flags(CZECH)
    assert not any(
        clean[name] for name in ("empty", "repetition", "loop", "wrong_language", "wrong_script", "prompt_copy")
    )


def test_serbian_answer_in_russian_is_seen() -> None:
    reference = "Туристи стоје на мосту и гледају тврђаву која се уздиже изнад реке."
    row = flags("Туристы стоят на мосту и смотрят на крепость, которая возвышается над рекой.", "sr", reference)
    assert row["wrong_language"] and not row["wrong_script"]
    assert not flags("Turisti stoje na mostu i gledaju tvrđavu koja se uzdiže iznad reke.", "sr", reference)[
        "wrong_language"
    ]


@pytest.mark.parametrize("language", ["ar", "th"])
def test_untuned_outputs_are_flagged(language: str, outputs) -> None:
    rows = outputs(language, "base")
    result = MellaMetric(language).compute(
        predictions=[r["prediction"] for r in rows], references=[r["reference"] for r in rows]
    )
    assert result["degenerate_rate"] >= 0.9


@pytest.mark.parametrize("language", ["ar", "cs", "th"])
def test_references_are_not(language: str, outputs) -> None:
    references = [r["reference"] for r in outputs(language, "mella")]
    result = MellaMetric(language).compute(predictions=references, references=references)
    assert result["degenerate_rate"] <= 0.02
