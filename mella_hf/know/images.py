"""Turn fetched images and their alt-texts into records of `records.SAMPLES`; each picture is kept once.

    OUT/{shard}/rows.parquet, OUT/rejects, OUT/done   the samples; a shard for each file of fetched bodies
    OUT/.images/, OUT/.choice/                        facts about each image; which alt-text is kept for it

There are three stages: every image is checked and hashed; then, for each language, one row is chosen per picture across
all shards; then these are scored for nudity and searched for faces, which costs a hundred times the rest, and written.
Bodies are read twice and copied once.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from mella_hf.errors import StageError
from mella_hf.images.opening import Rejected
from mella_hf.know.image_check import CheckedImage, ImageSettings, check_image
from mella_hf.know.near_duplicates import find_representatives
from mella_hf.know.records import ALT_TEXTS, ROWS, SAMPLES, file_mark
from mella_hf.know.rows import RowFailed, one_row
from mella_hf.know.safety import can_find_faces, can_score, look
from mella_hf.sample import make_sample
from mella_hf.stage import Shard, ShardOutput, StageReport, run_stage

IMAGES_VERSION = 4  # a change of what the stages do to rows; makes them run again
_LOOKS = ("nsfw_threshold", "find_faces")  # settings of the last stage alone
# What is known of an image after the first stage: a reason, or all of the rest.
_IMAGES = pa.schema(
    [
        ("url", pa.string()),
        ("reason", pa.string()),
        ("id", pa.string()),
        ("phash", pa.uint64()),
        ("flags", pa.list_(pa.string())),
        ("file", pa.int32()),  # its place among the files of fetched bodies
    ]
)
# An alt-text after the second stage: a reason, or the texts of the rows that it stands for.
_CHOICE = pa.schema(
    [
        *ALT_TEXTS,
        *(field for field in _IMAGES if field.name != "url"),
        ("other_texts", pa.list_(pa.string())),
        ("kept_id", pa.string()),  # of the image that is kept in its stead
    ]
)
_GROUP_BYTES = 32 << 20  # of images in a row group: what writing holds in memory
_GROUP_ROWS = 256
# What may be somebody's: counted in the report as "flagged_<flag>", never a reason to drop.
_DEED = re.compile(r"https?://(?:www\.)?creativecommons\.org/licenses/([a-z-]{2,20})(?:[/?#]|\Z)", re.IGNORECASE)
_WITHHELD = {"nd": "license_no_derivatives", "nc": "license_non_commercial"}
PERSONAL = frozenset(("email_in_text", "phone_in_text", "had_location", "face_found", "faces_unchecked"))
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++\.[\w.-]+")
_PHONE = re.compile(r"(?<!\w)\+?\d(?:[ ()./-]{0,2}\d){8,14}(?!\w)")  # 9 to 15 digits (ITU-T E.164)


def make_samples(
    alt_texts: Sequence[Path],
    fetched: Sequence[Path],
    out: Path | str,
    settings: ImageSettings | None = None,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> StageReport:
    """Turn alt-texts and fetched images into samples.

    Args:
        alt_texts: Parquet files of `records.ALT_TEXTS`.
        fetched: Parquet files of `records.FETCHED`, in a fixed order; no URL twice.
        workers, executor, progress: as for `run_stage`.

    Returns:
        the report of the last stage. Its counts are alt-texts: "kept", and "dropped_<reason>" with `not_fetched`, the
        reasons of `check_image`, `image_nsfw`, `duplicate_bytes`, `duplicate_picture`; "flagged_<flag>" of PERSONAL.
    """
    out = Path(out).resolve()
    settings = settings or ImageSettings()
    if settings.nsfw_threshold is not None and not can_score():
        settings = replace(settings, nsfw_threshold=None)
    if settings.find_faces and not can_find_faces():
        settings = replace(settings, find_faces=False)
    run = partial(run_stage, defaults=asdict(ImageSettings()), workers=workers, executor=executor, progress=progress)
    decides = {"version": IMAGES_VERSION, **asdict(settings)}
    chooses = {name: value for name, value in decides.items() if name not in _LOOKS}
    sources = [Shard(f"{number:03d}", [number, *file_mark(path)]) for number, path in enumerate(fetched)]
    check = partial(check_shard, settings=settings)
    checked = run("images", check, sources, out / ".images", settings=chooses).require_all()
    texts = [file_mark(path) for path in alt_texts]
    known = [file_mark(folder / ROWS) for folder in checked.outputs]
    languages = [Shard(language, [texts, known]) for language in _languages(alt_texts)]
    chosen = run("choice", choose_language, languages, out / ".choice", settings=chooses).require_all()
    choices = [file_mark(folder / ROWS) for folder in chosen.outputs]
    last = [Shard(shard.name, [*shard.payload, choices]) for shard in sources]
    return run("samples", partial(write_shard, settings=settings), last, out, settings=decides)


def _languages(alt_texts: Sequence[Path]) -> list[str]:
    columns = (pq.read_table(path, columns=["language"])["language"] for path in alt_texts)
    return sorted({code for column in columns for code in column.unique().to_pylist()})


def check_shard(shard: Shard, output: ShardOutput, *, settings: ImageSettings) -> None:
    """The first stage: check and hash every body of a file. Its counts are images."""
    number, path = shard.payload[0], shard.payload[1]
    rows = []
    for row in _bodies(Path(path), ["url", "body", "overridden"]):
        known: dict[str, Any] = {"url": row["url"], "file": number}
        try:
            with one_row("image"):
                image = check_image(row["body"], settings)
            flags = [*image.flags, *([row["overridden"]] if row["overridden"] else [])]
            rows.append(known | {"id": image.id, "phash": image.phash, "flags": flags})
            output.keep()
        except (Rejected, RowFailed) as error:
            rows.append(known | {"reason": error.reason})
            output.drop(error.reason, url=row["url"], detail=str(error))
    pq.write_table(pa.Table.from_pylist(rows, schema=_IMAGES), output.folder / ROWS, compression="ZSTD")


def _bodies(path: Path, columns: list[str], wanted: frozenset[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a file of fetched bodies that have one, in order; only row groups that hold a wanted URL are read."""
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        if wanted is not None and wanted.isdisjoint(file.read_row_group(group, ["url"])["url"].to_pylist()):
            continue
        for batch in file.iter_batches(32, row_groups=[group], columns=columns):
            for row in batch.to_pylist():
                if row["body"] is not None and (wanted is None or row["url"] in wanted):
                    yield row


