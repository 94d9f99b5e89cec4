"""What a GPU makes of a run: speed against plain TRL, share of the peak, memory, and the same numbers as on the CPU.

    python benchmarks/gpu.py [--json] [--tiny] [--only correctness|train|generate]

Nothing is fetched: Qwen2-VL-7B and InternVL2-8B have random weights of their published sizes (bfloat16), the images are
noise, the texts are of the lengths in the paper (about 14 tokens for `know`, 258 for `ling`, arXiv 2508.05502). At most
eight minutes on one GPU of 80 GB. `--tiny` runs the same lines on a CPU with models of 0.1 M parameters, all but 4-bit
weights; its speeds say nothing, and only its correctness is judged.

`correctness`: losses and gradients of a tiny model on the device against those of the CPU, in float32 (1e-4) and in
bfloat16 (3e-2), and a run that is stopped and resumed against one that is not: the same weights.
`train`: LoRA on the language model, both sources mixed: ours and TRL's own SFTTrainer on the same model in the same
process, two and eight samples a batch; with and without gradient checkpointing, each attention that is there, the loss
on labels alone and on all positions, 4-bit weights where bitsandbytes is there.
`generate`: 400 answers in batches in bfloat16; and in float32, whether some of them are those given one by one (random
weights have near-ties that bfloat16 decides by the batch's shape).

MFU counts what must be computed: 4 operations a weight of the language model's layers and token (forwards, and
backwards through frozen weights), 4 a weight of its head and token with a label, 2 a weight of the frozen vision tower
and patch, and attention. Tokens are those that are no padding. What checkpointing computes again is not counted.

Bars: at least 1.5 x the tokens a second of plain TRL on the mixed data at eight a batch, without cuDNN's attention in
both (cuDNN builds a plan for every new shape; ours never uses it, plain TRL does); MFU 0.45 without checkpointing
and 0.35 with it; 35 GB at batch 2; answers in batches equal to those one by one. A part that fails is named and the
rest goes on. Exits 1 when a bar is missed or a part failed.
"""

import argparse
import gc
import importlib.util
import io
import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/training")]
LENGTHS = {"know": (14, 5), "ling": (258, 60)}  # tokens: mean and deviation
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12}  # bfloat16, dense, NVIDIA's data sheets
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "task_type": "CAUSAL_LM"}
BATCH, LARGE = 2, 8  # samples a batch: of the recipes, and what 80 GB allow
FIRST = 4  # steps that are not counted
TEXT_7B = {
    "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4, "vocab_size": 152_064, "max_position_embeddings": 32_768,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
}  # fmt: skip
VISION_7B = {"depth": 32, "embed_dim": 1280, "hidden_size": 3584, "num_heads": 16, "mlp_ratio": 4, "patch_size": 14}
TEXT_8B = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 92_553, "max_position_embeddings": 32_768,
    "head_dim": 128, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
}  # fmt: skip
VISION_8B = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "image_size": [448, 448], "patch_size": [14, 14],
}  # fmt: skip


def backbone(name: str, tiny: bool, device: str) -> tuple[Any, Any]:
    """A model with random weights and its processor: of the published size, or a tiny one."""
    import torch
    from tiny_backbones import TYPES

    small, processor = TYPES[name]()
    config = small.config.to_dict()
    ids = {key: value for key, value in config.items() if key.endswith("_token_id")}
    made: dict[str, Any] = {"text_config": config["text_config"], "vision_config": config["vision_config"]}
    if not tiny:
        text, vision = (TEXT_7B, VISION_7B) if name == "qwen2_vl" else (TEXT_8B, VISION_8B)
        kept = {key: config["text_config"][key] for key in ("pad_token_id", "eos_token_id", "bos_token_id")}
        made = {"text_config": text | kept, "vision_config": vision}
    side, most = (56, 3) if tiny else (448, 6)
    if name == "internvl":
        processor.image_processor.size = {"height": side, "width": side}
        processor.image_processor.max_patches = most
        processor.image_seq_length = made["image_seq_length"] = (side // 28) ** 2
    elif not tiny:
        processor.image_processor.size = {"shortest_edge": 3136, "longest_edge": 1_404_928}
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32 if tiny else torch.bfloat16)
    try:
        with torch.device(device):
            model = type(small)(type(small.config)(**made, **ids, tie_word_embeddings=False))
    finally:
        torch.set_default_dtype(torch.float32)
    model.generation_config.eos_token_id = small.generation_config.eos_token_id
    model.generation_config.pad_token_id = small.generation_config.pad_token_id
    return model.eval(), processor


