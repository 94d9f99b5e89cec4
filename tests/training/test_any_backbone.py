"""Any image-text-to-text model: LoRA on its language model alone, a step as by hand, answers, merging, targets.

Every type is a tiny random model with its own real processor (tiny_backbones).
"""

import copy
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_backbones import MODEL_TYPES, TYPES

from mella_hf.answers.adapter_weights import load_adapter
from mella_hf.answers.generate import answer_batch
from mella_hf.answers.processors import with_template
from mella_hf.training.backbones import find_parts, lora_targets, trainable_by_part
from mella_hf.training.batches.chat import TokenCounter, assistant_turn, user_turn
from mella_hf.training.batches.collating import collator_for
from mella_hf.training.batches.image_bounds import largest_image, limit_image_tokens

RATE = 0.05
QUESTION = "ما هذا؟"
TEXTS = ("بيت أحمر", "a house, a tree")
SIZES = ((90, 70), (60, 130))  # width and height
# Linear layers in two layers of each language model, counted in the models' code: 7 a layer (q, k, v, o, gate, up,
# down); linear attention has 5 in place of 4; Gemma 4 adds 2 a layer and one below for its embeddings of each layer;
# the cross-attention of Llama 3.2, a third layer, is a layer like others; GLM-V has gate and up in one; LFM2's
# convolution has 2 in place of 4.
LINEAR = {"qwen3_5": 15, "minicpmv": 15, "gemma4": 19, "mllama": 21, "glm4v": 12, "lfm2_vl": 12}


@dataclass
class Case:
    """A type: its model before and after one step of training with LoRA, and the step."""

    name: str
    base: Any
    processor: Any
    trainer: Any
    targets: list[str]
    loss: float
    before: dict[str, torch.Tensor]
    after: dict[str, torch.Tensor]


def conversations() -> list[dict[str, Any]]:
    images = [Image.effect_noise(size, 80).convert("RGB") for size in SIZES]
    return [
        {"images": [image], "prompt": [user_turn(QUESTION)], "completion": [assistant_turn(text)], "source": "know"}
        for image, text in zip(images, TEXTS, strict=True)
    ]


def weights(model: Any) -> dict[str, torch.Tensor]:
    """A copy of what is trained."""
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return conversations()


