"""A run's answers in, one card per test image out: both answers beside the reference, scored, flagged and ranked."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mella_hf.evaluation.page import embedded_jpeg, text_attributes
from mella_hf.evaluation.run import Run
from mella_hf.languages import Language, get_language

if TYPE_CHECKING:
    from mella_hf.metrics import ItemStatistics

FOLDED_LENGTH = 420  # characters; rather more than the seven lines that a folded answer shows
HEADLINE = {"know_test": "keyword_micro", "ling_test": "meteor"}  # the paper's metric of each source
ITEM_METRICS = ("keyword_micro", "meteor", "rouge_l", "bleu", "chrf")
FLAGS = {  # what makes an answer degenerate, as `mella_hf.metrics.degenerate` finds it
    "empty": "empty",
    "repetition": "repetitive",
    "loop": "looping",
    "wrong_language": "in another language",
    "wrong_script": "in another script",
    "prompt_copy": "repeats the question",
}

Items = dict[tuple[str, str], list[dict[str, Any]]]  # by model and split, in the order of `Run.predictions`


def score_items(run: Run) -> Items:
    """Each answer's scores in [0, 100], keyword hits, flags and language, as `MellaMetric` counts them.

    Raises:
        MissingExtraError: when the language's tokenizer is not installed.
    """
    return {key: statistics.table() for key, statistics in count_run(run).items()}


def count_run(run: Run) -> dict[tuple[str, str], "ItemStatistics"]:
    """The metric's statistics of a run's answers, by model and split; errors are those of `score_items`."""
    from mella_hf.metrics import MellaMetric

    metric = MellaMetric(run.language)
    return {
        key: metric.statistics(
            predictions=[p["prediction"] for p in predictions],
            references=[p["reference"] for p in predictions],
            keywords=[p["keywords"] or [] for p in predictions],
            check_references=False,  # that was checked when the run was scored
        )
        for key, predictions in run.predictions.items()
    }


def cards(run: Run, items: Items, *, thumbnails: bool = True) -> list[dict[str, Any]]:
    """One record per test image and source: the reference beside what the base and the adapter answered.

    `rank` orders the cards of a source by their last answer, from 0.0, the worst, to 1.0, the best.
    """
    language = get_language(run.language)
    found = []
    for split, metric in HEADLINE.items():
        answers = {
            model: {p["id"]: p | {"scores": item} for p, item in zip(run.predictions[key], items[key], strict=True)}
            for model in ("base", "adapter")
            if (key := (model, split)) in run.predictions
        }
        if not answers:
            continue
        ranks = _ranks(list(answers.values())[-1], metric)
        for image_id in answers["base"]:
            card = _card({m: given[image_id] for m, given in answers.items() if image_id in given})
            card["rank"] = ranks.get(image_id)
            if thumbnails:
                card |= _layout(card, language)
                card["image"] = embedded_jpeg(run.folder / "thumbnails" / f"{image_id}.jpg")
            found.append(card)
    return found


def _card(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The answers of each model about one image, joined: `base`, `base_truncated`, `base_scores`, `base_flags` ..."""
    shared = ("id", "source", "entity", "category", "keywords", "seen", "prompt", "reference")
    card = {key: answers["base"][key] for key in shared}
    for model, answer in answers.items():
        scores = answer["scores"]
        flags = [flag for flag in FLAGS if scores[flag]]
        card |= {model: answer["prediction"], f"{model}_truncated": answer["truncated"], f"{model}_flags": flags}
        card[f"{model}_scores"] = {metric: scores[metric] for metric in ITEM_METRICS}
        card[f"{model}_language"] = scores["language"]
    if "adapter" in answers:
        card["changed"] = card["adapter"] != card["base"]
    return card


def _layout(card: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """What the template needs to lay a card out: directions of its texts, whether it folds, what is wrong."""
    texts = [key for key in ("reference", "base", "adapter") if key in card]
    models = texts[1:]
    metric = HEADLINE[f"{card['source']}_test"]
    return {
        "attributes": {key: text_attributes(card[key], language) for key in texts},
        "long": any(len(card[key]) > FOLDED_LENGTH for key in texts),
        "degenerate": bool(card[f"{models[-1]}_flags"]),
        "shown_scores": {m: card[f"{m}_scores"][metric] for m in models},
        "troubles": {m: [_trouble(flag, card[f"{m}_language"]) for flag in card[f"{m}_flags"]] for m in models},
    }


def _trouble(flag: str, answered_in: str) -> str:
    """A flag in words; of another language, which one."""
    return f"{FLAGS[flag]} ({answered_in})" if flag == "wrong_language" else FLAGS[flag]


def _ranks(answers: Mapping[str, Mapping[str, Any]], metric: str) -> dict[str, float]:
    """Place of each answer among its split's, in [0, 1]; chrF++ parts those that are equal by the headline metric."""

    def quality(image_id: str) -> tuple[float, float, str]:
        scores = answers[image_id]["scores"]
        return (scores[metric] or 0.0, scores["chrf"], image_id)

    order = sorted(answers, key=quality)
    return {image_id: round(place / max(len(order) - 1, 1), 4) for place, image_id in enumerate(order)}
