"""Splits with the columns of `mella_hf.sample`, of generated pictures."""

from typing import Any

from pictures import png


def build_rows(
    count: int, *, language: str = "ar", source: str = "know", start: int = 0, texts: list[str] | None = None
) -> Any:
    """A split with the columns of `mella_hf.sample` and images of several sizes; entity i is "entity-i"."""
    from datasets import Dataset

    from mella_hf.sample import features, make_sample

    records = []
    for i in range(start, start + count):
        width, height = 96 + 16 * (i % 4), 80 + 16 * (i % 3)
        text = texts[i - start] if texts else f"نص {i} " * (1 + i % 5)
        record = make_sample(
            image=png(i, width, height), text=text, language=language, source=source, width=width, height=height,
            entity=f"entity-{i}", keywords=[f"نص {i}"] if source == "know" else None, category=["test"],
        )  # fmt: skip
        records.append(record)
    return Dataset.from_list(records, features=features())
