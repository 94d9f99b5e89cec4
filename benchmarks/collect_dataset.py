"""From WARC to published dataset on 20,000 real pages: pages a CPU-second, where they go, and reading beside datatrove.

    python benchmarks/collect_dataset.py [--json] [--pages 20000] [--datatrove PYTHON]

The pages are real documentation: the Debian Administrator's Handbook in 26 languages, LibreOffice's help in seven, and
Wesnoth's manuals, 21,259 in all, of which the pages are drawn. They are written into a WARC file as Common Crawl writes
it (gzip members, WARC-Identified-Payload-Type). Their pictures are served on loopback by another process.
`mella_hf.api.collect` makes the dataset, with its usual settings but no wait between requests.

Bars, exit status 1 when one is missed: reading pages and extracting candidates at least as many pages a CPU-second as
datatrove's WarcReader with the same parser, turbohtml, which finds `img`, `src` and `alt` only; and at most half of our
time besides reading and parsing, which both sides must do. datatrove needs an environment of its own: `make datatrove`;
without it that part is left out and says so. For comparison without a bar: a bare loop of FastWARC and turbohtml that
does as little as datatrove's. Sides take turns, and the least of all rounds counts.

Measured on two cores with other work stopped, 4,000 pages: 4,620 pages a CPU-second against datatrove's 4,372, 1.06
times as many; 1.04 and 0.98 in two other runs, 1.17 on busier cores. Reading and parsing alone,
of all pages and with nothing made of them, come to 8,145, 1.86 times datatrove's: so 2, which was aimed at, is out of
reach with this parser. 43% of our time goes besides: opt-outs, languages, headings, captions and
sizes read, rows written. The bare loop, which does none of that, has 8,700.

To the dataset: 215 pages a CPU-second, of which reading and extracting take 8%, identifying languages 16%, requests
and fetching 3%, checking 97 images (nudity, faces; the models' start-up included) 43%, dataset and report 30%.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

from collect_pages import package_pages

HERE = Path(__file__).resolve().parent
PACKAGES = ("debian-handbook", "wesnoth-1.16-data") + tuple(
    f"libreoffice-help-{code}" for code in ("cs", "hu", "ko", "pl", "ru", "tr", "vi")
)
COMMON = "libreoffice-help-common"  # the pictures of LibreOffice's help
LANGUAGES = "ar,cs,hu,ko,ru,sr,th,vi"
HOSTS = 16
ROUNDS = 3
TURNS = 2
BAR = 1.0
MOST_BESIDES = 0.5


class Pictures(SimpleHTTPRequestHandler):
    """Serves /PACKAGE/path from the package's folder, or else from that of LibreOffice's pictures."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, home: Path, **more: Any):
        self.home = home
        super().__init__(*args, **more)

    def translate_path(self, path: str) -> str:
        package, _, rest = path.partition("?")[0].lstrip("/").partition("/")
        own = self.home / package / rest
        return str(own if own.is_file() else self.home / COMMON / rest)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def serve(home: str, pipe: Any) -> None:
    """The server's process."""
    server = ThreadingHTTPServer(("0.0.0.0", 0), partial(Pictures, home=Path(home)))
    pipe.send(server.server_port)
    server.serve_forever()


def write_warc(paths: list[Path], home: Path, port: int, path: Path) -> None:
    """The pages as gzip members, one a record, as Common Crawl has them."""
    import gzip

    with open(path, "wb") as file:
        for number, page in enumerate(paths):
            body = page.read_bytes()
            http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
            place = quote(page.relative_to(home).as_posix())
            head = (
                f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
                f"WARC-Target-URI: http://127.0.1.{1 + number % HOSTS}:{port}/{place}\r\n"
                f"WARC-Record-ID: <urn:uuid:{number:032d}>\r\nWARC-Identified-Payload-Type: text/html\r\n"
                f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
            )
            file.write(gzip.compress(head.encode() + http + b"\r\n\r\n", 6))


def cpu() -> float:
    """CPU seconds of this process."""
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


def least(work: Callable[[], Any]) -> float:
    """The least CPU seconds of ROUNDS runs."""
    seconds = []
    for _ in range(ROUNDS):
        start = cpu()
        work()
        seconds.append(cpu() - start)
    return min(seconds)


