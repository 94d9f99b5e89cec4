"""The task definitions of lmms-eval: whole, and their scores are those of `mella evaluate`.

The last test runs lmms-eval itself, in the environment that `make lmms-eval` makes; `$MELLA_LMMS` may name the
Python of another one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from caption_server import CaptionServer

from mella_hf.answers.answers import read_predictions
from mella_hf.answers.endpoint import Endpoint, endpoint_identity
from mella_hf.answers.predictions import MAX_NEW_TOKENS, answer_rows, count_answers
from mella_hf.dataset.builder import LANGUAGES
from mella_hf.dataset.write import write_split
from mella_hf.evaluation.lmms_eval import task, version
from mella_hf.evaluation.lmms_eval.definitions import COMMON, write_tasks
from mella_hf.evaluation.scores_file import score_subsets
from mella_hf.languages import get_language
from mella_hf.metrics import MellaMetric

VERSION = "0.7.3"
PYTHON = os.environ.get("MELLA_LMMS") or str(Path(__file__).parents[2] / ".venv-lmms" / "bin" / "python")
TEXTS = {
    "know": ["قطة صغيرة على السرير", "بيت قديم في القاهرة", "سمكة كبيرة في البحر", "شجرة نخيل في الصحراء"],
    "ling": [
        "قطة صغيرة بيضاء تنام على السرير في غرفة هادئة",
        "بيت قديم كبير يقف في شارع ضيق في القاهرة",
        "سمكة كبيرة زرقاء تسبح وحدها في البحر العميق",
        "شجرة نخيل عالية تقف تحت شمس الصحراء الحارقة",
    ],
}


class Loader(yaml.SafeLoader):
    """Reads `!function module.name` as what it names."""


def _function(loader: yaml.SafeLoader, node: Any) -> Any:
    module, name = loader.construct_scalar(node).rsplit(".", 1)
    return getattr(import_module(module), name)


Loader.add_constructor("!function", _function)


def definition(name: str, folder: Path = COMMON) -> dict[str, Any]:
    """A definition with all that it includes; what includes goes before what is included."""
    own = yaml.load((folder / name).read_text("utf-8"), Loader)
    return {**(definition(own.pop("include"), folder) if "include" in own else {}), **own}


def test_there_is_a_task_for_every_language_and_source(tmp_path: Path) -> None:
    folder = write_tasks(folder=tmp_path)
    tasks = {path.stem: definition(path.name, folder) for path in folder.glob("*.yaml")}
    assert set(tasks) == {f"mella_{language}_{source}" for language in LANGUAGES for source in TEXTS}
    for name, entry in tasks.items():
        language, source = name.split("_")[1:]
        assert entry["task"] == name and entry["dataset_name"] == language and entry["test_split"] == f"{source}_test"
        assert entry["tag"] == ["mella", f"mella_{source}", f"mella_{language}"]
        assert entry["dataset_kwargs"] == {"data_dir": None, "split": {f"{source}_test": f"{source}_test"}}
        asked = entry["generation_kwargs"]
        assert asked["max_new_tokens"] == MAX_NEW_TOKENS[source]
        assert (asked["until"], asked["do_sample"], asked["temperature"], asked["num_beams"]) == ([], False, 0, 1)
        assert entry["metadata"]["version"].startswith(f"mella|v:7|lang:{language}|")
        metrics = {metric["metric"]: metric for metric in entry["metric_list"]}
        assert tuple(metrics) == task.SCORES
        assert {n: m["aggregation"].__name__ for n, m in metrics.items()} == {n: n for n in metrics}
        assert [n for n, m in metrics.items() if m["higher_is_better"] is False] == [
            "wrong_language_rate",
            "repetition_rate",
        ]


def test_a_users_own_language_has_tasks(tmp_path: Path) -> None:
    """In a process of its own, as lmms-eval is run: the folder of languages comes by the environment."""
    own = tmp_path / "own"
    own.mkdir()
    prompts = '[prompts]\nknow = ["Hau cer da?"]\nling = ["Deskribatu argazki hau."]'
    (own / "eu.toml").write_text(prompts, "utf-8")
    command = [
        sys.executable,
        "-m",
        "mella_hf.evaluation.lmms_eval",
        "--languages",
        "eu",
        "--out",
        str(tmp_path / "tasks"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MELLA_LANGUAGES": str(own)})
    assert done.returncode == 0, done.stderr
    entry = definition("mella_eu_ling.yaml", Path(done.stdout.strip()))
    assert (entry["dataset_name"], entry["test_split"]) == ("eu", "ling_test")
    assert entry["metadata"]["version"].startswith("mella|v:7|lang:eu|")


def test_versions_are_of_languages() -> None:
    with pytest.raises(AttributeError, match="has no language 'xx'"):
        version.xx  # noqa: B018


def test_prompts_are_those_of_evaluation() -> None:
    assert task.doc_to_text({"language": "ar", "source": "know"}) == "ما هذا؟"
    for language in LANGUAGES:
        for source in TEXTS:
            prompt = get_language(language).test_prompt(source)
            assert task.doc_to_text({"language": language, "source": source}) == prompt


def test_images_are_rgb(make_rows: Any) -> None:
    row = make_rows(1)[0]
    row["image"] = row["image"].convert("RGBA")
    (image,) = task.doc_to_visual(row)
    assert (image.mode, image.size) == ("RGB", (row["width"], row["height"]))


def aggregated(docs: list[dict[str, Any]], answers: list[str]) -> dict[str, Any]:
    """What lmms-eval does: the results of each row, then an aggregation a score."""
    results = [task.process_results(doc, [answer]) for doc, answer in zip(docs, answers, strict=True)]
    metrics = {metric["metric"]: metric["aggregation"] for metric in definition("_mella_yaml")["metric_list"]}
    return {name: aggregate([result[name] for result in results]) for name, aggregate in metrics.items()}


def test_scores_by_hand() -> None:
    docs = [
        {"language": "cs", "source": "know", "text": "Karlův most v Praze", "keywords": ["Karlův most"]},
        {"language": "cs", "source": "know", "text": "Krtek", "keywords": ["Krtek"]},
        {"language": "cs", "source": "know", "text": "Dětská hračka leží na stole", "keywords": None},
    ]
    russian = "На этой картинке нарисована маленькая кошка, которая спит на кровати"
    scores = aggregated(docs, ["Karlův most v Praze", "", russian])
    assert scores["keyword_micro"] == 50.0  # one of two
    assert scores["rouge_l"] == pytest.approx(100 / 3, abs=1e-4)  # 1, 0 and 0
    assert scores["wrong_language_rate"] == pytest.approx(1 / 3, abs=1e-4)
    assert scores["repetition_rate"] == 0.0


def test_without_keywords_keyword_accuracy_is_no_number() -> None:
    docs = [{"language": "cs", "source": "ling", "text": "Dětská hračka leží na stole", "keywords": None}]
    scores = aggregated(docs, ["Dětská hračka leží na stole"])
    assert scores["keyword_micro"] is None and scores["rouge_l"] == 100.0


@pytest.fixture(scope="module")
def arabic(tmp_path_factory: pytest.TempPathFactory, make_rows: Any) -> dict[str, Any]:
    """Four rows of each source, and a folder of them as test splits; its training data cannot be read."""
    from datasets import Image

    folder = tmp_path_factory.mktemp("lmms")
    rows = {s: make_rows(4, texts=TEXTS[s], source=s, start=start) for s, start in (("know", 0), ("ling", 20))}
    for source, some in rows.items():
        write_split(some.cast_column("image", Image(decode=False)).to_list(), folder, "ar", f"{source}_test")
        (folder / "ar" / f"{source}-00000-of-00001.parquet").write_bytes(b"lmms-eval has no business here")
    return {"folder": folder, "rows": rows}


def describe(image: Any, prompt: str) -> str:
    """A stand-in for a model: partly right, with an empty line, one answer in Russian."""
    texts = TEXTS["know" if prompt == get_language("ar").test_prompt("know") else "ling"]
    at = (image.width - 96) // 16
    return "На этой картинке нарисована маленькая кошка" if at == 3 else f"{texts[at]}\n\n{texts[0]}"


def evaluated(server: CaptionServer, rows: Mapping[str, Any], out: Path) -> dict[str, dict[str, Any]]:
    """The scores of `mella evaluate`, by source."""
    scores = {}
    for source, some in rows.items():
        path = answer_rows(
            Endpoint("stand-in", [server.url]), some, language="ar", source=source, out=out / f"{source}.jsonl",
            identity=endpoint_identity("stand-in"), progress=False,
        )  # fmt: skip
        predictions, metric = read_predictions(path), MellaMetric("ar")
        scores[source] = score_subsets(predictions, count_answers(metric, predictions), metric)[0]
    return scores


def test_scores_are_those_of_evaluation(arabic: dict[str, Any], tmp_path: Path) -> None:
    with CaptionServer(describe) as server:
        expected = evaluated(server, arabic["rows"], tmp_path)
    for source, rows in arabic["rows"].items():
        docs = rows.to_list()
        answers = [describe(row["image"], task.doc_to_text(row)) for row in rows]
        found = aggregated(docs, answers)
        assert found == {name: expected[source][name] for name in task.SCORES}
        assert 0 < found["meteor"] < 100 and found["wrong_language_rate"] == 0.25


def test_lmms_eval_itself_gets_the_scores_of_evaluation(arabic: dict[str, Any], tmp_path: Path) -> None:
    if not Path(PYTHON).exists():
        pytest.skip(f"no environment with lmms-eval {VERSION} at {PYTHON}; make it with `make lmms-eval`")
    folder = subprocess.run(
        [PYTHON, "-m", "mella_hf.evaluation.lmms_eval"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = {**os.environ, "MELLA_DATA_DIR": str(arabic["folder"]), "HF_HOME": str(tmp_path / "hf")}
    environment |= {"OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    with CaptionServer(describe) as server:
        expected = evaluated(server, arabic["rows"], tmp_path)
        server.requests.clear()
        command = [
            PYTHON, "-m", "lmms_eval", "--include_path", folder, "--tasks", "mella_ar", "--model", "openai",
            "--model_args", f"model=stand-in,base_url={server.url},num_concurrent=2",
            "--batch_size", "1", "--log_samples", "--output_path", str(tmp_path / "out"),
        ]  # fmt: skip
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        limits = {body["messages"][0]["content"][1]["text"]: body["max_tokens"] for body, _ in server.requests}
    assert limits == {get_language("ar").test_prompt(source): limit for source, limit in MAX_NEW_TOKENS.items()}
    (results,) = (tmp_path / "out").rglob("*_results.json")
    found = json.loads(results.read_text("utf-8"))
    assert set(found["results"]) == {"mella_ar_know", "mella_ar_ling"}
    for source, scores in expected.items():
        got = found["results"][f"mella_ar_{source}"]
        assert {name: got[f"{name},none"] for name in task.SCORES} == {name: scores[name] for name in task.SCORES}
        assert scores["signature"].startswith(found["versions"][f"mella_ar_{source}"])
