"""A whole evaluation of tiny models on a tiny dataset, through the command as users give it."""

import json
import re
from pathlib import Path

import pytest
from tiny_qwen2vl import save_random_adapter
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.dataset.card.card import write_funnel
from mella_hf.dataset.write import write_split
from mella_hf.errors import MellaError
from mella_hf.evaluation.run import evaluate_run, load_run

KNOW = ["قطة صغيرة على السرير", "بيت قديم في القاهرة", "سمكة كبيرة في البحر", "شجرة النخيل في الصحراء"]
LING = [
    "تظهر في الصورة دائرة حمراء على خلفية بيضاء",
    "في الصورة شكل أزرق كبير في الوسط",
    "نرى مربعا أخضر صغيرا في الأعلى",
]


@pytest.fixture(scope="module")
def data_dir(make_rows, tmp_path_factory) -> Path:
    """Entities 0 and 1 are in training and in know_test, 2 and 3 only in know_test; no ling training split."""
    from datasets import Image

    folder = tmp_path_factory.mktemp("data") / "mella-tiny"
    splits = {
        "know": make_rows(2, texts=KNOW[:2]),
        "know_test": make_rows(4, texts=KNOW),
        "ling_test": make_rows(3, texts=LING, source="ling", start=20),
    }
    for split, rows in splits.items():
        write_split(rows.cast_column("image", Image(decode=False)).to_list(), folder, "ar", split)
    write_funnel(folder, {"ar": {"know": {"kept": 6, "dropped_empty": 1}}})
    return folder


@pytest.fixture(scope="module")
def adapter(tiny_qwen2vl, tmp_path_factory) -> Path:
    """A random LoRA adapter in a run folder with the training's record beside it."""
    run = tmp_path_factory.mktemp("training")
    save_random_adapter(tiny_qwen2vl, run / "adapter", seed=3)
    log = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}]
    settings = {"output_dir": "/secret/place", "languages": ["ar"]}
    record = {"samples": {"know": 2}, "log_history": log, "settings": settings}
    (run / "training.json").write_text(json.dumps(record))
    return run / "adapter"


@pytest.fixture(scope="module")
def command(tiny_qwen2vl, adapter, data_dir):
    """Arguments of `mella evaluate` for a run into `out`."""

    def arguments(out, **changes):
        options = {
            "--base": tiny_qwen2vl, "--adapter": adapter, "--data-dir": data_dir, "--language": "ar", "--out": out,
            "--know-tokens": 6, "--ling-tokens": 8, "--batch-size": 2, "--device": "cpu",
        }  # fmt: skip
        options.update({f"--{name}": value for name, value in changes.items()})
        return ["evaluate", *(str(part) for pair in options.items() for part in pair)]

    return arguments


