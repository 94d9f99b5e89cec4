"""Draws the packages and their imports into docs/architecture.md.

    python docs/draw_map.py            write the drawing between its markers
    python docs/draw_map.py --check    fail when the drawing no longer fits the code

The rows are those of the first contract in pyproject.toml. The arrows come from the code itself, read with grimp.
"""

import argparse
import sys
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn by make map -->", "<!-- end of the drawing -->"
Imports = dict[str, set[str]]  # package -> the packages that it imports


def read_rows() -> list[list[str]]:
    """The rows of the layers contract, highest first; each a list of packages."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return [[name.strip() for name in row.split("|")] for row in layers]


def read_imports() -> Imports:
    """What each package and top-level module imports, imports inside functions included."""
    sys.path.insert(0, str(ROOT))  # this checkout, whatever is installed
    graph = grimp.build_graph("mella_hf", cache_dir=None)
    packages = graph.find_children("mella_hf")
    for package in packages:
        graph.squash_module(package)
    imported = {package: graph.find_modules_directly_imported_by(package) & packages for package in packages}
    return {_short(package): {_short(other) for other in others - {package}} for package, others in imported.items()}


def _short(module: str) -> str:
    return module.removeprefix("mella_hf.")


def implied(package: str, imports: Imports) -> set[str]:
    """The imports of a package that follow from other arrows: its imports import them too."""
    found: set[str] = set()
    open_ends = list(imports[package])
    while open_ends:
        further = imports[open_ends.pop()] - found
        found |= further
        open_ends += further
    return found & imports[package]


def draw(rows: list[list[str]], imports: Imports) -> str:
    """The drawing in Mermaid, and a table of all imports."""
    lines = ["```mermaid", "flowchart TD"]
    for number, row in enumerate(rows):
        lines += [f'  subgraph row{number} [" "]', "    direction LR", *(f"    {name}" for name in row), "  end"]
    table = ["| package | imports |", "|---|---|"]
    for name in (name for row in rows for name in row):
        lines += [f"  {name} --> {other}" for other in sorted(imports[name] - implied(name, imports))]
        table.append(f"| `{name}` | {', '.join(f'`{other}`' for other in sorted(imports[name])) or 'nothing'} |")
    return "\n".join([*lines, "```", "", *table])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the drawing is stale")
    options = parser.parse_args()
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = read_rows()
    if missing := [name for row in rows for name in row if f"`{name}" not in before]:
        sys.exit(f"docs/architecture.md does not explain {', '.join(missing)}; add it to the table of rows.")
    drawn = f"{before}{BEGIN}\n\n{draw(rows, read_imports())}\n\n{END}{after}"
    if drawn == page:
        return
    if options.check:
        sys.exit("The drawing in docs/architecture.md no longer fits the code. Run: make map")
    PAGE.write_text(drawn, "utf-8")


if __name__ == "__main__":
    main()
