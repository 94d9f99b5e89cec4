"""`mella build`: convert a raw release, an image folder or another dataset to the MELLA layout."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Cluster, Languages, TestSize, Workers
from mella_hf.errors import MellaError
from mella_hf.languages.codes import read_codes

if TYPE_CHECKING:
    from mella_hf.dataset.building.build import BuildReport
    from mella_hf.dataset.building.candidate import Source


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
    if source is not SourceKind.hf and not Path(data).is_dir():
        raise MellaError(f"DATA {data!r} is not a folder; --source {source.value} reads one.")
    codes = read_codes(languages)
    from mella_hf.cluster import cluster_executor
    from mella_hf.dataset.building.build import build_dataset

    found = _source(source, data, codes, kind.value, text_column, image_column, column or [], config, split)
    with cluster_executor(cluster) as executor:
        report = build_dataset(
            found, out, workers=workers, executor=executor, test_size=test_size, verify=verify, origin=""
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


def _source(
    source: SourceKind,
    data: str,
    codes: tuple[str, ...],
    kind: str,
    text_column: str,
    image_column: str,
    columns: list[str],
    config: str | None,
    split: str,
) -> "Source":
    from mella_hf.sources.folder import FolderSource
    from mella_hf.sources.hf import HfSource
    from mella_hf.sources.release import ReleaseSource

    if source is SourceKind.hf:
        if len(codes) != 1:
            raise MellaError(f"--source hf reads one language at a time; --languages names {len(codes)}: {codes}.")
        if wrong := [pair for pair in columns if "=" not in pair]:
            raise MellaError(f"--column {wrong[0]!r} is not of the form RECORD_COLUMN=DATASET_COLUMN.")
        mapping = dict(pair.split("=", 1) for pair in columns)
        place = str(Path(data).resolve()) if Path(data).is_dir() else data  # a cluster's workers start elsewhere
        return HfSource(place, codes[0], kind, config, split, image_column, text_column, mapping)
    root = Path(data)
    root = root.resolve()
    return ReleaseSource(root, codes) if source is SourceKind.release else FolderSource(root, codes, kind, text_column)
