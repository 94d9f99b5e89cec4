"""The adapter folder: what is in it, what its card says, and that the card's code runs as it stands."""

import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from local_hub import LocalHub
from tiny_qwen2vl import save_random_adapter

from mella_hf.answers.identity import model_identity
from mella_hf.answers.models import load_model
from mella_hf.errors import MellaError
from mella_hf.evaluation.run import load_run
from mella_hf.hub.card import write_adapter_card
from mella_hf.hub.merging import merge_adapter
from mella_hf.hub.push import prepare_adapter, push_adapter

SIGNATURE = "mella|v:1|lang:ar|tok:words|n:3|bs:1000|seed:12345"


@pytest.fixture(scope="module")
def trained(tiny_qwen2vl, tmp_path_factory) -> Path:
    """A folder as training leaves it: adapter, processor, a card of TRL's and an optimizer state."""
    folder = save_random_adapter(tiny_qwen2vl, tmp_path_factory.mktemp("training") / "adapter", seed=5)
    (folder / "README.md").write_text("TRL's own card")
    (folder / "optimizer.pt").write_bytes(b"state")
    return folder


@pytest.fixture
def run(tiny_qwen2vl, trained, tmp_path):
    """The adapter's evaluation, with made-up scores."""
    identity = model_identity(str(tiny_qwen2vl), trained)
    common = {"base": tiny_qwen2vl.name, "base_hash": identity["base_hash"], "base_is_local": True}
    models = {
        "base": {**common, "parameters": 300_000, "adapter": None, "adapter_hash": None},
        "adapter": {
            **common, "parameters": 302_560, "adapter": "adapter", "adapter_hash": identity["adapter_hash"],
            "adapter_kind": "LoRA, rank 4",
        },
    }  # fmt: skip
    scores = []
    for model, level in (("base", 1.25), ("adapter", 40.5)):
        for split, subset in (("know_test", "all"), ("know_test", "unseen"), ("ling_test", "all")):
            score = {"model": model, "split": split, "subset": subset, "n": 3, "signature": SIGNATURE}
            for name in ("keyword_micro", "meteor", "rouge_l", "bleu", "chrf"):
                known = split == "know_test" or name != "keyword_micro"
                values = {"": level, "_low": level - 1, "_high": level + 1, "_floor": 0.5}
                score.update({name + suffix: value if known else None for suffix, value in values.items()})
            rates = dict.fromkeys(("wrong_language_rate", "repetition_rate", "empty_rate"), 0.125)
            scores.append({**score, **rates})
    record = {
        "language": "ar",
        "models": models,
        "data": {"name": "mella-tiny", "local": True, "rows": {"know_test": 3, "ling_test": 3}, "funnel": {}},
        "scores": scores,
        "training": {"samples": {"know": 9, "ling": 6}, "log_history": [{"step": 1, "loss": 2.0}]},
        "versions": {"python": "3.11"},
    }
    folder = tmp_path / "evaluation"
    for model in models:
        (folder / "predictions" / model).mkdir(parents=True)
        for split in ("know_test", "ling_test"):
            (folder / "predictions" / model / f"{split}.jsonl").touch()
    (folder / "scores.json").write_text(json.dumps(record))
    return load_run(folder)


def test_the_folder_holds_what_the_hub_needs_and_nothing_else(trained, run, tmp_path):
    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run)
    names = {path.name for path in out.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "provenance.json"} <= names
    assert {"tokenizer.json", "tokenizer_config.json", "processor_config.json", "chat_template.jinja"} <= names
    assert not names & {"optimizer.pt"}
    assert "TRL" not in (out / "README.md").read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ar-adapter", "evaluation"], "nothing left aside"


def test_no_path_of_this_machine_is_in_the_folder(trained, run, tiny_qwen2vl, tmp_path):
    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run)
    for path in out.iterdir():
        for place in (tiny_qwen2vl.parent, tmp_path, trained.parent):
            assert str(place).encode() not in path.read_bytes(), (path.name, place)


