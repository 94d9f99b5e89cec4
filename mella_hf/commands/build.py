"""`mella build`: convert a raw release, an image folder or another dataset to the MELLA layout."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Cluster, Languages, TestSize, Workers
from mella_hf.errors import MellaError

if TYPE_CHECKING:
    from mella_hf.dataset.building.build import BuildReport


class SourceKind(StrEnum):
    """What `mella build` reads."""

    release = "release"
    folder = "folder"
    hf = "hf"


class RowKind(StrEnum):
    """What the texts are: native alt-text, or descriptions."""

    know = "know"
    ling = "ling"


def build(
    data: Annotated[str, typer.Argument(help="Folder of the release or of images; for --source hf also a Hub repo.")],
    out: Annotated[Path, typer.Option(help="Where the dataset goes; a rerun takes up what is there.")],
    source: Annotated[SourceKind, typer.Option(help="How DATA is laid out; see the top of mella_hf/sources/*.py.")],
    languages: Languages,
    kind: Annotated[
        RowKind, typer.Option(help="What the texts are, where DATA does not say (folder without know/ and ling/; hf).")
    ] = RowKind.know,
    text_column: Annotated[str, typer.Option(help="Column or key of the text (folder, hf).")] = "text",
    image_column: Annotated[str, typer.Option(help="Column of the image (hf).")] = "image",
    column: Annotated[
        list[str] | None, typer.Option(help="RECORD_COLUMN=DATASET_COLUMN, for others such as page_url (hf).")
    ] = None,
    config: Annotated[str | None, typer.Option(help="Config of the dataset (hf).")] = None,
    split: Annotated[str, typer.Option(help="Split of the dataset (hf).")] = "train",
    test_size: TestSize = 200,
    workers: Workers = None,
    cluster: Cluster = None,
    verify: Annotated[
        bool, typer.Option(help="Read, hash and decode every image, and leave out near-duplicates.")
    ] = True,
) -> None:
    """Turn a raw MELLA release, image folders or another dataset into MELLA's Parquet layout.

    Every row that is left out is in OUT/rejects with its reason. Killed at any moment, the same command
    goes on where it stopped.
    """
    if wrong := [pair for pair in column or [] if "=" not in pair]:
        raise MellaError(f"--column {wrong[0]!r} is not of the form RECORD_COLUMN=DATASET_COLUMN.")
    from mella_hf.api import build_dataset
    from mella_hf.cluster import cluster_executor

    with cluster_executor(cluster) as executor:
        report = build_dataset(
            data,
            out,
            languages,
            source=source.value,
            kind=kind.value,
            text_column=text_column,
            image_column=image_column,
            columns=dict(pair.split("=", 1) for pair in column or []),
            config=config,
            split=split,
            test_size=test_size,
            verify=verify,
            workers=workers,
            executor=executor,
        )
    print_report(report)
    finish({"out": report.out, "funnel": report.funnel, "files": report.shards}, report.out)


def print_report(report: "BuildReport") -> None:
    """What became of the rows, a line a language and source."""
    from mella_hf.funnel import Counts

    for language, sources in report.funnel.items():
        for source, counts in sources.items():
            parts = Counts.of(counts)
            lost = sum(parts.dropped.values())
            say(f"{language} {source}: kept {parts.kept:,}; left out {lost:,} ({parts.reasons()})")
    say(f"{report.shards} files in {report.out}; {report.ran} units of work done, {report.skipped} found done.")
