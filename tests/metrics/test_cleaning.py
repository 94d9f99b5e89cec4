"""Answers as chat models write them, and what is left of them to score."""

import warnings

import pytest

from mella_hf.errors import MellaError
from mella_hf.metrics import MellaMetric
from mella_hf.metrics.cleaning import clean_answer

CLEANED = [
    ("<think>\nA bridge, perhaps in Prague.\n</think>\n\nKarlův most", "Karlův most"),
    ("The user wants a name.</think>Karlův most", "Karlův most"),  # the prompt began the thought
    ("<think>It goes on and on", ""),
    ("<think>one</think> no <THINK>two</THINK> Krtek", "Krtek"),
    ("<answer>Krtek</answer>", "Krtek"),
    ("Answer: Krtek na louce.", "Krtek na louce."),
    ("**Final Answer:** Krtek", "Krtek"),
    ("Ответ: Собор Василия Блаженного", "Собор Василия Блаженного"),
    ("답변: 경복궁", "경복궁"),
    ("الإجابة: برج القاهرة", "برج القاهرة"),
    ("คำตอบ：วัดอรุณ", "วัดอรุณ"),
    ("## Popis\n\n* **Karlův most** v *Praze*\n- socha", "Popis\n\nKarlův most v Praze\nsocha"),
    ("```text\nKrtek\n```", "Krtek"),
    ("`Krtek` a [Praha](https://example.org/praha)", "Krtek a Praha"),
]
KEPT = [
    "Hotel má 5* a 3*2 postele.",
    "soubor muj_obrazek_1.png",
    "Odpověď na otázku je Krtek.",
    "1. máje",
    "a < b > c",
    "# ",
    "Myslím: ano",
    "Жанна-Мари, 1905-1910",
]


@pytest.mark.parametrize(("answer", "cleaned"), CLEANED)
def test_what_is_written_around_an_answer_goes(answer: str, cleaned: str) -> None:
    assert clean_answer(answer) == cleaned


@pytest.mark.parametrize("answer", KEPT)
def test_an_answer_alone_stays(answer: str) -> None:
    assert clean_answer(answer) == answer.strip()


def score(answers: list[str], **settings: bool) -> dict[str, object]:
    references = ["Turisté stojí na Karlově mostě.", "Na louce sedí Krtek.", "Hrad Karlštejn na podzim."]
    metric = MellaMetric("cs", resamples=0, progress=False, **settings)
    return metric.compute(predictions=answers, references=references)


PLAIN = ["Turisté na Karlově mostě.", "Krtek na louce.", "Hrad Karlštejn."]


def test_cleaned_answers_score_as_plain_ones_and_the_signature_says_so() -> None:
    decorated = [f"<think>Hm, co to je?</think>\n**Odpověď:** {text}" for text in PLAIN]
    cleaned, plain = score(decorated, answer_cleaning=True), score(PLAIN)
    assert "|clean:1|" in cleaned["signature"] and "clean" not in plain["signature"]
    del cleaned["signature"], plain["signature"]
    assert cleaned == plain


def test_answers_that_look_as_if_they_needed_it_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"^33% of the answers have <think> blocks.*--answer-cleaning"):
        score([f"Answer: {PLAIN[0]}", *PLAIN[1:]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(PLAIN)
        score([f"Answer: {PLAIN[0]}", *PLAIN[1:]], answer_cleaning=True)


def test_settings_that_would_do_nothing_are_refused() -> None:
    with pytest.raises(MellaError, match="cleans answers in its own way"):
        MellaMetric("cs", protocol="paper", answer_cleaning=True)
    with pytest.raises(MellaError, match="not written in Latin letters"):
        MellaMetric("th", keyword_plain=True)
    assert ",plain," in MellaMetric("sr", keyword_plain=True).signature
