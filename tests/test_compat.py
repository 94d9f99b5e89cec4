"""Private names of other libraries: each is where `mella_hf.compat` says, and none is used anywhere else."""

import ast
import re
from configparser import ConfigParser
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mella_hf import compat
from mella_hf.compat import PRIVATE, PrivateName

LIBRARY = Path(compat.__file__).parent
# Their names of others are in PRIVATE too: a loading script, and overridden methods.
ALLOWED = {"compat.py", "dataset/builder.py"}


ROOT = Path(__file__).parents[1]
TOOLS = (
    "comet",
    "paper",
    "qlora",
    "deepspeed",
    "docs",
    "test",
    "dev",
)  # extras that `make oldest` leaves out, or takes new


def look_up(where: str) -> Any:
    module, _, path = where.partition(":")
    found: Any = import_module(module)
    for name in path.split("."):
        if found is datasets.Dataset:  # whose attributes only an instance has
            found = found.from_dict({"number": [1]})
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("private", PRIVATE, ids=lambda private: private.where.partition(":")[2])
def test_installed_version_has(private: PrivateName) -> None:
    installed = version(private.package)
    if not private.needed and Version(installed) < Version(private.since):
        pytest.skip(f"{private.package} {installed} is older than {private.since}; a slower way is taken")
    try:
        look_up(private.where)
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{private.package} {installed} has moved {private.where}, needed for: {private.used} ({error})")


def test_a_moved_name_is_noticed() -> None:
    moved = PrivateName("trl", "1.0", "1.16", "trl.trainer.utils:NoSuchOutput", "a test")
    with pytest.raises(pytest.fail.Exception, match=r"trl .* has moved trl.trainer.utils:NoSuchOutput, needed for"):
        test_installed_version_has(moved)


def test_every_overridden_method_of_the_trainer_is_listed() -> None:
    """Under another name in a new version, an override would do nothing, and nobody would say so."""
    from trl import SFTTrainer

    from mella_hf.training.trainer import MellaTrainer

    overridden = {name for name in vars(MellaTrainer) if hasattr(SFTTrainer, name) and not name.startswith("__")}
    listed = {private.where.rpartition(".")[2] for private in PRIVATE if "Trainer." in private.where}
    assert overridden - {"train"} == listed


def _own_names(trees: dict[str, ast.Module]) -> set[str]:
    """Every private name that the library itself defines or sets on `self`."""
    names = set()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def _foreign_private(tree: ast.Module, own: set[str]) -> list[str]:
    """The private attributes and modules of others that a file uses, beside those of `self` and `super()`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            mine = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            above = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "super"
            if node.attr not in own and not mine and not above:
                found.append(f"{node.lineno}: .{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("mella_hf"):
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            found += [f"{node.lineno}: {part}" for part in parts if part.startswith("_") and part != "__future__"]
    return found


def test_no_other_file_uses_private_names() -> None:
    trees = {str(path.relative_to(LIBRARY)): ast.parse(path.read_text("utf-8")) for path in LIBRARY.rglob("*.py")}
    own = _own_names(trees) | {"_exit"}  # os._exit is documented
    used = {name: _foreign_private(tree, own) for name, tree in trees.items() if name not in ALLOWED}
    assert {name: lines for name, lines in used.items() if lines} == {}


@pytest.mark.parametrize("code", ["model._secret_method()", "from torch._C import thing", "trainer.model._hidden = 1"])
def test_a_new_private_name_is_noticed(code: str) -> None:
    assert _foreign_private(ast.parse(code), set())


def test_the_oldest_environment_has_every_floor() -> None:
    """constraints-oldest.txt pins what setup.cfg allows at least, so `make test-oldest` tests what it promises."""
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints-oldest.txt").read_text(), re.MULTILINE))
    pinned = {canonicalize_name(name): Version(number) for name, number in pinned.items()}
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    lines = [setup["options"]["install_requires"], *(extras[name] for name in extras if name not in TOOLS)]
    wanted = [Requirement(line) for line in "\n".join(lines).splitlines() if line.strip()]
    assert len(wanted) > 40
    for requirement in wanted:
        (floor,) = requirement.specifier
        least, has = Version(floor.version).release, pinned[canonicalize_name(requirement.name)]
        assert floor.operator == ">=" and has.release[: len(least)] == least, f"{requirement}: pinned is {has}"
