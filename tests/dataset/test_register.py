"""`import mella_hf` is light, and makes "mella" known to `datasets` whichever is imported first."""

import subprocess
import sys
from pathlib import Path

import pytest

import mella_hf


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    import os

    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light() -> None:
    code = (
        "import sys, mella_hf\n"
        "heavy = {'torch', 'datasets', 'pyarrow', 'numpy', 'transformers', 'PIL', 'jinja2', 'yaml', 'typer'}\n"
        "print(heavy & set(sys.modules), sum(name.startswith('mella_hf') for name in sys.modules) < 10)"
    )
    assert python(code) == "set() True\n"


CONFIGS = "from datasets import get_dataset_config_names; print(get_dataset_config_names('mella'))\n"


@pytest.mark.parametrize(
    "code",
    [
        "import mella_hf\n" + CONFIGS,
        "import datasets, mella_hf\n" + CONFIGS,
        "import datasets.load, mella_hf\n" + CONFIGS,
        "from datasets import load_dataset\nimport mella_hf, importlib; importlib.reload(mella_hf)\n" + CONFIGS,
    ],
    ids=["before", "after", "after-load", "twice"],
)
def test_either_order_registers(code: str) -> None:
    assert python(code) == "['ar', 'cs', 'hu', 'ko', 'ru', 'sr', 'th', 'vi', 'all']\n"


def test_other_datasets_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    code = (
        "import mella_hf\nfrom datasets import load_dataset\n"
        f"print(load_dataset('json', data_files={str(tmp_path / 'rows.jsonl')!r}, split='train')['a'][:])"
    )
    assert python(code, HF_DATASETS_CACHE=str(tmp_path / "cache")) == "[1, 2]\n"


def test_the_finder_steps_aside_once_datasets_is_there() -> None:
    code = "import sys, mella_hf; n = len(sys.meta_path); import datasets; print(n - len(sys.meta_path) >= 1)"
    assert python(code) == "True\n"


def test_a_version_of_datasets_without_the_hook_is_a_clear_error(tmp_path: Path) -> None:
    package = tmp_path / "datasets"
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = '9.0'\nfrom . import load\n")
    (package / "load.py").write_text("class DatasetModule: ...\n")
    code = "import mella_hf\ntry:\n    import datasets\nexcept ImportError as error:\n    print(error)"
    search = f"{tmp_path}:{Path(mella_hf.__file__).parents[1]}"
    assert python(code, PYTHONPATH=search) == (
        "datasets 9.0 has no dataset_module_factory, through which mella_hf makes 'mella' known to load_dataset. "
        "Install a version that was tried: pip install 'datasets>=4.8.5,<6'.\n"
    )


def test_public_names() -> None:
    assert sorted(mella_hf._HOMES) == sorted(set(mella_hf.__all__) - {"__version__"})
    assert mella_hf.get_language("ar").name == "Arabic"
    assert "write_split" in dir(mella_hf)
    with pytest.raises(AttributeError, match="module 'mella_hf' has no attribute 'nothing'"):
        mella_hf.nothing  # noqa: B018


def test_registering_again_changes_nothing() -> None:
    from datasets import load

    before = sys.meta_path.copy(), load.dataset_module_factory
    mella_hf.dataset.register.register()  # type: ignore[attr-defined]
    assert (sys.meta_path, load.dataset_module_factory) == before
