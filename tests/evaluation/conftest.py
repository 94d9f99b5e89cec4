"""A run folder with stand-in predictions: no model answered, the texts and the scores are made up for the tests."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

METRICS = ("bleu", "chrf", "rouge_l", "meteor", "keyword_micro", "keyword_macro")
SIGNATURE = "mella|v:1|lang:ar|norm:stand-in|tok:stand-in|n:4|bs:1000|seed:12345"
HOSTILE = '<script>document.title = "stolen"</script><img src="https://example.invalid/x.png" onerror="alert(1)">'


def stand_in_score(model: str, split: str, subset: str, n: int, level: float) -> dict[str, Any]:
    """A flat score record as `score_predictions` writes it; every metric at `level`, give or take 2."""
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
    common = {"language": language, "source": source, "prompt": "ما هذا؟", "category": ["stand-in"]}
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


def build_run(folder: Path, *, language: str = "ar", adapter: bool = True, parameters: int = 3_400_000) -> Path:
    """Write a run folder: predictions, thumbnails, scores.json."""
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
        }
    scores = []
    for model in models:
        for source in ("know", "ling"):
            predictions = stand_in_predictions(source, language, model)
            path = folder / "predictions" / model / f"{source}_test.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(p, ensure_ascii=False) + "\n" for p in predictions), "utf-8")
            level = 4.0 if model == "base" else 41.0
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


@pytest.fixture
def make_run() -> Any:
    """`build_run`, for tests that need another run."""
    return build_run


@pytest.fixture
def open_page(new_page: Any) -> Iterator[Callable[..., Any]]:
    """Opens a report; in the end nothing may have been logged and nothing asked for but the page."""
    opened, trouble = list[Any](), list[str]()

    def open_report(path: Path, **settings: Any) -> Any:
        page = new_page(**settings)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: trouble.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        opened.append(page)
        return page

    yield open_report
    for page in opened:
        page.close()
    assert [entry for entry in trouble if not entry.startswith("data:")] == []


@pytest.fixture
def lay_out() -> Callable[[Any], None]:
    """Has every card drawn, also those far below the window, whose size is guessed until they come near."""
    rule = "article { content-visibility: visible !important; }"
    return lambda page: page.add_style_tag(content=rule)


@pytest.fixture
def accessibility() -> Callable[[Any], list[str]]:
    """Runs axe-core on an open page: what it finds, one line a finding."""
    from axe_playwright_python.sync_playwright import Axe

    def check(page: Any) -> list[str]:
        found = Axe().run(page).response["violations"]
        return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]

    return check
