"""The command `mella` as users run it: in a process of its own, from a shell."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import mella_hf
from mella_hf.cli import COMMANDS, app, load_command, repeat_languages
from mella_hf.errors import MellaError

HEAVY = {"torch", "transformers", "datasets", "pyarrow", "trl", "peft", "PIL", "numpy", "rich"}
NAMES = [name for commands in COMMANDS.values() for name in commands]
ANSWERS = [
    {"id": "a", "prediction": "Turisté stojí na mostě.", "reference": "Turisté stojí na mostě.", "keywords": ["most"]},
    {"id": "b", "prediction": "Kostel", "reference": "Starý kostel ve městě", "keywords": ["kostel"]},
]


def mella(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m mella_hf ARGUMENTS`."""
    command = [sys.executable, "-m", "mella_hf", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def imported_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has after some code."""
    code += "\nimport sys; print('\\n'.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.splitlines())


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ANSWERS), "utf-8")
    return path


def test_help_imports_no_command_and_nothing_heavy() -> None:
    code = "from mella_hf.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    modules = imported_by(code)
    commands = {name for name in modules if name.startswith("mella_hf.commands.")}
    assert "mella_hf.cli" in modules
    assert commands == {"mella_hf.commands.options"}
    assert not modules & HEAVY


def test_help_names_every_command_with_what_it_does() -> None:
    for flag in ("--help", "-h"):
        shown = mella(flag).stdout
        for commands in COMMANDS.values():
            for name, line in commands.items():
                assert re.search(rf"^  {name} +{re.escape(line)}$", shown, re.MULTILINE), name


@pytest.mark.parametrize("name", NAMES)
def test_each_command_has_the_options_that_all_have(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "-h"]).output
    for option in ("--quiet", "--json", "--log-file", "-h, --help"):
        assert option in shown


def test_options_that_commands_share_have_one_spelling() -> None:
    """No command has another word for what others call --languages, --out, --workers and so on."""
    others = {"--lang", "--langs", "--output-dir", "--num-workers", "--jobs", "--dataset-dir", "--dryrun"}
    for name in NAMES:
        spelled = {word for param in load_command(name).params for word in param.opts}
        assert not spelled & others
        first = {param.opts[0] for param in load_command(name).params}
        assert not first & {"--output", "--base-url", "--at-once"} or name == "collect"


def test_version() -> None:
    assert mella("--version").stdout == f"mella_hf {mella_hf.__version__}\n"


def test_a_wrong_command_is_named_with_the_nearest() -> None:
    done = mella("evalute")
    assert done.returncode == 2 and "'evalute'" in done.stderr and "'evaluate'" in done.stderr


@pytest.mark.parametrize(
    "words, found",
    [
        ("mella ev", {"evaluate"}),
        ("mella score --aga", {"--against"}),
        ("mella re", {"relevance", "report", "review", "remove"}),
    ],
)
def test_the_shell_completes_commands_and_options(words: str, found: set[str]) -> None:
    done = mella(_MELLA_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))
    assert set(done.stdout.split()) == found


def test_json_is_all_that_is_printed_and_lines_go_to_standard_error(answers: Path) -> None:
    done = mella("score", answers, "--language", "cs", "--json")
    written = json.loads(answers.with_suffix(".scores.json").read_text("utf-8"))
    assert json.loads(done.stdout) == written
    assert written["scores"]["n"] == 2
    assert "Wrote" in done.stderr and "keyword accuracy" in done.stderr


def test_languages_are_rows_for_other_programs() -> None:
    listed = json.loads(mella("languages", "--json").stdout)["languages"]
    by_code = {row["code"]: row for row in listed}
    assert len(by_code) == len(listed) > 100
    assert (by_code["th"]["language"], by_code["th"]["script"]) == ("Thai", "Thai")
    one = json.loads(mella("languages", "ka", "--json").stdout)
    assert one["code"] == "ka" and one["name"] == "Georgian, ქართული" and one["gaps"]


@pytest.mark.parametrize(
    "module", sorted((Path(mella_hf.__file__).parent / "commands").glob("*.py")), ids=lambda p: p.stem
)
def test_every_command_has_a_result_for_json(module: Path) -> None:
    if module.stem not in ("__init__", "console", "options"):
        assert "finish(" in module.read_text("utf-8"), "--json would print nothing"


def test_a_terminal_that_lacks_a_script_shows_codes_and_json_is_utf_8() -> None:
    shown = mella("languages", "ka", PYTHONIOENCODING="latin-1")
    assert shown.returncode == 0 and "Georgian, \\u10e5\\u10d0\\u10e0" in shown.stdout, shown.stderr
    one = mella("languages", "ka", "--json", PYTHONIOENCODING="latin-1")
    assert json.loads(one.stdout)["name"] == "Georgian, ქართული"


def test_quiet_prints_what_was_made(answers: Path) -> None:
    done = mella("score", answers, "--language", "cs", "-q")
    assert done.stdout == f"{answers.with_suffix('.scores.json')}\n"
    assert done.stderr == ""


def test_quiet_and_json_print_the_result_alone(answers: Path) -> None:
    done = mella("score", answers, "--language", "cs", "--quiet", "--json")
    assert json.loads(done.stdout)["scores"]["n"] == 2 and done.stderr == ""


def test_the_log_file_has_time_level_and_line_and_grows(answers: Path, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "mella.log"
    mella("score", answers, "--language", "cs", "--log-file", log)
    first = log.read_text("utf-8")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO mella_hf: mella score ", first)
    assert "Wrote" in first
    failed = mella("score", answers, "--language", "xx", "--log-file", log)
    assert failed.returncode == 1 and failed.stderr.startswith("error: Unknown language 'xx'")
    later = log.read_text("utf-8").removeprefix(first)
    assert "ERROR mella_hf: Unknown language 'xx'" in later and "Traceback" not in later


def test_a_log_file_that_cannot_be_written_is_named(answers: Path) -> None:
    done = mella("score", answers, "--language", "cs", "--log-file", answers / "x.log")
    assert done.returncode == 1 and done.stderr.startswith("error: The log file") and "x.log" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "PATH", "--out", "o", "--source", "folder", "--languages", "ar"],
        ["describe", "PATH", "--out", "o", "--languages", "ar", "--captioner", "m"],
        ["distill", "--base", "b", "--language", "ar", "--out", "o", "--data-dir", "PATH"],
        ["evaluate", "--base", "b", "--languages", "ar", "--out", "o", "--gate", "PATH"],
        ["judge", "PATH", "--endpoint", "http://127.0.0.1:1/v1", "--model", "m"],
        ["info", "PATH"],
        ["publish", "PATH", "org/name"],
        ["push", "PATH", "org/name"],
        ["remove", "PATH", "--domain", "example.org"],
        ["report", "r", "--human", "PATH"],
        ["review", "PATH"],
        ["score", "PATH", "--language", "ar"],
        ["train", "PATH"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_path_that_is_not_there_is_said_by_name_before_anything_heavy_is_imported(
    arguments: list[str], tmp_path: Path
) -> None:
    missing = str(tmp_path / "no-such-thing")
    given = [missing if word == "PATH" else word for word in arguments]
    code = (
        f"import sys\nfrom mella_hf.cli import main\ntry:\n    main({given!r})\n"
        "except SystemExit as end:\n    print('ended:', end)"
    )
    modules = imported_by(code)
    (ended,) = [line for line in modules if line.startswith("ended:")]
    assert ended.startswith("ended: error:") and missing in ended
    assert not modules & (HEAVY - {"numpy"})


@pytest.mark.parametrize(
    "given, meant",
    [
        (["x", "--languages", "ar", "cs", "--out", "o"],
         ["x", "--languages", "ar", "--languages", "cs", "--out", "o"]),
        (["--languages", "ar,cs", "th", "data"], ["--languages", "ar,cs", "--languages", "th", "data"]),
        (["--languages", "all"], ["--languages", "all"]),
        (["ar", "--languages", "ar"], ["ar", "--languages", "ar"]),
        (["--out", "ar", "cs"], ["--out", "ar", "cs"]),
        (["--languages"], ["--languages"]),
    ],
)  # fmt: skip
def test_codes_after_languages_are_languages(given: list[str], meant: list[str]) -> None:
    assert repeat_languages(given) == meant


def test_commands_take_languages_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    base = ["build", str(tmp_path / "data"), "--out", str(tmp_path / "o"), "--source", "hf"]
    for words in (["ar,cs"], ["ar cs"], ["ar", "cs"], ["ar", "--languages", "cs"], ["ar,ar,cs"]):
        result = CliRunner().invoke(app, [*base, "--languages", *words])
        assert isinstance(result.exception, MellaError) and "names 2: ar, cs." in str(result.exception), words


def test_recipes_are_listed_and_named() -> None:
    listed = json.loads(CliRunner().invoke(app, ["train", "--recipes", "--json"]).stdout)
    recipes = Path(__file__).parents[2] / "recipes"
    files = {path for path in recipes.rglob("*.yaml") if "output_dir:" in path.read_text("utf-8")}
    assert set(listed["recipes"]) == {str(path.relative_to(recipes).with_suffix("")) for path in files}
    assert set(listed["accelerate_configs"]) == {path.stem for path in (recipes / "accelerate").glob("*.yaml")}
    failed = CliRunner().invoke(app, ["train", "demo/joined"])
    assert isinstance(failed.exception, MellaError) and "demo/joint" in str(failed.exception)


def test_the_app_is_one_typer_application() -> None:
    assert list(typer.main.get_command(app).commands) == NAMES  # type: ignore[attr-defined]
