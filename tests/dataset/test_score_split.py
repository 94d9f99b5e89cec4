"""`mella score --split`: references and keywords of a dataset, for answers that another program wrote."""

import json
from pathlib import Path
from typing import Any

from dataset_samples import record
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.dataset.card.card import write_card
from mella_hf.dataset.write import write_split


def test_answers_without_references_are_joined_with_the_dataset(tmp_path: Path) -> None:
    texts = ["Turisté stojí na Karlově mostě.", "Hrad Karlštejn nad řekou Berounkou.", "Náměstí v Telči večer."]
    names = [["Karlův most"], ["Karlštejn"], ["Telč"]]
    rows: list[dict[str, Any]] = [
        record(seed, "cs", text=text, keywords=words)
        for seed, (text, words) in enumerate(zip(texts, names, strict=True))
    ]
    write_split(rows, tmp_path / "data", "cs", "know_test")
    write_card(tmp_path / "data")
    answers = [{"image_id": f"{row['id']}.jpg", "caption": row["text"]} for row in reversed(rows)]
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(answers), "utf-8")
    arguments = ["score", str(path), "--language", "cs", "--split", "know_test", "--data-dir", str(tmp_path / "data")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "is read as InternVL captions: id from image_id, prediction from caption" in result.output
    scores = json.loads((tmp_path / "answers.scores.json").read_text("utf-8"))["scores"]
    assert scores["n"] == 3 and scores["bleu"] == scores["keyword_micro"] == 100.0
