"""Read files of predictions: our own, and those that other programs write.

A format is recognised by the keys of its rows. Where keys could mean several things, nothing is guessed: the file is
refused, and the caller names the keys.
"""

import ast
import csv
import hashlib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, TextIO
from zipfile import BadZipFile

import numpy as np

from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.metrics.stored_rows import Row, StoredRows

_READ = 1 << 20  # characters of a JSON array that are read at a time
_BATCH = 64  # rows of a Parquet file that are read at a time; they may hold images
_PACKED = (".gz", ".bz2", ".zst", ".lz4", ".br")  # endings of compressed files, as pyarrow knows them
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # byte-order marks


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
    for at, (place, row) in enumerate(_rows(path), 1):
        read.append(_read(row, found, f"{path}, {place}", at, needs_reference))
    twice = _first_repeated(_digests(read))
    if twice is not None:
        places = [place for at, (place, _) in enumerate(_rows(path)) if at in twice]
        raise MellaError(
            f"{path}, {places[1]}: the id {read[twice[0]]['id']!r} is on {places[0]} already; keep one line of each id."
        )
    return read, found


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """(place, row) of each row of a file."""
    ending = path.suffix.lower()
    if ending in (".xlsx", ".xlsm"):
        yield from _workbook(path)
        return
    if ending == ".parquet":
        yield from _parquet(path)
        return
    is_packed = ending in _PACKED
    try:
        yield from _text_rows(path, path.with_suffix("").suffix.lower() if is_packed else ending)
    except UnicodeError as error:
        raise MellaError(f"{path} is not UTF-8 ({error}); save it as UTF-8, or unpack it.") from error
    except OSError as error:
        if not is_packed:
            raise
        raise MellaError(f"{path} cannot be unpacked ({error}); is it complete?") from error


def _opened(path: Path) -> TextIO:
    """The text of a file, unpacked, without a byte-order mark."""
    if path.suffix.lower() in _PACKED:
        import pyarrow as pa

        return TextIOWrapper(pa.input_stream(str(path), compression="detect"), encoding="utf-8-sig")
    with path.open("rb") as file:
        mark = file.read(2)
    return path.open(encoding="utf-16" if mark in _UTF_16 else "utf-8-sig")


def _text_rows(path: Path, ending: str) -> Iterator[tuple[str, Row]]:
    if ending in (".tsv", ".csv"):
        yield from _table_rows(path)
        return
    entries: Iterable[Any] | None = None
    with _opened(path) as file:
        while (character := file.read(1)).isspace():
            pass
    if character != "[" and ending == ".json":
        entries = _logs(path)
    with _opened(path) as file:
        if character == "[":
            entries = _Array(file, path)
        if entries is not None:
            for number, value in enumerate(entries, 1):
                yield f"entry {number}", _object(value, f"{path}, entry {number}")
            return
        for number, line in enumerate(file, 1):  # not splitlines: U+2028 is text
            if line.strip():
                where = f"{path}, line {number}"
                yield f"line {number}", _object(_json(line, where), where)


