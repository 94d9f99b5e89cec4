"""Replay and EWC against their formulas, and what cannot work. No model is trained here."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.utils import DistributedType
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, safe_open, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from mella_hf.errors import MellaError
from mella_hf.training.forgetting import (
    FISHER_FILE,
    ElasticWeights,
    ForgettingArguments,
    adapter_hash,
    answer_log_likelihood,
    check_devices,
    diagonal_fisher,
    draw_replay,
    load_trainable_adapter,
    read_fisher,
    replayed_sources,
    save_fisher,
    trainable,
)


def test_fisher_of_logistic_regression_is_the_closed_form() -> None:
    """d/dw log p(y|x) = (y - σ(wx)) x, so the empirical Fisher is the mean of (y - σ)² x². Worked by hand below."""
    w = torch.nn.Parameter(torch.tensor([0.0, 0.0]))
    x = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    y = torch.tensor([1.0, 0.0])

    def likelihoods(at: torch.nn.Parameter) -> Any:
        for features, label in zip(x, y, strict=True):
            p = torch.sigmoid(features @ at)
            yield label * torch.log(p) + (1 - label) * torch.log(1 - p)

    # At w = 0, σ = 1/2 and (y - σ)² = 1/4: F = 1/4 · mean(x²) = [(1 + 9)/8, (4 + 1)/8].
    assert diagonal_fisher({"w": w}, likelihoods(w))["w"].tolist() == pytest.approx([1.25, 0.625])
    w = torch.nn.Parameter(torch.tensor([0.7, -0.4]))
    residual = y - torch.sigmoid(x @ w.detach())
    expected = (residual[:, None] ** 2 * x**2).mean(0)
    assert diagonal_fisher({"w": w}, likelihoods(w))["w"].tolist() == pytest.approx(expected.tolist())


def test_fisher_is_exact_in_short_floats_and_zero_where_nothing_depends() -> None:
    """bfloat16 holds three digits: the sum of squares 1 + 300 x 0.01^2 would stay 1 there."""
    p, unused = (torch.nn.Parameter(torch.zeros(1, dtype=torch.bfloat16)) for _ in range(2))
    slopes = [1.0] + [0.0625] * 256  # powers of two, exact in bfloat16
    found = diagonal_fisher({"p": p, "unused": unused}, ((slope * p).sum() for slope in slopes))
    assert found["p"].dtype == torch.float32 and found["unused"].tolist() == [0.0]
    assert found["p"].tolist() == pytest.approx([(1 + 256 * 0.0625**2) / 257])
    assert diagonal_fisher({"p": p}, ())["p"].tolist() == [0.0]


def test_penalty_and_its_gradient() -> None:
    """λ/2 · Σ F (θ - θ*)² with λ 3, F [2, 0.5], θ - θ* [1, -2]: 3/2 · (2 + 2) = 6; gradient 3 · [2, -1]."""
    p = torch.nn.Parameter(torch.tensor([1.0, 5.0]))
    elastic = ElasticWeights({"p": p}, {"p": torch.tensor([2.0, 0.5])}, 3.0)
    assert elastic.penalty() == 0
    with torch.no_grad():
        p += torch.tensor([1.0, -2.0])
    assert elastic.penalty() == pytest.approx(6.0)
    p.grad = torch.tensor([10.0, 10.0])
    elastic.add_gradient()
    assert p.grad.tolist() == pytest.approx([16.0, 7.0])
    with pytest.raises(MellaError, match=r"for p it has \(3,\), the adapter has \(2,\)"):
        ElasticWeights({"p": p}, {"p": torch.ones(3)}, 1.0)


def test_the_penalty_of_several_parameters() -> None:
    """lambda 2, F 1 and 3, moved by 2 and 1: 2/2 (4 + 3) = 7. What has no gradient in a step gets none."""
    a, b, c = (
        torch.nn.Parameter(torch.zeros(1, dtype=kind)) for kind in (torch.float32, torch.bfloat16, torch.float32)
    )
    held = {"a": a, "b": b, "c": c}
    elastic = ElasticWeights(held, {"a": torch.ones(1), "b": torch.full((1,), 3.0), "c": torch.ones(1)}, 2.0)
    with torch.no_grad():
        a += 2
        b += 1
    assert elastic.penalty() == pytest.approx(7.0)
    b.grad, c.grad = torch.ones(1, dtype=torch.bfloat16), torch.ones(1)
    elastic.add_gradient()
    assert a.grad is None and b.grad.item() == 1 + 2 * 3 * 1 and c.grad.item() == 1
    assert b.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("parameters", "fisher", "message"),
    [
        (["p"], ["p", "q"], r"for q it has \(2,\), the adapter has nothing\."),
        (["p", "q"], ["p"], r"for q it has nothing, the adapter has \(2,\)\."),
    ],
)
def test_a_fisher_of_other_parameters_is_refused(parameters: list[str], fisher: list[str], message: str) -> None:
    mine = {name: torch.nn.Parameter(torch.zeros(2)) for name in parameters}
    theirs = {name: torch.zeros(2) for name in fisher}
    end = r" Estimate it with the adapter that init_adapter names\.$"
    with pytest.raises(MellaError, match=r"^fisher\.safetensors does not fit this run: " + message + end):
        ElasticWeights(mine, theirs, 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"replay_share": 0.0}, r"replay_share is 0\.0; give a share in \(0, 1\], or remove it"),
        ({"replay_share": -0.1}, r"replay_share is -0\.1; give"),
        ({"replay_share": 1.01}, r"replay_share is 1\.01; give"),
        ({"fisher_samples": 0}, "fisher_samples is 0; give a positive number, or remove it"),
        ({"ewc_lambda": 0.0, "init_adapter": "one"}, r"ewc_lambda is 0\.0; give a positive number, or remove it"),
        ({"ewc_lambda": 1e-9}, "ewc_lambda needs init_adapter; set it to the adapter of the first stage"),
    ],
)
def test_values_at_the_edge_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(MellaError, match=f"^{message}"):
        ForgettingArguments(**given)


def test_values_within_the_edge_are_taken() -> None:
    given = ForgettingArguments(replay_share=1.0, fisher_samples=1, ewc_lambda=1e-9, init_adapter="one")
    assert (given.replay_share, given.fisher_samples, given.ewc_lambda) == (1.0, 1, 1e-9)
    assert ForgettingArguments().replay_share is None


def test_replay_draws_a_share_in_the_order_of_the_rows() -> None:
    rows = Dataset.from_dict({"id": list(range(20))})
    drawn = draw_replay(rows, 0.25, 1)["id"]
    assert list(drawn) == sorted(set(drawn)) and len(drawn) == 5
    # Pinned: a run that an earlier version began goes on with the same samples.
    assert list(drawn) == [1, 8, 12, 15, 19]
    assert list(draw_replay(rows, 1.0, 1)["id"]) == list(range(20))
    assert len(draw_replay(rows, 0.13, 1)) == 3 and len(draw_replay(rows, 0.001, 1)) == 1  # 2.6 is nearly three


def test_what_is_left_to_replay() -> None:
    assert replayed_sources(["know"]) == ["ling"] and replayed_sources(["ling"]) == ["know"]
    message = (
        r"^replay_share is set, but sources is \['ling', 'know'\], so nothing is left to replay\. "
        r"Remove the first stage's source from `sources`\.$"
    )
    with pytest.raises(MellaError, match=message):
        replayed_sources(("ling", "know"))


@pytest.mark.parametrize("name", ["fisher_samples", "ewc_lambda"])
def test_weights_in_parts_have_no_fisher(name: str) -> None:
    given = ForgettingArguments(**{name: 1, "init_adapter": "one"})
    for kind in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        message = (
            f"^{name} does not work with {kind.value}, which splits weights or gradients over the processes. "
            "Launch with accelerate/ddp.yaml or accelerate/one_gpu.yaml.$"
        )
        with pytest.raises(MellaError, match=message):
            check_devices(given, kind.value)
        check_devices(ForgettingArguments(replay_share=0.5), kind.value)
    check_devices(given, DistributedType.MULTI_GPU.value)


def test_the_likelihood_is_that_of_all_answer_tokens() -> None:
    """The loss is a mean over two tokens; none is predicted for the first position, whatever its label."""
    batch = {"labels": torch.tensor([[5, -100, 7, 8]])}
    assert answer_log_likelihood(lambda labels: SimpleNamespace(loss=torch.tensor(0.5)), batch).item() == -1.0


def test_names_are_those_of_the_saved_adapter() -> None:
    lora = torch.nn.ModuleDict({"default": torch.nn.Linear(2, 1, bias=False)})
    model = torch.nn.ModuleDict({"lora_A": lora, "base": torch.nn.Linear(2, 2)})
    model["base"].requires_grad_(False)
    assert {name: p.shape for name, p in trainable(model).items()} == {"lora_A.weight": (1, 2)}


def test_a_fisher_that_is_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(MellaError) as caught:
        read_fisher(tmp_path)
    assert str(caught.value) == (
        f"The adapter {str(tmp_path)!r} has no fisher.safetensors, which ewc_lambda needs. Train the first stage with "
        "fisher_samples set, as in --fisher_samples 500."
    )
    save_file({"p": torch.ones(2)}, tmp_path / FISHER_FILE)
    assert read_fisher(str(tmp_path))["p"].tolist() == [1, 1]
    (tmp_path / FISHER_FILE).write_bytes(b"no tensors")
    damaged = r"fisher\.safetensors is damaged \(.+\); copy it again, or train the first stage again\.$"
    with pytest.raises(MellaError, match=damaged):
        read_fisher(tmp_path)


class OneSlope(torch.nn.Module):
    """Its loss is `weight * batch["slope"]`, so that the gradient of the log-likelihood is the slope."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0]))
        self.fixed = torch.nn.Parameter(torch.tensor([1.0]), requires_grad=False)

    def forward(self, slope: torch.Tensor, labels: torch.Tensor) -> Any:
        assert not self.training, "dropout would make the estimate depend on chance"
        return SimpleNamespace(loss=self.weight * slope)


