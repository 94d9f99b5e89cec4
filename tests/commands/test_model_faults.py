"""What the machine refuses, for the commands that read or write models and runs, as in `test_faults`."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from caption_server import CaptionServer
from dataset_samples import record
from pictures import png
from test_faults import COMMANDS as OTHERS
from test_faults import ended, file_limit, one_line, without_roots_powers

from mella_hf.cli import app, main
from mella_hf.dataset.write import write_split
from mella_hf.locks import sole_use


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        words: what to type; IN is the folder of inputs, OUT what is written.
        made: a file that is there when it has worked, below OUT.
        reads: the input that is made unreadable.
        begins: what of IN is copied to OUT before.
        limit: bytes that its largest file is longer than.
        room: bytes of a disk that is soon full, of 64 KB.
    """

    words: str
    made: str
    reads: str
    begins: str = ""
    limit: int = 100
    room: int = 0


COMMANDS = {
    "evaluate": Command(
        "evaluate --base IN/base --languages ar --data-dir IN/dataset --out OUT --know-tokens 2 --ling-tokens 2 "
        "--no-check-references",
        "scores.json",
        "dataset/ar/know_test-00000-of-00001.parquet",
        limit=2_000,
        room=8_192,
    ),
    "distill": Command(
        "distill --base IN/base --language ar --data-dir IN/dataset --translator stand-in --out OUT",
        "turns.jsonl",
        "base/config.json",
        limit=1_000,
        room=24_576,
    ),
    "convert-internvl2": Command(
        "convert-internvl2 IN/internvl2 OUT/model",
        "model/config.json",
        "internvl2/config.json",
        limit=2_000,
        room=8_192,
    ),
    "report": Command("report IN/run --out OUT/report.html", "report.html", "run/scores.json", limit=2_000),
    "relevance": Command(
        "relevance OUT --model IN/encoder --workers 0", "relevance.html", "encoder/config.json", "dataset", limit=2_000
    ),
    "push": Command(
        "push OUT/adapter org/adapter --evaluation IN/run --license mit",
        "adapter-hub/README.md",
        "run/scores.json",
        "trained",
        limit=2_000,
    ),
    "judge": Command(
        "judge OUT --endpoint URL --model stand-in --data-dir IN/dataset",
        "judge.json",
        "dataset/ar/know_test-00000-of-00001.parquet",
        "run",
        limit=1_000,
    ),
    "describe": Command(
        "describe IN/pictures --out OUT --languages ar --captioner m --endpoint URL --translator stand-in --no-qe "
        "--test-size 0",
        "README.md",
        "pictures/1.png",
        limit=1_000,
    ),
    "train": Command(
        "train --config IN/recipe.yaml --model_name_or_path IN/base --data_dir IN/dataset --languages ar "
        "--output_dir OUT/run",
        "run/training.json",
        "dataset/ar/know-00000-of-00001.parquet",
        limit=20_000,
        room=30_000,
    ),
}
FRESH = [name for name, command in COMMANDS.items() if not command.begins]
LOCKS = {"judge": ".mella.lock", "describe": ".describe/lock.json"}  # below OUT
NOT_HERE = {
    "demo": "runs the others", "ablation": "runs the others", "info": "reads only", "try": "prints answers",
    "verify": "keeps its state elsewhere where the folder may not be written: tests/dataset/test_verify.py",
    "publish": "writes to the Hub: tests/dataset/test_hub.py",
}  # fmt: skip
RECIPE = {
    "max_length": None, "use_peft": True, "lora_r": 2, "max_steps": 1, "save_steps": 1, "report_to": "none",
    "use_cpu": True, "bf16": False, "gradient_checkpointing": False, "per_device_train_batch_size": 2,
}  # fmt: skip


ENGLISH = "A small brown bird stands on a thin branch in front of a white wall, and its head is black."
ARABIC = "يقف طائر بني صغير على غصن رفيع أمام جدار أبيض، ورأسه أسود."


class StandInTranslator:
    """Says one of two things; no model."""

    name, version, max_chars, batch_size = "stand-in", "1", 1000, 100

    def translate(self, texts: list[str], source: str, target: str) -> list[str]:
        return [ARABIC if text == ENGLISH else "بيت قديم" for text in texts]


