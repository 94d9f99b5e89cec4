"""`mella try`: the answers are those of an evaluation, in the terminal, on the page and in a Space."""

import json
import shutil
import threading
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import expect
from tiny_qwen2vl import save_random_adapter
from typer.testing import CliRunner

from mella_hf.answers.identity import model_identity, read_adapter_config
from mella_hf.answers.systems import line_up
from mella_hf.cli import app
from mella_hf.errors import MellaError
from mella_hf.evaluation.trying import SideBySide, adapter_folder, language_of
from mella_hf.languages import get_language


@pytest.fixture(scope="module")
def adapter(tiny_qwen2vl, tmp_path_factory) -> Path:
    """A random LoRA adapter whose training record says that it is Arabic."""
    run = tmp_path_factory.mktemp("training")
    save_random_adapter(tiny_qwen2vl, run / "adapter", seed=3)
    (run / "training.json").write_text(json.dumps({"settings": {"languages": ["ar"]}}))
    return run / "adapter"


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    from PIL import Image

    path = tmp_path_factory.mktemp("photo") / "boat.jpg"
    Image.effect_noise((70, 50), 90).convert("RGB").save(path)
    return path


@pytest.fixture(scope="module")
def pair(adapter) -> SideBySide:
    return SideBySide(adapter, device="cpu")


def test_the_answers_are_those_of_each_model_loaded_alone(pair, adapter, photo, tiny_qwen2vl):
    from PIL import Image

    image = Image.open(photo).convert("RGB")
    found = pair.ask(image, "ما هذا؟", 6)
    for system in line_up(str(tiny_qwen2vl), adapter):
        kept = {}
        system.answerer("cpu").answer([([image], "ما هذا؟")], 6, 1, kept.__setitem__)
        assert found[system.name] == kept[0]
    assert found["base"]["prediction"] != found["adapter"]["prediction"]


@pytest.mark.parametrize("changing", [{"bias": "all"}, {"init_lora_weights": "pissa"}])
def test_the_base_is_itself_beside_an_adapter_that_changes_it(tiny_qwen2vl, photo, tmp_path, changing):
    """PEFT cannot switch such an adapter off: the base's biases, or what PiSSA took from its weights, stay changed."""
    import torch
    from peft import LoraConfig, get_peft_model
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(tiny_qwen2vl)
    tuned = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj", "o_proj"], **changing))
    torch.manual_seed(5)
    for parameter in (p for p in tuned.parameters() if p.requires_grad):
        parameter.data.add_(torch.randn_like(parameter))
    tuned.save_pretrained(tmp_path)
    AutoProcessor.from_pretrained(tiny_qwen2vl).save_pretrained(tmp_path)
    image, kept = Image.open(photo).convert("RGB"), {}
    line_up(str(tiny_qwen2vl))[0].answerer("cpu").answer([([image], "Who?")], 6, 1, kept.__setitem__)
    found = SideBySide(tmp_path, str(tiny_qwen2vl), device="cpu").ask(image, "Who?", 6)
    assert found["base"] == kept[0] != found["adapter"]


def test_the_terminal_shows_both_side_by_side(adapter, photo, pair):
    from PIL import Image

    line = ["try", str(adapter), str(photo), "--device", "cpu", "--tokens", "4"]
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, line, catch_exceptions=False)
    arabic = get_language("ar")
    assert result.output.index(arabic.test_prompt("know")) < result.output.index(arabic.test_prompt("ling"))
    titles = [line for line in result.output.splitlines() if "base" in line and "adapter" in line]
    assert len(titles) == 2, result.output
    own = ["--ask", "What is written?", "--ask", "Who?", "--json"]
    asked = json.loads(CliRunner().invoke(app, [*line, *own], catch_exceptions=False).stdout)
    assert [answer["question"] for answer in asked["answers"]] == ["What is written?", "Who?"]
    alone = pair.ask(Image.open(photo).convert("RGB"), "Who?", 4)
    assert asked["answers"][1]["answers"] == alone


