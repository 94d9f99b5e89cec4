"""Read files of predictions: our own, and those that other programs write.

A format is recognised by the keys of its rows. Where keys could mean several things, nothing is guessed: the file is
refused, and the caller names the keys.
"""

import ast
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.metrics.predictions.file_rows import file_rows
from mella_hf.metrics.predictions.ids import first_repeated, id_digests
from mella_hf.metrics.predictions.stored_rows import Row, StoredRows


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
    *(
        Keys("InternVL gt_answers", (name, "answer", "gt_answers"), name, "answer", "gt_answers")
        for name in ("question_id", "index", "id", "image_path")
    ),
    Keys("InternVL questions", ("question_id", "answer"), "question_id", "answer", "annotation"),
    Keys("InternVL documents", ("questionId", "answer"), "questionId", "answer", "annotation"),
    Keys("InternVL pictures", ("image", "answer", "annotation"), "image", "answer", "annotation"),
    Keys("InternVL charts", ("question", "answer", "annotation"), None, "answer", "annotation"),
    Keys("InternVL lines", ("id", "pred", "answer"), "id", "pred", "answer"),
    Keys("vLLM batch", ("custom_id", "response"), "custom_id", "response.body.choices.0.message.content"),
    Keys("HELM", ("instance_id", "predicted_text"), "instance_id", "predicted_text"),
    Keys("HELM states", ("instance", "result"), "instance.id", "result.completions.0.text"),
)
_KNOWN = ", ".join(dict.fromkeys(keys.name.split()[0] for keys in FORMATS))


def read_predictions(
    path: Path, keys: Mapping[str, str | None] | None = None, needs_reference: bool = True, folder: Path | None = None
) -> tuple[StoredRows, Keys]:
    """Read the rows of a file of predictions, in order, and how they were read.

    The file is read twice, row by row, so that a million rows need no memory: first for the keys that all rows have.

    Args:
        path: JSON lines, a JSON array, CSV, TSV, Parquet or an Excel workbook, by its ending; or the one object that
            older versions of lmms-eval and HELM write. UTF-8, or UTF-16 with a byte-order mark; JSON and CSV may be
            compressed (.gz, .bz2, .zst, .lz4, .br).
        keys: "id", "prediction" and "reference" that are not to be recognised; None for those that are.
        needs_reference: refuse rows without a reference.
        folder: where the rows are put aside (`StoredRows`).

    Returns:
        Rows with id, prediction, and where the file has them reference, keywords and prompt; and the keys.

    Raises:
        MellaError: when the file is missing, empty or not UTF-8, its format is not known or ambiguous, a request
            failed, a value is missing or of the wrong type, a row has several references, or an id comes twice; the
            message names file and row.
        MissingExtraError: for a workbook without openpyxl.
    """
    if not path.is_file():
        raise MellaError(f"There is no file {path}; give a file of predictions.")
    found = _recognise(path, keys or {})
    read = StoredRows(folder=folder)
    for at, (place, row) in enumerate(file_rows(path), 1):
        read.append(_read(row, found, f"{path}, {place}", at, needs_reference))
    twice = first_repeated(id_digests(read))
    if twice is not None:
        places = [place for at, (place, _) in enumerate(file_rows(path)) if at in twice]
        raise MellaError(
            f"{path}, {places[1]}: the id {read[twice[0]]['id']!r} is on {places[0]} already; keep one line of each id."
        )
    return read, found


