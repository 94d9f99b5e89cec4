"""How fast quality estimation is, against COMET's own `model.predict` on the same pairs in the same process.

    python benchmarks/quality.py [--json] [--pairs 256] [--layers 4] [--hidden 256]

Pairs are English captions of one to fourteen sentences and descriptions in eight languages, as long as phrases of those
languages are. They come in shards of 64 images. Plain: a `model.predict` for each shard, with its defaults (batches
of 16, sorted by the characters of the source). Ours: shards are scored together, in batches by tokens of both sides.

Bar: ours at least 1.3 times as fast in CPU seconds, with scores that differ by less than 1e-4. Exit status 1 when
missed. `predict` over all pairs at once is measured as well, without a bar: its own sorting leaves about a quarter of
padding, which is all that batching can save on a CPU that computes tokens one after the other.

A tournament: judging two translations of each caption, guards included, against judging one, in CPU seconds of this
process and the worker. Bar: at most 2.1 times as much; the second translation is as long as the first.

Runs in `.venv-comet` (`make comet`) on one thread. The checkpoint has random weights and a hundredth of Kiwi's size.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "ling"))

from native_sentences import SENTENCES  # noqa: E402

PYTHON = ROOT / ".venv-comet" / "bin" / "python"
BAR = 1.3
TOURNAMENT_BAR = 2.1
TOURNAMENT_LANGUAGE = "cs"
BATCH, SHARD, ROUNDS = 16, 64, 2


def make_pairs(count: int, languages: tuple[str, ...] = ()) -> tuple[list[str], list[tuple[str, str]]]:
    """Lines for a tokenizer, and `count` pairs of an English and another description, of mixed length.

    `languages`: of the pairs; all by default.
    """
    draw = random.Random(0)
    lines = {code: [sentence for slot in slots for sentence in slot] for code, slots in SENTENCES.items()}
    pairs = []
    for _ in range(count):
        sentences = int(math.exp(draw.uniform(0, math.log(14.9))))
        code = draw.choice(languages or [code for code in lines if code != "en"])
        source, translation = (" ".join(draw.choices(lines[c], k=sentences)) for c in ("en", code))
        pairs.append((source, translation))
    return [line for group in lines.values() for line in group], pairs


def measure(folder: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """CPU seconds of both, the better of two rounds each, in COMET's environment."""
    import logging

    import comet_worker
    import torch

    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    model = comet_worker.CometModel(folder, comet_worker.BATCH_TOKENS)
    lengths = model.count(pairs)
    pairs = [pair for pair, length in zip(pairs, lengths, strict=True) if length <= model.max_tokens]
    samples = [{"src": source, "mt": translation} for source, translation in pairs]

    def predict(chosen: list[dict[str, str]]) -> list[float]:
        return list(model._model.predict(chosen, batch_size=BATCH, gpus=0, progress_bar=False).scores)

    def shards() -> list[float]:
        return [score for at in range(0, len(samples), SHARD) for score in predict(samples[at : at + SHARD])]

    runs = {"ours": lambda: model.score(pairs), "predict_by_shard": shards, "predict_at_once": lambda: predict(samples)}
    seconds = dict.fromkeys(runs, float("inf"))
    scores: dict[str, list[float]] = {}
    model.score(pairs[:8])  # first calls
    predict(samples[:8])
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.process_time()
            scores[name] = run()
            seconds[name] = min(seconds[name], time.process_time() - start)
    apart = max(abs(a - b) for a, b in zip(scores["ours"], scores["predict_at_once"], strict=True))
    return {"seconds": seconds, "pairs": len(pairs), "tokens": sum(model.count(pairs)), "scores_apart": apart}


