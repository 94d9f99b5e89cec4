"""What people and judges said about the answers, for the page and its JSON.

Both are read from the run folders: human.json (`mella report --human`) and judge.json (`mella judge`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from mella_hf.answers.records import Prediction
from mella_hf.evaluation.judging.human import kept_choices, match_choices, reviewer_agreement
from mella_hf.evaluation.judging.pointwise import MEASURES
from mella_hf.evaluation.judging.preferences import Answers, Choices, Pair, agreement, common_votes, compare_choices
from mella_hf.evaluation.judging.records import CorrectedPreference, JudgedAlone, JudgedPair
from mella_hf.evaluation.judging.run import is_stale, read_judged
from mella_hf.evaluation.reports.gallery import Counted
from mella_hf.evaluation.reports.records import (
    AloneFacts,
    ChoiceRecord,
    JudgedSystem,
    JudgeFacts,
    JudgementFacts,
    OrderFacts,
    PeopleRecord,
    UnsupportedAnswer,
)
from mella_hf.evaluation.reports.systems import MeasuredSystem
from mella_hf.evaluation.run import Run
from mella_hf.metrics.metric import ItemStatistics
from mella_hf.metrics.significance import holm

PEOPLE = "people"


def judgement_facts(systems: Sequence[MeasuredSystem], counted: Counted) -> JudgementFacts:
    """What people and judges said about the systems' answers, as flat records."""
    answers = page_answers(systems)
    runs = {run.folder: run for system in systems for run, _ in system.runs.values()}
    decisions = list(dict.fromkeys(decision for run in runs.values() for decision in kept_choices(run)))
    matched, elsewhere = match_choices(decisions, answers)
    people: PeopleRecord = {
        "choices": len(decisions),
        "reviewers": len({decision.reviewer for decision in decisions}),
        "elsewhere": elsewhere,
        "agreement": reviewer_agreement(decisions),
    }
    compared = compare_choices(matched, [_chosen(c, systems, counted) for c in matched])
    choices = [_by(PEOPLE, record) for record in compared]
    judged: dict[tuple[str, ...], JudgedSystem] = {}  # a base that several runs share is shown once
    judges: list[JudgeFacts] = []
    for run in runs.values():
        found = read_judged(run)
        if found is None:
            continue
        about: JudgeFacts = {"judge": found["model"], "language": run.language, "stale": is_stale(found, run)}
        if about["stale"]:
            judges.append(about)
            continue
        names = _names(run, systems)
        alone, pairs = found["pointwise"], [_renamed(pair, names) for pair in found["pairwise"]]
        for score in alone["scores"] if alone else ():
            place = {"judge": found["model"], "language": run.language, "system": names[score["model"]]}
            measured = {key: value for key, value in score.items() if key != "model"}
            judged.setdefault((*place.values(), score["split"]), cast(JudgedSystem, place | measured))
        choices += [_by(found["model"], record) for pair in pairs for record in pair["comparisons"]]
        judges.append(about | _about(run, alone, pairs, matched))
    return {
        "people": people if decisions else None,
        "choices": _one_family(choices),
        "judged": list(judged.values()),
        "judges": judges,
    }


def _by(who: str, record: CorrectedPreference) -> ChoiceRecord:
    return cast(ChoiceRecord, {"by": who, **record})


def page_answers(systems: Sequence[MeasuredSystem]) -> Answers:
    """The systems' predictions by language and split, then system and image."""
    found: dict[tuple[str, str], dict[str, dict[str, Prediction]]] = {}
    for system in systems:
        for language, (run, key) in system.runs.items():
            for (model, split), predictions in run.predictions.items():
                if model == key:
                    found.setdefault((language, split), {})[system.name] = {p["id"]: p for p in predictions}
    return found


def _chosen(choices: Choices, systems: Sequence[MeasuredSystem], counted: Counted) -> Pair:
    """The same as `count_choices`, from the statistics of all answers."""

    def of(name: str) -> ItemStatistics:
        run, key = next(system for system in systems if system.name == name).runs[choices.language]
        at = {p["id"]: place for place, p in enumerate(run.predictions[key, choices.split])}
        return counted[run.folder][key, choices.split].subset([at[image] for image in choices.votes])

    return of(choices.first), of(choices.second)


