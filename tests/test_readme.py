"""What the README shows exists and runs: its commands, its folders, its Python."""

import ast
import configparser
import inspect
import re
import subprocess
from pathlib import Path

import pytest
import typer
import yaml
from pictures import png

import mella_hf
from mella_hf.cli import app
from mella_hf.dataset.card.card import write_card
from mella_hf.dataset.write import write_split
from mella_hf.sample import SPLITS, make_sample

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def table(title: str) -> str:
    """The table under a heading."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset where the demo leaves it, of generated pictures."""
    home = tmp_path_factory.mktemp("home")
    for number, split in enumerate(SPLITS):
        rows = [
            make_sample(
                image=png(10 * number + i), text=f"جسر قديم {i}", language="ar", source=split.removesuffix("_test"),
                width=128, height=96, license="CC0-1.0",
            )
            for i in range(2)
        ]  # fmt: skip
        write_split(rows, home / "outputs/demo/mella", "ar", split)
    write_card(home / "outputs/demo/mella")
    return home


def test_each_command_is_listed_and_each_listed_one_exists() -> None:
    listed = set(re.findall(r"`mella ([a-z][a-z0-9-]*)", table("Commands")))
    assert listed == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_each_folder_is_mapped_and_each_mapped_one_exists() -> None:
    mapped = {folder for line in table("Map").splitlines() for folder in re.findall(r"`([\w/]+)/`", line[:40])}
    assert [folder for folder in sorted(mapped) if not (ROOT / folder).is_dir()] == []
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    parents = {Path(name).parent.parts for name in tracked.splitlines()}
    top = {parts[0] for parts in parents if parts and not parts[0].startswith(".")}
    packages = {"/".join(parts[:2]) for parts in parents if len(parts) > 1 and parts[0] == "mella_hf"}
    assert top | packages == mapped


def test_each_module_of_the_library_is_mapped_and_each_mapped_one_exists() -> None:
    modules = {path.stem for path in (ROOT / "mella_hf").glob("*.py") if not path.stem.startswith("__")}
    assert set(re.findall(r"^\| `(\w+)` \|", table("Map"), re.MULTILINE)) == modules


def test_each_extra_is_listed_and_each_listed_one_exists() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    listed = {
        name for cell in re.findall(r"^\| (`.+?`) \|", table("Install"), re.MULTILINE) for name in cell.split(", ")
    }
    assert {name.strip("`") for name in listed} == set(setup["options.extras_require"])
    assert README.index("pip install") < README.index("```python")


def test_the_table_of_names_has_all_of_them_as_they_are_called() -> None:
    cells = re.findall(r"^\| (`.*?`) \|", table("From Python"), re.MULTILINE)
    calls = [ast.parse(code, mode="eval").body for cell in cells for code in re.findall(r"`([^`]+)`", cell)]
    named = {call.func.id if isinstance(call, ast.Call) else call.id for call in calls}  # type: ignore[attr-defined]
    assert named == set(dir(mella_hf)) - {"__version__"}
    for call in calls:
        if isinstance(call, ast.Call):
            signature = inspect.signature(getattr(mella_hf, call.func.id))  # type: ignore[attr-defined]
            signature.bind(*call.args, **{str(word.arg): word.value for word in call.keywords})


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"^ {4}make (\w+)", README, re.MULTILINE)) <= targets


def test_files_of_the_launch_command_exist() -> None:
    files = re.findall(r"recipes/[\w/.]+\.(?:py|yaml)", README)
    assert len(files) >= 3
    for name in files:
        text = (ROOT / name).read_text("utf-8")
        assert text if name.endswith(".py") else isinstance(yaml.safe_load(text), dict)


def test_loading_runs(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(home)
    (block,) = [code for code in PYTHON if 'load_dataset("mella"' in code]
    exec(compile(block, "README.md", "exec"), {})
    assert "جسر قديم" in capsys.readouterr().out
    (without_import,) = re.findall(r"`(load_dataset\(\"outputs.*?\))`", README)
    loaded = eval(without_import, {"load_dataset": __import__("datasets").load_dataset})
    assert {split: len(rows) for split, rows in loaded.items()} == dict.fromkeys(SPLITS, 2)


def test_the_metric_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = [code for code in PYTHON if "MellaMetric" in code]
    exec(compile(block, "README.md", "exec"), {})
    meteor, keywords, signature = capsys.readouterr().out.split(maxsplit=2)
    assert float(keywords) == 100.0 and float(meteor) > 99 and signature.startswith("mella|")
