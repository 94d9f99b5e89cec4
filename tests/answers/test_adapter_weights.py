"""An adapter is loaded whole, by its names or those of an older transformers, or it is refused.

The oracle is plain PEFT on the names that it saved itself.
"""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_qwen2vl import save_random_adapter

from mella_hf.answers.adapter_weights import load_adapter
from mella_hf.answers.identity import check_adapter, read_adapter_config
from mella_hf.answers.models import load_model
from mella_hf.errors import MellaError

FILE = "adapter_model.safetensors"


@pytest.fixture
def adapter(tiny_qwen2vl: Path, tmp_path: Path) -> Path:
    """A LoRA adapter with random weights on the language model and the vision tower."""
    return save_random_adapter(tiny_qwen2vl, tmp_path / "adapter", seed=1, targets=["q_proj", "v_proj", "qkv"])


def rewrite(folder: Path, change: Any) -> None:
    weights = load_file(folder / FILE)
    changed = dict(pair for pair in (change(name, tensor) for name, tensor in weights.items()) if pair is not None)
    save_file(changed, folder / FILE, metadata={"format": "pt"})


def logits_of(model: Any) -> torch.Tensor:
    """Of a conversation with an image: what is on the vision tower counts, too."""
    ids = torch.tensor([[1, 2, 40, 3, *[5] * 4, 4, 41, 42]])
    pixels = torch.linspace(-1, 1, 16 * 3 * 2 * 28 * 28).view(16, -1)  # 16 patches of 28 px, merged by four
    grid = torch.tensor([[1, 4, 4]])
    with torch.no_grad():
        kinds = (ids == 5).int()
        return model(input_ids=ids, pixel_values=pixels, image_grid_thw=grid, mm_token_type_ids=kinds).logits


@pytest.fixture(scope="module")
def base(tiny_qwen2vl: Path) -> Any:
    return load_model(str(tiny_qwen2vl), device="cpu")[0]


def loaded(base: Any, folder: Path) -> Any:
    return load_adapter(copy.deepcopy(base), folder)


def logits(base: Any, folder: Path) -> torch.Tensor:
    return logits_of(loaded(base, folder))


def save_any(base: Any, folder: Path, config: Any) -> torch.Tensor:
    """Save an adapter of any kind with random weights; what plain PEFT answers with it."""
    from peft import get_peft_model

    torch.manual_seed(3)
    model = get_peft_model(copy.deepcopy(base), config).eval()
    for parameter in (p for p in model.parameters() if p.requires_grad):
        parameter.data.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    return logits_of(model)


def lora(targets: Any = ("q_proj", "v_proj"), **settings: Any) -> Any:
    from peft import LoraConfig

    targets = targets if isinstance(targets, str) else list(targets)
    return LoraConfig(**{"r": 4, "target_modules": targets, "init_lora_weights": False, **settings})


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def before_4_52(name: str) -> str:
    name = name.replace("base_model.model.model.language_model.", "base_model.model.model.")
    return name.replace("base_model.model.model.visual.", "base_model.model.visual.")


def in_memory(name: str) -> str:
    name = re.sub(r"\.(lora_[AB])\.weight$", r".\1.default.weight", name)
    return name.replace("lora_magnitude_vector", "lora_magnitude_vector.default.weight")


QKV_PATHS = [f"model.layers.{i}.self_attn.{name}_proj" for i in (0, 1) for name in "qv"]
LANGUAGE = r"model\.language_model\..*\.(q_proj|v_proj)"


def test_names_of_older_versions_load_the_same_weights(base: Any, adapter: Path) -> None:
    right = logits(base, adapter)
    assert not torch.allclose(right, logits_of(base))

    def older(name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor]:
        name = name.replace("model.model.language_model.layers.", "model.model.layers.")
        return name.replace("model.model.visual.", "model.visual."), tensor

    rewrite(adapter, older)
    assert any(name.startswith("base_model.model.model.layers.") for name in load_file(adapter / FILE))
    assert torch.equal(logits(base, adapter), right)


