"""Read files of predictions: our own, and those that other programs write.

A format is recognised by the keys of its rows. Where keys could mean several things, nothing is guessed: the file is
refused, and the caller names the keys.
"""

import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mella_hf.errors import MellaError, MissingExtraError

Row = dict[str, Any]


@dataclass(frozen=True)
class Keys:
    """Where a row has its id, prediction and reference; a dot leads into an object, "filtered_resps.0" to a list.

    Attributes:
        needs: the keys by which the format is recognised.
        id: None where the format has none; then a row's id is its place, from 1.
        reference: None where the format has none.
    """

    name: str
    needs: tuple[str, ...]
    id: str | None
    prediction: str
    reference: str | None = None

    def __str__(self) -> str:
        where = self.id or "the place of the row"
        return (
            f"{self.name}: id from {where}, prediction from {self.prediction}, reference from {self.reference or '-'}"
        )


FORMATS = (
    Keys("mella", ("id", "prediction"), "id", "prediction", "reference"),
    Keys("LLaMA-Factory", ("predict", "label"), None, "predict", "label"),
    Keys("ms-swift", ("response", "labels"), None, "response", "labels"),
    Keys("ms-swift 2", ("response", "label"), None, "response", "label"),
    Keys("ms-swift without labels", ("response", "messages"), None, "response"),
    Keys("lmms-eval", ("doc_id", "filtered_resps"), "doc_id", "filtered_resps.0", "target"),
    Keys("VLMEvalKit", ("index", "prediction"), "index", "prediction", "answer"),
    Keys("InternVL captions", ("image_id", "caption"), "image_id", "caption"),
    Keys("InternVL questions", ("question_id", "answer"), "question_id", "answer", "annotation"),
    Keys("vLLM batch", ("custom_id", "response"), "custom_id", "response.body.choices.0.message.content"),
)
_KNOWN = ", ".join(dict.fromkeys(keys.name.split()[0] for keys in FORMATS))


def read_predictions(
    path: Path, keys: Mapping[str, str | None] | None = None, needs_reference: bool = True
) -> tuple[list[Row], Keys]:
    """Read the rows of a file of predictions, in order, and how they were read.

    Args:
        path: JSON lines, a JSON array, CSV, TSV or an Excel workbook, by its ending.
        keys: "id", "prediction" and "reference" that are not to be recognised; None for those that are.
        needs_reference: refuse rows without a reference.

    Returns:
        Rows with id, prediction, and where the file has them reference, keywords and prompt; and the keys.

    Raises:
        MellaError: when the file is missing, empty or not UTF-8, its format is not known or ambiguous, a request
            failed, a value is missing or of the wrong type, or an id comes twice; the message names file and row.
        MissingExtraError: for a workbook without openpyxl.
    """
    if not path.is_file():
        raise MellaError(f"There is no file {path}; give a file of predictions.")
    rows = [(place, row) for place, row in _rows(path)]
    if not rows:
        raise MellaError(f"{path} has no predictions; each line is a JSON object with id, prediction, reference.")
    found = _recognise(path, rows, keys or {})
    read: list[Row] = []
    places: dict[str, str] = {}
    for at, (place, row) in enumerate(rows, 1):
        one = _read(row, found, f"{path}, {place}", at, needs_reference)
        if one["id"] in places:
            raise MellaError(f"{path}, {place}: the id {one['id']!r} is on {places[one['id']]} already.")
        places[one["id"]] = place
        read.append(one)
    return read, found


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """(place, row) of each row of a file."""
    ending = path.suffix.lower()
    if ending in (".xlsx", ".xlsm"):
        yield from _workbook(path)
        return
    try:
        text = path.read_text("utf-8-sig")  # with or without a byte-order mark
    except UnicodeDecodeError as error:
        raise MellaError(f"{path} is not UTF-8 ({error}); save it as UTF-8.") from error
    if ending in (".tsv", ".csv"):
        csv.field_size_limit(sys.maxsize)  # VLMEvalKit writes images into cells
        table = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if ending == ".tsv" else ",")
        yield from ((f"row {number}", dict(row)) for number, row in enumerate(table, 1))
    elif ending == ".json" and text.lstrip().startswith("["):
        values = _json(text, str(path))
        yield from (
            (f"entry {number}", _object(value, f"{path}, entry {number}")) for number, value in enumerate(values, 1)
        )
    else:
        for number, line in enumerate(text.split("\n"), 1):  # not splitlines: U+2028 is text
            if line.strip():
                where = f"{path}, line {number}"
                yield f"line {number}", _object(_json(line, where), where)