def test_the_card_is_read_back_by_the_hub_library(trained, run, tiny_qwen2vl, tmp_path):
    from huggingface_hub import ModelCard

    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run, license="apache-2.0", dataset_id="org/mella")
    card = ModelCard.load(out / "README.md")
    data = card.data
    assert (data.base_model, data.language, data.license) == (None, "ar", "apache-2.0")
    assert (data.library_name, data.pipeline_tag, data.datasets) == ("peft", "image-text-to-text", ["org/mella"])
    results = {(r.dataset_split, r.metric_type): r for r in data.eval_results}
    assert len(results) == 5 + 4  # ling has no keywords
    result = results["know_test", "accuracy"]
    assert (result.metric_value, result.dataset_config, result.dataset_type) == (40.5, "ar", "org/mella")
    assert result.metric_args == {"low": 39.5, "high": 41.5, "floor": 0.5, "signature": SIGNATURE}
    assert "| Keyword accuracy (micro) | 1.2 (0.2–2.2) | **40.5** (39.5–41.5) | 0.5 |" in card.text
    assert "| answers in another language, % | 12.5 | 12.5 | |" in card.text
    assert "The base is a miniature" in card.text and "The base is not on the Hub" in card.text
    assert "9 know, 6 ling" in card.text


def test_the_card_speaks_of_published_bases_and_repos_as_such(trained, run, tmp_path):
    out = prepare_adapter(trained, tmp_path / "a", run=run, base_id="org/base", repo_id="org/adapter")
    text = (out / "README.md").read_text("utf-8")
    assert 'base = "org/base"\n' in text and 'adapter = "org/adapter"' in text
    assert "not on the Hub. It was read" not in text
    assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == "org/base"


def test_names_of_folders_are_not_given_out_as_names_on_the_hub(trained, run, tiny_qwen2vl, tmp_path):
    from huggingface_hub import ModelCard

    data = ModelCard.load(prepare_adapter(trained, tmp_path / "a", run=run) / "README.md").data
    assert data.base_model is None and data.datasets is None
    assert {(r.dataset_type, r.dataset_name) for r in data.eval_results} == {
        ("mella", "mella-tiny (know_test)"), ("mella", "mella-tiny (ling_test)")
    }  # fmt: skip
    with pytest.raises(MellaError, match="--revision is 'v1', but the base is a folder; name it on the Hub"):
        prepare_adapter(trained, tmp_path / "b", run=run, base_revision="v1")


def test_a_card_edited_by_hand_is_overwritten_by_choice_only(trained, run, tiny_qwen2vl, tmp_path):
    out = prepare_adapter(trained, tmp_path / "a", run=run, license="mit")
    prepare_adapter(trained, tmp_path / "a", run=run, license="apache-2.0")  # not edited: nothing to ask
    card = out / "README.md"
    written = card.read_text("utf-8")
    assert "license: apache-2.0" in written
    for path, again in (
        (out, lambda **chosen: prepare_adapter(trained, out, run=run, **chosen)),
        (out, lambda **chosen: write_adapter_card(out, repo_id="org/b", **chosen)),
        (tmp_path / "m", lambda **chosen: merge_adapter(out, tmp_path / "m", base=str(tiny_qwen2vl), **chosen)),
    ):
        again(edited="new")
        made = (path / "README.md").read_text("utf-8")
        (path / "README.md").write_text(made + "\nOur own words.\n", "utf-8")
        with pytest.raises(MellaError, match=r"README.md was edited .*--card keep, or write it anew with --card new"):
            again()
        for _ in range(2):  # kept, it stays known as edited
            again(edited="keep")
            assert (path / "README.md").read_text("utf-8") == made + "\nOur own words.\n"
        again(edited="new")
        assert (path / "README.md").read_text("utf-8") == made
        again()


def test_a_second_merge_says_what_is_known_by_then(trained, run, tiny_qwen2vl, tmp_path):
    merged = tmp_path / "merged"
    first = prepare_adapter(trained, tmp_path / "a", run=run, license="mit")
    merge_adapter(first, merged, base=str(tiny_qwen2vl))
    weights = (merged / "model.safetensors").stat().st_mtime_ns
    for score in run.scores:
        score["meteor"] = 77.75
    second = prepare_adapter(trained, tmp_path / "a", run=run, license="apache-2.0", dataset_id="org/data")
    merge_adapter(second, merged, base=str(tiny_qwen2vl))
    text = (merged / "README.md").read_text("utf-8")
    assert "license: apache-2.0" in text and "license: mit" not in text
    assert "77.8" in text and "- org/data" in text
    assert (merged / "model.safetensors").stat().st_mtime_ns == weights, "merged once"


