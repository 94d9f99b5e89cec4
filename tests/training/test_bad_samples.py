"""What cannot be trained on is named by its id with the command that removes it, or left out and counted."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from sft_runs import flags

from mella_hf.errors import MellaError, SampleError
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.batches.bad_samples import SKIPPED_FILE, BadSamples
from mella_hf.training.batches.chat import TokenCounter, conversations, to_conversation
from mella_hf.training.feeding import hold_out
from mella_hf.training.sft import train


def stored(rows: Any, **changes: Any) -> list[dict[str, Any]]:
    """Rows with encoded images. `_2={"text": "…"}` changes columns of row 2."""
    from datasets import Image

    made = [dict(row) for row in rows.cast_column("image", Image(decode=False))]
    for number, change in changes.items():
        made[int(number[1:])] |= change
    return made


def batch_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {key: [row[key] for row in rows] for key in rows[0]}


@pytest.mark.parametrize(
    "data", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"\xff\xd8\xff\xe0 cut off"], ids=range(4)
)
def test_a_broken_image_is_named_with_its_mend(make_rows: Any, data: bytes) -> None:
    rows = stored(make_rows(3), _1={"image": {"bytes": data, "path": None}})
    name = rows[1]["id"]
    with pytest.raises(
        SampleError, match=f"The sample '{name}' cannot be trained on: image_.*mella remove FOLDER --ids"
    ):
        conversations(42)(batch_of(rows))


@pytest.mark.parametrize("text", [None, "", " \u200b\n"])
def test_a_sample_without_a_text_is_named(make_rows: Any, tiny_qwen2vl: Path, text: str | None) -> None:
    from transformers import AutoProcessor

    rows = stored(make_rows(3), _1={"text": text})
    counter = TokenCounter(AutoProcessor.from_pretrained(tiny_qwen2vl), 42)
    with pytest.raises(SampleError, match=f"The sample '{rows[1]['id']}' cannot be trained on: text_"):
        counter.strictly(batch_of(rows))


def test_bad_samples_are_left_out_up_to_a_number(make_rows: Any, tmp_path: Path) -> None:
    broken = {"image": {"bytes": b"no image", "path": None}}
    rows = stored(make_rows(5), _1=broken, _3=broken)
    two, one = (BadSamples(tmp_path / str(most) / SKIPPED_FILE, most) for most in (2, 1))
    for _ in range(2):  # a second epoch meets the same two
        made = conversations(42, bad=two)(batch_of(rows))
        assert len(made["images"]) == 3
    listed = [json.loads(line) for line in two.path.read_text("utf-8").splitlines()]
    assert [entry["id"] for entry in listed] == [rows[1]["id"], rows[3]["id"]]
    assert all("image_format" in entry["reason"] for entry in listed)
    with pytest.raises(SampleError, match=f"{rows[3]['id']}.* There are 2 such samples"):
        conversations(42, bad=one)(batch_of(rows))
    with pytest.raises(SampleError, match="No sample of 'know' can be trained on"):
        conversations(42, bad=two)(batch_of([rows[1], rows[3]]))
    others = conversations(42, bad=two, others=lambda source: [rows[3], rows[2]])  # one sound row stands for them
    assert others(batch_of([rows[1]]))["completion"] == conversations(42)(batch_of([rows[2]]))["completion"]


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory, make_rows: Any) -> tuple[Path, list[str]]:
    """A dataset with a broken image, a size that Qwen-VL refuses and a control token; the ids of the three."""
    from datasets import Dataset, Image

    from mella_hf.sample import features

    folder = tmp_path_factory.mktemp("spoilt")
    cut = stored(make_rows(3))[2]["image"]["bytes"][:60]
    changes = {"_2": {"image": {"bytes": cut, "path": None}}, "_4": {"width": 9000, "height": 10}}
    rows = stored(make_rows(12), **changes, _6={"text": "باب <|vision_start|>"})
    made = Dataset.from_list(rows, features=features()).cast_column("image", Image(decode=False))
    (folder / "ar").mkdir()  # `write_split` would refuse such rows
    made.cast_column("image", Image()).to_parquet(folder / "ar/know-00000-of-00001.parquet")
    return folder, [rows[number]["id"] for number in (2, 4, 6)]


def test_a_run_names_them_before_its_first_step(tiny_qwen2vl: Path, spoilt: Any, tmp_path: Path) -> None:
    folder, (cut, _, _) = spoilt
    settings = parse_settings(flags(tiny_qwen2vl, folder, tmp_path / "run", sources="know"))
    with pytest.raises(
        SampleError, match=f"The sample '{cut}' cannot be trained on: image_broken.*There are 3 such samples"
    ):
        train(settings)


def test_a_run_goes_on_without_them(tiny_qwen2vl: Path, spoilt: Any, tmp_path: Path) -> None:
    folder, bad = spoilt
    more = {"sources": "know", "skip_bad_samples": 3, "max_steps": 4}
    train(parse_settings(flags(tiny_qwen2vl, folder, tmp_path / "run", **more)))
    listed = [json.loads(line)["id"] for line in (tmp_path / "run" / SKIPPED_FILE).read_text().splitlines()]
    assert sorted(listed) == sorted(bad)
    assert json.loads((tmp_path / "run/training.json").read_text())["samples"] == {"know": 9}


def test_a_loader_s_worker_says_it_as_plainly(make_rows: Any) -> None:
    from datasets import Dataset, Image
    from torch.utils.data import DataLoader

    from mella_hf.training.failures import named_errors

    rows = stored(make_rows(2), _1={"image": {"bytes": b"no image", "path": None}})
    data = Dataset.from_list(rows).cast_column("image", Image(decode=False)).with_transform(conversations(42))
    with pytest.raises(SampleError) as caught, named_errors(None):
        list(DataLoader(data, batch_size=2, num_workers=1, collate_fn=list))
    assert str(caught.value).startswith(f"The sample '{rows[1]['id']}' cannot be trained on: image_")
    assert "Traceback" not in str(caught.value)


def test_jpeg_augment_is_the_loss_of_saving(make_rows: Any) -> None:
    import numpy as np
    from PIL import Image

    row = stored(make_rows(1))[0]
    plain = to_conversation(row, 42)["images"][0]
    (degraded,) = to_conversation(row, 42, jpeg=True)["images"]
    assert plain.size == degraded.size
    saved = []
    for quality in range(75, 101):  # InternVL's qualities
        file = io.BytesIO()
        plain.save(file, "JPEG", quality=quality)
        saved.append(np.array(Image.open(file)))
    assert any((np.array(degraded) == other).all() for other in saved)
    assert not (np.array(degraded) == np.array(plain)).all()
    again = to_conversation(row, 42, jpeg=True)["images"][0]
    assert (np.array(again) == np.array(degraded)).all()


def test_no_image_is_both_held_out_and_trained_on(make_rows: Any) -> None:
    from datasets import concatenate_datasets

    know, ling = make_rows(12), make_rows(10, source="ling", start=6)  # six images are in both
    names = concatenate_datasets([know, ling])["id"]
    rest, held = hold_out(concatenate_datasets([know, ling]), 3, seed=1)
    assert {kind: len(rows) for kind, rows in held.items()} == {"ar_know": 3, "ar_ling": 3}
    out = {names[row] for rows in held.values() for row in rows}
    assert not out & {names[row] for row in rest}
    assert {*(names[row] for row in rest), *out} == {*know["id"], *ling["id"]}
    with pytest.raises(MellaError, match="eval_samples is 7, but 'know' of 'ar' has only 12 samples"):
        hold_out(know, 7, seed=1)


def test_the_loss_on_held_out_rows_by_language_and_source(
    tiny_qwen2vl: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    """The logged losses after the last step are those of the saved adapter, sample by sample, by a plain forward."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    more = {"eval_strategy": "steps", "eval_steps": 4, "eval_samples": 2, "per_device_eval_batch_size": 1}
    train(parse_settings(flags(tiny_qwen2vl, tiny_dataset, tmp_path / "run", **more)))
    record = json.loads((tmp_path / "run/training.json").read_text())
    assert record["samples"] == {"know": 11, "ling": 7}
    logged = [entry for entry in record["log_history"] if "eval_ar_know_loss" in entry]
    assert [entry["step"] for entry in logged] == [4, 8]
    from mella_hf.training.feeding import load_training_data

    settings = parse_settings(flags(tiny_qwen2vl, tiny_dataset, tmp_path / "other", **more))
    loaded = load_training_data(settings.data)
    _, held = hold_out(loaded, 2, settings.training.seed)
    model = PeftModel.from_pretrained(
        AutoModelForImageTextToText.from_pretrained(tiny_qwen2vl), tmp_path / "run/adapter"
    )
    processor = AutoProcessor.from_pretrained(tiny_qwen2vl)
    last = {key: value for entry in record["log_history"] if entry["step"] == 8 for key, value in entry.items()}
    for source in ("know", "ling"):
        losses = []
        for turn in loaded.select(held[f"ar_{source}"]).with_transform(conversations(settings.data.prompt_seed)):
            texts = [
                processor.apply_chat_template(turn["prompt"], add_generation_prompt=True),
                processor.apply_chat_template(turn["prompt"] + turn["completion"]),
            ]
            batch = processor(text=texts[1:], images=[turn["images"]], return_tensors="pt")
            answer = len(processor.tokenizer(texts[1][len(texts[0]) :])["input_ids"])
            labels = batch["input_ids"].clone()
            labels[:, :-answer] = -100
            with torch.no_grad():
                losses.append(float(model.eval()(**batch, labels=labels).loss))
        assert last[f"eval_ar_{source}_loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
