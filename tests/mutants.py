"""Mutation testing: change the central modules in small ways, and ask whether their own tests notice.

    make mutants                                         all modules below: more than an hour; one has 45 to 600
                                                         changes, and takes 1 to 15 minutes
    make mutants modules="metrics/metric know/alt_text"
    make mutants modules=metrics/metric sample=100       a hundred of them, drawn at random
    make mutants modules=stage again=1                   what survived the last time, or had no turn

mutmut makes the mutants. A mutant that no test notices survives; one that changes nothing a caller can see is listed in
`equivalent_mutants.toml` with the reason. Bar: at least 90% of the others are noticed, in each module. The exit status
is 1 where a module falls short.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

ROOT = Path(__file__).parents[1]
BAR = 0.9
ENDLESS = (24, -24, 36, 152, 255)  # exit status of a test run that was stopped at its time limit
NOTICED = (1, 3, 37, *ENDLESS)  # the same, and of one that failed

# Module -> its own tests.
MODULES = {
    "metrics/matching/answers": "tests/metrics/test_matching.py tests/metrics/test_city_forms.py",
    "metrics/matching/word_forms": "tests/metrics/test_matching.py tests/metrics/test_city_forms.py",
    "metrics/matching/unspaced": "tests/metrics/test_matching.py tests/metrics/test_unspaced.py",
    "metrics/metric": "tests/metrics/test_metric.py tests/metrics/test_corpus.py tests/metrics/test_check.py",
    "metrics/degenerate": "tests/metrics/test_degenerate.py",
    "metrics/significance": "tests/metrics/test_significance.py",
    "metrics/scores/meteor": "tests/metrics/test_meteor.py",
    "know/alt_text": "tests/know/test_alt_text.py tests/know/test_alt_text_judged.py",
    "know/filter": "tests/know/test_collect_filter.py tests/know/test_language_rules.py",
    "text/lid": "tests/text/test_lid.py tests/text/test_lid_rules.py",
    "ling/translation_checks": "tests/ling/test_translation_checks.py",
    "images/duplicates": "tests/images/test_duplicates.py",
    "images/phash": "tests/images/test_phash.py",
    "dataset/disjoint": "tests/dataset/test_disjoint.py",
    "evaluation/paired": "tests/evaluation/test_paired.py",
    "reviewing/agreement": "tests/reviewing/test_agreement.py",
    "training/batches/batching": "tests/training/test_batching.py",
    "training/forgetting": "tests/training/test_forgetting_formulas.py",
    "stage": "tests/test_stage.py",
}
_NONE = "no mutant has this name"
FRESH = ("training/forgetting",)  # their gradients wait for threads that a fork leaves behind


@dataclass
class Mutant:
    """A change to one function, as mutmut wrote it.

    Attributes:
        name: mutmut's name, which moves when the function changes.
        removed, added: the line before and after; nothing where a test noticed it.
        status: of the tests that ran with it.
    """

    name: str
    removed: str
    added: str
    status: int | None


def _copy(to: Path) -> None:
    """The files that git knows, without this environment's own."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        source, target = ROOT / name, to / name
        if name and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _configure(folder: Path, module: str, tests: str, isolation: str) -> None:
    beside = ["recipes", "dataset_scripts", "model_cards", "docs", "README.md", "benchmarks"]
    settings = {
        "source_paths": ["mella_hf"],
        "only_mutate": [f"mella_hf/{module}.py"],
        "also_copy": beside,
        "pytest_add_cli_args_test_selection": tests.split(),
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-x"],
        "process_isolation": isolation,
        "timeout_multiplier": 5,
        "timeout_constant": 6,  # x 5: 30 s beyond five times what the tests take, for a busy machine
    }
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    project = (folder / "pyproject.toml").read_text("utf-8").split("\n[tool.mutmut]\n")[0]
    (folder / "pyproject.toml").write_text(f"{project}\n[tool.mutmut]\n{lines}", "utf-8")


