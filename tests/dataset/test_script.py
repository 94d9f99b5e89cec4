"""`dataset_scripts/mella.py` as a loading script, in an environment of its own with datasets 3.6.

    python -m venv .venv-datasets36 && .venv-datasets36/bin/pip install datasets==3.6.0 pillow

makes that environment; `$MELLA_DATASETS36` may name the Python of another one.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "dataset_scripts" / "mella.py"
VERSION = "3.6.0"


@pytest.fixture(scope="session")
def python36() -> str:
    """The Python of an environment with datasets 3.6."""
    python = os.environ.get("MELLA_DATASETS36") or str(SCRIPT.parents[1] / ".venv-datasets36" / "bin" / "python")
    if not Path(python).exists():
        pytest.skip(f"no environment with datasets {VERSION} at {python}; the top of this file says how to make it")
    return python


def run(python: str, code: str, cache: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "HF_HUB_OFFLINE")}
    environment |= {"HF_DATASETS_CACHE": str(cache), "HF_HOME": str(cache), "PYTHONUTF8": "1", "HF_HUB_OFFLINE": "1"}
    # At once: on a busy machine, a thread has aborted the interpreter at its end, after all was printed.
    code += "\nimport os, sys; sys.stdout.flush(); os._exit(0)"
    done = subprocess.run([python, "-c", code], env=environment, capture_output=True, text=True, cwd=cache)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def code(folder: Path, options: str = "") -> str:
    return (
        "import json, datasets; from datasets import load_dataset\n"
        f"assert datasets.__version__ == {VERSION!r}\n"
        "try:\n"
        f"    d = load_dataset({str(SCRIPT)!r}, 'ar', data_dir={str(folder)!r}, trust_remote_code=True{options})\n"
        "except ValueError as error:\n"
        "    print(type(error).__name__, error); raise SystemExit\n"
    )


def test_all_splits(python36: str, published: Path, tmp_path: Path) -> None:
    out = run(python36, code(published) + "print(json.dumps({k: len(v) for k, v in d.items()}))", tmp_path)
    assert json.loads(out) == {"know": 600, "ling": 5, "know_test": 4, "ling_test": 3}


def test_rows(python36: str, published: Path, tmp_path: Path) -> None:
    """The same rows as datasets 5 gives, images and types included."""
    import datasets

    import mella_hf  # noqa: F401

    show = (
        "print(json.dumps([[r['id'], r['text'], r['image'].size, r['category']] for r in d]))\n"
        "print(str(d.features['image'])[:5], d.features['qe_score'].dtype, d.features['collected_at'].dtype)\n"
    )
    rows, types = run(python36, code(published, ", split='ling'") + show, tmp_path).splitlines()
    here = datasets.load_dataset("mella", "ar", data_dir=str(published), split="ling", cache_dir=str(tmp_path / "5"))
    assert json.loads(rows) == [[r["id"], r["text"], list(r["image"].size), r["category"]] for r in here]
    assert types == "Image float32 string"


def test_streaming_slices_and_resize(python36: str, published: Path, tmp_path: Path) -> None:
    stream = code(published, ", split='know', streaming=True, resize=48")
    assert run(python36, stream + "r = next(iter(d)); print(r['image'].size)", tmp_path) == "(48, 32)\n"
    piece = code(published, ", split='know[:7]+ling', num_proc=2, columns=['text']")
    assert run(python36, piece + "print(len(d), d.column_names)", tmp_path) == "12 ['text']\n"


def test_errors(python36: str, published: Path, tmp_path: Path) -> None:
    assert "MellaError Unknown split 'train'; the config 'ar' has know, ling, know_test, ling_test." in run(
        python36, code(published, ", split='train'"), tmp_path
    )
    assert "holds no dataset" in run(python36, code(tmp_path), tmp_path)


def test_a_published_folder_without_any_script(python36: str, published: Path, tmp_path: Path) -> None:
    plain = f"from datasets import load_dataset\nprint(len(load_dataset({str(published)!r}, 'all', split='know')))"
    assert run(python36, plain, tmp_path) == "607\n"


def test_shards_without_their_folder(python36: str, published: Path, tmp_path: Path) -> None:
    """Their metadata is in words that datasets 2.21, 3.6, 4.8 and 5.2 understand; 2.21 and 4.8 were tried by hand."""
    files = f"load_dataset('parquet', data_files={str(published / 'ar' / 'ling-*.parquet')!r}, split='train')"
    show = "print(len(d), d[0]['image'].size, d.features['category'])"
    out = run(python36, f"from datasets import load_dataset\nd = {files}\n{show}", tmp_path)
    assert out == "5 (96, 64) Sequence(feature=Value(dtype='string', id=None), length=-1, id=None)\n"
