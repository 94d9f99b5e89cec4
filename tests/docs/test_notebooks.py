"""The notebooks run from top to bottom, one after the other, on a tiny model and a Hub on loopback."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from local_hub import LocalHub
from nbclient import NotebookClient

from mella_hf.dataset.card.card import write_card
from mella_hf.dataset.write import write_split
from mella_hf.sample import SPLITS

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "docs/notebooks"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny_qwen2vl: Path, make_rows: Callable[..., Any]) -> Path:
    """A folder with what `make demo` leaves: a dataset, and a base."""
    from datasets import Image

    home = tmp_path_factory.mktemp("home")
    (home / "outputs/demo/ar/base").mkdir(parents=True)
    (home / "outputs/demo/ar/base/model").symlink_to(tiny_qwen2vl)
    for number, split in enumerate(SPLITS):
        count = 4 if split.endswith("_test") else 10
        rows = make_rows(count, source=split.removesuffix("_test"), start=40 * number)
        write_split(rows.cast_column("image", Image(decode=False)), home / "outputs/demo/mella", "ar", split)
    write_card(home / "outputs/demo/mella")
    return home


def run(name: str, home: Path, environment: dict[str, str]) -> list[str]:
    """Run a notebook in a kernel of its own; what each code cell printed and showed."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    nbformat.validate(notebook)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(home)}})
    client.execute(env={**os.environ, **environment, "PYTHONPATH": str(ROOT)})
    return ["".join(_shown(cell)) for cell in notebook.cells if cell.cell_type == "code"]


def _shown(cell: Any) -> list[str]:
    results = [output.get("data", {}) for output in cell.outputs]
    printed = [output.text for output in cell.outputs if output.get("name") == "stdout"]
    return printed + [str(result) for result in results]


def test_the_notebooks_run(home: Path, tmp_path: Path) -> None:
    with LocalHub(tmp_path / "hub") as hub:
        environment = hub.environment(tmp_path / "cache")
        looked = run("load.ipynb", home, environment)
        trained = run("train.ipynb", home, environment)
        evaluated = run("evaluate.ipynb", home, environment)
        assert set(hub.files("models/org/mella-ar")) >= {
            "README.md",
            "adapter_model.safetensors",
            "adapter_config.json",
        }
    assert "know: 10 samples" in looked[2] and "image/png" in looked[1]
    assert "eval_meteor" in trained[5] and "eval_keyword_micro" in trained[5]
    assert (home / "outputs/notebooks/adapter/adapter_model.safetensors").is_file()
    assert "text/html" in evaluated[1] and (home / "outputs/notebooks/evaluation/report.html").is_file()
    assert "/org/mella-ar/commit/" in evaluated[3]
    assert "->" in evaluated[5]


def test_no_notebook_holds_outputs() -> None:
    for path in NOTEBOOKS.glob("*.ipynb"):
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        assert cells and not any(cell.outputs or cell.execution_count for cell in cells), path.name