class Process:
    """What `save_fisher` asks of accelerate, for one process of several."""

    device = torch.device("cpu")

    def __init__(self, index: int, count: int) -> None:
        self.process_index, self.num_processes, self.is_main_process = index, count, index == 0
        self.sums: list[float] = []

    def unwrap_model(self, model: Any) -> Any:
        return model

    def reduce(self, value: torch.Tensor, how: str) -> torch.Tensor:
        assert how == "sum"
        self.sums += value.tolist()
        return value


def trainer_of(process: Process, slopes: list[float]) -> Any:
    return SimpleNamespace(
        accelerator=process, train_dataset=slopes, model=OneSlope().train(), args=SimpleNamespace(seed=3),
        data_collator=lambda rows: {"slope": torch.tensor(rows), "labels": torch.tensor([[-100, 1]])},
    )  # fmt: skip


def test_processes_share_the_samples_of_the_fisher(tmp_path: Path) -> None:
    """Of one answer token each, the squared gradients are 1, 4, 9, 16 and 25: their mean is 11, whoever computes it."""
    slopes = [1.0, 2.0, 3.0, 4.0, 5.0]
    alone = Process(0, 1)
    save_fisher(trainer_of(alone, slopes), 100, tmp_path)  # no more samples than there are
    assert load_file(tmp_path / FISHER_FILE)["weight"].tolist() == alone.sums == pytest.approx([11.0])
    with safe_open(tmp_path / FISHER_FILE, "pt") as file:
        assert file.metadata() == {
            "samples": "5", "kind": "diagonal of the empirical Fisher information, mean over samples",
        }  # fmt: skip
    (tmp_path / FISHER_FILE).unlink()
    sums = []
    for index in (2, 1):
        process = Process(index, 3)
        save_fisher(trainer_of(process, slopes), 5, tmp_path)
        assert not (tmp_path / FISHER_FILE).exists()  # the first process alone writes
        sums += process.sums
    first = Process(0, 3)
    save_fisher(trainer_of(first, slopes), 5, tmp_path)
    assert sum(sums + first.sums) == pytest.approx(11.0)
    # Three of five samples, the same ones in every run of this seed.
    few = [Process(0, 1) for _ in range(2)]
    for process in few:
        save_fisher(trainer_of(process, slopes), 3, tmp_path)
    assert few[0].sums == few[1].sums
    squares = [slope**2 for slope in slopes]
    means = {a + b + c for i, a in enumerate(squares) for j, b in enumerate(squares[:i]) for c in squares[:j]}
    assert round(3 * few[0].sums[0], 3) in means


