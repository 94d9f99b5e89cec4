"""Run folders that travel: scores again from the answers, hashes that are checked, signatures that must be equal."""

import hashlib
import json
import shutil

import pytest
from playwright.sync_api import expect
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.errors import MellaError
from mella_hf.evaluation.recompute import recompute
from mella_hf.evaluation.run import load_run


@pytest.fixture
def scored_run(stand_in_run, seal):
    """A stand-in run whose scores are those of its answers."""
    seal(stand_in_run)
    recompute(load_run(stand_in_run), rescore=True)
    return stand_in_run


def edit(folder, change):
    record = json.loads((folder / "scores.json").read_text("utf-8"))
    change(record)
    (folder / "scores.json").write_text(json.dumps(record, ensure_ascii=False), "utf-8")


def test_a_run_that_was_copied_elsewhere_has_the_same_page(scored_run, tmp_path):
    copied = tmp_path / "elsewhere"
    shutil.copytree(scored_run, copied)
    pages = []
    for folder in (scored_run, copied):
        result = CliRunner().invoke(app, ["report", str(folder), "--json"], catch_exceptions=False)
        assert json.loads(result.stdout)["notes"] == {
            str(folder): "All scores were computed again from the run's 16 answers, whose hashes are those on record; "
            "they are as recorded."
        }
        pages.append((folder / "report.html").read_bytes())
    assert pages[0] == pages[1]


def test_scores_that_somebody_wrote_into_the_file_are_not_believed(scored_run, open_page):
    """The adapter's METEOR on ling is what its answers give, whatever scores.json says."""
    true = load_run(scored_run).score("adapter", "ling_test")["meteor"]

    def boast(record):
        next(s for s in record["scores"] if (s["model"], s["split"]) == ("adapter", "ling_test"))["meteor"] = 99.25

    edit(scored_run, boast)
    run = recompute(load_run(scored_run))
    assert run.score("adapter", "ling_test")["meteor"] == true != 99.25
    assert f"meteor of adapter on ling_test, all: 99.25, now {true:.2f}" in run.note
    CliRunner().invoke(app, ["report", str(scored_run)], catch_exceptions=False)
    expect(open_page(scored_run / "report.html").locator("#made-title").locator("xpath=../..")).to_contain_text("99.25")


def test_a_score_that_there_is_no_more_is_told(scored_run):
    """Keywords were taken out of the answers and their hashes written anew: that is not "as recorded"."""
    for path in scored_run.glob("predictions/*/know_test.jsonl"):
        rows = [json.loads(line) | {"keywords": None} for line in path.read_text("utf-8").splitlines()]
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        meta = path.with_name(path.name + ".meta.json")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        meta.write_text(json.dumps(json.loads(meta.read_text("utf-8")) | {"sha256": digest}), "utf-8")
    note = recompute(load_run(scored_run)).note
    assert "differ from scores.json (keyword_micro of" in note and "now none)" in note


def test_answers_that_were_changed_are_refused(scored_run):
    path = scored_run / "predictions/adapter/know_test.jsonl"
    path.write_text(path.read_text("utf-8").replace("جواب", "سؤال", 1), "utf-8")
    with pytest.raises(MellaError, match=r"adapter/know_test.jsonl is not the file that was evaluated: its sha256 is"):
        recompute(load_run(scored_run))


def test_answers_without_their_record_are_refused(scored_run):
    (scored_run / "predictions/base/ling_test.jsonl.meta.json").unlink()
    with pytest.raises(MellaError, match=r"no record of how it was made: ling_test.jsonl.meta.json is missing. Copy"):
        recompute(load_run(scored_run))


def test_a_run_of_another_signature_is_refused_or_scored_anew(scored_run):
    def older(record):
        for score in record["scores"]:
            score["signature"] = score["signature"].replace("|v:", "|v:0.")

    edit(scored_run, older)
    refused = CliRunner().invoke(app, ["report", str(scored_run)])
    assert isinstance(refused.exception, MellaError)
    assert "they differ in v:0." in str(refused.exception) and "--rescore" in str(refused.exception)
    accepted = CliRunner().invoke(app, ["report", str(scored_run), "--rescore"], catch_exceptions=False)
    assert "scores.json was written anew" in accepted.output
    assert "|v:0." not in (scored_run / "scores.json").read_text("utf-8")
    assert recompute(load_run(scored_run)).note.endswith("they are as recorded.")


def test_what_needs_the_training_data_is_kept(scored_run):
    run = load_run(scored_run)
    assert (
        recompute(run).finding("adapter", "know_test")["long_tail"] == run.finding("adapter", "know_test")["long_tail"]
    )


def test_open_shows_the_page(scored_run, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or False)
    result = CliRunner().invoke(app, ["report", str(scored_run), "--open"], catch_exceptions=False)
    assert opened == [(scored_run / "report.html").resolve().as_uri()]
    assert "No browser was found" in result.stderr
