"""A small published dataset folder."""

from pathlib import Path

import pytest
from dataset_samples import record

from mella_hf.dataset.card.card import write_card, write_funnel
from mella_hf.dataset.write import write_split


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder: ar with all four splits, its `know` in three shards, and th with two splits."""
    folder = tmp_path_factory.mktemp("published") / "mella"
    seeds = iter(range(10_000))
    sizes = {"ar": {"know": 600, "ling": 5, "know_test": 4, "ling_test": 3}, "th": {"know": 7, "know_test": 2}}
    for language, splits in sizes.items():
        for split, count in splits.items():
            rows = [record(next(seeds), language, split.removesuffix("_test")) for _ in range(count)]
            size = sum(len(row["image"]["bytes"]) for row in rows)
            write_split(rows, folder, language, split, shard_bytes=size // 3 if split == "know" else 1 << 30)
    write_funnel(folder, {"ar": {"know": {"kept": 604, "dropped_image_missing": 3, "dropped_text_missing": 11}}})
    write_card(folder)
    return folder
