"""`mella evaluate`: answer the test splits, score the answers, compare the systems and write reports."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import SEVERAL_LANGUAGES, BatchSize, CheckReferences, DataDir, Revision, need_file
from mella_hf.languages.codes import read_codes


def evaluate(
    base: Annotated[str, typer.Option(help="Hub id or folder of the base model; with --endpoint its name there.")],
    languages: Annotated[list[str], typer.Option("--languages", "--language", help=SEVERAL_LANGUAGES)],
    out: Annotated[Path, typer.Option(help="Folder of the run; of several languages, each has its own in it.")],
    adapter: Annotated[
        str | None,
        typer.Option(help="Folder of the adapter, or of the merged model; without one only the base is measured."),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="What to test the adapter against: another adapter, an earlier OUT, or a file of answers by id that "
            "another program wrote, as `mella score` reads it; NAME=FOLDER gives it a name. Repeatable."
        ),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(help="Address of an OpenAI-compatible server, ending in /v1, that serves base and adapters."),
    ] = None,
    revision: Revision = None,
    data_dir: DataDir = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Test split: know_test or ling_test; by default what is there. Repeatable."),
    ] = None,
    batch_size: BatchSize = 16,
    know_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of an answer on know.")] = None,
    ling_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of an answer on ling.")] = None,
    device: Annotated[str | None, typer.Option(help="cuda, cpu, ...; the accelerator by default.")] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            help="Also answer a benchmark: xm3600, cvqa or marvl in the languages given, marvl:sw,tr in others, or a "
            "YAML file that says which column of a dataset is what. Repeatable."
        ),
    ] = None,
    check_references: CheckReferences = True,
    gate: Annotated[
        Path | None, typer.Option(help="YAML of limits (recipes/gate.yaml); exit status 1 when one is broken.")
    ] = None,
) -> None:
    """Answer the test prompts greedily with base and adapter, score both, test the difference, and write a report.

    Answers are kept in OUT/predictions as they come: run the same command again after an interruption
    and it does only what is missing, with the same result. Scores go to OUT/scores.json, paired tests (corrected
    for their number, Holm) to OUT/comparisons.json, the page to look at to
    OUT/report.html, one about several languages or runs to OUT/comparison.html. You may
    also test languages that the adapter was not trained on: the run marks them as cross-lingual transfer.

    On several GPUs: accelerate launch recipes/evaluate.py, with the same options. For vLLM, serve the base
    with --enable-lora --lora-modules NAME=FOLDER and give --endpoint and --adapter NAME; a key goes into the
    environment variable MELLA_CAPTIONER_KEY.
    """
    need_file("--gate", gate)
    read_codes(languages)
    from mella_hf.evaluation.evaluate import evaluate as run
    from mella_hf.evaluation.gate import check_gate, read_gate

    limits = read_gate(gate) if gate else []  # a gate that cannot be read is told before the hours of answers
    found = run(
        base,
        languages,
        out,
        adapter=adapter,
        against=against or (),
        endpoint=endpoint or (),
        revision=revision,
        data_dir=data_dir,
        splits=split,
        batch_size=batch_size,
        max_new_tokens={k: v for k, v in (("know", know_tokens), ("ling", ling_tokens)) if v},
        device=device,
        benchmarks=benchmark or (),
        check_references=check_references,
        say=say,
    )
    if not found.runs:  # another process of the launcher's has the scores
        return
    broken = check_gate(limits, found.runs)
    scores = {code: run.scores for code, run in found.runs.items()}
    finish({"out": out, "scores": scores, "comparisons": found.comparisons, "gate": broken}, out)
    for line in broken:
        say(f"gate: {line}", err=True)
    if broken:
        raise typer.Exit(1)
    if gate:
        say(f"gate: all {len(limits)} limits of {gate} are kept")
