"""What a GPU makes of a run: speed against plain TRL, share of the peak, memory, and the same numbers as on the CPU.

    python benchmarks/gpu.py [--json] [--tiny] [--only correctness|train|generate]

Nothing is fetched: Qwen2-VL-7B and InternVL2-8B have random weights of their published sizes (bfloat16), the images are
noise, the texts are of the lengths in the paper (about 14 tokens for `know`, 258 for `ling`, arXiv 2508.05502). At most
eight minutes on one GPU of 80 GB. `--tiny` runs the same lines on a CPU with models of 0.1 M parameters, all but 4-bit
weights; its speeds say nothing, and only its correctness is judged.

`correctness`: losses and gradients of a tiny model on the device against those of the CPU, in float32 (1e-4) and in
bfloat16 (3e-2), and a run that is stopped and resumed against one that is not: the same weights.
`train`: LoRA on the language model, both sources mixed: ours and TRL's own SFTTrainer on the same model in the same
process; with and without gradient checkpointing, each attention that is there, the loss on labels alone and on all
positions, 4-bit weights where bitsandbytes is there.
`generate`: 400 answers in batches, and some of them one by one.

MFU counts 4 operations a parameter and token, forwards and backwards through frozen weights, without what checkpointing
computes again; tokens are those that are no padding. Attention itself is not counted.

Bars: at least 1.5 x the samples a second of plain TRL on the mixed data; MFU 0.45 without and 0.35 with checkpointing;
35 GB at batch 2; answers in batches equal to those one by one. Exits 1 when a bar is missed.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/training")]
LENGTHS = {"know": (14, 5), "ling": (258, 60)}  # tokens: mean and deviation
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12}  # bfloat16, dense, NVIDIA's data sheets
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "task_type": "CAUSAL_LM"}
BATCH = 2  # of the recipes
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


def make_rows(count: int, tokenizer: Any, tiny: bool) -> Any:
    """Samples, half of each source, with texts of drawn lengths and images of sizes as on the web."""
    import numpy as np
    from datasets import Dataset
    from PIL import Image

    from mella_hf.sample import features, make_sample

    draw, noise = random.Random(0), np.random.default_rng(0)
    words = "this picture shows a house with a red roof and three old trees beside the water".split()
    a_word = len(tokenizer(" ".join(words) * 4)["input_ids"]) / (4 * len(words))
    rows = []
    for number in range(count):
        source = "know" if number % 2 else "ling"
        mean, deviation = LENGTHS[source]
        length = max(3, draw.gauss(mean, deviation)) / (8 if tiny else 1)
        text = " ".join(draw.choice(words) for _ in range(max(1, round(length / a_word))))
        width, height = (draw.randrange(60, 160) if tiny else draw.randrange(400, 1200) for _ in range(2))
        file = io.BytesIO()
        Image.fromarray(noise.integers(0, 256, (height, width, 3), np.uint8)).save(file, "JPEG")
        kept = {"text": text, "language": "ar", "source": source, "width": width, "height": height}
        rows.append(make_sample(image=file.getvalue(), **kept))
    return Dataset.from_list(rows, features=features())


def count_batches(trainer: Any) -> list[Any]:
    """Samples, tokens and positions of each batch that a trainer takes, as tensors of 3 numbers; filled as it goes."""
    import torch

    seen: list[Any] = []
    compute_loss = trainer.compute_loss

    def counted(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        mask = inputs["attention_mask"]
        seen.append(torch.stack([mask.new_tensor(len(mask)), mask.sum(), mask.new_tensor(mask.numel())]))
        return compute_loss(model, inputs, *args, **kwargs)

    trainer.compute_loss = counted
    return seen


def make_trainer(model: Any, processor: Any, rows: Any, options: argparse.Namespace, **how: Any) -> Any:
    """A trainer that measures.

    Args:
        how: `ours` or TRL's; `checkpointing`; `labels_only`; `steps`; `adapt`, whether LoRA is put on the model.
    """
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from mella_hf.training.backbones import lora_targets
    from mella_hf.training.batching import LengthBuckets
    from mella_hf.training.chat import conversations, count_tokens
    from mella_hf.training.trainer import MellaTrainer

    class AllPositions(MellaTrainer):
        """Ours, but with the loss of the model itself, which makes logits of every position."""

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
            inputs = {key: value for key, value in inputs.items() if key != "num_items_in_batch"}
            return model(**inputs, use_cache=False).loss

    batches: dict[str, Any] = {}
    kind: Any = SFTTrainer
    if how["ours"]:
        kind = MellaTrainer if how.get("labels_only", True) else AllPositions
        lengths = count_tokens(rows, processor, 42).sequence
        batches["batches"] = LengthBuckets(lengths, list(rows["source"]), options.batch)
    gpu = options.device == "cuda"
    arguments = SFTConfig(
        output_dir=how.get("folder") or tempfile.mkdtemp(), per_device_train_batch_size=options.batch,
        max_steps=how["steps"], max_length=None, use_cpu=not gpu, bf16=gpu, learning_rate=4e-5,
        gradient_checkpointing=how["checkpointing"], remove_unused_columns=False, dataloader_pin_memory=gpu,
        dataloader_num_workers=8 if gpu else 0, save_strategy="steps" if "save_steps" in how else "no",
        save_steps=how.get("save_steps", 500), logging_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip
    targets = lora_targets(model, ["language_model"])
    trainer = kind(
        model=model, args=arguments, train_dataset=rows.with_transform(conversations(42)),
        processing_class=processor, peft_config=LoraConfig(target_modules=targets, **LORA), **batches,
    )  # fmt: skip
    return trainer


def speed(trainer: Any, options: argparse.Namespace, parameters: float) -> dict[str, Any]:
    """Seconds a step, samples and tokens a second, share of the peak, memory, padding; the first two steps apart."""
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            if options.device == "cuda":
                torch.cuda.synchronize()
            ends.append(time.perf_counter())

    ends: list[float] = []
    trainer.add_callback(Clock())
    seen = count_batches(trainer)
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    skipped = min(2, len(ends) - 1)
    seconds = ends[-1] - ends[skipped - 1]
    counted = torch.stack(seen[skipped : len(ends)]).tolist()
    samples, tokens, positions = (sum(column) for column in zip(*counted, strict=True))
    flops = 4 * parameters * tokens / seconds
    peak = next((value for card, value in PEAKS.items() if card in options.card), None)
    return {
        "seconds_a_step": seconds / len(counted),
        "samples_a_second": samples / seconds,
        "tokens_a_second": tokens / seconds,
        "mfu": None if peak is None else flops / peak,
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


def training(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """All variants of training one backbone."""
    from mella_hf.training.backbones import trainable_by_part

    model, processor = backbone(name, options.tiny, options.device)
    rows = make_rows(options.samples, processor.tokenizer, options.tiny)
    parameters = trainable_by_part(model)["language_model"]["total"]
    steps = options.steps
    variants: dict[str, dict[str, Any]] = {
        "ours": {"ours": True, "checkpointing": True},
        "trl": {"ours": False, "checkpointing": True},
        "ours_without_checkpointing": {"ours": True, "checkpointing": False},
        "ours_all_positions": {"ours": True, "checkpointing": True, "labels_only": False},
    }
    attentions = ["eager", "sdpa", *(["flash_attention_2"] if importlib.util.find_spec("flash_attn") else [])]
    variants |= {f"ours_{kind}": {"ours": True, "checkpointing": True, "attention": kind} for kind in attentions}
    results = {}
    for variant, how in variants.items():
        with clean():
            model.set_attn_implementation(how.pop("attention", "sdpa"))
            trainer = make_trainer(model, processor, rows, options, steps=steps, **how)
            results[variant] = speed(trainer, options, parameters)
            model = trainer.model.unload()  # without the adapter, for the next
            del trainer
        say(f"{name} {variant}: {spoken(results[variant])}", options)
    return results


def quantized(options: argparse.Namespace) -> dict[str, Any] | None:
    """Measure QLoRA on Qwen2-VL. Skipped without bitsandbytes or without a GPU."""
    if options.device != "cuda" or importlib.util.find_spec("bitsandbytes") is None:
        return None
    import torch
    from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

    from mella_hf.training.backbones import trainable_by_part

    with clean(), tempfile.TemporaryDirectory() as folder:
        model, processor = backbone("qwen2_vl", options.tiny, "cpu")
        parameters = trainable_by_part(model)["language_model"]["total"]
        model.save_pretrained(folder)
        del model
        four = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16)
        model = AutoModelForImageTextToText.from_pretrained(folder, quantization_config=four, device_map={"": 0})
        rows = make_rows(options.samples, processor.tokenizer, options.tiny)
        trainer = make_trainer(model, processor, rows, options, steps=options.steps, ours=True, checkpointing=True)
        return speed(trainer, options, parameters)


def generation(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Answers a second in batches, and whether some of them are those given one by one."""
    from mella_hf.answers.generate import answer_batch

    model, processor = backbone(name, options.tiny, options.device)
    rows = make_rows(options.answers, processor.tokenizer, options.tiny)
    images = [image.convert("RGB") for image in rows["image"]]
    start = time.perf_counter()
    answers = []
    for at in range(0, len(images), 16):
        answers += answer_batch(model, processor, images[at : at + 16], "ما هذا؟", options.new_tokens)
    seconds = time.perf_counter() - start
    alone = [answer_batch(model, processor, [image], "ما هذا؟", options.new_tokens)[0] for image in images[:8]]
    equal = sum(one == together for one, together in zip(alone, answers, strict=False))
    return {"answers": len(answers), "answers_a_second": len(answers) / seconds, "equal": equal, "compared": len(alone)}


