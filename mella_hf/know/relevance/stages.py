"""The stages that measure relevance: embed all pairs, calibrate language by language.

    WORK/embeddings/{file}-{part}/rows.parquet       the vectors of some row groups
    WORK/calibrated/{language}-{source}-{part}/      the relevance of some thousand pairs, and measures.json

Both read any Parquet files with the columns id, image, text, language and source. A shard is known by its ids and
texts, so files that are written anew with the same pairs are not encoded again.
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from mella_hf.errors import MellaError
from mella_hf.images.opening import Rejected, open_image
from mella_hf.know.records import ROWS, file_mark, rows_of
from mella_hf.know.relevance.calibrate import calibrate
from mella_hf.know.relevance.encoder import DualEncoder, default_workers, encoder_name, share_cores
from mella_hf.know.rows import RowFailed, one_row
from mella_hf.stage import Shard, ShardOutput, run_stage

RELEVANCE_VERSION = 1  # a change of what the stages do to rows; makes them run again
MEASURES = "measures.json"
BINS = 500  # of cosines, from -1 to 1
_EMBEDDED = 1024  # pairs embedded together: what is done again after an interruption
_TOGETHER = 4096  # pairs calibrated together, at least
_READ = ["id", "image", "text", "language", "source"]

CALIBRATED = pa.schema(
    [
        ("file", pa.int32()),  # its place among the files
        ("row", pa.int64()),  # in the file
        ("language", pa.string()),
        ("source", pa.string()),
        ("relevance", pa.float32()),  # null where it could not be measured
    ]
)


@dataclass(frozen=True)
class RelevanceSettings:
    """How to measure relevance.

    Attributes:
        model: a dual encoder, as a Hub id or folder.
        cutoff: pairs below it go; None keeps all. 0.5 takes away half of the pairs that do not belong together.
        batch_size: pairs encoded together.
        device: "cuda", "cpu", ...; a GPU by default, if there is one.
    """

    model: str
    cutoff: float | None = None
    batch_size: int = 32
    device: str | None = None

    def __post_init__(self) -> None:
        if self.cutoff is not None and not 0 < self.cutoff < 1:
            raise MellaError(f"The cutoff of relevance is {self.cutoff:g}; it must be between 0 and 1, such as 0.5.")


@dataclass(frozen=True)
class Measured:
    """The relevance of the pairs of some files.

    Attributes:
        model: as the column `relevance_model` names it.
        calibrated: files of `CALIBRATED`.
        measures: one dict for each calibrated part; see `calibrate_part`.
        unmeasured: reason -> pairs that the encoder could not read.
    """

    model: str
    calibrated: list[Path]
    measures: list[dict[str, Any]]
    unmeasured: dict[str, int]


def measure(
    files: Sequence[Path],
    work: Path,
    settings: RelevanceSettings,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> Measured:
    """Measure the relevance of all pairs of some files.

    Args:
        files: Parquet files in a fixed order; a row group should hold no more image bytes than fit into memory.
        work: the folder of the stages.

    Raises:
        MellaError: the encoder does not load.
    """
    name = encoder_name(settings.model)
    processes = default_workers() if workers is None else workers
    embed = partial(embed_part, settings=settings, processes=processes)
    version = {"version": RELEVANCE_VERSION, "model": name}
    shards = [shard for number, path in enumerate(files) for shard in _parts(number, path)]
    embedded = run_stage(
        "embeddings", embed, shards, work / "embeddings", settings=version, workers=processes, executor=executor,
        progress=progress,
    ).require_all()  # fmt: skip
    calibrated = run_stage(
        "relevance", calibrate_part, _groups(rows_of(embedded.outputs)), work / "calibrated", settings=version,
        workers=workers, executor=executor, progress=progress,
    ).require_all()  # fmt: skip
    measures = [json.loads((folder / MEASURES).read_text("utf-8")) for folder in calibrated.outputs]
    counts = {key.removeprefix("unmeasured_"): n for key, n in embedded.counts.items() if key.startswith("unmeasured_")}
    return Measured(name, rows_of(calibrated.outputs), measures, counts)


def _parts(number: int, path: Path) -> list[Shard]:
    """Shards of row groups, some _EMBEDDED pairs each."""
    file = pq.ParquetFile(path)
    shards: list[Shard] = []
    groups: list[int] = []
    start = count = 0
    for group in range(file.num_row_groups):
        groups.append(group)
        count += file.metadata.row_group(group).num_rows
        if count >= _EMBEDDED or group == file.num_row_groups - 1:
            digest = hashlib.sha256()
            for column in file.read_row_groups(groups, ["id", "text"]).itercolumns():
                digest.update(json.dumps(column.to_pylist()).encode())
            payload = {
                "file": str(path),
                "number": number,
                "groups": groups,
                "start": start,
                "rows": digest.hexdigest(),
            }
            if count:
                shards.append(Shard(f"{number:05d}-{len(shards):03d}", payload))
            start, count, groups = start + count, 0, []
    return shards


@cache
def _encoder(model: str, device: str | None) -> DualEncoder:
    return DualEncoder(model, device)


def embed_part(shard: Shard, output: ShardOutput, *, settings: RelevanceSettings, processes: int | None) -> None:
    """The first stage: the vectors of the pairs of some row groups.

    A pair that cannot be read is counted, and has no vectors.
    """
    share_cores(processes)
    encoder = _encoder(settings.model, settings.device)
    about, at = shard.payload, shard.payload["start"]
    file = pq.ParquetFile(about["file"])
    writer = None
    for batch in file.iter_batches(settings.batch_size, row_groups=about["groups"], columns=_READ):
        pictures, places = [], []
        for place, image in enumerate(batch["image"].field("bytes")):
            try:
                with one_row("image"):
                    pictures.append(open_image(image.as_py(), side=encoder.side))
                places.append(place)
            except (Rejected, RowFailed) as error:
                output.counts[f"unmeasured_{error.reason}"] += 1
        if not places:
            at += len(batch)
            continue
        rows = batch.select(["id", "text", "language", "source"]).take(pa.array(places))
        table = pa.Table.from_batches([rows])
        table = table.append_column("file", pa.repeat(pa.scalar(about["number"], pa.int32()), len(places)))
        table = table.append_column("row", pa.array([at + place for place in places], pa.int64()))
        for name, vectors in (("image", encoder.images(pictures)), ("said", encoder.texts(rows["text"].to_pylist()))):
            flat = pa.array(vectors.astype(np.float32).ravel())
            table = table.append_column(name, pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))
        writer = writer or pq.ParquetWriter(output.folder / ROWS, table.schema, compression="ZSTD")
        writer.write_table(table)
        output.keep(len(places))
        at += len(batch)
    if writer is not None:
        writer.close()


def _groups(embedded: Sequence[Path]) -> list[Shard]:
    """Shards of one language and source: consecutive files of vectors until there are _TOGETHER pairs."""
    found: dict[tuple[str, str], list[tuple[Path, int]]] = {}
    for path in embedded:
        rows = pq.read_table(path, columns=["language", "source"])
        for group in rows.group_by(["language", "source"]).aggregate([([], "count_all")]).to_pylist():
            found.setdefault((group["language"], group["source"]), []).append((path, group["count_all"]))
    shards = []
    for (language, source), parts in sorted(found.items()):
        groups: list[list[Path]] = [[]]
        count, left = 0, sum(rows for _, rows in parts)
        for path, rows in parts:
            if count >= _TOGETHER and left >= _TOGETHER:  # what is left over stays with the last group
                groups.append([])
                count = 0
            groups[-1].append(path)
            count, left = count + rows, left - rows
        for number, paths in enumerate(groups):
            payload = {"language": language, "source": source, "inputs": [file_mark(path) for path in paths]}
            shards.append(Shard(f"{language}-{source}-{number:03d}", payload))
    return shards


def calibrate_part(shard: Shard, output: ShardOutput) -> None:
    """The second stage: the relevance of some thousand pairs of one language, and what a report needs of them."""
    language, source = shard.payload["language"], shard.payload["source"]
    mine = (ds.field("language") == language) & (ds.field("source") == source)
    rows = ds.dataset([path for path, *_ in shard.payload["inputs"]]).to_table(filter=mine)
    rows = rows.take(pc.sort_indices(rows, [("id", "ascending")])).combine_chunks()  # an order of chance
    images, texts = (_matrix(rows[name]) for name in ("image", "said"))
    sound = np.isfinite(images).all(axis=1) & np.isfinite(texts).all(axis=1)
    keys = [pc.dictionary_encode(rows[name]).combine_chunks().indices.to_numpy() for name in ("id", "text")]
    found = calibrate(images[sound], texts[sound], *(key[sound] for key in keys))
    relevance = np.full(len(rows), np.nan)
    measures: dict[str, Any] = {"language": language, "source": source, "pairs": 0, "unmeasured": len(rows)}
    if found is not None:
        relevance[sound] = found.relevance
        edges = np.linspace(-1, 1, BINS + 1)
        measures |= {
            "pairs": len(found.relevance),
            "unmeasured": int((~sound).sum()),
            "relevance": float(found.relevance.sum()),
            "squares": float((found.influence**2).sum()),
            "chance": float((found.relevance < 0.5).sum()),
            "matched": np.histogram(np.clip(found.similarity, -1, 1), edges)[0].tolist(),
            "repaired": np.histogram(np.clip(found.null, -1, 1), edges)[0].tolist(),
        }
    table = rows.select(["file", "row", "language", "source"])
    table = table.append_column("relevance", pa.array(relevance, pa.float32(), from_pandas=True))
    output.keep(len(rows))
    pq.write_table(table.cast(CALIBRATED), output.folder / ROWS, compression="ZSTD")
    (output.folder / MEASURES).write_text(json.dumps(measures), "utf-8")


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A column of vectors as [N, D]."""
    array = column.combine_chunks()
    return array.flatten().to_numpy().reshape(len(array), -1)


def relevance_of(calibrated: Sequence[Path], number: int, rows: int) -> np.ndarray:
    """The relevance of each row of one file, by its place among the files; NaN where it was not measured."""
    found = np.full(rows, np.nan)
    mine = ds.dataset([str(path) for path in calibrated], schema=CALIBRATED).to_table(filter=ds.field("file") == number)
    found[mine["row"].to_numpy()] = mine["relevance"].to_numpy()
    return found