def _table_rows(path: Path) -> Iterator[tuple[str, Row]]:
    csv.field_size_limit(sys.maxsize)  # VLMEvalKit writes images into cells
    with _opened(path) as file:
        first = file.readline()
        # Spreadsheets separate by semicolons where the comma is the decimal sign.
        separator = max("\t,;", key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
        lines = csv.reader(chain([first], file), delimiter=separator)
        names = next(lines, [])
        for number, cells in enumerate(filter(None, lines), 1):
            yield f"row {number}", _cells(names, cells, f"{path}, row {number}")


def _logs(path: Path) -> list[Any] | None:
    """The answers in a file that is one object, of lmms-eval before version 0.2 or HELM; None for JSON lines."""
    with _opened(path) as file:
        first = file.readline()
        rest = file.read(1)
    try:
        whole = json.loads(first)
        if rest:
            return None
    except (ValueError, RecursionError):  # an object over several lines
        try:
            with _opened(path) as file:
                whole = json.load(file)
        except (ValueError, RecursionError):
            return None
    if not isinstance(whole, dict):
        return None
    for name in ("logs", "request_states"):
        if isinstance(whole.get(name), list):
            return whole[name]
    if any(isinstance(value, str) for value in whole.values()):  # one row
        return None
    raise MellaError(
        f"{path} is one object with the keys {_some(list(whole))}; give a list with an object for each answer, as "
        'pandas writes it with to_json(orient="records").'
    )


class _Array:
    """Reads the entries of a JSON array, which is never in memory as a whole."""

    def __init__(self, file: TextIO, path: Path):
        self._file, self._path, self._decoder = file, path, json.JSONDecoder()
        self._text, self._at = "", 0

    def __iter__(self) -> Iterator[Any]:
        self._next_mark()  # the bracket
        number = 0
        mark = "]" if self._peek() == "]" else ","
        while mark == ",":
            number += 1
            yield self._value(number)
            mark = self._next_mark()
        if number == 0:
            self._next_mark()
        if mark != "]" or self._peek():
            raise MellaError(f"{self._path}, after entry {number}: not JSON (a comma or the end was expected).")

    def _value(self, number: int) -> Any:
        self._peek()
        while True:
            problem: Exception | str = "it does not end"
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                if end < len(self._text):  # else it may go on
                    self._at = end
                    return value
            except (ValueError, RecursionError) as error:
                problem = error
            if not self._read_on():
                raise MellaError(f"{self._path}, entry {number}: not JSON ({problem}).")

    def _next_mark(self) -> str:
        mark = self._peek()
        self._at += len(mark)
        return mark

    def _peek(self) -> str:
        """The next character that is no space; nothing at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at].isspace():
                self._at += 1
            if self._at < len(self._text) or not self._read_on():
                return self._text[self._at : self._at + 1]

    def _read_on(self) -> bool:
        rest = self._text[self._at :]
        further = self._file.read(max(_READ, len(rest)))
        self._text, self._at = rest + further, 0
        return bool(further)


def _parquet(path: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches(_BATCH) for row in batch.to_pylist())
            for number, row in enumerate(rows, 1):
                yield f"row {number}", row
    except pa.ArrowException as error:
        raise MellaError(f"{path} is no Parquet file that can be read ({error}).") from error


def _workbook(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise MissingExtraError("openpyxl", "metrics", "Reading an Excel workbook") from error
    try:
        sheet = load_workbook(path, read_only=True, data_only=True).worksheets[0]
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise MellaError(
            f"{path} cannot be read as an Excel workbook ({error}); save it again as .xlsx or .csv."
        ) from error
    lines = sheet.iter_rows(values_only=True)
    names = [str(name) for name in next(lines, ())]
    for number, values in enumerate(lines, 2):
        if any(value is not None for value in values):  # programs leave empty rows at the end
            texts = ["" if value is None else value for value in values]  # as in CSV
            yield f"row {number}", _cells(names, texts, f"{path}, row {number}")


def _cells(names: Sequence[str], values: Sequence[Any], where: str) -> Row:
    """The cells of a row by the names of their columns; what stands beside the columns is an error."""
    beside = [value for value in values[len(names) :] if value != ""]
    if beside:
        raise MellaError(f"{where}: the cell {beside[0]!r} has no column; is a text with the separator not quoted?")
    return dict.fromkeys(names) | dict(zip(names, values, strict=False))


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MellaError(f"{where}: not JSON ({error}).") from error


def _object(value: Any, where: str) -> Row:
    if not isinstance(value, dict):
        raise MellaError(
            f"{where}: a JSON object was expected, not {type(value).__name__}; write {{...}} with its keys."
        )
    return value


def _recognise(path: Path, given: Mapping[str, str | None]) -> Keys:
    """The format whose keys every row has, with the keys that the caller names instead."""
    named = {part: key for part, key in given.items() if key}
    first: Row | None = None
    common: set[str] = set()
    for _, row in _rows(path):
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

    A text that Python reads, but would not write so, is none: NumPy's "['a' 'b']" reads as one text.
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


def joined(first: Sequence[Row], second: StoredRows, path: Path, by_place: bool = False) -> StoredRows:
    """The second system's rows in the first one's order, with the first one's references and keywords.

    Args:
        path: of the second file.
        by_place: the ids of one of the files are places of rows; then only equal references show that two belong
            together.

    Raises:
        MellaError: when an id is in one file only, or a reference differs or is missing; the message names it.
    """
    ours, theirs = _digests(first), _digests(second)
    for (rows, ids, others), fault in (
        ((first, ours, theirs), "lacks"),
        ((second, theirs, ours), "has, and the other file lacks,"),
    ):
        lost = [rows[int(at)]["id"] for at in np.flatnonzero(_positions(ids, others) < 0)]
        if lost:
            named = _some(lost if rows is first else sorted(lost))
            raise MellaError(f"{path} {fault} {len(lost)} ids: {named}. Give two files with the same ids.")

    def rows_of_second() -> Iterator[Row]:
        for row, at in zip(first, _positions(ours, theirs), strict=True):
            other = second[at]
            if by_place and other.get("reference") is None:
                raise MellaError(
                    f"{path}: row {row['id']} has no reference. One of the files has no ids, so that only equal "
                    "references show which answers are about the same image; name the ids (--id KEY)."
                )
            if other.get("reference") not in (None, row["reference"]):
                raise MellaError(
                    f"{path}: the reference of id {row['id']!r} is another than in the first file; compare answers to "
                    "the same samples."
                )
            yield {**row, "prediction": other["prediction"]}

    return second.changed(rows_of_second())


def _digests(rows: Sequence[Row]) -> np.ndarray:
    """[n] digests of the ids, which take less memory than the ids."""
    digests = bytearray()
    for row in rows:
        digests += hashlib.blake2b(row["id"].encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return np.frombuffer(digests, dtype="S16")


def _positions(wanted: np.ndarray, among: np.ndarray) -> np.ndarray:
    """[n] where each of the wanted digests stands among the others; -1 where nowhere."""
    order = np.argsort(among)
    found = order[np.minimum(np.searchsorted(among, wanted, sorter=order), len(among) - 1)]
    return np.where(among[found] == wanted, found, -1)


def _first_repeated(digests: np.ndarray) -> tuple[int, int] | None:
    """The first place at which a digest comes again, after the place where it stood before; None if none does."""
    order = np.argsort(digests, kind="stable")
    again = np.flatnonzero(digests[order[1:]] == digests[order[:-1]])
    if not len(again):
        return None
    pair = again[np.argmin(order[again + 1])]
    return int(order[pair]), int(order[pair + 1])


def with_references(rows: StoredRows, known: Mapping[str, Row], keys: Keys, path: Path) -> StoredRows:
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
    found, joined_rows = set(), rows.changed(())
    lost = []
    for row in rows:
        name = row["id"]
        if by_place and name.isdecimal() and int(name) < len(by_place):
            name = by_place[int(name)]
        elif name not in known:
            name = Path(name).stem
        if name in known and name not in found:
            found.add(name)
            joined_rows.append({**row, "id": name, **known[name]})
        else:
            lost.append(row["id"])
    if lost:
        raise MellaError(
            f"{path} has {len(lost)} ids that the dataset lacks or that come twice: {_some(lost)}. Give the split that "
            "was asked about, and one answer for each id."
        )
    missing = [name for name in known if name not in found]
    if missing:
        raise MellaError(
            f"{path} has no answer to {len(missing)} of {len(known)} images of the dataset, such as {_some(missing)}; "
            'an image without an answer would be left out of the mean. Give a prediction for each, if need be "".'
        )
    return joined_rows


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
