"""Replay and EWC: reduce forgetting in the second stage.

The paper's two-stage run (ling, then know) loses what its first stage taught, and leaves open whether replay or elastic
weight consolidation helps (arXiv 2508.05502, limitations). Here both are settings of the second stage, which continues
to train the first stage's adapter.

**Replay** mixes a share of the first stage's samples, drawn by seed, into the second stage's.

**EWC** (Kirkpatrick et al. 2017, arXiv 1612.00796, eq. 3) adds to the second stage's loss

    λ/2 · Σ_i F_i (θ_i − θ*_i)²

where θ* are the first stage's adapter weights and F is the diagonal of the Fisher information, the mean over samples
of the squared gradient of the log-likelihood of the whole answer. It is the *empirical* Fisher: the answers come from
the data, not from the model. The two differ if the model fits the data badly (Kunstner et al. 2019, arXiv 1905.12558);
they are closest at the end of a stage, where F is estimated. With LoRA, θ are the factors A and B: the penalty holds
these two, although other factors have the same product.

In the Laplace approximation on which EWC is based, the first stage's log-posterior has the curvature N·F for N samples.
The loss here is a mean over the answer tokens of a step, so the λ of that approximation is N divided by the number of
answer tokens in stage two. Start a search there; docs/ablation.md has one in miniature.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError
from mella_hf.progress import progress_bar
from mella_hf.sample import SOURCES

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from peft import LoraConfig, PeftModel
    from torch import nn
    from transformers import PreTrainedModel

FISHER_FILE = "fisher.safetensors"  # beside the adapter's weights
SAME_LORA = ("r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora")


@dataclass
class ForgettingArguments:
    """Settings of a second stage: the adapter to continue with, and replay or EWC against forgetting."""

    init_adapter: str | None = field(
        default=None, metadata={"help": "Folder of a first stage's adapter; this stage goes on training it."}
    )
    replay_share: float | None = field(
        default=None,
        metadata={"help": "Share of the samples of the sources left out of `sources` that is mixed in, in (0, 1]."},
    )
    fisher_samples: int | None = field(
        default=None,
        metadata={"help": "Samples on which the Fisher information is estimated after training, for a later EWC."},
    )
    ewc_lambda: float | None = field(
        default=None, metadata={"help": "Strength λ of elastic weight consolidation; needs init_adapter's Fisher."}
    )

    def __post_init__(self) -> None:
        if self.replay_share is not None and not 0 < self.replay_share <= 1:
            raise MellaError(f"replay_share is {self.replay_share}; give a share in (0, 1], or remove it.")
        if self.fisher_samples is not None and self.fisher_samples < 1:
            raise MellaError(f"fisher_samples is {self.fisher_samples}; give a positive number, or remove it.")
        if self.ewc_lambda is not None and self.ewc_lambda <= 0:
            raise MellaError(f"ewc_lambda is {self.ewc_lambda}; give a positive number, or remove it.")
        if self.ewc_lambda is not None and self.init_adapter is None:
            raise MellaError("ewc_lambda needs init_adapter; set it to the adapter of the first stage.")


def replayed_sources(sources: Sequence[str]) -> list[str]:
    """The sources that this stage does not train on, for replay. Raises MellaError if there are none."""
    left = [source for source in SOURCES if source not in sources]
    if not left:
        raise MellaError(
            f"replay_share is set, but sources is {list(sources)}, so nothing is left to replay. Remove the first "
            "stage's source from `sources`."
        )
    return left


def draw_replay(rows: "Dataset", share: float, seed: int) -> "Dataset":
    """Draw a share of the rows (at least one) without replacement, by seed, and keep their order."""
    count = max(1, round(share * len(rows)))
    return rows.select(sorted(random.Random(f"replay/{seed}").sample(range(len(rows)), count)))


def adapter_hash(adapter: str) -> str:
    """The sha256 of an adapter's content. Raises MellaError if the folder is not an adapter."""
    from mella_hf.answers.identity import content_hash, read_adapter_config

    read_adapter_config(adapter)
    return content_hash(adapter)


def load_trainable_adapter(model: "PreTrainedModel", adapter: str, recipe: "LoraConfig") -> "PeftModel":
    """The model with the first stage's adapter, ready for further training.

    Raises:
        MellaError: if the folder is not an adapter of this model, or the recipe sets another kind of LoRA.
    """
    from peft.tuners.lora import LoraLayer

    from mella_hf.answers.adapter_weights import load_adapter
    from mella_hf.answers.identity import check_adapter

    check_adapter(str(model.config.name_or_path), adapter, recipe.revision)
    ends = tuple(f".{target}" for target in recipe.target_modules or ())
    wanted = {path for path, _ in model.named_modules() if f".{path}".endswith(ends)}
    loaded = load_adapter(model, adapter, is_trainable=True)
    config = loaded.peft_config["default"]
    for name in SAME_LORA:
        have, want = getattr(config, name), getattr(recipe, name)
        if have != want:
            raise MellaError(
                f"The adapter {adapter!r} has {name} {have!r}, but the recipe asks for {want!r}. A second stage "
                "continues with the first stage's LoRA: give both the same lora_ settings."
            )
    adapted = {path for path, module in loaded.get_base_model().named_modules() if isinstance(module, LoraLayer)}
    if adapted != wanted:
        path = sorted(adapted ^ wanted)[0]
        raise MellaError(
            f"The adapter {adapter!r} adapts {len(adapted)} layers, but the recipe asks for {len(wanted)}; {path} is "
            "in only one of the two. A second stage continues with the first stage's LoRA: give both one lora_scope."
        )
    return loaded


