"""The real COMET library and worker over a random checkpoint; guards and windows against cases judged by hand."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from build_comet import COMET_PYTHON
from comet_pairs import CS, EN, PAIRS, RU

from mella_hf.errors import MellaError, StageError
from mella_hf.languages import get_language
from mella_hf.languages.sources import table
from mella_hf.ling.comet import CometWorker, open_scorer
from mella_hf.ling.comet_worker import Pair, plan_batches
from mella_hf.ling.quality import check_language, cut_windows, guard, judge, score_pairs


class Words:
    """A stand-in scorer: a token is a word, the score is the share of words that the translation has."""

    max_tokens = 20
    version = "stand-in"

    def __init__(self) -> None:
        self.scored: list[Pair] = []

    def count(self, pairs: Sequence[Pair]) -> list[int]:
        return [len(source.split()) + len(translation.split()) for source, translation in pairs]

    def score(self, pairs: Sequence[Pair]) -> list[float]:
        self.scored += pairs
        return [min(1.0, len(translation.split()) / len(source.split())) for source, translation in pairs]

    def close(self) -> None:
        pass


def test_the_worker_s_scores_are_predict_s(comet_worker: CometWorker, tiny_comet: Path) -> None:
    predicted = json.loads((tiny_comet / "predicted.json").read_text())[: len(PAIRS)]  # by COMET's own model.predict
    assert comet_worker.score(PAIRS) == pytest.approx(predicted, abs=1e-5)
    assert min(predicted) < 0.7 and max(predicted) > 0.8  # a constant would agree with itself
    assert len({round(score, 6) for score in comet_worker.score(PAIRS)}) == len(PAIRS)
    assert comet_worker.max_tokens == 512 and comet_worker.score([]) == []


IN_PROCESS = """
import json, sys
from mella_hf.ling.comet import open_scorer
scorer = open_scorer(sys.argv[1], batch_tokens=600)
pairs = [tuple(pair) for pair in json.load(sys.stdin)]
found = {"kind": type(scorer).__name__, "max_tokens": scorer.max_tokens, "version": scorer.version}
print(json.dumps({**found, "counts": scorer.count(pairs), "scores": scorer.score(pairs)}))
try:
    open_scorer(sys.argv[2])
except Exception as error:
    print(type(error).__name__, error)
"""


def test_where_comet_can_be_imported_it_scores_in_process(
    comet_worker: CometWorker, tiny_comet: Path, tmp_path: Path
) -> None:
    """This package itself in COMET's environment: no worker, the same scores."""
    command = [str(COMET_PYTHON), "-c", IN_PROCESS, str(tiny_comet), str(tmp_path)]
    place = {**os.environ, "PYTHONPATH": str(COMET_PYTHON.parents[2])}
    done = subprocess.run(command, input=json.dumps(PAIRS), capture_output=True, text=True, env=place)
    assert done.returncode == 0, done.stderr
    answer, refusal = done.stdout.splitlines()
    found = json.loads(answer)
    assert found["kind"] == "CometModel"
    assert (found["max_tokens"], found["version"]) == (comet_worker.max_tokens, comet_worker.version)
    assert found["counts"] == comet_worker.count(PAIRS)
    assert found["scores"] == pytest.approx(comet_worker.score(PAIRS), abs=1e-6)
    assert refusal.startswith("MellaError Cannot load") and "has no checkpoints/model.ckpt" in refusal


def test_a_killed_worker_is_started_again(comet_worker: CometWorker) -> None:
    before, restarts = comet_worker.score(PAIRS), comet_worker.restarts
    assert comet_worker._process is not None
    comet_worker._process.kill()
    comet_worker._process.wait()
    assert comet_worker.score(PAIRS) == before
    assert comet_worker.restarts == restarts + 1


def test_long_captions_are_scored_whole_and_never_cut(comet_worker: CometWorker) -> None:
    source, translation = " ".join([EN] * 40), " ".join([CS] * 40)
    assert comet_worker.count([(source, translation)])[0] > 1024
    with pytest.raises(StageError, match="the encoder sees 512"):
        comet_worker.score([(source, translation)])
    [windows] = cut_windows([(source, translation)], comet_worker)
    assert len(windows) >= 3 and max(comet_worker.count(windows)) <= 512
    assert " ".join(w[0] for w in windows) == source and " ".join(w[1] for w in windows) == translation
    assert all(w[0].endswith(".") and w[1].endswith(".") for w in windows)
    [(score, count)] = score_pairs([(source, translation)], comet_worker)
    assert count == len(windows) and score == pytest.approx(sum(comet_worker.score(windows)) / count, abs=1e-6)


