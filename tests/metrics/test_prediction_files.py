"""Files of predictions as other programs write them; the rows are shaped as those programs' documentation shows."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from mella_hf.errors import MellaError
from mella_hf.metrics.predictions import file_rows
from mella_hf.metrics.predictions.join import joined, with_references
from mella_hf.metrics.predictions.read import read_predictions

ANSWERS = ["Lidé na mostě\nv Praze.", "Hrad nad řekou."]
TEXTS = ["Turisté stojí na Karlově mostě.", "Hrad Karlštejn nad řekou."]
PAIRS = list(zip(ANSWERS, TEXTS, strict=True))


def reply(name: str, text: str) -> dict[str, Any]:
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
    return {"id": f"vllm-{name}", "custom_id": name, "response": {"status_code": 200, "body": body}, "error": None}


def rows_of(program: str) -> list[dict[str, Any]]:
    pairs = list(enumerate(PAIRS))
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
        "HELM": [
            {"instance_id": f"id{i}", "predicted_text": a, "train_trial_index": 0, "stats": {}} for i, (a, _) in pairs
        ],
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
    ("HELM", ".json", ["id0", "id1"]),
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
        with pytest.raises(MellaError, match="the key 'reference' is missing or null. Name another .--reference KEY."):
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
    monkeypatch.setattr(file_rows, "_READ", read)
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


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ('=CONCATENATE("Hr", "ad")', "row 2: 'prediction' is a formula without a saved value"),
        ("#N/A", "row 2: 'prediction' is the error #N/A of the sheet"),
    ],
)
def test_a_cell_without_a_value_is_no_empty_answer(tmp_path: Path, cell: str, message: str) -> None:
    """A formula without a saved value looks like an empty cell. In a column that is not read it does not matter."""
    from openpyxl import Workbook

    path = tmp_path / "a.xlsx"
    for row, accepted in (([7, cell, "Zámek", 1], False), ([7, "Hrad", "Zámek", cell], True)):
        book = Workbook()
        book.active.append(["id", "prediction", "reference", "length"])
        book.active.append(row)
        book.save(path)
        if accepted:
            assert [found["prediction"] for found in read_predictions(path)[0]] == ["Hrad"]
            continue
        with pytest.raises(MellaError, match=message):
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


def own_rows() -> list[dict[str, Any]]:
    return [{"id": f"im{i}", "prediction": a, "reference": t} for i, (a, t) in enumerate(PAIRS)]


def pack(kind: str, data: bytes, path: Path) -> None:
    with pa.CompressedOutputStream(str(path), kind) as file:
        file.write(data)


# name of the file -> write our rows to it, as other libraries do
FILES: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "array.jsonl": lambda frame, path: frame.to_json(path, orient="records"),
    "array.txt": lambda frame, path: frame.to_json(path, orient="records", indent=2),
    "lines.json": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    "lines.jsonl.gz": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    "lines.jsonl.bz2": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    "lines.jsonl.zst": lambda frame, path: pack("zstd", frame.to_json(orient="records", lines=True).encode(), path),
    "array.json.gz": lambda frame, path: frame.to_json(path, orient="records"),
    "utf16.jsonl": lambda frame, path: path.write_text(frame.to_json(orient="records", lines=True), "utf-16"),
    "commas.csv": lambda frame, path: frame.to_csv(path, index=False),
    "with_index.csv": lambda frame, path: frame.to_csv(path),
    "commas.csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    "semicolons.csv": lambda frame, path: frame.to_csv(path, index=False, sep=";", encoding="utf-8-sig"),
    "tabs.csv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "utf16.csv": lambda frame, path: frame.to_csv(path, index=False, encoding="utf-16"),
    "crlf.csv": lambda frame, path: frame.to_csv(path, index=False, lineterminator="\r\n"),
    "rows.parquet": lambda frame, path: frame.to_parquet(path),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_other_libraries(name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(own_rows()).assign(keywords=[["Karlův most", "Praha"], []])
    FILES[name](frame, tmp_path / name)
    rows, keys = read_predictions(tmp_path / name)
    assert keys.name == "mella"
    assert [{key: row[key] for key in ("id", "prediction", "reference")} for row in rows] == own_rows()
    assert [row["keywords"] or [] for row in rows] == [["Karlův most", "Praha"], []]


@pytest.mark.parametrize("orient", ["columns", "index", "split", "table"])
def test_a_frame_as_one_object_is_refused(orient: Any, tmp_path: Path) -> None:
    pd.DataFrame(own_rows()).to_json(tmp_path / "a.json", orient=orient)
    with pytest.raises(MellaError, match="is one object with the keys .* give a list with an object for each answer"):
        read_predictions(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id;prediction;reference\n1;příklad;b\n".encode("cp1250"), "is not UTF-8"),
        ("a.jsonl", json.dumps(own_rows()[0], ensure_ascii=False).encode("utf-16-le"), "is not UTF-8"),
        ("a.jsonl.gz", b"no gzip", "cannot be unpacked"),
        ("a.jsonl.gz", gzip.compress(b'{"id": 1, "prediction": "a"}\n' * 999)[:-20], "cannot be unpacked"),
        ("a.parquet", b"PAR1", "is no Parquet file that can be read"),
        ("a.jsonl", b'{"id": true, "prediction": "a"}', "the id is True"),
        ("a.csv", b"id,prediction\n,a\n", "the key 'id' is missing or null"),
        ("a.csv", b"id,prediction,keywords\n1,a,\"['x' 'y']\"\n", "it must be a list of texts"),  # NumPy's
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MellaError, match=message) as caught:
        read_predictions(tmp_path / name, needs_reference=False)
    assert "\n" not in str(caught.value)


def test_helms_state_is_one_object(tmp_path: Path) -> None:
    states = [
        {
            "instance": {"id": row["id"], "references": [{"output": {"text": row["reference"]}, "tags": ["correct"]}]},
            "result": {"success": True, "completions": [{"text": row["prediction"]}]},
        }
        for row in own_rows()
    ]
    path = tmp_path / "scenario_state.json"
    path.write_text(json.dumps({"adapter_spec": {}, "request_states": states}, indent=1), "utf-8")
    rows, _ = read_predictions(path, {"reference": "instance.references.0.output.text"})
    assert [{key: row[key] for key in ("id", "prediction", "reference")} for row in rows] == own_rows()


def test_one_reference_in_a_list_is_taken_and_several_are_refused(tmp_path: Path) -> None:
    def with_references_of(count: int, form: Callable[[list[str]], Any] = list) -> Path:
        rows = [{"id": i, "prediction": a, "references": form([t, "jiná"][:count])} for i, (a, t) in enumerate(PAIRS)]
        return write(tmp_path / f"{count}.jsonl", rows)

    assert list(read_predictions(with_references_of(1))[0].column("reference")) == TEXTS
    with pytest.raises(MellaError, match=r"holds 2 references.* \(--reference references.0 is the first\)"):
        read_predictions(with_references_of(2))
    first, _ = read_predictions(with_references_of(2), {"reference": "references.0"})
    assert list(first.column("reference")) == TEXTS
    unused, _ = read_predictions(with_references_of(2), needs_reference=False)  # those of the dataset are taken
    assert list(unused.column("reference")) == [None, None]
    for form in (str, json.dumps):  # as VLMEvalKit writes a list into a cell
        with pytest.raises(MellaError, match="holds 2 references"):
            read_predictions(with_references_of(2, form))


def test_ids_of_a_dataset_are_kept_where_a_program_has_none(tmp_path: Path) -> None:
    rows = [row | {"id": f"im{i}"} for i, row in enumerate(rows_of("ms-swift"))]
    read, keys = read_predictions(write(tmp_path / "a.jsonl", rows))
    assert keys.id == "id" and [row["id"] for row in read] == ["im0", "im1"]


def test_without_ids_and_references_nothing_is_paired(tmp_path: Path) -> None:
    first, _ = read_predictions(write(tmp_path / "a.jsonl", rows_of("LLaMA-Factory")))
    bare = [row | {"labels": None} for row in rows_of("ms-swift")]
    second, keys = read_predictions(write(tmp_path / "b.jsonl", bare), needs_reference=False)
    with pytest.raises(MellaError, match="row 1 has no reference. One of the files has no ids"):
        joined(first, second, tmp_path / "b.jsonl", by_place=keys.id is None)


def test_files_without_ids_pair_only_over_equal_references(tmp_path: Path) -> None:
    first, _ = read_predictions(write(tmp_path / "a.jsonl", rows_of("LLaMA-Factory")))
    second, _ = read_predictions(write(tmp_path / "b.jsonl", rows_of("ms-swift")[::-1]))
    with pytest.raises(MellaError, match="the reference of id '1' is another"):
        joined(first, second, tmp_path / "b.jsonl")
