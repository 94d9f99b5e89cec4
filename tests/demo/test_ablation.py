"""The ablation: a second stage goes on from its seed's first, what is done is not done again, errors come first."""

import itertools
import json
from pathlib import Path

import pytest

from mella_hf.dataset.write import write_split
from mella_hf.demo.ablation import VARIANTS, Task, run_ablation, run_task
from mella_hf.demo.ablation_report import write_ablation
from mella_hf.demo.pictures import PictureSource
from mella_hf.demo.rows import rows
from mella_hf.demo.run import DemoPaths, Scale
from mella_hf.errors import MellaError
from mella_hf.sample import SPLITS
from mella_hf.stage import ShardOutput

SCALE = Scale(
    training_flags=("--max_steps", "2", "--per_device_train_batch_size", "2", "--lora_r", "4", "--save_strategy", "no"),
    max_new_tokens={"know": 4, "ling": 6},
)


@pytest.fixture
def paths(tmp_path: Path, tiny_qwen2vl: Path, source: PictureSource, monkeypatch: pytest.MonkeyPatch) -> DemoPaths:
    """The demo's folder with a random base and a few pictures."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    paths = DemoPaths(tmp_path / "out", "ar")
    output = ShardOutput(tmp_path)
    for split in SPLITS:
        write_split(itertools.islice(rows(source, "ar", split, output), 5), paths.dataset, "ar", split)
    paths.base.mkdir(parents=True)
    (paths.base / "model").symlink_to(tiny_qwen2vl)
    return paths


def test_stages_share_an_adapter_and_nothing_is_done_twice(
    paths: DemoPaths, source: PictureSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [Task(name, paths, SCALE, source, VARIANTS[name]) for name in ("ling_only", "two_stage_ewc")]
    base = Task("base", paths, SCALE, source)
    assert all(run_task(task) > 0 for task in (base, *tasks))
    one, two = (json.loads((task.folder / "train" / "training.json").read_text("utf-8")) for task in tasks)
    assert one["samples"] == {"ling": 5} and two["samples"] == {"know": 5}
    assert one["settings"]["seed"] == two["settings"]["seed"] == 0
    assert (tasks[0].folder / "train" / "adapter" / "fisher.safetensors").is_file()
    assert [run_task(task) for task in (base, *tasks)] == [0, 0, 0]  # done before
    folders = {"base": [base.folder]} | {task.name: [task.folder] for task in tasks}
    page = write_ablation(folders, {name: name for name in folders}, "ar", base.root)
    assert "two_stage_ewc" in page.read_text("utf-8")
    # Another first stage: the second is another run, of which nothing done can be used.
    weights = tasks[0].folder / "train" / "adapter" / "fisher.safetensors"
    weights.write_bytes(weights.read_bytes() + b"\0")

    class Launched(Exception):
        pass

    def launch(recipe: str, flags: list[str], log: Path) -> None:
        assert recipe == "demo/two_stage_ewc.yaml"
        assert flags[flags.index("--init_adapter") + 1] == str(weights.parent)
        assert not log.exists()  # the earlier run is gone
        raise Launched

    monkeypatch.setattr("mella_hf.training.arguments.launch.launch_recipe", launch)
    with pytest.raises(Launched):
        run_task(tasks[1])


def test_a_run_starts_when_what_it_goes_on_from_is_done(paths: DemoPaths, source: PictureSource) -> None:
    needs = {name: Task(name, paths, SCALE, source, variant, 2).needs for name, variant in VARIANTS.items()}
    second = dict.fromkeys((n for n in VARIANTS if n.startswith("two_stage")), ("ling_only", 2))
    assert needs == dict.fromkeys(("know_only", "ling_only", "joint")) | second | {
        "sdrrl": ("transfer", 0),
        "thick": ("thick_data", 0),
    }


def test_thick_descriptions_are_made_once_and_trained_on(paths: DemoPaths, source: PictureSource) -> None:
    from datasets import load_dataset

    made, task = Task("thick_data", paths, SCALE, source), Task("thick", paths, SCALE, source, VARIANTS["thick"])
    assert run_task(made) > 0 and run_task(made) == 0
    know = load_dataset("mella", "ar", split="know", data_dir=str(paths.dataset))
    thick = load_dataset("mella", "ar", split="ling", data_dir=str(made.folder))
    assert thick["id"][:] == know["id"][:] and set(thick["source"]) == {"ling"}
    for row, alt_text in zip(thick.remove_columns("image"), know["text"], strict=True):
        assert row["text"].startswith(alt_text) and row["captioner"] == "CLDR keywords"
    assert run_task(task) > 0
    training = json.loads((task.folder / "train" / "training.json").read_text("utf-8"))
    assert training["samples"] == {"ling": 5}


def test_errors_come_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(MellaError, match="Unknown language 'xx'"):
        run_ablation("xx", tmp_path / "out")
    with pytest.raises(MellaError, match="Unknown variant 'three_stage'; choose among know_only"):
        run_ablation("ar", tmp_path / "out", variants=["three_stage"])
    with pytest.raises(MellaError, match="give at least one, and each only once"):
        run_ablation("ar", tmp_path / "out", seeds=[1, 1])
    with pytest.raises(MellaError, match="Second stages continue from ling_only"):
        run_ablation("ar", tmp_path / "out", variants=["two_stage"])
    assert not (tmp_path / "out").exists()
