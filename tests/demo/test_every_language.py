"""Every language that CLDR names pictures in goes from its names to a report, without training."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from babel import Locale
from cldr_folder import LETTERS, make_source
from datasets import disable_progress_bars

from mella_hf.answers.answers import Answer, Keep, Turn
from mella_hf.answers.systems import System
from mella_hf.demo import rows
from mella_hf.demo.pictures import find_source
from mella_hf.demo.run import write_language
from mella_hf.evaluation.reports.report import write_report
from mella_hf.evaluation.run import evaluate_runs, load_run
from mella_hf.images.opening import open_image
from mella_hf.languages.sources import table
from mella_hf.stage import Shard, ShardOutput

CODES = sorted(table("pictured"))
IMAGES = (2, 1)  # of seen and of unseen things
TESTS = ("know_test", "ling_test")


def native_names(code: str) -> list[str]:
    """Words that the language surely has: its names of countries."""
    names = [str(name) for name in Locale.parse(code.replace("-", "_")).territories.values()]
    names += [f"{names[0]} {number}" for number in range(len(LETTERS))]  # few languages have few
    return list(dict.fromkeys(names))[: len(LETTERS)]


class Parrot:
    """Knows the right answer to each picture."""

    facts = {"torch": "none", "transformers": "none", "device": "none", "dtype": "none", "decoding": "none"}
    parameters, batched, notes = None, False, dict[str, str]()

    def __init__(self, answers: Mapping[bytes, str]):
        self.answers = answers

    def answer(self, turns: Iterable[Turn], max_new_tokens: int, at_once: int, keep: Keep) -> None:
        for number, (pictures, _) in enumerate(turns):
            keep(number, Answer(prediction=self.answers[pictures[0].tobytes()], truncated=False))


class Stand(System):
    """A system without a model."""

    answers: Mapping[bytes, str] = {}

    def identity(self) -> dict[str, Any]:
        return {"base": "parrot", "base_hash": "0", "adapter": None, "adapter_hash": None}

    def answerer(self, device: str | None) -> Any:
        return Parrot(self.answers)


def test_every_language_is_built_loaded_scored_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disable_progress_bars()
    for name, value in {"VIEWS": 1, "SCENES": 3, "BASE_SCENES": 3, "TEST_CAPS": IMAGES}.items():
        monkeypatch.setattr(rows, name, value)
    # Finding names in answers has tests of its own; its dictionaries would take most of the time.
    monkeypatch.setattr("mella_hf.metrics.entities.extract_keywords", lambda *_: [])
    source = find_source(make_source(tmp_path / "source", {code: native_names(code) for code in CODES if code != "en"}))
    assert len(CODES) > 100
    data = tmp_path / "mella"
    for code in CODES:
        write_language(Shard(code, {"common": source.common, "font": source.font}), ShardOutput(data))
        tested = [row for name in TESTS for row in pq.read_table(*(data / code).glob(f"{name}-*")).to_pylist()]
        assert len(tested) == 2 * sum(IMAGES)
        Stand.answers = {open_image(row["image"]["bytes"]).tobytes(): row["text"] for row in tested}
        folder = tmp_path / "runs" / code
        evaluate_runs([Stand("base", "parrot")], {code: folder}, data_dir=data, progress=False, check_references=False)
        run = load_run(folder)
        for split in TESTS:
            score, unseen = run.score("base", split), run.score("base", split, "unseen")
            assert score is not None and score["n"] == sum(IMAGES) and score["rouge_l"] > 99, (code, split, score)
            assert unseen is not None and unseen["n"] >= IMAGES[1]
        know = run.score("base", "know_test")
        assert know is not None and know["keyword_micro"] == 100.0, code
        assert write_report(run).stat().st_size > 10_000
