"""The gallery: each answer with its own score and what is wrong with it, ordered and narrowed in the browser."""

import json

import pytest
from playwright.sync_api import expect

from mella_hf.evaluation.reports.gallery import cards, count_run, laid_out
from mella_hf.evaluation.reports.report import write_report
from mella_hf.evaluation.reports.systems import run_systems
from mella_hf.evaluation.run import load_run

LING = {
    "worst": "The sun shines over the sea on every morning of the summer.",
    "half": "Na fotografii stojí lidé a dívají se na něco jiného.",
    "best": "Na fotografii stojí turisté na Karlově mostě.",
}
REFERENCE = "Na fotografii stojí turisté na Karlově mostě."


def rewrite(folder, split, answers):
    """Give a run other texts: (the adapter's answer, reference, keywords, category), one an image."""
    for model in ("base", "adapter"):
        path = folder / "predictions" / model / f"{split}.jsonl"
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for line, (prediction, reference, keywords, category) in zip(lines, answers, strict=True):
            line |= {"reference": reference, "keywords": keywords, "category": category, "truncated": False}
            line["prediction"] = prediction if model == "adapter" else "Nic."
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")


@pytest.fixture
def czech_run(make_run, tmp_path):
    """Four answers about Prague: one right, one half, one in English, one that loops."""
    folder = make_run(tmp_path / "cs", language="cs")
    ling = [(LING[name], REFERENCE, None, [name]) for name in ("half", "worst", "best")]
    rewrite(folder, "ling_test", [*ling, ("most " * 20, REFERENCE, None, ["best"])])
    keywords = [["Karlův most"], ["Vltava"], ["Praha", "Karlův most"], None]
    texts = ["Turisté na Karlově mostě.", "Nic.", "Praha v noci.", ""]
    categories = [["places", "bridges"], ["rivers"], ["places"], ["places"]]
    know = [
        (text, "Karlův most v Praze.", names, kind)
        for text, names, kind in zip(texts, keywords, categories, strict=True)
    ]
    rewrite(folder, "know_test", know)
    return folder


def test_answers_are_ranked_and_flagged(czech_run):
    run = load_run(czech_run)
    systems = run_systems(run)
    found = [card for card in cards(systems, ["cs"], {run.folder: count_run(run)}) if card["source"] == "ling"]
    half, worst, best, loop = (card["answers"]["adapter"] for card in found)
    assert (best["rank"], best["flags"], best["scores"]["rouge_l"]) == (1.0, [], 100.0)
    assert worst["rank"] == 0.0 and "wrong_language" in worst["flags"] and worst["language"] == "en"
    assert half["rank"] == pytest.approx(2 / 3, abs=1e-4) and half["flags"] == []
    assert {"repetition", "loop"} <= set(loop["flags"])
    shown = laid_out(found[1], systems)
    assert shown["answers"][1]["troubles"] == ["in another language (en)"]
    assert shown["filters"] == {"rank": f"{found[1]['answers']['base']['rank']} 0.0", "changed": "1",
                                "degenerate": "1", "made-up": "0"}  # fmt: skip


def test_worst_come_first_and_the_degenerate_alone(czech_run, open_page):
    page = open_page(write_report(czech_run))
    page.get_by_label("ling", exact=True).check(force=True)
    kinds = page.locator(".gallery article:visible .tags span:last-child")
    expect(kinds).to_have_text(["half", "worst", "best", "best"])
    page.get_by_label("worst first").check(force=True)
    expect(kinds).to_have_text(["worst", "best", "half", "best"])
    page.get_by_label("best first").check(force=True)
    expect(kinds).to_have_text(["best", "half", "best", "worst"])
    page.get_by_label("degenerate").check(force=True)
    expect(kinds).to_have_text(["best", "worst"])
    expect(page.locator("article:visible .adapter .trouble").last).to_have_text("in another language (en)")
    page.get_by_label("degenerate").uncheck(force=True)
    page.get_by_label("as tested").check(force=True)
    expect(kinds).to_have_text(["half", "worst", "best", "best"])


def test_search_reads_texts_and_not_labels(czech_run, open_page):
    page = open_page(write_report(czech_run))
    page.get_by_label("Search").fill("Reference")
    expect(page.locator("output")).to_have_text("0 of 8")
    page.get_by_label("Search").fill("TURISTÉ")
    expect(page.locator("output")).to_have_text("5 of 8")
