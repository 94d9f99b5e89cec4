"""Run the paper's comparison in miniature: every training variant, over several seeds, on one page.

    OUT/<language>/ablation/base/predictions/            the untouched base, once
    OUT/<language>/ablation/transfer/                    SDRRL's transfer set, once
    OUT/<language>/ablation/thick_data/                  thick descriptions of the pictures of know, once
    OUT/<language>/ablation/<variant>/seed-<n>/train/    a run, with its adapter
    OUT/<language>/ablation/<variant>/seed-<n>/predictions/
    OUT/<language>/ablation/ablation.{json,html}

The second-stage variants of a seed continue from the adapter of that seed's `ling_only` run. So that run is both a
baseline and the first stage. A run starts as soon as the run that it continues from is done. On two cores, two runs at
a time with one thread each are the fastest.
Finished runs are not repeated. A run is identified by its recipe, its base, its data and its starting adapter.
"""

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from mella_hf.answers.identity import content_hash
from mella_hf.demo.pictures import PictureSource
from mella_hf.demo.run import DemoPaths, Scale, prepare
from mella_hf.errors import MellaError
from mella_hf.files import write_atomic
from mella_hf.languages import get_language
from mella_hf.progress import progress_bar
from mella_hf.stage import fingerprint
from mella_hf.workers import end_with_parent

STAGE_ONE, TRANSFER, THICK = "ling_only", "transfer", "thick_data"
TEST_SPLITS = ("know_test", "ling_test")
TASK_FILE = "task.json"


@dataclass(frozen=True)
class Variant:
    """A training variant.

    Attributes:
        title: its name on the page.
        recipe: name of the recipe.
        second_stage: whether it continues from the adapter of `STAGE_ONE`.
        distilled: whether it trains on SDRRL's transfer set.
        thick: whether it trains on thick descriptions.
    """

    title: str
    recipe: str
    second_stage: bool = False
    distilled: bool = False
    thick: bool = False


VARIANTS = {
    "know_only": Variant("know only", "demo/know_only.yaml"),
    "ling_only": Variant("ling only", "demo/ling_only.yaml"),
    "joint": Variant("joint (MELLA)", "demo/joint.yaml"),
    "thick": Variant("thick descriptions", "demo/thick.yaml", thick=True),
    "two_stage": Variant("two stages", "demo/two_stage.yaml", second_stage=True),
    "two_stage_replay": Variant("two stages + replay", "demo/two_stage_replay.yaml", second_stage=True),
    "two_stage_replay_even": Variant("two stages + even replay", "demo/two_stage_replay_even.yaml", second_stage=True),
    "two_stage_ewc": Variant("two stages + EWC", "demo/two_stage_ewc.yaml", second_stage=True),
    "sdrrl": Variant("SDRRL", "demo/sdrrl.yaml", distilled=True),
}


@dataclass(frozen=True)
class Task:
    """One task: make the data of a variant, or train a variant with a seed and answer, or answer with the base."""

    name: str
    paths: DemoPaths
    scale: Scale
    source: PictureSource
    variant: Variant | None = None
    seed: int = 0

    @property
    def root(self) -> Path:
        """The ablation's folder."""
        return self.paths.out / self.paths.language / "ablation"

    @property
    def folder(self) -> Path:
        """The task's folder."""
        return self.root / self.name / f"seed-{self.seed}" if self.variant else self.root / self.name

    @property
    def adapter(self) -> Path | None:
        """The adapter that the task trains; None if it trains nothing."""
        return self.folder / "train" / "adapter" if self.variant else None

    @property
    def key(self) -> tuple[str, int]:
        """Name and seed: what other tasks refer to it by."""
        return self.name, self.seed

    @property
    def needs(self) -> tuple[str, int] | None:
        """The key of the task that must be done before this one."""
        if self.variant is not None and self.variant.second_stage:
            return STAGE_ONE, self.seed
        if self.variant is not None and self.variant.distilled:
            return TRANSFER, 0
        if self.variant is not None and self.variant.thick:
            return THICK, 0
        return None


