"""Collect the systems that the runs measured, each with its scores by language.

A system is a base or an adapter. Runs of one adapter in several languages are one system, and so is a base that several
runs share. Base models are told apart by their weights.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mella_hf.answers.systems import System
from mella_hf.errors import MellaError
from mella_hf.evaluation.records import ModelRecord, ScoreRecord
from mella_hf.evaluation.run import Run, load_run
from mella_hf.evaluation.titles import headline

# Runs or their folders, each with or without a name for its adapter.
Runs = Sequence[Run | Path | str | tuple[str | None, Run | Path | str]]


@dataclass
class MeasuredSystem:
    """One base or adapter.

    Attributes:
        name: its name on the page.
        is_base: whether it has no adapter.
        model: identity and settings, from its first run.
        runs: its runs by language, with the model's key in each run.
    """

    name: str
    is_base: bool
    model: ModelRecord
    runs: dict[str, tuple[Run, str]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Its colour on the page: "base" or "adapter"."""
        return "base" if self.is_base else "adapter"

    def score(self, language: str, split: str) -> ScoreRecord | None:
        """Its score record over all images; None if it was not measured."""
        if language not in self.runs:
            return None
        run, key = self.runs[language]
        return run.score(key, split)

    def metric(self, language: str, split: str) -> str:
        """The main metric of a split in a language: another one where no sample has keywords."""
        return headline(split, self.score(language, split))


def run_systems(run: Run) -> list[MeasuredSystem]:
    """The models of one run as systems, with the run's names: "base", "adapter" ..."""
    return [MeasuredSystem(key, key == "base", model, {run.language: (run, key)}) for key, model in run.models.items()]


def named_runs(runs: Runs) -> list[tuple[str | None, Run]]:
    """Each run with the name given to its adapter, or None."""
    pairs = [run if isinstance(run, tuple) else (None, run) for run in runs]
    return [(name, run if isinstance(run, Run) else load_run(run)) for name, run in pairs]


def find_systems(runs: Sequence[tuple[str | None, Run]]) -> list[MeasuredSystem]:
    """The systems of several runs, bases first, in the order of the runs.

    Raises:
        MellaError: if two runs of a language have different adapters with one name, or there is nothing to compare.
    """
    bases: dict[str, MeasuredSystem] = {}
    adapters: dict[str, MeasuredSystem] = {}
    for name, run in runs:
        base = run.models["base"]
        system = bases.setdefault(base["base_hash"], MeasuredSystem(base["base"], True, base))
        system.runs.setdefault(run.language, (run, "base"))
        for key, model in run.models.items():
            if key == "base":
                continue
            called = key if key != "adapter" else name or model["adapter"] or model["base"]
            system = adapters.setdefault(called, MeasuredSystem(called, False, model))
            if run.language in system.runs:
                raise MellaError(
                    f"Two runs of {run.language!r} have the name {called!r}: {system.runs[run.language][0].folder} "
                    f"and {run.folder}. Give each its own name, as in `mella report joint=RUN sdrrl=RUN`."
                )
            system.runs[run.language] = (run, key)
    if len({run.folder for _, run in runs}) < 2 and all(len(run.models) < 3 for _, run in runs):
        raise MellaError("A comparison needs two runs, or one run with three systems; give another run folder.")
    named = Counter(system.name for system in bases.values())
    for weights, system in bases.items():
        if named[system.name] > 1:  # two checkpoints in folders with the same name
            system.name = f"{system.name} {weights[:8]}"
    return [*bases.values(), *adapters.values()]


def check_names(systems: Sequence[System], others: Mapping[str, Mapping[str, Run]]) -> None:
    """Raise MellaError if new systems and finished runs would have the same name in a comparison.

    Args:
        systems: the result of `mella_hf.answers.systems.line_up`.
        others: finished runs, by name and language.
    """
    found = {
        (system.record()["adapter"] if system.name == "adapter" else system.name): system.adapter
        for system in systems
        if system.adapter is not None
    }
    for name, runs in others.items():
        for called in dict.fromkeys(name if key == "adapter" else key for run in runs.values() for key in run.models):
            if called == "base":
                continue
            folder = next(iter(runs.values())).folder
            if called in found:
                raise MellaError(
                    f"Two systems have the name {called!r}: {found[called]} and one of {folder}. "
                    "Give one another name, as in --against NAME=FOLDER."
                )
            found[called] = str(folder)


def check_comparable(systems: Sequence[MeasuredSystem]) -> None:
    """Raise MellaError if a language's scores have different signatures or different images."""
    first: dict[tuple[str, str], tuple[Run, str, list[str]]] = {}
    for system in systems:
        for language, (run, key) in system.runs.items():
            for score in (score for score in run.scores if score["model"] == key and score["subset"] == "all"):
                split, ids = score["split"], sorted(p["id"] for p in run.predictions[key, score["split"]])
                other, signature, images = first.setdefault((language, split), (run, score["signature"], ids))
                if score["signature"] != signature:
                    raise MellaError(
                        f"{other.folder} and {run.folder} were scored differently on {split} of {language!r}: "
                        f"{signature} and {score['signature']}. Evaluate both with one version and the same data."
                    )
                if ids != images:
                    raise MellaError(
                        f"{other.folder} and {run.folder} have answers about different images of {split} of "
                        f"{language!r}; "
                        "evaluate both on the same dataset."
                    )
