"""The three stages of describing a folder of images: caption, translate, judge.

Each runs shard by shard on the engine of `mella_hf.stage`, in this process: models and connections are opened once,
when the first shard needs them, and the services limit the speed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.request_cache import RequestCache
from mella_hf.dataset.building.build import TEST_SIZE
from mella_hf.dataset.building.candidate import read_image
from mella_hf.images.opening import Rejected, open_image
from mella_hf.languages import get_language
from mella_hf.ling.caption import PROMPT_VERSION, UNANSWERED, Captioner, caption_images
from mella_hf.ling.comet import KIWI, Scorer, open_scorer
from mella_hf.ling.comet_worker import BATCH_TOKENS
from mella_hf.ling.described import ImageFile, find_images, read_rows, write_rows
from mella_hf.ling.quality import THRESHOLD, judge
from mella_hf.ling.translate import AT_ONCE, CachedTranslator, choose_service, open_translator
from mella_hf.ling.translation_checks import changed_names
from mella_hf.ling.translators.services import SERVICES
from mella_hf.plugins import find_plugins, load_plugin
from mella_hf.progress import progress_bar
from mella_hf.sample import sha256_hex
from mella_hf.stage import Shard, ShardOutput, StageReport, run_stage

if TYPE_CHECKING:
    from PIL.Image import Image

WORK = ".describe"
CAPTIONERS = "mella_hf.captioners"  # group of entry points
CACHE = "requests.sqlite"
LING_VERSION = 1  # increase it when the stages change rows differently; they then run again
SHARD_IMAGES = 64
JUDGED_SHARDS = 16  # shards scored together: with a thousand pairs, batches have similar lengths
CAPTION_SIDE = 1024  # px of the longer side of the image for the captioner


@dataclass(frozen=True)
class DescribeSettings:
    """Settings of `mella describe`.

    Attributes:
        captioner: Hub id or folder of an image-text-to-text model, or the name of an entry point of the group
            `mella_hf.captioners`; with `base_urls`, the name that the model is served under.
        base_urls: OpenAI-compatible servers; none runs the model in this process.
        translator: "auto", a service, an entry point of the group `mella_hf.translators`, or an NLLB or MADLAD
            checkpoint.
        translator_url: address of the service, if it is not the public one.
        captioner_label, translator_label: names for the provenance columns.
        at_once: concurrent requests per server or service; None for their defaults.
        qe_model: a COMET quality-estimation checkpoint; None uses only the checks without a model.
        qe_python: a Python with COMET.
        qe_batch_tokens: tokens per scoring batch.
        threshold: lowest score that is kept, in [0, 1].
        force_qe: also score languages that the encoder was not trained on.
        price: US dollars per million characters, instead of the service's list price.
        batch_size: images per batch for a captioner in this process.
        license: licence of images for which `metadata.jsonl` gives none.
        test_size: images in the test split, at most a fifth.
    """

    captioner: str
    base_urls: tuple[str, ...] = ()
    translator: str = "auto"
    translator_url: str | None = None
    captioner_label: str | None = None
    translator_label: str | None = None
    at_once: int | None = None
    qe_model: str | None = KIWI
    qe_python: Path | None = None
    qe_batch_tokens: int = BATCH_TOKENS
    threshold: float = THRESHOLD
    force_qe: bool = False
    price: float | None = None
    batch_size: int = 16
    license: str | None = None
    test_size: int = TEST_SIZE


class Description:
    """One run over one folder: the three stages; models and connections are opened at first use."""

    def __init__(self, images: Path, out: Path, settings: DescribeSettings, progress: bool):
        self._images, self._work, self._settings, self._progress = images, out / WORK, settings, progress
        self._opened = ExitStack()
        self._translators: dict[str, CachedTranslator] = {}

    def __enter__(self) -> "Description":
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    @cached_property
    def _cache(self) -> RequestCache:
        return self._opened.enter_context(RequestCache(self._work / CACHE))

    @cached_property
    def _bar(self) -> Any:
        """A bar that counts answers: the engine's bar counts shards, and a shard may take minutes."""
        return self._opened.enter_context(
            progress_bar(desc="answers", unit="answer", position=1, leave=False, shown=self._progress)
        )

    @cached_property
    def _captioner(self) -> Captioner:
        from mella_hf.answers.chat.servers import AT_ONCE
        from mella_hf.ling.captioners import ServerCaptioner, TransformersCaptioner

        s = self._settings
        registered = find_plugins(CAPTIONERS)
        if s.captioner in registered and not s.base_urls:
            made: Captioner = load_plugin(registered[s.captioner])()
            made.name = s.captioner_label or made.name
            return made
        if s.base_urls:
            return ServerCaptioner(s.captioner, s.base_urls, at_once=s.at_once or AT_ONCE, label=s.captioner_label)
        return TransformersCaptioner(s.captioner, batch_size=s.batch_size)

    @cached_property
    def _scorer(self) -> Scorer:
        s = self._settings
        scorer = open_scorer(str(s.qe_model), python=s.qe_python, batch_tokens=s.qe_batch_tokens)
        self._opened.callback(scorer.close)
        return scorer

    def translator(self, language: str) -> CachedTranslator:
        """The translator into a language, with the cache."""
        s = self._settings
        choice = choose_service(language) if s.translator == "auto" else s.translator
        if choice not in self._translators:
            made = open_translator(choice, language, s.translator_url, s.translator_label)
            at_once = (s.at_once or AT_ONCE) if choice in SERVICES else 1
            self._translators[choice] = CachedTranslator(
                made, self._cache, at_once=at_once, on_request=lambda texts: self._bar.update(len(texts))
            )
        return self._translators[choice]

    def price(self, language: str) -> float:
        """US dollars per million characters for a language."""
        s = self._settings
        choice = choose_service(language) if s.translator == "auto" else s.translator
        listed = SERVICES[choice].price if choice in SERVICES else 0.0
        return listed if s.price is None else s.price

    def caption(self) -> StageReport:
        """Caption all images in English, once for all languages.

        Images that got no answer last time, for a reason not caused by them, are asked for again.
        """
        s = self._settings
        _reopen_unanswered(self._work / "caption")
        files = find_images(self._images)
        shards = [
            Shard(f"{start // SHARD_IMAGES:05d}", {"images": [asdict(f) for f in files[start : start + SHARD_IMAGES]]})
            for start in range(0, len(files), SHARD_IMAGES)
        ]
        settings = {"captioner": s.captioner, "label": s.captioner_label, "prompt": PROMPT_VERSION}
        return self._run("caption", self._caption_shard, shards, settings)

    def translate(self, captions: StageReport, language: str) -> StageReport:
        """Translate the captions into one language."""
        s = self._settings
        route = choose_service(language) if s.translator == "auto" else s.translator
        settings = {"translator": route, "label": s.translator_label, "url": s.translator_url}
        return self._run(f"translate-{language}", self._translate_shard, _after(captions, language), settings)

    def judge(self, translations: StageReport, language: str) -> StageReport:
        """Keep the translations that pass the checks."""
        s = self._settings
        settings = {"model": s.qe_model, "threshold": s.threshold}
        shards = _after(translations, language, JUDGED_SHARDS)
        return self._run(f"judge-{language}", self._judge_shard, shards, settings)

    def _run(
        self,
        name: str,
        work: Callable[[Shard, ShardOutput], None],
        shards: Sequence[Shard],
        settings: Mapping[str, Any],
    ) -> StageReport:
        # In this process: models and connections are opened once, and the services limit the speed.
        versioned = {"version": LING_VERSION, **settings}
        return run_stage(name, work, shards, self._work / name, settings=versioned, workers=0, progress=self._progress)

    def _caption_shard(self, shard: Shard, output: ShardOutput) -> None:
        files: dict[str, ImageFile] = {}
        images: list[tuple[str, Image]] = []
        for fields in shard.payload["images"]:
            file = ImageFile(**fields)
            try:
                data = read_image(str(self._images / file.path), [])
                image = open_image(data)
            except Rejected as rejected:
                output.drop(rejected.reason, where=file.path, detail=str(rejected))
                continue
            name = sha256_hex(data)
            if name in files:
                output.drop("duplicate_bytes", where=file.path, detail=f"as {files[name].path}")
                continue
            files[name] = file
            image.thumbnail((CAPTION_SIDE, CAPTION_SIDE))
            images.append((name, image))
        captions = caption_images(self._captioner, images, self._cache, self._bar.update)
        rows = []
        for name, file in files.items():
            caption = captions[name]
            output.counts["captions_retried"] += caption.retried
            if caption.problem is not None:
                said = {"said": caption.said} if caption.said else {}
                output.drop(caption.problem, where=file.path, caption_en=caption.text, **said)
                continue
            rows.append({"id": name, "path": file.path, **file.columns, "caption_en": caption.text})
            rows[-1] |= {"captioner": f"{self._captioner.name} prompt {PROMPT_VERSION}"}
            rows[-1] |= {"license": file.columns.get("license") or self._settings.license}
        output.keep(len(rows))
        write_rows(output.folder, rows)

    def _translate_shard(self, shard: Shard, output: ShardOutput) -> None:
        language = shard.payload["language"]
        rows = _rows_in(shard)
        translator = self.translator(language)
        texts = translator.translate([row["caption_en"] for row in rows], "en", language)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for row, text in zip(rows, texts, strict=True):
            row |= {"text": text, "translator": translator.name, "collected_at": now}
        output.keep(len(rows))
        write_rows(output.folder, rows)

    def _judge_shard(self, shard: Shard, output: ShardOutput) -> None:
        language = shard.payload["language"]
        entry = get_language(language)
        rows = _rows_in(shard)
        s = self._settings
        scorer = self._scorer if s.qe_model is not None and rows else None
        verdicts = judge([(row["caption_en"], row["text"]) for row in rows], language, scorer, s.threshold)
        kept = []
        for row, verdict in zip(rows, verdicts, strict=True):
            if verdict.problem is not None:
                what = {name: row[name] for name in ("caption_en", "text", "captioner", "translator")}
                output.drop(verdict.problem, where=row["path"], qe_score=verdict.score, **what)
                continue
            if names := changed_names(row["caption_en"], row["text"], entry):
                output.counts["names_changed"] += 1
                row["names_changed"] = sorted(names)
            # Kiwi's scores can lie slightly outside [0, 1]; the column's may not.
            row["qe_score"] = None if verdict.score is None else min(1.0, max(0.0, verdict.score))
            row["qe_model"] = None if scorer is None else f"{short_name(str(s.qe_model))} {scorer.version}"
            kept.append(row)
        output.keep(len(kept))
        write_rows(output.folder, kept)