def test_bad_input_is_one_clear_error_before_a_model_is_loaded(adapter, photo, tmp_path, monkeypatch):
    monkeypatch.setattr("mella_hf.evaluation.trying.load_model", lambda *a, **k: pytest.fail("loaded"))
    text = tmp_path / "note.txt"
    text.write_text("no image")
    for words, message in (
        ([], "There is no photo to ask about; name one, or give --serve"),
        ([str(tmp_path / "none.jpg")], "PHOTO .*none.jpg' is not a file: it does not exist"),
        ([str(text)], "note.txt cannot be read as an image .image_format.*; give one of JPEG, PNG"),
        ([str(photo), "--language", "qx"], "Unknown language 'qx'"),
    ):
        with pytest.raises(MellaError, match=message):
            CliRunner().invoke(app, ["try", str(adapter), *words], catch_exceptions=False)
    with pytest.raises(MellaError, match="No adapter at .*nowhere"):
        CliRunner().invoke(app, ["try", str(tmp_path / "nowhere"), str(photo)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("trained_on", "said"),
    [(None, "in no language that is on record"), (["ar", "th"], "on ar, th"), (["all"], "on all")],
)
def test_the_language_is_asked_for_where_the_adapter_leaves_it_open(trained_on, said):
    assert language_of(["th"], None).code == "th"
    assert language_of(trained_on, "ko").code == "ko"
    with pytest.raises(MellaError, match=f"{said}; give --language"):
        language_of(trained_on, None)


def test_a_prepared_adapter_says_its_language_before_it_is_loaded(adapter, tmp_path, photo, monkeypatch):
    """Such a folder is what people download: the record of its training is not beside it."""
    from mella_hf.evaluation import trying

    prepared = tmp_path / "from_the_hub"
    shutil.copytree(adapter, prepared)
    base = model_identity(str(read_adapter_config(adapter)["base_model_name_or_path"]))["base_hash"]
    facts = {"recipe": {"languages": ["th"]}, "models": {"adapter": {"base_hash": base}}}
    (prepared / "provenance.json").write_text(json.dumps(facts))
    monkeypatch.setattr(trying, "load_model", lambda *_, **__: pytest.fail("it was loaded"))
    assert SideBySide(prepared).trained_on == ["th"]
    (prepared / "provenance.json").unlink()
    with pytest.raises(MellaError, match="in no language that is on record; give --language"):
        CliRunner().invoke(app, ["try", str(prepared), str(photo)], catch_exceptions=False)


def test_a_whole_model_does_not_name_its_base(tiny_qwen2vl, photo):
    with pytest.raises(MellaError, match="is a whole model, which does not say what it was made from; give --base"):
        SideBySide(tiny_qwen2vl)
    assert adapter_folder(tiny_qwen2vl) == tiny_qwen2vl


@pytest.fixture
def served(pair):
    """The address of the page, served from this process."""
    import uvicorn

    from mella_hf.evaluation.trying_page import build_app
    from mella_hf.reviewing.serving import listen

    listening = listen("127.0.0.1", 0)
    application = build_app(pair, get_language("ar"), 5, ("127.0.0.1", "localhost"))
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


def test_the_page_puts_questions_to_both(served, photo, pair, new_page, accessibility):
    from PIL import Image

    page = new_page(viewport={"width": 390, "height": 800})
    page.goto(served)
    page.get_by_role("button", name="Ask both").click()
    expect(page.get_by_role("alert")).to_have_text("Choose an image first.")
    page.set_input_files("#file", photo)
    question = get_language("ar").test_prompt("ling")
    page.locator(".suggested button").nth(1).click()
    expect(page.get_by_label("Question", exact=True)).to_have_value(question)
    page.get_by_role("button", name="Ask both").click()
    item = page.locator("#answers li")
    expect(item).to_have_count(1)
    found = pair.ask(Image.open(photo).convert("RGB"), question, 5)
    for name, answer in found.items():
        shown = item.locator(f".{name} p")
        assert shown.text_content().removesuffix(" […]").split() == answer["prediction"].split()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert accessibility(page) == []


def test_the_page_answers_nobody_elses_page(served):
    import requests

    ask = f"{served}api/ask"
    assert requests.get(served, headers={"Host": "evil.example"}, timeout=60).status_code == 400
    assert requests.post(ask, data="{}", headers={"Content-Type": "text/plain"}, timeout=60).status_code == 415
    for body, said in (
        ({"question": " ", "image": "aGk="}, "Write a question"),
        ({"question": "x" * 5000, "image": "aGk="}, "at most 4,000 characters"),
        ({"question": "x"}, "Choose an image first"),
        ({"question": "x", "image": "?"}, "not in base64"),
        ({"question": "x", "image": "aGk="}, "cannot be read as an image"),
    ):
        reply = requests.post(ask, json=body, timeout=60)
        assert reply.status_code == 400 and said in reply.json()["error"]
    assert "default-src 'none'" in requests.get(served, timeout=60).headers["Content-Security-Policy"]


def test_a_space_serves_the_page(tmp_path):
    words = ["try", "org/mella-ar", "--space", str(tmp_path / "space"), "--language", "ar", "--base", "maker/vl"]
    CliRunner().invoke(app, words, catch_exceptions=False)
    front = yaml.safe_load((tmp_path / "space/README.md").read_text("utf-8").split("---")[1])
    assert (front["sdk"], front["app_port"], front["models"]) == ("docker", 7860, ["org/mella-ar", "maker/vl"])
    command = json.loads((tmp_path / "space/Dockerfile").read_text("utf-8").rpartition("CMD ")[2])
    assert command[:4] == ["mella", "try", "org/mella-ar", "--serve"] and command[-2:] == ["--base", "maker/vl"]
    # The command that the Space runs is one that the parser takes.
    from mella_hf.cli import load_command

    taken = load_command("try").make_context("try", command[2:])
    assert (taken.params["serve"], taken.params["host"], taken.params["port"]) == (True, "0.0.0.0", 7860)
    with pytest.raises(MellaError, match="cannot read the folder .* push it"):
        CliRunner().invoke(app, ["try", str(tmp_path), "--space", "x", "--language", "ar"], catch_exceptions=False)
