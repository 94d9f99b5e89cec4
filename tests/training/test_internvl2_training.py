"""A converted InternVL2 trains: TRL's batches hold its tiles, lengths are known beforehand, LoRA learns."""

import json
from pathlib import Path
from typing import Any

import pytest
from internvl2_original import build_checkpoint

from mella_hf.dataset.write import write_split
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.batches.chat import conversations, count_tokens
from mella_hf.training.internvl2.convert import convert_internvl2
from mella_hf.training.sft import train


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("internvl2")
    return convert_internvl2(build_checkpoint(folder / "source"), folder / "base", progress=False)


def test_tokens_are_those_of_the_collated_batch(base: Path, make_rows: Any) -> None:
    from transformers import AutoProcessor
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    processor = AutoProcessor.from_pretrained(base, max_patches=4)
    rows = make_rows(6)
    tokens = count_tokens(rows, processor, 42)
    collator = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    turns = rows.with_transform(conversations(42))
    batches = [collator([turns[i]]) for i in range(6)]
    assert [int(batch["attention_mask"].sum()) for batch in batches] == tokens.sequence.tolist()
    assert [int((batch["labels"] != -100).sum()) for batch in batches] == tokens.completion.tolist()
    assert len({len(batch["pixel_values"]) for batch in batches}) > 1, "images of several numbers of tiles"
    for i, batch in enumerate(batches):
        ids, labels = batch["input_ids"][0], batch["labels"][0]
        assert ids[0] == processor.tokenizer.bos_token_id
        answer = processor.tokenizer.decode(ids[labels != -100])
        assert answer == f"{rows[i]['text']}<|im_end|>", "the loss is on the answer and its end, and on nothing else"


def test_two_steps_of_the_recipe(base: Path, tmp_path: Path, make_rows: Any) -> None:
    import torch
    from datasets import Image
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    for source, start in (("know", 0), ("ling", 50)):
        rows = make_rows(4, source=source, start=start).cast_column("image", Image(decode=False))
        write_split(rows, tmp_path / "mella", "ar", source)
    recipe = Path(__file__).resolve().parents[2] / "recipes/joint.yaml"
    changes = {
        "model_name_or_path": base, "data_dir": tmp_path / "mella", "output_dir": tmp_path / "run", "max_steps": 2,
        "max_samples": 4, "max_image_tokens": 7 * 4 + 2, "logging_steps": 1, "use_cpu": "true", "dtype": "float32",
        "bf16": "false", "dataloader_num_workers": 0, "report_to": "none", "learning_rate": "1e-2",
    }  # fmt: skip
    train(parse_settings(["--config", str(recipe), *(str(p) for k, v in changes.items() for p in (f"--{k}", v))]))
    record = json.loads((tmp_path / "run/training.json").read_text())
    assert {part for part, n in record["parameters"].items() if n["trainable"]} == {"language_model"}
    losses = [entry["loss"] for entry in record["log_history"] if "loss" in entry]
    assert len(losses) == 2 and all(0 < loss < 100 for loss in losses)

    model = AutoModelForImageTextToText.from_pretrained(base)
    ids = torch.tensor([[1, 40, 41, 42]])
    before = model(input_ids=ids).logits
    tuned = PeftModel.from_pretrained(model, tmp_path / "run/adapter")
    assert not torch.equal(tuned(input_ids=ids).logits, before)
    assert AutoProcessor.from_pretrained(tmp_path / "run/adapter").image_processor.max_patches == 6


def test_answers_in_a_batch_are_those_given_alone(base: Path) -> None:
    from PIL import Image
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    from mella_hf.answers.generate import answer_batch

    config = AutoConfig.from_pretrained(base)
    config.text_config.max_position_embeddings = 4096  # beyond it the rotary base depends on the longest of a batch
    model = AutoModelForImageTextToText.from_pretrained(base, config=config).eval()
    processor = AutoProcessor.from_pretrained(base)
    images = [Image.effect_noise(size, 80).convert("RGB") for size in ((56, 56), (120, 70), (60, 180))]
    together = answer_batch(model, processor, images, "ما هذا؟", 8)
    assert together == [answer_batch(model, processor, [image], "ما هذا؟", 8)[0] for image in images]
    assert all(answer["prediction"] for answer in together)
