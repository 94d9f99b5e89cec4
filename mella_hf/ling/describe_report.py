"""Write report.html and report.json for `mella describe`, in the form of the collection report.

Captions and translations come from models and can contain anything: all texts are escaped, and the page makes no
outside request.
"""

import json
import random
from pathlib import Path
from typing import Any

from mella_hf.dataset.building.build import BuildReport
from mella_hf.files import write_atomic
from mella_hf.funnel import SEED, Step, dropped_examples
from mella_hf.html.page import environment, text_attributes
from mella_hf.images.thumbnail import thumbnail_url
from mella_hf.languages import get_language
from mella_hf.ling.described import read_rows
from mella_hf.stage import StageReport

TEMPLATES = Path(__file__).parent / "templates"
KEPT_EXAMPLES = 8  # a language
_THUMBNAIL = 320  # px


def write_describe_report(
    images: Path,
    out: Path,
    captions: StageReport,
    translations: dict[str, StageReport],
    verdicts: dict[str, StageReport],
    build: BuildReport,
) -> Path:
    """Write report.html and report.json into the dataset's folder; returns the path of the page."""
    languages = [get_language(code) for code in verdicts]
    steps = [Step.of("Captions", "images", captions.counts)]
    for language in languages:
        steps.append(Step.of(f"Translations, {language.name}", "captions", translations[language.code].counts))
        steps.append(Step.of(f"Good translations, {language.name}", "translations", verdicts[language.code].counts))
    stages = {stage.name: stage for stage in (captions, *translations.values(), *verdicts.values())}
    view = {
        "languages": languages,
        "steps": steps,
        "images": steps[0].entered,
        "pairs": sum(sources["ling"]["kept"] for sources in build.funnel.values()),
        "kept": [example for code, stage in verdicts.items() for example in kept_examples(images, code, stage)],
        "dropped": dropped_examples(stages),
    }
    facts = {"steps": [step.to_json() for step in steps], "pairs": view["pairs"]}
    write_atomic(out / "report.json", json.dumps(facts, ensure_ascii=False, indent=1) + "\n")
    write_atomic(out / "report.html", environment(TEMPLATES).get_template("describe.html.j2").render(view))
    return out / "report.html"


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
            "score": "not scored" if row["qe_score"] is None else f"{row['qe_score']:.2f}",
            "changed": row.get("names_changed", []),
            "thumbnail": thumbnail_url((images / row["path"]).read_bytes(), _THUMBNAIL),
        }
        for row in chosen
    ]