def test_the_usage_snippet_runs_and_answers_as_the_trained_adapter_does(
    trained, run, tiny_qwen2vl, tmp_path, monkeypatch, capsys
):
    from PIL import Image

    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run)
    snippet = re.search(r"```python\n(.*?)```", (out / "README.md").read_text("utf-8"), re.S).group(1)
    place = tmp_path / "reader"
    shutil.copytree(tiny_qwen2vl, place / tiny_qwen2vl.name)
    shutil.copytree(out, place / "ar-adapter")
    Image.new("RGB", (90, 70), (200, 30, 30)).save(place / "photo.jpg")
    (place / "snippet.py").write_text(snippet, "utf-8")
    monkeypatch.chdir(place)
    capsys.readouterr()
    names = runpy.run_path("snippet.py")
    model, _ = load_model(str(tiny_qwen2vl), trained, device="cpu")
    expected = model.generate(**names["inputs"], max_new_tokens=128, do_sample=False)
    assert names["tokens"].tolist() == expected.tolist()
    assert names["tokens"].shape[1] > names["inputs"]["input_ids"].shape[1]
    assert capsys.readouterr().out.strip()


def test_a_prepared_adapter_is_evaluated_on_its_base_and_on_no_other(trained, run, tiny_qwen2vl, tmp_path):
    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run)
    assert model_identity(str(tiny_qwen2vl), out)["adapter_hash"]
    other = tmp_path / tiny_qwen2vl.name  # of the same name, trained anew
    shutil.copytree(tiny_qwen2vl, other)
    config = other / "generation_config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(MellaError, match="was evaluated on another base than"):
        model_identity(str(other), out)


