"""Run the demo from pictures to an adapter that is trained, scored and ready for the Hub.

    OUT/mella/                 the dataset, in the published layout; one language, and those made here before
    OUT/base/model/            a miniature backbone that knows English, the same for every language
    OUT/<language>/base/model/ the same, which has read text in the language
    OUT/<language>/train/      the run, with its adapter
    OUT/<language>/evaluation/ predictions, scores.json, report.html
    OUT/<language>/adapter/    ready for the Hub

Every step resumes where it was stopped, and finished steps are skipped.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mella_hf.demo.pictures import PictureSource, candidates, find_source, things_of
from mella_hf.files import link_file, write_atomic
from mella_hf.languages import get_language
from mella_hf.sample import SPLITS
from mella_hf.stage import Shard, ShardOutput, run_stage

if TYPE_CHECKING:
    from mella_hf.demo.pretrain import Budget

MAX_NEW_TOKENS = {"know": 48, "ling": 160}
TEMPLATES = Path(__file__).parent / "templates"
BUILD = 2  # increase it when the records change; the dataset is then built again


@dataclass(frozen=True)
class Scale:
    """How much the demo trains and answers; tests use less.

    Attributes:
        budget: training budget of the miniature backbone; None for its defaults.
        training_flags: added to the recipe's settings.
        max_new_tokens: maximum answer length, by source.
    """

    budget: "Budget | None" = None
    training_flags: tuple[str, ...] = ()
    max_new_tokens: Mapping[str, int] = field(default_factory=lambda: MAX_NEW_TOKENS)


@dataclass(frozen=True)
class DemoPaths:
    """The folders of the demo."""

    out: Path
    language: str

    @property
    def dataset(self) -> Path:
        """The dataset, in the published layout."""
        return self.out / "mella"

    @property
    def english(self) -> Path:
        """The miniature backbone of all languages and its training."""
        return self.out / "base"

    @property
    def base(self) -> Path:
        """The miniature backbone that has read the language, and that training."""
        return self.out / self.language / "base"

    @property
    def run(self) -> Path:
        """The training run of the language."""
        return self.out / self.language / "train"

    @property
    def evaluation(self) -> Path:
        """The evaluation of the language."""
        return self.out / self.language / "evaluation"

    @property
    def adapter(self) -> Path:
        """The adapter, ready for the Hub."""
        return self.out / self.language / "adapter"


def run_demo(
    language: str,
    out: Path | str,
    source: Path | str | None = None,
    workers: int | None = None,
    scale: Scale | None = None,
) -> DemoPaths:
    """Run all steps in order; finished steps are skipped.

    Args:
        language: code of the language to teach.
        out: folder for all output.
        source: a folder with the unpacked Debian packages, if they cannot be fetched.
        workers: processes for building data; the number of cores by default.
        scale: how much to train; the full demo by default.

    Raises:
        MellaError: for a language that CLDR names no pictures in, an unfit source, or a failed step.
    """
    get_language(language)
    paths, scale = DemoPaths(Path(out).resolve(), language), scale or Scale()
    prepare(paths, source, workers, scale.budget)
    with _step(4, f"LoRA: know and ling together, in {get_language(language).name}"):
        launch_sft(paths, scale.training_flags)
    with _step(5, "Evaluation: base and adapter on the test splits"):
        evaluate(paths, scale.max_new_tokens)
    with _step(6, "Report and adapter folder"):
        publish(paths)
    print(f"\nreport:  {paths.evaluation / 'report.html'}\nadapter: {paths.adapter}\ndataset: {paths.dataset}")
    return paths


def prepare(
    paths: DemoPaths, source: Path | str | None = None, workers: int | None = None, budget: "Budget | None" = None
) -> PictureSource:
    """Run the steps before the adapter's: pictures, dataset and base. Return the source."""
    name = get_language(paths.language).name
    with _step(1, "Pictures with native names"):
        found = find_source(source)
        seen, unseen = things_of(found, paths.language)
        print(f"  {len(candidates(found))} pictures; {len(seen) + len(unseen)} of them in {name}, {len(unseen)} unseen")
    with _step(2, "Dataset: know and ling, as Parquet"):
        build_picture_dataset(found, paths, workers)
        _print_splits(paths)
    with _step(3, f"Base: a miniature backbone that knows English and has read {name}"):
        train_base(paths, found, budget)
    return found