def _changed_line(mutmut: Path, folder: Path, name: str) -> tuple[str, str]:
    """The lines that a mutant removed and those that it put there, in one line each."""
    shown = subprocess.run([mutmut, "show", name], cwd=folder, capture_output=True, text=True, check=True).stdout
    lines = [line for line in shown.split("\n") if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    removed = " ".join(line[1:].strip() for line in lines if line[:1] == "-")
    added = " ".join(line[1:].strip() for line in lines if line[:1] == "+")
    return removed, added


def mutate(
    module: str, tests: str, folder: Path, processes: int, again: bool, sample: int | None, seed: int
) -> tuple[list[Mutant], int]:
    """Run mutmut on one module. Returns the mutants that ran, and how many there are.

    Args:
        again: run only those that no test noticed the last time, or that had no turn then, where the module is what it
            was.
        sample: run only so many, drawn from all of the module by the seed.
    """
    results = folder.with_name(f"{folder.name}.json")
    meta = folder / "mutants" / "mella_hf" / f"{module}.py.meta"
    earlier = _earlier(results, meta, module) if again else {}
    shutil.rmtree(folder, ignore_errors=True)
    _copy(folder)
    # Most runs are forks of a process that has run the tests once, so that dictionaries and models are loaded already.
    _configure(folder, module, tests, "forkserver" if module in FRESH else "fork")
    mutmut = Path(sys.executable).with_name("mutmut")
    log = folder.with_name(f"{folder.name}.log")
    command = [mutmut, "run", "--max-children", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    with log.open("wb") as file:

        def run(*names: str) -> None:
            subprocess.run([*command, *names], cwd=folder, stdout=file, stderr=file, env=environment, check=False)

        run(_NONE)  # makes the mutants, and asks which tests run which function
        if not meta.exists():
            raise SystemExit(f"mutmut made no mutants of {module}; its log is {log}")
        everyone = list(_statuses(meta))
        if not earlier:
            drawn = random.Random(seed).sample(everyone, min(sample, len(everyone))) if sample else everyone
            earlier = dict.fromkeys(drawn)
        results.write_text(json.dumps({"source": _source(module), "statuses": earlier}), "utf-8")
        left = [name for name, status in earlier.items() if status not in NOTICED or status in ENDLESS]
        if left:
            run(*left)
        ran = _statuses(meta)
        if left and all(ran[name] is None for name in left):
            raise SystemExit(f"mutmut ran no mutants of {module}; its log is {log}")
        # A run can reach its limit although the mutant hangs nothing: on a busy machine, or because a library waits for
        # threads that a fork left behind. Only the second time counts, in a process that has imported the tests alone.
        endless = [name for name in left if ran[name] in ENDLESS]
        if endless:
            _configure(folder, module, tests, "forkserver")
            run(*endless)
    ran = _statuses(meta)
    statuses = {name: status if ran[name] is None else ran[name] for name, status in earlier.items()}
    results.write_text(json.dumps({"source": _source(module), "statuses": statuses}), "utf-8")
    found = []
    for name, status in statuses.items():
        noticed = status in NOTICED
        removed, added = ("", "") if noticed else _changed_line(mutmut, folder, name)
        found.append(Mutant(name, removed, added, status))
    return found, len(everyone)


def _statuses(meta: Path) -> dict[str, int | None]:
    """The exit status of the tests by mutant; None where they did not run."""
    statuses: dict[str, int | None] = json.loads(meta.read_text("utf-8"))["exit_code_by_key"]
    return statuses


def _earlier(results: Path, meta: Path, module: str) -> dict[str, int | None]:
    """The statuses of the last run, finished or not; nothing where there was none, or the module has changed since."""
    if not results.exists():
        return {}
    last = json.loads(results.read_text("utf-8"))
    if last["source"] != _source(module):
        return {}
    ran = _statuses(meta) if meta.exists() else {}
    return {name: status if ran.get(name) is None else ran[name] for name, status in last["statuses"].items()}


def _source(module: str) -> str:
    return (ROOT / "mella_hf" / f"{module}.py").read_text("utf-8")


# Equivalent wherever it stands: `strict` of a zip of lists that have one length by construction, and UTF-8, which is
# also the default wherever the tests run.
_ALIKE = re.compile(r",? ?\bstrict=\w+|,? ?(encoding=)?\"utf-8\"|,? ?encoding=None", re.IGNORECASE)


def _is_equivalent(mutant: Mutant, listed: set[tuple[str, str]]) -> bool:
    if not mutant.removed:
        return False
    alike = _plain(mutant.removed) == _plain(mutant.added)
    return alike or (mutant.removed, mutant.added) in listed


def _plain(line: str) -> str:
    return re.sub(r", ?\)", ")", _ALIKE.sub("", line))


def _equivalent(module: str) -> list[dict[str, Any]]:
    listed = tomllib.loads((Path(__file__).with_name("equivalent_mutants.toml")).read_text("utf-8"))
    return listed.get(module, [])


def report(module: str, mutants: list[Mutant], everyone: int) -> bool:
    """Print one module's figures and its survivors. Returns whether it meets the bar.

    Args:
        everyone: how many mutants the module has; of fewer, 95% of the intervals (Wilson's) hold the share of all.
    """
    listed = {(entry["removed"], added) for entry in _equivalent(module) for added in entry["added"]}
    counted = [mutant for mutant in mutants if not _is_equivalent(mutant, listed)]
    survivors = [mutant for mutant in counted if mutant.status not in NOTICED]
    share = 1 - len(survivors) / len(counted) if counted else 1.0
    met = share >= BAR
    equivalent = len(mutants) - len(counted)
    endless = sum(mutant.status in ENDLESS for mutant in counted)
    drawn = ""
    if len(mutants) < everyone:
        interval = binomtest(len(counted) - len(survivors), len(counted)).proportion_ci(method="wilson")
        drawn = f", a sample of {len(mutants)} of {everyone}: {100 * interval.low:.1f} to {100 * interval.high:.1f}%"
    print(
        f"{module:26} {len(counted) - len(survivors):4} of {len(counted):4} noticed, {100 * share:5.1f}%{drawn}"
        f" ({endless} by the time limit, {equivalent} equivalent){'' if met else '   below the bar'}",
        flush=True,
    )
    for mutant in survivors:
        print(
            f"    {mutant.name.rpartition('.')[2]} ({mutant.status})\n      - {mutant.removed}\n      + {mutant.added}"
        )
    return met


def main() -> int:
    """Mutate the modules that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", choices=[[], *MODULES], help="such as metrics/metric; all by default")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "mutants", help="where the mutated copies go")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="only what survived the last run, or had no turn")
    parser.add_argument("--sample", type=int, help="only so many of a module, drawn from all of them")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    args = parser.parse_args()
    met = True
    for module in args.modules or MODULES:
        folder = args.out / module.replace("/", ".")
        how = (args.processes, args.again, args.sample, args.seed)
        met &= report(module, *mutate(module, MODULES[module], folder, *how))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