def judge(image: Any, prompt: str) -> str:
    """Scripted, no model."""
    if "JSON" not in prompt:
        return ENGLISH
    return json.dumps({"unsupported": [], "adequacy": 4, "fluency": 4})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, tiny_qwen2vl: Path) -> Path:
    from internvl2_original import build_checkpoint
    from tiny_encoders import tiny_encoder
    from tiny_qwen2vl import save_random_adapter

    folder = tmp_path_factory.mktemp("inputs") / "in"
    for number, split in enumerate(("know", "ling", "know_test", "ling_test")):
        rows = [record(10 * number + i, source=split.removesuffix("_test")) for i in range(3)]
        write_split(rows, folder / "dataset", "ar", split)
    shutil.copytree(tiny_qwen2vl, folder / "base")
    save_random_adapter(folder / "base", folder / "trained" / "adapter", seed=1)
    build_checkpoint(folder / "internvl2")
    tiny_encoder(folder / "encoder")
    (folder / "pictures").mkdir()
    for number in range(2):
        (folder / "pictures" / f"{number}.png").write_bytes(png(number))
    (folder / "recipe.yaml").write_text(json.dumps(RECIPE))
    words = COMMANDS["evaluate"].words.replace("IN", str(folder)).replace("OUT", str(folder / "run"))
    with pytest.raises(SystemExit) as end:
        main([*words.split(), "--adapter", str(folder / "trained" / "adapter")])
    assert end.value.code == 0
    return folder


@pytest.fixture
def judge_server() -> Iterator[CaptionServer]:
    with CaptionServer(judge) as server:
        yield server


@pytest.fixture
def place(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `in`, and `out` not there yet; translating and the Hub are stand-ins."""
    for module in ("translate", "describe", "describe_stages"):
        monkeypatch.setattr(f"mella_hf.ling.{module}.open_translator", lambda *given: StandInTranslator())
    monkeypatch.setattr("mella_hf.hub.push.require_pushable", lambda repo: None)  # tests are offline
    monkeypatch.setattr("mella_hf.hub.push.push_adapter", lambda folder, repo, **how: f"stand-in:{repo}")
    shutil.copytree(inputs, tmp_path / "in")
    return tmp_path


@pytest.fixture
def run(place: Path, judge_server: CaptionServer) -> Callable[[str], str | None]:
    """Runs a command: what it ends with, as a user sees it; None if it ends well."""

    return lambda name: ended(COMMANDS[name].words.replace("URL", judge_server.url), place)


def begin(name: str, place: Path) -> None:
    """Copy into OUT what has to be there before the command starts."""
    begins = COMMANDS[name].begins
    if begins:
        shutil.copytree(place / "in" / begins, place / "out", dirs_exist_ok=True)


def goes_on(name: str, place: Path, run: Callable[[str], str | None]) -> None:
    assert run(name) is None
    assert (place / "out" / COMMANDS[name].made).is_file()


def test_no_command_is_forgotten() -> None:
    """A command that is new has to be added to the table here or in `test_faults`, or to what is left out."""
    tried = {command.words.split()[0] for command in (*COMMANDS.values(), *OTHERS.values())}
    assert tried.isdisjoint(NOT_HERE)
    assert tried | NOT_HERE.keys() == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "lock"), LOCKS.items())
def test_a_second_one_is_told_who_the_first_is(name: str, lock: str, place: Path, run: Any) -> None:
    begin(name, place)
    with sole_use(place / "out" / lock, place / "out", f"mella {name}"):
        said = one_line(run(name))
    assert f"out is in use by mella {name}: process {os.getpid()} on " in said
    goes_on(name, place, run)


@pytest.mark.parametrize("name", FRESH)
def test_out_is_a_file(name: str, place: Path, run: Any) -> None:
    (place / "out").write_text("mine")
    assert str(place / "out") in one_line(run(name))
    assert (place / "out").read_text() == "mine"
    (place / "out").unlink()
    goes_on(name, place, run)


@pytest.mark.parametrize("name", COMMANDS)
def test_out_may_not_be_written(name: str, place: Path, run: Any) -> None:
    (place / "out").mkdir()
    begin(name, place)
    (place / "out").chmod(0o555)
    with without_roots_powers():
        said = one_line(run(name))
    assert "Permission denied" in said and str(place / "out") in said
    (place / "out").chmod(0o755)
    goes_on(name, place, run)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_input_may_not_be_read(name: str, place: Path, run: Any) -> None:
    begin(name, place)
    path = place / "in" / COMMANDS[name].reads
    path.chmod(0)
    with without_roots_powers():
        said = one_line(run(name))
    assert "Permission denied" in said and path.name in said
    path.chmod(0o644)
    goes_on(name, place, run)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_becomes_too_large(name: str, place: Path, run: Any) -> None:
    begin(name, place)
    with file_limit(COMMANDS[name].limit):
        said = one_line(run(name))
    assert ("File too large" in said or "disk I/O error" in said) and "ulimit -f" in said  # SQLite says no more
    goes_on(name, place, run)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_disk_is_full(name: str, place: Path, run: Any) -> None:
    (place / "out").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place / "out")])
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        begin(name, place)
        free = shutil.disk_usage(place / "out").free
        with open(place / "out" / "full", "wb") as file:
            file.write(bytes(max(0, free - COMMANDS[name].room)))
        said = one_line(run(name))
        assert any(words in said for words in ("No space left on device", "Free some space", "The disk is full"))
        (place / "out" / "full").unlink()
        goes_on(name, place, run)
    finally:
        subprocess.run(["umount", str(place / "out")], check=True)
