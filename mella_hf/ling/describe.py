"""Build a dataset of native descriptions from a folder of images: caption, translate, judge, build.

    OUT/                      the dataset, as `mella_hf.dataset.building.build` writes it, rejects and funnel included
    OUT/report.html, .json    the funnel with its reasons, and examples of kept and dropped rows
    OUT/.describe/            work files of the stages and `requests.sqlite`, the paid answers

After a kill, a rerun does not ask the captioner or the service again for anything already answered. Images whose server
failed are asked for again; images that were refused, or described badly twice, are not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mella_hf.dataset.building.build import BuildReport, build_dataset
from mella_hf.errors import MellaError
from mella_hf.funnel import HEADER, Step, funnel_table
from mella_hf.html.notebook import html_table, text_table
from mella_hf.languages import get_language
from mella_hf.languages.codes import read_codes
from mella_hf.ling.comet import comet_python
from mella_hf.ling.describe_report import write_describe_report
from mella_hf.ling.describe_stages import DescribeSettings, Description, count_unanswered, short_name
from mella_hf.ling.described import DescribedSource, read_rows
from mella_hf.ling.quality import THRESHOLD, check_language
from mella_hf.ling.translate import TranslationCost, choose_service, estimate
from mella_hf.ling.translators.services import SERVICES, ServiceTranslator, service_code
from mella_hf.stage import StageReport


@dataclass(repr=False)
class DescribeReport:
    """The result of a run.

    Attributes:
        captions: the caption stage; `translations` and `verdicts` by language.
        build: the dataset.
    """

    captions: StageReport
    translations: dict[str, StageReport] = field(default_factory=dict)
    verdicts: dict[str, StageReport] = field(default_factory=dict)
    build: BuildReport | None = None

    @property
    def steps(self) -> list[Step]:
        """The funnel: captions, then translations and what was kept of them, by language."""
        stages = [self.captions, *self.translations.values(), *self.verdicts.values()]
        return [Step.of(stage.name, "images", stage.counts) for stage in stages]

    def __repr__(self) -> str:
        where = "nothing built" if self.build is None else repr(str(self.build.out))
        return f"DescribeReport({where})\n{text_table(HEADER, funnel_table(self.steps))}"

    def _repr_html_(self) -> str:
        where = "nothing built" if self.build is None else str(self.build.out)
        return html_table(where, HEADER, funnel_table(self.steps))


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
    with Description(Path(images), Path(out), settings, progress) as work:
        report = DescribeReport(work.caption())
        for language in languages:
            report.translations[language] = work.translate(report.captions, language)
        for language in languages:
            report.verdicts[language] = work.judge(report.translations[language], language)
    report.build = build_dataset(
        _source(Path(images), report),
        out,
        workers=0,
        test_size=settings.test_size,
        origin=_origin(settings),
        progress=progress,
    )
    write_describe_report(Path(images), Path(out), report.captions, report.translations, report.verdicts, report.build)
    return report


def estimate_costs(
    images: Path | str,
    out: Path | str,
    languages: str | Sequence[str],
    settings: DescribeSettings,
    *,
    progress: bool = True,
) -> dict[str, TranslationCost]:
    """Estimate the cost of translation by language. Captions images without a caption; asks no translation service.

    Raises:
        MellaError: for the same reasons as `describe_images`.
    """
    languages = read_codes(languages)
    check_settings(languages, settings)
    with Description(Path(images), Path(out), settings, progress) as work:
        rows = [row for folder in work.caption().outputs for row in read_rows(folder)]
        texts = [row["caption_en"] for row in rows]
        return {code: estimate(work.translator(code), texts, code, work.price(code)) for code in languages}


def check_settings(languages: Sequence[str], settings: DescribeSettings) -> None:
    """Raise MellaError for settings that would fail later, before anything costs money."""
    if not languages:
        raise MellaError("No language given; give one or more, such as --languages ar,cs.")
    for language in languages:
        get_language(language)
        if settings.qe_model is not None:
            check_language(language, settings.force_qe, settings.qe_model)
        choice = choose_service(language) if settings.translator == "auto" else settings.translator
        if choice in SERVICES:
            service_code(choice, language)
            ServiceTranslator(choice, settings.translator_url)  # its key is there
    if settings.qe_model is not None:
        comet_python(settings.qe_python)
    if not 0 <= settings.threshold <= 1:
        raise MellaError(f"The threshold {settings.threshold} is not in [0, 1]; the paper's is {THRESHOLD}.")


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
    translator = settings.translator_label or short_name(settings.translator)
    judged = f"kept by `{short_name(settings.qe_model)}` at {settings.threshold}" if settings.qe_model else "not scored"
    return (
        f"Images described in English by `{captioner}`, translated by `{translator}`, {judged}. "
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
    if unanswered := count_unanswered(report.captions.counts):
        yield f"No captioner answered for {unanswered:,} of the images; the same command asks again for those."
