"""Write report.html and report.json for `mella describe`, in the form of the collection report.

Captions and translations come from models and can contain anything: all texts are escaped, and the page makes no
outside request.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mella_hf.dataset.building.build import BuildReport
from mella_hf.files import write_atomic
from mella_hf.funnel import HEADER, SEED, Step, dropped_examples, funnel_table
from mella_hf.html.notebook import Shown, ShownTable
from mella_hf.html.page import environment, text_attributes
from mella_hf.images.thumbnail import thumbnail_url
from mella_hf.languages import Language, get_language
from mella_hf.ling.costs import TranslationCost
from mella_hf.ling.described import read_rows
from mella_hf.ling.tournament import LENGTHS, TournamentResult, TranslatorStanding, by_language_and_length
from mella_hf.stage import StageReport

TEMPLATES = Path(__file__).parent / "templates"
KEPT_EXAMPLES = 8  # a language
_THUMBNAIL = 320  # px


@dataclass(repr=False)
class DescribeReport(Shown):
    """The result of a run.

    Attributes:
        captions: the caption stage; `translations` and `verdicts` by language.
        build: the dataset.
        results: of a tournament, as `mella_hf.ling.tournament.write_results` gives them.
        spent: of a tournament, language -> what each translator was asked for.
    """

    captions: StageReport
    translations: dict[str, StageReport] = field(default_factory=dict)
    verdicts: dict[str, StageReport] = field(default_factory=dict)
    build: BuildReport | None = None
    results: list[TournamentResult] = field(default_factory=list)
    spent: dict[str, list[TranslationCost]] = field(default_factory=dict)

    @property
    def steps(self) -> list[Step]:
        """The funnel: captions, then translations and what was kept of them, by language."""
        stages = [self.captions, *self.translations.values(), *self.verdicts.values()]
        return [Step.of(stage.name, "images", stage.counts) for stage in stages]

    def _table(self) -> ShownTable:
        where = "nothing built" if self.build is None else str(self.build.out)
        return ShownTable(where, HEADER, funnel_table(self.steps))


def write_describe_report(images: Path, out: Path, report: DescribeReport) -> Path:
    """Write report.html and report.json into the dataset's folder; returns the path of the page."""
    assert report.build is not None
    languages = [get_language(code) for code in report.verdicts]
    steps = [Step.of("Captions", "images", report.captions.counts)]
    for language in languages:
        translations, verdicts = report.translations[language.code], report.verdicts[language.code]
        steps.append(Step.of(f"Translations, {language.name}", "captions", translations.counts))
        steps.append(Step.of(f"Good translations, {language.name}", "translations", verdicts.counts))
    stages = {s.name: s for s in (report.captions, *report.translations.values(), *report.verdicts.values())}
    tables = by_language_and_length(report.results)
    view = {
        "languages": languages,
        "steps": steps,
        "images": steps[0].entered,
        "pairs": sum(sources["ling"]["kept"] for sources in report.build.funnel.values()),
        "kept": [example for code, stage in report.verdicts.items() for example in kept_examples(images, code, stage)],
        "dropped": dropped_examples(stages),
        "tournaments": tournament_tables(tables),
        "lengths": list(LENGTHS),
        "spent": [(get_language(code), cost) for code, costs in report.spent.items() for cost in costs],
    }
    facts: dict[str, Any] = {"steps": [step.to_json() for step in steps], "pairs": view["pairs"]}
    if report.results:
        facts["tournament"] = [
            {"language": code, "length": length or None, "standings": [one.to_json() for one in table]}
            for code, length, table in tables
        ]
        facts["spent"] = {code: [asdict(cost) for cost in costs] for code, costs in report.spent.items()}
    write_atomic(out / "report.json", json.dumps(facts, ensure_ascii=False, indent=1) + "\n")
    write_atomic(out / "report.html", environment(TEMPLATES).get_template("describe.html.j2").render(view))
    return out / "report.html"


def tournament_tables(
    tables: Sequence[tuple[str, str, list[TranslatorStanding]]],
) -> list[tuple[Language, list[dict[str, Any]]]]:
    """For each language a row per translator, the best first: its win rate over all captions and by their length."""
    found = []
    for code in dict.fromkeys(code for code, _, _ in tables):
        by_length = {length: {s.translator: s for s in table} for own, length, table in tables if own == code}
        rows = []
        for name, standing in by_length[""].items():
            low, high = standing.interval
            rows.append(
                {
                    "translator": name,
                    "won": standing.won,
                    "judged": standing.judged,
                    "shared": standing.shared,
                    "rate": f"{100 * standing.rate:.1f}%",
                    "interval": f"{100 * low:.1f}–{100 * high:.1f}",
                    "ahead": "–" if standing.mean_margin is None else f"{standing.mean_margin:.3f}",
                    "failed": sum(standing.failed.values()),
                    "lengths": [_share(by_length.get(length, {}).get(name)) for length in LENGTHS],
                }
            )
        found.append((get_language(code), rows))
    return found


def _share(standing: TranslatorStanding | None) -> str:
    return "–" if standing is None else f"{100 * standing.rate:.0f}% of {standing.judged:,}"


def kept_examples(images: Path, code: str, verdicts: StageReport) -> list[dict[str, Any]]:
    """Random kept descriptions of a language, each with a thumbnail of its image."""
    language = get_language(code)
    rows = [row for folder in verdicts.outputs for row in read_rows(folder)]
    chosen = random.Random(SEED).sample(rows, min(KEPT_EXAMPLES, len(rows)))
    return [
        {
            **{name: row[name] for name in ("text", "caption_en", "captioner", "translator")},
            "language": language,
            "attributes": text_attributes(row["text"], language),
            "others": [c for c in row.get("candidates", []) if c["translator"] != row["translator"]],
            "score": "not scored" if row["qe_score"] is None else f"{row['qe_score']:.2f}",
            "changed": row.get("names_changed", []),
            "thumbnail": thumbnail_url((images / row["path"]).read_bytes(), _THUMBNAIL),
        }
        for row in chosen
    ]
