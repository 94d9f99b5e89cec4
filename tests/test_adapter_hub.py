"""The adapter folder: what is in it, what its card says, and that the card's code runs as it stands."""

import json
import re
import runpy
import shutil
from pathlib import Path

import pytest

from mella_hf.errors import MellaError
from mella_hf.evaluation.models import load_model, model_identity
from mella_hf.evaluation.run import load_run
from mella_hf.hub import prepare_adapter, push_adapter, write_adapter_card

SIGNATURE = "mella|v:1|lang:ar|tok:words|n:3|bs:1000|seed:12345"


@pytest.fixture(scope="module")
def trained(tiny_qwen2vl, tmp_path_factory) -> Path:
    """A folder as training leaves it: adapter, processor, a card of TRL's and an optimizer state."""
    import torch
    from peft import LoraConfig, get_peft_model

    model, processor = load_model(str(tiny_qwen2vl), device="cpu")
    torch.manual_seed(5)
    config = LoraConfig(r=4, target_modules=r"model\.language_model\..*\.(q_proj|v_proj)", init_lora_weights=False)
    folder = tmp_path_factory.mktemp("training") / "adapter"
    get_peft_model(model, config).save_pretrained(folder)
    processor.save_pretrained(folder)
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
    assert (data.base_model, data.language, data.license) == (tiny_qwen2vl.name, "ar", "apache-2.0")
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


class RecordingApi:
    """Stands for huggingface_hub.HfApi: keeps what it was asked, refuses when told to."""

    def __init__(self):
        self.asked, self.refusal, self.card = [], None, None

    def __call__(self, token=None):
        self.asked.append(("token", token))
        return self

    def create_repo(self, repo_id, **settings):
        self.asked.append(("create_repo", repo_id, settings))
        if self.refusal:
            raise self.refusal

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        self.asked.append(("upload_folder", repo_id, folder_path))
        self.card = (folder_path / "README.md").read_text("utf-8")

        class Commit:
            commit_url = f"https://hub.invalid/{repo_id}/commit/1"

        return Commit


def test_a_push_makes_the_repo_and_uploads_the_folder_with_a_card_for_it(trained, run, tmp_path, monkeypatch):
    api = RecordingApi()
    monkeypatch.setattr("huggingface_hub.HfApi", api)
    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run)
    assert push_adapter(out, "org/arabic") == "https://hub.invalid/org/arabic/commit/1"
    assert api.asked[1:] == [
        ("create_repo", "org/arabic", {"private": True, "exist_ok": True}),
        ("upload_folder", "org/arabic", out),
    ]
    assert 'adapter = "org/arabic"' in api.card and "# org/arabic\n" in api.card and "- name: arabic\n" in api.card


def test_a_refused_push_is_one_clear_error(trained, run, tmp_path, monkeypatch):
    from huggingface_hub.errors import HFValidationError

    api = RecordingApi()
    api.refusal = HFValidationError("Repo id must not end with '-'")
    monkeypatch.setattr("huggingface_hub.HfApi", api)
    out = prepare_adapter(trained, tmp_path / "ar-adapter", run=run)
    with pytest.raises(
        MellaError, match="did not take .* as 'org/x-': Repo id must not end .* Log in with `hf auth login`"
    ):
        push_adapter(out, "org/x-")
