"""Image folders with a `metadata.jsonl`, and the rows of what is built from them."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from mella_hf.dataset.write import shard_paths


def rows(out: Path, language: str, split: str) -> list[dict]:
    return [row for path in shard_paths(out, language, split) for row in pq.read_table(path).to_pylist()]


def write_folder(folder: Path, lines: list, images: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, data in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    text = "".join((line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n" for line in lines)
    (folder / "metadata.jsonl").write_text(text, "utf-8")
