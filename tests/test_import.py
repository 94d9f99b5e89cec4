"""What `import mella_hf` gives, and what it costs."""

import subprocess
import sys
from pathlib import Path

import mella_hf

PUBLIC = {
    "Language", "LengthBuckets", "MellaError", "MellaMetric", "MellaTrainer", "__version__", "build_dataset", "collect",
    "conversations", "dataset_info", "describe", "evaluate", "get_language", "language_codes", "make_sample", "publish",
    "push_adapter", "register_language", "report", "review", "train", "write_split",
}  # fmt: skip
HEAVY = ("torch", "transformers", "datasets", "pyarrow", "trl", "numpy", "typer", "yaml", "PIL", "requests")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_costs_nothing() -> None:
    code = f"import mella_hf, sys; print([name for name in {HEAVY} if name in sys.modules])"
    assert run(code) == "[]\n"


def test_dir_shows_the_public_names_and_nothing_else() -> None:
    assert set(dir(mella_hf)) == PUBLIC == set(mella_hf.__all__)


def test_every_name_is_there_whatever_was_imported_before() -> None:
    """A subpackage of the name of a function would take its place: `mella_hf.review` must stay callable."""
    code = (
        "import pkgutil, mella_hf\n"
        "names = [m.name for m in pkgutil.iter_modules(mella_hf.__path__)]\n"
        "for name in ('evaluation', 'training', 'reviewing', 'dataset', 'languages'):\n"
        "    __import__(f'mella_hf.{name}')\n"
        "print(sorted(set(names) & set(dir(mella_hf))))\n"
        "print([n for n in dir(mella_hf) if n != '__version__' and not callable(getattr(mella_hf, n))])\n"
    )
    assert run(code) == "[]\n[]\n"


def test_the_package_is_typed() -> None:
    assert (Path(mella_hf.__file__).parent / "py.typed").is_file()
