"""What README, docs/ and the recipes tell their reader to type, typed: in a fresh environment, in an empty folder.

`make test-docs` runs it. What cannot run here stands in exceptions.py.
"""

import re
from collections.abc import Iterator
from configparser import ConfigParser

import pytest
from packaging.requirements import Requirement
from verbatim import exceptions
from verbatim.before import before, provide
from verbatim.blocks import ROOT, Block, blocks, documents, help_texts, mentions, named_extras, words
from verbatim.fresh import Reader
from verbatim.scenario import Scenario
from verbatim.typist import Typist

from mella_hf.cli import COMMANDS, load_command

pytestmark = pytest.mark.documents

TEXTS = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in documents()}
HELP = help_texts()  # who reads one has what the command needs
BLOCKS = [block for name, text in (TEXTS | HELP).items() for block in blocks(name, text)]
PYTHON = {name: [b for b in BLOCKS if b.document == name and b.python] for name in TEXTS | HELP}
COLD = ("README.md",)  # typed as a person types: every command a process of its own


@pytest.fixture(scope="module")
def typists(reader: Reader, scenario: Scenario) -> Iterator[dict[str, Typist]]:
    """Who types the documents: one reader a document, who installed the extras that it names."""
    found = {}
    for name, text in (TEXTS | HELP).items():
        if any(block.document == name for block in BLOCKS):
            extras = reader.environment.extras if name in HELP else named_extras(text)
            found[name] = Typist(reader, scenario, re.sub(r"\W", "-", name), extras, cold=name in COLD)
    yield found
    for typist in found.values():
        typist.close()


def test_nothing_is_left_out_but_what_the_table_names() -> None:
    for row in (*exceptions.LEFT, *exceptions.INSTEAD):
        assert any(re.search(row.pattern, block.code) for block in BLOCKS), f"nothing matches {row.pattern} any more"
    commands = [block for block in BLOCKS if not block.python]
    assert len(commands) > 60 and sum(exceptions.left(block.code) is None for block in commands) > 50
    assert sum(len(found) for found in PYTHON.values()) > 10


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_block(block: Block, typists: dict[str, Typist]) -> None:
    """A command; or, where a document's last Python stands, all its Python in one interpreter."""
    typist = typists[block.document]
    if block.python:
        if block is PYTHON[block.document][-1]:
            code = "\n".join(found.code for found in PYTHON[block.document])
            provide(typist, code)
            done = typist.python(code)
            assert done.status == 0, f"{block.where}\n{code}\n{done.output[-4000:]}"
        return
    if exceptions.left(block.code) is not None:
        check_unrun(block)
        return
    command = exceptions.replaced(block.code, **typist.places)
    before(typist, block.code)
    provide(typist, command)
    done = typist.type(command)
    failing = [said for pattern, said in exceptions.FAILS.items() if re.search(pattern, command)]
    assert done.status == len(failing), f"{block}\nrun as: {command}\n{done.output[-4000:]}"
    assert all(said in done.output for said in failing)
    assert "Traceback" not in done.output, done.output[-4000:]


def check_unrun(block: Block) -> None:
    """What can be said of a command without running it: its options exist, or what it installs."""
    _, typed = words(block.code)
    if typed[0] == "mella":
        load_command(typed[1]).make_context(typed[1], typed[2:])
    elif typed[:2] == ["pip", "install"]:
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg", "utf-8")
        for requirement in map(Requirement, typed[2:]):
            assert requirement.name != "mella_hf" or requirement.extras <= set(setup["options.extras_require"])


@pytest.mark.parametrize(("where", "typed"), mentions(), ids=lambda value: value if isinstance(value, str) else None)
def test_mentioned_options_exist(where: str, typed: list[str]) -> None:
    """`mella ...` in running text: its command and its options exist."""
    if len(typed) > 1 and re.fullmatch(r"[a-z][a-z0-9-]*", typed[1]):
        assert any(typed[1] in commands for commands in COMMANDS.values()), f"{where}: there is no mella {typed[1]}"
        params = load_command(typed[1]).params
        known = {name for option in params for name in (*option.opts, *option.secondary_opts)}
        named = {word.split("=")[0].rstrip(".,;:)") for word in typed[2:] if word.startswith("--")}
        assert named <= known | {"--help"} or typed[1] == "train", f"{where}: {' '.join(typed)}"
