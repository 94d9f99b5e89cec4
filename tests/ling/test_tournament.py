"""Tournaments of translators: who wins, by how much, what is stored of the others, and what it cost."""

import json
from pathlib import Path
from typing import Any

import pytest
from build_comet import COMET_PYTHON
from caption_server import CaptionServer
from chat_translation_server import ChatTranslationServer
from interpreter import Interpreter
from translation_servers import TranslationServer

from mella_hf.ling.describe import describe_images, funnel_lines
from mella_hf.ling.describe_settings import DescribeSettings
from mella_hf.ling.tournament import best, by_language_and_length, judge_all, length_of, margin, result, standings


def said(translator: str, score: float | None, problem: str | None = None) -> dict[str, Any]:
    return {"translator": translator, "text": f"{translator} {score}", "qe_score": score, "problem": problem}


@pytest.mark.parametrize(
    ("candidates", "winner", "ahead"),
    [
        ([said("a", 0.8), said("b", 0.9)], 1, 0.1),
        ([said("a", 0.9), said("b", 0.9)], 0, 0.0),  # equal: the first that was given
        ([said("a", None, "wrong_script"), said("b", 0.76)], 1, None),
        ([said("a", 0.7, "low_quality"), said("b", 0.6, "low_quality")], 0, None),
        ([said("a", None, "untranslated"), said("b", 0.2, "low_quality")], 1, None),
        ([said("a", 0.80), said("b", 0.95), said("c", 0.90)], 1, 0.05),
        ([said("a", 0.95, "name_lost"), said("b", 0.80)], 1, None),
    ],
)
def test_the_best_and_its_margin(candidates: list[dict[str, Any]], winner: int, ahead: float | None) -> None:
    assert best(candidates) == winner
    assert margin(candidates) == (None if ahead is None else pytest.approx(ahead))


def line(language: str, words: int, *candidates: dict[str, Any]) -> dict[str, Any]:
    return result({"caption_en": "w " * words, "candidates": list(candidates)}, language, "a.png")


def test_standings_by_language_and_length() -> None:
    """Counted by hand. The interval of 3 of 4: Wilson's formula gives 0.3006 to 0.9544."""
    lines = [
        line("cs", 40, said("a", 0.9), said("b", 0.8)),
        line("cs", 50, said("a", 0.8), said("b", 0.8)),
        line("cs", 51, said("a", None, "wrong_language"), said("b", 0.8)),
        line("cs", 200, said("a", 0.9), said("b", 0.6, "low_quality")),
        line("ar", 60, said("a", 0.5, "low_quality"), said("b", 0.4, "low_quality")),
    ]
    assert [found["won_by"] for found in lines] == ["a", "a", "b", "a", None]
    tables = by_language_and_length(lines)
    assert [(code, length) for code, length, _ in tables] == [
        ("cs", ""), ("cs", "up to 50 words"), ("cs", "51 to 100"), ("cs", "more than 100"), ("ar", ""),
        ("ar", "51 to 100"),
    ]  # fmt: skip
    first, second = tables[0][2]
    assert (first.translator, first.judged, first.won, first.shared) == ("a", 4, 3, 1)
    assert (second.translator, second.won, second.shared) == ("b", 2, 1)
    assert first.interval == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert first.failed == {"wrong_language": 1} and second.failed == {"low_quality": 1}
    assert first.mean_margin == pytest.approx(0.1) and second.mean_margin is None
    assert [(s.translator, s.won) for s in tables[2][2]] == [("b", 1), ("a", 0)]
    assert all(s.won == 0 for s in standings(lines[4:]))
    assert [length_of(n) for n in (1, 50, 51, 100, 101)] == [
        "up to 50 words", "up to 50 words", "51 to 100", "51 to 100", "more than 100",
    ]  # fmt: skip


class Counting:
    """A scorer that counts: longer translations are better."""

    max_tokens, version = 99, "counting"

    def __init__(self) -> None:
        self.scored: list[Any] = []

    def count(self, pairs: Any) -> list[int]:
        return [1] * len(pairs)

    def score(self, pairs: Any) -> list[float]:
        self.scored += pairs
        return [len(text) / 100 for _, text in pairs]

    def close(self) -> None:
        pass


