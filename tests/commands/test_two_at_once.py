"""Commands that write runs and models: a second one in a folder is told who is at it, before it loads a model."""

import os
from pathlib import Path

import pytest
from dataset_samples import record

from mella_hf.cli import main
from mella_hf.dataset.write import write_split
from mella_hf.locks import NAME, sole_use, sole_writer

COMMANDS = {
    "evaluate": "evaluate --base org/none --languages ar --data-dir DATA --out OUT",
    "distill": "distill --base org/none --language ar --data-dir DATA --translator org/none --out OUT",
    "convert-internvl2": "convert-internvl2 org/none OUT",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_second_one_is_told_who_the_first_is(name: str, tmp_path: Path) -> None:
    for number, split in enumerate(("know", "ling", "know_test", "ling_test")):
        write_split([record(number, source=split.removesuffix("_test"))], tmp_path / "data", "ar", split)
    out = tmp_path / "out"
    lock = tmp_path / ".out.lock" if name == "convert-internvl2" else out / NAME
    words = COMMANDS[name].replace("OUT", str(out)).replace("DATA", str(tmp_path / "data"))
    with sole_use(lock, out, f"mella {name}"), pytest.raises(SystemExit) as end:
        main(words.split())
    assert f"{out} is in use by mella {name}: process {os.getpid()} on " in str(end.value.code)


def test_the_processes_of_a_launcher_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sole_writer(tmp_path, "mella evaluate"):
        monkeypatch.setenv("RANK", "1")
        with sole_writer(tmp_path, "mella evaluate"):
            pass
        assert (tmp_path / NAME).is_file()
    assert not (tmp_path / NAME).exists()
