"""Greedy generation: against a hand-written argmax loop, and bit for bit across interruptions."""

import json

import pytest
from tiny_qwen2vl import save_random_adapter

from mella_hf.answers.answers import Question, plan_batches, read_meta, read_predictions
from mella_hf.answers.generate import LocalModel, answer_batch, generate
from mella_hf.answers.identity import model_identity
from mella_hf.answers.models import load_model
from mella_hf.errors import MellaError

PROMPT = "ما هذا؟"


@pytest.fixture(scope="module")
def tiny(tiny_qwen2vl):
    """A tiny model in float64, where padding does not flip an argmax; every fifth token ends an answer."""
    model, processor = load_model(str(tiny_qwen2vl), device="cpu")
    model.double()
    model.generation_config.eos_token_id = list(range(7, model.config.text_config.vocab_size, 5))
    return model, processor


@pytest.fixture(scope="module")
def identity(tiny_qwen2vl):
    return model_identity(str(tiny_qwen2vl))


def greedy_by_hand(model, processor, image, stops, limit):
    """The reference: one image, no cache, no generate(); the likeliest token again and again."""
    import torch

    text = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": PROMPT}]}],
        add_generation_prompt=True,
    )
    inputs = processor(text=[text], images=[image], return_tensors="pt")
    pixels = inputs["pixel_values"].double()
    ids, types, answer = inputs["input_ids"], inputs["mm_token_type_ids"], []
    for _ in range(limit):
        with torch.no_grad():
            logits = model(
                input_ids=ids,
                mm_token_type_ids=types,
                pixel_values=pixels,
                image_grid_thw=inputs["image_grid_thw"],
                use_cache=False,
            ).logits
        token = int(logits[0, -1].argmax())
        answer.append(token)
        if token in stops:
            break
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
        types = torch.cat([types, torch.zeros(1, 1, dtype=types.dtype)], dim=1)
    text = processor.tokenizer.decode(answer, skip_special_tokens=True).strip()
    return {"prediction": text, "truncated": answer[-1] not in stops}


def test_batched_answers_equal_a_hand_written_greedy_loop(tiny, make_rows, monkeypatch):
    model, processor = tiny
    images = [row["image"].convert("RGB") for row in make_rows(8)]
    stops = {*model.generation_config.eos_token_id, processor.tokenizer.eos_token_id}
    expected = [greedy_by_hand(model, processor, image, stops, 6) for image in images]
    assert {e["truncated"] for e in expected} == {True, False}, "the case must hold both kinds of answer"
    assert len({e["prediction"] for e in expected}) > 4, "the case must tell images apart"
    assert answer_batch(model, processor, images, PROMPT, 6) == expected
    monkeypatch.setattr("mella_hf.answers.decode.FAMILIES", ())  # as for a family that `decode` does not know
    assert answer_batch(model, processor, images, PROMPT, 6) == expected


@pytest.mark.parametrize("families", [("qwen2_vl",), ()], ids=["decode", "generate"])
def test_settings_of_the_checkpoint_do_not_leak_into_greedy_decoding(tiny, make_rows, monkeypatch, families):
    model, processor = tiny
    monkeypatch.setattr("mella_hf.answers.decode.FAMILIES", families)
    images = [row["image"].convert("RGB") for row in make_rows(4)]
    expected = answer_batch(model, processor, images, PROMPT, 12)
    settings = {"do_sample": True, "temperature": 5.0, "top_k": 2, "repetition_penalty": 4.0, "no_repeat_ngram_size": 1}
    for name, value in settings.items():
        monkeypatch.setattr(model.generation_config, name, value)
    assert answer_batch(model, processor, images, PROMPT, 12) == expected


class Interrupted(Exception):
    """Stands for a kill between two batches."""


@pytest.fixture
def calls(monkeypatch):
    """Counts the batches answered; raises Interrupted once `calls.limit` is reached."""
    answer = LocalModel.answer

    class Calls:
        count, limit = 0, 10**9

    def counted(self, *arguments):
        if Calls.count >= Calls.limit:
            raise Interrupted
        Calls.count += 1
        answer(self, *arguments)

    monkeypatch.setattr(LocalModel, "answer", counted)
    return Calls


def run(tiny, rows, out, identity, **settings):
    keywords = {"language": "ar", "source": "know", "batch_size": 3, "max_new_tokens": 6, "progress": False}
    return generate(*tiny, rows, out=out, identity=identity, **{**keywords, **settings})