def test_equal_translations_are_scored_once_and_guards_come_first() -> None:
    english = "A small brown bird stands on a thin branch in front of a white wall."
    czech = "Malý hnědý pták stojí na tenké větvi před bílou zdí."
    texts = {"a": czech, "b": czech, "c": english, "d": f"{czech[:-1]} a zpívá."}
    rows = [{"caption_en": english, "candidates": [{"translator": t, "text": text} for t, text in texts.items()]}]
    scorer = Counting()
    (found,) = judge_all(rows, "cs", scorer, 0.5)
    assert [pair[1] for pair in scorer.scored] == [czech, texts["d"]]
    assert [c["problem"] for c in found] == [None, None, "untranslated", None]
    assert best(found) == 3 and found[0]["qe_score"] == found[1]["qe_score"] == len(czech) / 100


def test_a_tournament_of_a_chat_model_and_a_service(
    pictures: Path, tiny_comet: Path, comet_worker: Any, tmp_path: Path
) -> None:
    """The expected winners come from COMET's own scores of what both said."""
    from datasets import load_dataset

    interpreter = Interpreter()

    def backwards(text: str, target: str) -> str:
        sentences = interpreter.translate(text, target).rstrip(".").split(". ")
        return ". ".join(reversed(sentences)) + "."

    out = tmp_path / "out"
    with (
        CaptionServer(interpreter.caption) as captions,
        ChatTranslationServer(lambda text: interpreter.translate(text.rpartition("\n\n")[2], "cs")) as chat,
        TranslationServer(backwards) as service,
    ):
        use = DescribeSettings(
            "stand-in", (captions.url,), ("chat:stand-in", "libre"), (chat.url, f"libre={service.url}"),
            qe_python=COMET_PYTHON, qe_model=str(tiny_comet), threshold=0.6, test_size=0, price=15.0,
        )  # fmt: skip
        report = describe_images(pictures, out, ["cs"], use, progress=False)
        assert len(chat.bodies) == len(service.seen) == len(captions.requests) == 10

    lines = [json.loads(text) for text in (out / "tournament.jsonl").read_text("utf-8").splitlines()]
    names = ["stand-in prompt 1", f"libre@{service.url[7:]}"]
    assert len(lines) == 10 and all([c["translator"] for c in line["candidates"]] == names for line in lines)
    english = {row["id"]: row for row in load_dataset(str(out), "cs", split="ling").remove_columns("image")}
    by_text = {row["text"]: row for row in english.values()}
    won = dict.fromkeys(names, 0)
    for found in lines:
        texts = [c["text"] for c in found["candidates"]]
        source = next(text for text, natives in interpreter.english.items() if natives["cs"] == texts[0])
        scores = comet_worker.score([(source, text) for text in texts])
        assert [c["qe_score"] for c in found["candidates"]] == pytest.approx(scores, abs=1e-4)
        top = max(range(2), key=scores.__getitem__)
        if scores[top] < 0.6:
            assert found["won_by"] is None and not any(text in by_text for text in texts)
            continue
        assert found["won_by"] == names[top]
        won[names[top]] += 1
        if texts[top] in by_text:  # or its image is a near-duplicate of another
            assert by_text[texts[top]]["translator"] == names[top]
            assert by_text[texts[top]]["qe_score"] == pytest.approx(scores[top], abs=1e-4)
        if min(scores) >= 0.6:
            assert found["margin"] == pytest.approx(abs(scores[0] - scores[1]), abs=1e-4)
    assert sum(won.values()) >= 3, "the threshold decides too much"

    facts = json.loads((out / "report.json").read_text("utf-8"))
    overall = next(table for table in facts["tournament"] if table["length"] is None)
    assert {s["translator"]: s["won"] for s in overall["standings"]} == won
    characters = sum(map(len, interpreter.english))
    assert [(c["characters"], c["requests"]) for c in facts["spent"]["cs"]] == [(characters, 10)] * 2
    assert facts["spent"]["cs"][1]["price"] == pytest.approx(characters * 15 / 1e6)
    page = (out / "report.html").read_text("utf-8")
    assert "Tournament" in page and f"{100 * won[names[0]] / 10:.1f}%" in page and "51 to 100" in page
    assert any(text.startswith("cs: best translation by ") for text in funnel_lines(report))
