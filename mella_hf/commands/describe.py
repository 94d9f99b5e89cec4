"""`mella describe`: caption a folder of images in English, translate the captions and build a dataset."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import Languages, TestSize, Translator, TranslatorUrl, need_folder
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
    translator: Translator = "auto",
    translator_url: TranslatorUrl = None,
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
    qe: Annotated[bool, typer.Option(help="Score translations; without it only the guards judge.")] = True,
    force_qe: Annotated[bool, typer.Option(help="Score a language that XLM-R never read.")] = False,
    threshold: Annotated[float, typer.Option(min=0.0, max=1.0, help="Least score that is kept.")] = 0.75,
    qe_batch_tokens: Annotated[
        int, typer.Option(min=512, help="Tokens scored together; lower it when memory runs out.")
    ] = 2048,
    license: Annotated[str | None, typer.Option(help="License of the images, where metadata.jsonl says none.")] = None,
    test_size: TestSize = 200,
    dry_run: Annotated[
        bool, typer.Option(help="Caption what has no caption yet, then only say what translating would take and cost.")
    ] = False,
    price: Annotated[
        float | None, typer.Option(min=0.0, help="US dollars a million characters, instead of the list price.")
    ] = None,
) -> None:
    """Describe images in English, translate the descriptions, keep the good ones, and build a dataset of them.

    Every image that is left out is in OUT/rejects with its reason. Stopped at any moment, or by the end of a quota, the
    same command goes on where it was, and asks for nothing twice. Scores need `make comet` once.
    """
    need_folder("IMAGES", images)
    codes = read_codes(languages)
    from mella_hf.ling.describe import describe_images, estimate_costs, funnel_lines
    from mella_hf.ling.describe_stages import DescribeSettings

    settings = DescribeSettings(
        captioner=captioner,
        base_urls=tuple(endpoint or ()),
        translator=translator,
        translator_url=translator_url,
        captioner_label=captioner_label,
        translator_label=translator_label,
        at_once=concurrency,
        qe_model=qe_model if qe else None,
        qe_batch_tokens=qe_batch_tokens,
        threshold=threshold,
        force_qe=force_qe,
        price=price,
        batch_size=batch_size,
        license=license,
        test_size=test_size,
    )
    if dry_run:
        costs = estimate_costs(images, out, codes, settings)
        for code, cost in costs.items():
            say(f"{code}: {cost.characters:,} characters in {cost.requests:,} requests, {cost.price:,.2f} USD")
        finish({code: vars(cost) for code, cost in costs.items()})
        return
    report = describe_images(images, out, codes, settings)
    for line in funnel_lines(report):
        say(line)
    if report.build is not None:
        say(f"{report.build.shards} files in {report.build.out}; {report.build.out / 'report.html'}")
    funnel = [step.to_json() for step in report.steps]
    finish({"out": out, "report": out / "report.html", "funnel": funnel}, out / "report.html")
