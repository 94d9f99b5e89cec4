"""What batches of like length and one source save: padding and CPU seconds, against TRL's own trainer.

    python benchmarks/batches.py [--json] [--batch 16] [--steps 10] [--rounds 2] [--image-tokens 64]

Both trainers take the same number of steps over the same 1,600 generated samples, half `know` and half `ling`, at the
demo's batch of 16: the texts have the lengths of the paper's (about 14 and 258 tokens, arXiv 2508.05502), the images
are noise of the size that gives the image tokens asked for. The model is a random Qwen2-VL of about 5 M parameters with
LoRA, whose language model is ten times as large as its vision tower, as in Qwen2-VL-7B (7.6 to 0.68 billion). One
thread, CPU seconds of this process; steps are compared for the same number of tokens that are no padding. The trainers
take turns, each over the same batches again, and a step costs the least of its turns, since other work on the machine
makes a CPU second worth less. The first step of a turn, which sets things up, is not counted.

Bars, at 64 image tokens: padding at most 3%; a step at least 1.5 x cheaper than TRL's, 2.7 x at sixteen a batch or
more; collation under 5% of a step, so that two workers make a batch in under a fortieth of the time
that a step takes. Exits 1 when a bar is missed.

A position costs the same in both; most of the gain is the padding. It grows with the batch: the more samples, the surer
one of them is long. With `--batch 4 --steps 40`, 36% of TRL's positions are padding and its step costs 1.65 x ours; at
sixteen a batch, 51% and 2.75 to 3.1 x. LoRA layers that add in one operation are a part of that.
"""

import argparse
import io
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
sys.path.insert(0, str(Path(__file__).parents[1]))
SAMPLES = 1600
LENGTHS = {"know": (14, 5), "ling": (258, 60)}  # tokens: mean and deviation
PIXELS_A_TOKEN = 28  # px: 14 px patches, merged two by two
WORKERS = 2
MODEL = {"hidden": 256, "layers": 6, "vision_hidden": 80, "vision_layers": 3}


def make_samples(side: int, tokenizer: Any, seed: int = 0) -> Any:
    """Samples, half of each source, with texts of drawn lengths."""
    import numpy as np
    from datasets import Dataset
    from PIL import Image

    from mella_hf.sample import features, make_sample

    rng, noise = random.Random(seed), np.random.default_rng(seed)
    words = [word for word in vocabulary() if len(tokenizer(f" {word}")["input_ids"]) == 1]
    images = []
    for _ in range(16):
        file = io.BytesIO()
        Image.fromarray(noise.integers(0, 256, (side, side, 3), np.uint8)).save(file, "JPEG")
        images.append(file.getvalue())
    rows = []
    for number in range(SAMPLES):
        source = "know" if number % 2 else "ling"
        text = " ".join(rng.choice(words) for _ in range(max(3, round(rng.gauss(*LENGTHS[source])))))
        rows.append(
            make_sample(image=rng.choice(images), text=text, language="ar", source=source, width=side, height=side)
        )
    return Dataset.from_list(rows, features=features())


def vocabulary() -> list[str]:
    """Arabic words, from the prompts."""
    from mella_hf.languages import get_language

    language = get_language("ar")
    return sorted({word for s in LENGTHS for prompt in language.prompts(s) for word in prompt.split()})


class Meter:
    """A collator that counts each batch's tokens, its positions, and its own CPU seconds."""

    def __init__(self, collate: Any):
        self.collate = collate
        self.batches: list[tuple[int, int, float]] = []

    def __call__(self, conversations: list[Any]) -> Any:
        start = time.process_time()
        batch = self.collate(conversations)
        seconds = time.process_time() - start
        self.batches.append((int(batch["attention_mask"].sum()), batch["attention_mask"].numel(), seconds))
        return batch


