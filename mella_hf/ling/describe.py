"""Build a dataset of native descriptions from a folder of images: caption, translate, judge, build.

    OUT/                      the dataset, as `mella_hf.dataset.building.build` writes it, rejects and funnel included
    OUT/report.html, .json    the funnel with its reasons, and examples of kept and dropped rows
    OUT/.describe/            work files of the stages and `requests.sqlite`, the paid answers

After a kill, a rerun does not ask the captioner or the service again for anything already answered. Images whose server
failed are asked for again; images that were refused, or described badly twice, are not.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mella_hf.dataset.building.build import build_dataset
from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.languages.codes import read_codes
from mella_hf.ling.comet import comet_python
from mella_hf.ling.costs import TranslationCost, spent
from mella_hf.ling.describe_report import DescribeReport, write_describe_report
from mella_hf.ling.describe_settings import DescribeSettings, short_name
from mella_hf.ling.describe_stages import WORK, Description, count_unanswered
from mella_hf.ling.described import DescribedSource, read_rows
from mella_hf.ling.quality import THRESHOLD, check_language
from mella_hf.ling.thick.collected import is_collected, unpack
from mella_hf.ling.thick.names import mark_names
from mella_hf.ling.tournament import by_language_and_length, write_results
from mella_hf.ling.translate import open_translator
from mella_hf.ling.translators.routes import Route
from mella_hf.ling.translators.services import SERVICES, service_code


def describe_images(
    images: Path | str,
    out: Path | str,
    languages: str | Sequence[str],
    settings: DescribeSettings,
    *,
    progress: bool = True,
) -> DescribeReport:
    """Describe every image in every language, and build the dataset.

    Raises:
        QuotaExhaustedError: if the quota of the translation service is used up; run again when it is renewed.
        MellaError: for bad settings, no images, or a captioner, service or model that does not work. Answers so
            far are kept.
    """
    languages = read_codes(languages)
    check_settings(languages, settings)
    images = images_folder(Path(images), Path(out), languages, settings)
    with Description(Path(images), Path(out), settings, progress) as work:
        report = DescribeReport(work.caption(languages[0] if settings.with_context else None))
        for language in languages:
            report.translations[language] = work.translate(report.captions, language)
        for language in languages:
            report.verdicts[language] = work.judge(report.translations[language], language)
        if len(settings.translators) > 1:
            report.results = write_results(Path(out), report.verdicts)
            report.spent = {code: _spent(work, report, code, settings) for code in languages}
    report.build = build_dataset(
        _source(Path(images), report),
        out,
        workers=0,
        test_size=settings.test_size,
        origin=_origin(settings),
        progress=progress,
    )
    write_describe_report(Path(images), Path(out), report)
    return report


def images_folder(images: Path, out: Path, languages: Sequence[str], settings: DescribeSettings) -> Path:
    """The folder of the images: the given one, or what a collected dataset holds, unpacked into the work files."""
    if settings.with_context and is_collected(images, languages[0]):
        return unpack(images, languages[0], out / WORK / "images")
    return images


def _spent(
    work: Description, report: DescribeReport, language: str, settings: DescribeSettings
) -> list[TranslationCost]:
    """What each translator of a tournament was asked for."""
    rows = [row for folder in report.captions.outputs for row in read_rows(folder)]
    texts = [mark_names(row["caption_en"], row.get("keywords") or ()) for row in rows]
    return spent(work, settings.routes(language), language, texts, settings)


def check_settings(languages: Sequence[str], settings: DescribeSettings) -> None:
    """Raise MellaError for settings that would fail later, before anything costs money."""
    if not languages:
        raise MellaError("No language given; give one or more, such as --languages ar,cs.")
    for language in languages:
        get_language(language)
        if settings.qe_model is not None:
            check_language(language, settings.force_qe, settings.qe_model)
        for route in settings.routes(language):
            _check_route(route, language)
    if settings.qe_model is not None:
        comet_python(settings.qe_python)
    if not 0 <= settings.threshold <= 1:
        raise MellaError(f"The threshold {settings.threshold} is not in [0, 1]; the paper's is {THRESHOLD}.")
    if len(settings.translators) > 1:
        if settings.qe_model is None:
            raise MellaError("Several translators need a judge that says which is best: leave --no-qe out.")
        if settings.translator_label:
            raise MellaError("Several translators cannot have one name: leave --translator-label out.")
    if settings.with_context:
        _check_context(languages)


def _check_route(route: Route, language: str) -> None:
    """Raise MellaError for a translator that would fail at its first text."""
    if route.choice in SERVICES:
        service_code(route.choice, language)
    if route.remote:
        open_translator(route.choice, language, route.urls)  # its key or address is there


def _check_context(languages: Sequence[str]) -> None:
    """Raise MellaError for languages in which alt-texts cannot be used."""
    if len(languages) > 1:
        raise MellaError(
            f"With --with-context give one language, that of the alt-texts, not {', '.join(languages)}; run once for "
            "each language."
        )
    if get_language(languages[0]).names == "none":
        raise MellaError(
            f"No names are found in texts in {languages[0]!r}, so --with-context cannot keep them; leave it out, or "
            "set `names` in the language's file (docs/new_language.md)."
        )


def _source(images: Path, report: DescribeReport) -> DescribedSource:
    """The source for `build_dataset`: the remaining rows, and the rejects of all stages."""
    rows = {code: [str(path) for path in stage.outputs] for code, stage in report.verdicts.items()}
    rejects = {
        code: [
            str(folder.parent / "rejects" / f"{folder.name}.jsonl")
            for stage in (report.captions, report.translations[code], report.verdicts[code])
            for folder in stage.outputs
        ]
        for code in report.verdicts
    }
    return DescribedSource(images.resolve(), rows, rejects)


def _origin(settings: DescribeSettings) -> str:
    captioner = settings.captioner_label or short_name(settings.captioner)
    translators = [settings.translator_label] if settings.translator_label else map(short_name, settings.translators)
    translated = " and ".join(f"`{name}`" for name in translators)
    context = ", with the alt-text, title and heading of their page as claims," if settings.with_context else ""
    several = ", the better translation kept" if len(settings.translators) > 1 else ""
    judged = f"kept by `{short_name(settings.qe_model)}` at {settings.threshold}" if settings.qe_model else "not scored"
    return (
        f"Images described in English by `{captioner}`{context}, translated by {translated}{several}, {judged}. "
        "No person has looked at them yet: `review` is null until a reviewer has."
    )


def funnel_lines(report: DescribeReport) -> Iterator[str]:
    """The funnel as text: one line per stage."""
    stages = [report.captions, *(stage for by in (report.translations, report.verdicts) for stage in by.values())]
    for stage in stages:
        lost = sorted(stage.dropped.items(), key=lambda item: (-item[1], item[0]))
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in lost)
        count = sum(stage.dropped.values())
        yield f"{stage.name}: kept {stage.counts['kept']:,}; left out {count:,} ({reasons or 'no reason'})"
    for language, length, table in by_language_and_length(report.results):
        if not length:
            won = ", ".join(f"{s.translator} {s.won:,} ({100 * s.rate:.0f}%)" for s in table)
            yield f"{language}: best translation by {won} of {table[0].judged:,}"
    unanswered = count_unanswered(report.captions.counts)
    if unanswered:
        yield f"No captioner answered for {unanswered:,} of the images; the same command asks again for those."
