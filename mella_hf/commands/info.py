"""`mella info`: what a dataset, an adapter or a run is, at a glance."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.errors import MellaError


def info(
    what: Annotated[
        str,
        typer.Argument(
            metavar="DATASET|ADAPTER|RUN",
            help="Folder of a dataset, of an adapter or its training, or that mella evaluate wrote.",
        ),  # fmt: skip
    ],
) -> None:
    """Say what a folder holds: a dataset, an adapter, or an evaluation.

    Reads no image and loads no model.
    """
    folder = Path(what)
    if not folder.is_dir():
        raise MellaError(f"{what!r} is not a folder; give the folder of a dataset, an adapter or an evaluation.")
    if _holds(folder, "adapter_config.json", "training.json"):
        _adapter(folder)
    elif _holds(folder, "scores.json", "*/scores.json"):
        _runs(folder)
    elif _holds(folder, "*/*-of-*.parquet"):
        _dataset(folder)
    else:
        raise MellaError(
            f"{what!r} holds no dataset (LANGUAGE/SPLIT-*.parquet), no adapter (adapter_config.json) and no evaluation "
            "(scores.json); give the folder of one."
        )


def _holds(folder: Path, *patterns: str) -> bool:
    return any(path for pattern in patterns for path in folder.glob(pattern))


def _adapter(folder: Path) -> None:
    from mella_hf.hub.info import adapter_info

    found = adapter_info(folder)
    say(found)
    finish({"kind": "adapter", **found.to_json()})


def _runs(folder: Path) -> None:
    from mella_hf.evaluation.run import load_run

    places = [folder] if (folder / "scores.json").is_file() else sorted(p.parent for p in folder.glob("*/scores.json"))
    runs = [load_run(place) for place in places]
    for run in runs:
        say(run)
        rows = ", ".join(f"{split} {count:,}" for split, count in run.data["rows"].items())
        say(f"data: {run.data['name']} ({rows})")
        say(f"page: {run.folder / 'report.html'}")
    finish({"kind": "run", "runs": [{"folder": run.folder, "language": run.language, "models": run.models,
                                     "data": run.data, "scores": run.scores} for run in runs]})  # fmt: skip


def _dataset(folder: Path) -> None:
    from mella_hf.dataset.facts import dataset_facts
    from mella_hf.html.notebook import text_table

    found = dataset_facts(folder)
    rows = [
        [f"{facts.language} {facts.split}", f"{facts.rows:,}", f"{facts.files_bytes / 1e6:,.1f}",
         f"{facts.median_characters:,}", f"{len(facts.domains):,}",
         ", ".join(name for name, _ in facts.licenses.most_common(3))]
        for facts in found
    ]  # fmt: skip
    say(text_table(["", "rows", "MB", "characters (median)", "domains", "licenses"], rows))
    splits = [
        {"language": facts.language, "split": facts.split, "rows": facts.rows, "bytes": facts.files_bytes,
         "median_characters": facts.median_characters, "domains": len(facts.domains), "licenses": facts.licenses}
        for facts in found
    ]  # fmt: skip
    finish({"kind": "dataset", "folder": folder, "splits": splits})
