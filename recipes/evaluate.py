"""Evaluate an adapter: `accelerate launch recipes/evaluate.py --base BASE --adapter ADAPTER --languages ar --out RUN`.

The same as `accelerate launch -m mella_hf evaluate`, for a checkout.
"""

import sys

from mella_hf.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