def apart(work: Callable[..., None], *arguments: Any) -> Any:
    """What a function sends through its pipe, from a process of its own."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=work, args=(*arguments, there))
    process.start()
    there.close()
    found = here.recv()
    process.join()
    return found


def extraction(warc: str, pipe: Any) -> None:
    """Our first stage: from WARC to Parquet."""
    from mella_hf.know.pages.sources import extract_shard, warc_shards
    from mella_hf.stage import ShardOutput

    (shard,) = warc_shards([warc])
    output = ShardOutput(Path(warc).parent)
    extract_shard(shard, output)  # once, for imports
    pipe.send({"seconds": least(lambda: extract_shard(shard, ShardOutput(Path(warc).parent))),
               "images": output.counts["kept"]})  # fmt: skip


def floor(warc: str, pipe: Any) -> None:
    """What each side must do: read our way, decode and parse our way, and nothing with what comes out."""
    from turbohtml import parse

    from mella_hf.know.pages.charset import decode_page
    from mella_hf.know.pages.sources import _ahead
    from mella_hf.know.pages.warc import Page, read_warc

    def work() -> int:
        pages = 0
        for page in _ahead(read_warc(warc)):
            if isinstance(page, Page):
                parse(decode_page(page.body, page.content_type)[0], positions=False)
                pages += 1
        return pages

    pages = work()
    pipe.send({"seconds": least(work), "pages": pages})


def bare(warc: str, pipe: Any) -> None:
    """FastWARC and turbohtml, and what datatrove_peer.py does with them; pages are taken as UTF-8."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from turbohtml import parse

    def work() -> int:
        found = []
        for record in ArchiveIterator(warc, record_types=WarcRecordType.response):
            url = record.headers["WARC-Target-URI"]
            for image in parse(record.reader.read().decode("utf-8", "replace"), positions=False).select("img"):
                source, alt = image.attr("src"), image.attr("alt")
                if source and alt and alt.strip():
                    found.append((url, urljoin(url, source), alt))
        columns = zip(*found, strict=True)
        table = pa.table(dict(zip(("page_url", "image_url", "alt"), columns, strict=True)))
        pq.write_table(table, f"{warc}.parquet", compression="ZSTD")
        return len(found)

    images = work()
    pipe.send({"seconds": least(work), "images": images})


def whole(warc: str, out: str, pipe: Any) -> None:
    """`collect`, in one process: CPU seconds by stage, and what came out."""
    from mella_hf import api
    from mella_hf.know import collect as line

    stages: dict[str, float] = {}
    last, start = cpu(), time.perf_counter()
    took = line._Run._took

    def timed(run: Any, name: str, report: Any) -> Any:
        nonlocal last
        stages[name], last = cpu() - last, cpu()
        return took(run, name, report)

    line._Run._took = timed  # type: ignore[method-assign]
    report = api.collect(
        out, languages=LANGUAGES, warc=[warc], contact="benchmark@example.org", delay=0, per_host=8,
        allow_private=True, workers=0, progress=False,
    )  # fmt: skip
    stages["dataset and report"] = cpu() - last
    counts = {name: stage.counts["kept"] for name, stage in report.stages.items()}
    pipe.send({"stages": stages, "kept": counts, "seconds": time.perf_counter() - start})


def datatrove(python: str, warc: Path) -> dict[str, Any] | None:
    """What datatrove_peer.py prints; None where there is no such environment."""
    if not Path(python).exists():
        print(f"datatrove left out: no {python}; build it with: make datatrove", file=sys.stderr)
        return None
    command = [python, str(HERE / "datatrove_peer.py"), str(warc), str(ROUNDS), f"{warc}.parquet"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(folder: Path, count: int, python: str) -> dict[str, Any]:
    """All that is measured."""
    from mella_hf.caches import cache_dir

    home = cache_dir() / "debian"
    package_pages(COMMON)
    paths = random.Random(1).sample(found := package_pages(*PACKAGES), min(count, len(found)))
    context = get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(str(home), there), daemon=True)
    server.start()
    try:
        warc = folder / "pages.warc.gz"
        write_warc(paths, home, here.recv(), warc)
        reading: dict[str, Any] = {}
        for _ in range(TURNS):  # by turns, so that a busy minute of the machine is not one side's alone
            found_now = {
                "ours": apart(extraction, str(warc)),
                "FastWARC, bare": apart(bare, str(warc)),
                "read and parsed only": apart(floor, str(warc)),
                "datatrove": datatrove(python, warc),
            }
            for name, one in found_now.items():
                if one is not None and (name not in reading or one["seconds"] < reading[name]["seconds"]):
                    reading[name] = one
        return {"pages": len(paths), "reading": reading, "whole": apart(whole, str(warc), str(folder / "out"))}
    finally:
        server.kill()
        server.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--pages", type=int, default=20_000)
    parser.add_argument("--datatrove", default=".venv-datatrove/bin/python", help="Python with datatrove and turbohtml")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), arguments.pages, arguments.datatrove)
    pages, reading, line = result["pages"], result["reading"], result["whole"]
    total = sum(line["stages"].values())
    ratio = reading["datatrove"]["seconds"] / reading["ours"]["seconds"] if "datatrove" in reading else None
    rest = 1 - reading["read and parsed only"]["seconds"] / reading["ours"]["seconds"]
    met = (ratio is None or ratio >= BAR) and rest <= MOST_BESIDES
    if arguments.json:
        print(json.dumps(result | {"over_datatrove": ratio, "bar": BAR, "besides": rest, "met": met}))
        return int(not met)
    for name, one in reading.items():
        images = f", {one['images']:,} images with a text" if "images" in one else ""
        print(f"{name:>20} {pages / one['seconds']:>8,.0f} pages a CPU-second{images}")
    print(f"{'to the dataset':>20} {pages / total:>8,.0f} pages a CPU-second, in {line['seconds']:.0f} s")
    for name, seconds in line["stages"].items():
        kept = f"{line['kept'][name]:,} kept" if name in line["kept"] else ""
        print(f"{name:>20} {seconds:>8.1f} CPU-seconds, {seconds / total:>4.0%}  {kept}")
    if ratio is not None:
        print(f"{ratio:.2f} x datatrove (bar {BAR:g})")
    print(f"{rest:.0%} of our time besides reading and parsing (bar {MOST_BESIDES:.0%})")
    print("met" if met else "MISSED")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