def tournament(folder: str, count: int) -> dict[str, Any]:
    """CPU seconds of judging one and two translations of each caption, the better of two rounds each."""
    from mella_hf.ling.comet import CometWorker
    from mella_hf.ling.tournament import judge_all

    pairs = make_pairs(count, (TOURNAMENT_LANGUAGE,))[1]
    rows: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    for source, text in pairs:
        other = ". ".join(reversed(text.rstrip(".").split(". "))) + ". Je den."
        told = [{"translator": "a", "text": text}, {"translator": "b", "text": other}]
        for size in rows:
            rows[size].append({"caption_en": source, "candidates": told[:size]})
    seconds = dict.fromkeys(rows, float("inf"))
    os.environ["OMP_NUM_THREADS"] = "1"
    with CometWorker(folder, PYTHON) as worker:
        judge_all(rows[1][:8], TOURNAMENT_LANGUAGE, worker, 0.5)  # first calls
        for _ in range(ROUNDS):
            for size, some in rows.items():
                start = _cpu_seconds(worker)
                judge_all(some, TOURNAMENT_LANGUAGE, worker, 0.5)
                seconds[size] = min(seconds[size], _cpu_seconds(worker) - start)
    return {"one": seconds[1], "two": seconds[2], "ratio": seconds[2] / seconds[1]}


def _cpu_seconds(worker: Any) -> float:
    """CPU seconds of this process and of the worker, so far (Linux: proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{worker._process.pid}/stat").read_text().rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(count: int, layers: int, hidden: int) -> dict[str, Any]:
    """Build a checkpoint, measure in COMET's environment."""
    if not PYTHON.exists():
        sys.exit("COMET's environment is absent; run make comet")
    lines, pairs = make_pairs(count)
    with tempfile.TemporaryDirectory() as home:
        folder, texts = Path(home) / "random-comet", Path(home) / "lines.txt"
        folder.mkdir()
        texts.write_text("\n".join(lines), "utf-8")
        build = [str(PYTHON), str(ROOT / "tests" / "ling" / "build_comet.py"), str(folder), str(texts)]
        subprocess.run([*build, str(layers), str(hidden)], check=True, capture_output=True)
        # The worker's file by its path: mella_hf is not installed there.
        code = (
            "import importlib.util, json, os, sys\n"
            "out = os.fdopen(os.dup(1), 'w'); os.dup2(2, 1)\n"
            "for name, path in (('comet_worker', sys.argv[1]), ('benchmark', sys.argv[2])):\n"
            "    spec = importlib.util.spec_from_file_location(name, path)\n"
            "    sys.modules[name] = module = importlib.util.module_from_spec(spec)\n"
            "    spec.loader.exec_module(module)\n"
            "pairs = [tuple(pair) for pair in json.load(sys.stdin)]\n"
            "out.write(json.dumps(sys.modules['benchmark'].measure(sys.argv[3], pairs)))\n"
        )
        command = [str(PYTHON), "-P", "-c", code, str(ROOT / "mella_hf/ling/comet_worker.py"), __file__, str(folder)]
        done = subprocess.run(command, input=json.dumps(pairs), capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return {**json.loads(done.stdout), "tournament": tournament(str(folder), count)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    arguments = parser.parse_args()
    measured = run(arguments.pairs, arguments.layers, arguments.hidden)
    seconds = measured["seconds"]
    ratio = seconds["predict_by_shard"] / seconds["ours"]
    held = measured["tournament"]
    passed = ratio >= BAR and measured["scores_apart"] < 1e-4 and held["ratio"] <= TOURNAMENT_BAR
    if arguments.json:
        print(json.dumps({**measured, "ratio": ratio, "bar": BAR, "passed": passed}))
    else:
        for name, value in seconds.items():
            print(f"{name:16} {1e3 * value / measured['pairs']:8.2f} ms a pair")
        print(f"scores apart     {measured['scores_apart']:8.1e}")
        print(f"ratio            {ratio:8.2f} (bar {BAR}); at once {seconds['predict_at_once'] / seconds['ours']:.2f}")
        print(f"tournament of two {held['ratio']:7.2f} x one (bar {TOURNAMENT_BAR})")
        print("passed" if passed else "MISSED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