@pytest.fixture(scope="module", params=TYPES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, rows: Any) -> Case:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import CONFIG_MAPPING
    from trl import SFTConfig

    from mella_hf.training.trainer import MellaTrainer

    if MODEL_TYPES.get(request.param, request.param) not in CONFIG_MAPPING:
        pytest.skip(f"this version of transformers has no {request.param}")
    base, processor = TYPES[request.param]()
    with_template(processor, request.param)
    targets = lora_targets(base, ["language_model"])
    arguments = SFTConfig(
        output_dir=str(tmp_path_factory.mktemp(request.param)), max_steps=1, per_device_train_batch_size=len(rows),
        learning_rate=RATE, lr_scheduler_type="constant", optim="sgd", max_grad_norm=0, use_cpu=True, bf16=False,
        gradient_checkpointing=False, logging_steps=1, save_strategy="no", report_to="none", max_length=None,
        remove_unused_columns=False, disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    shown = Dataset.from_dict({"row": [0, 1]}).with_transform(
        lambda batch: {key: [copy.deepcopy(rows[i][key]) for i in batch["row"]] for key in rows[0]}
    )
    trainer = MellaTrainer(
        model=copy.deepcopy(base), args=arguments, train_dataset=shown, processing_class=processor,
        data_collator=collator_for(processor),
        peft_config=LoraConfig(r=2, target_modules=targets, task_type="CAUSAL_LM", init_lora_weights=False),
    )  # fmt: skip
    before = weights(trainer.model)
    trainer.train()
    loss = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
    return Case(request.param, base, processor, trainer, targets, loss, before, weights(trainer.model))


def inputs_by_hand(case: Case, rows: Any) -> tuple[dict[str, Any], torch.Tensor]:
    """The whole conversation by the processor's own call, and the positions of the answers, counted from the end."""
    processor, tokenizer = case.processor, case.processor.tokenizer
    if case.name == "paligemma":
        batch = processor(
            text=[f"<image>{QUESTION}"] * 2, images=[row["images"][0] for row in rows], suffix=list(TEXTS),
            return_tensors="pt", padding=True, padding_side="right",
        )  # fmt: skip
        batch.pop("labels")
        ends = [[*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for text in TEXTS]
    else:
        turns = [row["prompt"] + row["completion"] for row in rows]
        texts = [processor.apply_chat_template(turn, tokenize=False) for turn in turns]
        batch = processor(
            text=texts, images=[row["images"] for row in rows], return_tensors="pt", padding=True,
            padding_side="right", add_special_tokens=False,
        )  # fmt: skip
        said = [text[text.rindex(answer) :] for text, answer in zip(texts, TEXTS, strict=True)]
        ends = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in said]
    answers = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
    for row, end in enumerate(ends):
        length = int(batch["attention_mask"][row].sum())
        answers[row, length - len(end) : length] = True
        assert batch["input_ids"][row, length - len(end) : length].tolist() == end
    return dict(batch), answers


def test_lora_is_on_the_language_model_alone(case: Case) -> None:
    decoder = case.base.get_decoder()
    path = next(path for path, module in case.base.named_modules() if module is decoder)
    linear = {f"{path}.{name}" for name, m in decoder.named_modules() if isinstance(m, torch.nn.Linear)}
    adapted = {name.split(".lora_A")[0].removeprefix("base_model.model.") for name in case.before if "lora_A" in name}
    assert adapted == linear and len(linear) == LINEAR.get(case.name, 14)
    counts = trainable_by_part(case.trainer.model)
    assert {part for part, count in counts.items() if count["trainable"]} == {"language_model"}
    assert all(counts[part]["total"] for part in ("language_model", "projector", "vision_tower"))
    heads = {find_parts(case.base).part_of(f"{p}.weight") for p, m in case.base.named_modules() if p == "lm_head"}
    assert heads <= {None}


def test_servers_can_read_the_targets(case: Case) -> None:
    """vLLM and SGLang take a list of names or paths, and compare the last name with those of layers they can adapt."""
    assert isinstance(case.targets, list) and all(isinstance(target, str) for target in case.targets)
    assert not [target for target in case.targets if set(target) & set("\\*?()[]|^$+")]
    modules = [path for path, _ in case.base.named_modules()]
    matched = {path for path in modules for t in case.targets if path == t or path.endswith(f".{t}")}
    adapted = {name.split(".lora_A")[0].removeprefix("base_model.model.") for name in case.before if "lora_A" in name}
    assert matched == adapted
    elsewhere = {path.rsplit(".", 1)[-1] for path in modules if path not in adapted}
    for target in case.targets:
        assert ("." in target) == (target.rsplit(".", 1)[-1] in elsewhere), "names where they are enough, else paths"


def test_a_step_is_that_of_a_plain_forward(case: Case, rows: Any) -> None:
    """The loss and the weights after a step of SGD by hand: the mean of -log p of the answers' tokens, its gradient."""
    model = case.trainer.model
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in case.before.items():
            parameters[name].copy_(value)
    inputs, answers = inputs_by_hand(case, rows)
    model.train()  # PaliGemma sees the prompt both ways in training too
    logits = model(**inputs).logits[:, :-1].float()
    targets = inputs["input_ids"][:, 1:].clamp(max=logits.shape[-1] - 1)  # the image's mark of Llama 3.2 has no logit
    told = answers[:, 1:]
    losses = -logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)[told]
    loss = losses.mean()
    assert case.loss == pytest.approx(loss.item(), rel=2e-5)
    wanted = {name: parameters[name] for name in case.before}
    gradients = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0
    with torch.no_grad():
        for (name, parameter), gradient in zip(wanted.items(), gradients, strict=True):
            torch.testing.assert_close(case.after[name], parameter - RATE * gradient, rtol=1e-4, atol=2e-6)
            parameter.copy_(case.after[name])


def test_checkpointing_runs_a_frozen_vision_tower_once(case: Case, rows: Any) -> None:
    """With gradients in its patches, each layer of the tower would run again in the backward pass."""
    model = case.trainer.model
    tower = model.get_base_model().get_encoder(modality="image")
    inputs, answers = inputs_by_hand(case, rows)
    inputs["labels"] = inputs["input_ids"].masked_fill(~answers, -100)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.train()
    runs: list[bool] = []
    linear = [module for module in tower.modules() if isinstance(module, torch.nn.Linear)]
    hooks = [layer.register_forward_hook(lambda *_: runs.append(torch.is_grad_enabled())) for layer in linear]
    plain = torch.autograd.grad(model(**inputs).loss, trained, materialize_grads=True)
    once = len(runs)
    model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
    try:
        again = torch.autograd.grad(model(**inputs).loss, trained, materialize_grads=True)
    finally:
        model.disable_input_require_grads()
        model.gradient_checkpointing_disable()
        for hook in hooks:
            hook.remove()
    assert 0 < once and len(runs) == 2 * once and not any(runs)
    torch.testing.assert_close(again, plain)


