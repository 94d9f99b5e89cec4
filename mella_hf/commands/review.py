"""`mella review`: serve a page where native speakers judge translations or compare two systems blindly."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import need_file
from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.files import check_place

if TYPE_CHECKING:
    from mella_hf.reviewing.queue import Queue
    from mella_hf.reviewing.session import Review


def review(
    queue: Annotated[Path, typer.Argument(help="Dataset folder, as mella describe writes it, or a Parquet file.")],
    reviewer: Annotated[
        list[str] | None, typer.Option(help="Name of a reviewer to give a link to; repeat it. Again: a new link.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="SQLite file of the decisions; QUEUE.review.sqlite by default.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others can reach 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
    double: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the samples that two reviewers judge.")
    ] = 0.1,
    answers: Annotated[
        list[Path] | None,
        typer.Option(help="Two predictions files to choose between blindly, on QUEUE's test images; give it twice."),
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Only print progress and agreement, as JSON.")] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Only write: a folder (the reviewed dataset), .parquet or .jsonl (the decisions)."),
    ] = None,
    with_open: Annotated[bool, typer.Option(help="Export samples without a decision too.")] = False,
    import_: Annotated[
        Path | None,
        typer.Option("--import", help="Only add decisions from a .parquet or .jsonl file that --export wrote."),
    ] = None,
    guidelines: Annotated[
        Path | None, typer.Option(help="Markdown file with the project's rules, shown beside each sample.")
    ] = None,
    calibrate: Annotated[
        float | None,
        typer.Option(
            help="Only print, by language, the score from which on this share of translations is good, such as 0.9; "
            "from samples that two reviewers judged."
        ),
    ] = None,
    keep_edited: Annotated[bool, typer.Option(help="With --calibrate: edited translations count as good too.")] = False,
) -> None:
    """Let native speakers accept, edit or reject translations, worst first, in the browser.

    Every reviewer has a link of their own. Decisions are on disk before the page goes on; stop and start the
    server at any time. With --answers, reviewers see two systems' answers without their names and choose one.
    """
    if not queue.exists():
        raise MellaError(f"QUEUE {str(queue)!r} does not exist; give a dataset folder or a Parquet file.")
    need_file("--answers", *answers or ())
    need_file("--import", import_)
    if export is not None:
        check_place("--export", export, folder=export.suffix not in (".parquet", ".jsonl"))
    from mella_hf.reviewing.compare import tally
    from mella_hf.reviewing.exchange import imported, read_decisions, write_decisions, write_reviewed
    from mella_hf.reviewing.guidelines import render_guidelines
    from mella_hf.reviewing.opening import open_queue
    from mella_hf.reviewing.session import Review
    from mella_hf.reviewing.status import status as status_of

    if answers and len(answers) != 2:
        raise MellaError(f"--answers was given {len(answers)} times; give the two files to choose between.")
    reads = status or export is not None or calibrate is not None
    opened = open_queue(queue, state, double, answers or (), read_only=reads)
    waiting, store, pairs, set_aside = opened.queue, opened.store, opened.pairs, opened.set_aside
    for line in set_aside:
        typer.echo(f"set aside: {line}", err=True)
    if import_ is not None:
        decisions = [imported(decision, waiting) for decision in read_decisions(import_)]
        new = store.add(decisions)
        say(f"{new:,} of {len(decisions):,} decisions are new")
        finish({"new": new, "decisions": len(decisions)}, store.path)
    elif export is not None and export.suffix in (".parquet", ".jsonl"):
        written = write_decisions(waiting, store.history(), export)
        say(f"{written:,} written to {export}")
        finish({"decisions": written, "export": export}, export)
    elif export is not None:
        counts = write_reviewed(waiting, queue, export, with_open=with_open)
        say(", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())))
        finish({**counts, "export": export}, export)
    elif calibrate is not None:
        _calibrate(waiting, calibrate, keep_edited)
    elif status:
        result = {**status_of(waiting), **({"choices": tally(pairs, store.standing())} if pairs else {})}
        result["set_aside"] = set_aside
        say(json.dumps(result, ensure_ascii=False, indent=1))
        finish(result)
    else:
        rules = render_guidelines(guidelines) if guidelines else ""
        _serve(Review(waiting, store, pairs, rules), host, port, reviewer or ())
    store.close()


def _calibrate(queue: "Queue", precision: float, keep_edited: bool) -> None:
    """Print the threshold of each language."""
    from mella_hf.reviewing.calibration import calibrate

    found = calibrate(queue, precision, keep_edited=keep_edited)
    for one in found:
        say(str(one))
    known = [f"{one.language}={one.threshold:.3f}" for one in found if one.threshold is not None]
    if known:
        say(f"Thresholds for a precision of {precision:g}: {' '.join(known)}")
    finish({"precision": precision, "languages": [one.to_json() for one in found]})


def _serve(review: "Review", host: str, port: int, newcomers: Sequence[str]) -> None:
    """Print a link for each newcomer and answer their browsers until somebody stops it."""
    from mella_hf.reviewing.opening import only_server

    try:
        from mella_hf.reviewing.app import build_app
        from mella_hf.reviewing.serving import link, listen, serve, warning
    except ModuleNotFoundError as error:
        if error.name not in ("uvicorn", "starlette", "h11"):
            raise
        raise MissingExtraError(error.name, "review", "The review page") from error
    with only_server(review.store):
        listening = listen(host, port)
        links = {name: link(host, port, review.store.add_reviewer(name)) for name in newcomers}
        lines = [f"{name}: {address}" for name, address in links.items()]
        if not review.store.reviewers():
            raise MellaError("Nobody can open this review yet; name someone with --reviewer NAME.")
        caution = warning(host)
        if caution is not None:
            typer.echo(f"warning: {caution}", err=True)
        for line in lines:
            typer.echo(line)  # a key to the page, which no log file needs to hold
        finish({"links": links}, "\n".join(lines))
        say(f"{len(review.queue.items):,} samples; {review.store.path} holds the decisions. Stop with Ctrl+C.")
        serve(build_app(review), listening)
