"""Write one prediction per test image, as JSON lines in the order of the test rows."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mella_hf.answers.answers import Answerer, Question, collect_answers, publish_answers
from mella_hf.answers.records import Answer, AnswersMeta, ModelIdentity, Prediction
from mella_hf.errors import MellaError
from mella_hf.images.opening import on_white
from mella_hf.languages import get_language
from mella_hf.stage import fingerprint

if TYPE_CHECKING:
    from datasets import Dataset
    from PIL.Image import Image

    from mella_hf.metrics import MellaMetric
    from mella_hf.metrics.metric import ItemStatistics

# Answers have about 14 (know) and 258 (ling) tokens (paper, dataset table); the limits are four and two times that.
MAX_NEW_TOKENS = {"know": 64, "ling": 512}
ROW_COLUMNS = ("id", "text", "keywords", "category", "entity", "domain")


def answer_rows(
    answerer: Answerer,
    rows: "Dataset",
    *,
    language: str,
    source: str,
    out: Path | str,
    identity: ModelIdentity,
    prompt: str | None = None,
    seen_entities: Collection[str] | None = None,
    batch_size: int = 16,
    max_new_tokens: int | None = None,
    progress: bool = True,
) -> Path:
    """Answer the test prompt of `source` for every row and write the predictions.

    Under a launcher, every process calls this with the same arguments and answers its share of the batches.

    Args:
        answerer: `mella_hf.answers.generate.LocalModel` or `mella_hf.answers.endpoint.Endpoint`.
        rows: a test split with the columns of `mella_hf.sample`; images decode as PIL.
        language: code of the language of prompts and answers.
        source: "know" or "ling"; selects the prompt.
        out: the predictions file (.jsonl); `<out>.meta.json` beside it records what it was made from.
        identity: the model's identity (`model_identity`); predictions of another identity are not reused.
        prompt: another user turn than the language's test prompt.
        seen_entities: entities in training; sets `seen` of each prediction, which is null without it.
        batch_size: answers per batch.
        max_new_tokens: maximum number of tokens per answer; `MAX_NEW_TOKENS` of the source by default. An answer
            that was cut off there has `truncated: true`.

    Returns:
        The path of the finished predictions file: id, language, source, prompt, prediction, reference,
        keywords, keywords_by, category, entity, domain, seen, truncated.

    Raises:
        MellaError: if there are no rows, an image occurs twice, or one does not decode.
    """
    out = Path(out)
    limit = max_new_tokens or MAX_NEW_TOKENS[source]
    prompt = prompt or get_language(language).test_prompt(source)
    told = [name for name in (*ROW_COLUMNS, "keywords_by") if name in rows.column_names or name in ROW_COLUMNS]
    records = rows.select_columns(told).to_list()
    _check_rows(records, f"{language}/{source}_test")
    settings = {"batch_size": batch_size, "max_new_tokens": limit, "prompt": prompt, "decoding": "greedy"}
    content = [[record["id"], record["text"]] for record in records]  # they decide the batches
    meta = describe_answers(answerer, identity, settings, content)
    answers = collect_answers(
        answerer,
        [Question(record["id"], prompt, len(record["text"])) for record in records],
        lambda i: [open_image(rows, i)],
        out=out,
        mark=meta["fingerprint"],
        limit=limit,
        batch_size=batch_size,
        name=f"{language}/{source}",
        progress=progress,
    )
    seen = frozenset(seen_entities) if seen_entities is not None else None
    predictions = None
    if answers is not None:
        predictions = [_prediction(r, answers[r["id"]], language, source, prompt, seen) for r in records]
    publish_answers(out, predictions, {**meta, "notes": dict(answerer.notes)})
    return out


def count_answers(metric: "MellaMetric", predictions: Sequence[Prediction]) -> "ItemStatistics":
    """Item statistics of predictions, in their order. The references were checked before anything was asked."""
    return metric.statistics(
        predictions=[p["prediction"] for p in predictions],
        references=[p["reference"] for p in predictions],
        keywords=[p["keywords"] for p in predictions],
        keywords_by=[p.get("keywords_by") for p in predictions],
        check_references=False,
    )


def check_before_asking(
    name: str,
    language: str,
    references: Sequence[str],
    keywords: Sequence[Sequence[str] | None] | None = None,
    check_references: bool = True,
) -> None:
    """Check what answers will be scored against, and what scoring needs, before hours of answers are spent.

    Args:
        name: what the references are of, for errors.
        check_references: refuse references in another language too, not only those without a word.

    Raises:
        MellaError: for references that the metric refuses.
        MissingExtraError: if a package that the language's metric needs is not installed.
    """
    from mella_hf.metrics import MellaMetric

    metric = MellaMetric(language)
    _ = metric.signature  # asks every package for its version
    try:
        metric.check_references(references, keywords, languages=check_references)
    except MellaError as error:
        raise MellaError(f"{name}: {error}") from error


def open_image(rows: "Dataset", at: int) -> "Image":
    """The decoded image of a row as RGB. Raises MellaError with the image's id if it does not decode."""
    try:
        return on_white(rows[at]["image"])
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises these for broken files
        broken = rows.select_columns(["id"])[at]["id"]
        raise MellaError(
            f"The image {broken} of the test split does not decode ({error}). Build the dataset again; the build "
            "drops such images and counts them."
        ) from error


def describe_answers(
    answerer: Answerer, identity: ModelIdentity, settings: Mapping[str, Any], content: Sequence[Any]
) -> AnswersMeta:
    """What answers are made from, for their meta file; `fingerprint` covers everything that they depend on."""
    named = {"base_hash": identity["base_hash"], "adapter_hash": identity["adapter_hash"]}  # names may change
    mark = fingerprint(named, settings, dict(answerer.facts), content)
    size = {"parameters": answerer.parameters, "rows": len(content)}
    meta = {**identity, **settings, **answerer.facts, **size, "fingerprint": mark}
    return cast(AnswersMeta, meta)


def _check_rows(records: Sequence[Mapping[str, Any]], split: str) -> None:
    if not records:
        raise MellaError(f"The split {split} is empty; build the dataset with test samples, or choose another split.")
    seen: set[str] = set()
    for record in records:
        if record["id"] in seen:
            raise MellaError(
                f"The split {split} holds the image {record['id']} twice, but predictions are stored by image. "
                "Build the dataset again without duplicates."
            )
        seen.add(record["id"])


def _prediction(
    record: Mapping[str, Any],
    answer: Answer,
    language: str,
    source: str,
    prompt: str,
    seen: frozenset[str] | None,
) -> Prediction:
    entity = record["entity"]
    return {
        "id": record["id"],
        "language": language,
        "source": source,
        "prompt": prompt,
        "prediction": answer["prediction"],
        "reference": record["text"],
        "keywords": record["keywords"],
        "keywords_by": record.get("keywords_by"),
        "category": record["category"],
        "entity": entity,
        "domain": record["domain"],
        "seen": None if entity is None or seen is None else entity in seen,
        "truncated": answer["truncated"],
    }
