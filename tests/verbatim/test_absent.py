"""Each package of each extra absent, one at a time: the command that needs it names the extra, in one line."""

import json
import shutil
from pathlib import Path

import pytest
from verbatim.fresh import Reader
from verbatim.scenario import Scenario

from mella_hf.errors import EXTRAS

pytestmark = pytest.mark.documents

TRAIN = (
    "mella train joint --model_name_or_path Qwen/Qwen2-VL-7B-Instruct --use_cpu true --bf16 false --dtype float32 "
    "--max_steps 1 --max_samples 2"
)
COLLECT = "mella collect --pages saved --base-url https://example.org/ --languages th --out collected --texts-only"
REVIEW = "mella review outputs/mella --reviewer layla"
# Module -> the command that cannot do without it.
NEEDED_BY = {
    "Stemmer": "mella score ar.jsonl --language ar",
    "aiohttp": "mella evaluate --endpoint http://127.0.0.1:9/v1 --base x --languages ar --out e",
    "bitsandbytes": f"{TRAIN} --load_in_4bit true",
    "cchardet": COLLECT,
    "deepspeed": "mella train joint --model_name_or_path Qwen/Qwen2-VL-7B-Instruct --accelerate-config zero1",
    "distributed": "mella build RELEASE --source release --languages ar --out built --cluster tcp://127.0.0.1:9",
    "fastwarc": COLLECT,
    "google.protobuf": "mella convert-internvl2 OpenGVLab/InternVL2-8B converted",
    "h11": REVIEW,
    "kiwipiepy": "mella score ko.jsonl --language ko",
    "protego": COLLECT,
    "pythainlp": "mella score th.jsonl --language th",
    "rapidfuzz": "mella score ar.jsonl --language ar",
    "starlette": REVIEW,
    "tensorboard": f"{TRAIN} --report_to tensorboard",
    "turbohtml": COLLECT,
    "uvicorn": REVIEW,
    "webencodings": COLLECT,
}
TEXTS = {"ar": "كنافة نابلسية على طبق", "ko": "김치찌개와 밥", "th": "ต้มยำกุ้งในชามสีขาว"}


@pytest.fixture(scope="module")
def home(scenario: Scenario) -> Path:
    """The reader's folder, with answers in three languages."""
    home = scenario.folder / "homes" / "absent"
    shutil.copytree(scenario.home, home, symlinks=True)
    for code, text in TEXTS.items():
        row = {"prediction": f"{text} {text}", "reference": text, "id": "1"}
        (home / f"{code}.jsonl").write_text(json.dumps(row) + "\n")
    return home


@pytest.mark.parametrize("module", NEEDED_BY)
def test_the_command_names_the_extra(module: str, reader: Reader, home: Path) -> None:
    package, _ = EXTRAS[module]
    installed = set(reader.environment.extras)
    done = reader.warm(NEEDED_BY[module].split(), home, installed, {"ABSENT": f"{module} tensorboardX"})
    assert done.status == 1, done.output[-3000:]
    assert "Traceback" not in done.output, done.output[-3000:]
    last = done.output.strip().splitlines()[-1]
    assert last.startswith("error: ") and f"'{package}'" in last and "pip install 'mella_hf[" in last, last


@pytest.mark.parametrize("command", ["mella --help", "mella verify outputs/mella", "mella evaluate --help"])
def test_what_needs_no_extra_runs_without_any(command: str, reader: Reader, home: Path) -> None:
    done = reader.warm(command.split(), home)
    assert done.status == 0, done.output[-3000:]