def run_ablation(
    language: str,
    out: Path | str,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    source: Path | str | None = None,
    workers: int | None = None,
    scale: Scale | None = None,
    variants: Sequence[str] = tuple(VARIANTS),
) -> Path:
    """Train and answer every variant with every seed, and write the page.

    Args:
        out: the demo's folder; dataset and base are made if they are missing.
        seeds: seeds of initialisation, order and draws.
        source: a folder with the unpacked Debian packages, if they cannot be fetched.
        workers: concurrent runs; the number of cores by default.
        scale: how much to train; the full demo by default.

    Returns:
        The path of ablation.html.

    Raises:
        MellaError: for an unknown language or variant, no seeds, or a failed run.
    """
    from mella_hf.demo.ablation_report import write_ablation

    get_language(language)
    unknown = [name for name in variants if name not in VARIANTS]
    if unknown:
        raise MellaError(f"Unknown variant {unknown[0]!r}; choose among {', '.join(VARIANTS)}.")
    if not seeds or len(set(seeds)) != len(seeds):
        raise MellaError(f"seeds is {list(seeds)}; give at least one, and each only once.")
    scale = scale or Scale()
    chosen = {name: VARIANTS[name] for name in variants}
    if STAGE_ONE not in chosen and any(variant.second_stage for variant in chosen.values()):
        raise MellaError(f"Second stages continue from {STAGE_ONE}; add it to the variants.")
    paths = DemoPaths(Path(out).resolve(), language)
    found = prepare(paths, source, workers, scale.budget)
    tasks = [Task(name, paths, scale, found, variant, seed) for seed in seeds for name, variant in chosen.items()]
    base, transfer, thick = (Task(name, paths, scale, found) for name in ("base", TRANSFER, THICK))
    alone = [base]
    if any(variant.thick for variant in chosen.values()):
        alone.insert(0, thick)
    if any(variant.distilled for variant in chosen.values()):
        alone.insert(0, transfer)
    _run([*alone, *tasks], workers or os.cpu_count() or 1)
    folders = {"base": [base.folder]} | {name: [t.folder for t in tasks if t.name == name] for name in chosen}
    titles = {"base": "base"} | {name: variant.title for name, variant in chosen.items()}
    return write_ablation(folders, titles, language, base.root)


def _run(tasks: Sequence[Task], workers: int) -> None:
    """Run the tasks in parallel, each as soon as the task that it needs is done."""
    os.environ["OMP_NUM_THREADS"] = "1"  # for the workers and the runs that they launch
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with (
        ProcessPoolExecutor(workers, get_context("spawn"), initializer=_draw_no_bars) as pool,
        progress_bar(total=len(tasks), desc="runs", unit="run") as bar,
    ):
        running = {pool.submit(run_task, task): task for task in tasks if task.needs is None}
        try:
            while running:
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    task, seconds = running.pop(future), future.result()
                    running |= {pool.submit(run_task, other): other for other in tasks if other.needs == task.key}
                    name = f"{task.name} seed {task.seed}" if task.variant else task.name
                    bar.write(f"  {name}: {f'{seconds:.0f} s' if seconds else 'done before'}")
                    bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _draw_no_bars() -> None:
    """In the workers: the bar of the runs is the only one; they end with this process."""
    import datasets
    from transformers.utils import logging

    end_with_parent()
    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    logging.set_verbosity_error()


def run_task(task: Task) -> float:
    """Run a task and return the seconds it took; 0 if it was already done."""
    start = time.perf_counter()
    if task.name == TRANSFER:
        return _make_transfer_set(task)
    if task.name == THICK:
        return _make_thick_set(task)
    flags = _flags(task)
    mark = _mark(task, flags)
    record = task.folder / TASK_FILE
    state = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    if state.get("mark") != mark:  # another recipe, base or data: nothing can be reused
        shutil.rmtree(task.folder, ignore_errors=True)
        state = {"mark": mark, "variant": task.name, "seed": task.seed, "done": False}
        write_atomic(record, json.dumps(state))
    if state["done"]:
        return 0.0
    if task.variant is not None:
        from mella_hf.training.arguments.launch import launch_recipe

        named = [part for key, value in flags.items() for part in (f"--{key}", value)]
        launch_recipe(task.variant.recipe, [*named, *task.scale.training_flags], log=task.folder / "train.log")
    _answer(task)
    write_atomic(record, json.dumps({**state, "done": True, "seconds": round(time.perf_counter() - start)}))
    return time.perf_counter() - start


