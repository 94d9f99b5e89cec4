"""The three stages of describing a folder of images: caption, translate, judge.

Each runs shard by shard on the engine of `mella_hf.stage`, in this process: models and connections are opened once,
when the first shard needs them, and the services limit the speed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from mella_hf.answers.request_cache import RequestCache
from mella_hf.languages import get_language, own_entries
from mella_hf.ling.caption import PROMPT_VERSION, UNANSWERED, Captioner, caption_images
from mella_hf.ling.comet import Scorer, open_scorer
from mella_hf.ling.describe_settings import DescribeSettings, short_name
from mella_hf.ling.described import find_images, read_rows, write_rows
from mella_hf.ling.opened import open_images
from mella_hf.ling.thick import claims
from mella_hf.ling.thick.names import mark_names, names_problem, unmark_names
from mella_hf.ling.tournament import best, judge_all
from mella_hf.ling.translate import AT_ONCE, CachedTranslator, open_translator
from mella_hf.ling.translation_checks import changed_names
from mella_hf.ling.translators.routes import Route, is_address
from mella_hf.locks import sole_use
from mella_hf.plugins import find_plugins, make_plugin
from mella_hf.progress import progress_bar
from mella_hf.sample import sha256_hex
from mella_hf.stage import Shard, ShardOutput, StageReport, run_stage

WORK, LOCK = ".describe", "lock.json"
CAPTIONERS = "mella_hf.captioners"  # group of entry points
CACHE = "requests.sqlite"
LING_VERSION = 2  # increase it when the stages change rows differently; they then run again
SHARD_IMAGES = 64
JUDGED_SHARDS = 16  # shards scored together: with a thousand pairs, batches have similar lengths


class Description:
    """One run over one folder: the three stages; models and connections are opened at first use."""

    def __init__(self, images: Path, out: Path, settings: DescribeSettings, progress: bool):
        self._images, self._out, self._settings, self._progress = images, out, settings, progress
        self._work = out / WORK
        self._opened = ExitStack()
        self._translators: dict[Route, CachedTranslator] = {}

    def __enter__(self) -> "Description":
        self._opened.enter_context(sole_use(self._work / LOCK, self._out, "mella describe"))
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    @cached_property
    def cache(self) -> RequestCache:
        """The answers that were paid for."""
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
            made: Captioner = make_plugin(registered[s.captioner], ("name", "version", "caption"))
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

    def translator(self, route: Route, language: str) -> CachedTranslator:
        """A translator into a language, with the cache."""
        s = self._settings
        if route not in self._translators:
            made = open_translator(route.choice, language, route.urls, s.translator_label, s.at_once)
            at_once = (s.at_once or AT_ONCE) if route.remote else 1
            self._translators[route] = CachedTranslator(
                made, self.cache, at_once=at_once, on_request=lambda texts: self._bar.update(len(texts))
            )
        return self._translators[route]

    def caption(self, language: str | None = None) -> StageReport:
        """Caption all images in English, once for all languages.

        Images that got no answer last time, for a reason not caused by them, are asked for again.

        Args:
            language: of the pages' claims, which the captioner is given; None describes without them.
        """
        s = self._settings
        _reopen_unanswered(self._work / "caption")
        files = find_images(self._images)
        shards = [
            Shard(f"{start // SHARD_IMAGES:05d}", {"images": [asdict(f) for f in files[start : start + SHARD_IMAGES]]})
            for start in range(0, len(files), SHARD_IMAGES)
        ]
        settings = {"captioner": s.captioner, "label": s.captioner_label, "prompt": PROMPT_VERSION}
        if language is not None:
            settings |= {"context": language, "claims": claims.PROMPT_VERSION, **own_entries([language])}
        return self._run("caption", partial(self._caption_shard, language=language), shards, settings)

    def translate(self, captions: StageReport, language: str) -> StageReport:
        """Translate the captions into one language, by each translator."""
        s = self._settings
        routes = s.routes(language)
        # A server may move; an option of a package's translator is not an address, and may change its answers.
        named = [replace(route, urls=tuple(url for url in route.urls if not is_address(url))) for route in routes]
        settings: dict[str, Any] = {"translators": [asdict(route) for route in named], "label": s.translator_label}
        settings |= own_entries([language])
        return self._run(f"translate-{language}", self._translate_shard, _after(captions, language), settings)

    def judge(self, translations: StageReport, language: str) -> StageReport:
        """Keep the translations that pass the checks."""
        s = self._settings
        settings = {"model": s.qe_model, "threshold": s.threshold, **own_entries([language])}
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

    def _caption_shard(self, shard: Shard, output: ShardOutput, language: str | None) -> None:
        opened = open_images(self._images, shard.payload["images"], language, output)
        captions = caption_images(
            self._captioner, opened.images, self.cache, self._bar.update, opened.askings if language else None
        )
        rows = []
        for name, file in opened.files.items():
            caption = captions[name]
            output.counts["captions_retried"] += caption.retried
            said = {"said": caption.said} if caption.said else {}
            used, problem = opened.names_in(name, caption)
            if problem is not None:
                output.drop(problem, where=file.path, caption_en=caption.text, **said)
                continue
            rows.append({"id": name, "path": file.path, **file.columns, "caption_en": caption.text})
            rows[-1] |= {"captioner": f"{self._captioner.name} prompt {PROMPT_VERSION}"}
            rows[-1] |= {"license": file.columns.get("license") or self._settings.license}
            if language is not None:
                about = opened.claims[name]
                rows[-1] |= {"captioner": f"{self._captioner.name} prompt {claims.PROMPT_VERSION} context"}
                rows[-1] |= {"keywords": used, "entity": file.columns.get("entity") or used[0]}
                rows[-1] |= {"claims": list(about.texts), "names_offered": about.names}
        output.keep(len(rows))
        write_rows(output.folder, rows)

    def _translate_shard(self, shard: Shard, output: ShardOutput) -> None:
        language = shard.payload["language"]
        rows = _rows_in(shard)
        texts = [mark_names(row["caption_en"], row.get("keywords") or ()) for row in rows]
        for row in rows:
            row["candidates"] = []
            row["collected_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        for route in self._settings.routes(language):
            translator = self.translator(route, language)
            for row, text in zip(rows, translator.translate(texts, "en", language), strict=True):
                found = unmark_names(text, row.get("keywords") or (), language)
                if found.restored:
                    output.counts["names_restored"] += found.restored
                row["candidates"].append({"translator": translator.name, "text": found.text})
                if found.forms:
                    row["candidates"][-1]["forms"] = found.forms
        output.keep(len(rows))
        write_rows(output.folder, rows)

    def _judge_shard(self, shard: Shard, output: ShardOutput) -> None:
        language = shard.payload["language"]
        entry = get_language(language)
        rows = _rows_in(shard)
        s = self._settings
        scorer = self._scorer if s.qe_model is not None and rows else None
        for row in rows:
            for candidate in row["candidates"] if row.get("claims") else ():
                forms = candidate.get("forms", {})
                known = row["keywords"], row["claims"], row["caption_en"]
                candidate["problem"] = names_problem(candidate["text"], forms, *known, language)
        kept = []
        for row, candidates in zip(rows, judge_all(rows, language, scorer, s.threshold), strict=True):
            chosen = candidates[best(candidates)]
            row |= {"text": chosen["text"], "translator": chosen["translator"], "candidates": candidates}
            if chosen.get("forms"):
                row["forms"] = chosen["forms"]
            if len(candidates) == 1:
                del row["candidates"]
            if chosen["problem"] is not None:
                told = ("caption_en", "text", "captioner", "translator", "candidates", "keywords")
                what = {name: row[name] for name in told if name in row}
                output.drop(chosen["problem"], where=row["path"], qe_score=chosen["qe_score"], **what)
                continue
            names = changed_names(row["caption_en"], row["text"], entry)
            if names:
                output.counts["names_changed"] += 1
                row["names_changed"] = sorted(names)
            # Kiwi's scores can lie slightly outside [0, 1]; the column's may not.
            row["qe_score"] = None if chosen["qe_score"] is None else min(1.0, max(0.0, chosen["qe_score"]))
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