def _recognise(path: Path, given: Mapping[str, str | None]) -> Keys:
    """The format whose keys every row has, with the keys that the caller names instead."""
    named = {part: key for part, key in given.items() if key}
    first: Row | None = None
    common: set[str] = set()
    for _, row in file_rows(path):
        common = set(row) if first is None else common.intersection(row)
        first = first or row
    if first is None:
        raise MellaError(f"{path} has no predictions; each line is a JSON object with id, prediction, reference.")
    if {"id", "prediction"} <= set(named):
        return Keys("named keys", (), named["id"], named["prediction"], named.get("reference"))
    fitting = [keys for keys in FORMATS if set(keys.needs) <= common]
    if fitting and fitting[0].name == "mella":
        fitting = fitting[:1]
    if named.get("prediction"):
        fitting = [keys for keys in fitting if keys.prediction == named["prediction"]] or [
            Keys("named keys", (), "id" if "id" in common else None, named["prediction"])
        ]
    fitting = [keys for keys in fitting if keys.id] or fitting  # an id tells more than the place
    ids = {keys.id for keys in fitting}
    answers = {keys.prediction for keys in fitting}
    if not fitting:
        own = "prediction" in first or "id" in first
        if own:  # a file of ours with a fault; say which row has it
            return FORMATS[0]
        raise MellaError(
            f"{path}: the keys {', '.join(sorted(map(str, first))[:12])} are not those of {_KNOWN}. "
            "Name them: --id KEY --prediction KEY --reference KEY; a dot leads into objects, as in answer.text."
        )
    if len(answers) > 1 or len(ids) > 1:
        raise MellaError(
            f"{path} could be {' or '.join(map(str, fitting))}. Say which: --id KEY --prediction KEY --reference KEY."
        )
    keys = fitting[0]
    own_id = keys.id or ("id" if "id" in common else None)  # some datasets bring ids of their own
    reference = keys.reference
    if keys.name == "mella" and "reference" not in common and "references" in common:
        reference = "references"
    return Keys(keys.name, (), named.get("id", own_id), keys.prediction, named.get("reference", reference))


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
    mends = {
        "id": "Name another (--id KEY).",
        "prediction": 'Name another (--prediction KEY), or write "" where the model said nothing.',
        "reference": "Name another (--reference KEY), or take those of a dataset: --split SPLIT --data-dir DATA.",
    }
    for part in ("id", "prediction", *(["reference"] if needs_reference else [])):
        if values.get(part) is None or (part == "id" and values[part] == ""):
            raise MellaError(f"{where}: the key {labels[part]!r} is missing or null. {mends[part]}")
    values["reference"] = _one_reference(values.get("reference"), keys, where, needs_reference)
    for part in ("prediction", "reference"):
        if values.get(part) is not None and not isinstance(values[part], str):
            raise MellaError(f"{where}: {labels[part]!r} is {values[part]!r:.80}; it must be a text.")
    keywords = row.get("keywords") or None
    if keywords is not None and _as_texts(keywords) is None:
        raise MellaError(f"{where}: 'keywords' is {keywords!r:.80}; it must be a list of texts.")
    if isinstance(values["id"], float) and values["id"].is_integer():  # as workbooks and pandas write 7
        values["id"] = int(values["id"])
    if not isinstance(values["id"], str | int) or isinstance(values["id"], bool):
        raise MellaError(f"{where}: the id is {values['id']!r:.80}; it must be a text or a whole number.")
    values["id"] = str(values["id"])  # 7 and "7" are the same image
    own = {"keywords": _as_texts(keywords)} | (
        {"prompt": row["prompt"]} if keys.name == "mella" and "prompt" in row else {}
    )
    return {**values, **own}


def _one_reference(value: Any, keys: Keys, where: str, needs_reference: bool) -> Any:
    """The reference of a list of one; None for several where other references are taken, by the id."""
    several = _as_texts(value)
    if not several or len(several) == 1:
        return several[0] if several else value
    if not needs_reference and keys.id is not None:
        return None
    mend = "Write the one that you mean into the file."
    if isinstance(value, list):
        mend = f"Name one (--reference {keys.reference}.0 is the first)."
    raise MellaError(
        f"{where}: {keys.reference!r} holds {len(several)} references, but an answer is scored against one. {mend}"
    )


def _as_texts(value: Any) -> list[str] | None:
    """A list of texts, also where a table holds it written as Python or JSON writes it; None for anything else.

    The text must be one that Python would write: NumPy's "['a' 'b']" can be read, but as one text.
    """
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        try:
            listed = json.loads(value)
        except (ValueError, RecursionError):
            try:
                listed = ast.literal_eval(value)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                return None
            if repr(listed) != value:
                return None
        value = listed
    return value if isinstance(value, list) and all(isinstance(text, str) for text in value) else None


def _check_reply(row: Row, where: str) -> None:
    """Raise MellaError for a request that failed: an error is not an answer."""
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