@dataclass(frozen=True)
class Weights:
    """Weights that each token, labelled token and patch of an image meets.

    Attributes:
        patch: numbers a patch consists of.
        text_attention, image_attention: width times layers.
    """

    layers: int
    head: int
    tower: int
    patch: int
    text_attention: int
    image_attention: int

    def operations(
        self, tokens: float, labels: float, patches: float, text_squares: float, image_squares: float
    ) -> float:
        """What training an adapter must compute. A text sees what is before it, half of all pairs."""
        products = 4 * self.layers * tokens + 4 * self.head * labels + 2 * self.tower * patches
        return products + 6 * self.text_attention * text_squares + 4 * self.image_attention * image_squares


def weights_of(model: Any) -> Weights:
    from mella_hf.training.backbones import find_parts

    parts, layers, tower, patch = find_parts(model), 0, 0, 0
    for path, weight in model.named_parameters():
        if parts.part_of(path) == "language_model" and ".layers." in path:
            layers += weight.numel()
        if parts.part_of(path) == "vision_tower":
            tower += weight.numel()
            if weight.ndim > 3:  # the convolution that makes patches
                patch = weight[0].numel()
    text, vision = model.config.text_config, model.config.vision_config
    text_attention = text.num_hidden_layers * text.hidden_size
    # Qwen2-VL's `hidden_size` of the tower is that of its projector.
    image_attention = getattr(vision, "depth", None) or vision.num_hidden_layers
    image_attention *= getattr(vision, "embed_dim", None) or vision.hidden_size
    head = model.get_output_embeddings().weight.numel()
    return Weights(layers, head, tower, patch, text_attention, image_attention)


