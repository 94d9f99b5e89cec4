"""`mella evaluate`: a base, an adapter and a dataset in; answers, scores and a report out."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    base: Annotated[str, typer.Option(help="Hub id or folder of the base model.")],
    language: Annotated[str, typer.Option(help="Code of the language to ask and score in.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    adapter: Annotated[
        Path | None, typer.Option(help="Folder of the adapter; without one only the base is measured.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Dataset folder; the dataset on the Hub by default.")] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Test split, know_test or ling_test; both by default. Repeatable.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Answers computed together.")] = 16,
    know_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of an answer on know.")] = None,
    ling_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of an answer on ling.")] = None,
    device: Annotated[str | None, typer.Option(help="cuda, cpu, ...; the accelerator by default.")] = None,
) -> None:
    """Answer the test prompts greedily with base and adapter, score both, and write a report.

    Answers are kept in OUT/predictions as they come: run the same command again after an interruption
    and it does only what is missing, with the same result. Scores go to OUT/scores.json, the page to look
    at to OUT/report.html.
    """
    from mella_hf.evaluation.generate import MAX_NEW_TOKENS
    from mella_hf.evaluation.report import write_report
    from mella_hf.evaluation.run import TEST_SPLITS, evaluate_run, load_run

    evaluate_run(
        base=base,
        adapter=adapter,
        data_dir=data_dir,
        language=language,
        out=out,
        splits=split or TEST_SPLITS,
        batch_size=batch_size,
        max_new_tokens={
            "know": know_tokens or MAX_NEW_TOKENS["know"],
            "ling": ling_tokens or MAX_NEW_TOKENS["ling"],
        },
        device=device,
    )
    run = load_run(out)
    for record in run.scores:
        if record["subset"] == "all":
            typer.echo(_line(record))
    typer.echo(f"report: {write_report(run)}")


def _line(record: dict) -> str:
    """One model on one split: the scores with their 95% intervals."""
    shown = ("keyword_micro", "meteor", "rouge_l", "bleu")
    scores = [
        f"{m} {record[m]:.1f} [{record[f'{m}_low']:.1f}, {record[f'{m}_high']:.1f}]"
        for m in shown
        if record[m] is not None
    ]
    return f"{record['model']:8}{record['split']:10} n={record['n']}  " + "  ".join(scores)
