"""Benchmarks of other people's shapes, as local datasets: captions, questions with options, two images a row."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from caption_server import CaptionServer

from mella_hf.answers.answers import read_predictions
from mella_hf.answers.generate import LocalModel, answer_turns
from mella_hf.answers.models import load_model
from mella_hf.errors import MellaError
from mella_hf.evaluation.benchmarks.items import read_choice
from mella_hf.evaluation.benchmarks.mapping import Benchmark, read_benchmark, read_benchmarks, shipped_benchmarks
from mella_hf.evaluation.benchmarks.run import run_benchmark

ROOT = Path(__file__).parents[2]

IDENTITY = {"base": "tiny", "base_hash": "0", "adapter": None, "adapter_hash": None}


@pytest.fixture(scope="module")
def tiny(tiny_qwen2vl):
    return LocalModel(*load_model(str(tiny_qwen2vl), device="cpu"))


def images(make_rows, count):
    from datasets import Image

    return [r["image"] for r in make_rows(count).cast_column("image", Image(decode=False)).to_list()]


def as_dataset(folder, rows, columns):
    """A dataset folder with a test split, images in `columns`."""
    from datasets import Dataset, Image

    data = Dataset.from_list(rows)
    for name in columns:
        data = data.cast_column(name, Image())
    folder.mkdir()
    data.to_parquet(folder / "test-00000-of-00001.parquet")
    return str(folder)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("B", 1), ("(b) the harbour", 1), ("A. No", 0), ("c:", 2), ("Harbour", 1), ("It is the harbour.", 1),
        ("the palace, not the harbour", None), ("harbours", None), ("", None), ("D", None), ("Bridge", 2),
        ("a bridge", 0),  # "a" alone at the start is a letter: models that answer in letters are read first
    ],
)  # fmt: skip
def test_an_answer_names_an_option_or_none(answer, right):
    assert read_choice(answer, ["Palace", "Harbour", "Bridge"]) == right


def test_choices_about_two_images_are_scored_against_the_mapped_answer(tiny, make_rows, tmp_path):
    pictures = images(make_rows, 6)
    rows = [{"l": pictures[i], "r": pictures[i + 3], "says": f"نص {i}", "label": i % 2} for i in range(3)]
    path = as_dataset(tmp_path / "marvl", rows, ("l", "r"))
    mapping = Benchmark(
        name="marvl", language="ar", task="choice", path=path, images=("l", "r"), question="says",
        options=("لا", "نعم"), answer="label",
    )  # fmt: skip
    result = run_benchmark(mapping, tiny, out=tmp_path / "out", identity=IDENTITY, batch_size=3, progress=False)
    from datasets import load_dataset

    shown = load_dataset(path, split="test")
    asked = [f"نص {i}\nA. لا\nB. نعم" for i in range(3)]
    said = {}
    turns = [([row["l"].convert("RGB"), row["r"].convert("RGB")], text) for row, text in zip(shown, asked, strict=True)]
    answer_turns(tiny.model, tiny.processor, turns, 16, 3, said.__setitem__)
    kept = read_predictions(tmp_path / "out" / "marvl.jsonl")
    assert [line["prediction"] for line in kept] == [said[i]["prediction"] for i in range(3)]
    assert [line["prompt"] for line in kept] == asked and [line["right"] for line in kept] == [0, 1, 0]
    chosen = [read_choice(said[i]["prediction"], ("لا", "نعم")) for i in range(3)]
    assert result["scores"]["accuracy"] == pytest.approx(100 * sum(c == i % 2 for i, c in enumerate(chosen)) / 3)
    assert result["scores"]["chance"] == 50.0 and result["scores"]["n"] == 3
    assert result["scores"]["unreadable_rate"] == pytest.approx(sum(c is None for c in chosen) / 3)


def test_each_caption_is_judged_by_its_nearest_reference_and_answers_are_kept(tiny, make_rows, tmp_path, monkeypatch):
    references = [["قطة صغيرة على السرير", "بيت قديم في القاهرة"], ["سمكة كبيرة في البحر", "شجرة في الصحراء"]]
    rows = [{"image": p, "captions": r} for p, r in zip(images(make_rows, 2), references, strict=True)]
    path = as_dataset(tmp_path / "xm", rows, ("image",))
    mapping = Benchmark(name="xm", language="ar", task="caption", path=path, references="captions")
    calls = []

    def answer(self, turns, limit, at_once, keep):
        turns = list(turns)
        calls.append(len(turns))
        assert [len(pictures) for pictures, _ in turns] == [1, 1]
        for i, text in enumerate(("بيت قديم في القاهرة", "سمكة كبيرة في البحر")):
            keep(i, {"prediction": text, "truncated": False})

    monkeypatch.setattr(LocalModel, "answer", answer)
    for _ in range(2):
        result = run_benchmark(mapping, tiny, out=tmp_path / "out", identity=IDENTITY, progress=False)
        assert result["scores"]["rouge_l"] == 100.0, "each answer is one of its references, word for word"
        assert result["scores"]["signature"].endswith("|refs:nearest-meteor")
    assert calls == [2], "what was answered is not asked again"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "vqa"}, "has task 'vqa'; choose caption or choice"),
        ({"columns": "x"}, "unknown key 'columns'; choose among name"),
        ({"references": None}, "lacks the key 'references'"),
        ({"language": "xx"}, "Unknown language 'xx'"),
    ],
)
def test_a_mapping_that_is_wrong_is_one_clear_error(tmp_path, change, message):
    entry = {"name": "x", "language": "ar", "task": "caption", "path": "p", "references": "captions", **change}
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(entry))
    with pytest.raises(MellaError, match=message):
        read_benchmark(tmp_path / "b.yaml")


def test_a_column_that_is_not_there_and_a_right_answer_that_is_no_option_are_errors(tiny, make_rows, tmp_path):
    path = as_dataset(tmp_path / "b", [{"image": images(make_rows, 1)[0], "label": 2}], ("image",))
    common = {"name": "b", "language": "ar", "task": "choice", "path": path, "options": ("لا", "نعم")}
    for answer, message in (
        ("right", "has no column 'right'; it has image, label"),
        ("label", "has the right answer 2"),
    ):
        with pytest.raises(MellaError, match=message):
            run_benchmark(Benchmark(**common, answer=answer), tiny, out=tmp_path, identity=IDENTITY)


def test_an_image_that_is_not_there_is_an_error_with_its_row(tiny, make_rows, tmp_path):
    rows = [{"image": images(make_rows, 1)[0], "label": 1}, {"image": None, "label": 0}]
    mapping = Benchmark(
        name="b", language="ar", task="choice", path=as_dataset(tmp_path / "b", rows, ("image",)),
        options=("لا", "نعم"), answer="label",
    )  # fmt: skip
    with pytest.raises(MellaError, match="Row 1 of .* has an image in image"):
        run_benchmark(mapping, tiny, out=tmp_path, identity=IDENTITY, progress=False)


def as_bytes(folder, split, rows, columns):
    """A dataset folder as floschne/xm3600 and floschne/marvl are: a split a language, images as structs of bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.null())])
    table = pa.Table.from_pylist(rows)
    for name in columns:
        cells = pa.array([{"bytes": row[name]["bytes"], "path": None} for row in rows], image)
        table = table.set_column(table.column_names.index(name), name, cells)
    (folder / "data").mkdir()
    pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    configs = {"configs": [{"config_name": "default", "data_files": [{"split": split, "path": f"data/{split}-*"}]}]}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(configs)}---\n", "utf-8")
    return str(folder)


