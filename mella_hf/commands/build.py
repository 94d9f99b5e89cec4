"""`mella build`: convert a raw release, an image folder or another dataset to the MELLA layout."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Cluster, Languages, TestSize, Workers
from mella_hf.errors import MellaError
from mella_hf.funnel import Counts
from mella_hf.metrics.names.finders import RULES

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
    data: Annotated[
        str,
        typer.Argument(help="Folder of the release or of images, or its address, s3://…; for hf also a Hub repo."),
    ],
    out: Annotated[Path, typer.Option(help="Where the dataset goes; a rerun takes up what is there.")],
    source: Annotated[
        SourceKind,
        typer.Option(help="The raw MELLA release, image folders, or a dataset that `load_dataset` reads (hf)."),
    ],
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
    replace: Annotated[
        bool, typer.Option("--replace", help="Take away what other sources gave to these languages in OUT.")
    ] = False,
    rescan: Annotated[
        bool, typer.Option("--rescan", help="Read everything again, also files with the same size and time of change.")
    ] = False,
    ner: Annotated[
        str,
        typer.Option(
            help="What finds the names in alt-texts without keywords: a token-classification model of transformers "
            "(folder or Hub id), or our rules (rules). The column keywords_by says it."
        ),
    ] = RULES,
) -> None:
    """Turn a raw MELLA release, image folders or another dataset into MELLA's Parquet layout.

    What OUT holds of other sources stays, and images that it has already are left out. The same source again replaces
    what it gave before. Every row that is left out is in OUT/rejects with its reason. Killed at any moment, the same
    command goes on where it stopped. Exits 1 when no row of DATA is kept.
    """
    wrong = [pair for pair in column or [] if "=" not in pair]
    if wrong:
        raise MellaError(f'--column {wrong[0]!r} has no "="; write RECORD_COLUMN=DATASET_COLUMN, as in text=caption.')
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
            replace=replace,
            rescan=rescan,
            ner=ner,
            workers=workers,
            executor=executor,
        )
    print_report(report)
    result = {"funnel": report.funnel, "given": report.given, "left_out": report.left_out, "replaced": report.replaced}
    finish({"out": report.out, **result, "files": report.shards}, report.out)
    if not report.kept:
        raise typer.Exit(1)


def print_report(report: "BuildReport") -> None:
    """Print what became of the rows: a line for each language and source, and a table of reasons with examples."""
    from mella_hf.dataset.card.card import edited_notice

    for language, kinds in report.given.items():
        for kind, counts in kinds.items():
            parts = Counts.of(counts)
            say(f"{language} {kind}: kept {parts.kept:,}; left out {sum(parts.dropped.values()):,}")
            for line in reason_table(parts.dropped, report.left_out.get(language, {}).get(kind, {})):
                say(f"  {line}")
            for note, count in parts.notes.items():
                say(f"  {note.replace('_', ' ')}: {count:,} of the rows read")
    for title, count in report.replaced.items():
        say(f"replaced: {title}, {count:,} rows")
    for line in _others(report):
        say(line)
    if report.edited_card:
        say(edited_notice(report.edited_card), err=True)
    say(f"{report.shards} files in {report.out}; {report.ran} units of work done, {report.skipped} found done.")
    if not report.kept:
        say(f"No row of DATA was kept; the reasons are above, and each row is in {report.out}/rejects.", err=True)


def reason_table(dropped: Mapping[str, int], examples: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Lines of a table: rows, the reason, and where an example is, with what is wrong with it."""
    if not dropped:
        return []
    wide, long = max(len(f"{count:,}") for count in dropped.values()), max(map(len, dropped))
    lines = []
    for reason, count in dropped.items():
        example = examples.get(reason, {})
        detail = str(example.get("detail", "")).removeprefix(reason).removeprefix(": ")
        shown = ": ".join(part for part in (shorten(example.get("where", "")), shorten(detail)) if part)
        lines.append(f"{count:>{wide},}  {reason:<{long}}  {shown}".rstrip())
    return lines


def shorten(text: str, width: int = 60) -> str:
    """A text on one line, its middle left out where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width // 2]}…{line[1 - width // 2 :]}"


def _others(report: "BuildReport") -> list[str]:
    """What other sources gave to the same languages."""
    lines = []
    for language, kinds in report.funnel.items():
        for kind, counts in kinds.items():
            other = counts["kept"] - report.given[language].get(kind, {}).get("kept", 0)
            if other:
                lines.append(f"{language} {kind}: {other:,} rows of other sources stay")
    return lines