def choose_language(shard: Shard, output: ShardOutput) -> None:
    """The second stage: of all alt-texts of a language whose images show the same picture, keep the longest.

    Holds the texts of one language, about 1 kB a row, in memory.
    """
    texts, known = ([path for path, *_ in marks] for marks in shard.payload)
    rows = ds.dataset(texts, schema=ALT_TEXTS).to_table(filter=ds.field("language") == shard.name).to_pylist()
    rows.sort(key=lambda row: (row["image_url"], row["page_url"], row["position"]))
    mine = ds.field("url").isin(sorted({row["image_url"] for row in rows}))
    images = {row["url"]: row for row in ds.dataset(known, schema=_IMAGES).to_table(filter=mine).to_pylist()}
    missing = {"reason": "not_fetched", "file": None}
    rows = [row | {k: v for k, v in images.get(row["image_url"], missing).items() if k != "url"} for row in rows]
    sound = [row for row in rows if row["reason"] is None]
    hashes = np.array([row["phash"] for row in sound], dtype=np.uint64)
    kept = find_representatives(hashes, np.array([len(row["text"]) for row in sound]))
    for row, place in zip(sound, kept.tolist(), strict=True):
        best = sound[place]
        if best is not row:
            row["reason"] = "duplicate_bytes" if row["id"] == best["id"] else "duplicate_picture"
            row["kept_id"] = best["id"]
            if row["text"] != best["text"]:
                best.setdefault("other_texts", []).append(row["text"])
    for row in sound:
        row["other_texts"] = sorted(set(row.get("other_texts", ())))
    output.keep(sum(row["reason"] is None for row in rows))
    pq.write_table(pa.Table.from_pylist(rows, schema=_CHOICE), output.folder / ROWS, compression="ZSTD")


