"""`mella judge`: let a served vision-language model judge the answers of a finished run."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import need_folder
from mella_hf.errors import MellaError


def judge(
    run: Annotated[Path, typer.Argument(help="Folder that mella evaluate wrote, of one language or of several.")],
    endpoint: Annotated[
        list[str],
        typer.Option(
            "--endpoint",
            "--base-url",
            help="OpenAI-compatible server such as http://host:8000/v1; repeat it for several. "
            "Key, if any: MELLA_JUDGE_KEY in the environment.",
        ),
    ],
    model: Annotated[str, typer.Option(help="The judge: the name that the servers serve it under.")],
    against: Annotated[
        str | None,
        typer.Option(
            help="Compare the adapter's answers with those of base, of another system of RUN, or of another run, "
            "FOLDER or NAME=FOLDER; without it each answer is judged alone."
        ),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Dataset folder of the run; its images are sent.")] = None,
    languages: Annotated[
        list[str] | None, typer.Option(help="Codes of RUN's languages to judge, such as 'ar,th'; all by default.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Images of each split to judge; more later ask only for the rest.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=0, help="Answers asked about twice, to measure the judge.")] = 50,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests under way at a server.")] = 8,
    price_in: Annotated[float | None, typer.Option(min=0.0, help="US dollars a million prompt tokens.")] = None,
    price_out: Annotated[float | None, typer.Option(min=0.0, help="US dollars a million reply tokens.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count questions and estimate tokens.")] = False,
) -> None:
    """Let a vision-language model judge answers: what is made up in them, how adequate, how fluent; or which is better.

    Each question shows the judge the image, the question, the reference and the answer, without the system's name.
    With --against it sees two answers in both orders, and a system wins an image only when it is preferred in both.

    Replies are kept in RUN/judge as they come: run the same command again after an interruption and it asks only for
    what is missing. RUN/judge.json has rates with intervals, the judge's agreement with itself, with our entity
    precision and with the metrics, and what it cost; mella report RUN shows them, and docs/judging.md how to read them.
    """
    need_folder("RUN", run)
    need_folder("--data-dir", data_dir)
    from mella_hf.answers.chat.servers import ChatServers
    from mella_hf.answers.request_cache import RequestCache
    from mella_hf.answers.systems import named
    from mella_hf.evaluation.judging.images import JudgedImages, estimate
    from mella_hf.evaluation.judging.judge import KEY_VARIABLE, Judge
    from mella_hf.evaluation.judging.pointwise import Pointwise
    from mella_hf.evaluation.judging.run import REPLIES_FILE, Prices, judge_run, pairwise_plan, superseded
    from mella_hf.evaluation.paired import holds_runs, load_runs, name_runs
    from mella_hf.languages.codes import ALL, read_codes
    from mella_hf.locks import sole_writer

    if (price_in is None) != (price_out is None):
        raise MellaError("Only one price was given; give both --price-in and --price-out, or neither.")
    prices = Prices(price_in, price_out) if price_in is not None and price_out is not None else None
    codes = read_codes(languages or ALL)
    servers = ChatServers(model, endpoint, at_once=concurrency, called="judge server", key_variable=KEY_VARIABLE)
    runs = load_runs(run, codes)
    other = against is not None and holds_runs(named(against)[1], list(runs))
    name, theirs = next(iter(name_runs([against], list(runs)).items())) if against and other else (against, {})
    judged: dict[str, Any] = {}
    expectations: dict[str, Any] = {}
    for code, ours in runs.items():
        plan: Any = Pointwise(ours, sample, repeat)
        if theirs and code not in theirs:
            say(f"{code}: {against} has no run in this language; left out")
            continue
        if name is not None:
            plan = pairwise_plan(ours, name, theirs.get(code), sample)
        images = JudgedImages(ours, data_dir)
        replies = ours.folder / REPLIES_FILE
        held = nullcontext() if dry_run else sole_writer(ours.folder, "mella judge")
        with held, RequestCache(":memory:" if dry_run and not replies.is_file() else replies) as cache:
            judging = Judge(servers, cache)
            expected = estimate(plan.questions, judging, images)
            expectations[code] = vars(expected)
            say(f"{code}: {_expected(expected, prices)}")
            old = superseded(ours, model)
            if old:
                say(f"{code}: {old}; the verdicts of {model} take the place of those there")
            if dry_run:
                continue
            record = judged[code] = judge_run(ours, plan, judging, images, prices=prices)
        for line in _lines(record):
            say(f"{code}: {line}")
        say(f"{code}: {_cost(record['cost'])}")
        say(f"{code}: {ours.folder / 'judge.json'}; mella report {ours.folder} shows it")
    finish(expectations if dry_run else judged, run)


def _expected(estimate: Any, prices: Any) -> str:
    """What is left to ask."""
    line = f"{estimate.questions:,} questions, {estimate.answered:,} answered before; the others take about "
    line += f"{estimate.prompt_tokens:,} prompt and {estimate.completion_tokens:,} reply tokens"
    dollars = prices.of(estimate.prompt_tokens, estimate.completion_tokens) if prices else None
    return line if dollars is None else f"{line}, {dollars:,.2f} USD"


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    """What came of it, a line a system or pair."""
    for score in record.get("scores", ()):
        judged = f"{score['model']:8} {score['split']:10} {score['judged']} of {score['n']} judged"
        yield f"{judged}{_problems(score['problems'])}" + (
            f"  made up {_rate(score, 'hallucinated')}  adequacy {_mean(score, 'adequacy')}"
            f"  fluency {_mean(score, 'fluency')}"
            if score["judged"]
            else ""
        )
    for c in record.get("comparisons", ()):
        yield (
            f"{c['split']:10} {c['second']} against {c['first']}: {c['second_wins']} wins, {c['ties']} ties, "
            f"{c['first_wins']} losses, p = {c['p_value']:.2g}"
        )
    if "order" in record:
        order = record["order"]
        places = f"first place {order['first_place']}, second {order['second_place']}, half tied {order['half_tied']}"
        yield f"the two orders of an image: same choice {order['same']}, {places}"
        yield f"{record['equal']} equal answers not asked about{_problems(record['problems'])}"


def _problems(counts: Mapping[str, int]) -> str:
    return "".join(f", {reason} {count}" for reason, count in sorted(counts.items()))


def _rate(score: Mapping[str, Any], name: str) -> str:
    return f"{score[name]:.0%} [{score[f'{name}_low']:.0%}, {score[f'{name}_high']:.0%}]"


def _mean(score: Mapping[str, Any], name: str) -> str:
    return f"{score[name]:.1f} [{score[f'{name}_low']:.1f}, {score[f'{name}_high']:.1f}]"


def _cost(cost: Mapping[str, Any]) -> str:
    """Tokens in all, replies from earlier runs among them."""
    line = (
        f"{cost['requests']:,} replies, {cost['prompt_tokens']:,} prompt and {cost['completion_tokens']:,} reply tokens"
    )
    line += f" ({cost['uncounted']:,} replies uncounted)" if cost["uncounted"] else ""
    return line if cost["usd"] is None else f"{line}, {cost['usd']:,.4f} USD"
