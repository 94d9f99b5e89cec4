"""What README, docs/ and the recipes tell their reader to type, typed: in a fresh environment, in an empty folder.

`make test-docs` runs it. What cannot run here stands in exceptions.py.
"""

import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from verbatim import exceptions
from verbatim.blocks import ROOT, Block, blocks, documents, mentions, words
from verbatim.fresh import Done, Reader
from verbatim.scenario import Scenario

pytestmark = pytest.mark.documents

# Later ones use what earlier ones leave.
FIRST = ("README.md", "recipes/", "docs/reproduce.md", "docs/report.md", "docs/judging.md", "docs/describing.md")
NAMES = [str(path.relative_to(ROOT)) for path in documents()]
ORDER = sorted(NAMES, key=lambda name: next((i for i, first in enumerate(FIRST) if name.startswith(first)), len(FIRST)))
BLOCKS = [block for name in ORDER for block in blocks(ROOT / name)]
FIRST_OF = {block.code: at for at, block in reversed([*enumerate(BLOCKS)])}
COMMANDS = [block for at, block in enumerate(BLOCKS) if not block.python and FIRST_OF[block.code] == at]  # each once
# What somebody did before a command, by the words of the command: a demo that ran, runs that were made.
BEFORE: dict[str, tuple[str, ...]] = {
    "mella push outputs/demo": (
        "mella evaluate --base Qwen/Qwen2-VL-7B-Instruct --adapter outputs/joint/adapter --languages ar "
        "--data-dir outputs/demo/mella --out outputs/demo/ar/evaluation --know-tokens 8 --ling-tokens 8",
        "python -c \"from mella_hf.hub.push import prepare_adapter as p; p('outputs/joint/adapter', "
        "'outputs/demo/ar/adapter', run='outputs/demo/ar/evaluation')\"",
    ),
    "joint.yaml --model_name_or_path outputs/internvl2": ("rm -rf outputs/joint",),
    "--gradient_accumulation_steps 8": ("rm -rf outputs/joint",),
    "--against other=": ("mkdir -p outputs/other && cp -r outputs/know_only/adapter outputs/other/",),
    "--answers outputs/ar/predictions": (
        "sed -i 's/\"prediction\": \"/&other /' outputs/ar/predictions/adapter/ling_test.jsonl",
    ),
    "--answers base.jsonl": (
        "cp base.jsonl kept.jsonl; cp outputs/ar/predictions/base/ling_test.jsonl base.jsonl",
        "sed 's/\"prediction\": \"/&other /' base.jsonl > adapter.jsonl",
    ),
    "--against base.jsonl": ("if [ -e kept.jsonl ]; then cp kept.jsonl base.jsonl; fi",),
    "--ids takedown.txt": (
        "python -c \"import glob, pyarrow.parquet as p; "
        "print(p.read_table(sorted(glob.glob('outputs/mella/*/know-*.parquet'))[0])['id'][0])\" > takedown.txt",
    ),
    "mella report joint=": ("cp -r outputs/ar outputs/joint", "cp -r outputs/ar outputs/sdrrl"),
    "recipes/demo/": (
        "mkdir -p outputs/demo/base && cp -r ../models/Qwen--Qwen2-VL-7B-Instruct outputs/demo/base/model",
    ),
}  # fmt: skip


def perform(reader: Reader, command: str) -> Done:
    """Type a command line: in the warm process where that can do it, by bash where it cannot."""
    variables, typed = words(command)
    if typed[:2] == ["accelerate", "launch"]:
        script = next(i for i, word in enumerate(typed) if word.endswith(".py"))
        return reader.run(["python", *typed[script:]], variables)
    if typed[0] == "mella" and not re.search(r"[*$&|;]", command):
        return reader.run(typed, variables)
    return reader.cold(command)


def in_a_checkout(home: Path, command: str) -> None:
    """The documents' `recipes/` is there for commands that name it, and for no others."""
    link = home / "recipes"
    if re.search(exceptions.IN_A_CHECKOUT, command):
        if not link.exists():
            shutil.copytree(ROOT / "recipes", link)
    elif link.exists():
        shutil.rmtree(link)


def test_nothing_is_left_out_but_what_the_table_names() -> None:
    for row in exceptions.LEFT:
        assert any(re.search(row.pattern, block.code) for block in BLOCKS), f"nothing matches {row.pattern} any more"
    assert len(COMMANDS) > 60 and sum(block.python for block in BLOCKS) >= 4


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: block.where)
def test_command(block: Block, scenario: Scenario, reader: Reader) -> None:
    if (row := exceptions.left(block.code)) is not None:
        pytest.skip(row.reason)
    for mark, commands in BEFORE.items():
        if mark in block.code:
            for command in commands:
                done = perform(reader, command) if command.startswith("mella") else reader.cold(command)
                assert done.status == 0, f"before {block.where}: {command}\n{done.output[-3000:]}"
            BEFORE[mark] = ()
    command = exceptions.replaced(block.code, services=scenario.services.url, captions=scenario.captions.url)
    in_a_checkout(scenario.home, command)
    if re.search(exceptions.SERVES, command):
        serve(reader, command)
        return
    done = perform(reader, command)
    assert done.status == 0, f"{block}\nrun as: {command}\n{done.output[-4000:]}"
    assert "Traceback" not in done.output, done.output[-4000:]


def serve(reader: Reader, command: str) -> None:
    """Start a server, open the page that it prints, and end it."""
    environment: dict[str, Any] = reader.environment
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"], cwd=reader.folder, env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        said, address = "", None
        while address is None and (line := process.stdout.readline()):
            said += line
            address = re.search(r"http://\S+", said)
        assert address, said
        for _ in range(100):
            try:
                with urllib.request.urlopen(address[0], timeout=60) as page:
                    assert b"<html" in page.read()
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail(f"no page at {address[0]}: {said}")
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize("name", [name for name in ORDER if any(b.document == name and b.python for b in BLOCKS)])
def test_python(name: str, reader: Reader) -> None:
    """A document's Python, in one interpreter."""
    code = "\n".join(block.code for block in BLOCKS if block.document == name and block.python)
    done = reader.run(["python", "-c", code])
    assert done.status == 0, f"{name}\n{code}\n{done.output[-4000:]}"


@pytest.mark.parametrize(("where", "typed"), mentions(), ids=lambda value: value if isinstance(value, str) else None)
def test_mentioned_options_exist(where: str, typed: list[str]) -> None:
    """`mella ...` in running text: its command and its options exist."""
    import typer

    from mella_hf.cli import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    if len(typed) > 1 and re.fullmatch(r"[a-z-]+", typed[1]):
        assert typed[1] in commands, f"{where}: there is no mella {typed[1]}"
        known = {name for option in commands[typed[1]].params for name in (*option.opts, *option.secondary_opts)}
        named = {word.split("=")[0].rstrip(".,;:)") for word in typed[2:] if word.startswith("--")}
        assert named <= known | {"--help"} or typed[1] == "train", f"{where}: {' '.join(typed)}"
