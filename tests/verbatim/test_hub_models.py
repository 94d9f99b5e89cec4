"""Models under their real names, as the Hub gives them: in shards, at revisions, gated, private, busy and broken."""

import shutil
from pathlib import Path

import pytest
from local_hub import READ_TOKEN
from verbatim.exceptions import SHORT, TINY
from verbatim.fresh import Done, Reader
from verbatim.scenario import Scenario

pytestmark = pytest.mark.documents

QWEN = "Qwen/Qwen2-VL-7B-Instruct"
# What reads a model, by what it does with it. BASE is the model's name.
READERS = {
    "evaluate": f"mella evaluate --base BASE --languages ar --data-dir outputs/mella --out outputs/read{SHORT}",
    "train": f"mella train joint --model_name_or_path BASE --languages ar{TINY}",
    "distill": "mella distill --base BASE --language ar --max-samples 2 --out outputs/read --translator deepl",
    "describe": "mella describe images/ --out outputs/read --languages ar --captioner BASE --no-qe --translator deepl",
}


@pytest.fixture
def home(scenario: Scenario, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scenario.home, tmp_path / "home", symlinks=True))


@pytest.fixture(scope="module", autouse=True)
def repos(scenario: Scenario) -> None:
    """The base once more: behind a gate, in private, on a Hub that is broken, and with an older commit that is tagged.

    Only here are these read, so that no cache has them.
    """
    base = scenario.folder / "models" / QWEN.replace("/", "--")
    scenario.hub.add("models/org/gated", base, gated="manual")
    scenario.hub.add("models/org/private", base, private=True)
    scenario.hub.add("models/org/broken", base)
    old = scenario.hub.add("models/org/versions", base)
    scenario.hub.repos["models/org/versions"].refs["v1"] = old
    note = scenario.folder / "note"
    note.mkdir()
    (note / "config.json").write_text("{}")
    scenario.hub.add("models/org/versions", note)  # main is broken, v1 is not


def read(reader: Reader, home: Path, command: str, base: str, **variables: str) -> Done:
    """What a command says that reads a model."""
    return reader.warm(command.replace("BASE", base).split(), home, reader.environment.extras, variables)


def one_line(done: Done) -> str:
    """The error of a command that ended with one."""
    assert done.status == 1, done.output[-3000:]
    assert "Traceback" not in done.output, done.output[-3000:]
    last = done.output.strip().splitlines()[-1]
    assert last.startswith("error: "), last
    return last


@pytest.mark.parametrize("name", READERS)
def test_a_gate_and_a_broken_hub_are_one_line(name: str, reader: Reader, scenario: Scenario, home: Path) -> None:
    gate = one_line(read(reader, home, READERS[name], "org/gated", HF_TOKEN=READ_TOKEN))
    assert "org/gated" in gate and ("ask for access" in gate or "gated" in gate.lower()), gate
    scenario.hub.fail("(GET|HEAD) /org/broken/resolve/.*/config.json", 501, 20)
    try:
        assert "org/broken" in one_line(read(reader, home, READERS[name], "org/broken"))
    finally:
        scenario.hub.faults.clear()


def test_a_private_base_is_read_by_who_may(reader: Reader, home: Path) -> None:
    hidden = one_line(
        read(reader, home, READERS["evaluate"], "org/private", HF_TOKEN="", HF_HUB_DISABLE_IMPLICIT_TOKEN="1")
    )
    assert "org/private" in hidden and "hf auth login" in hidden
    done = read(reader, home, READERS["evaluate"], "org/private", HF_TOKEN=READ_TOKEN)
    assert done.status == 0, done.output[-3000:]


def test_a_revision_is_read_and_a_busy_hub_is_asked_again(reader: Reader, scenario: Scenario, home: Path) -> None:
    one_line(read(reader, home, READERS["evaluate"], "org/versions"))
    scenario.hub.fail("GET /org/versions/resolve/.*/model-00001-of", 429, 1, Retry_After="1")
    scenario.hub.fail("HEAD /org/versions/resolve/.*/config.json", 503, 1)
    done = read(reader, home, f"{READERS['evaluate']} --revision v1", "org/versions")
    assert done.status == 0, done.output[-3000:]
    assert all(not fault.times for fault in scenario.hub.faults)
    assert scenario.hub.counted("GET /org/versions/resolve/.*/model-00001-of") == 2


def test_every_large_model_of_the_documents_is_in_shards(scenario: Scenario) -> None:
    for name, repo in scenario.hub.repos.items():
        if name.startswith(("models/Qwen/", "models/OpenGVLab/", "models/facebook/", "models/google/madlad")):
            files = repo.commits[repo.refs["main"]]
            assert "model.safetensors.index.json" in files, name
            assert sum(file.endswith(".safetensors") for file in files) > 1, name