@pytest.mark.parametrize("stop_after", [0, 1, 3])
@pytest.mark.parametrize("torn", [0, 1, 25, 60])
def test_an_interrupted_run_resumes_to_the_same_bytes(tiny, calls, make_rows, identity, tmp_path, stop_after, torn):
    rows = make_rows(10)
    whole = run(tiny, rows, tmp_path / "whole.jsonl", identity).read_bytes()
    assert calls.count == 4

    out = tmp_path / "resumed.jsonl"
    calls.count, calls.limit = 0, stop_after
    with pytest.raises(Interrupted):
        run(tiny, rows, out, identity)
    assert not out.exists(), "no finished file before all answers are there"
    partial = tmp_path / "resumed.jsonl.0.partial"
    if partial.exists() and torn:
        partial.write_bytes(partial.read_bytes()[:-torn])  # the last write was cut short
    calls.count, calls.limit = 0, 10**9
    assert run(tiny, rows, out, identity).read_bytes() == whole
    assert calls.count == 4 - stop_after + (1 if stop_after and torn > 1 else 0), "only what was missing is done again"
    assert not partial.exists()


def test_finished_predictions_are_reused_and_stale_ones_are_not(tiny, calls, make_rows, identity, tmp_path):
    rows, out = make_rows(4), tmp_path / "p.jsonl"
    run(tiny, rows, out, identity)
    first, calls.count = out.read_bytes(), 0
    run(tiny, rows, out, identity)
    assert calls.count == 0
    run(tiny, rows, out, {**identity, "base": "moved/elsewhere"})
    assert calls.count == 0, "a folder that moved is the same model"
    out.write_bytes(first[:-30])
    run(tiny, rows, out, identity)
    assert calls.count == 2 and out.read_bytes() == first, "a damaged file is made again"
    for change in ({"max_new_tokens": 3}, {"batch_size": 2}, {"source": "ling"}):
        calls.count = 0
        run(tiny, rows, out, identity, **change)
        assert calls.count == 2, change
    calls.count = 0
    run(tiny, rows, out, {**identity, "adapter_hash": "another"})
    assert calls.count == 2


def test_predictions_stand_in_the_order_of_the_rows_with_all_fields(tiny, make_rows, identity, tmp_path):
    texts = ["خط\u2028جديد\nسطر", "ก" * 50, "x"]  # a line separator and a newline within a text
    rows = make_rows(3, texts=texts)
    out = run(tiny, rows, tmp_path / "p.jsonl", identity, seen_entities={"entity-1"})
    predictions = read_predictions(out)
    assert [p["reference"] for p in predictions] == texts
    assert [p["id"] for p in predictions] == rows["id"][:]
    assert [p["seen"] for p in predictions] == [False, True, False]
    assert predictions[0]["prompt"] == PROMPT and predictions[0]["keywords"] == ["نص 0"]
    fields = "id language source prompt prediction reference keywords keywords_by category entity domain seen"
    fields += " truncated"
    assert list(predictions[0]) == fields.split()
    meta = read_meta(out)
    assert (meta["rows"], meta["max_new_tokens"], meta["parameters"]) == (3, 6, tiny[0].num_parameters())


def test_seen_is_null_where_it_cannot_be_known(tiny, make_rows, identity, tmp_path):
    assert [p["seen"] for p in read_predictions(run(tiny, make_rows(2), tmp_path / "p.jsonl", identity))] == [None] * 2


def test_batches_go_from_long_to_short_and_hold_every_question_once():
    questions = [Question(str(i), PROMPT, expected) for i, expected in enumerate([3, 9, 3, 1, 9])]
    assert plan_batches(questions, 2) == [[1], [4, 0], [2, 3]]
    assert plan_batches([], 2) == []


