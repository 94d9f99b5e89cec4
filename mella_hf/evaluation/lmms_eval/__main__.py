"""Print the folder of the task definitions, for `--include_path`."""

from pathlib import Path

print(Path(__file__).parent)