def _flags(task: Task) -> dict[str, str]:
    """The settings of a run's paths and data."""
    if task.variant is None:
        return {}
    flags = {
        "model_name_or_path": str(task.paths.base / "model"),
        "data_dir": str(task.paths.dataset),
        "languages": task.paths.language,
        "output_dir": str(task.folder / "train"),
        "seed": str(task.seed),
    }
    if task.variant.second_stage:
        flags["init_adapter"] = str(task.root / STAGE_ONE / task.folder.name / "train" / "adapter")
    if task.variant.distilled:
        flags["transfer_set"] = str(task.root / TRANSFER)
    if task.variant.thick:
        flags["data_dir"] = str(task.root / THICK)
    return flags


def _make_thick_set(task: Task) -> float:
    """Thick descriptions of the training pictures of `know`, by the stand-in; again if the dataset has changed."""
    from datasets import Image, load_dataset

    from mella_hf.dataset.write import write_split
    from mella_hf.demo.stand_ins import thick_rows

    start = time.perf_counter()
    mark = fingerprint(_data(task.paths), THICK)
    record = task.folder / TASK_FILE
    if record.is_file() and json.loads(record.read_text("utf-8"))["mark"] == mark:
        return 0.0
    shutil.rmtree(task.folder, ignore_errors=True)
    rows = load_dataset("mella", task.paths.language, data_dir=str(task.paths.dataset), split="know")
    made = thick_rows(rows.cast_column("image", Image(decode=False)), task.source, task.paths.language)
    write_split(made, task.folder, task.paths.language, "ling")
    write_atomic(record, json.dumps({"mark": mark}))
    return time.perf_counter() - start


def _data(paths: DemoPaths) -> list[tuple[str, str]]:
    """The dataset's files, by name and content."""
    shards = sorted((paths.dataset / paths.language).glob("*.parquet"))
    return [(shard.name, fingerprint(shard.read_bytes().hex())) for shard in shards]


def _make_transfer_set(task: Task) -> float:
    """The base's English answers about all training images, translated by the stand-in."""
    from datasets import load_dataset

    from mella_hf.demo.stand_ins import PictureTranslator
    from mella_hf.training.distill import build_transfer_set

    start = time.perf_counter()
    rows = {
        source: load_dataset("mella", task.paths.language, data_dir=str(task.paths.dataset), split=source)
        for source in ("know", "ling")
    }
    build_transfer_set(
        base=str(task.paths.base / "model"),
        rows=rows,
        language=task.paths.language,
        translator=PictureTranslator(task.source),
        out=task.folder,
        max_new_tokens=task.scale.max_new_tokens,
        progress=False,
    )
    return time.perf_counter() - start


def _mark(task: Task, flags: Mapping[str, str]) -> str:
    """Everything that determines what the task computes, by content."""
    import yaml

    from mella_hf.files import recipe_path
    from mella_hf.training.distill import transfer_set_hash

    if task.variant is None:
        recipe, start, asked = {}, "", ""
    else:
        recipe = yaml.safe_load(recipe_path(task.variant.recipe).read_text("utf-8"))
        start = content_hash(flags["init_adapter"]) if task.variant.second_stage else ""
        asked = transfer_set_hash(flags["transfer_set"]) if task.variant.distilled else ""
    data = _data(task.paths)
    settings = [list(task.scale.training_flags), dict(task.scale.max_new_tokens), task.seed]
    return fingerprint(recipe, start, asked, content_hash(str(task.paths.base / "model")), data, settings)


def _answer(task: Task) -> None:
    """Answer the test prompts greedily."""
    from datasets import load_dataset

    from mella_hf.answers.generate import generate
    from mella_hf.answers.identity import model_identity
    from mella_hf.answers.models import load_model

    base = str(task.paths.base / "model")
    model, processor = load_model(base, task.adapter)
    for split in TEST_SPLITS:
        source = split.removesuffix("_test")
        generate(
            model,
            processor,
            load_dataset("mella", task.paths.language, data_dir=str(task.paths.dataset), split=split),
            language=task.paths.language,
            source=source,
            out=task.folder / "predictions" / f"{split}.jsonl",
            identity=model_identity(base, task.adapter),
            max_new_tokens=task.scale.max_new_tokens[source],
            progress=False,
        )
