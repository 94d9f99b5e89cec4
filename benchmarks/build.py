"""How fast `mella build` writes, against plain pyarrow and against `datasets`, and how its memory grows.

    python benchmarks/build.py [--json] [--rows 12000] [--rounds 7] [--memory-rows 200000]

Release-shaped trees of generated 899 x 599 JPEGs of 67 KiB (as in MELLA's own listing), page cache warm, each
contender in a process of its own, CPU seconds of its work without the imports and the tables of words, which are loaded
once, however many rows there are. The contenders take turns, and the least
of a contender's rounds counts, as in `timeit`: what the kernel needs to hand out memory, a third of the work and more
on a virtual machine, depends on who used that memory last, and only ever adds:

* plain pyarrow: parse the lines, read the images, find the names in the alt-texts with `extract_keywords`, and write
  the same columns with the same Parquet settings;
* plain pyarrow without keywords: the same with that column null. What names cost is the difference;
* `datasets`: `Dataset.from_generator` and `to_parquet`;
* `mella build` without verification (ids and sizes believed).

Reported beside them: `mella build` with verification (hash, decode, compare pictures), on a twentieth of the rows.

Bars: without verification at least 0.8 x the rows a CPU-second of plain pyarrow. It finds the keywords too, since
otherwise the bar would say how long the rules about names take and not what building costs beside them: see
`benchmarks/keywords.py` for what they are worth. More than `datasets`, at no more
than half its peak memory; peak memory at `--memory-rows` rows at most 1.15 x that at a tenth of them (verification on).
Exits 1 when a bar is missed.

The bar of memory against `datasets` needs the default number of rows: ours is the same at any (a third of it imports),
while `datasets` grows with them (a virtual machine, two cores: 0.97 at 2,000 rows, 0.54 at 6,000, 0.34 at 12,000).
"""

import argparse
import itertools
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
LANGUAGE = "ar"
GRAIN = 30  # noise pixels across an image; gives the weight


def read_release(root: Path, names: bool = True) -> Iterator[dict[str, Any]]:
    """The rows of a release without flaws, as anybody would read them; with the names in alt-texts or without."""
    from mella_hf.metrics import extract_keywords
    from mella_hf.sample import COLUMNS

    translations = {e["img_id"]: e["caption"] for e in json.loads((root / f"trans_{LANGUAGE}.json").read_text("utf-8"))}
    for kind, source in (("image_text_pair", "know"), ("image_pure", "ling")):
        for path in sorted(root.glob(f"*_{LANGUAGE}_{kind}_*.jsonl")):
            for line in filter(bytes.strip, open(path, "rb")):
                record = json.loads(line)
                name = record["img_id"]
                row = dict.fromkeys(COLUMNS)
                width, height = record["image"]["resolution"]
                levels = record["labels"]["pjwk_cates"]
                row.update(
                    id=name, text=translations[name] if source == "ling" else record["captions"]["content"],
                    image={"bytes": (root / LANGUAGE / kind / name).read_bytes(), "path": None}, source=source,
                    language=LANGUAGE, width=width, height=height, image_url=record["url"],
                    category=levels["level1"] + levels["level2"],
                )  # fmt: skip
                if names and source == "know":
                    row["keywords"] = extract_keywords(row["text"], LANGUAGE)
                yield row


def plain_pyarrow(root: Path, out: Path, names: bool = True) -> None:
    """The least that writes the rows."""
    import pyarrow as pa

    from mella_hf.dataset.write import open_writer
    from mella_hf.sample import SCHEMA

    with open_writer(out / "all.parquet") as writer:
        batch = []
        for row in read_release(root, names):
            batch.append(row)
            if len(batch) == 256:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=SCHEMA))
                batch = []
        if batch:
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=SCHEMA))


def with_datasets(root: Path, out: Path) -> None:
    """The usual way."""
    from datasets import Dataset

    from mella_hf.sample import features

    dataset = Dataset.from_generator(
        read_release, gen_kwargs={"root": root}, features=features(), cache_dir=str(out / "cache")
    )
    dataset.to_parquet(out / "all.parquet")


def ours(root: Path, out: Path, verify: bool) -> None:
    """`mella build` in one process."""
    from mella_hf.dataset.building.build import build_dataset
    from mella_hf.sources.release import ReleaseSource

    source = ReleaseSource(root, (LANGUAGE,))
    build_dataset(source, out / "dataset", workers=0, progress=False, verify=verify)


CONTENDERS = {
    "pyarrow": plain_pyarrow,
    "pyarrow, no names": partial(plain_pyarrow, names=False),
    "datasets": with_datasets,
    "ours": lambda root, out: ours(root, out, verify=False),
}