@pytest.mark.parametrize(
    ("config", "names", "changes"),
    [
        (lora(use_dora=True), before_4_52, {}),
        (lora(use_dora=True), in_memory, {}),
        (lora(), lambda name: name.removeprefix("base_model.model."), {}),
        (lora(), lambda name: name.replace("model.model.language_model.", "model.language_model.model."), {}),
        (lora(["q_proj", "qkv", "fc1"], use_rslora=True, lora_alpha=16), before_4_52, {}),
        (lora(["q_proj", "embed_tokens"]), before_4_52, {}),
        (lora(modules_to_save=["embed_tokens", "merger", "lm_head"]), before_4_52, {}),
        (lora(trainable_token_indices=[40, 41]), before_4_52, {}),
        ("IA3", before_4_52, {}),
        # Patterns and paths of the configuration are old ones, too.
        (lora(LANGUAGE), before_4_52, {"target_modules": r"^(model(?=\.).*\.(q_proj|v_proj|proj))$"}),
        (lora(LANGUAGE), before_4_52, {"target_modules": QKV_PATHS}),
        (lora("all-linear"), before_4_52, {"target_modules": "all-linear"}),
        (
            lora(rank_pattern={r"model\.language_model.layers.1.self_attn.q_proj": 8}, alpha_pattern={"v_proj": 64}),
            before_4_52,
            {"rank_pattern": {"model.layers.1.self_attn.q_proj": 8}, "alpha_pattern": {"^model.layers.*.v_proj": 64}},
        ),
    ],
)
def test_adapters_as_they_are_on_the_hub(
    base: Any, tmp_path: Path, config: Any, names: Any, changes: dict[str, Any]
) -> None:
    if config == "IA3":
        from peft import IA3Config

        config = IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])
    right = save_any(base, tmp_path, config)
    rewrite(tmp_path, lambda name, tensor: (names(name), tensor))
    edit_config(tmp_path, **changes)
    assert not torch.allclose(right, logits_of(base), atol=1e-3)
    assert torch.allclose(logits(base, tmp_path), right, atol=1e-5)


def test_a_file_of_the_whole_state_is_read(base: Any, tmp_path: Path) -> None:
    """Written by `torch.save(model.state_dict())`: names in memory, and copies of all that the base has."""
    from peft import PeftModel

    right = save_any(base, tmp_path, lora(modules_to_save=["lm_head"], use_dora=True))
    model = PeftModel.from_pretrained(copy.deepcopy(base), tmp_path)
    (tmp_path / FILE).unlink()
    torch.save(model.state_dict(), tmp_path / "adapter_model.bin")
    assert torch.allclose(logits(base, tmp_path), right, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "change", "said"),
    [
        (lora(modules_to_save=["merger"]), ("mlp.2.bias", None), "1 are missing, such as .*merger.mlp.2.bias"),
        (lora(use_dora=True), ("magnitude", None), "4 are missing"),
        (lora(["embed_tokens"]), ("lora_embedding_A", None), "1 are missing"),
        ("IA3", ("layers.0", None), "such as .*layers.0.*ia3_l"),
        (lora(), ("layers.1.*lora_B", lambda t: t * float("inf")), "is broken: .*lora_B.* holds NaN or infinity"),
        (lora(), ("lora_A", lambda t: t.to(torch.int8)), "holds torch.int8 instead of floating point"),
        (lora(), ("lora_A", lambda t: t[:, :-1]), "does not fit the base model .* size mismatch"),
    ],
)
def test_a_part_that_is_missing_or_broken_is_named(
    base: Any, tmp_path: Path, config: Any, change: tuple[str, Any], said: str
) -> None:
    if config == "IA3":
        from peft import IA3Config

        config = IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])
    save_any(base, tmp_path, config)
    pattern, new = change

    def changed(name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor] | None:
        if not re.search(pattern, name):
            return name, tensor
        return (name, new(tensor).contiguous()) if new else None

    rewrite(tmp_path, changed)
    with pytest.raises(MellaError, match=said) as error:
        loaded(base, tmp_path)
    assert "\n" not in str(error.value) and str(error.value).count("does not fit") <= 1


def test_weights_of_the_base_that_nothing_announces_are_refused(base: Any, adapter: Path) -> None:
    """PEFT puts them into the base itself: with the adapter switched off, its answers would not be the base's."""
    weights = load_file(adapter / FILE)
    weights["base_model.model.lm_head.weight"] = torch.randn(640, 64)
    save_file(weights, adapter / FILE, metadata={"format": "pt"})
    with pytest.raises(MellaError, match="no place in the model, such as 'base_model.model.lm_head.weight'"):
        loaded(base, adapter)


