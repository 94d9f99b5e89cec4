"""Blind choices from a real review file to the runs whose answers they are on."""

import json
from pathlib import Path
from typing import Any

import pytest
from judged_run import build_judged_run
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.errors import MellaError
from mella_hf.evaluation.judging.human import (
    keep_choices,
    kept_choices,
    match_choices,
    read_choices,
    reviewer_agreement,
)
from mella_hf.evaluation.judging.preferences import compare_choices, count_choices
from mella_hf.evaluation.reports.gallery import count_run
from mella_hf.evaluation.reports.judgements import judgement_facts, page_answers
from mella_hf.evaluation.reports.report import report_json
from mella_hf.evaluation.reports.systems import find_systems, run_systems
from mella_hf.evaluation.run import load_run
from mella_hf.metrics import MellaMetric
from mella_hf.reviewing.compare import read_pairs, shown_hash, tally
from mella_hf.reviewing.exchange import write_decisions
from mella_hf.reviewing.queue import Queue, read_items
from mella_hf.reviewing.store import Decision, ReviewStore


@pytest.fixture
def judged(tmp_path: Path, make_run: Any, make_rows: Any) -> tuple[Path, Path]:
    """(run folder, dataset folder)."""
    return build_judged_run(tmp_path, make_run, make_rows)


def review(judged: tuple[Path, Path], state: Path, choices: dict[str, str], *, swap: bool = False) -> Path:
    """A review file with each reviewer's choices on the know_test pairs: f(irst), s(econd) or t(ie) for each."""
    files = [judged[0] / f"predictions/{model}/know_test.jsonl" for model in ("base", "adapter")]
    pairs = read_pairs(read_items(judged[1], ("know_test", "ling_test")), *(files[::-1] if swap else files))
    words = {"f": "first", "s": "second", "t": "tie"}
    store = ReviewStore(state)
    for reviewer, letters in choices.items():
        for pair, letter in zip(pairs, letters, strict=True):
            item = pair.item
            store.add([Decision(item.id, item.language, reviewer, words[letter], shown=pair.shown)])
    store.close()
    return state


def test_choices_become_wins_as_the_review_counts_them(judged: tuple[Path, Path], tmp_path: Path) -> None:
    """Five pairs: two say second, both first, split, tie and first, both tie."""
    state = review(judged, tmp_path / "c.sqlite", {"layla": "ssftt", "omar": "sffft"})
    decisions = read_choices(state)
    found, elsewhere = match_choices(decisions, page_answers(run_systems(load_run(judged[0]))))
    assert elsewhere == 0
    assert [(c.split, c.first, c.second) for c in found] == [("know_test", "base", "adapter")]
    assert list(found[0].votes.values()) == ["second", "tie", "first", "first", "tie"]
    files = [judged[0] / f"predictions/{model}/know_test.jsonl" for model in ("base", "adapter")]
    counted = tally(read_pairs(read_items(judged[1], ("know_test",)), *files), decisions)
    assert [counted[key] for key in ("first", "second", "tie")] == [2, 1, 2]


def test_a_comparison_made_the_other_way_round_counts_the_same(judged: tuple[Path, Path], tmp_path: Path) -> None:
    answers = page_answers(run_systems(load_run(judged[0])))
    forth = match_choices(read_choices(review(judged, tmp_path / "a.sqlite", {"x": "ssfft"})), answers)
    back = match_choices(read_choices(review(judged, tmp_path / "b.sqlite", {"x": "ffsst"}, swap=True)), answers)
    assert forth == back


def test_choices_on_other_answers_count_for_nobody_and_are_told(judged: tuple[Path, Path], tmp_path: Path) -> None:
    state = review(judged, tmp_path / "c.sqlite", {"layla": "sssss"})
    path = judged[0] / "predictions/adapter/know_test.jsonl"
    path.write_text(path.read_text("utf-8").replace("Atlantis 3", "Avalon 3"), "utf-8")
    found, elsewhere = match_choices(read_choices(state), page_answers(run_systems(load_run(judged[0]))))
    assert (len(found[0].votes), elsewhere) == (4, 1)


def test_a_run_keeps_its_choices_without_names(judged: tuple[Path, Path], tmp_path: Path) -> None:
    run = load_run(judged[0])
    decisions = read_choices(review(judged, tmp_path / "c.sqlite", {"layla": "sssss", "omar": "sffft"}))
    other = Decision("f" * 64, "ar", "layla", "first", shown="x", at="2026")  # an image of another run
    assert keep_choices(run, [*decisions, other]) == 10
    assert keep_choices(run, decisions) == 10  # again: nothing new
    changed = read_choices(review(judged, tmp_path / "c.sqlite", {"layla": "tssss"}))
    assert keep_choices(run, changed) == 10
    text = (judged[0] / "human.json").read_text("utf-8")
    assert "layla" not in text and len({d.reviewer for d in kept_choices(run)}) == 2
    found, _ = match_choices(kept_choices(run), page_answers(run_systems(run)))
    assert list(found[0].votes.values()) == ["second", "tie", "tie", "tie", "second"]


def test_a_state_with_two_comparisons_keeps_both(judged: tuple[Path, Path], tmp_path: Path) -> None:
    """A reviewer who saw an image with other answers as well has made two choices."""
    state = review(judged, tmp_path / "c.sqlite", {"layla": "sssss"})
    store = ReviewStore(state)
    store.add([Decision(d.sample, "ar", "layla", "first", shown=shown_hash("a", "b")) for d in store.standing()])
    store.close()
    assert len(read_choices(state)) == 10