def contend(name: str, root: Path) -> None:
    """Run one contender in this process and print its CPU seconds and peak memory."""
    import jinja2  # noqa: F401  (imports are not what is measured)
    import pandas  # noqa: F401  (pyarrow's conversion of lists imports it)
    import PIL.JpegImagePlugin  # noqa: F401
    import tqdm  # noqa: F401
    import yaml  # noqa: F401

    import mella_hf.dataset.building.build  # noqa: F401
    from mella_hf.metrics.names.keywords import extract_keywords
    from mella_hf.text.tokens import tokenize

    # The card's tokenizer, and the words that are no names: loaded once, however many rows there are.
    tokenize("كلمة", LANGUAGE)
    extract_keywords("كلمة كلمة", LANGUAGE)
    if name == "datasets":
        import datasets  # noqa: F401

    with tempfile.TemporaryDirectory(dir=root.parent) as out:
        start = time.process_time()
        CONTENDERS.get(name, partial(ours, verify=True))(root, Path(out))
        seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


def measure(name: str, root: Path) -> dict[str, float]:
    """The same in a fresh process."""
    command = [sys.executable, __file__, "--contend", name, "--tree", str(root)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def photographs() -> Iterator[bytes]:
    """899 x 599 JPEGs of about 67 KiB, the size and weight of the image in MELLA's own listing."""
    from PIL import Image
    from release_tree import encode

    for seed in itertools.count():
        noise = Image.frombytes(
            "RGB", (GRAIN, GRAIN * 2 // 3), random.Random(seed).randbytes(GRAIN * (GRAIN * 2 // 3) * 3)
        )
        yield encode(noise.resize((899, 599), Image.Resampling.BICUBIC), quality=85)


def copies() -> Iterator[bytes]:
    """The same few photographs over and over, of different bytes: eight more follow the end of each."""
    originals = list(itertools.islice(photographs(), 16))
    return (originals[number % 16] + number.to_bytes(8, "big") for number in itertools.count())


def make_tree(root: Path, rows: int, images: Callable[[], Iterator[bytes]]) -> Path:
    """A release of `rows` rows, half know and half ling, in the page cache."""
    from release_tree import make_release

    make_release(root, (LANGUAGE,), rows // 2, images=images, flaws=False)
    return root


def thumbnails() -> Iterator[bytes]:
    """Small images, so that many rows fit on the disk."""
    from release_tree import generated

    return generated((24, 16))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory-rows", type=int, default=200_000)
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    parser.add_argument("--tree", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contend:
        contend(options.contend, options.tree)
        return 0
    work = Path(tempfile.mkdtemp(prefix="mella-bench-"))
    try:
        tree = make_tree(work / "speed", options.rows, copies)
        measure("pyarrow", tree)  # fills the page cache
        rounds = [{name: measure(name, tree) for name in CONTENDERS} for _ in range(options.rounds)]
        shutil.rmtree(tree)
        verified = measure("ours, verified", make_tree(work / "verified", options.rows // 20, photographs))
        few = measure("ours, verified", make_tree(work / "few", options.memory_rows // 10, thumbnails))
        many = measure("ours, verified", make_tree(work / "many", options.memory_rows, thumbnails))
    finally:
        shutil.rmtree(work)
    found = {name: {key: min(r[name][key] for r in rounds) for key in rounds[0][name]} for name in CONTENDERS}
    speed = {name: options.rows / one["seconds"] for name, one in found.items()}
    speed["ours, verified"], found["ours, verified"] = options.rows // 20 / verified["seconds"], verified
    keywords_us = (found["pyarrow"]["seconds"] - found["pyarrow, no names"]["seconds"]) / (options.rows // 2) * 1e6
    against = {peer: found[peer]["seconds"] / found["ours"]["seconds"] for peer in CONTENDERS}
    bars = {
        "rows a CPU-second, against pyarrow (>= 0.8)": (against["pyarrow"], 0.8, 1e9),
        "rows a CPU-second, against datasets (> 1)": (against["datasets"], 1.0, 1e9),
        "peak memory, against datasets (<= 0.5)": (found["ours"]["peak_mb"] / found["datasets"]["peak_mb"], 0, 0.5),
        f"peak memory at {options.memory_rows:,} rows, against a tenth (<= 1.15)": (
            many["peak_mb"] / few["peak_mb"], 0, 1.15,
        ),
    }  # fmt: skip
    missed = [name for name, (value, low, high) in bars.items() if not low <= value <= high]
    if options.json:
        result = {
            "speed": speed,
            "against": against,
            "keywords_us": keywords_us,
            "memory": {"few": few, "many": many},
            "found": found,
        }
        print(json.dumps(result | {"bars": {name: value for name, (value, _, _) in bars.items()}, "missed": missed}))
    else:
        for name, one in found.items():
            print(f"{name:17} {speed[name]:8,.0f} rows a CPU-second {one['peak_mb']:8,.0f} MB")
        without = against["pyarrow, no names"]
        print(f"names in an alt-text: {keywords_us:.0f} us; against pyarrow without them: {without:.2f} x")
        print(f"{'few rows':16} {few['peak_mb']:35,.0f} MB\n{'many rows':16} {many['peak_mb']:35,.0f} MB")
        for name, (value, _, _) in bars.items():
            print(f"{'MISSED' if name in missed else 'met':6} {value:6.2f}  {name}")
    return bool(missed)


if __name__ == "__main__":
    raise SystemExit(main())
