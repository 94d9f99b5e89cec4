"""The commands and Python blocks of a document, as a reader would copy them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What a command begins with. A block in which no line begins so is a picture, a formula or a file.
PROGRAMS = ("mella", "accelerate", "python", "pip", "make", "vllm", "dask", "docker", "git", "hf", "apt-get")
_FENCE = re.compile(r"^(?P<indent> *)```(?P<name>\S*)[^\n]*\n(?P<code>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?:    [^\n]*\n?)+")


@dataclass(frozen=True)
class Block:
    """A piece of a document that is to be run.

    Attributes:
        where: document and line, for messages.
        python: Python, else a command line.
    """

    document: str
    where: str
    code: str
    python: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.code}"


def documents() -> list[Path]:
    """README, all of docs/, and the recipes, whose headers say how they are run."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "recipes").rglob("*.yaml"))]


def named_extras(text: str) -> list[str]:
    """The extras of `pip install 'mella_hf[...]'` in a text."""
    return sorted({extra for names in re.findall(r"mella_hf\[([\w,]+)\]", text) for extra in names.split(",")})


def help_texts() -> dict[str, str]:
    """What `mella COMMAND --help` says, beside the options."""
    from mella_hf.cli import COMMANDS, load_command

    names = [name for commands in COMMANDS.values() for name in commands]
    return {f"mella {name} --help": load_command(name).help or "" for name in names}


def blocks(name: str, text: str) -> list[Block]:
    """All that a document tells its reader to run, in order."""
    if name.endswith(".yaml"):
        return list(_commands(name, "".join(_header(text)), 1))
    pieces = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        if match["name"] == "python":
            pieces.append((line, [Block(name, f"{name}:{line}", match["code"], python=True)]))
        elif match["name"] in ("", "bash", "sh", "console"):
            pieces.append((line, list(_commands(name, match["code"], line))))
    outside = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in _INDENTED.finditer(outside):
        line = outside.count("\n", 0, match.start()) + 1
        code = re.sub(r"^    ", "", match[0], flags=re.MULTILINE)
        pieces.append((line, list(_commands(name, code, line))))
    return [block for _, found in sorted(pieces, key=lambda piece: piece[0]) for block in found]


def _header(text: str) -> Iterator[str]:
    """The comment at the top of a recipe: commands are indented in it; other lines stay empty."""
    for line in text.splitlines():
        if not line.startswith("#"):
            return
        yield (line[4:] if line.startswith("#   ") else line[2:] if _begins(line[2:]) else "") + "\n"


def _commands(document: str, code: str, first: int) -> Iterator[Block]:
    """One block for each command; a line that ends with a backslash goes on."""
    lines = code.splitlines()
    at = 0
    while at < len(lines):
        start, command = at, lines[at].strip()
        while lines[at].rstrip().endswith("\\") and at + 1 < len(lines):
            at += 1
            command = f"{command[:-1].rstrip()} {lines[at].strip()}"
        at += 1
        if _begins(command):
            yield Block(document, f"{document}:{first + start}", command)


def _begins(line: str) -> bool:
    """Whether a line begins with a program, after assignments of variables."""
    words = [word for word in line.split() if not re.match(r"[A-Z_]+=", word)]
    return bool(words) and words[0] in PROGRAMS


def words(command: str) -> tuple[dict[str, str], list[str]]:
    """The variables that a command line sets, and its words."""
    split = shlex.split(command, comments=True)
    variables = {}
    while split and re.match(r"[A-Z_]+=", split[0]):
        name, _, value = split.pop(0).partition("=")
        variables[name] = value
    return variables, split


def mentions() -> list[tuple[str, list[str]]]:
    """Every `mella ...` between backticks in documents and help texts that has an option: (where, words)."""
    texts = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in documents()} | help_texts()
    found = []
    for where, text in texts.items():
        for code in re.findall(r"`(mella [^`]*)`", _FENCE.sub("", text).replace("\n", " ")):
            found.append((where, [word for word in code.split() if word != "..."]))
    return found
