"""How fast the loader reads: map-style, streaming, random rows, and decoding to a training size.

    python benchmarks/load.py [--json] [--rows 500] [--rounds 5]

A dataset of generated 899 x 599 JPEGs of about 67 KiB, page cache warm, CPU seconds. Peers run in the same process: raw
pyarrow and Pillow on the same shards, and plain `load_dataset("parquet", …)`. The contenders take turns, in an order
that changes, and a ratio is the median over the rounds, so that a busy machine does not decide.

Bars: iterating and decoding at least 0.9 x raw pyarrow + Pillow, streaming and map-style; at least 1.0 x plain
`load_dataset` within 5% of noise; a first streamed sample in under 0.5 CPU-s after the imports; a random row in at
most 5 ms CPU without its image's decoding; `resize=224` at least 1.7 x decoding whole and then resizing.
Exits 1 when a bar is missed.
"""

import argparse
import io
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "dataset"), str(ROOT / "benchmarks")]
SIDE = 224  # px
NOISE = 0.95  # what counts as equal


def make_dataset(folder: Path, rows: int) -> Path:
    """One split of one language."""
    from build import copies

    from mella_hf.dataset.card import write_card
    from mella_hf.dataset.write import write_split
    from mella_hf.sample import make_sample

    images = itertools.islice(copies(), rows)
    samples = (
        make_sample(image=data, text=f"نص {n}", language="ar", source="know", width=899, height=599)
        for n, data in enumerate(images)
    )
    write_split(samples, folder, "ar", "know")
    write_card(folder)
    return folder


def cpu(contenders: dict[str, Callable[[], object]], rounds: int) -> list[dict[str, float]]:
    """CPU seconds of each contender, by round; every other round goes backwards."""
    found = []
    for number in range(rounds):
        seconds = {}
        for name, work in list(contenders.items())[:: -1 if number % 2 else 1]:
            start = time.process_time()
            work()
            seconds[name] = time.process_time() - start
        found.append(seconds)
    return found


def consume(rows: Iterable[dict]) -> None:
    """Touch every row, its image decoded."""
    for row in rows:
        row["image"].load()


def raw(folder: Path) -> Iterable[dict]:
    """Pillow on what pyarrow reads."""
    import pyarrow.parquet as pq
    from PIL import Image

    for path in sorted((folder / "ar").glob("know-*")):
        for batch in pq.ParquetFile(path).iter_batches(256):
            for row in batch.to_pylist():
                yield row | {"image": Image.open(io.BytesIO(row["image"]["bytes"]))}


def whole_then_resized(rows: Iterable[dict]) -> None:
    """What people write: decode, then resize."""
    for row in rows:
        row["image"].resize((SIDE, SIDE * 599 // 899), 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    import torch.utils.data  # noqa: F401  (datasets imports it when it first streams; imports are not measured)
    from datasets import Image, load_dataset

    import mella_hf  # noqa: F401

    with tempfile.TemporaryDirectory(prefix="mella-bench-") as work:
        folder = make_dataset(Path(work) / "mella", options.rows)
        common = {"split": "know", "cache_dir": f"{work}/cache"}
        files = {"know": str(folder / "ar" / "know-*")}

        def ours(**more: object):
            return load_dataset("mella", "ar", data_dir=str(folder), **common, **more)

        def plain(**more: object):
            return load_dataset("parquet", data_files=files, **common, **more)

        start = time.process_time()
        next(iter(ours(streaming=True)))
        first = time.process_time() - start
        mapped, peer = ours(), plain()
        contenders = {
            "raw": lambda: consume(raw(folder)),
            "map": lambda: consume(mapped),
            "map, plain": lambda: consume(peer),
            "streaming": lambda: consume(ours(streaming=True)),
            "streaming, plain": lambda: consume(plain(streaming=True)),
            "whole, then resized": lambda: whole_then_resized(mapped),
            "resize=": lambda: consume(ours(resize=SIDE)),
        }
        cpu({"warm": contenders["raw"]}, 1)
        rounds = cpu(contenders, options.rounds)
        bytes_only = mapped.cast_column("image", Image(decode=False))
        places = random.Random(0).sample(range(options.rows), min(500, options.rows))
        random_row = cpu({"row": lambda: [bytes_only[place] for place in places]}, 3)
        row_seconds = median(one["row"] for one in random_row) / len(places)

    def ratio(peer: str, name: str) -> float:
        return median(one[peer] / one[name] for one in rounds)

    ratios = {
        "map, against raw (>= 0.9)": (ratio("raw", "map"), 0.9),
        "streaming, against raw (>= 0.9)": (ratio("raw", "streaming"), 0.9),
        "map, against load_dataset (>= 1, noise 5%)": (ratio("map, plain", "map"), NOISE),
        "streaming, against load_dataset (>= 1, noise 5%)": (ratio("streaming, plain", "streaming"), NOISE),
        "resize=224, against whole then resized (>= 1.7)": (ratio("whole, then resized", "resize="), 1.7),
        "first streamed sample, 0.5 CPU-s by (>= 1)": (0.5 / first, 1.0),
        "random row, 5 ms by (>= 1)": (0.005 / row_seconds, 1.0),
    }
    missed = [name for name, (value, bar) in ratios.items() if value < bar]
    speed = {name: options.rows / median(one[name] for one in rounds) for name in contenders}
    if options.json:
        found = {"rows_per_cpu_second": speed, "first_sample_s": first, "random_row_ms": row_seconds * 1e3}
        print(json.dumps(found | {"ratios": {name: value for name, (value, _) in ratios.items()}, "missed": missed}))
    else:
        for name, value in speed.items():
            print(f"{name:22} {value:8,.0f} rows a CPU-second")
        print(f"{'first streamed sample':22} {first:8.2f} CPU-s\n{'random row':22} {row_seconds * 1e3:8.2f} ms CPU")
        for name, (value, _) in ratios.items():
            print(f"{'MISSED' if name in missed else 'met':6} {value:6.2f}  {name}")
    return bool(missed)


if __name__ == "__main__":
    raise SystemExit(main())