def test_exports_are_read_too(judged: tuple[Path, Path], tmp_path: Path) -> None:
    state = review(judged, tmp_path / "c.sqlite", {"layla": "sssss"})
    store = ReviewStore(state)
    write_decisions(Queue([]), store.history(), tmp_path / "c.parquet")
    store.close()
    assert read_choices(tmp_path / "c.parquet") == read_choices(state)


def test_files_without_choices_are_told(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match=r"The file of choices .*nothing\.sqlite does not exist"):
        read_choices(tmp_path / "nothing.sqlite")
    store = ReviewStore(tmp_path / "r.sqlite")
    store.add([Decision("a", "ar", "layla", "accept")])
    store.close()
    with pytest.raises(MellaError, match="holds 1 decisions but no choice"):
        read_choices(tmp_path / "r.sqlite")


def test_images_that_languages_share_are_chosen_on_in_the_answers_language(
    judged: tuple[Path, Path], make_rows: Any
) -> None:
    from datasets import Image

    from mella_hf.dataset.write import write_split

    rows = make_rows(6, language="vi").cast_column("image", Image(decode=False))
    write_split(rows, judged[1], "vi", "know_test")
    files = [judged[0] / f"predictions/{model}/know_test.jsonl" for model in ("base", "adapter")]
    pairs = read_pairs(read_items(judged[1], ("know_test",)), *files)
    assert {pair.item.language for pair in pairs} == {"ar"}


def test_reviewers_agreement_by_hand() -> None:
    """Two images: same, and different. D_o 1 of 2 pairs, D_e 4 of 6 (a 3, b 1: 1 - 6/12): alpha 1 - 3 * 2 / 6 = 0."""
    decisions = [
        Decision("1", "ar", "x", "first"), Decision("1", "ar", "y", "first"),
        Decision("2", "ar", "x", "first"), Decision("2", "ar", "y", "second"), Decision("3", "ar", "x", "tie"),
    ]  # fmt: skip
    found = reviewer_agreement(decisions)
    assert (found["samples"], found["alpha"]) == (2, 0.0)


def test_the_report_shows_what_people_chose(judged: tuple[Path, Path], tmp_path: Path, seal: Any) -> None:
    state = review(judged, tmp_path / "c.sqlite", {"layla": "sssst"})
    seal(judged[0])
    done = CliRunner().invoke(app, ["report", str(judged[0]), "--human", str(state), "--rescore"])
    assert done.exit_code == 0, done.output
    assert "5 choices between answers about its images" in done.output
    facts = json.loads((judged[0] / "report.json").read_text("utf-8"))["judgements"]
    assert facts["people"] == {
        "choices": 5, "reviewers": 1, "elsewhere": 0,
        "agreement": {"samples": 0, "alpha": None, "alpha_low": None, "alpha_high": None},
    }  # fmt: skip
    (choice,) = facts["choices"]
    assert [choice[k] for k in ("by", "second_wins", "ties", "first_wins", "p_value")] == ["people", 4, 1, 0, 0.125]
    CliRunner().invoke(app, ["report", str(judged[0])])  # they stay
    assert json.loads((judged[0] / "report.json").read_text("utf-8"))["judgements"] == facts


def test_chosen_answers_are_not_counted_again(
    judged: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer is counted for the gallery; what the choices need of it is the same as if counted for them."""
    run = load_run(judged[0])
    keep_choices(run, read_choices(review(judged, tmp_path / "c.sqlite", {"layla": "stfst"})))
    answers = page_answers(run_systems(run))
    found, _ = match_choices(kept_choices(run), answers)
    anew = compare_choices(found, [count_choices(choices, answers) for choices in found])
    counted = list[int]()
    count = MellaMetric.statistics

    def counting(metric: MellaMetric, **texts: Any) -> Any:
        counted.append(len(texts["predictions"]))
        return count(metric, **texts)

    monkeypatch.setattr(MellaMetric, "statistics", counting)
    assert report_json(run)["judgements"]["choices"] == [{"by": "people", **record} for record in anew]
    assert sum(counted) == sum(map(len, run.predictions.values()))


def test_choices_between_two_runs(judged: tuple[Path, Path], tmp_path: Path, make_run: Any, make_rows: Any) -> None:
    """The adapters of two runs are two systems of a comparison; each run alone knows nothing of the other."""
    other, _ = build_judged_run(tmp_path / "second", make_run, make_rows)
    path = other / "predictions/adapter/know_test.jsonl"
    path.write_text(path.read_text("utf-8").replace("Atlantis", "Avalon"), "utf-8")
    runs = [("one", load_run(judged[0])), ("two", load_run(other))]
    answers = [page_answers(run_systems(run))["ar", "know_test"]["adapter"] for _, run in runs]
    key = next(key for key, p in answers[0].items() if "Atlantis" in p["prediction"])
    shown = shown_hash(*(given[key]["prediction"] for given in answers))
    for _, run in runs:
        assert keep_choices(run, [Decision(key, "ar", "layla", "second", shown=shown, at="2026")]) == 1
    counted = {run.folder: count_run(run) for _, run in runs}
    together = judgement_facts(find_systems(runs), counted)
    assert [(c["first"], c["second"], c["second_wins"], c["n"]) for c in together["choices"]] == [("one", "two", 1, 1)]
    assert together["people"]["choices"] == 1  # kept in both, made once
    alone = judgement_facts(run_systems(runs[0][1]), counted)
    assert (alone["choices"], alone["people"]["elsewhere"]) == ([], 1)
