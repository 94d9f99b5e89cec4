"""A base on the Hub: known by its commit, at the revision that is asked for or that the adapter was trained on."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from local_hub import READ_TOKEN, LocalHub
from tiny_qwen2vl import build_tiny_qwen2vl

REPO = "Qwen/Qwen2-VL-7B-Instruct"


@pytest.fixture(scope="module")
def hub(tiny_qwen2vl: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A Hub with two commits of a base: `old` is tagged v1, `new` is main."""
    folder = tmp_path_factory.mktemp("hub")
    other = build_tiny_qwen2vl(folder / "retrained", seed=7)
    with LocalHub(folder / "hub") as hub:
        hub.old = hub.add(f"models/{REPO}", tiny_qwen2vl)
        hub.repos[f"models/{REPO}"].refs["v1"] = hub.old
        hub.new = hub.add(f"models/{REPO}", other)
        hub.add("models/org/gated", tiny_qwen2vl, gated="manual")
        hub.add("models/org/private", tiny_qwen2vl, private=True)
        yield hub


def run(hub: LocalHub, home: Path, code: str, token: str | None = READ_TOKEN, **variables: str) -> list[Any]:
    """What code says: a JSON value a line."""
    import os

    environment = {**os.environ, **hub.environment(home, token), **variables}
    done = subprocess.run([sys.executable, "-c", PREAMBLE + code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


PREAMBLE = f"""
import json, shutil, sys
from pathlib import Path
from mella_hf.answers.identity import base_hash_like, check_adapter, content_hash, model_identity
from mella_hf.answers.models import load_model
from mella_hf.answers.systems import line_up
from mella_hf.errors import MellaError
REPO = {REPO!r}

def say(*values):
    print(*map(json.dumps, values), sep="\\n")

def error(action, *values, **more):
    try:
        action(*values, **more)
    except MellaError as problem:
        return str(problem)
    return None
"""


def test_a_base_on_the_hub_is_known_by_its_commit(hub: Any, tmp_path: Path) -> None:
    say = "say(content_hash(REPO), content_hash(REPO, 'v1'), model_identity(REPO, revision='main')['base_hash'])"
    assert run(hub, tmp_path / "home", say) == [hub.new, hub.old, hub.new]
    before = len(hub.requests)
    offline = "say(content_hash(REPO, 'v1'), error(content_hash, REPO, 'v2'), error(content_hash, 'org/unseen'))"
    known, unknown, unseen = run(hub, tmp_path / "home", offline, HF_HUB_OFFLINE="1")
    assert known == hub.old, "what the cache holds is known without the Hub"
    assert "HF_HUB_OFFLINE" in unknown and "HF_HUB_OFFLINE" in unseen
    assert len(hub.requests) == before


@pytest.mark.parametrize(("status", "page"), [(503, b""), (200, b"<html>Log in to the hotel</html>")])
def test_a_model_in_the_cache_loads_while_the_hub_does_not_answer(
    hub: Any, tmp_path: Path, status: int, page: bytes
) -> None:
    """Without the many tries of what transformers asks besides: two requests, then the cache."""
    run(hub, tmp_path / "home", "load_model(REPO, device='cpu')")
    before = len(hub.requests)
    hub.fail(".*", status, times=1000, page=page)
    try:
        code = "model, _ = load_model(REPO, device='cpu')\nsay(content_hash(REPO), model.config.model_type)"
        assert run(hub, tmp_path / "home", code) == [hub.new, "qwen2_vl"]
    finally:
        hub.faults.clear()
    assert len(hub.requests) - before == 2


def test_offline_by_the_variable_of_datasets_no_command_sends_a_request(hub: Any, tmp_path: Path) -> None:
    import os

    environment = {**os.environ, **hub.environment(tmp_path / "home"), "HF_DATASETS_OFFLINE": "1"}
    del environment["HF_HUB_OFFLINE"]
    before = len(hub.requests)
    for command in (["verify", "org/mella"], ["info", "org/mella"]):
        done = subprocess.run([sys.executable, "-m", "mella_hf", *command], env=environment, capture_output=True)
        said = b"error: Cannot read 'org/mella': HF_HUB_OFFLINE or HF_DATASETS_OFFLINE is set; unset it to reach"
        assert done.returncode == 1 and done.stderr.startswith(said) and done.stderr.count(b"\n") == 1
    assert len(hub.requests) == before


def test_what_the_hub_refuses_is_one_clear_error(hub: Any, tmp_path: Path) -> None:
    code = "say(*(error(content_hash, *asked) for asked in ([REPO, 'v3'], ['org/none'], ['no/such/folder'],"
    code += "['org/gated'], ['org/private'])))"
    revision, name, folder, gated, private = run(hub, tmp_path / "home", code, token=None)
    assert f"Cannot read the model {REPO!r}" in revision and "it has no such branch, tag or commit" in revision
    assert "check the name; a private repo also needs `hf auth login`" in name
    assert "give a folder that exists, or a name on the Hub, ORGANISATION/NAME" in folder
    assert "ask for access on its page" in gated
    assert "a private repo also needs `hf auth login`" in private


def test_an_adapter_is_answered_with_on_the_commit_it_was_trained_on(hub: Any, tmp_path: Path) -> None:
    code = """
from peft import LoraConfig, get_peft_model
model, processor = load_model(REPO, revision="v1", device="cpu")
trained = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], revision=content_hash(REPO, "v1")))
trained.save_pretrained("adapter")
first = trained.base_model.model.lm_head.weight
say(model_identity(REPO, "adapter")["base_hash"])
say([system.revision for system in line_up(REPO, "adapter")])
again = load_model(REPO, "adapter", device="cpu")[0].base_model.model.lm_head.weight
say(bool((first == again).all()), bool((first == load_model(REPO, device="cpu")[0].lm_head.weight).all()))
say(error(line_up, REPO, "adapter", revision="main"), error(line_up, REPO, "adapter", revision="v1"))
say(error(line_up, str(Path("adapter")), revision="v1"))
"""
    found = run(hub, tmp_path / "home", "import os; os.chdir(" + repr(str(tmp_path)) + ")\n" + code)
    identity, revisions, same, differs, wrong, tag, folder = found
    assert identity == hub.old and revisions == [hub.old] * 2
    assert same and not differs
    assert f"was trained on {REPO!r} at revision {hub.old}, not at main. Give --revision {hub.old}." in wrong
    assert tag is None, "the tag stands for that commit"
    assert "is in a folder; remove --revision" in folder


def test_a_base_that_was_a_folder_and_is_on_the_hub_now_is_known_by_content(
    hub: Any, tiny_qwen2vl: Path, tmp_path: Path
) -> None:
    code = f"mark = content_hash({str(tiny_qwen2vl)!r})\n"
    code += "say(base_hash_like(mark, REPO, 'v1') == mark, base_hash_like(mark, REPO) == mark)"
    assert run(hub, tmp_path / "home", code) == [True, False]
