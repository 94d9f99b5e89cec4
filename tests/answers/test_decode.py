"""Answers computed together, with places that are taken over, are those of transformers' own `generate`, one by one."""

import random
import sys
from pathlib import Path

import pytest
import torch
from transformers import GenerationConfig
from transformers.cache_utils import DynamicLayer

from mella_hf.answers.decode import ROOM, RoomyLayer, can_decode, decode

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from test_backbones import FAMILIES, tiny_qwen2

IMAGE, PAD = 3, 0
STOPS = (11, 23, 41)
LIMIT = 30


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    """A random model of the family in float64, where padding flips no argmax; wide weights, so that answers differ."""
    torch.manual_seed(4)
    built = FAMILIES[request.param]().double().eval()
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.4)
    return built


def make_prompts(model, count):
    """Prompts of several lengths, about one or two images of several sizes: token ids and the images' inputs."""
    draw = random.Random(7)
    prompts = []
    for _ in range(count):
        ids, grids, pixels = [draw.randrange(24, 40) for _ in range(draw.randrange(1, 6))], [], []
        for _ in range(draw.randrange(1, 3)):
            if model.config.model_type == "internvl":  # a tile of 28 px is one token
                tokens, inputs = 1, torch.rand(1, 3, 28, 28, dtype=torch.float64)
            else:
                height, width = 2 * draw.randrange(1, 3), 2 * draw.randrange(1, 4)
                tokens, inputs = height * width // 4, torch.rand(height * width, 3 * 2 * 14 * 14, dtype=torch.float64)
                grids.append([1, height, width])
            ids += [5, *[IMAGE] * tokens, 6]
            pixels.append(inputs)
        prompts.append((ids + [draw.randrange(24, 40)], grids, torch.cat(pixels)))
    return prompts


def encode(prompts):
    longest = max(len(ids) for ids, _, _ in prompts)
    padded = torch.tensor([[PAD] * (longest - len(ids)) + ids for ids, _, _ in prompts])
    inputs = {"input_ids": padded, "attention_mask": (padded != PAD).long()}
    inputs["pixel_values"] = torch.cat([pixels for _, _, pixels in prompts])
    if grids := [grid for _, of_prompt, _ in prompts for grid in of_prompt]:
        inputs |= {"image_grid_thw": torch.tensor(grids), "mm_token_type_ids": (padded == IMAGE).long()}
    return inputs


def one_by_one(model, prompts):
    """The reference."""
    config = GenerationConfig(max_new_tokens=LIMIT, do_sample=False, eos_token_id=list(STOPS), pad_token_id=PAD)
    answers = []
    for prompt in prompts:
        inputs = encode([prompt])
        answers.append(model.generate(**inputs, generation_config=config)[0, inputs["input_ids"].shape[1] :].tolist())
    return answers


def together(model, prompts, at_once):
    answers = {}
    decode(model, encode, prompts, at_once=at_once, limit=LIMIT, stops=STOPS, keep=answers.__setitem__)
    return [answers[i] for i in range(len(prompts))]


def test_every_family_answers_together_as_it_does_alone(model):
    prompts = make_prompts(model, 11)
    expected = one_by_one(model, prompts)
    lengths = [len(answer) for answer in expected]
    assert max(lengths) > LIMIT / 2 and min(lengths) < LIMIT / 4, "the case must hold short and long answers"
    assert len({tuple(answer) for answer in expected}) > 8, "the case must tell prompts apart"
    assert can_decode(model)
    for at_once in (3, 4, 16):
        assert together(model, prompts, at_once) == expected, at_once


@pytest.fixture
def watched(monkeypatch):
    """A model and what its calls computed: the shapes of input_ids."""
    torch.manual_seed(4)
    model = tiny_qwen2().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.4)
    shapes = []
    model.register_forward_pre_hook(lambda _, __, given: shapes.append(given["input_ids"].shape), with_kwargs=True)
    return model, shapes


def test_an_answer_that_has_ended_is_not_computed_any_further(watched):
    model, shapes = watched
    prompts = make_prompts(model, 16)
    tokens = sum(map(len, one_by_one(model, prompts)))
    shapes.clear()
    together(model, prompts, 8)
    assert sum(rows for rows, _ in shapes) == tokens, "a row of a call for each token, and none without"
    assert max(rows for rows, _ in shapes) == 8
    steps = [rows for rows, width in shapes if width == 1]
    assert len(steps) < tokens / 8 * 1.7, "the places were seldom empty"


def test_prompts_are_made_when_their_turn_comes_and_answers_kept_when_they_end(watched):
    model, _ = watched
    prompts = make_prompts(model, 12)
    lengths = [len(answer) for answer in one_by_one(model, prompts)]
    made, kept = [], []

    def lazily():
        for i, prompt in enumerate(prompts):
            made.append((i, len(kept)))
            yield prompt

    decode(model, encode, lazily(), at_once=4, limit=LIMIT, stops=STOPS, keep=lambda i, answer: kept.append(i))
    assert sorted(kept) == list(range(12)) and kept != sorted(kept)
    assert all(answered >= i - 3 for i, answered in made), "no more than four were under way"
    first = [i for i in kept if i < 4][0]
    assert lengths[first] == min(lengths[:4])


def test_a_layer_with_room_holds_what_a_growing_one_holds():
    torch.manual_seed(0)
    roomy, growing = RoomyLayer(), DynamicLayer()
    for tokens in (5, *[1] * (2 * ROOM + 3)):
        keys, values = torch.randn(2, 3, tokens, 4), torch.randn(2, 3, tokens, 6)
        for found, expected in zip(roomy.update(keys, values), growing.update(keys, values), strict=True):
            assert torch.equal(found, expected)
    assert roomy.get_seq_length() == 2 * ROOM + 8


def test_adapters_are_decoded_and_models_that_are_not_known_answer_by_their_own_generate(watched):
    from peft import LoraConfig, PromptTuningConfig, get_peft_model

    model, _ = watched
    prompts = make_prompts(model, 3)
    lora = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    adapted = get_peft_model(model, lora).double().eval()
    assert can_decode(adapted) and together(adapted, prompts, 3) == one_by_one(adapted, prompts)
    tuned = get_peft_model(tiny_qwen2(), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    assert not can_decode(tuned)
    model.config.model_type = "another"
    assert not can_decode(model)