def make_trainer(ours: bool, dataset: Any, processor: Any, tokenizer: Any, options: argparse.Namespace) -> Any:
    """A trainer whose collator is a `Meter`."""
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from mella_hf.demo.miniature import build_model
    from mella_hf.training.backbones import lora_targets
    from mella_hf.training.batches.batching import LengthBuckets
    from mella_hf.training.batches.chat import conversations, count_tokens
    from mella_hf.training.trainer import MellaTrainer

    model = build_model(tokenizer, **MODEL)
    batches: dict[str, Any] = {}
    if ours:
        tokens = count_tokens(dataset, processor, 42)
        batches["batches"] = LengthBuckets(tokens.sequence, list(dataset["source"]), options.batch)
    trainer = (MellaTrainer if ours else SFTTrainer)(
        model=model,
        args=SFTConfig(
            output_dir=tempfile.gettempdir(),
            per_device_train_batch_size=options.batch,
            max_steps=options.steps + 1,
            max_length=None,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),  # fmt: skip
        train_dataset=dataset.with_transform(conversations(42)),
        processing_class=processor,
        peft_config=LoraConfig(r=16, target_modules=lora_targets(model, ["language_model"]), task_type="CAUSAL_LM"),
        **batches,
    )
    trainer.data_collator = Meter(trainer.data_collator)
    return trainer


def turn(trainer: Any) -> Any:
    """Train from the start; of each step but the first, its batch's tokens and positions, and CPU seconds of
    collation and of the whole step, the collation of a batch ahead included: [steps, 4]."""
    import numpy as np
    from transformers import TrainerCallback, set_seed

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            ends.append(time.process_time())

    ends: list[float] = []
    clock = Clock()
    trainer.data_collator.batches.clear()
    trainer.add_callback(clock)
    set_seed(trainer.args.seed)  # the same order each time
    trainer.train()
    trainer.remove_callback(clock)
    return np.column_stack([trainer.data_collator.batches[1 : len(ends)], np.diff(ends)])


def summary(turns: list[Any]) -> dict[str, float]:
    """CPU seconds a step, of it TRL's collator, tokens a step, and the share of padding."""
    import numpy as np

    if any((again[:, :2] != turns[0][:, :2]).any() for again in turns):
        raise RuntimeError("the turns of one trainer had different batches, so that their steps cannot be compared")
    tokens, positions, collation, step = np.min(turns, axis=0).mean(0).tolist()
    return {"step": step, "collation": collation, "tokens": tokens, "padding": 1 - tokens / positions}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2, help="Turns of each trainer.")
    parser.add_argument("--image-tokens", type=int, default=64, help="A square number.")
    options = parser.parse_args()
    import torch

    from mella_hf.demo.miniature import build_processor, train_tokenizer

    torch.set_num_threads(1)
    side = round(options.image_tokens**0.5) * PIXELS_A_TOKEN
    tokenizer = train_tokenizer([" ".join(vocabulary())] * 9, 1000)
    processor = build_processor(tokenizer, side)
    dataset = make_samples(side, tokenizer)
    trainers = [make_trainer(ours, dataset, processor, tokenizer, options) for ours in (True, False)]
    turns = [[turn(trainer) for trainer in trainers] for _ in range(options.rounds)]
    mine, trl = (summary(list(of_one)) for of_one in zip(*turns, strict=True))
    results = {
        "batch": options.batch,
        "image_tokens": options.image_tokens,
        "ours": mine,
        "trl": trl,
        "step_ratio": (trl["step"] / trl["tokens"]) / (mine["step"] / mine["tokens"]),
        "collation_share": mine["collation"] / mine["step"],
        "loader_load": mine["collation"] / WORKERS / mine["step"],
    }
    least = 2.7 if options.batch >= 16 else 1.5
    bars = {
        f"padding {mine['padding']:.1%} (TRL {trl['padding']:.1%}); at most 3%": mine["padding"] <= 0.03,
        f"a step takes {mine['step']:.3f} CPU-s (TRL {trl['step']:.3f}): {results['step_ratio']:.2f} x cheaper; "
        f"at least {least} x": results["step_ratio"] >= least,
        f"collation is {results['collation_share']:.1%} of a step; under 5%": results["collation_share"] < 0.05,
        f"{WORKERS} workers make a batch in {results['loader_load']:.1%} of a step; under 2.5%": results["loader_load"]
        < 0.025,
    }
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        for bar, met in bars.items():
            print(f"{'ok   ' if met else 'SHORT'} {bar}")
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
