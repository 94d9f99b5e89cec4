"""The gallery: one card per test image with all systems' answers, scored, flagged and ranked."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.predictions import count_answers
from mella_hf.answers.records import Prediction
from mella_hf.evaluation.reports.questions import unsupported_names
from mella_hf.evaluation.reports.records import CardAnswer, CardRecord, ShownAnswer, ShownCard
from mella_hf.evaluation.reports.systems import MeasuredSystem
from mella_hf.evaluation.run import Run
from mella_hf.evaluation.titles import FLAGS, HEADLINE, metric_titles
from mella_hf.html.page import embedded_jpeg, text_attributes
from mella_hf.languages import get_language

if TYPE_CHECKING:
    from mella_hf.metrics import ItemStatistics

FOLDED_LENGTH = 420  # characters; slightly more than the seven lines that a folded answer shows

Counted = Mapping[Path, Mapping[tuple[str, str], "ItemStatistics"]]  # by run folder, then model and split


def count_run(run: Run) -> Mapping[tuple[str, str], "ItemStatistics"]:
    """Item statistics of a run's answers, by model and split, in the order of `Run.predictions`.

    Raises:
        MissingExtraError: if the language's tokenizer is not installed.
    """
    from mella_hf.metrics import MellaMetric

    if run.counted is not None:
        return run.counted
    metric = MellaMetric(run.language)
    return {key: count_answers(metric, predictions) for key, predictions in run.predictions.items()}


def cards(systems: Sequence[MeasuredSystem], languages: Sequence[str], counted: Counted) -> list[CardRecord]:
    """One record per language, source and test image."""
    found: list[CardRecord] = []
    for language in languages:
        for split in HEADLINE:
            images: dict[str, CardRecord] = {}
            for system in (system for system in systems if system.score(language, split)):
                run, key = system.runs[language]
                answers = _answers(run, key, split, system.metric(language, split), counted)
                for prediction, answer in zip(run.predictions[key, split], answers, strict=True):
                    card = images.setdefault(prediction["id"], _card(prediction))
                    first = next(iter(card["answers"].values()), answer)
                    card["answers"][system.name] = {**answer, "changed": answer["text"] != first["text"]}
            found += images.values()
    return found


def _card(sample: Prediction) -> CardRecord:
    """A card without answers."""
    return {
        "id": sample["id"],
        "language": sample["language"],
        "source": sample["source"],
        "entity": sample["entity"],
        "category": sample["category"],
        "keywords": sample["keywords"],
        "seen": sample["seen"],
        "prompt": sample["prompt"],
        "reference": sample["reference"],
        "answers": {},
    }


def _answers(run: Run, key: str, split: str, metric: str, counted: Counted) -> list[CardAnswer]:
    """A model's answers to a split, in the order of the predictions; none is compared with another system's yet."""
    predictions, items = run.predictions[key, split], counted[run.folder][key, split].table()
    unsupported = unsupported_names(run, key, split)
    ranks = _ranks([p["id"] for p in predictions], items, metric)
    return [
        {
            "text": prediction["prediction"],
            "truncated": prediction["truncated"],
            "scores": {name: item[name] for name in metric_titles()},
            "flags": [flag for flag in FLAGS if item[flag]],
            "language": item["language"],
            "unsupported": unsupported.get(prediction["id"], []),
            "rank": rank,
            "changed": False,
        }
        for prediction, item, rank in zip(predictions, items, ranks, strict=True)
    ]


def _ranks(ids: Sequence[str], items: Sequence[Mapping[str, Any]], metric: str) -> list[float]:
    """Rank of each answer in its split, in [0, 1]; chrF++ decides between equal values of the main metric."""
    order = sorted(range(len(ids)), key=lambda at: (items[at][metric] or 0.0, items[at]["chrf"], ids[at]))
    places = {at: round(place / max(len(ids) - 1, 1), 4) for place, at in enumerate(order)}
    return [places[at] for at in range(len(ids))]


def laid_out(card: CardRecord, systems: Sequence[MeasuredSystem]) -> ShownCard:
    """A card with what the template needs: image, text directions, whether it is folded, what is wrong."""
    language = get_language(card["language"])
    answers = card["answers"].values()
    shown: list[ShownAnswer] = [
        {
            **card["answers"][system.name],
            "system": system,
            "attributes": text_attributes(card["answers"][system.name]["text"], language),
            "score": card["answers"][system.name]["scores"][system.metric(language.code, f"{card['source']}_test")],
            "troubles": _troubles(card["answers"][system.name]),
        }
        for system in systems
        if system.name in card["answers"]
    ]
    by_system = [card["answers"].get(system.name) for system in systems]
    run = next(system.runs[language.code][0] for system in systems if language.code in system.runs)
    return {
        **card,
        "anchor": f"answer-{card['language']}-{card['source']}-{card['id'][:16]}",
        "answers": shown,
        "attributes": text_attributes(card["reference"], language),
        "long": any(len(text) > FOLDED_LENGTH for text in (card["reference"], *(a["text"] for a in answers))),
        "image": embedded_jpeg(run.folder / "thumbnails" / f"{card['id']}.jpg"),
        "filters": {
            "rank": " ".join("-" if answer is None else str(answer["rank"]) for answer in by_system),
            "changed": _places(answer and answer["changed"] for answer in by_system),
            "degenerate": _places(answer and answer["flags"] for answer in by_system),
            "made-up": _places(answer and _made_up(answer) for answer in by_system),
        },
    }


def _places(signs: Iterable[Any]) -> str:
    return " ".join(str(at) for at, sign in enumerate(signs) if sign)


def _made_up(answer: CardAnswer) -> list[str]:
    """The answer's unsupported names; none in another script or language, where any word can look like a name."""
    return [] if {"wrong_script", "wrong_language"} & set(answer["flags"]) else answer["unsupported"]


def _troubles(answer: CardAnswer) -> list[str]:
    """What is wrong with an answer, in words; for another language also which one."""
    named = {**FLAGS, "wrong_language": f"{FLAGS['wrong_language']} ({answer['language']})"}
    troubles = [named[flag] for flag in answer["flags"]]
    made_up = _made_up(answer)
    return troubles + ([f"names that nothing supports: {', '.join(made_up)}"] if made_up else [])
