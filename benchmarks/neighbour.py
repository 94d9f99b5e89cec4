"""What a busy neighbour on the machine costs: the demo's base, CPU training and answering, beside another process.

    python benchmarks/neighbour.py [--seconds 4]

A process that never rests takes one core. Each work is a step of the demo's miniature: training all of it, training a
LoRA adapter, and answering a batch of images; on all threads that torch takes. Rates are work a second of the clock.
Alone they are also measured with threads that wait as torch's do where nobody says otherwise.

A thread that waits for the others of its step spins by default. On a core that a neighbour takes, the others come only
when the scheduler lets them, and the spinning thread uses up its own turn meanwhile. One that sleeps at once is woken
late where nothing else runs. So ours spin a little, then sleep.

Bars, exit status 1 when one is missed: beside the neighbour at most 2.5 x slower than alone, and alone at least 0.9 of
the rate of torch as it comes. It needs two cores with nothing else on them, and takes about two minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
WORKS = ("base", "adapter", "answers")
BATCH = 16
NEW_TOKENS = 12


def make_work(name: str) -> Any:
    """A function that does one step of the work."""
    import numpy as np
    import torch
    from peft import LoraConfig, get_peft_model
    from PIL import Image

    from mella_hf.answers.generate import answer_turns
    from mella_hf.demo.miniature import IMAGE_SIDE, build_model, build_processor, train_tokenizer

    torch.manual_seed(0)
    words = [f"a picture of a red house, number {i}, beside a tree" for i in range(200)]
    processor = build_processor(train_tokenizer(words))
    model: Any = build_model(processor.tokenizer)
    noise = np.random.default_rng(0)
    images = [Image.fromarray(noise.integers(0, 256, (IMAGE_SIDE, IMAGE_SIDE, 3), np.uint8)) for _ in range(BATCH)]
    if name == "answers":
        turns = [([image], "What is this?") for image in images]
        model.eval()
        return lambda: answer_turns(model, processor, turns, NEW_TOKENS, BATCH, lambda i, answer: None)
    asked = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}
    said = [{"role": "assistant", "content": [{"type": "text", "text": word}]} for word in words[:BATCH]]
    texts = [processor.apply_chat_template([asked, answer]) for answer in said]
    batch = processor(text=texts, images=images, return_tensors="pt", padding=True)
    batch["labels"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    if name == "adapter":
        targets = r"model\.language_model\..*\.(q|k|v|o|gate|up|down)_proj"
        model = get_peft_model(model, LoraConfig(r=8, target_modules=targets))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def step() -> None:
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure(name: str, seconds: float) -> float:
    """Steps a second of the clock, after one that sets things up."""
    step = make_work(name)
    step()
    steps, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        step()
        steps += 1
    return steps / passed


def rate(name: str, seconds: float, ours: bool, beside: bool) -> float:
    """The rate in a process of its own, with the threads of `mella` or of torch, alone or beside a neighbour."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_", "KMP_"))}
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if beside else None
    try:
        command = [sys.executable, __file__, "--work", name, "--seconds", str(seconds), *(["--ours"] if ours else [])]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    finally:
        if neighbour is not None:
            neighbour.kill()
            neighbour.wait()
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--work", choices=WORKS, help="used by the benchmark itself, in its processes")
    parser.add_argument("--ours", action="store_true", help="likewise")
    args = parser.parse_args()
    if args.work is not None:
        if args.ours:
            from mella_hf.cli import share_cores

            share_cores()
        print(json.dumps(measure(args.work, args.seconds)))
        return
    missed = []
    for name in WORKS:
        torchs = rate(name, args.seconds, ours=False, beside=False)
        alone, beside = (rate(name, args.seconds, ours=True, beside=busy) for busy in (False, True))
        slower, kept = alone / beside, alone / torchs
        print(
            f"{name:8} {alone:6.2f} steps a second alone ({kept:.2f} of torch as it comes), {beside:6.2f} beside a "
            f"neighbour: {slower:.2f} x slower",
            flush=True,
        )
        missed += [f"{name}: {slower:.2f} x slower beside a neighbour, the bar is 2.5"] if slower > 2.5 else []
        missed += [f"{name}: {kept:.2f} of torch's rate alone, the bar is 0.9"] if kept < 0.9 else []
    sys.exit("\n".join(missed) or 0)


if __name__ == "__main__":
    main()
