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
            help="Folder of a dataset, of an adapter or its training, or that mella evaluate wrote; or a dataset on "
            "the Hub, as ORGANISATION/NAME.",
        ),  # fmt: skip
    ],
    summary: Annotated[
        bool,
        typer.Option(
            "--summary",
            help="Of a dataset: a draft of the public summary of training content that the AI Act of the European "
            "Union asks of model makers (Article 53(1)(d)), in Markdown.",
        ),
    ] = False,
) -> None:
    """Say what a folder holds: a dataset, an adapter, or an evaluation.

    Loads no model.
    """
    folder = Path(what)
    if not folder.is_dir():
        if what.count("/") != 1 or what[0] in "./~":
            raise MellaError(f"{what!r} is not a folder; give the folder of a dataset, an adapter or an evaluation.")
        return _dataset(what, summary)
    if summary and not _holds(folder, "*/*-of-*.parquet"):
        raise MellaError(f"--summary describes a dataset, and {what!r} holds none; give the folder of a dataset.")
    if _holds(folder, "adapter_config.json", "training.json"):
        _adapter(folder)
    elif _holds(folder, "scores.json", "*/scores.json"):
        _runs(folder)
    elif _holds(folder, "*/*-of-*.parquet"):
        _dataset(what, summary)
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


def _dataset(where: str, summary: bool) -> None:
    from mella_hf.dataset.info import dataset_info
    from mella_hf.dataset.summary import training_summary

    found = dataset_info(where)
    if summary:
        text = training_summary(found)
        say(text)
        finish({"kind": "summary", "text": text})
        return
    say(found)
    finish({"kind": "dataset", "folder": where, **found.to_json()})
