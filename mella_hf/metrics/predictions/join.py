"""Join files of predictions by the ids of their rows: with a second system's file, or with a dataset."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mella_hf.errors import MellaError
from mella_hf.metrics.predictions.ids import first_few, id_digests, positions
from mella_hf.metrics.predictions.read import Keys
from mella_hf.metrics.predictions.stored_rows import Row, StoredRows


def joined(first: Sequence[Row], second: StoredRows, path: Path, by_place: bool = False) -> StoredRows:
    """The second system's rows in the first one's order, with the first one's references and keywords.

    Args:
        path: of the second file.
        by_place: the ids of one of the files are places of rows; then only equal references show that two belong
            together.

    Raises:
        MellaError: when an id is in one file only, or a reference differs or is missing; the message names it.
    """
    ours, theirs = id_digests(first), id_digests(second)
    for (rows, ids, others), fault in (
        ((first, ours, theirs), "lacks"),
        ((second, theirs, ours), "has, and the other file lacks,"),
    ):
        lost = [rows[int(at)]["id"] for at in np.flatnonzero(positions(ids, others) < 0)]
        if lost:
            named = first_few(lost if rows is first else sorted(lost))
            raise MellaError(f"{path} {fault} {len(lost)} ids: {named}. Give two files with the same ids.")

    def rows_of_second() -> Iterator[Row]:
        for row, at in zip(first, positions(ours, theirs), strict=True):
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
            f"{path} has {len(lost)} ids that the dataset lacks or that come twice: {first_few(lost)}. "
            "Give the split that was asked about, and one answer for each id."
        )
    missing = [name for name in known if name not in found]
    if missing:
        raise MellaError(
            f"{path} has no answer to {len(missing)} of {len(known)} images of the dataset, such as "
            f"{first_few(missing)}; an image without an answer would be left out of the mean. Give a prediction for "
            'each, if need be "".'
        )
    return joined_rows
