"""Images with their alt-texts out of a WARC file, by datatrove's reader and the parser that mella_hf uses.

    .venv-datatrove/bin/python benchmarks/datatrove_peer.py WARC ROUNDS OUT.parquet

For benchmarks/collect_dataset.py, in an environment without mella_hf: `make datatrove`. Prints the least CPU seconds of
the rounds, and the images found. It does what one would write by hand: every image with a text, its address resolved
against the page's. No opt-outs, captions, headings, languages, sizes or lazy sources.
"""

import json
import os
import sys
import time
from urllib.parse import urljoin

import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.pipeline.readers import WarcReader
from turbohtml import parse


def rows(path: str) -> list[tuple[str, str, str]]:
    """(page, image, alt-text) of all images that have one."""
    found = []
    reader = WarcReader(os.path.dirname(path), glob_pattern=os.path.basename(path))
    for page in reader.run():
        url = page.metadata["url"]
        for image in parse(page.text, positions=False).select("img"):
            source, alt = image.attr("src"), image.attr("alt")
            if source and alt and alt.strip():
                found.append((url, urljoin(url, source), alt))
    return found


def main() -> None:
    path, rounds, out = sys.argv[1:]
    best, images = float("inf"), 0
    for _ in range(int(rounds)):
        start = time.process_time()
        pages, sources, texts = zip(*rows(path), strict=True)
        pq.write_table(pa.table({"page_url": pages, "image_url": sources, "alt": texts}), out, compression="ZSTD")
        best, images = min(best, time.process_time() - start), len(texts)
    print(json.dumps({"seconds": best, "images": images}))


if __name__ == "__main__":
    main()
