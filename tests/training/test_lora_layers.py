"""LoRA layers in one operation give what PEFT's own give: outputs, gradients, and every way that is not plain."""

import copy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from mella_hf.answers.attention import no_plans
from mella_hf.training.lora_layers import fuse_lora


def both(**how: Any) -> tuple[Any, Any]:
    """The same model twice, PEFT's and fused, with an adapter that changes something."""
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Linear(12, 20), torch.nn.Tanh(), torch.nn.Linear(20, 5, bias=False))
    plain = get_peft_model(base, LoraConfig(r=4, target_modules=["0", "2"], init_lora_weights=False, **how))
    fused = copy.deepcopy(plain)
    fuse_lora(fused)
    return plain, fused


def run(model: Any, x: torch.Tensor, autocast: bool = False) -> list[torch.Tensor]:
    """The output and the gradients of a model. Each call draws the same random numbers for dropout."""
    torch.manual_seed(1)
    x = x.clone().requires_grad_(True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        out = model(x)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [out, *torch.autograd.grad(out.float().square().sum(), [x, *trained])]


@pytest.mark.parametrize("shape", [(3, 12), (2, 7, 12), (12,)])
@pytest.mark.parametrize(
    "how", [{}, {"lora_dropout": 0.5}, {"use_rslora": True}, {"use_dora": True}, {"lora_bias": True}]
)
def test_same_as_peft(how: dict[str, Any], shape: tuple[int, ...]) -> None:
    plain, fused = both(lora_alpha=7, **how)
    x = torch.randn(shape)
    for mine, theirs in zip(run(fused, x), run(plain, x), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_under_autocast_it_is_nearer_to_float32() -> None:
    """PEFT rounds to bfloat16 three times where one operation rounds once."""
    plain, fused = both(lora_alpha=7)
    x = torch.randn(64, 12)
    exact, theirs, mine = run(plain, x), run(plain, x, True), run(fused, x, True)
    assert mine[0].dtype == theirs[0].dtype == torch.bfloat16
    for one, other, truth in zip(mine, theirs, exact, strict=True):
        room = {"rtol": 0.05, "atol": 0.05 * truth.detach().abs().max().item()}
        torch.testing.assert_close(one.float(), truth, **room)
        torch.testing.assert_close(one, other, **room)
    assert (mine[0] - exact[0]).norm() <= (theirs[0] - exact[0]).norm()


def test_a_disabled_a_merged_and_a_second_adapter() -> None:
    plain, fused = both()
    x = torch.randn(3, 12)
    for model in (plain, fused):
        model.add_adapter("other", LoraConfig(r=2, target_modules=["0"], init_lora_weights=False))
    fused.load_state_dict(plain.state_dict())
    with plain.disable_adapter(), fused.disable_adapter():
        torch.testing.assert_close(fused(x), plain(x))
    for model in (plain, fused):
        model.set_adapter("other")
    torch.testing.assert_close(fused(x), plain(x))
    for model in (plain, fused):
        model.base_model.set_adapter(["default", "other"])
    torch.testing.assert_close(fused(x), plain(x))
    torch.testing.assert_close(fused.merge_and_unload()(x), plain(x))


def test_plans_are_off_for_a_while() -> None:
    was = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        for before in (True, False):
            torch.backends.cuda.enable_cudnn_sdp(before)
            with pytest.raises(KeyError), no_plans():
                assert not torch.backends.cuda.cudnn_sdp_enabled()
                raise KeyError
            assert torch.backends.cuda.cudnn_sdp_enabled() is before
    finally:
        torch.backends.cuda.enable_cudnn_sdp(was)