def test_tokens_are_counted_without_decoding(case: Case, rows: Any) -> None:
    inputs, answers = inputs_by_hand(case, rows)
    counter = TokenCounter(case.processor, 0)
    columns = {"id": ["a", "b"], "text": list(TEXTS), "prompt": [QUESTION] * 2, "language": ["ar"] * 2}
    columns |= {"source": ["know"] * 2, "width": [w for w, _ in SIZES], "height": [h for _, h in SIZES]}
    counted = counter(columns)
    assert counted["sequence"] == inputs["attention_mask"].sum(1).tolist()
    assert counted["completion"] == answers.sum(1).tolist()


def test_answers_in_a_batch_are_those_given_alone(case: Case, rows: Any) -> None:
    images = [row["images"][0] for row in rows]
    model = case.trainer.model.eval()
    together = answer_batch(model, case.processor, images, QUESTION, 6)
    assert together == [answer_batch(model, case.processor, [image], QUESTION, 6)[0] for image in images]


def test_merged_and_reloaded(case: Case, rows: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    inputs, _ = inputs_by_hand(case, rows)
    tuned = case.trainer.model.eval()
    with torch.no_grad():
        wanted, bare = tuned(**inputs).logits, case.base(**inputs).logits
    assert not torch.allclose(wanted, bare, atol=1e-3)
    tuned.save_pretrained(tmp_path / "adapter")
    loaded = load_adapter(copy.deepcopy(case.base), tmp_path / "adapter").eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(**inputs).logits, wanted)
    loaded.merge_and_unload().save_pretrained(tmp_path / "merged")
    case.processor.save_pretrained(tmp_path / "merged")
    again = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged").eval()
    with torch.no_grad():
        torch.testing.assert_close(again(**inputs).logits, wanted, rtol=1e-3, atol=1e-3)
    processor = AutoProcessor.from_pretrained(tmp_path / "merged")
    assert processor.chat_template == case.processor.chat_template


def test_images_are_limited(case: Case) -> None:
    """Where the family has a limit of its own, half of the tokens can be asked for."""
    processor = copy.deepcopy(case.processor)
    most = largest_image(processor)
    if case.name in ("gemma3", "paligemma", "mllama"):
        assert most in (1, 4, 16)  # always as many
    elif case.name == "smolvlm":
        pytest.skip("the image processor of idefics3, but without a count: slow")
    elif case.name in ("llava_onevision", "llava_next"):  # their tiles are in the model's configuration
        assert most > 60
    else:
        limit_image_tokens(processor, most - 1)
        assert largest_image(processor) < most


def test_heads_and_routers_get_no_lora() -> None:
    """Llama 4 holds a language model with its head; its router is a linear layer that gives two results."""
    with torch.device("meta"):
        from transformers import AutoModelForImageTextToText, Llama4Config

        config = Llama4Config(
            text_config={"num_hidden_layers": 2, "moe_layers": [1]}, vision_config={"num_hidden_layers": 1}
        )
        model = AutoModelForImageTextToText.from_config(config)
    ends = {target.rsplit(".", 1)[-1] for target in lora_targets(model, ["language_model"])}
    # The names of feed_forward and self_attn in Llama4TextMLP and Llama4TextAttention.
    assert ends == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert find_parts(model).part_of("language_model.lm_head.weight") is None


@pytest.mark.parametrize("kind", ["florence2", "t5gemma2"])
def test_an_encoder_decoder_is_refused(kind: str, tmp_path: Path) -> None:
    from transformers import CONFIG_MAPPING
    from trl import ModelConfig

    from mella_hf.errors import MellaError
    from mella_hf.training.arguments.preflight import check_backbone

    if kind not in CONFIG_MAPPING:
        pytest.skip(f"this version of transformers has no {kind}")
    CONFIG_MAPPING[kind]().save_pretrained(tmp_path)
    with pytest.raises(MellaError, match=f"{kind}.* is an encoder-decoder"):
        check_backbone(ModelConfig(model_name_or_path=str(tmp_path)))


def test_siglip_had_a_level_more(tmp_path: Path) -> None:
    """Gemma 3 and others: `vision_tower.vision_model.encoder` up to transformers 4, at the top up to 4.52."""
    from peft import LoraConfig, PeftModel, get_peft_model

    base, _ = TYPES["gemma3"]()
    get_peft_model(copy.deepcopy(base), LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(tmp_path)
    right = PeftModel.from_pretrained(copy.deepcopy(base), tmp_path).state_dict()
    file = tmp_path / "adapter_model.safetensors"
    weights = load_file(file)
    for tower in ("model.vision_tower.vision_model.", "vision_tower.vision_model.", "vision_tower."):
        older = partial(re.sub, r"(model\.)?vision_tower\.(vision_model\.)?", tower)
        save_file({older(name): tensor for name, tensor in weights.items()}, file, metadata={"format": "pt"})
        found = load_adapter(copy.deepcopy(base), tmp_path).state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in right.items())
