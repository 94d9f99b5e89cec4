"""Read the rows of a file, one after another: JSON lines, a JSON array, CSV, TSV, Parquet or an Excel workbook."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, TextIO
from zipfile import BadZipFile

from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.metrics.predictions.ids import first_few
from mella_hf.metrics.predictions.stored_rows import Row

_READ = 1 << 20  # characters of a JSON array that are read at a time
_BATCH = 64  # rows of a Parquet file that are read at a time; they may hold images
_PACKED = (".gz", ".bz2", ".zst", ".lz4", ".br")  # endings of compressed files, as pyarrow knows them
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # byte-order marks


def file_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Read a file row by row.

    Args:
        path: its ending says what it is; JSON and CSV may be compressed (.gz, .bz2, .zst, .lz4, .br). The one object
            that older versions of lmms-eval and HELM write is read too.

    Yields:
        The place of a row, such as "line 3", and the row.

    Raises:
        MellaError: for what is not UTF-8, or UTF-16 with a byte-order mark, and for a row that cannot be read.
        MissingExtraError: for a workbook without openpyxl.
    """
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
        f"{path} is one object with the keys {first_few(list(whole))}; give a list with an object for each answer, as "
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
        """The next character that is not a space; nothing at the end."""
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
        # Opened twice: for the values, and for the formulas. Both are needed to tell a formula without a saved value
        # from an empty cell.
        sheet, formulas = (
            load_workbook(path, read_only=True, data_only=values).worksheets[0] for values in (True, False)
        )
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise MellaError(
            f"{path} cannot be read as an Excel workbook ({error}); save it again as .xlsx or .csv."
        ) from error
    lines = zip(sheet.iter_rows(), formulas.iter_rows(), strict=True)
    names = [str(cell.value) for cell in next(lines, ((), ()))[0]]
    for number, (cells, written) in enumerate(lines, 2):
        if any(cell.value is not None for cell in written):  # programs leave empty rows at the end
            values = [_value(cell, formula) for cell, formula in zip(cells, written, strict=True)]
            yield f"row {number}", _cells(names, values, f"{path}, row {number}")


class _NoValue:
    """Stands for a cell that has no value. It is an error only if its column is read."""

    def __init__(self, what: str):
        self._what = what

    def __repr__(self) -> str:
        return self._what


def _value(cell: Any, formula: Any) -> Any:
    """What a cell says: "" for an empty one, as in CSV."""
    if formula.data_type == "f" and cell.value is None:
        return _NoValue("a formula without a saved value")
    if cell.data_type == "e":
        return _NoValue(f"the error {cell.value} of the sheet")
    return "" if cell.value is None else cell.value


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