def test_virtual_tokens_are_refused(base: Any, adapter: Path) -> None:
    from peft import PromptTuningConfig

    PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3).save_pretrained(adapter)
    with pytest.raises(MellaError, match="is of the kind PROMPT_TUNING.*use an adapter of the layers, such as LoRA"):
        loaded(base, adapter)


@pytest.mark.parametrize("name", [FILE, "adapter_model.bin"])
@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"])
def test_a_file_that_is_no_file_of_weights(base: Any, adapter: Path, name: str, content: bytes) -> None:
    (adapter / FILE).unlink()
    (adapter / name).write_bytes(content)
    with pytest.raises(MellaError, match="The weights of the adapter .* cannot be read: .*Download or copy the file"):
        loaded(base, adapter)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "names no peft_type"),
        ("null", "names no peft_type"),
        ("{}", "names no peft_type"),
        ("", "is not JSON"),
        ('{"peft_type": "LORA", "base_model_name_or_path": 5}', "base_model_name_or_path in .* is 5; write the base's"),
    ],
)
def test_a_configuration_that_cannot_be_read(adapter: Path, text: str, said: str) -> None:
    (adapter / "adapter_config.json").write_text(text)
    with pytest.raises(MellaError, match=said):
        read_adapter_config(adapter)


def test_a_kind_that_peft_does_not_know(base: Any, adapter: Path) -> None:
    edit_config(adapter, peft_type="NEXT")
    with pytest.raises(MellaError, match="PEFT cannot read the configuration .*KeyError: 'NEXT'.* Update peft"):
        loaded(base, adapter)


def test_a_folder_of_checkpoints_or_parts_says_what_to_give(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(MellaError, match=r"holds no adapter_config.json. Give '.*adapter', which does"):
        read_adapter_config(tmp_path)
    (adapter / FILE).rename(adapter / "adapter_model-00001-of-00002.safetensors")
    with pytest.raises(MellaError, match="It is in 1 parts, such as adapter_model-00001-of-00002.safetensors"):
        read_adapter_config(adapter)


def test_a_base_is_known_by_its_name_wherever_it_was(adapter: Path) -> None:
    for place in (
        "Qwen/Qwen2.5-VL-7B",
        "C:\\models\\Qwen2.5-VL-7B\\",
        "/root/.cache/huggingface/hub/models--Qwen--Qwen2.5-VL-7B/snapshots/0123abcd",
        "/mnt/.cache/modelscope/hub/qwen/Qwen2___5-VL-7B",
        None,
    ):
        edit_config(adapter, base_model_name_or_path=place)
        check_adapter("qwen/qwen2.5-vl-7b", adapter)
        if place:
            with pytest.raises(MellaError, match="was trained on the base"):
                check_adapter("Qwen/Qwen2-VL-7B", adapter)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name, tensor: None if "layers.0" in name else (name, tensor), "are missing, such as"),
        (lambda name, tensor: (name.replace("self_attn", "attention"), tensor), "have no place in the model, such as"),
        (lambda name, tensor: (f"odd.{name}", tensor), "have no place in the model"),
        (lambda name, tensor: None if "lora_B" in name else (name, tensor), "lora_B"),
    ],
)
def test_what_does_not_fit_whole_is_refused(base: Any, adapter: Path, change: Any, said: str) -> None:
    rewrite(adapter, change)
    with pytest.raises(MellaError, match="does not fit the base model") as error:
        loaded(base, adapter)
    assert said in str(error.value)


def test_a_tensor_too_many_is_refused(base: Any, adapter: Path) -> None:
    weights = load_file(adapter / FILE)
    name = next(iter(weights))
    weights[name.replace("layers.0", "layers.99").replace("blocks.0", "blocks.99")] = weights[name].clone()
    save_file(weights, adapter / FILE, metadata={"format": "pt"})
    with pytest.raises(MellaError, match="1 tensors have no place in the model"):
        loaded(base, adapter)


def test_the_adapter_config_still_says_what_was_trained(adapter: Path) -> None:
    assert json.loads((adapter / "adapter_config.json").read_text())["r"] == 4