def check_devices(arguments: ForgettingArguments, distribution: str) -> None:
    """Refuse EWC and Fisher estimation under FSDP and ZeRO, before the run starts.

    Args:
        distribution: the value of accelerate's `distributed_type`.
    """
    for name in ("fisher_samples", "ewc_lambda"):
        if getattr(arguments, name) is not None and distribution in ("FSDP", "DEEPSPEED"):
            raise MellaError(
                f"{name} does not work with {distribution}, which splits weights or gradients over the processes. "
                "Launch with accelerate/ddp.yaml or accelerate/one_gpu.yaml."
            )


def diagonal_fisher(
    parameters: Mapping[str, "nn.Parameter"], log_likelihoods: Iterable["torch.Tensor"]
) -> dict[str, "torch.Tensor"]:
    """The mean over samples of the squared gradient of each one's log-likelihood, in float32, by parameter.

    Args:
        parameters: by name; each log-likelihood is a function of them.
        log_likelihoods: one scalar per sample, in nats, computed lazily.
    """
    import torch

    totals = {name: torch.zeros_like(parameter, dtype=torch.float32) for name, parameter in parameters.items()}
    count = 0
    for likelihood in log_likelihoods:
        gradients = torch.autograd.grad(likelihood, list(parameters.values()), materialize_grads=True)
        for total, gradient in zip(totals.values(), gradients, strict=True):
            total += gradient.float().square()
        count += 1
    return {name: total / max(count, 1) for name, total in totals.items()}


def trainable(model: "nn.Module") -> dict[str, "nn.Parameter"]:
    """The trainable parameters, by the names under which PEFT saves them."""
    return {n.replace(".default.", "."): p for n, p in model.named_parameters() if p.requires_grad}


def answer_log_likelihood(model: "nn.Module", batch: Mapping[str, Any]) -> "torch.Tensor":
    """The log-likelihood of the labelled tokens of a batch of one sample, in nats."""
    tokens = (batch["labels"][:, 1:] != -100).sum()  # no token is predicted for the first position
    return -model(**batch).loss * tokens


def save_fisher(trainer: Any, samples: int, folder: Path) -> None:
    """Estimate the Fisher information on training samples drawn by the run's seed; save it with the adapter.

    Each process takes its share of the samples, so all processes must call this.
    """
    import torch
    from safetensors.torch import save_file

    accelerator = trainer.accelerator
    dataset = trainer.train_dataset
    drawn = random.Random(f"fisher/{trainer.args.seed}").sample(range(len(dataset)), min(samples, len(dataset)))
    mine = drawn[accelerator.process_index :: accelerator.num_processes]
    model = accelerator.unwrap_model(trainer.model).eval()
    parameters = trainable(model)

    def log_likelihoods() -> Iterable[torch.Tensor]:
        for index in progress_bar(mine, desc="Fisher", unit="sample", shown=accelerator.is_main_process):
            batch = trainer.data_collator([dataset[index]])
            yield answer_log_likelihood(model, {key: value.to(accelerator.device) for key, value in batch.items()})

    own = diagonal_fisher(parameters, log_likelihoods())
    fisher = {name: accelerator.reduce(value * len(mine) / len(drawn), "sum") for name, value in own.items()}
    if accelerator.is_main_process:
        about = {"samples": str(len(drawn)), "kind": "diagonal of the empirical Fisher information, mean over samples"}
        save_file({name: value.contiguous().cpu() for name, value in fisher.items()}, folder / FISHER_FILE, about)


def read_fisher(adapter: Path | str) -> dict[str, "torch.Tensor"]:
    """The Fisher information saved with an adapter, by parameter. Raises MellaError if it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(adapter) / FISHER_FILE
    if not path.is_file():
        raise MellaError(
            f"The adapter {str(adapter)!r} has no {FISHER_FILE}, which ewc_lambda needs. Train the first stage with "
            "fisher_samples set, as in --fisher_samples 500."
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise MellaError(f"{path} is damaged ({error}); copy it again, or train the first stage again.") from error


class ElasticWeights:
    """The penalty of EWC: pulls parameters back to the values that they have when this object is made.

    Its gradient has a closed form, λ F_i (θ_i − θ*_i). It is added to the gradient of the loss once per optimizer
    step, the same on every process.

    Raises:
        MellaError: if the Fisher information belongs to other parameters.
    """

    def __init__(
        self, parameters: Mapping[str, "nn.Parameter"], fisher: Mapping[str, "torch.Tensor"], strength: float
    ) -> None:
        for name in sorted({*parameters, *fisher}):
            have = tuple(fisher[name].shape) if name in fisher else "nothing"
            want = tuple(parameters[name].shape) if name in parameters else "nothing"
            if have != want:
                raise MellaError(
                    f"{FISHER_FILE} does not fit this run: for {name} it has {have}, the adapter has {want}. Estimate "
                    "it with the adapter that init_adapter names."
                )
        self.strength = strength
        # [(θ, F, θ*)], alike in shape and device
        self.held = [(p, fisher[name].to(p.device), p.detach().clone()) for name, p in parameters.items()]

    def penalty(self) -> float:
        """λ/2 · Σ F (θ − θ*)², in nats."""
        terms = [(f * (p.detach() - anchor).float().square()).sum() for p, f, anchor in self.held]
        return self.strength / 2 * float(sum(terms))

    def add_gradient(self) -> None:
        """Add the penalty's gradient to `.grad` of each parameter that has one."""
        for p, f, anchor in self.held:
            if p.grad is not None:
                p.grad += (self.strength * f * (p.detach() - anchor).float()).to(p.grad.dtype)