def correctness(options: argparse.Namespace) -> dict[str, Any]:
    """Largest relative differences of the device from the CPU, and whether a resumed run ends the same."""
    import torch

    found: dict[str, Any] = {}
    for name in ("qwen2_vl", "internvl"):
        for dtype, bar in ((torch.float32, 1e-4), (torch.bfloat16, 3e-2)):
            plain = loss_and_gradient(name, "cpu", torch.float32)
            there = loss_and_gradient(name, options.device, dtype)
            loss = abs(there[0] - plain[0]) / abs(plain[0])
            gradient = float((there[1] - plain[1]).norm() / plain[1].norm())
            key = f"{name}_{str(dtype).removeprefix('torch.')}"
            found[key] = {"loss": loss, "gradient": gradient, "bar": bar, "passed": max(loss, gradient) <= bar}
            say(f"{key}: loss {loss:.1e}, gradient {gradient:.1e}, bar {bar:.0e}", options)
    found["resume"] = {"passed": resumed_is_the_same(options)}
    return found


def loss_and_gradient(name: str, device: str, dtype: Any) -> tuple[float, Any]:
    """The loss of two samples, and the gradient of the language model's first layer, in float32 on the CPU."""
    import torch
    from tiny_backbones import TYPES
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from mella_hf.training.chat import conversations
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
                trainer = make_trainer(
                    model,
                    processor,
                    rows,
                    options,
                    ours=True,
                    checkpointing=False,
                    steps=4,
                    folder=folder,
                    save_steps=2,
                )
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
    bars = {f"correct: {name}": entry["passed"] for name, entry in results.get("correctness", {}).items()}
    for name, entry in results.get("generate", {}).items():
        bars[f"{name}: {entry['equal']} of {entry['compared']} answers as one by one"] = (
            entry["equal"] == entry["compared"]
        )
    if options.tiny or options.device != "cuda":
        return bars
    for name, of_one in results.get("train", {}).items():
        ours, trl, bare = (of_one[key] for key in ("ours", "trl", "ours_without_checkpointing"))
        ratio = ours["samples_a_second"] / trl["samples_a_second"]
        bars[f"{name}: {ratio:.2f} x TRL, at least 1.5"] = ratio >= 1.5
        if ours["mfu"] is not None:
            bars[f"{name}: MFU {ours['mfu']:.2f} with checkpointing, at least 0.35"] = ours["mfu"] >= 0.35
            bars[f"{name}: MFU {bare['mfu']:.2f} without, at least 0.45"] = bare["mfu"] >= 0.45
        bars[f"{name}: {ours['memory_gb']:.0f} GB, at most 35"] = ours["memory_gb"] <= 35
    return bars


def spoken(entry: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value:.3g}" for key, value in entry.items() if value is not None)


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
    options.batch = BATCH
    options.samples, options.steps = (8, 3) if options.tiny else (512, 14)
    options.answers, options.new_tokens = (18, 4) if options.tiny else (400, 64)
    results: dict[str, Any] = {"card": options.card, "torch": torch.__version__}
    if options.only in (None, "correctness"):
        results["correctness"] = correctness(options)
    names = ("qwen2_vl", "internvl")
    if options.only in (None, "train"):
        with clean():
            results["train"] = {name: training(name, options) for name in names}
        results["qlora"] = quantized(options)
    if options.only in (None, "generate"):
        with clean():
            results["generate"] = {name: generation(name, options) for name in names}
            for name, entry in results["generate"].items():
                say(f"{name} answers: {spoken(entry)}", options)
    results["bars"] = judge(results, options)
    if options.json:
        print(json.dumps(results, indent=1))
    for bar, met in results["bars"].items():
        say(f"{'met   ' if met else 'MISSED'}  {bar}", options)
    return 0 if all(results["bars"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