def build_picture_dataset(source: PictureSource, paths: DemoPaths, workers: int | None = None) -> None:
    """Write the dataset in the language, beside those that are there, with its card, its funnel and its rejects."""
    from mella_hf.dataset.card.card import read_funnel, write_card, write_funnel

    folder, code = paths.dataset, paths.language
    parts = [source.common / "annotations" / f"{name}.xml" for name in ("en", code.replace("-", "_"))]
    content = [hashlib.sha256(path.read_bytes()).hexdigest() for path in [*parts, source.font]]
    shard = Shard(code, {"common": source.common, "font": source.font, "content": content})
    built = paths.out / ".dataset"
    report = run_stage("dataset", write_language, [shard], built, settings={"build": BUILD}, workers=workers)
    (written,) = report.require_all().outputs
    _link_folder(written / code, folder / code)
    write_atomic(folder / "rejects" / f"{code}.jsonl", (built / "rejects" / f"{code}.jsonl").read_bytes())
    write_funnel(folder, read_funnel(folder) | {code: json.loads((written / "funnel.json").read_text("utf-8"))})
    write_card(folder, title="MELLA in miniature", origin=(TEMPLATES / "origin.md").read_text("utf-8").strip())


def write_language(shard: Shard, output: ShardOutput) -> None:
    """Write a language's splits, and count what happened to the pictures, by source."""
    from mella_hf.dataset.write import write_split
    from mella_hf.demo.rows import rows

    source = PictureSource(shard.payload["common"], shard.payload["font"])
    passed_over = Counter[str]()
    things_of(source, shard.name, passed_over)
    funnel: dict[str, Counter[str]] = {"know": Counter({f"dropped_{why}": n for why, n in passed_over.items()})}
    for split in SPLITS:
        before = Counter(output.counts)
        written = write_split(rows(source, shard.name, split, output), output.folder, shard.name, split)
        output.keep(written.rows)
        funnel.setdefault(split.removesuffix("_test"), Counter()).update(output.counts - before)
    write_atomic(output.folder / "funnel.json", json.dumps(funnel, sort_keys=True))


def train_base(paths: DemoPaths, source: PictureSource, budget: "Budget | None" = None) -> Path:
    """Train the miniature backbone in English, unless an earlier language did, and let it read the language."""
    from mella_hf.demo.pretrain import pretrain, read_language
    from mella_hf.demo.reading import english_lessons, reading_texts, rehearsed

    lessons = english_lessons(source)
    english = pretrain(lessons, paths.english, budget)
    return read_language(english, rehearsed(lessons), reading_texts(source, paths.language), paths.base, budget)


def launch_sft(paths: DemoPaths, flags: tuple[str, ...] = ()) -> None:
    """Run `accelerate launch recipes/sft.py` in its own process, as users do."""
    from mella_hf.training.arguments.launch import launch_recipe

    places = {
        "model_name_or_path": paths.base / "model",
        "data_dir": paths.dataset,
        "languages": paths.language,
        "output_dir": paths.run,
    }
    named = [part for key, value in places.items() for part in (f"--{key}", str(value))]
    launch_recipe("demo/joint", [*named, *flags])


def evaluate(paths: DemoPaths, max_new_tokens: Mapping[str, int]) -> Path:
    """Answer and score with base and adapter."""
    from mella_hf.evaluation.run import evaluate_run

    return evaluate_run(
        base=str(paths.base / "model"),
        adapter=paths.run / "adapter",
        data_dir=paths.dataset,
        language=paths.language,
        out=paths.evaluation,
        max_new_tokens=max_new_tokens,
        check_references=False,  # CLDR wrote them; a few names are too little to tell Cantonese from Wu
    )


def publish(paths: DemoPaths) -> None:
    """Write the report and the folder to push."""
    from mella_hf.evaluation.reports.report import write_report
    from mella_hf.hub.push import prepare_adapter

    write_report(paths.evaluation)
    prepare_adapter(paths.run / "adapter", paths.adapter, run=paths.evaluation, license="apache-2.0")


@contextmanager
def _step(number: int, title: str) -> Iterator[None]:
    print(f"\n[{number}/6] {title}", flush=True)
    start = time.perf_counter()
    yield
    print(f"  {time.perf_counter() - start:.0f} s", flush=True)


def _print_splits(paths: DemoPaths) -> None:
    """Print the number of rows of each split, loaded as a user would."""
    from datasets import load_dataset

    for split in SPLITS:
        rows = load_dataset("mella", paths.language, data_dir=str(paths.dataset), split=split)
        print(f"  {paths.language} {split}: {len(rows)} samples")


def _link_folder(source: Path, target: Path) -> None:
    """Make `target` hold exactly the files of `source`."""
    target.mkdir(parents=True, exist_ok=True)
    wanted = {file.name for file in source.iterdir()}
    for stale in [file for file in target.iterdir() if file.name not in wanted]:
        stale.unlink()
    for name in wanted:
        link_file(source / name, target / name)
