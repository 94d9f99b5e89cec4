"""What an evaluation is compared with: names of systems, and two of one name, told before anything is asked."""

import json

import pytest
from typer.testing import CliRunner

from mella_hf.answers.systems import line_up, named
from mella_hf.cli import app
from mella_hf.errors import MellaError
from mella_hf.evaluation.paired import compare_runs, name_runs, read_answer_files
from mella_hf.evaluation.reports.systems import check_names
from mella_hf.evaluation.run import load_run

NOBODY = ["http://127.0.0.1:9/v1"]  # the discard port: whoever asks there gets no answer


def test_a_name_is_what_stands_before_the_sign(tmp_path):
    assert named("joint=outputs/joint") == ("joint", "outputs/joint")
    assert named("outputs/joint") == (None, "outputs/joint")
    (tmp_path / "a=b").mkdir()
    assert named(tmp_path / "a=b") == (None, str(tmp_path / "a=b"))


def test_two_runs_of_one_folder_name_are_told_apart_or_refused(make_run, tmp_path):
    first, second = (make_run(tmp_path / name / "evaluation") for name in ("joint", "sdrrl"))
    assert list(name_runs([f"joint={first}", f"sdrrl={second}"], ["ar"])) == ["joint", "sdrrl"]
    assert name_runs([str(first)], ["ar"])["evaluation"]["ar"].folder == first
    with pytest.raises(MellaError) as caught:
        name_runs([str(first), str(second)], ["ar"])
    assert str(caught.value) == (
        f"Two runs have the name 'evaluation': {first} and {second}. "
        f"Give one another name, as in --against NAME={second}."
    )


def test_two_systems_of_one_name_are_refused():
    with pytest.raises(MellaError, match=r"have the name 'sdrrl': org/sdrrl.* and org/other\. Give one another name"):
        line_up("org/base", "org/mella", ["sdrrl=org/sdrrl", "sdrrl=org/other"], NOBODY)
    names = [system.name for system in line_up("org/base", "org/mella", ["org/a", "b=org/a"], NOBODY)]
    assert names == ["base", "adapter", "org-a", "b"]


def test_a_system_and_a_finished_run_of_one_name_are_refused(make_run, tmp_path):
    others = name_runs([str(make_run(tmp_path / "mella"))], ["ar"])
    with pytest.raises(MellaError, match=f"have the name 'mella': mella and one of {tmp_path / 'mella'}"):
        check_names(line_up("org/base", "mella", [], NOBODY), others)
    check_names(line_up("org/base", "other", [], NOBODY), others)


def test_the_command_says_so_before_it_asks(make_run, tmp_path):
    first, second = (make_run(tmp_path / name / "evaluation") for name in ("joint", "sdrrl"))
    arguments = ["evaluate", "--base", "org/base", "--adapter", "mella", "--endpoint", NOBODY[0], "--languages", "ar"]
    arguments += ["--out", str(tmp_path / "out"), "--against", str(first), "--against", str(second)]
    result = CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path / "no-data")])
    assert "Two runs have the name 'evaluation'" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_file_of_answers_is_compared_on_the_split_it_is_about(make_run, tmp_path):
    """As vLLM's batches write it: the ids are the images', in another order than the run's."""
    run = load_run(make_run(tmp_path / "run"))
    ours = run.predictions["adapter", "ling_test"]
    path = tmp_path / "other.jsonl"
    lines = [
        {
            "custom_id": p["id"],
            "response": {"status_code": 200, "body": {"choices": [{"message": {"content": p["reference"]}}]}},
        }
        for p in reversed(ours)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    files = read_answer_files([f"batch={path}"])
    record = next(r for r in compare_runs({"ar": run}, files=files) if r["first"] == "batch")
    assert (record["split"], record["second"], record["n"]) == ("ling_test", "adapter", len(ours))
    assert record["bleu_first"] == record["rouge_l_first"] == 100.0 > record["rouge_l_second"]
    path.write_text(json.dumps(lines[0]) + "\n", "utf-8")
    with pytest.raises(MellaError, match="other.jsonl fits no test split of ar: .* has no answer to"):
        compare_runs({"ar": run}, files=read_answer_files([str(path)]))
    with pytest.raises(MellaError, match="Two files have the name 'other'"):
        read_answer_files([str(path), str(path)])
