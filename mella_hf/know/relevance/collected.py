"""The stage of a collection that writes each sample's relevance, and leaves out what is below the cutoff."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mella_hf.know.images import count_flags, sample_writer
from mella_hf.know.records import ROWS, SAMPLES, file_mark
from mella_hf.know.relevance.stages import RELEVANCE_VERSION, Measured, RelevanceSettings, measure, relevance_of
from mella_hf.stage import Shard, ShardOutput, StageReport, run_stage


@dataclass(frozen=True)
class RelevantSamples:
    """The samples of a collection with their relevance.

    Attributes:
        report: of the stage; its counts are pairs: "kept", "dropped_irrelevant".
        measured: the relevance of all samples, by their place in the stage's input.
    """

    report: StageReport
    measured: Measured


def filter_samples(
    samples: Sequence[Path],
    out: Path,
    settings: RelevanceSettings,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> RelevantSamples:
    """Measure the relevance of samples, and write them again with it.

    Args:
        samples: Parquet files of `records.SAMPLES`, in a fixed order.
        out: the folder of the stage; those of the measurement lie in `out/.measured`.
    """
    run = {"workers": workers, "executor": executor, "progress": progress}
    measured = measure(samples, out / ".measured", settings, **run)  # type: ignore[arg-type]
    calibrated = [file_mark(path) for path in measured.calibrated]
    shards = [
        Shard(path.parent.name, {"number": number, "file": file_mark(path), "calibrated": calibrated})
        for number, path in enumerate(samples)
    ]
    write = partial(write_relevant, model=measured.model, cutoff=settings.cutoff)
    decides = {"version": RELEVANCE_VERSION, "model": measured.model, "cutoff": settings.cutoff}
    return RelevantSamples(run_stage("relevant", write, shards, out, settings=decides, **run), measured)  # type: ignore[arg-type]


def write_relevant(shard: Shard, output: ShardOutput, *, model: str, cutoff: float | None) -> None:
    """The work of the stage: one file of samples. Those that could not be measured stay, without relevance."""
    file = pq.ParquetFile(shard.payload["file"][0])
    paths = [Path(path) for path, *_ in shard.payload["calibrated"]]
    relevance = relevance_of(paths, shard.payload["number"], file.metadata.num_rows)
    start = 0
    with sample_writer(output.folder / ROWS) as writer:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group).to_pylist()
            kept = []
            for row, value in zip(rows, relevance[start : start + len(rows)].tolist(), strict=True):
                if value == value:  # NaN is not itself
                    row |= {"relevance": value, "relevance_model": model}
                    if cutoff is not None and value < cutoff:
                        where = {name: row[name] for name in ("language", "text", "image_url", "page_url")}
                        output.drop("irrelevant", relevance=round(value, 4), id=row["id"], **where)
                        continue
                else:
                    output.counts["relevance_unmeasured"] += 1
                kept.append(row)
            start += len(rows)
            output.keep(len(kept))
            count_flags(kept, output)
            if kept:
                writer.write_table(pa.Table.from_pylist(kept, schema=SAMPLES), row_group_size=len(kept))