@pytest.fixture(scope="module")
def finished(command, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation") / "run"
    result = CliRunner().invoke(app, command(out), catch_exceptions=False)
    assert result.exit_code == 0
    return out, result.stdout


def test_the_command_answers_scores_and_reports(finished):
    out, printed = finished
    run = load_run(out)
    measured = [(s["model"], s["split"], s["subset"], s["n"]) for s in run.scores]
    assert measured == [
        (model, split, subset, n)
        for model in ("base", "adapter")
        for split, subset, n in [
            ("know_test", "all", 4), ("know_test", "seen", 2), ("know_test", "unseen", 2), ("ling_test", "all", 3)
        ]
    ]  # fmt: skip
    assert run.data == {
        "name": "mella-tiny",
        "local": True,
        "rows": {"know_test": 4, "ling_test": 3},
        "funnel": {"know": {"kept": 6, "dropped_empty": 1}},
    }
    assert run.models["adapter"]["adapter_kind"] == "LoRA, rank 4"
    assert run.models["base"]["max_new_tokens"] == {"know_test": 6, "ling_test": 8}
    assert run.training["log_history"][1]["loss"] == 2.0
    assert all(0 <= s["truncated_rate"] <= 1 for s in run.scores)
    assert printed.count("know_test") == 3, "base, adapter, and their difference"
    assert f"report: {out / 'report.html'}" in printed
    assert (out / "report.json").is_file()


def test_scores_are_those_of_the_metric(finished):
    from mella_hf.metrics import MellaMetric

    out, _ = finished
    run = load_run(out)
    unseen = [p for p in run.predictions["adapter", "know_test"] if p["entity"] in ("entity-2", "entity-3")]
    expected = MellaMetric("ar").compute(
        predictions=[p["prediction"] for p in unseen],
        references=[p["reference"] for p in unseen],
        keywords=[p["keywords"] for p in unseen],
        check_references=False,
    )
    score = run.score("adapter", "know_test", "unseen")
    own = {key: value for key, value in expected.items() if not key.endswith("_floor")}  # another image's may be seen
    assert {key: score[key] for key in own} == own


def test_failures_groups_and_paired_tests_stand_beside_the_scores(finished):
    from mella_hf.metrics import MellaMetric, compare
    from mella_hf.metrics.comparison import corrected
    from mella_hf.metrics.installed import all_scores
    from mella_hf.metrics.significance import resamples_for

    out, printed = finished
    run = load_run(out)
    assert [(g["model"], g["split"], g["by"], g["group"], g["n"]) for g in run.groups] == [
        (model, split, "category", "test", n)
        for model in ("base", "adapter")
        for split, n in (("know_test", 4), ("ling_test", 3))
    ]
    assert run.groups[0]["bleu"] == run.score("base", "know_test")["bleu"]
    finding = next(f for f in run.findings if (f["model"], f["split"]) == ("adapter", "know_test"))
    # Keywords are "نص 0" ... "نص 3"; training has the first two, once each.
    assert {b["bin"]: b["keywords"] for b in finding["long_tail"]} == {"0": 2, "1": 2, "2-5": 0, "6+": 0}
    assert finding["hallucination"]["n"] == 4
    expected = {}
    for split in ("know_test", "ling_test"):
        counted = [
            MellaMetric("ar").statistics(
                predictions=[p["prediction"] for p in run.predictions[model, split]],
                references=[p["reference"] for p in run.predictions[model, split]],
                keywords=[p["keywords"] or [] for p in run.predictions[model, split]],
            )
            for model in ("base", "adapter")
        ]
        expected[split] = compare(*counted, resamples=resamples_for(2 * len(all_scores())))
    comparisons = json.loads((out / "comparisons.json").read_text("utf-8"))
    names = {"language": "ar", "first": "base", "second": "adapter"}
    assert comparisons == [{**names, "split": k, **v} for k, v in corrected(expected).items()]


def test_another_adapter_a_merged_model_and_transfer_stand_side_by_side(
    tiny_qwen2vl, adapter, command, data_dir, make_rows, tmp_path, finished
):
    """The adapter on a config that it was not trained on, against itself merged: the same answers but for rounding."""
    from datasets import Image

    from mella_hf.answers.models import load_model

    thai = ["แมวตัวเล็กนอนอยู่บนเตียงนอน", "บ้านเก่าหลังใหญ่ในกรุงเทพมหานคร", "ปลาตัวใหญ่ว่ายอยู่ในทะเล"]
    for split, count, start in (("know", 3, 40), ("know_test", 3, 60)):
        rows = make_rows(count, texts=thai, language="th", start=start).cast_column("image", Image(decode=False))
        write_split(rows.to_list(), tmp_path / "data", "th", split)
    model, processor = load_model(str(tiny_qwen2vl), adapter, device="cpu")
    model.merge_and_unload().save_pretrained(tmp_path / "merged")
    processor.save_pretrained(tmp_path / "merged")
    arguments = command(
        tmp_path / "run",
        language="th",
        split="know_test",
        against=tmp_path / "merged",
        **{"data-dir": tmp_path / "data"},
    )
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "th: adapter was trained on ar: transfer" in result.stdout
    run = load_run(tmp_path / "run")
    assert run.models["merged"]["adapter_kind"] == "merged model" and run.models["adapter"]["trained_on"] == ["ar"]
    answers = {m: [p["prediction"] for p in run.predictions[m, "know_test"]] for m in run.models}
    assert answers["merged"] == answers["adapter"] != answers["base"]
    assert {p["seen"] for p in run.predictions["adapter", "know_test"]} == {None}, "it has not seen this config"
    comparisons = json.loads((tmp_path / "run" / "comparisons.json").read_text("utf-8"))
    assert [(c["first"], c["second"], c["n"]) for c in comparisons] == [
        ("base", "adapter", 3),
        ("merged", "adapter", 3),
    ]
    assert comparisons[1]["chrf_p_randomization"] == 1.0, "equal answers differ by chance only"


def test_no_path_of_this_machine_is_in_what_travels(finished, tiny_qwen2vl, data_dir):
    out, _ = finished
    for name in ("scores.json", "report.json", "report.html"):
        text = (out / name).read_text("utf-8")
        for path in (tiny_qwen2vl, data_dir, out, "/secret/place"):
            assert str(Path(path).parent) not in text, (name, path)


def test_the_same_command_again_changes_nothing(finished, command):
    out, _ = finished
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert CliRunner().invoke(app, command(out), catch_exceptions=False).exit_code == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_report_can_be_written_elsewhere(finished, tmp_path):
    out, _ = finished
    page = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["report", str(out), "--out", str(page)], catch_exceptions=False)
    assert result.exit_code == 0
    text = page.read_text("utf-8")
    note = next(part for part in re.findall(r"<p>.*?</p>", text) if part.endswith("they are as recorded.</p>"))
    assert text.replace(note, "") == (out / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"language": "xx"}, "Unknown language 'xx'"),
        ({"adapter": "no/adapter"}, "No adapter at 'no/adapter'"),
        ({"base": "org/other-model"}, "was trained on the base .* not on 'org/other-model'"),
        ({"split": "know"}, "Unknown test split 'know'; choose among know_test, ling_test"),
        ({"data-dir": "no/data"}, "no/data"),
        ({"language": "th"}, "Unknown language 'th'; data_dir=.* has ar"),
    ],
)
def test_bad_input_is_one_clear_error_before_any_answer(command, tmp_path, changes, message):
    with pytest.raises(MellaError, match=message):
        CliRunner().invoke(app, command(tmp_path / "run", **changes), catch_exceptions=False)
    assert not (tmp_path / "run").exists()