def _reopen_unanswered(stage: Path) -> None:
    """Remove the completion markers of shards in which an image got no answer.

    The other answers are in the cache, and the next stage compares rows, so only what is new is asked for and done."""
    for marker in (stage / "done").glob("*.json"):
        if count_unanswered(json.loads(marker.read_text("utf-8"))["counts"]):
            marker.unlink()


def count_unanswered(counts: Mapping[str, int]) -> int:
    """Number of images without an answer, for reasons not caused by them, from the counts of a stage or shard."""
    return sum(n for reason, n in counts.items() if reason.startswith(f"dropped_{UNANSWERED}"))


def _after(stage: StageReport, language: str, together: int = 1) -> list[Shard]:
    """Group a stage's outputs into shards of the next stage; a shard runs again if its input changes."""
    groups = [stage.outputs[start : start + together] for start in range(0, len(stage.outputs), together)]
    return [
        Shard(
            folders[0].name,
            {"language": language, "folders": list(map(str, folders)), "input": list(map(digest_rows, folders))},
        )
        for folders in groups
    ]


def _rows_in(shard: Shard) -> list[dict[str, Any]]:
    return [row for folder in shard.payload["folders"] for row in read_rows(Path(folder))]


def digest_rows(folder: Path) -> str:
    """A hash of a shard's rows without their timestamps."""
    rows = [{name: value for name, value in row.items() if name != "collected_at"} for row in read_rows(folder)]
    return sha256_hex(json.dumps(rows, sort_keys=True).encode())


def short_name(model: str) -> str:
    """A model's name for provenance: the folder's name if it is a folder, else its Hub id."""
    return Path(model).name if Path(model).is_dir() else model
