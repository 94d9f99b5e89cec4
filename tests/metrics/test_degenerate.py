"""Answers that are no answers are flagged; real references are not."""

import numpy as np
import pytest

from mella_hf.metrics import MellaMetric
from mella_hf.metrics.degenerate import has_loop

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
