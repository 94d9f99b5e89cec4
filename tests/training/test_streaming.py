"""Streams: the guarantees of the batches, window by window, and going on from any batch."""

import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sft_runs import flags, weights_in

from mella_hf.training import sft
from mella_hf.training.arguments.data import DataArguments
from mella_hf.training.arguments.parsing import parse_settings
from mella_hf.training.batches.chat import TokenCounter
from mella_hf.training.streaming import BatchStream, open_sources

KNOW, LING = 13, 9  # samples of the dataset


@pytest.fixture(scope="module")
def counter(tiny_qwen2vl: Path) -> TokenCounter:
    from transformers import AutoProcessor

    return TokenCounter(AutoProcessor.from_pretrained(tiny_qwen2vl), 42)


@pytest.fixture
def make(tiny_dataset: Path, counter: TokenCounter) -> Any:
    """A rank's stream over windows of a few rounds; a conversation is named by its text."""

    def build(rank: int = 0, ranks: int = 1, know: int = 2, ling: int = 1, seed: int = 1) -> BatchStream:
        data = DataArguments(data_dir=str(tiny_dataset), languages=["ar"])
        sources = open_sources(data, seed, ranks)
        return BatchStream(sources, {"know": know, "ling": ling}, counter, 2, seed, rank=rank, ranks=ranks)

    return build


def text(conversation: dict[str, Any]) -> str:
    return conversation["source"] + conversation["completion"][0]["content"][0]["text"]


def epoch(stream: BatchStream, number: int = 0) -> list[list[dict[str, Any]]]:
    """The batches of one epoch."""
    batches = []
    for place, batch in stream:
        if json.loads(place)["epoch"] == number:
            batches.append(batch)
        elif json.loads(place)["epoch"] > number:
            return batches
    raise AssertionError("a stream has no end")


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_every_sample_once_an_epoch_over_all_ranks(make: Any, ranks: int) -> None:
    shares = [epoch(make(rank, ranks)) for rank in range(ranks)]
    assert len({len(own) for own in shares}) == 1, "every rank takes the same number of steps"
    seen = Counter(text(conversation) for own in shares for batch in own for conversation in batch)
    assert set(seen.values()) == {1}
    assert Counter(name[:4] for name in seen) == {"know": KNOW, "ling": LING}
    for batches in zip(*shares, strict=True):
        assert len({conversation["source"] for batch in batches for conversation in batch}) == 1


def test_sources_alternate(make: Any) -> None:
    kinds = [batch[0]["source"] for batch in epoch(make())]
    assert {"know", "ling"} == set(kinds[:3]) == set(kinds[3:6]) == set(kinds[6:9])


def test_an_epoch_has_its_own_order_and_a_seed_too(make: Any) -> None:
    def order(stream: BatchStream, number: int) -> list[str]:
        return [text(conversation) for batch in epoch(stream, number) for conversation in batch]

    first = order(make(), 0)
    assert first == order(make(), 0)
    assert first != order(make(), 1)
    assert sorted(first) == sorted(order(make(), 1))
    assert first != order(make(seed=2), 0)


@pytest.mark.parametrize("batches", [1, 4, 12, 13])
def test_it_goes_on_from_any_batch(make: Any, batches: int) -> None:
    """Within a window, at its end, at an epoch's end (12 batches), and in the next epoch."""
    undisturbed = [item for _, item in zip(range(20), make(), strict=False)]
    resumed = make()
    resumed.go_on(undisturbed[batches - 1][0])
    rest = [item for _, item in zip(range(20 - batches), resumed, strict=False)]
    assert [place for place, _ in rest] == [place for place, _ in undisturbed[batches:]]
    assert [[text(c) for c in batch] for _, batch in rest] == [
        [text(c) for c in batch] for _, batch in undisturbed[batches:]
    ]


def test_it_travels_to_a_loaders_worker(make: Any) -> None:
    stream = make()
    names = [[text(c) for c in batch] for _, (_, batch) in zip(range(5), stream, strict=False)]
    copy = pickle.loads(pickle.dumps(stream))
    assert [[text(c) for c in batch] for _, (_, batch) in zip(range(5), copy, strict=False)] == names


@pytest.mark.slow
def test_a_streamed_run_that_broke_goes_on_bit_for_bit(
    tmp_path: Path, tiny_qwen2vl: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import TrainerCallback

    class Break(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 5:
                raise KeyboardInterrupt

    def arguments(out: Path) -> Any:
        return parse_settings(
            flags(tiny_qwen2vl, tiny_dataset, out, streaming="true", source_weights='{"know":1,"ling":1}')
        )

    sft.train(arguments(tmp_path / "undisturbed"))
    build = sft.build_trainer

    def build_and_break(settings: Any) -> Any:
        trainer, facts = build(settings)
        trainer.add_callback(Break())
        return trainer, facts

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(sft, "build_trainer", build_and_break)
        sft.train(arguments(tmp_path / "run"))
    assert (tmp_path / "run/checkpoint-4/stream.json").is_file()
    sft.train(arguments(tmp_path / "run"))
    assert weights_in(tmp_path / "run") == weights_in(tmp_path / "undisturbed")