@pytest.mark.parametrize(
    ("questions", "batch_size", "sizes"),
    [(10, 16, [10]), (100, 16, [14, 15]), (200, 16, [25]), (1600, 16, [64]), (33, 1, [4, 3])],
)
def test_batches_are_even_and_hold_a_few_waves_where_all_processes_get_one(questions, batch_size, sizes):
    batches = plan_batches([Question(f"{i:05}", PROMPT) for i in range(questions)], batch_size)
    assert sorted(i for batch in batches for i in batch) == list(range(questions))
    assert {len(batch) for batch in batches} == set(sizes)
    assert len(batches) >= min(8, -(-questions // batch_size)) and max(sizes) <= 4 * batch_size


def test_a_kill_within_a_batch_loses_no_bytes(tiny, make_rows, identity, tmp_path, monkeypatch):
    rows = make_rows(10)
    whole = run(tiny, rows, tmp_path / "whole.jsonl", identity).read_bytes()
    from mella_hf.answers import answers

    append, kept = answers._append, []

    def killed(*line):
        append(*line)
        kept.append(line)
        if len(kept) == 4:  # the second answer of the second batch
            raise Interrupted

    out = tmp_path / "resumed.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(answers, "_append", killed)
        with pytest.raises(Interrupted):
            run(tiny, rows, out, identity)
    assert run(tiny, rows, out, identity).read_bytes() == whole


def test_an_empty_split_and_a_doubled_image_are_errors(tiny, make_rows, identity, tmp_path):
    rows = make_rows(2)
    with pytest.raises(MellaError, match="ar/know_test is empty; build the dataset"):
        run(tiny, rows.select([]), tmp_path / "p.jsonl", identity)
    with pytest.raises(MellaError, match=f"holds the image {rows[0]['id']} twice"):
        run(tiny, rows.select([0, 1, 0]), tmp_path / "p.jsonl", identity)


@pytest.mark.parametrize("length", [40, 400])  # not an image at all; an image that ends early
def test_an_image_that_does_not_decode_is_named(tiny, make_rows, identity, tmp_path, length):
    from datasets import Dataset, Image

    rows = make_rows(2)
    records = rows.cast_column("image", Image(decode=False)).to_list()
    records[1]["image"] = {"bytes": records[1]["image"]["bytes"][:length], "path": None}
    broken = Dataset.from_list(records, features=rows.features)
    with pytest.raises(MellaError, match=f"The image {records[1]['id']} of the test split does not decode"):
        run(tiny, broken, tmp_path / "p.jsonl", identity)


def test_a_model_without_an_end_token_is_an_error(tiny_qwen2vl, make_rows):
    model, processor = load_model(str(tiny_qwen2vl), device="cpu")
    model.generation_config.eos_token_id = processor.tokenizer.eos_token = None
    with pytest.raises(MellaError, match="no end-of-sequence token"):
        answer_batch(model, processor, [make_rows(1)[0]["image"]], PROMPT, 2)


@pytest.fixture
def adapter(tiny_qwen2vl, tmp_path):
    """A LoRA adapter of the tiny model, with weights that change its answers."""
    return save_random_adapter(tiny_qwen2vl, tmp_path / "adapter", seed=1)


def test_an_adapter_answers_otherwise_than_its_base(tiny_qwen2vl, adapter, make_rows, tmp_path):
    base, rows = str(tiny_qwen2vl), make_rows(4)
    files = []
    for name, folder in (("base", None), ("adapter", adapter)):
        identity = model_identity(base, folder)
        files.append(run(load_model(base, folder, device="cpu"), rows, tmp_path / f"{name}.jsonl", identity))
    answers = [[p["prediction"] for p in read_predictions(path)] for path in files]
    assert answers[0] != answers[1]
    assert read_meta(files[1])["adapter_hash"] and read_meta(files[0])["adapter_hash"] is None


def test_the_identity_follows_the_weights_not_the_card(tiny_qwen2vl, adapter):
    before = model_identity(str(tiny_qwen2vl), adapter)
    (adapter / "README.md").write_text("a card")
    (adapter / "trainer_state.json").write_text("{}")
    assert model_identity(str(tiny_qwen2vl), adapter) == before
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    after = model_identity(str(tiny_qwen2vl), adapter)
    assert after["adapter_hash"] != before["adapter_hash"] and after["base_hash"] == before["base_hash"]


def test_bad_models_are_one_clear_error(tiny_qwen2vl, adapter, tmp_path):
    base = str(tiny_qwen2vl)
    with pytest.raises(MellaError, match="No adapter at .*nowhere"):
        load_model(base, tmp_path / "nowhere")
    with pytest.raises(MellaError, match="is not an adapter: it holds no adapter_config.json"):
        load_model(base, tmp_path)
    with pytest.raises(MellaError, match="Cannot load the model of "):
        load_model(str(tmp_path / "no-base"))
    other = tmp_path / "other-base"
    with pytest.raises(MellaError, match=f"was trained on the base '{base}', not on '{other}'"):
        load_model(str(other), adapter)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "r": 8}))
    with pytest.raises(MellaError, match="does not fit the base model"):
        load_model(base, adapter)
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(MellaError, match="has no weights: adapter_model.safetensors is missing"):
        load_model(base, adapter)
