"""One name, one thing: no two public classes of the library are called alike."""

import ast
from collections import defaultdict
from pathlib import Path

import mella_hf

# The `datasets` script and the `evaluate` module are each looked up by the class that they define.
LOOKED_UP = {"Mella"}


def test_no_two_public_classes_are_called_alike() -> None:
    places = defaultdict(list)
    root = Path(mella_hf.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(root)))
    assert {name: found for name, found in places.items() if len(found) > 1 and name not in LOOKED_UP} == {}