def _workbook(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise MissingExtraError("openpyxl", "metrics", "Reading an Excel workbook") from error
    sheet = load_workbook(path, read_only=True, data_only=True).worksheets[0]
    lines = sheet.iter_rows(values_only=True)
    names = [str(name) for name in next(lines, ())]
    for number, values in enumerate(lines, 2):
        yield f"row {number}", dict(zip(names, values, strict=False))


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MellaError(f"{where}: not JSON ({error}).") from error


def _object(value: Any, where: str) -> Row:
    if not isinstance(value, dict):
        raise MellaError(f"{where}: a JSON object was expected, not {type(value).__name__}.")
    return value


def _recognise(path: Path, rows: list[tuple[str, Row]], given: Mapping[str, str | None]) -> Keys:
    """The format whose keys every row has, with the keys that the caller names instead."""
    named = {part: key for part, key in given.items() if key}
    common = set(rows[0][1]).intersection(*(row for _, row in rows))
    if {"id", "prediction"} <= set(named):
        return Keys("named keys", (), named["id"], named["prediction"], named.get("reference"))
    fitting = [keys for keys in FORMATS if set(keys.needs) <= common]
    if fitting and fitting[0].name == "mella":
        fitting = fitting[:1]
    if named.get("prediction"):
        fitting = [keys for keys in fitting if keys.prediction == named["prediction"]] or [
            Keys("named keys", (), "id" if "id" in common else None, named["prediction"])
        ]
    ids = {keys.id for keys in fitting}
    answers = {keys.prediction for keys in fitting}
    if not fitting:
        own = "prediction" in rows[0][1] or "id" in rows[0][1]
        if own:  # a file of ours with a fault; say which row has it
            return FORMATS[0]
        raise MellaError(
            f"{path}: the keys {', '.join(sorted(map(str, rows[0][1]))[:12])} are not those of {_KNOWN}. "
            "Name them: --id KEY --prediction KEY --reference KEY; a dot leads into objects, as in answer.text."
        )
    if len(answers) > 1 or len(ids) > 1:
        raise MellaError(
            f"{path} could be {' or '.join(map(str, fitting))}. Say which: --id KEY --prediction KEY --reference KEY."
        )
    first = fitting[0]
    return Keys(first.name, (), named.get("id", first.id), first.prediction, named.get("reference", first.reference))


def _read(row: Row, keys: Keys, where: str, place: int, needs_reference: bool) -> Row:
    """One row in our own keys."""
    if keys.name == "vLLM batch":
        _check_reply(row, where)
    values: Row = {"id": place if keys.id is None else _value(row, keys.id), "prediction": _value(row, keys.prediction)}
    if keys.reference is not None:
        values["reference"] = _value(row, keys.reference)
    if keys.name == "VLMEvalKit":  # a cell is empty where the model said nothing, and a number where it said one
        values["prediction"] = "" if values["prediction"] is None else str(values["prediction"])
    labels = {"id": keys.id or "id", "prediction": keys.prediction, "reference": keys.reference or "reference"}
    for part in ("id", "prediction", *(["reference"] if needs_reference else [])):
        if values.get(part) is None:
            mend = ""
            if part == "reference":
                mend = " Name another (--reference KEY), or take those of a dataset: --split SPLIT --data-dir DATA."
            raise MellaError(f"{where}: the key {labels[part]!r} is missing.{mend}")
    for part in ("prediction", "reference"):
        if values.get(part) is not None and not isinstance(values[part], str):
            raise MellaError(f"{where}: {labels[part]!r} is {values[part]!r}; it must be a text.")
    keywords = row.get("keywords")
    if keywords is not None and not (isinstance(keywords, list) and all(isinstance(word, str) for word in keywords)):
        raise MellaError(f"{where}: 'keywords' is {keywords!r}; it must be a list of texts.")
    if not isinstance(values["id"], str | int):
        raise MellaError(f"{where}: the id is {values['id']!r}; it must be a text or a whole number.")
    values["id"] = str(values["id"])  # 7 and "7" are the same image
    own = {"keywords": keywords} | ({"prompt": row["prompt"]} if keys.name == "mella" and "prompt" in row else {})
    return {**values, **own}


def _check_reply(row: Row, where: str) -> None:
    """Raise MellaError for a request that failed: an error is no answer."""
    status = _value(row, "response.status_code")
    if row.get("error") or status not in (None, 200):
        raise MellaError(
            f"{where}: the request {row['custom_id']!r} failed (status {status}, error {row.get('error')!r}); "
            "send it again, and score the answers when all are there."
        )


def _value(row: Any, key: str) -> Any:
    """The value at a key, through objects and lists; None where there is none. A key that has a dot itself wins."""
    if isinstance(row, dict) and key in row:
        value = row[key]
    else:
        value = row
        for part in key.split("."):
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            elif part == "0" and isinstance(value, str):  # lmms-eval writes a text or a list with one
                continue
            else:
                return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return None if isinstance(value, float) and math.isnan(value) else value


def joined(first: list[Row], second: list[Row], path: Path) -> list[Row]:
    """The second system's rows in the first one's order, with the first one's references and keywords.

    Raises:
        MellaError: when an id is in one file only, or a reference differs; the message names it.
    """
    by_id = {row["id"]: row for row in second}
    missing = [row["id"] for row in first if row["id"] not in by_id]
    extra = sorted(set(by_id) - {row["id"] for row in first})
    for ids, fault in ((missing, "lacks"), (extra, "has, and the other file lacks,")):
        if ids:
            raise MellaError(f"{path} {fault} {len(ids)} ids: {_some(ids)}. Give two files with the same ids.")
    rows = []
    for row in first:
        other = by_id[row["id"]]
        if other.get("reference") not in (None, row["reference"]):
            raise MellaError(f"{path}: the reference of id {row['id']!r} is another than in the first file.")
        rows.append({**row, "prediction": other["prediction"]})
    return rows


def with_references(rows: list[Row], known: Mapping[str, Row], keys: Keys, path: Path) -> list[Row]:
    """The rows with the references and keywords of a dataset, by id or by the name of the image's file.

    Args:
        rows: the result of `read_predictions`.
        known: `reference` and `keywords` of each row of a test split, by id, in order.
        keys: the keys that the rows were read by. lmms-eval's `doc_id` is the place of the row in the split.

    Raises:
        MellaError: when the file has no ids, or one that the dataset lacks, or lacks some of the dataset's.
    """
    if keys.id is None:
        raise MellaError(
            f"{path} has no ids ({keys.name} writes none), so that its answers cannot be joined with a dataset; "
            "name the key that holds the image's id (--id KEY), or score the references of the file."
        )
    by_place = list(known) if keys.name == "lmms-eval" else []
    found: dict[str, Row] = {}
    lost = []
    for row in rows:
        name = row["id"]
        if by_place and name.isdecimal() and int(name) < len(by_place):
            name = by_place[int(name)]
        elif name not in known:
            name = Path(name).stem
        if name in known and name not in found:
            found[name] = {**row, "id": name, **known[name]}
        else:
            lost.append(row["id"])
    if lost:
        raise MellaError(f"{path} has {len(lost)} ids that the dataset lacks or that come twice: {_some(lost)}.")
    if missing := [name for name in known if name not in found]:
        raise MellaError(
            f"{path} has no answer to {len(missing)} of {len(known)} images of the dataset, such as {_some(missing)}; "
            'an image without an answer would be left out of the mean. Give a prediction for each, if need be "".'
        )
    return list(found.values())


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
