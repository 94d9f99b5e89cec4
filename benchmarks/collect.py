"""All measurements of `mella collect`, one after the other: pages, images, fetching.

    python benchmarks/collect.py [--json]

Each is a benchmark of its own with its own bars: collect_pages.py, collect_images.py, collect_fetch.py. Exit status 1
when one of them misses a bar.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

PARTS = ("collect_pages", "collect_images", "collect_fetch")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object with a key for each part")
    arguments = parser.parse_args()
    results, missed = {}, False
    for part in PARTS:
        command = [sys.executable, str(Path(__file__).with_name(f"{part}.py")), *["--json"] * arguments.json]
        if not arguments.json:
            print(f"== {part}", flush=True)
        done = subprocess.run(command, stdout=subprocess.PIPE if arguments.json else None, text=True)
        missed |= done.returncode != 0
        if arguments.json:
            results[part] = json.loads(done.stdout) if done.stdout else None
    if arguments.json:
        print(json.dumps(results))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
