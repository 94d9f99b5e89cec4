"""`mella describe`: caption a folder of images in English, translate the captions and build a dataset."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import SEVERAL_TRANSLATORS, TRANSLATOR_HELP, Languages, TestSize, need_folder
from mella_hf.languages.codes import read_codes


def describe(
    images: Annotated[Path, typer.Argument(help="Folder of images; metadata.jsonl in it may give page_url, license …")],
    out: Annotated[Path, typer.Option(help="Where the dataset goes; a rerun goes on there.")],
    languages: Languages,
    captioner: Annotated[
        str,
        typer.Option(
            help="Hub id or folder of a vision-language model, or a captioner that an installed package registers; "
            "with --endpoint, the model's name there."
        ),
    ],
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            "--base-url",
            help="OpenAI-compatible server such as http://host:8000/v1; repeat it for several. "
            "Key, if any: MELLA_CAPTIONER_KEY in the environment.",
        ),
    ] = None,
    with_context: Annotated[
        bool,
        typer.Option(
            "--with-context",
            help="Give the captioner what the page says of each image, and keep the names: alt_text, page_title and "
            "heading of metadata.jsonl, or IMAGES is a collected dataset.",
        ),
    ] = False,
    translator: Annotated[list[str] | None, typer.Option(help=TRANSLATOR_HELP + SEVERAL_TRANSLATORS)] = None,
    translator_url: Annotated[
        list[str] | None,
        typer.Option(help="Address of a service or server, or TRANSLATOR=ADDRESS with several; may be repeated."),
    ] = None,
    captioner_label: Annotated[
        str | None, typer.Option(help="Name of a served captioner in the provenance columns.")
    ] = None,
    translator_label: Annotated[str | None, typer.Option(help="Name of the service in the provenance columns.")] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", "--at-once", min=1, help="Requests under way at a server or service.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images described together by a local captioner.")] = 16,
    qe_model: Annotated[
        str, typer.Option(help="COMET quality-estimation checkpoint: Hub id or folder.")
    ] = "Unbabel/wmt22-cometkiwi-da",
    qe: Annotated[bool, typer.Option(help="Score translations; without it only the rule-based checks run.")] = True,
    force_qe: Annotated[bool, typer.Option(help="Score a language that XLM-R was not trained on.")] = False,
    threshold: Annotated[float, typer.Option(min=0.0, max=1.0, help="Least score that is kept.")] = 0.75,
    qe_batch_tokens: Annotated[
        int, typer.Option(min=512, help="Tokens scored together; lower it when memory runs out.")
    ] = 2048,
    license: Annotated[str | None, typer.Option(help="License of the images, where metadata.jsonl says none.")] = None,
    test_size: TestSize = 200,
    dry_run: Annotated[bool, typer.Option(help="Only estimate the requests and their cost; send none.")] = False,
    price: Annotated[
        float | None, typer.Option(min=0.0, help="US dollars a million characters, instead of the list price.")
    ] = None,
    caption_price: Annotated[float, typer.Option(min=0.0, help="US dollars a thousand captions.")] = 0.0,
) -> None:
    """Describe images in English, translate the descriptions, keep the good ones, and build a dataset of them.

    Every image that is left out is in OUT/rejects with its reason. If it is stopped, or a quota ends, run the same
    command again: it continues, and sends no request twice. Quality scores need `make comet` once.
    """
    need_folder("IMAGES", images)
    codes = read_codes(languages)
    from mella_hf.ling.costs import estimate_costs
    from mella_hf.ling.describe import check_settings, describe_images, funnel_lines, images_folder
    from mella_hf.ling.describe_settings import DescribeSettings

    settings = DescribeSettings(
        captioner=captioner,
        base_urls=tuple(endpoint or ()),
        translator=tuple(translator or ("auto",)),
        translator_url=tuple(translator_url or ()),
        captioner_label=captioner_label,
        translator_label=translator_label,
        at_once=concurrency,
        qe_model=qe_model if qe else None,
        qe_batch_tokens=qe_batch_tokens,
        threshold=threshold,
        force_qe=force_qe,
        price=price,
        caption_price=caption_price,
        batch_size=batch_size,
        license=license,
        test_size=test_size,
        with_context=with_context,
    )
    if dry_run:
        check_settings(codes, settings)
        costs = estimate_costs(images_folder(images, out, codes, settings), out, codes, settings)
        for line in costs.lines():
            say(line)
        finish(costs.to_json())
        return
    report = describe_images(images, out, codes, settings)
    for line in funnel_lines(report):
        say(line)
    if report.build is not None:
        say(f"{report.build.shards} files in {report.build.out}; {report.build.out / 'report.html'}")
    funnel = [step.to_json() for step in report.steps]
    made = {"out": out, "report": out / "report.html", "funnel": funnel}
    if report.results:
        made["tournament"] = out / "tournament.jsonl"
    finish(made, out / "report.html")