def test_an_adapter_without_processor_gets_that_of_its_base(trained, tiny_qwen2vl, run, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy2(trained / name, bare)
    run.models["adapter"]["adapter_hash"] = model_identity(str(tiny_qwen2vl), bare)["adapter_hash"]
    out = prepare_adapter(bare, tmp_path / "out", run=run)
    assert (out / "tokenizer.json").read_bytes() == (tiny_qwen2vl / "tokenizer.json").read_bytes()


def test_bad_input_is_one_clear_error(trained, run, tmp_path):
    with pytest.raises(MellaError, match="No adapter at"):
        prepare_adapter(tmp_path / "nowhere", tmp_path / "out", run=run)
    with pytest.raises(MellaError, match="provenance.json is missing"):
        write_adapter_card(trained)
    with pytest.raises(MellaError, match="provenance.json is missing"):
        push_adapter(trained, "org/adapter")
    stale = {**run.models["adapter"], "adapter_hash": "0" * 64}
    run.models["adapter"] = stale
    with pytest.raises(MellaError, match="evaluated another adapter"):
        prepare_adapter(trained, tmp_path / "out", run=run)
    del run.models["adapter"]
    with pytest.raises(MellaError, match="evaluated only the base"):
        prepare_adapter(trained, tmp_path / "out", run=run)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def hub(tmp_path):
    with LocalHub(tmp_path / "hub") as hub:
        yield hub


@pytest.fixture
def client(hub, tmp_path):
    """Starts code as a user of the local Hub, in a process of its own."""

    def start(*command, token="hf_test_write"):
        settings = {**os.environ, **hub.environment(tmp_path / "home", token), "PYTHONUTF8": "1"}
        (tmp_path / "reader").mkdir(exist_ok=True)
        return subprocess.Popen(
            [sys.executable, *command], env=settings, cwd=tmp_path / "reader", text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


def finished(process) -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err[-3000:]
    return out


def pushing(folder, repo="org/arabic", **options) -> str:
    """Code that pushes and prints the address, or the error."""
    return (
        "from mella_hf.hub.push import push_adapter\n"
        "from mella_hf.errors import MellaError\n"
        f"try:\n    print(push_adapter({str(folder)!r}, {repo!r}, **{ {'wait': 0.01, **options}!r}))\n"
        "except MellaError as error:\n    print('ERROR', error)\n"
    )


def snippet_of(card: str) -> str:
    return re.search(r"```python\n(.*?)```", card, re.S).group(1)


# Runs a card's snippet, then prints the tokens of the answer that the snippet printed as text.
SNIPPET_RUN = "import runpy\nnames = runpy.run_path('snippet.py')\nprint('TOKENS', names['tokens'].tolist())\n"
UPLOAD_BASE = "from huggingface_hub import HfApi\nHfApi().create_repo('org/base')\n"
UPLOAD_BASE += "HfApi().upload_folder(repo_id='org/base', folder_path={!r})\n"


def answer_of_the_snippet(client, tmp_path, card: str) -> list:
    from PIL import Image

    reader = tmp_path / "reader"
    reader.mkdir(exist_ok=True)
    Image.new("RGB", (90, 70), (200, 30, 30)).save(reader / "photo.jpg")
    (reader / "snippet.py").write_text(snippet_of(card), "utf-8")
    out = finished(client("-c", SNIPPET_RUN, token=None))
    return json.loads(out.rpartition("TOKENS ")[2])


def answer_here(tiny_qwen2vl, trained) -> list:
    """The same question to base and adapter in this process."""
    from PIL import Image

    from mella_hf.languages import get_language

    model, processor = load_model(str(tiny_qwen2vl), trained, device="cpu")
    image = Image.new("RGB", (90, 70), (200, 30, 30))
    saved = io.BytesIO()
    image.save(saved, "JPEG")
    content = [{"type": "image", "image": Image.open(saved).convert("RGB")}]
    content += [{"type": "text", "text": get_language("ar").test_prompt("know")}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True,
        return_tensors="pt",
    )  # fmt: skip
    return model.generate(**inputs, max_new_tokens=128, do_sample=False).tolist()


def test_a_pushed_adapter_answers_as_the_trained_one_by_the_code_on_its_card(
    trained, run, tiny_qwen2vl, tmp_path, hub, client
):
    finished(client("-c", UPLOAD_BASE.format(str(tiny_qwen2vl))))
    hub.fail(r"POST .*/commit/main", 503)
    hub.fail(r"POST .*/commit/main", 412)
    place = tmp_path / "training"
    shutil.copytree(trained, place / "adapter")
    options = ["--evaluation", str(run.folder), "--base-id", "org/base", "--license", "apache-2.0", "--private"]
    printed = finished(client("-m", "mella_hf.cli", "push", str(place / "adapter"), "org/arabic", *options))
    repo, out = hub.repos["models/org/arabic"], place / "adapter-hub"
    assert printed == (
        "The Hub answered 503; trying again in 1 s (1 of 6).\nThe Hub answered 412; trying again in 2 s (2 of 6).\n"
        f"{hub.endpoint}/org/arabic/commit/{repo.refs['main']}\n"
    )
    assert repo.private and repo.titles == ["initial commit", "Model, processor and card"]
    assert len(hub.uploaded) == len(set(hub.uploaded)), "what the Hub took before its fault is not sent again"
    files = hub.files("models/org/arabic")
    assert {n: d for n, d in files.items() if n != ".gitattributes"} == {p.name: p.read_bytes() for p in out.iterdir()}
    card = files["README.md"].decode()
    assert "# org/arabic\n" in card and "- name: arabic\n" in card and "base_model_relation: adapter" in card
    repo.private = False  # read without a token
    assert answer_of_the_snippet(client, tmp_path, card) == answer_here(tiny_qwen2vl, trained)


def test_a_base_of_another_name_on_the_hub_is_merged_at_the_revision_that_was_named(
    trained, run, tiny_qwen2vl, tmp_path, hub, client
):
    commit = hub.add("models/Org/Published-Base", tiny_qwen2vl)
    hub.repos["models/Org/Published-Base"].refs["v1.0"] = commit
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "README.md").write_text("This model has moved.")
    hub.add("models/Org/Published-Base", tmp_path / "moved")  # main has gone on
    place = tmp_path / "training"
    shutil.copytree(trained, place / "adapter")
    options = ["--evaluation", str(run.folder), "--base-id", "Org/Published-Base", "--revision", "v1.0", "--merge"]
    finished(client("-m", "mella_hf.cli", "push", str(place / "adapter"), "org/whole", *options))
    prepared = json.loads((place / "adapter-hub" / "adapter_config.json").read_text())
    assert (prepared["base_model_name_or_path"], prepared["revision"]) == ("Org/Published-Base", commit)
    assert f'revision = "{commit}"' in (place / "adapter-hub" / "README.md").read_text("utf-8")
    card = hub.files("models/org/whole")["README.md"].decode()
    assert f"| base | `Org/Published-Base` at commit `{commit}` |" in card and "base_model: Org/Published-Base" in card
    assert answer_of_the_snippet(client, tmp_path, card) == answer_here(tiny_qwen2vl, trained)


def test_a_card_edited_on_the_hub_is_overwritten_by_choice_only(trained, run, tmp_path, hub, client):
    out = prepare_adapter(trained, tmp_path / "a", run=run)
    finished(client("-c", pushing(out)))
    assert "ERROR" not in finished(client("-c", pushing(out))), "nobody edited it"
    edit = tmp_path / "edit"
    edit.mkdir()
    (edit / "README.md").write_bytes(hub.files("models/org/arabic")["README.md"] + b"\nBy hand.\n")
    hub.add("models/org/arabic", edit)

    def card() -> bytes:
        return hub.files("models/org/arabic")["README.md"]

    said = finished(client("-c", pushing(out) + pushing(out, edited="keep") + pushing(out)))
    refused, kept, again = said.splitlines()
    assert "ERROR The card of 'org/arabic' was edited on the Hub. Keep it with --card keep" in refused
    assert "/commit/" in kept and "was edited on the Hub" in again
    assert card().endswith(b"\nBy hand.\n")
    (out / "README.md").write_text("Edited here too")
    both = finished(client("-c", pushing(out, edited="keep") + pushing(out, edited="new")))
    assert "was edited too. Bring both into one text" in both
    assert card() == (out / "README.md").read_bytes() and b"By hand" not in card() and b"# org/arabic" in card()


def test_a_merged_model_is_pushed_in_two_runs_and_answers_alike(trained, run, tiny_qwen2vl, tmp_path, hub, client):
    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run, base_id="org/base")
    merged = merge_adapter(out, tmp_path / "merged", base=str(tiny_qwen2vl), max_shard_size="300KB")
    shards = sorted(merged.glob("*.safetensors"))
    assert len(shards) > 2 and not (merged / "adapter_config.json").exists()
    hub.room = 1
    process = client("-c", pushing(merged, "org/whole"))
    assert hub.full.wait(timeout=600)
    process.kill()
    process.communicate()
    assert set(hub.files("models/org/whole")) == {".gitattributes"}, "no half of it is to be seen"
    hub.room = None
    finished(client("-c", pushing(merged, "org/whole")))
    assert len(hub.uploaded) == len(set(hub.uploaded)) == len({p.read_bytes() for p in shards})
    card = hub.files("models/org/whole")["README.md"].decode()
    assert "library_name: transformers" in card and "base_model_relation: finetune" in card and "peft" not in card
    assert answer_of_the_snippet(client, tmp_path, card) == answer_here(tiny_qwen2vl, trained)


