"""Files of predictions as other programs write them; the rows are shaped as those programs' documentation shows."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from mella_hf.errors import MellaError
from mella_hf.metrics import prediction_files
from mella_hf.metrics.prediction_files import joined, read_predictions, with_references

ANSWERS = ["Lidé na mostě\nv Praze.", "Hrad nad řekou."]
TEXTS = ["Turisté stojí na Karlově mostě.", "Hrad Karlštejn nad řekou."]


def reply(name: str, text: str) -> dict[str, Any]:
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
    return {"id": f"vllm-{name}", "custom_id": name, "response": {"status_code": 200, "body": body}, "error": None}


def rows_of(program: str) -> list[dict[str, Any]]:
    pairs = list(enumerate(zip(ANSWERS, TEXTS, strict=True)))
    user = {"role": "user", "content": "<image>Co je na obrázku?"}
    shapes = {
        "LLaMA-Factory": [{"prompt": "user\n", "predict": a, "label": t} for _, (a, t) in pairs],
        "ms-swift": [
            {"response": a, "labels": t, "logprobs": None, "messages": [user, {"role": "assistant", "content": a}]}
            for _, (a, t) in pairs
        ],
        "ms-swift 2": [{"query": "<image>?", "response": a, "label": t, "history": []} for _, (a, t) in pairs],
        "lmms-eval": [
            {"doc_id": i, "doc": {"question": "?"}, "target": t, "resps": [[a]], "filtered_resps": [a], "meteor": 0.1}
            for i, (a, t) in pairs
        ],
        "VLMEvalKit": [{"index": i, "question": "?", "answer": t, "prediction": a} for i, (a, t) in pairs],
        "InternVL captions": [{"image_id": i, "caption": a} for i, (a, _) in pairs],
        "InternVL questions": [
            {"question_id": i, "question": "?", "answer": a, "annotation": t} for i, (a, t) in pairs
        ],
        "InternVL gt_answers": [{"question": "?", "answer": a, "gt_answers": t, "index": i} for i, (a, t) in pairs],
        "InternVL documents": [{"question": "?", "questionId": i, "answer": a, "annotation": t} for i, (a, t) in pairs],
        "InternVL charts": [{"question": "?", "answer": a, "annotation": t} for _, (a, t) in pairs],
        "InternVL lines": [{"id": i, "question": "?", "pred": a, "answer": t} for i, (a, t) in pairs],
        "vLLM batch": [reply(str(i), a) for i, (a, _) in pairs],
    }
    return shapes[program]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".xlsx":
        from openpyxl import Workbook

        book = Workbook()
        for row in ([*rows[0]], *([*row.values()] for row in rows)):
            book.active.append(row)
        book.save(path)
    elif path.suffix == ".tsv":
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, [*rows[0]], delimiter="\t")
            table.writeheader()
            table.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), "utf-8")
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


PROGRAMS = [
    ("LLaMA-Factory", ".jsonl", ["1", "2"]),
    ("ms-swift", ".jsonl", ["1", "2"]),
    ("ms-swift 2", ".jsonl", ["1", "2"]),
    ("lmms-eval", ".jsonl", ["0", "1"]),
    ("VLMEvalKit", ".tsv", ["0", "1"]),
    ("VLMEvalKit", ".xlsx", ["0", "1"]),
    ("InternVL captions", ".json", ["0", "1"]),
    ("InternVL questions", ".json", ["0", "1"]),
    ("InternVL gt_answers", ".json", ["0", "1"]),
    ("InternVL documents", ".json", ["0", "1"]),
    ("InternVL charts", ".json", ["1", "2"]),
    ("InternVL lines", ".jsonl", ["0", "1"]),
    ("vLLM batch", ".jsonl", ["0", "1"]),
]


@pytest.mark.parametrize(("program", "ending", "ids"), PROGRAMS)
def test_each_program_is_recognised(program: str, ending: str, ids: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / f"answers{ending}", rows_of(program))
    rows, keys = read_predictions(path, needs_reference=False)
    assert keys.name == program
    assert [row["id"] for row in rows] == ids and [row["prediction"] for row in rows] == ANSWERS
    if keys.reference is not None:
        assert [row["reference"] for row in rows] == TEXTS
    else:
        with pytest.raises(MellaError, match="the key 'reference' is missing. Name another .--reference KEY."):
            read_predictions(path)


def test_the_log_of_earlier_lmms_eval_is_one_object(tmp_path: Path) -> None:
    log = {"args": {"model": "x"}, "model_configs": {}, "logs": rows_of("lmms-eval"), "time": "0101_0000"}
    for indent in (None, 4):
        path = tmp_path / "task.json"
        path.write_text(json.dumps(log, ensure_ascii=False, indent=indent), "utf-8")
        rows, keys = read_predictions(path)
        assert keys.name == "lmms-eval" and list(rows.column("reference")) == TEXTS
    path.write_text(json.dumps({**log, "logs": []}), "utf-8")
    with pytest.raises(MellaError, match="has no predictions"):
        read_predictions(path)


@pytest.mark.parametrize("read", [1, 7, 1 << 20])
def test_an_array_is_read_in_parts(read: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_files, "_READ", read)
    path = tmp_path / "a.json"
    for text in (json.dumps(rows_of("InternVL captions")), json.dumps(rows_of("InternVL captions"), indent=3)):
        path.write_text(f"\ufeff \n{text}\r\n ", "utf-8")
        assert list(read_predictions(path, needs_reference=False)[0].column("prediction")) == ANSWERS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "entry 1: not JSON"),
        ("[]", "has no predictions"),
        ('[{"id": 1, "prediction": "x"},]', "entry 2: not JSON"),
        ('[{"id": 1, "prediction": "x"} {}]', "after entry 1: not JSON"),
        ('[{"id": 1, "prediction": "x"}', "entry 1: not JSON .it does not end"),
        ('[{"id": 1, "prediction": "x"}] []', "after entry 1: not JSON"),
        ('[{"id": 1, "prediction": "x"}, 7]', "entry 2: a JSON object was expected, not int"),
    ],
)
def test_broken_arrays_are_refused_by_entry(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, "utf-8")
    with pytest.raises(MellaError, match=message):
        read_predictions(path, needs_reference=False)


def test_a_workbook_may_have_another_order_of_columns_and_empty_rows(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book, path = Workbook(), tmp_path / "a.xlsx"
    for row in (
        ["prediction", None, "index", "answer"],
        ["Hrad", None, 7.0, "Zámek"],
        [None] * 4,
        [None, None, 8, "B"],
    ):
        book.active.append(row)
    book.save(path)
    rows, _ = read_predictions(path)
    assert [(row["id"], row["prediction"], row["reference"]) for row in rows] == [
        ("7", "Hrad", "Zámek"),
        ("8", "", "B"),
    ]
    path.write_bytes(b"")
    with pytest.raises(MellaError, match="cannot be read as an Excel workbook"):
        read_predictions(path)


def test_a_cell_beside_the_columns_is_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,prediction,reference\r\n1,a,b\r\n2,Hrad, zámek,b\r\n", "utf-8")
    with pytest.raises(MellaError, match="row 2: the cell 'b' has no column"):
        read_predictions(path)


def test_named_keys_lead_into_objects(tmp_path: Path) -> None:
    rows = [{"meta": {"sha": "a"}, "out": [{"text": "x"}], "gold": "y"}]
    named = {"id": "meta.sha", "prediction": "out.0.text", "reference": "gold"}
    read, _ = read_predictions(write(tmp_path / "own.jsonl", rows), named)
    assert list(read) == [{"id": "a", "prediction": "x", "reference": "y", "keywords": None}]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"foo": 1, "bar": "x"}], "the keys bar, foo are not those of mella, LLaMA-Factory"),
        ([{"predict": "a", "label": "b", "response": "c", "labels": "d"}], "could be LLaMA-Factory.* or ms-swift"),
        ([{"image_id": 1, "caption": "a", "question_id": 2, "answer": "b"}], "could be InternVL"),
        ([reply("1", "a") | {"response": {"status_code": 500, "body": {}}}], "the request '1' failed .status 500"),
        ([{"predict": None, "label": "b"}], "line 1: the key 'predict' is missing"),
        ([{"doc_id": 1, "filtered_resps": ["a", "b"], "target": 5}], "'target' is 5; it must be a text"),
    ],
)
def test_what_is_ambiguous_or_broken_is_refused(rows: list, message: str, tmp_path: Path) -> None:
    with pytest.raises(MellaError, match=message):
        read_predictions(write(tmp_path / "a.jsonl", rows))


def test_an_ambiguous_file_is_read_by_the_named_keys(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"predict": "a", "label": "b", "response": "c", "labels": "d"}])
    rows, _ = read_predictions(path, {"prediction": "response"})
    assert rows[0]["prediction"] == "c" and rows[0]["reference"] == "d"


KNOWN = {
    "ab12": {"reference": TEXTS[0], "keywords": ["Karlův most"]},
    "cd34": {"reference": TEXTS[1], "keywords": None},
}


def test_references_come_from_the_dataset_by_id_or_file_name(tmp_path: Path) -> None:
    rows, keys = read_predictions(
        write(tmp_path / "a.json", [{"image_id": f"images/{name}.jpg", "caption": name} for name in reversed(KNOWN)]),
        needs_reference=False,
    )
    found = with_references(rows, KNOWN, keys, tmp_path / "a.json")
    assert [(row["id"], row["prediction"], row["reference"]) for row in found] == [
        ("cd34", "cd34", TEXTS[1]), ("ab12", "ab12", TEXTS[0])
    ]  # fmt: skip
    assert found[1]["keywords"] == ["Karlův most"]


def test_lmms_evals_document_is_a_place_in_the_split(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows_of("lmms-eval")[::-1])
    rows, keys = read_predictions(path)
    assert [row["id"] for row in with_references(rows, KNOWN, keys, path)] == ["cd34", "ab12"]


def test_answers_that_do_not_fit_the_dataset_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [{"image_id": "ab12", "caption": "x"}])
    rows, keys = read_predictions(path, needs_reference=False)
    with pytest.raises(MellaError, match="no answer to 1 of 2 images of the dataset, such as cd34"):
        with_references(rows, KNOWN, keys, path)
    with pytest.raises(MellaError, match="1 ids that the dataset lacks or that come twice: ab12"):
        with_references(rows, {"zz": KNOWN["ab12"]}, keys, path)
    path = write(tmp_path / "b.jsonl", rows_of("LLaMA-Factory"))
    rows, keys = read_predictions(path)
    with pytest.raises(MellaError, match="has no ids .LLaMA-Factory writes none."):
        with_references(rows, KNOWN, keys, path)


def test_files_without_ids_pair_only_over_equal_references(tmp_path: Path) -> None:
    first, _ = read_predictions(write(tmp_path / "a.jsonl", rows_of("LLaMA-Factory")))
    second, _ = read_predictions(write(tmp_path / "b.jsonl", rows_of("ms-swift")[::-1]))
    with pytest.raises(MellaError, match="the reference of id '1' is another"):
        joined(first, second, tmp_path / "b.jsonl")
