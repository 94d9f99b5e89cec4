"""Paired tests between the systems of finished runs: which are compared, on which answers, and what a line says."""

import json
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from mella_hf.errors import MellaError
from mella_hf.evaluation.evaluate import Evaluation
from mella_hf.evaluation.paired import (
    aligned,
    compare_runs,
    comparison_line,
    holds_runs,
    load_runs,
    name_runs,
    read_answer_files,
    tuned,
)
from mella_hf.evaluation.run import Run
from mella_hf.metrics.installed import all_scores

TEXTS = ["Na stole leží kniha.", "Pes běží po trávě.", "Muž stojí na mostě.", "Kočka spí na okně.", "Dítě jí jablko."]
WRONG = ["Auto.", "Strom.", "Dům.", "Voda.", "Sníh."]


def answers(texts: list[str], start: int = 0) -> list[dict[str, Any]]:
    return [
        {"id": f"image{start + n}", "prediction": text, "reference": TEXTS[n], "keywords": None}
        for n, text in enumerate(texts)
    ]


def run(predictions: dict[tuple[str, str], list[dict[str, Any]]], language: str = "cs") -> Run:
    models = {model: {} for model, _ in predictions}
    return Run(Path("nowhere"), language, models, {}, [], None, {}, predictions)


def pairs_of(records: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [(r["language"], r["split"], r["first"], r["second"]) for r in records]


def test_the_adapter_is_compared_with_every_other_system_of_its_run(tmp_path: Path) -> None:
    predictions = {
        ("base", "ling_test"): answers(WRONG),
        ("druhý", "ling_test"): answers(TEXTS[:3] + WRONG[3:]),
        ("adapter", "ling_test"): answers(TEXTS),
        ("base", "know_test"): answers(TEXTS),
        ("adapter", "know_test"): answers(WRONG),
    }
    records = compare_runs({"cs": run(predictions)}, out=tmp_path)
    assert pairs_of(records) == [
        ("cs", "ling_test", "base", "adapter"),
        ("cs", "ling_test", "druhý", "adapter"),
        ("cs", "know_test", "base", "adapter"),
    ]
    # Differences are the second system's less the first's: the adapter says all on ling, and nothing on know.
    better, nearer, worse = (record["rouge_l_delta"] for record in records)
    assert better == 100.0 and worse == -100.0 and 0 < nearer < better
    assert (records[0]["rouge_l_first"], records[0]["rouge_l_second"]) == (0.0, 100.0)
    assert json.loads((tmp_path / "comparisons.json").read_text("utf-8")) == records
    # One key a line, for people; the letters of every script as they are.
    text = (tmp_path / "comparisons.json").read_text("utf-8")
    assert text.startswith('[\n {\n  "language": "cs",\n  "split"') and text.endswith(" }\n]\n")
    assert '"first": "druhý"' in text


def test_all_tests_of_a_call_are_one_family() -> None:
    systems = {(name, "ling_test"): answers(WRONG) for name in ("base", "a", "b")}
    one = compare_runs({"cs": run({**systems, ("adapter", "ling_test"): answers(TEXTS)})})
    # Without keywords two scores do not exist, for any of three pairs.
    missing = sum(one[0][f"{name}_delta"] is None for name in all_scores())
    assert missing == 2
    assert [record["tests"] for record in one] == [3 * (len(all_scores()) - missing)] * 3
    alone = compare_runs(
        {"cs": run({k: v for k, v in systems.items() if k[0] == "base"} | {("adapter", "ling_test"): answers(TEXTS)})}
    )
    assert alone[0]["tests"] == len(all_scores()) - missing
    assert one[0]["rouge_l_p_randomization_holm"] > alone[0]["rouge_l_p_randomization_holm"]
    # 100 resamples for each of the family's tests, and never fewer than 1,000 (`significance.resamples_for`).
    assert f"|bs:{max(1000, 100 * 3 * len(all_scores()))}|" in one[0]["signature"]


def test_other_runs_stand_by_their_adapter_and_are_put_in_our_order() -> None:
    ours = run({("base", "ling_test"): answers(WRONG), ("adapter", "ling_test"): answers(TEXTS)})
    other = run(
        {
            ("base", "ling_test"): answers(WRONG)[::-1],
            ("adapter", "ling_test"): answers(TEXTS)[::-1],
            ("adapter", "know_test"): answers(TEXTS),  # a split that we did not answer
        }
    )
    foreign = run({("adapter", "ling_test"): answers(TEXTS)}, "hu")
    records = compare_runs({"cs": ours}, {"hungarian": {"hu": foreign}, "joint": {"cs": other}})
    assert pairs_of(records) == [("cs", "ling_test", "base", "adapter"), ("cs", "ling_test", "joint", "adapter")]
    assert records[1]["rouge_l_delta"] == 0.0 and records[1]["rouge_l_first"] == 100.0


def test_another_run_about_other_images_is_named() -> None:
    ours = run({("adapter", "ling_test"): answers(TEXTS)})
    other = run({("adapter", "ling_test"): answers(TEXTS[:4])})
    with pytest.raises(MellaError, match="^The run 'joint' has answers about 4 images of cs ling_test, this one"):
        compare_runs({"cs": ours}, {"joint": {"cs": other}})


def test_a_run_without_an_adapter_stands_by_its_base() -> None:
    base, both = run({("base", "ling_test"): []}), run({("base", "ling_test"): [], ("adapter", "ling_test"): []})
    assert tuned(base) == "base" and tuned(both) == "adapter"
    ours = run({("base", "ling_test"): answers(TEXTS)})
    records = compare_runs({"cs": ours}, {"other": {"cs": run({("base", "ling_test"): answers(WRONG)})}})
    assert pairs_of(records) == [("cs", "ling_test", "other", "base")]
    assert records[0]["rouge_l_delta"] == 100.0
    assert compare_runs({"cs": ours}) == []


def test_aligned_keeps_our_references_and_takes_their_answers() -> None:
    ours, theirs = answers(TEXTS), answers(WRONG)[::-1]
    for answer in theirs:
        answer["reference"] = "another text"
    same = aligned(ours, theirs, "joint", "cs ling_test")
    assert [a["prediction"] for a in same] == WRONG and [a["reference"] for a in same] == TEXTS
    assert [a["prediction"] for a in ours] == TEXTS  # ours are as they were


@pytest.mark.parametrize(
    ("theirs", "counts"),
    [(answers(TEXTS, start=2), (5, 5, 3)), (answers(TEXTS[:4]), (4, 5, 4)), (answers(TEXTS, start=9), (5, 5, 0))],
)
def test_other_images_are_refused_with_counts(theirs: list[dict[str, Any]], counts: tuple[int, int, int]) -> None:
    with pytest.raises(MellaError) as caught:
        aligned(answers(TEXTS), theirs, "joint", "cs ling_test")
    assert str(caught.value) == (
        f"The run 'joint' has answers about {counts[0]} images of cs ling_test, this one about {counts[1]}, and only "
        f"{counts[2]} are the same; evaluate both on the same dataset."
    )


def test_a_folder_is_one_run_or_one_a_language(make_run: Any, tmp_path: Path) -> None:
    one = make_run(tmp_path / "one")
    assert holds_runs(one, ["ar"]) and holds_runs(str(one), ["cs"]) and not holds_runs(tmp_path, ["ar", "cs"])
    make_run(tmp_path / "several" / "ar")
    assert holds_runs(tmp_path / "several", ["ar"]) and not holds_runs(tmp_path / "several", ["cs"])
    assert list(load_runs(one, ["cs", "ar"])) == ["ar"]
    assert list(load_runs(str(tmp_path / "several"), ["cs", "ar"])) == ["ar"]
    assert load_runs(tmp_path / "several", ["ar"])["ar"].folder == tmp_path / "several" / "ar"
    for folder in (one, tmp_path / "several", tmp_path / "nothing"):
        with pytest.raises(MellaError) as caught:
            load_runs(folder, ["cs", "hu"])
        assert str(caught.value) == (
            f"{str(folder)!r} holds no finished evaluation of cs, hu; give the --out of an earlier `mella evaluate`, "
            "or the folder of an adapter."
        )


def test_runs_have_the_name_of_their_folder(make_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path / "joint")
    monkeypatch.chdir(tmp_path / "joint")
    assert list(name_runs(["."], ["ar"])) == ["joint"]
    assert list(name_runs([f"mine={tmp_path / 'joint'}"], ["ar"])["mine"]) == ["ar"]


def test_the_line_stars_what_holds_after_correction() -> None:
    record = {"language": "cs", "split": "ling_test", "first": "base", "second": "adapter"}
    for name in all_scores():
        record |= dict.fromkeys((f"{name}_delta", f"{name}_delta_low", f"{name}_delta_high"))
    record |= {
        "rouge_l_delta": -1.24, "rouge_l_delta_low": -2.0, "rouge_l_delta_high": 0.04,
        "rouge_l_p_randomization_holm": 0.05,
        "meteor_delta": 12.0, "meteor_delta_low": 8.0, "meteor_delta_high": 16.06,
        "meteor_p_randomization_holm": 0.0499,
    }  # fmt: skip
    assert comparison_line(record) == (
        "cs ling_test  adapter against base:  meteor +12.0* [+8.0, +16.1]  "
        "rouge_l -1.2 [-2.0, +0.04]"  # a small end is not shown as zero
    )
    page = BeautifulSoup(
        Evaluation(Path("out"), comparisons=[record], pages=[Path("a.html")])._repr_html_(), "html.parser"
    )
    shown = dict(zip(*([cell.text for cell in row.find_all(["th", "td"])] for row in page.find_all("tr")), strict=True))
    assert shown[""] == "cs, ling_test" and shown["systems"] == "adapter against base"
    assert shown["METEOR"] == "+12.0* [+8.0, +16.1]" and shown["ROUGE-L"] == "-1.2 [-2.0, +0.04]"
    assert shown["BLEU"] == "–" and page.a.text == "a.html"


def write_answers(path: Path, texts: list[str], start: int = 0) -> str:
    rows = [{"id": f"image{start + n}", "prediction": text} for n, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def test_files_of_answers_have_the_name_of_the_file_or_their_own(tmp_path: Path) -> None:
    one, two = write_answers(tmp_path / "one.jsonl", TEXTS), write_answers(tmp_path / "two.jsonl", WRONG)
    files = read_answer_files([one, f"other={two}"])
    assert list(files) == ["one", "other"] and files["other"].path == Path(two)
    assert [row["prediction"] for row in files["other"].rows] == WRONG and files["one"].keys.id == "id"
    with pytest.raises(MellaError) as caught:
        read_answer_files([one, f"one={two}"])
    assert str(caught.value) == f"Two files have the name 'one': {one} and {two}. Give NAME={two}."
    nameless = tmp_path / "nameless.jsonl"
    nameless.write_text('{"predict": "Pes.", "label": "Pes."}\n')
    with pytest.raises(MellaError) as caught:
        read_answer_files([str(nameless)])
    assert str(caught.value) == (
        f"{nameless} has no ids (LLaMA-Factory writes none), so it is unknown which image an answer is about; add "
        'the key "id" to each line.'
    )


def test_a_file_is_compared_with_the_run_whose_images_it_is_about(tmp_path: Path) -> None:
    czech = run({("base", "ling_test"): answers(TEXTS, start=50), ("adapter", "ling_test"): answers(TEXTS)})
    both = run({("base", "know_test"): answers(TEXTS), ("base", "ling_test"): answers(TEXTS, start=20)})
    hungarian = run({("base", "know_test"): answers(TEXTS, start=20)}, "hu")
    files = read_answer_files([write_answers(tmp_path / "one.jsonl", WRONG[::-1], start=20)])
    (record,) = (r for r in compare_runs({"cs": czech, "hu": hungarian}, files=files) if r["first"] == "one")
    assert (record["language"], record["split"], record["second"], record["n"]) == ("hu", "know_test", "base", 5)
    assert record["rouge_l_delta"] == 100.0
    (record,) = compare_runs({"cs": both}, files=files)
    assert (record["language"], record["split"], record["n"]) == ("cs", "ling_test", 5)
    files = read_answer_files([write_answers(tmp_path / "two.jsonl", WRONG, start=90)])
    with pytest.raises(MellaError, match=r"two\.jsonl fits no test split of cs, hu: .*two\.jsonl has 5 ids that"):
        compare_runs({"cs": czech, "hu": hungarian}, files=files)


def test_runs_of_one_name_are_refused(make_run: Any, tmp_path: Path) -> None:
    first, second = (str(make_run(tmp_path / name / "evaluation")) for name in ("joint", "sdrrl"))
    with pytest.raises(MellaError) as caught:
        name_runs([first, second], ["ar"])
    assert str(caught.value) == (
        f"Two runs have the name 'evaluation': {first} and {second}. "
        f"Give one another name, as in --against NAME={second}."
    )
