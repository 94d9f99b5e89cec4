"""A backbone's folder as strangers make them: it trains, or one line says why not, before the first step."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from sft_runs import flags

from mella_hf.answers.models import load_model
from mella_hf.errors import MellaError
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.sft import check

Change = Callable[[Path], object]
WEIGHTS, CONFIG, TEMPLATE, TOKENIZER = (
    "model.safetensors", "config.json", "chat_template.jinja", "tokenizer_config.json",
)  # fmt: skip


def edit(file: str, **values: Any) -> Change:
    def change(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**content, **values}))

    return change


def write(file: str, data: str | bytes) -> Change:
    encoded = data.encode() if isinstance(data, str) else data
    return lambda folder: (folder / file).write_bytes(encoded)


def without(*files: str) -> Change:
    return lambda folder: [(folder / file).unlink() for file in files]


def tensors(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    return lambda folder: save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})


def sharded(folder: Path) -> None:
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="100KB")


def a_shard_missing(folder: Path) -> None:
    sharded(folder)
    sorted(folder.glob("model-*.safetensors"))[1].unlink()


def pickled(folder: Path) -> None:
    import torch

    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def moved_template(file: str, several: bool = False) -> Change:
    def change(folder: Path) -> None:
        template = (folder / TEMPLATE).read_text()
        (folder / TEMPLATE).unlink()
        content = json.loads((folder / file).read_text()) if (folder / file).is_file() else {}
        kept: Any = [{"name": "default", "template": template}, {"name": "tool", "template": "x"}]
        (folder / file).write_text(json.dumps({**content, "chat_template": kept if several else template}))

    return change


def old_processor(folder: Path) -> None:
    """As transformers before 5 saved it: the image processor in a file of its own."""
    content = json.loads((folder / "processor_config.json").read_text())
    (folder / "processor_config.json").unlink()
    old = {**content["image_processor"], "processor_class": "Qwen2VLProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(old))


@pytest.fixture
def judged(tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """What `mella train --check` and loading for answers say of a changed copy: "" or the one line."""

    def said(run: Callable[[], object]) -> str:
        try:
            run()
        except MellaError as error:
            assert "\n" not in str(error) and len(str(error)) < 700
            return str(error)
        return ""

    def judge(change: Change, name: str = "model") -> tuple[str, str]:
        folder = tmp_path / name
        shutil.copytree(tiny_qwen2vl, folder)
        change(folder)
        settings = parse_settings(flags(folder, tiny_dataset, tmp_path / "run"))
        return said(lambda: check(settings)), said(lambda: load_model(str(folder), device="cpu"))

    return judge


@pytest.mark.parametrize(
    "change",
    [
        without("generation_config.json"), without(TOKENIZER), sharded, pickled, old_processor,
        moved_template("chat_template.json"), moved_template("processor_config.json"), moved_template(TOKENIZER),
        moved_template(TOKENIZER, several=True), edit(TOKENIZER, padding_side="left"),
        edit(TOKENIZER, pad_token=None), edit(TOKENIZER, model_max_length=8), edit(CONFIG, dtype="bfloat16"),
        edit(CONFIG, architectures=["Other"], auto_map={"AutoModel": "code.Other"}), write("README.md", b"\xff"),
    ],
    ids=range(15),
)  # fmt: skip
def test_it_trains(judged: Any, change: Change) -> None:
    assert judged(change, "mödel 模型") == ("", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without(CONFIG), "cannot be read"),
        (without(WEIGHTS), "Cannot load the model of .*no file named model.safetensors"),
        (without("processor_config.json"), "Cannot load the processor of"),
        (without(TEMPLATE), "has no chat template"),
        (write(CONFIG, b""), "cannot be read"),
        (edit(CONFIG, model_type="unknown"), "model type `unknown`"),
        (edit(CONFIG, model_type="llama"), "'llama' is not an image-text-to-text model"),
        (edit(CONFIG, dtype="bf16"), "has no attribute 'bf16'"),
        (write("generation_config.json", "[]"), "Cannot load the model of"),
        (write("processor_config.json", "[]"), "Cannot load the processor of"),
        (write(TOKENIZER, b"\xff"), "Cannot load the processor of"),
        (write("tokenizer.json", "[]"), "Cannot load the processor of"),
        (edit(TOKENIZER, processor_class="Other"), ""),
        (edit(TOKENIZER, pad_token="<new>"), "pad token of .* is '<new>' .640., but the model has 640 embeddings"),
        (a_shard_missing, "Cannot load the model of .*model-00002-of"),
        (write(WEIGHTS, b"version https://git-lfs.github.com/spec/v1\n"), "Cannot load the model of"),
        (tensors(lambda all: dict(list(all.items())[::2])), "are not whole: 23 are missing, such as .*would be random"),
        (tensors(lambda all: {f"x.{name}": value for name, value in all.items()}), "are not whole: 46 are missing"),
        (tensors(lambda all: {name: value[:8].clone() for name, value in all.items()}), "have another shape, such as"),
        (write(TEMPLATE, "{% for x in"), "template"),
        (write(TEMPLATE, "{{ raise_exception('no images') }}"), "template .*no images"),
        (write(TEMPLATE, "{% for m in messages %}{{ m.role }}{% endfor %}"), "template"),
    ],
    ids=range(22),
)
def test_it_is_refused_before_the_first_step(judged: Any, change: Change, message: str) -> None:
    import re

    trained, _ = judged(change)
    assert re.search(message, trained) and bool(trained) == bool(message)
