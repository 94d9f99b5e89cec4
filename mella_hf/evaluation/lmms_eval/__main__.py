"""Write the task definitions and print their folder, for `--include_path`.

python -m mella_hf.evaluation.lmms_eval [--languages yo,fa] [--out FOLDER]
"""

import argparse
import sys
from pathlib import Path

from mella_hf.errors import MellaError
from mella_hf.evaluation.lmms_eval.definitions import write_tasks

parser = argparse.ArgumentParser(prog="python -m mella_hf.evaluation.lmms_eval", description=__doc__)
parser.add_argument("--languages", help="codes, such as yo,fa; without it, the eight and your own")
parser.add_argument("--out", type=Path, help="folder; one among the temporary files by default")
options = parser.parse_args()
try:
    print(write_tasks(options.languages, options.out))
except MellaError as error:
    sys.exit(f"error: {error}")
