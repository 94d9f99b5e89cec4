"""`mella score`: joined on ids, refused by name, written whole."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mella_hf.commands.score import score
from mella_hf.errors import MellaError

app = typer.Typer()
app.command()(score)

ROWS = [
    {
        "id": 1,
        "prediction": "Lidé na Karlově mostě.",
        "reference": "Turisté stojí na Karlově mostě.",
        "keywords": ["Karlův most"],
    },
    {
        "id": "b",
        "prediction": "Hračka na stole.",
        "reference": "Dětská hračka s Krtkem na stole.",
        "keywords": ["Krtek"],
    },
    {"id": "c", "prediction": "", "reference": "Na talíři je svíčková s knedlíky."},
]


def write(path: Path, rows: list) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_scores_are_printed_and_written(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", ROWS)
    output = run(path, "--language", "cs", "--items")
    assert "METEOR" in output and "keyword accuracy (micro)" in output
    written = json.loads((tmp_path / "p.scores.json").read_text("utf-8"))["scores"]
    assert written["n"] == 3 and written["keyword_micro"] == 50.0
    assert [row["id"] for row in written["items"]] == ["1", "b", "c"]


def test_systems_are_joined_on_ids_not_on_order(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", ROWS)
    better = [{"id": r["id"], "prediction": r["reference"]} for r in reversed(ROWS)]
    second = write(tmp_path / "b.jsonl", better)
    output = tmp_path / "out.json"
    run(first, "--language", "cs", "--against", second, "--output", output)
    result = json.loads(output.read_text("utf-8"))
    assert result["scores_against"]["rouge_l"] == 100.0 == result["comparison"]["rouge_l_second"]
    assert result["scores_against"]["keyword_micro"] == 100.0  # keywords come from the first file
    assert result["comparison"]["tests"] == 8
    assert result["comparison"]["rouge_l_p_randomization_holm"] >= result["comparison"]["rouge_l_p_randomization"]


BROKEN = [
    ([ROWS[0], ROWS[0]], "line 2: the id '1' is on line 1 already"),
    ([ROWS[0], {**ROWS[1], "id": "1"}], "the id '1' is on line 1 already"),
    ([{"id": 1, "prediction": "a"}], "line 1: the key 'reference' is missing or null"),
    ([{**ROWS[0], "prediction": 3}], "'prediction' is 3; it must be a text"),
    ([{**ROWS[0], "keywords": "Praha"}], "'keywords' is 'Praha'; it must be a list of texts"),
    ([{**ROWS[0], "keywords": ["Praha", 7]}], "it must be a list of texts"),
    (["{"], "line 1: not JSON"),
    (["[1]"], "entry 1: a JSON object was expected, not int"),
    ([], "has no predictions"),
]


@pytest.mark.parametrize(("rows", "message"), BROKEN)
def test_broken_files_are_refused_by_line(rows: list, message: str, tmp_path: Path) -> None:
    with pytest.raises(MellaError, match=message.replace("[", r"\[")):
        run(write(tmp_path / "p.jsonl", rows), "--language", "cs")
    assert not (tmp_path / "p.scores.json").exists()


def test_ids_that_do_not_pair_are_named(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(MellaError, match="lacks 1 ids: c"):
        run(first, "--language", "cs", "--against", write(tmp_path / "b.jsonl", ROWS[:2]))
    with pytest.raises(MellaError, match="has, and the other file lacks, 1 ids: d"):
        run(first, "--language", "cs", "--against", write(tmp_path / "b.jsonl", [*ROWS, {**ROWS[2], "id": "d"}]))
    with pytest.raises(MellaError, match="the reference of id '1' is another"):
        run(
            first,
            "--language",
            "cs",
            "--against",
            write(tmp_path / "b.jsonl", [{**ROWS[0], "reference": "x"}, *ROWS[1:]]),
        )


def test_a_byte_order_mark_is_no_text_and_latin_1_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    line = json.dumps(ROWS[0], ensure_ascii=False) + "\n"
    path.write_text(line, encoding="utf-8-sig")
    run(path, "--language", "cs")
    path.write_text(line, encoding="iso8859-2")
    with pytest.raises(MellaError, match="is not UTF-8"):
        run(path, "--language", "cs")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="There is no file"):
        run(tmp_path / "none.jsonl", "--language", "cs")


def test_line_separators_inside_a_text_are_text(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "prediction": "Lidé\u2028na mostě"}]
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(rows[0], ensure_ascii=False) + "\n", encoding="utf-8")
    run(path, "--language", "cs")


@pytest.mark.parametrize("folder", [".", "texts"])
def test_a_folder_is_no_file_of_predictions(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "texts").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MellaError, match=r"PREDICTIONS '.*' is not a file"):
        run(Path(folder), "--language", "cs")