def test_a_wrong_token_is_one_clear_error_and_printed_nowhere(trained, run, tmp_path, hub, client):
    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run)
    code = pushing(out) + "import os\nos.environ['HF_TOKEN'] = 'hf_test_read'\n"
    code += (
        pushing(out, token="hf_test_read")
        + pushing(out, "arabic")
        + pushing(out, create_pr=True, token="hf_test_write")
    )
    process = client("-c", code, token="hf_secret123")
    printed, err = process.communicate(timeout=600)
    wrong, reading, nameless, request = printed.strip().splitlines()
    assert wrong.startswith("ERROR Cannot push to 'org/arabic'") and "does not accept the token" in wrong
    assert reading.startswith("ERROR Cannot push to 'org/arabic'") and "one with write access" in reading
    assert nameless.startswith("ERROR 'arabic' does not name a model repo; give ORGANISATION/NAME")
    assert request == f"{hub.endpoint}/org/arabic/discussions/1"
    assert "README.md" in hub.files("models/org/arabic", "refs/pr/1") and "hf_" not in printed + err


def test_a_hub_that_says_nothing_and_no_hub_at_all(trained, run, tmp_path, hub, client):
    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run)
    hub.fail("POST /api/repos/create", 0)
    hub.fail("POST .*/commit/main", 0)
    short = "import mella_hf.hub_errors as errors\nerrors.SILENCE = 0.7\n"
    *silent, pushed = finished(client("-c", short + pushing(out) * 3)).splitlines()
    host = hub.endpoint.removeprefix("http://")
    assert len(silent) == 2 and all(
        f"{host} took the connection and said nothing for 1 s; try" in one for one in silent
    )
    assert pushed.endswith(hub.repos["models/org/arabic"].refs["main"])
    hub.requests.clear()
    offline = "import os\nos.environ['HF_HUB_OFFLINE'] = '1'\nfrom mella_hf.cli import main\n"
    push = client("-c", f"{offline}main(['push', {str(out)!r}, 'org/whole', '--merge'])")
    _, err = push.communicate(timeout=600)
    assert push.returncode == 1 and err.startswith("error: Cannot push to 'org/whole': HF_HUB_OFFLINE or")
    assert not hub.requests and not list(tmp_path.glob("*merged*")), "before the merge of minutes"