def _names(run: Run, systems: Sequence[MeasuredSystem]) -> dict[str, str]:
    """The names of a run's models on the page. A base that several runs share belongs to the first of them."""
    weights = run.models["base"]["base_hash"]
    base = next(s.name for s in systems if s.is_base and s.model["base_hash"] == weights)
    own = {key: s.name for s in systems for place, key in s.runs.values() if place.folder == run.folder}
    return {"base": base} | own


def _one_family(choices: Sequence[ChoiceRecord]) -> list[ChoiceRecord]:
    """Add `p_holm`, corrected over all comparisons by people, or by one judge, on the page."""
    families: dict[str, list[ChoiceRecord]] = {}
    for record in choices:
        families.setdefault(record["by"], []).append(record)
    return [
        {**record, "p_holm": p}
        for family in families.values()
        for record, p in zip(family, holm([record["p_value"] for record in family]), strict=True)
    ]


def _renamed(pair: JudgedPair, names: Mapping[str, str]) -> JudgedPair:
    """A pairwise record of a run with the system names of the page."""

    def rename(record: Mapping[str, Any]) -> dict[str, Any]:
        return {**record, **{place: names.get(record[place], record[place]) for place in ("first", "second")}}

    return cast(
        JudgedPair,
        {
            **rename(pair),
            "comparisons": [rename(record) for record in pair["comparisons"]],
            "votes": [rename(record) for record in pair["votes"]],
        },
    )


def _about(run: Run, alone: JudgedAlone | None, pairs: Sequence[JudgedPair], people: Sequence[Choices]) -> JudgeFacts:
    """How reliable a judge is, and what it cost."""
    votes = [Choices(**record) for pair in pairs for record in pair["votes"]]
    parts = [*([alone] if alone else []), *pairs]
    costs = [part["cost"] for part in parts]
    dollars = [cost["usd"] for cost in costs if cost["usd"] is not None]
    return {
        "prompts": {part["prompt"]["sha256"]: part["prompt"] for part in parts},
        "alone": _alone(alone) if alone else None,
        "examples": _examples(run, alone),
        "orders": [_order(pair) for pair in pairs],
        "people": agreement(common_votes(votes, people)),
        "cost": {
            "requests": sum(cost["requests"] for cost in costs),
            "prompt_tokens": sum(cost["prompt_tokens"] for cost in costs),
            "completion_tokens": sum(cost["completion_tokens"] for cost in costs),
            "uncounted": sum(cost["uncounted"] for cost in costs),
            "usd": None if len(dollars) < len(costs) else sum(dollars),
        },
    }


def _alone(judged: JudgedAlone) -> AloneFacts:
    return {
        "itself": judged["itself"],
        "entities": judged["entities"],
        "differences": judged["differences"],
        "sample": judged["sample"],
    }


def _order(judged: JudgedPair) -> OrderFacts:
    return {
        "first": judged["first"],
        "second": judged["second"],
        "order": judged["order"],
        "itself": judged["itself"],
        "equal": judged["equal"],
        "problems": judged["problems"],
        "sample": judged["sample"],
    }


def _examples(run: Run, alone: JudgedAlone | None) -> list[UnsupportedAnswer]:
    """Examples of what the judge found unsupported, with the entity that the image shows."""
    entities = {p["id"]: p["entity"] for predictions in run.predictions.values() for p in predictions}
    return [{**example, "entity": entities[example["id"]]} for example in (alone["examples"] if alone else ())]


def judgement_view(facts: JudgementFacts) -> dict[str, Any]:
    """The facts for the template: choices with the shares of a bar, and which metrics agree."""
    return {
        **facts,
        "choices": [{**record, "bar": _bar(record)} for record in facts["choices"]],
        "measures": MEASURES,
        "trusted": [judge for judge in facts["judges"] if not judge["stale"]],
        "stale": sorted({judge["judge"] for judge in facts["judges"] if judge["stale"]}),
    }


def _bar(record: ChoiceRecord) -> list[tuple[str, float]]:
    """Pairs (outcome, percent of the images) from the second system's point of view."""
    shares: Iterable[tuple[str, int]] = (
        ("wins", record["second_wins"]),
        ("ties", record["ties"]),
        ("losses", record["first_wins"]),
    )
    return [(name, round(100 * count / record["n"], 2)) for name, count in shares]
