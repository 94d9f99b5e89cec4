"""The whole demo in one file: from real images to a trained and scored adapter that is ready for the Hub.

    OUT/rendered/              views of the stamps
    OUT/mella/                 the dataset, in the published layout
    OUT/base/model/            a miniature backbone that knows English
    OUT/<language>/train/      the run, with its adapter
    OUT/<language>/evaluation/ predictions, scores.json, report.html
    OUT/<language>/adapter/    ready for the Hub

Every step resumes where it was stopped, and finished steps are skipped.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mella_hf.demo.stamps.phrases import LANGUAGES
from mella_hf.errors import MellaError
from mella_hf.files import link_file, write_atomic
from mella_hf.languages import get_language
from mella_hf.sample import SPLITS
from mella_hf.stage import Shard, ShardOutput, fingerprint, run_stage

if TYPE_CHECKING:
    from mella_hf.demo.pretrain import Budget

MAX_NEW_TOKENS = {"know": 48, "ling": 160}  # the longest description has 140 of the miniature's tokens
ORIGIN = (
    "The images and the `know` texts are the stamps of [Tux Paint](https://tuxpaint.org), from the Debian package "
    "`tuxpaint-stamps-default` (GPL-2; its source is available from Debian). The `know` texts were written by Tux "
    "Paint's translators. The `ling` texts are a **stand-in** for translated captions: sentences from templates "
    "about colours, shapes and places that were measured from the pixels."
)


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
    def rendered(self) -> Path:
        """The rendered views of the stamps."""
        return self.out / "rendered"

    @property
    def dataset(self) -> Path:
        """The dataset, in the published layout."""
        return self.out / "mella"

    @property
    def base(self) -> Path:
        """The miniature backbone and its training."""
        return self.out / "base"

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
        source: an unpacked stamps folder, if the Debian package cannot be fetched.
        workers: processes for building data; the number of cores by default.
        scale: how much to train; the full demo by default.

    Raises:
        MellaError: for an unknown language, a source that is not a stamps folder, or a failed step.
    """
    get_language(language)
    if language not in LANGUAGES:
        raise MellaError(f"The demo has no phrases for {language!r}; choose one of {', '.join(LANGUAGES)}.")
    paths, scale = DemoPaths(Path(out).resolve(), language), scale or Scale()
    prepare(paths, source, workers, scale.budget)
    with _step(5, f"LoRA: know and ling together, in {get_language(language).name}"):
        launch_sft(paths, scale.training_flags)
    with _step(6, "Evaluation: base and adapter on the test splits"):
        evaluate(paths, scale.max_new_tokens)
    with _step(7, "Report and adapter folder"):
        publish(paths)
    print(f"\nreport:  {paths.evaluation / 'report.html'}\nadapter: {paths.adapter}\ndataset: {paths.dataset}")
    return paths


def prepare(
    paths: DemoPaths, source: Path | str | None = None, workers: int | None = None, budget: "Budget | None" = None
) -> Path:
    """Run the steps that all languages share: views, dataset and base. Return the stamps' folder."""
    from mella_hf.demo.stamps.stamps import fetch_stamps, read_stamps, stamps_folder

    with _step(1, "Stamps: real images with native names"):
        root = stamps_folder(source) if source else fetch_stamps()
        stamps = read_stamps(root)
        print(f"  {len(stamps)} stamps in {root}")
    with _step(2, "Views: each stamp at several scales and places"):
        from mella_hf.demo.stamps.rows import render_stage

        for report in render_stage(root, paths.rendered, workers):
            _print_counts(report.name, report.counts)
    with _step(3, "Dataset: know and ling in every language, as Parquet"):
        build_stamp_dataset(root, paths.rendered, paths.dataset, workers)
        _print_splits(paths)
    with _step(4, "Base: a miniature backbone that knows English"):
        train_base(paths, root, budget)
    return root


def build_stamp_dataset(root: Path, rendered: Path, folder: Path, workers: int | None = None) -> None:
    """Write the stamps' dataset in every language, with its card, its funnel and its rejects."""
    from mella_hf.dataset.card import write_card, write_funnel
    from mella_hf.demo.stamps.rows import read_views

    views = fingerprint([read_views(rendered / part, ["sha256"])["sha256"].to_pylist() for part in ("train", "test")])
    payload = {"root": str(root), "rendered": str(rendered), "views": views}
    shards = [Shard(code, payload) for code in LANGUAGES]
    built = folder.parent / ".dataset"
    report = run_stage("dataset", _write_language, shards, built, workers=workers).require_all()
    funnel = {}
    for code, written in zip(LANGUAGES, report.outputs, strict=True):
        _link_folder(written / code, folder / code)
        funnel[code] = json.loads((written / "funnel.json").read_text("utf-8"))
        write_atomic(folder / "rejects" / f"{code}.jsonl", (built / "rejects" / f"{code}.jsonl").read_bytes())
    write_funnel(folder, funnel)
    write_card(folder, title="MELLA in miniature", origin=ORIGIN)


def _write_language(shard: Shard, output: ShardOutput) -> None:
    """Write one language's splits, and count what happened to every view, by source."""
    from mella_hf.dataset.write import write_split
    from mella_hf.demo.stamps.rows import rows
    from mella_hf.demo.stamps.stamps import read_stamps

    stamps = read_stamps(shard.payload["root"])
    funnel: dict[str, Counter[str]] = {}
    for split in SPLITS:
        before = Counter(output.counts)
        written = write_split(
            rows(shard.payload["rendered"], stamps, shard.name, split, output), output.folder, shard.name, split
        )
        output.keep(written.rows)
        funnel.setdefault(split.removesuffix("_test"), Counter()).update(output.counts - before)
    write_atomic(output.folder / "funnel.json", json.dumps(funnel, sort_keys=True))


def train_base(paths: DemoPaths, root: Path, budget: "Budget | None" = None) -> Path:
    """Train the miniature backbone once, for all languages."""
    from mella_hf.demo.pretrain import pretrain
    from mella_hf.demo.stamps.reading import english_pictures, reading_texts
    from mella_hf.demo.stamps.stamps import read_stamps

    stamps = read_stamps(root)
    pictures = english_pictures(paths.rendered, stamps)
    return pretrain(pictures, reading_texts(paths.rendered, stamps, LANGUAGES), paths.base, budget)


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
    )


def publish(paths: DemoPaths) -> None:
    """Write the report and the folder to push."""
    from mella_hf.evaluation.reports.report import write_report
    from mella_hf.hub.push import prepare_adapter

    write_report(paths.evaluation)
    prepare_adapter(paths.run / "adapter", paths.adapter, run=paths.evaluation, license="gpl-2.0")  # as its data


@contextmanager
def _step(number: int, title: str) -> Iterator[None]:
    print(f"\n[{number}/7] {title}", flush=True)
    start = time.perf_counter()
    yield
    print(f"  {time.perf_counter() - start:.0f} s", flush=True)


def _print_counts(name: str, counts: Counter[str]) -> None:
    print(f"  {name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in sorted(counts.items())))


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