def make_rows(count: int, tokenizer: Any, tiny: bool) -> Any:
    """Samples, half of each source, with texts of drawn lengths and images of sizes as on the web."""
    import numpy as np
    from datasets import Dataset
    from PIL import Image

    from mella_hf.sample import features, make_sample

    draw = random.Random(0)
    words = "this picture shows a house with a red roof and three old trees beside the water".split()
    a_word = len(tokenizer(" ".join(words) * 4)["input_ids"]) / (4 * len(words))
    drawn = []
    for number in range(count):
        source = "know" if number % 2 else "ling"
        mean, deviation = LENGTHS[source]
        length = max(3, draw.gauss(mean, deviation)) / (8 if tiny else 1)
        text = " ".join(draw.choice(words) for _ in range(max(1, round(length / a_word))))
        width, height = (draw.randrange(60, 160) if tiny else draw.randrange(400, 1200) for _ in range(2))
        drawn.append({"text": text, "source": source, "width": width, "height": height})

    def row(numbered: tuple[int, dict[str, Any]]) -> dict[str, Any]:
        number, kept = numbered
        noise = np.random.default_rng(number).integers(0, 256, (kept["height"], kept["width"], 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(noise).save(file, "JPEG")
        return make_sample(image=file.getvalue(), language="ar", **kept)

    with ThreadPoolExecutor() as threads:
        rows = list(threads.map(row, enumerate(drawn)))
    return Dataset.from_list(rows, features=features())


def patches_by_image(inputs: Any, patch: int) -> Any:
    """Patches of each image, or of each tile where images are cut into tiles."""
    import torch

    if "image_grid_thw" in inputs:
        return inputs["image_grid_thw"].prod(1)
    pixels = inputs["pixel_values"]
    return torch.full((len(pixels),), pixels[0].numel() // patch, device=pixels.device)


def count_batches(trainer: Any, patch: int) -> list[Any]:
    """Of each batch that a trainer takes: samples, positions, tokens, labels, patches, and the squares of the lengths
    of its texts and of its images. A tensor of seven for each, filled as it goes."""
    import torch

    seen: list[Any] = []
    compute_loss = trainer.compute_loss

    def counted(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        mask = inputs["attention_mask"]
        lengths, images = mask.sum(1), patches_by_image(inputs, patch)
        labels = (inputs["labels"] != -100).sum()
        known = torch.tensor([len(mask), mask.numel()], device=mask.device)
        counts = [lengths.sum(), labels, images.sum(), (lengths**2).sum(), (images**2).sum()]
        seen.append(torch.cat([known, torch.stack([count.to(mask.device) for count in counts])]))
        return compute_loss(model, inputs, *args, **kwargs)

    trainer.compute_loss = counted
    return seen


def make_trainer(model: Any, processor: Any, rows: Any, options: argparse.Namespace, **how: Any) -> Any:
    """A trainer that measures.

    Args:
        how: `ours` or TRL's; `checkpointing`; `labels_only`; `batch`, the samples of one; `steps`.
    """
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from mella_hf.training.backbones import lora_targets
    from mella_hf.training.batches.batching import LengthBuckets
    from mella_hf.training.batches.chat import conversations, count_tokens
    from mella_hf.training.trainer import MellaTrainer

    class AllPositions(MellaTrainer):
        """Ours, but with the loss of the model itself, which makes logits of every position."""

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
            inputs = {key: value for key, value in inputs.items() if key != "num_items_in_batch"}
            return model(**inputs, use_cache=False).loss

    batch = how.get("batch", BATCH)
    batches: dict[str, Any] = {}
    kind: Any = SFTTrainer
    if how["ours"]:
        kind = MellaTrainer if how.get("labels_only", True) else AllPositions
        lengths = count_tokens(rows, processor, 42).sequence
        batches["batches"] = LengthBuckets(lengths, list(rows["source"]), batch)
    gpu = options.device == "cuda"
    arguments = SFTConfig(
        output_dir=how.get("folder") or tempfile.mkdtemp(), per_device_train_batch_size=batch,
        max_steps=how["steps"], max_length=None, use_cpu=not gpu, bf16=gpu, learning_rate=4e-5,
        gradient_checkpointing=how["checkpointing"],
        remove_unused_columns=False, dataloader_pin_memory=gpu,
        dataloader_num_workers=8 if gpu else 0, save_strategy="steps" if "save_steps" in how else "no",
        save_steps=how.get("save_steps", 500), logging_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    targets = lora_targets(model, ["language_model"])
    trainer = kind(
        model=model, args=arguments, train_dataset=rows.with_transform(conversations(42)),
        processing_class=processor, peft_config=LoraConfig(target_modules=targets, **LORA), **batches,
    )  # fmt: skip
    return trainer


def speed(trainer: Any, options: argparse.Namespace, weights: Weights) -> dict[str, Any]:
    """Seconds a step, samples and tokens a second, share of the peak, memory, padding; the first steps apart."""
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            if options.device == "cuda":
                torch.cuda.synchronize()
            ends.append(time.perf_counter())

    ends: list[float] = []
    trainer.add_callback(Clock())
    seen = count_batches(trainer, weights.patch)
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    skipped = min(FIRST, len(ends) - 1)
    seconds = ends[-1] - ends[skipped - 1]
    counted = torch.stack(seen[skipped : len(ends)]).tolist()
    samples, positions, tokens, *rest = (sum(column) for column in zip(*counted, strict=True))
    peak = next((value for card, value in PEAKS.items() if card in options.card), None)
    return {
        "steps": len(counted),
        "seconds_a_step": seconds / len(counted),
        "samples_a_second": samples / seconds,
        "tokens_a_second": tokens / seconds,
        "mfu": None if peak is None else weights.operations(tokens, *rest) / seconds / peak,
        "memory_gb": torch.cuda.max_memory_allocated() / 1e9 if options.device == "cuda" else None,
        "padding": 1 - tokens / positions,
    }


@contextmanager
def clean() -> Iterator[None]:
    """Give memory back afterwards."""
    import torch

    yield
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def attempt(what: str, options: argparse.Namespace, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was measured, said aloud; of a part that fails, its error, so that the others still run."""
    started = time.perf_counter()
    with clean():
        try:
            found = measure()
        except Exception as error:  # whatever it is: a GPU is lent for minutes
            if options.tiny:
                raise
            traceback.print_exc()
            found = {"error": f"{type(error).__name__}: {error}"[:300]}
    say(f"{what}: {spoken(found)} ({time.perf_counter() - started:.0f} s)", options)
    return found


def as_loaded(model: Any) -> None:
    """Take away what a trainer has put on a model."""
    model.gradient_checkpointing_disable()
    model.disable_input_require_grads()
    for module in model.modules():
        vars(module).pop("forward", None)


def training(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """All variants of training one backbone."""
    from mella_hf.answers.attention import no_plans

    model, processor = backbone(name, options.tiny, options.device)
    rows = make_rows(options.samples, processor.tokenizer, options.tiny)
    weights = weights_of(model)
    variants: dict[str, dict[str, Any]] = {
        "ours": {"ours": True},
        "trl": {"ours": False},
        "trl, no plans": {"ours": False, "plans": False},
        f"ours, {LARGE} a batch": {"ours": True, "batch": LARGE},
        f"trl, {LARGE} a batch": {"ours": False, "batch": LARGE},
        f"trl, no plans, {LARGE} a batch": {"ours": False, "batch": LARGE, "plans": False},
        "ours without checkpointing": {"ours": True, "checkpointing": False},
        "ours, all positions": {"ours": True, "labels_only": False},
        "ours, eager": {"ours": True, "attention": "eager"},
    }
    if importlib.util.find_spec("flash_attn"):
        variants["ours, flash"] = {"ours": True, "attention": "flash_attention_2"}

    def measure(attention: str = "sdpa", plans: bool = True, **how: Any) -> dict[str, Any]:
        model.set_attn_implementation(attention)
        how = {"checkpointing": True, "steps": options.steps, **how}
        trainer = make_trainer(model, processor, rows, options, **how)
        try:
            with nullcontext() if plans else no_plans():
                return speed(trainer, options, weights)
        finally:
            as_loaded(trainer.model.unload())  # for the next variant

    return {
        variant: attempt(f"{name}, {variant}", options, lambda how=how: measure(**how))
        for variant, how in variants.items()
    }


def quantized(options: argparse.Namespace) -> dict[str, Any]:
    """QLoRA on Qwen2-VL."""
    import torch
    from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        model, processor = backbone("qwen2_vl", options.tiny, options.device)
        weights = weights_of(model)
        model.save_pretrained(folder)
        del model
        torch.cuda.empty_cache()
        four = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16)
        model = AutoModelForImageTextToText.from_pretrained(folder, quantization_config=four, device_map={"": 0})
    rows = make_rows(options.samples, processor.tokenizer, options.tiny)
    trainer = make_trainer(model, processor, rows, options, steps=options.steps, ours=True, checkpointing=True)
    return speed(trainer, options, weights)


def generation(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Answers a second in batches, and whether some of them are those given one by one."""
    from mella_hf.answers.generate import answer_batch

    model, processor = backbone(name, options.tiny, options.device)
    rows = make_rows(options.answers, processor.tokenizer, options.tiny)
    images = [image.convert("RGB") for image in rows["image"]]
    start = time.perf_counter()
    answers = []
    for at in range(0, len(images), options.at_once):
        shown = images[at : at + options.at_once]
        answers += answer_batch(model, processor, shown, "ما هذا؟", options.new_tokens)
    seconds = time.perf_counter() - start
    model.float()
    some, tokens = images[:8], options.new_tokens // 4
    together = answer_batch(model, processor, some, "ما هذا؟", tokens)
    alone = [answer_batch(model, processor, [image], "ما هذا؟", tokens)[0] for image in some]
    equal = sum(one == other for one, other in zip(alone, together, strict=True))
    return {"answers": len(answers), "answers_a_second": len(answers) / seconds, "equal": equal, "compared": len(alone)}


def correctness(options: argparse.Namespace) -> dict[str, Any]:
    """Largest relative differences of the device from the CPU, and whether a resumed run ends the same."""
    import torch

    torch.backends.cudnn.allow_tf32 = False  # convolutions would otherwise round float32 to 10 bits

    def compare(name: str, dtype: Any, bar: float) -> dict[str, Any]:
        plain = loss_and_gradient(name, "cpu", torch.float32)
        there = loss_and_gradient(name, options.device, dtype)
        loss = abs(there[0] - plain[0]) / abs(plain[0])
        gradient = float((there[1] - plain[1]).norm() / plain[1].norm())
        return {"loss": loss, "gradient": gradient, "bar": bar, "passed": max(loss, gradient) <= bar}

    found: dict[str, Any] = {}
    for name in ("qwen2_vl", "internvl"):
        for dtype, bar in ((torch.float32, 1e-4), (torch.bfloat16, 3e-2)):
            key = f"{name} in {str(dtype).removeprefix('torch.')}"
            how = {"name": name, "dtype": dtype, "bar": bar}
            found[key] = attempt(key, options, lambda how=how: compare(**how))
    found["resume"] = attempt("resume", options, lambda: {"passed": resumed_is_the_same(options)})
    return found


def loss_and_gradient(name: str, device: str, dtype: Any) -> tuple[float, Any]:
    """The loss of two samples, and the gradient of the language model's first layer, in float32 on the CPU."""
    import torch
    from tiny_backbones import TYPES
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from mella_hf.training.batches.chat import conversations
    from mella_hf.training.scoring import label_loss

    model, processor = TYPES[name]()
    rows = make_rows(2, processor.tokenizer, True).with_transform(conversations(42))
    collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    batch = collate([rows[0], rows[1]])
    model = model.to(device).train()
    with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
        loss = label_loss(model, {key: value.to(device) for key, value in batch.items()})
    layer = next(p for path, p in model.named_parameters() if "language_model.layers.0" in path and p.ndim == 2)
    (gradient,) = torch.autograd.grad(loss, [layer])
    return loss.item(), gradient.float().cpu()


def resumed_is_the_same(options: argparse.Namespace) -> bool:
    """Four steps at once, and two and two: the same weights, bit by bit."""
    import torch

    ends = []
    for parts in ((4,), (2, 4)):
        with tempfile.TemporaryDirectory() as folder:
            for number, steps in enumerate(parts):
                model, processor = backbone("qwen2_vl", True, options.device)
                rows = make_rows(16, processor.tokenizer, True)
                torch.manual_seed(0)
                how = {"ours": True, "checkpointing": False, "steps": 4, "folder": folder, "save_steps": 2}
                trainer = make_trainer(model, processor, rows, options, **how)
                if steps == 2:
                    trainer.add_callback(stop_after(2))
                trainer.train(resume_from_checkpoint=f"{folder}/checkpoint-2" if number else None)
            ends.append({n: p.detach().cpu().clone() for n, p in trainer.model.named_parameters() if p.requires_grad})
    return all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def stop_after(step: int) -> Any:
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_training_stop = state.global_step >= step

    return Stop()


def judge(results: dict[str, Any], options: argparse.Namespace) -> dict[str, bool]:
    """The bars, each with whether it is met; on a CPU only those of correctness."""
    bars = {f"correct: {name}": entry.get("passed", False) for name, entry in results.get("correctness", {}).items()}
    for name, entry in results.get("generate", {}).items():
        equal, compared = entry.get("equal"), entry.get("compared")
        bars[f"{name}: {equal} of {compared} answers as one by one"] = equal is not None and equal == compared
    if options.tiny or options.device != "cuda":
        return bars
    for name, of_one in results.get("train", {}).items():
        bars |= {f"{name}, {variant}: failed": False for variant, entry in of_one.items() if "error" in entry}
        if any("error" in entry for entry in of_one.values()):
            continue
        ours, bare = of_one["ours"], of_one["ours without checkpointing"]
        large, trl = of_one[f"ours, {LARGE} a batch"], of_one[f"trl, no plans, {LARGE} a batch"]
        ratio = large["tokens_a_second"] / trl["tokens_a_second"]
        bars[f"{name}: {ratio:.2f} x TRL at {LARGE} a batch, at least 1.5"] = ratio >= 1.5
        if large["mfu"] is not None:
            bars[f"{name}: MFU {large['mfu']:.2f} with checkpointing, at least 0.35"] = large["mfu"] >= 0.35
            bars[f"{name}: MFU {bare['mfu']:.2f} without, at least 0.45"] = bare["mfu"] >= 0.45
        bars[f"{name}: {ours['memory_gb']:.0f} GB at {BATCH} a batch, at most 35"] = ours["memory_gb"] <= 35
    return bars


def spoken(entry: dict[str, Any]) -> str:
    told = {key: value for key, value in entry.items() if value is not None}
    return ", ".join(f"{key} {value if isinstance(value, str) else f'{value:.3g}'}" for key, value in told.items())


def say(line: str, options: argparse.Namespace) -> None:
    if not options.json:
        print(line, flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="Tiny models, on a CPU too.")
    parser.add_argument("--only", choices=("correctness", "train", "generate"))
    options = parser.parse_args(arguments)
    import torch

    options.device = "cuda" if torch.cuda.is_available() else "cpu"
    options.card = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    if options.device == "cpu" and not options.tiny:
        raise SystemExit("There is no GPU here; --tiny runs the same lines on a CPU.")
    options.samples, options.steps = (24, 5) if options.tiny else (512, 20)
    options.answers, options.new_tokens, options.at_once = (18, 8, 16) if options.tiny else (400, 64, 64)
    results: dict[str, Any] = {"card": options.card, "torch": torch.__version__}
    names = ("qwen2_vl", "internvl")
    if options.only in (None, "correctness"):
        results["correctness"] = correctness(options)
    if options.only in (None, "train"):
        results["train"] = {}
        for name in names:
            with clean():
                results["train"][name] = training(name, options)
    if options.only in (None, "generate"):
        results["generate"] = {
            name: attempt(f"{name}, answers", options, lambda name=name: generation(name, options)) for name in names
        }
    if options.only in (None, "train") and options.device == "cuda" and importlib.util.find_spec("bitsandbytes"):
        results["qlora"] = attempt("qwen2_vl in 4 bits", options, lambda: quantized(options))
    results["bars"] = judge(results, options)
    if options.json:
        print(json.dumps(results, indent=1))
    for bar, met in results["bars"].items():
        say(f"{'met   ' if met else 'MISSED'}  {bar}", options)
    return 0 if all(results["bars"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
