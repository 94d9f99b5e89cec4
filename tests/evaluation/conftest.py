"""A run folder with stand-in predictions: no model answered, the texts and the scores are made up for the tests."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

METRICS = ("bleu", "chrf", "rouge_l", "meteor", "keyword_micro", "keyword_macro")
SIGNATURE = "mella|v:1|lang:ar|norm:stand-in|tok:stand-in|n:4|bs:1000|seed:12345"
HOSTILE = '<script>document.title = "stolen"</script><img src="https://example.invalid/x.png" onerror="alert(1)">'


def stand_in_score(model: str, split: str, subset: str, n: int, level: float) -> dict[str, Any]:
    """A flat score record as `score_subsets` writes it; every metric at `level`, give or take 2."""
    record: dict[str, Any] = {"model": model, "split": split, "subset": subset, "n": n, "signature": SIGNATURE}
    for metric in METRICS:
        known = split == "know_test" or not metric.startswith("keyword")
        values = {"": level, "_low": max(level - 2, 0), "_high": level + 2, "_floor": level / 2}
        record.update({metric + suffix: value if known else None for suffix, value in values.items()})
    rates = ("empty_rate", "repetition_rate", "wrong_language_rate", "wrong_script_rate", "truncated_rate")
    return {**record, **dict.fromkeys(rates, 1 - level / 100), "length_ratio": 1.25}


def stand_in_predictions(source: str, language: str, model: str) -> list[dict[str, Any]]:
    """Four answers: two of seen entities, one unseen, one hostile of no known entity; the first is unchanged."""
    answers = {"base": "stand-in answer of the base", "adapter": "جواب بديل من المحوّل"}
    common = {
        "language": language,
        "source": source,
        "prompt": "ما هذا؟",
        "category": ["stand-in"],
        "domain": "a.example",
    }
    predictions = []
    for i, seen in enumerate([True, True, False, None]):
        text = "نص لم يتغير" if i == 0 else HOSTILE if i == 3 else f"{answers[model]} {i}"
        predictions.append(
            {
                **common,
                "id": f"{source}{i}".ljust(64, "0"),
                "prediction": "" if (i, model) == (2, "base") else text,
                "reference": f"نص المرجع البديل {source} {i}",
                "keywords": ["المرجع"] if source == "know" else None,
                "entity": None if seen is None else f"{source} entity {i}",
                "seen": seen,
                "truncated": i == 1 and model == "base",
            }
        )
    return predictions


def stand_in_groups(model: str, split: str, level: float) -> list[dict[str, Any]]:
    """Scores by category, one at `level` and one at half of it, and by site."""
    found = []
    for by, name, share in (("category", "stand-in", 1.0), ("category", "none", 0.5), ("domain", "a.example", 1.0)):
        score = stand_in_score(model, split, "all", 4, level * share)
        score.pop("subset")
        found.append({**score, "by": by, "group": name})
    return found


def stand_in_finding(model: str, source: str, ids: list[str]) -> dict[str, Any]:
    """Three names in each of four answers: nothing supports two of the base's, all of the adapter's are supported.

    Of ten names that training never says, the base hits none and the adapter one; of ten that it says often, eight.
    """
    from mella_hf.evaluation.questions.hallucination import EntityPrecision
    from mella_hf.metrics.rates import rate_interval

    wrong = ["دجلة", "الفرات"] if model == "base" else []
    named = EntityPrecision([["بغداد", "دجلة", "الفرات"]] * 4, [wrong] * 4)
    long_tail = []
    for label, hits, names in (("0", 1, 10), ("1", 2, 5), ("2-5", 0, 0), ("6+", 8, 10)):
        hits = 0 if model == "base" else hits
        values: list[float | None] = [None, None, None]
        if names:
            values = [100 * share for share in (hits / names, *rate_interval(hits, names))]
        ends = dict(zip(("accuracy", "low", "high"), values, strict=True))
        counts = [(0, hits, names)] if names else []
        long_tail.append({"bin": label, "keywords": names, "hits": hits, **ends, "counts": counts})
    by_image = {image_id: {"named": ["بغداد", "دجلة", "الفرات"], "unsupported": wrong} for image_id in ids}
    return {
        "model": model, "split": f"{source}_test", "wrong_languages": {"en": 2} if model == "base" else {},
        "repeating": [], "empty": [], "long_tail": long_tail if source == "know" else None,
        "hallucination": {**named.summary(), "names": wrong, "by_image": by_image},
    }  # fmt: skip


def build_run(folder: Path, *, language: str = "ar", adapter: bool = True, parameters: int = 3_400_000,
    trained_on: str | None = None,
) -> Path:  # fmt: skip
    """Write a run folder: predictions, thumbnails, scores.json. The adapter is of this language, or of `trained_on`."""
    from PIL import Image

    (folder / "thumbnails").mkdir(parents=True)
    identity = {
        "base": "stand-in-base", "base_hash": "b" * 64, "base_is_local": True, "adapter": None, "adapter_hash": None,
        "parameters": parameters, "batch_size": 16, "decoding": "greedy", "device": "cpu", "dtype": "torch.float32",
        "max_new_tokens": {"know_test": 64, "ling_test": 512},
    }  # fmt: skip
    models = {"base": identity}
    if adapter:
        models["adapter"] = {
            **identity,
            "parameters": parameters + 50_000,
            "adapter": "stand-in-adapter",
            "adapter_hash": "a" * 64,
            "adapter_kind": "LoRA, rank 4",
            "trained_on": [trained_on or language],
        }
    scores, groups, findings = [], [], []
    for model in models:
        for source in ("know", "ling"):
            predictions = stand_in_predictions(source, language, model)
            path = folder / "predictions" / model / f"{source}_test.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(p, ensure_ascii=False) + "\n" for p in predictions), "utf-8")
            level = 4.0 if model == "base" else 41.0
            groups += stand_in_groups(model, f"{source}_test", level)
            findings.append(stand_in_finding(model, source, [p["id"] for p in predictions]))
            for subset, n in (("all", 4), ("seen", 2), ("unseen", 1)):
                scores.append(stand_in_score(model, f"{source}_test", subset, n, level))
            for i, prediction in enumerate(predictions):
                color = (60 * i, 120, 200 - 40 * i)
                Image.new("RGB", (64, 48), color).save(folder / "thumbnails" / f"{prediction['id']}.jpg", "JPEG")
    record = {
        "language": language,
        "models": models,
        "data": {
            "name": "stand-in-data",
            "local": True,
            "rows": {"know_test": 4, "ling_test": 4},
            "funnel": {"know": {"kept": 90, "dropped_wrong_language": 7, "dropped_empty": 3, "corrected_size": 2}},
        },
        "scores": scores,
        "groups": groups,
        "findings": findings,
        "training": {
            "samples": {"know": 90, "ling": 60},
            "log_history": [{"step": 10 * i, "loss": 4 / i} for i in range(1, 11)]
            + [{"step": 100, "train_runtime": 9}],
        }
        if adapter
        else None,
        "versions": {"python": "3.11", "mella_hf": "0.1.0"},
    }
    (folder / "scores.json").write_text(json.dumps(record, ensure_ascii=False), "utf-8")
    return folder


@pytest.fixture
def stand_in_run(tmp_path: Path) -> Path:
    """A finished run folder in Arabic, with base and adapter."""
    return build_run(tmp_path / "run")


def seal_run(folder: Path) -> Path:
    """Record the hash of each file of answers beside it, as `mella evaluate` does."""
    for path in folder.glob("predictions/*/*.jsonl"):
        mark = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name(f"{path.name}.meta.json").write_text(json.dumps({"sha256": mark}), "utf-8")
    return folder


@pytest.fixture(scope="session")
def seal() -> Any:
    """`seal_run`, for tests that make a page by the command."""
    return seal_run


@pytest.fixture(scope="session")
def make_run() -> Any:
    """`build_run`, for tests that need another run."""
    return build_run


@pytest.fixture
def lay_out() -> Callable[[Any], None]:
    """Has every card drawn, also those far below the window, whose size is guessed until they come near."""
    rule = "article { content-visibility: visible !important; }"
    return lambda page: page.add_style_tag(content=rule)