def test_a_missing_split_is_one_clear_error(tiny_qwen2vl, make_rows, tmp_path):
    from datasets import Image

    rows = make_rows(1, texts=KNOW[:1]).cast_column("image", Image(decode=False)).to_list()
    write_split(rows, tmp_path / "data", "ar", "know_test")
    options = {"base": str(tiny_qwen2vl), "data_dir": tmp_path / "data", "language": "ar", "out": tmp_path / "run"}
    with pytest.raises(MellaError, match="Unknown split 'ling_test'; the config 'ar' has know_test"):
        evaluate_run(**options, splits=("know_test", "ling_test"))
    evaluate_run(**options, max_new_tokens={"know": 2})  # a dataset of know alone is no error
    assert {score["split"] for score in load_run(tmp_path / "run").scores} == {"know_test"}


def test_references_are_checked_before_anything_is_asked(command, make_rows, tmp_path):
    from datasets import Image

    texts = ["The children play behind the house", "An old woman buys apples at the market", "Two boats in the harbour"]
    rows = make_rows(3, texts=texts).cast_column("image", Image(decode=False)).to_list()
    write_split(rows, tmp_path / "data", "ar", "know_test")
    arguments = command(tmp_path / "run", **{"data-dir": tmp_path / "data"})
    with pytest.raises(MellaError, match="ar/know_test: 3 of 3 references are not in Arabic"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert not (tmp_path / "run").exists()
    ended = CliRunner().invoke(app, [*arguments, "--no-check-references"], catch_exceptions=False)
    assert ended.exit_code == 0 and (tmp_path / "run" / "scores.json").is_file()
