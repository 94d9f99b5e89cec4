"""`mella collect`: build a dataset of images and native alt-texts from web pages."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Cluster, Languages, TestSize, Workers
from mella_hf.errors import MellaError


def collect(
    out: Annotated[Path, typer.Option(help="Where the dataset and the report go; a rerun goes on there.")],
    languages: Languages,
    warc: Annotated[
        list[Path] | None,
        typer.Argument(
            help="WARC files: .warc, .warc.gz, .warc.zst, .wacz; ARC files: .arc, .arc.gz. Common Crawl's or your own."
        ),
    ] = None,
    urls: Annotated[
        Path | None, typer.Option(help="A text file of page URLs, one a line, instead of WARC files.")
    ] = None,
    pages: Annotated[Path | None, typer.Option(help="A folder of saved pages, instead of WARC files.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Address of --pages on the web, to resolve relative links.")
    ] = None,
    common_crawl: Annotated[
        list[str] | None,
        typer.Option(
            help="Crawls of Common Crawl, such as CC-MAIN-2026-43; pages that its index labels with the "
            "LANGUAGES are fetched one by one."
        ),
    ] = None,
    sites: Annotated[
        str, typer.Option(help="With --common-crawl: only these hosts and all below them: 'example.org,blog.example'.")
    ] = "",
    tlds: Annotated[str, typer.Option(help="With --common-crawl: only these top-level domains: 'ke,tz'.")] = "",
    pages_per_site: Annotated[
        int, typer.Option(min=0, help="With --common-crawl: most pages of one host; 0 for all.")
    ] = 0,
    requests_per_second: Annotated[float, typer.Option(help="To Common Crawl's servers.")] = 20.0,
    crawl_base: Annotated[
        str | None,
        typer.Option(envvar="MELLA_COMMON_CRAWL", help="Address of a copy of Common Crawl; its own by default."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="With --common-crawl: only say how many pages, bytes, requests and hours it takes."
        ),
    ] = False,
    contact: Annotated[
        str | None,
        typer.Option(help="Your e-mail address or URL, for site owners; goes into the user agent. Needed to fetch."),
    ] = None,
    texts_only: Annotated[
        bool, typer.Option("--texts-only", help="Stop at the alt-texts and report; fetch no image.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Ask again for what failed and may work now: timeouts, 429, 5xx.")
    ] = False,
    refresh: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Ask again, by ETag, for what was fetched before this day (UTC)."),
    ] = None,
    per_host: Annotated[int, typer.Option(min=1, help="Requests under way to one host.")] = 2,
    delay: Annotated[float, typer.Option(min=0.0, help="Seconds between two requests to one host.")] = 0.5,
    min_side: Annotated[int, typer.Option(min=1, help="Pixels that an image's shorter side must have.")] = 200,
    nsfw_threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Drop images that score above this; needs the extra 'safety'.")
    ] = 0.8,
    relevance: Annotated[
        str | None,
        typer.Option(
            help="Dual encoder, such as google/siglip2-base-patch16-256, to measure how surely texts belong to images."
        ),
    ] = None,
    relevance_cutoff: Annotated[
        float | None,
        typer.Option(help="With --relevance: drop pairs below this; 0.5 is chance. By default all are kept."),
    ] = None,
    test_size: TestSize = 200,
    ignore_reservations: Annotated[
        bool,
        typer.Option(
            "--ignore-reservations",
            help="Also take what opts out of machine learning, and count it. Only with the right to.",
        ),
    ] = False,
    ignore_opt_outs: Annotated[
        str,
        typer.Option(help="Single opt-outs to count only, by name, such as 'noindex,tdm' (docs/opt_outs.md)."),
    ] = "",
    allow_private: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-private",
            help="A host or network of one's own, such as files.lan or 10.1.0.0/16, to fetch from; may be repeated.",
        ),
    ] = None,
    workers: Workers = None,
    cluster: Cluster = None,
) -> None:
    """Collect images and their native alt-texts from web pages: the `know` part of a dataset.

    Reads pages and keeps the alt-texts in the LANGUAGES that describe an image. Fetches these images politely: it
    obeys robots.txt and opt-outs, and limits the requests to each host. Checks and de-duplicates the images, and
    writes the dataset with a report that counts what was dropped and why. If it is stopped, run the same command
    again: it continues.
    """
    from mella_hf.api import collect as run
    from mella_hf.cluster import cluster_executor

    of_crawl: dict[str, Any] = {
        "sites": sites,
        "tlds": tlds,
        "pages_per_site": pages_per_site,
        "requests_per_second": requests_per_second,
        "crawl_base": crawl_base,
    }
    if dry_run:
        _say_costs(common_crawl or [], languages, contact, of_crawl)
        return
    with cluster_executor(cluster) as executor:
        report = run(
            out,
            languages,
            warc=warc or (),
            urls=urls or (),
            pages=pages,
            base_url=base_url,
            common_crawl=common_crawl or (),
            **of_crawl,
            contact=contact,
            texts_only=texts_only,
            retry=retry,
            refresh=refresh,
            per_host=per_host,
            delay=delay,
            min_side=min_side,
            nsfw_threshold=nsfw_threshold,
            relevance=relevance,
            relevance_cutoff=relevance_cutoff,
            test_size=test_size,
            ignore_reservations=ignore_reservations,
            ignore_opt_outs=ignore_opt_outs,
            allow_private=tuple(allow_private or ()),
            workers=workers,
            executor=executor,
        )
    from mella_hf.funnel import funnel_lines
    from mella_hf.know.funnel import funnel_steps

    steps = funnel_steps(report.stages, report.build)
    for line in funnel_lines(steps):
        say(line)
    say(f"Report: {report.page}")
    if report.may_work_later:
        say(f"{report.may_work_later:,} URLs may work later: the same command with --retry asks for them again.")
    finish(
        {
            "out": out,
            "report": report.page,
            "funnel": [step.to_json() for step in steps],
            "may_work_later": report.may_work_later,
            "set_aside": report.set_aside,
        },
        report.page,
    )
    if report.set_aside:
        raise MellaError(
            f"{', '.join(report.set_aside)} killed the worker twice and were set aside; everything else is done. "
            "Run again with --workers 1, or leave those inputs out."
        )
    if report.build is None and not texts_only:
        raise MellaError("No image was kept, so no dataset was written; the lines above and the report say why.")


def _say_costs(crawls: list[str], languages: list[str], contact: str | None, of_crawl: dict[str, Any]) -> None:
    """Print what a collection from Common Crawl would cost. Raises MellaError."""
    if not crawls or contact is None:
        raise MellaError("--dry-run needs --common-crawl CRAWL and --contact: it asks the index of a crawl.")
    from mella_hf.api import crawl_settings
    from mella_hf.know.common_crawl.estimate import estimate
    from mella_hf.languages import ENGLISH, all_codes
    from mella_hf.languages.codes import read_codes

    codes = read_codes(languages, every=[code for code in all_codes() if code != ENGLISH])
    costs = estimate(crawl_settings(crawls, codes, contact, **of_crawl))
    for line in costs.lines():
        say(line)
    finish(costs.to_json())