def write_shard(shard: Shard, output: ShardOutput, *, settings: ImageSettings) -> None:
    """The last stage: the samples whose images lie in one file, and the rejects of all its alt-texts.

    Alt-texts whose images were not fetched belong to the first file.
    """
    number, path, *_, choices = shard.payload
    mine = (ds.field("file") == number) | (ds.field("file").is_null() if number == 0 else pa.scalar(False))
    rows = ds.dataset([name for name, *_ in choices], schema=_CHOICE).to_table(filter=mine).to_pylist()
    wanted: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["reason"] is None:
            wanted.setdefault(row["image_url"], []).append(row)
        else:
            where = {name: row[name] for name in ("language", "text", "image_url", "page_url", "kept_id")}
            output.drop(row["reason"], **{name: value for name, value in where.items() if value is not None})
    with sample_writer(output.folder / ROWS) as writer:
        for group in _groups(Path(path), wanted, settings, output):
            if not group:
                continue
            output.keep(len(group))
            count_flags(group, output)
            writer.write_table(pa.Table.from_pylist(group, schema=SAMPLES), row_group_size=len(group))


def count_flags(rows: Sequence[dict[str, Any]], output: ShardOutput) -> None:
    """Count the flags of kept rows that people should see."""
    shown = PERSONAL.union(_WITHHELD.values())
    output.counts.update(f"flagged_{flag}" for row in rows for flag in shown.intersection(row["flags"]))


def _groups(
    path: Path, wanted: dict[str, list[dict[str, Any]]], settings: ImageSettings, output: ShardOutput
) -> Iterator[list[dict[str, Any]]]:
    """The samples of one file, in its order, as many at a time as fit into memory."""
    group: list[tuple[dict[str, Any], CheckedImage]] = []  # (body, image)
    size = 0
    for body in _bodies(path, ["url", "body", "fetched_at"], frozenset(wanted)):
        image = check_image(body["body"], settings)
        group.append((body, image))
        size += len(image.data)
        if size >= _GROUP_BYTES or len(group) >= _GROUP_ROWS:
            yield _samples(group, wanted, settings, output)
            group, size = [], 0
    yield _samples(group, wanted, settings, output)


def _samples(
    group: Sequence[tuple[dict[str, Any], CheckedImage]],
    wanted: dict[str, list[dict[str, Any]]],
    settings: ImageSettings,
    output: ShardOutput,
) -> list[dict[str, Any]]:
    """The samples of some images, without those that the models find unfit."""
    samples = []
    for body, image in group:
        rows = wanted[body["url"]]
        try:
            with one_row("image"):
                score, seen = look(image, settings)
        except (Rejected, RowFailed) as error:
            for row in rows:
                where = {name: row[name] for name in ("language", "text", "image_url", "page_url")}
                output.drop(error.reason, detail=str(error), **where)
            continue
        for row in rows:
            sample = _sample(row, image, body, seen)
            samples.append(sample | {"nsfw_score": score})
    return samples


def _sample(row: dict[str, Any], image: CheckedImage, body: dict[str, Any], seen: list[str]) -> dict[str, Any]:
    if image.id != row["id"]:
        raise StageError(f"{row['image_url']} gives other bytes than before; did packages change during the run?")
    record = make_sample(
        image=image.data,
        text=row["text"],
        language=row["language"],
        source="know",
        width=image.width,
        height=image.height,
        page_url=row["page_url"],
        image_url=row["image_url"],
        domain=row["site"],
        license=row["license_url"],
        collected_at=body["fetched_at"],
    )
    patterns = (("email_in_text", _EMAIL), ("phone_in_text", _PHONE))
    found = (flag for flag, pattern in patterns if pattern.search(row["text"]))
    flags = [*row["flags"], *seen, *found, *license_flags(row["license_url"])]
    extra = {"phash": row["phash"], "other_texts": row["other_texts"], "flags": flags}
    return record | extra


def license_flags(url: str | None) -> list[str]:
    """What a Creative Commons licence withholds, by the address of its deed; nothing for other licences."""
    deed = _DEED.match(url or "")
    parts = deed[1].lower().split("-") if deed else []
    return [flag for part, flag in _WITHHELD.items() if part in parts]


def sample_writer(path: Path) -> pq.ParquetWriter:
    """Images as plain bytes, the rest compressed: as in the published layout."""
    columns = [name for name in SAMPLES.names if name != "image"]
    return pq.ParquetWriter(
        path,
        SAMPLES,
        compression={"image.bytes": "NONE"} | dict.fromkeys(columns, "ZSTD"),
        use_dictionary=["language", "source", "domain", "license"],
    )