@pytest.fixture
def llama(tmp_path: Path) -> Any:
    """A tiny model, and the folder of an adapter of it with r 2 on `q_proj`."""
    config = LlamaConfig(hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=11)
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "base")

    def load() -> Any:
        return LlamaForCausalLM.from_pretrained(tmp_path / "base")

    lora = LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj"])
    get_peft_model(load(), lora).save_pretrained(tmp_path / "adapter")
    return load, str(tmp_path / "adapter")


def test_a_first_stages_adapter_goes_on_training(llama: Any) -> None:
    load, adapter = llama
    model = load_trainable_adapter(load(), adapter, LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj"]))
    assert isinstance(model, PeftModel)
    names = sorted(trainable(model))
    assert [name.rsplit("q_proj.")[1] for name in names] == ["lora_A.weight", "lora_B.weight"]
    assert len(adapter_hash(adapter)) == 64


def test_another_kind_of_lora_is_refused(llama: Any) -> None:
    load, adapter = llama
    same = {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    others = {"r": 3, "lora_alpha": 8, "lora_dropout": 0.1, "use_rslora": True, "use_dora": True}
    for name, value in others.items():
        with pytest.raises(MellaError) as caught:
            load_trainable_adapter(load(), adapter, LoraConfig(**{**same, name: value}))
        have = {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0}.get(name, False)
        assert str(caught.value) == (
            f"The adapter {adapter!r} has {name} {have!r}, but the recipe asks for {value!r}. A second stage "
            "continues with the first stage's LoRA: give both the same lora_ settings."
        )
    with pytest.raises(MellaError) as caught:
        load_trainable_adapter(load(), adapter, LoraConfig(**{**same, "target_modules": ["q_proj", "v_proj"]}))
    assert str(caught.value) == (
        f"The adapter {adapter!r} adapts 1 layers, but the recipe asks for 2; model.layers.0.self_attn.v_proj is "
        "in only one of the two. A second stage continues with the first stage's LoRA: give both one lora_scope."
    )


def test_an_adapter_of_another_base_is_refused(llama: Any, tmp_path: Path) -> None:
    load, adapter = llama
    config = json.loads((Path(adapter) / "adapter_config.json").read_text("utf-8"))
    config["base_model_name_or_path"] = "org/another"
    (Path(adapter) / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(MellaError, match="was trained on the base 'org/another'"):
        load_trainable_adapter(load(), adapter, LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj"]))
    with pytest.raises(MellaError, match="No adapter at"):
        adapter_hash(str(tmp_path / "nowhere"))