# Columns as on the cards of the repositories on the Hub, November 2026.
def test_xm3600_by_name(tiny, make_rows, tmp_path):
    (found,) = read_benchmarks("xm3600", ["ar", "sr"])
    assert (found.name, found.language, found.path, found.split) == ("xm3600-ar", "ar", "floschne/xm3600", "ar")
    captions = [["قطة صغيرة على السرير", "قطة تنام"], ["سمكة كبيرة في البحر", "شجرة في الصحراء"]]
    rows = [
        {"image_id": str(at), "image_locale": "ar", "captions": captions[at], "image": picture}
        for at, picture in enumerate(images(make_rows, 2))
    ]
    local = replace(found, path=as_bytes(tmp_path / "xm3600", "ar", rows, ("image",)))
    result = run_benchmark(local, tiny, out=tmp_path / "out", identity=IDENTITY, progress=False)
    assert result["scores"]["n"] == 2 and result["scores"]["cider"] is not None


def test_marvl_by_name_and_languages(tiny, make_rows, tmp_path):
    found = read_benchmarks("marvl:sw,tr", ["ar"])
    assert [(b.name, b.split) for b in found] == [("marvl-sw", "sw"), ("marvl-tr", "tr")]
    pictures = images(make_rows, 4)
    rows = [
        {"hypothesis": f"Picha {at}", "label": at == 1, "left_img": pictures[at], "right_img": pictures[at + 2]}
        for at in range(2)
    ]
    local = replace(found[0], path=as_bytes(tmp_path / "marvl", "sw", rows, ("left_img", "right_img")))
    run_benchmark(local, tiny, out=tmp_path / "out", identity=IDENTITY, progress=False)
    kept = read_predictions(tmp_path / "out" / "marvl-sw.jsonl")
    assert [line["right"] for line in kept] == [0, 1], "label is whether the sentence is true"
    assert "true of them? Picha 0\nA. No\nB. Yes\nAnswer" in kept[0]["prompt"]