def test_a_merge_that_changes_the_answers_is_refused(trained, run, tiny_qwen2vl, tmp_path, monkeypatch):
    from peft.tuners.lora import LoraModel

    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run)
    with pytest.raises(MellaError, match="is not on the Hub; say where it is with --base FOLDER"):
        merge_adapter(out, tmp_path / "merged")
    monkeypatch.setattr(LoraModel, "merge_and_unload", lambda self, **options: self.unload())  # forgets the adapter
    with pytest.raises(MellaError, match=r"logits differ by .* of their range, more than 1e-04 in torch.float32"):
        merge_adapter(out, tmp_path / "merged", base=str(tiny_qwen2vl))
    assert not list(tmp_path.glob("*merged*"))


def test_a_merge_that_gives_the_base_is_refused(tiny_qwen2vl, tmp_path, monkeypatch):
    """An adapter that was never trained, and one of which nothing is left within the tolerance of half precision."""
    from peft.tuners.lora import LoraModel
    from safetensors.torch import load_file, save_file

    from mella_hf.hub import merging

    facts = {
        "base_id": "org/base",
        "base_is_local": False,
        "language": "ar",
        "models": {"adapter": {"adapter": "tower"}},
    }
    monkeypatch.setattr(merging, "read_provenance", lambda _: facts)
    monkeypatch.setattr(merging, "_describe", lambda *_, **__: None)
    folder = save_random_adapter(tiny_qwen2vl, tmp_path / "vision", seed=1, targets=["qkv"])
    merge_adapter(folder, tmp_path / "merged", base=str(tiny_qwen2vl))
    monkeypatch.setattr(merging, "TOLERANCES", {"torch.float32": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(LoraModel, "merge_and_unload", lambda self, **options: self.unload())
        with pytest.raises(MellaError, match="The merged model answers as the base does: in torch.float32, nothing"):
            merge_adapter(folder, tmp_path / "lost", base=str(tiny_qwen2vl))
    weights = load_file(folder / "adapter_model.safetensors")
    zero = {name: tensor * ("lora_A" in name) for name, tensor in weights.items()}
    save_file(zero, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MellaError, match="nothing is left of the adapter 'tower'. If it was trained"):
        merge_adapter(folder, tmp_path / "zero", base=str(tiny_qwen2vl))
    assert not list(tmp_path.glob("*lost*")) and not list(tmp_path.glob("*zero*"))


def test_a_merge_reloads_with_the_same_logits_and_is_not_made_twice(trained, run, tiny_qwen2vl, tmp_path):
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run)
    merged = merge_adapter(out, tmp_path / "merged", base=str(tiny_qwen2vl))
    ids = torch.tensor([[40, 41, 42, 43]])
    expected = load_model(str(tiny_qwen2vl), trained, device="cpu")[0](input_ids=ids).logits
    found = AutoModelForImageTextToText.from_pretrained(merged)(input_ids=ids).logits
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    base = AutoModelForImageTextToText.from_pretrained(tiny_qwen2vl)(input_ids=ids).logits
    assert (base - expected).abs().max() > 1e-2 * expected.abs().max(), "the adapter does something"
    assert AutoProcessor.from_pretrained(merged).tokenizer.eos_token == "<|im_end|>"
    before = (merged / "model.safetensors").stat().st_mtime_ns
    merge_adapter(out, tmp_path / "merged", base=str(tiny_qwen2vl))
    assert (merged / "model.safetensors").stat().st_mtime_ns == before


def test_the_card_says_recipe_and_licences(trained, run, tmp_path, make_rows):
    from datasets import Image

    from mella_hf.dataset.write import write_split

    place = tmp_path / "training"
    shutil.copytree(trained, place / "adapter")
    for source, licence in (("know", "GPL-2"), ("ling", None)):
        rows = make_rows(3, source=source, start=0 if source == "know" else 9).cast_column("image", Image(decode=False))
        rows = rows.map(lambda row, licence=licence: {**row, "license": licence}, features=rows.features)
        write_split(rows, tmp_path / "mella", "ar", source)
    settings = {
        "languages": ["ar"], "sources": ["know", "ling"], "learning_rate": 4e-5, "lora_scope": ["language_model"],
        "data_dir": str(tmp_path / "mella"), "output_dir": "/home/someone/run", "max_steps": -1, "bf16": True,
    }  # fmt: skip
    (place / "training.json").write_text(json.dumps({"settings": settings}))
    run.data["funnel"] = {"know": {"kept": 1200, "dropped_text_missing": 30, "dropped_image_missing": 4}}
    text = (prepare_adapter(place / "adapter", tmp_path / "out", run=run) / "README.md").read_text("utf-8")
    assert "| `languages` | ar |" in text and "| `sources` | know, ling |" in text and "| `bf16` | True |" in text
    assert "| `learning_rate` | 4e-05 |" in text and "max_steps" not in text and "/home/someone" not in text
    assert "| GPL-2 | 3 |\n| not stated | 3 |" in text
    assert "| know | 1,200 | 30 text missing, 4 image missing |" in text


def test_the_card_says_what_was_forgotten(trained, run, tmp_path):
    folder = run if isinstance(run, Path) else run.folder
    for system, value in (("base", 71.5), ("adapter", 68.0)):
        (folder / "benchmarks" / system).mkdir(parents=True)
        scores = {"accuracy": value, "accuracy_low": value - 3, "accuracy_high": value + 3, "n": 200}
        record = {"benchmark": {"name": "aokvqa", "language": "en"}, "model": {}, "scores": scores}
        (folder / "benchmarks" / system / "aokvqa.json").write_text(json.dumps(record))
    card = (prepare_adapter(trained, tmp_path / "prepared", run=run) / "README.md").read_text("utf-8")
    assert "| aokvqa (en) | 200 | accuracy | 71.5 (68.5–74.5) | 68.0 (65.0–71.0) | -3.5 |" in card


def test_the_command_needs_scores_once(trained, tmp_path):
    from typer.testing import CliRunner

    from mella_hf.cli import app

    result = CliRunner().invoke(app, ["push", str(trained), "org/arabic"])
    assert isinstance(result.exception, MellaError) and "has no scores yet: evaluate it" in str(result.exception)
    prepared = tmp_path / "prepared"
    shutil.copytree(trained, prepared)
    (prepared / "provenance.json").write_text("{}")
    result = CliRunner().invoke(app, ["push", str(prepared), "org/arabic", "--license", "mit"])
    assert isinstance(result.exception, MellaError) and "leave those options out" in str(result.exception)
