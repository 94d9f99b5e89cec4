"""Commands that write runs and models: a second one in a folder is told who is at it, before it loads a model."""

import os
from pathlib import Path

import pytest
import test_faults
import test_model_faults
import typer
from dataset_samples import record

from mella_hf.cli import app, main
from mella_hf.dataset.write import write_split
from mella_hf.locks import NAME, sole_use, sole_writer

COMMANDS = {  # what to type -> its lock
    "evaluate": ("--base org/none --languages ar --data-dir DATA --out OUT", "out/.mella.lock"),
    "distill": ("--base org/none --language ar --data-dir DATA --translator org/none --out OUT", "out/.mella.lock"),
    "convert-internvl2": ("org/none OUT", ".out.lock"),
    "train": (
        "joint --model_name_or_path org/none --languages ar --report_to none --use_cpu true --bf16 false "
        "--output_dir OUT",
        ".out.lock",
    ),
    "verify": ("DATA --workers 0", "data/.verify/.mella.lock"),
    "publish": ("DATA org/mella --workers 0", "data/.mella.lock"),
    "relevance": ("DATA --model org/none --workers 0", "data/.mella.lock"),
    "push": ("ADAPTER org/adapter --evaluation ADAPTER", ".adapter-hub.lock"),
    "demo": ("ar --out OUT", "out/.mella.lock"),
    "ablation": ("ar --out OUT", "out/.mella.lock"),
    "review": ("DATA --reviewer Ana", ".data.review.sqlite.lock"),
}
NO_LOCK = {
    "languages": "new writes one file, and refuses one that is there",
    "score": "writes one file, aside and then renamed",
    "report": "writes one file, aside and then renamed",
    "try": "prints answers",
    "info": "reads only",
}


def test_no_command_is_forgotten() -> None:
    """A command that is new has to be added to one of the tables, with its lock or why it needs none."""
    tables = (COMMANDS, test_faults.LOCKS, test_model_faults.LOCKS, NO_LOCK)
    assert sorted(name for table in tables for name in table) == sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_second_one_is_told_who_the_first_is(name: str, tmp_path: Path) -> None:
    for number, split in enumerate(("know", "ling", "know_test", "ling_test")):
        write_split([record(number, source=split.removesuffix("_test"))], tmp_path / "data", "ar", split)
    (tmp_path / "adapter").mkdir()
    words, lock = COMMANDS[name]
    for word, folder in (("OUT", "out"), ("DATA", "data"), ("ADAPTER", "adapter")):
        words = words.replace(word, str(tmp_path / folder))
    with sole_use(tmp_path / lock, tmp_path, f"mella {name}"), pytest.raises(SystemExit) as end:
        main([name, *words.split()])
    said = str(end.value.code)
    assert f" is in use by mella {name}: process {os.getpid()} on " in said and said.startswith(f"error: {tmp_path}")


def test_the_processes_of_a_launcher_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sole_writer(tmp_path, "mella evaluate"):
        monkeypatch.setenv("RANK", "1")
        with sole_writer(tmp_path, "mella evaluate"):
            pass
        assert (tmp_path / NAME).is_file()
    assert not (tmp_path / NAME).exists()