def test_windows_keep_sentences_side_by_side() -> None:
    names = ["Ann", "Bob", "Cid", "Dan", "Eve", "Fay"]
    source = " ".join(f"{name} carries five heavy wooden boxes up the hill." for name in names)
    translation = " ".join(f"{name} nese pět těžkých dřevěných beden nahoru do kopce." for name in names)
    scorer = Words()
    [windows] = cut_windows([(source, translation)], scorer)
    assert [(a.split()[0], b.split()[0]) for a, b in windows] == [(name, name) for name in names]
    assert cut_windows([("a. " * 60, "")], Words()) == [[]]


def test_what_cannot_be_cut_is_told() -> None:
    class Characters(Words):
        max_tokens = 50

        def count(self, pairs: Sequence[Pair]) -> list[int]:
            return [len(source) + len(translation) for source, translation in pairs]

    [verdict] = judge([(EN, CS)], "cs", Characters())
    assert verdict.problem == "too_long" and verdict.score is None


def test_batches_are_full_and_of_like_length() -> None:
    lengths = [10, 500, 12, 11, 480, 100, 90]
    batches = plan_batches(lengths, 1000)
    assert batches == [[1, 4], [5, 6, 2, 3, 0]]
    assert sorted(i for batch in batches for i in batch) == list(range(7))
    assert plan_batches([900], 512) == [[0]] and plan_batches([], 512) == []


@pytest.mark.parametrize(
    ("source", "translation", "language", "problem"),
    [
        (EN, CS, "cs", None),
        (EN, "", "cs", "translation_empty"),
        (EN, EN, "cs", "untranslated"),
        (EN, EN.replace("large red", "červený"), "cs", "untranslated"),
        ("It was built in 1,250 and has 37 rooms.", "Postaven roku 1250, má 37 pokojů.", "cs", None),
        ("It was built in 1250 and has 37 rooms.", "بُني عام ١٢٥٠ وفيه ٣٧ غرفة جميلة.", "ar", None),
        ("It was built in 1250 and has 37 rooms.", "Postaven roku 1250, má mnoho krásných pokojů.", "cs",
         "numbers_missing"),
        ("It has 3 rooms and one large kitchen.", "Má tři pokoje a jednu velkou kuchyň.", "cs", None),
        ("It is 2.5 metres high, with a red roof.", "Je vysoký 2,5 metru, s červenou střechou.", "cs", None),
        ("Click <b>here</b> or visit https://example.org now, please.", "Klikněte zde nebo navštivte stránku teď.",
         "cs", "tags_missing"),
        (EN, "Dům.", "cs", "length_ratio"),
        (EN, CS * 5, "cs", "length_ratio"),
        (EN, RU,
         "cs", "wrong_script"),
        (EN, RU,
         "sr", "wrong_language"),
        (EN, "Velika crvena kuća sa tri prozora stoji levo, ispred bledoplavog neba. Ona baca dugu senku na travu.",
         "sr", "wrong_script"),
        (EN, "Велика црвена кућа са три прозора стоји лево, испред бледоплавог неба. Она баца дугу сенку на траву.",
         "sr", None),
        (EN, "červený dům stojí tady a červený dům stojí tady a červený dům stojí tady a červený dům stojí tady",
         "cs", "translation_repeats"),
    ],
)  # fmt: skip
def test_guards(source: str, translation: str, language: str, problem: str | None) -> None:
    assert guard(source, translation, get_language(language)) == problem


def test_the_threshold_is_the_least_score_kept() -> None:
    class Fixed(Words):
        def score(self, pairs: Sequence[Pair]) -> list[float]:
            return [0.75, 0.7499]

    pair = ("A red house stands here.", "Stojí tu červený dům.")
    verdicts = judge([pair, (EN, EN), pair], "cs", type("F", (Fixed,), {"max_tokens": 99})())
    assert [v.problem for v in verdicts] == [None, "untranslated", "low_quality"]
    assert [v.score for v in verdicts] == [0.75, None, 0.7499]
    assert [v.problem for v in judge([pair, (EN, EN)], "cs", None)] == [None, "untranslated"]


def test_languages_that_xlm_r_never_read_are_refused(invented_language: str) -> None:
    assert {"ar", "cs", "hu", "ko", "ru", "sr", "th", "vi"} <= table("xlmr").keys() and "yo" not in table("xlmr")
    check_language("cs")
    with pytest.raises(MellaError, match="mella review.*--force-qe"):
        check_language(invented_language)
    check_language(invented_language, force=True)


def test_a_model_that_does_not_load_is_named(tmp_path: Path, tiny_comet: Path) -> None:
    with pytest.raises(MellaError, match="no-such-python.*make comet"):
        open_scorer(str(tiny_comet), python=tmp_path / "no-such-python")
    with pytest.raises(MellaError, match=r"has no checkpoints/model\.ckpt"):
        open_scorer(str(tmp_path), python=COMET_PYTHON)
