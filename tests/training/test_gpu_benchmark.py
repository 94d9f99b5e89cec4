"""benchmarks/gpu.py: every line of it runs on a CPU with tiny models, and its numbers are those of the runs."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/gpu.py"


@pytest.fixture(scope="module")
def gpu() -> Any:
    spec = importlib.util.spec_from_file_location("gpu_benchmark", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tiny_runs_everything(gpu: Any, capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["--tiny", "--json"])
    text = capsys.readouterr().out
    found = json.loads(text[text.index('{\n "card"') :])
    assert len(found["bars"]) == 7
    # bfloat16 is rounded otherwise on each kind of CPU, and its bar is for GPUs.
    assert all(met for bar, met in found["bars"].items() if "bfloat16" not in bar)
    for name in ("qwen2_vl", "internvl"):
        variants = found["train"][name]
        assert {"ours", "trl", "ours without checkpointing", "ours, all positions", "ours, eager"} <= set(variants)
        assert all(0 <= entry["padding"] < 1 for entry in variants.values())
        for entry in variants.values():
            assert entry["samples_a_second"] > 0 and entry["tokens_a_second"] > entry["samples_a_second"]
            assert entry["mfu"] is None  # no GPU whose peak is known


def test_the_published_sizes_have_the_published_parameters(gpu: Any) -> None:
    """On no device: 8.29 billion are in Qwen2-VL-7B's files, 8.08 in InternVL2-8B's (their model cards: 8B each)."""
    totals, weights = {}, {}
    for name in ("qwen2_vl", "internvl"):
        model, processor = gpu.backbone(name, tiny=False, device="meta")
        weights[name] = gpu.weights_of(model)
        totals[name] = sum(p.numel() for p in model.parameters()) / 1e9
        assert str(model.dtype) == "torch.bfloat16" and processor.chat_template
    assert totals == {"qwen2_vl": pytest.approx(8.29, abs=0.01), "internvl": pytest.approx(8.08, abs=0.01)}
    # Qwen2.5-7B's card: 6.53 billion without embeddings, in the same sizes; Qwen2-VL's paper: 675 million in the tower,
    # with the merger's 44.6 million (1280 * 4 = 5120 to 5120 and to 3584). InternVL2's card: a tower of 304 million.
    qwen, intern = weights["qwen2_vl"], weights["internvl"]
    assert (qwen.layers / 1e9, (qwen.tower + 44.6e6) / 1e6) == (
        pytest.approx(6.53, abs=0.01),
        pytest.approx(675, abs=2),
    )
    assert intern.tower / 1e6 == pytest.approx(304, abs=1)
    assert (qwen.head, intern.head) == (152_064 * 3584, 92_553 * 4096)
    assert (qwen.text_attention, qwen.image_attention) == (28 * 3584, 32 * 1280)
    assert (intern.text_attention, intern.image_attention) == (32 * 4096, 24 * 1024)
    assert (qwen.patch, intern.patch) == (2 * 3 * 14 * 14, 3 * 14 * 14)


def test_operations_by_hand(gpu: Any) -> None:
    weights = gpu.Weights(layers=100, head=10, tower=20, patch=5, text_attention=2, image_attention=3)
    # products: forwards and backwards; forwards through the tower; attention: 2 products, the text's halved, times 3
    counts = {"tokens": 7, "labels": 3, "patches": 11, "text_squares": 49, "image_squares": 121}
    by_hand = (2 + 2) * 100 * 7 + (2 + 2) * 10 * 3 + 2 * 20 * 11 + 3 * (2 * 2 * 49 // 2) * 2 + 2 * 2 * 121 * 3
    assert weights.operations(**counts) == by_hand


@pytest.mark.parametrize(
    ("changed", "missed"), [({}, 0), ({"tokens_a_second": 1.4}, 1), ({"memory_gb": 36}, 1), ({"error": "out"}, 1)]
)
def test_bars_are_judged(gpu: Any, changed: dict[str, Any], missed: int) -> None:
    import argparse

    options = argparse.Namespace(tiny=False, device="cuda")
    ours = {"tokens_a_second": 1.6, "mfu": 0.36, "memory_gb": 34, **changed}
    runs = {"ours": ours, "ours, 8 a batch": ours, "trl, no plans, 8 a batch": {"tokens_a_second": 1.0}}
    runs["ours without checkpointing"] = {"mfu": 0.46}
    bars = gpu.judge({"train": {"qwen2_vl": runs}}, options)
    assert list(bars.values()).count(False) == (2 if "error" in changed else missed)
