"""Our scores beside those of sacrebleu, rouge_score and nltk, in languages of several scripts."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mella_hf import languages
from mella_hf.cli import app
from mella_hf.metrics import MellaMetric
from mella_hf.metrics.peers import recompute

PAIRS = {
    "cs": [("Turisté stojí na mostě.", "Turisté stojí na starém mostě."), ("", "Kostel ve městě"), ("Pes", "Kočka")],
    "ar": [("القهوة في الكوب الأبيض", "كوب قهوة أبيض على الطاولة"), ("بيت قديم", "بيت قديم")],
    "ko": [("남산타워는 서울의 산 위에 있다.", "남산서울타워는 서울에 있는 탑이다."), ("김밥", "김밥과 라면")],
    "th": [("เด็กกำลังเล่นน้ำ", "เด็กสองคนกำลังเล่นน้ำในแม่น้ำ"), ("วัด", "พระราชวัง")],
}


@pytest.mark.parametrize("code", PAIRS)
def test_bleu_chrf_and_rouge_are_equal_and_meteor_is_near(code: str) -> None:
    predictions, references = map(list, zip(*PAIRS[code], strict=True))
    check = MellaMetric(code, resamples=0, progress=False, check=True).compute(
        predictions=predictions, references=references, check_references=False
    )["check"]
    for name in ("bleu", "chrf", "chrf_tokens", "rouge_l"):
        assert check[name]["difference"] == pytest.approx(0, abs=2e-4), (name, check[name])
    assert abs(check["meteor"]["difference"]) < 10
    assert {row["by"].split()[0] for row in check.values()} == {"sacrebleu", "rouge-score", "nltk"}


def test_numbers_worked_by_hand() -> None:
    """Two of three words, in order: P = R = 2/3, so ROUGE-L is 2/3; METEOR 2/3 (1 - .7 (1/2)^1.4)."""
    found = recompute(["alfa beta gama"], ["alfa beta delta"], languages.get_language("cs"))
    assert found["rouge_l"] == pytest.approx(100 * 2 / 3)
    assert found["meteor"] == pytest.approx(100 * 2 / 3 * (1 - 0.7 * 0.5**1.4))


def test_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    rows = [{"id": str(i), "prediction": p, "reference": r} for i, (p, r) in enumerate(PAIRS["cs"])]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    ended = CliRunner().invoke(app, ["score", str(path), "--language", "cs", "--check", "--no-check-references"])
    assert ended.exit_code == 0 and "scored by others" in ended.output
    check = json.loads(path.with_suffix(".scores.json").read_text("utf-8"))["check"]
    assert check["bleu"]["ours"] == pytest.approx(check["bleu"]["theirs"], abs=2e-4)