def test_cvqa_by_name_takes_the_rows_of_the_language(tiny, make_rows, tmp_path):
    (found,) = read_benchmarks("cvqa", ["ko", "th"])
    subsets = ["('Korean', 'South Korea')", "('Russian', 'Russia')", "('Korean', 'South Korea')"]
    rows = [
        {"image": picture, "Subset": subset, "Question": f"질문 {at}", "Options": ["가", "나", "다", "라"], "Label": at}
        for at, (picture, subset) in enumerate(zip(images(make_rows, 3), subsets, strict=True))
    ]
    local = replace(found, path=as_dataset(tmp_path / "cvqa", rows, ("image",)))
    result = run_benchmark(local, tiny, out=tmp_path / "out", identity=IDENTITY, progress=False)
    kept = read_predictions(tmp_path / "out" / "cvqa-ko.jsonl")
    assert [line["right"] for line in kept] == [0, 2] and result["scores"]["chance"] == 25.0
    hidden = [{**row, "Label": -1} for row in rows]
    local = replace(found, path=as_dataset(tmp_path / "hidden", hidden, ("image",)))
    with pytest.raises(MellaError, match="Row 0 .* has the right answer -1, none of its 4 options"):
        run_benchmark(local, tiny, out=tmp_path / "other", identity=IDENTITY, progress=False)


def test_all_shipped_benchmarks_are_read():
    for name, path in shipped_benchmarks().items():
        covered = list(yaml.safe_load(path.read_text("utf-8")).get("languages", []))
        if not covered:  # of one language, whatever the run's are
            assert [found.language for found in read_benchmarks(name, ["ar"])] == ["en"]
            continue
        assert len(read_benchmarks(name, covered)) == len(covered) > 4
        assert all(isinstance(code, str) for code in covered), "no is a language, not false"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("xm36", "no benchmark 'xm36'; give a YAML file, or one of aokvqa, cvqa, marvl, scienceqa, xm3600"),
        ("marvl", "'marvl' has no rows in ar; it covers id, sw, ta, tr, zh"),
        ("marvl:de", "'marvl:de' has no rows in de; it covers"),
    ],
)
def test_a_benchmark_that_is_not_there_is_told_with_those_that_are(choice, message):
    with pytest.raises(MellaError, match=message):
        read_benchmarks(choice, ["ar"])


def test_two_processes_share_a_benchmark_at_an_endpoint(make_rows, tmp_path):
    from datasets import Image

    from mella_hf.dataset.write import write_split

    rows = make_rows(4, texts=["قطة على السرير", "بيت في القاهرة", "سمكة في البحر", "شجرة في الصحراء"])
    write_split(rows.cast_column("image", Image(decode=False)).to_list(), tmp_path / "data", "ar", "know_test")
    pictures = images(make_rows, 20)
    asked = [{"l": pictures[i], "r": pictures[19 - i], "says": f"نص {i}", "label": i % 2} for i in range(20)]
    entry = {
        "name": "pairs", "language": "ar", "task": "choice", "path": as_dataset(tmp_path / "pairs", asked, ("l", "r")),
        "images": ["l", "r"], "question": "says", "options": ["لا", "نعم"], "answer": "label",
    }  # fmt: skip
    (tmp_path / "pairs.yaml").write_text(yaml.safe_dump(entry, allow_unicode=True), "utf-8")
    with CaptionServer(lambda image, prompt: "B") as server:
        command = [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
            *("recipes/evaluate.py", "--base", "org/base", "--endpoint", server.url, "--languages", "ar"),
            *("--data-dir", tmp_path / "data", "--split", "know_test", "--out", tmp_path / "out", "--batch-size", "2"),
            *("--benchmark", tmp_path / "pairs.yaml"),
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True)
        bodies = [body["messages"][0]["content"] for body, _ in server.requests]
    assert done.returncode == 0, done.stderr[-3000:]
    shown = [content for content in bodies if len(content) == 3]
    assert sorted(content[-1]["text"] for content in shown) == sorted(f"نص {i}\nA. لا\nB. نعم" for i in range(20))
    assert len(bodies) == 24, "each image and each row is asked about once, whichever process asks"
    assert done.stdout.count("pairs") == 1 and "accuracy 50.0" in done.stdout
    kept = read_predictions(tmp_path / "out" / "benchmarks" / "base" / "pairs.jsonl")
    assert [line["right"] for line in kept] == [i % 2 for i in range(20)]
