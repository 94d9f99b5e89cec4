"""Write the folder of task definitions that lmms-eval takes with `--include_path`."""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mella_hf.files import write_atomic
from mella_hf.languages import get_language, language_codes
from mella_hf.languages.codes import read_codes

SOURCES = ("know", "ling")
COMMON = Path(__file__).parent / "common"  # what all tasks of a source have in common
_TASK = """\
include: _{source}_yaml
task: mella_{code}_{source}
tag: [mella, mella_{source}, mella_{code}]
dataset_name: {code}
metadata: !function mella_hf.evaluation.lmms_eval.version.{code}
"""


def write_tasks(languages: str | Sequence[str] | None = None, folder: Path | None = None) -> Path:
    """Write two tasks a language, `mella_{language}_{source}`, and what they include. Returns the folder.

    Args:
        languages: codes; by default those with prompts by speakers, and your own.
        folder: where; by default a folder for these languages among the temporary files.

    Raises:
        UnknownLanguageError: for a code without an entry.
    """
    codes = language_codes() if languages is None else read_codes(languages)
    texts = {path.name: path.read_text("utf-8") for path in COMMON.iterdir() if path.is_file()}
    for code in codes:
        for source in SOURCES:
            texts[f"mella_{code}_{source}.yaml"] = _TASK.format(code=get_language(code).code, source=source)
    if folder is None:
        name = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"mella_lmms_eval_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomic(folder / name, text)
    return folder
